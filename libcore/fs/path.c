// SPDX-License-Identifier: LGPL-2.1-or-later
/* Paths: walking them without recursion (R18), and making and removing what they name (FORMAT 9.2, 9.3). */
#include "fs/path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/orphan.h"

static int path_error(struct cowdax_error *error, int code, const char *path)
{
	if (code == -EUCLEAN)
		return cdx_error(error, code, "%s: the image is damaged here: run fsck.cowdax", path);
	return cdx_error_errno(error, code, path);
}

static int walk_number(struct cdx_txn *txn, const char *path, struct cdx_place *place)
{
	struct cdx_inode inode;
	char *end;
	int ret;

	errno = 0;
	place->inode = strtoull(path + 4, &end, 10);
	if (errno || *end || path[4] < '0' || path[4] > '9')
		return -EINVAL;
	ret = cdx_inode_load(txn, place->inode, &inode);
	place->name = path;
	place->length = 0;
	return ret;
}

/* One component: from directory @place->inode to what @name is there. */
static int step(struct cdx_txn *txn, struct cdx_place *place, const char *name, size_t length)
{
	struct cdx_inode dir;
	uint32_t type;
	int ret;

	if (!place->inode)
		return -ENOENT;
	ret = cdx_inode_load(txn, place->inode, &dir);
	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	/* As link_path_walk(): where it is looked for first, then the name. */
	if (!S_ISDIR(dir.mode))
		return -ENOTDIR;
	if (length > CDX_NAME_MAX)
		return -ENAMETOOLONG;
	place->name = name;
	place->length = length;
	if (length == 1 && name[0] == '.') {
		place->dir = 0;
		return 0;
	}
	if (length == 2 && name[0] == '.' && name[1] == '.') {
		place->dir = 0;
		place->inode = dir.parent;
		return 0;
	}
	place->dir = dir.number;
	ret = cdx_dir_find(txn, dir.number, name, length, &place->inode, &type);
	if (ret == -ENOENT) {
		place->inode = 0;
		ret = 0;
	}
	return ret;
}

int cdx_path_walk(struct cdx_txn *txn, const char *path, struct cdx_place *place,
		  struct cowdax_error *error)
{
	const char *at = path;
	int ret = 0;

	memset(place, 0, sizeof(*place));
	if (strncmp(path, "ino:", 4) == 0) {
		ret = walk_number(txn, path, place);
		return ret ? path_error(error, ret, path) : 0;
	}
	if (!*path)
		return cdx_error(error, -ENOENT, "\"\": an empty path names nothing");
	place->inode = COWDAX_ROOT_INODE;
	place->name = path;
	while (!ret) {
		size_t length;

		at += strspn(at, "/");
		if (!*at)
			break;
		length = strcspn(at, "/");
		ret = step(txn, place, at, length);
		at += length;
		place->want_directory = *at == '/';
	}
	return ret ? path_error(error, ret, path) : 0;
}

static int load_place(struct cdx_txn *txn, const struct cdx_place *place, struct cdx_inode *inode)
{
	int ret;

	if (!place->inode)
		return -ENOENT;
	ret = cdx_inode_load(txn, place->inode, inode);
	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	return place->want_directory && !S_ISDIR(inode->mode) ? -ENOTDIR : 0;
}

int cdx_path_inode(struct cdx_txn *txn, const char *path, struct cdx_inode *inode,
		   struct cowdax_error *error)
{
	struct cdx_place place;
	int ret;

	ret = cdx_path_walk(txn, path, &place, error);
	if (ret)
		return ret;
	ret = load_place(txn, &place, inode);
	return ret ? path_error(error, ret, path) : 0;
}

int cdx_place_create(struct cdx_txn *txn, const struct cdx_place *place, uint32_t mode,
		     struct cdx_inode *inode, struct cowdax_error *error)
{
	struct cdx_inode dir;
	int ret;

	if (!place->dir)
		return -ENOENT;
	if (place->want_directory && !S_ISDIR(mode))
		return -EISDIR;
	ret = cdx_inode_load(txn, place->dir, &dir);
	if (!ret)
		ret = cdx_inode_make(txn, mode, inode);
	if (ret)
		return ret;
	inode->uid = dir.uid;
	inode->gid = dir.gid;
	if (S_ISDIR(mode)) {
		inode->nlink = 2;
		inode->parent = dir.number;
	}
	ret = cdx_dir_add(txn, &dir, place->name, place->length, inode);
	/* Only names that were chosen for it come to this: the hash is keyed. */
	if (ret == -EXFULL)
		return cdx_error(error, -ENOSPC, "%.*s: its directory has 256 names with the hash of this one, "
				 "and no place for more", (int)place->length, place->name);
	if (!ret)
		ret = cdx_inode_store(txn, &dir);
	if (!ret)
		ret = cdx_inode_add(txn, inode);
	return ret;
}

/* Make each missing directory on the way down @path. */
static int make_parents(struct cdx_txn *txn, const char *path, uint32_t mode, struct cowdax_error *error)
{
	struct cdx_place place = {.inode = COWDAX_ROOT_INODE, .name = path};
	struct cdx_inode inode;
	int ret = 0;

	while (!ret) {
		size_t length;

		path += strspn(path, "/");
		if (!*path)
			break;
		length = strcspn(path, "/");
		ret = step(txn, &place, path, length);
		path += length;
		if (ret || place.inode)
			continue;
		ret = cdx_place_create(txn, &place, S_IFDIR | mode, &inode, error);
		if (!ret)
			ret = cdx_txn_relieve(txn);
		if (!ret)
			place.inode = inode.number;
	}
	if (!ret)
		ret = load_place(txn, &place, &inode);
	return !ret && !S_ISDIR(inode.mode) ? -EEXIST : ret;
}

int cdx_path_mkdir(struct cdx_txn *txn, const char *path, uint32_t mode, bool parents,
		   struct cowdax_error *error)
{
	struct cdx_place place;
	struct cdx_inode inode;
	int ret;

	mode &= 07777;
	if (parents && strncmp(path, "ino:", 4) != 0) {
		ret = make_parents(txn, path, mode, error);
		return ret ? path_error(error, ret, path) : 0;
	}
	ret = cdx_path_walk(txn, path, &place, error);
	if (ret)
		return ret;
	ret = place.inode ? -EEXIST : cdx_place_create(txn, &place, S_IFDIR | mode, &inode, error);
	return ret ? path_error(error, ret, path) : 0;
}

/* ---- removing ------------------------------------------------------------------------------ */

int cdx_path_remove(struct cdx_txn *txn, const char *path, bool recursive, struct cowdax_error *error)
{
	struct cdx_place place;
	struct cdx_inode inode;
	int ret;

	txn->claim = CDX_CLAIM_KEPT;
	ret = cdx_path_walk(txn, path, &place, error);
	if (ret)
		return ret;
	ret = load_place(txn, &place, &inode);
	if (ret)
		return path_error(error, ret, path);
	if (!place.dir)
		return cdx_error(error, -EBUSY, "%s: can only be removed by its name, and the root not at all", path);
	if (S_ISDIR(inode.mode) && !recursive)
		return path_error(error, -EISDIR, path);
	ret = cdx_orphan_unlink(txn, place.dir, place.name, place.length);
	return ret ? path_error(error, ret, path) : 0;
}
