// SPDX-License-Identifier: LGPL-2.1-or-later
/* Directories and paths (FORMAT 9.2): entries by hash, collisions numbered (R21); walks without recursion (R18). */
#include "fs/dir.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/count.h"
#include "base/siphash.h"

#define COLLISIONS UINT64_C(256)
#define TYPE_SHIFT 12

struct item {
	struct cdx_disk_fs_item head;
	unsigned char value[(CDX_DIRENT_HEADER + CDX_NAME_MAX + 7) & ~7];
};
static_assert(sizeof(struct item) <= CDX_MAX_ITEM, "an item fits");

static struct cdx_key entry_key(uint64_t dir, uint64_t hash)
{
	return (struct cdx_key){{dir, CDX_ITEM_DIRENT, hash}};
}

/* FORMAT 9.2: the lowest key a name can have; its collision number is 0. */
static uint64_t name_hash(const struct cdx_super *super, const char *name, size_t length)
{
	uint64_t k1 = 0;

	for (int i = 7; i >= 0; i--)
		k1 = k1 << 8 | super->uuid[i];
	return cdx_siphash(super->seed, k1, name, length) & ~(COLLISIONS - 1);
}

static int decode(struct cdx_dir_entry *entry, const unsigned char *bytes)
{
	const struct cdx_disk_fs_item *head = (const struct cdx_disk_fs_item *)bytes;
	const struct cdx_disk_dirent *dirent = (const struct cdx_disk_dirent *)(head + 1);
	size_t length = get16(head->length);

	if (length < CDX_DIRENT_HEADER + 1 || length != CDX_DIRENT_HEADER + (size_t)dirent->name_length)
		return -EUCLEAN;
	/* Nothing contains the root: a name of it would close a loop. */
	entry->inode = get64(dirent->inode);
	if (entry->inode <= COWDAX_ROOT_INODE)
		return -EUCLEAN;
	entry->type = (uint32_t)dirent->type << TYPE_SHIFT;
	entry->length = dirent->name_length;
	memcpy(entry->name, (const char *)dirent + CDX_DIRENT_HEADER, entry->length);
	entry->name[entry->length] = '\0';
	return cdx_name_possible(entry->name, entry->length) ? 0 : -EUCLEAN;
}

int cdx_dir_next(struct cdx_txn *txn, uint64_t dir, uint64_t *from, struct cdx_dir_entry *entry)
{
	struct cdx_key key = entry_key(dir, *from), end = entry_key(dir, UINT64_MAX);
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, &txn->fs, &key);
	if (ret > 0 && (!cdx_cursor_at_item(&cursor) ||
			cdx_key_compare(3, cdx_cursor_item(&cursor), &key) < 0))
		ret = cdx_cursor_next(&cursor);
	if (ret > 0) {
		const struct cdx_disk_fs_item *head = cdx_cursor_item(&cursor);

		if (cdx_key_compare(3, (const le64 *)head, &end) >= 0) {
			ret = 0;
		} else {
			*from = get64(head->hash) + 1;
			ret = decode(entry, (const unsigned char *)head);
			ret = ret ? ret : 1;
		}
	}
	cdx_cursor_end(&cursor);
	return ret;
}

/* Find @name; *at is its key's hash word, or the lowest free one when it is not there (-ENOENT). */
static int find(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length,
		struct cdx_dir_entry *entry, uint64_t *at)
{
	uint64_t first = name_hash(txn->super, name, length), from = first, free_one = first;
	int ret;

	while ((ret = cdx_dir_next(txn, dir, &from, entry)) > 0) {
		uint64_t here = from - 1;

		if (here - first >= COLLISIONS)
			break;
		if (entry->length == length && memcmp(entry->name, name, length) == 0) {
			*at = here;
			return 0;
		}
		if (here == free_one)
			free_one++;
	}
	*at = free_one;
	return ret < 0 ? ret : -ENOENT;
}

int cdx_dir_find(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length, uint64_t *inode,
		 uint32_t *type)
{
	struct cdx_dir_entry entry;
	uint64_t at;
	int ret = find(txn, dir, name, length, &entry, &at);

	if (ret)
		return ret;
	*inode = entry.inode;
	*type = entry.type;
	return 0;
}

int cdx_dir_add(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		const struct cdx_inode *inode)
{
	struct cdx_disk_dirent *dirent;
	struct cdx_dir_entry entry;
	struct item item = {0};
	uint64_t at;
	int ret;

	ret = find(txn, dir->number, name, length, &entry, &at);
	if (ret != -ENOENT)
		return ret ? ret : -EEXIST;
	if (at - name_hash(txn->super, name, length) >= COLLISIONS)
		return -ENOSPC;
	item.head.inode = put64(dir->number);
	item.head.item = put64(CDX_ITEM_DIRENT);
	item.head.hash = put64(at);
	item.head.length = put16((uint16_t)(CDX_DIRENT_HEADER + length));
	dirent = (struct cdx_disk_dirent *)item.value;
	dirent->inode = put64(inode->number);
	dirent->type = (uint8_t)((inode->mode & S_IFMT) >> TYPE_SHIFT);
	dirent->name_length = (uint8_t)length;
	memcpy(item.value + CDX_DIRENT_HEADER, name, length);
	ret = cdx_tree_insert(&txn->fs, &item, cdx_fs_item_size(&item));
	if (ret)
		return ret;
	if (S_ISDIR(inode->mode) && dir->nlink == UINT32_MAX)
		return -EMLINK;
	if (S_ISDIR(inode->mode))
		dir->nlink++;
	cdx_inode_modified(txn, dir);
	return cdx_raise(&dir->size, 1, CDX_MAX_FILE);
}

int cdx_dir_remove(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		   uint32_t type)
{
	struct cdx_dir_entry entry;
	struct cdx_key key;
	uint64_t at;
	int ret;

	ret = find(txn, dir->number, name, length, &entry, &at);
	if (ret)
		return ret;
	key = entry_key(dir->number, at);
	ret = cdx_tree_delete(&txn->fs, &key);
	if (ret)
		return ret;
	ret = cdx_lower(&dir->size, 1);
	if (!ret && S_ISDIR(type))
		ret = cdx_lower32(&dir->nlink, 1);
	if (!ret)
		cdx_inode_modified(txn, dir);
	return ret;
}

int cdx_dir_make_root(struct cdx_txn *txn, const struct timespec *now, uint32_t uid, uint32_t gid)
{
	struct cdx_inode root;
	int ret;

	txn->now = *now;
	ret = cdx_inode_make(txn, S_IFDIR | 0755, &root);
	if (ret)
		return ret;
	root.nlink = 2;
	root.parent = root.number;
	root.uid = uid;
	root.gid = gid;
	return cdx_inode_add(txn, &root);
}

/* ---- paths ------------------------------------------------------------------------------ */

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
	if (length > CDX_NAME_MAX)
		return -ENAMETOOLONG;
	ret = cdx_inode_load(txn, place->inode, &dir);
	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	if (!S_ISDIR(dir.mode))
		return -ENOTDIR;
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
		     struct cdx_inode *inode)
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
	if (!ret)
		ret = cdx_inode_store(txn, &dir);
	if (!ret)
		ret = cdx_inode_add(txn, inode);
	return ret;
}

/* Make each missing directory on the way down @path. */
static int make_parents(struct cdx_txn *txn, const char *path, uint32_t mode)
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
		ret = cdx_place_create(txn, &place, S_IFDIR | mode, &inode);
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
		ret = make_parents(txn, path, mode);
		return ret ? path_error(error, ret, path) : 0;
	}
	ret = cdx_path_walk(txn, path, &place, error);
	if (ret)
		return ret;
	ret = place.inode ? -EEXIST : cdx_place_create(txn, &place, S_IFDIR | mode, &inode);
	return ret ? path_error(error, ret, path) : 0;
}

/* ---- removing ------------------------------------------------------------------------------ */

/* Remove an entry whose directory, if it is one, is empty. */
static int remove_entry(struct cdx_txn *txn, uint64_t dir_number, const char *name, size_t length)
{
	struct cdx_inode dir, inode;
	uint64_t number;
	uint32_t type;
	int ret;

	ret = cdx_inode_load(txn, dir_number, &dir);
	if (!ret)
		ret = cdx_dir_find(txn, dir_number, name, length, &number, &type);
	if (!ret)
		ret = cdx_inode_load(txn, number, &inode);
	if (!ret)
		ret = cdx_dir_remove(txn, &dir, name, length, inode.mode);
	if (!ret)
		ret = cdx_inode_store(txn, &dir);
	if (ret)
		return ret;
	if (S_ISDIR(inode.mode) || inode.nlink <= 1)
		return cdx_inode_remove(txn, &inode);
	ret = cdx_lower32(&inode.nlink, 1);
	if (ret)
		return ret;
	inode.ctime = txn->now;
	return cdx_inode_store(txn, &inode);
}

/* Find the name of directory @number in its parent, by looking at all of them. */
static int name_in_parent(struct cdx_txn *txn, uint64_t parent, uint64_t number, struct cdx_dir_entry *entry)
{
	uint64_t cursor = 0;
	int ret;

	while ((ret = cdx_dir_next(txn, parent, &cursor, entry)) > 0)
		if (entry->inode == number)
			return 0;
	return ret ? ret : -EUCLEAN;
}

/*
 * Empty a directory, depth first and without recursion: go down into the first
 * entry that is a directory with something in it, come back up by the parent
 * field.  A directory whose parent is not where it was found is damage, which
 * also means that this ends.
 */
static int empty_directory(struct cdx_txn *txn, uint64_t top)
{
	uint64_t at = top;
	int ret;

	for (;;) {
		struct cdx_dir_entry entry;
		struct cdx_inode inode;
		uint64_t cursor = 0;

		ret = cdx_dir_next(txn, at, &cursor, &entry);
		if (ret < 0)
			return ret;
		if (ret == 0) {
			if (at == top)
				return 0;
			ret = cdx_inode_load(txn, at, &inode);
			if (!ret)
				ret = name_in_parent(txn, inode.parent, at, &entry);
			if (!ret)
				ret = remove_entry(txn, inode.parent, entry.name, entry.length);
			if (ret)
				return ret;
			at = inode.parent;
			continue;
		}
		ret = cdx_inode_load(txn, entry.inode, &inode);
		if (ret)
			return ret == -ENOENT ? -EUCLEAN : ret;
		if (S_ISDIR(inode.mode) && inode.parent != at)
			return -EUCLEAN;
		if (S_ISDIR(inode.mode) && inode.size) {
			at = inode.number;
			continue;
		}
		ret = remove_entry(txn, at, entry.name, entry.length);
		if (!ret)
			ret = cdx_txn_relieve(txn);
		if (ret)
			return ret;
	}
}

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
	if (S_ISDIR(inode.mode)) {
		if (!recursive)
			return path_error(error, -EISDIR, path);
		ret = empty_directory(txn, inode.number);
	}
	if (!ret)
		ret = remove_entry(txn, place.dir, place.name, place.length);
	return ret ? path_error(error, ret, path) : 0;
}
