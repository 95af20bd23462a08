// SPDX-License-Identifier: LGPL-2.1-or-later
/* The public functions on names: each an operation that image.c runs. */
#include "api/image.h"

#include <sys/stat.h>

struct name_args {
	const char *path;
	uint64_t inode;
	mode_t mode;
	bool flag;			/* parents, recursive */
	struct cowdax_stat *st;
	cowdax_list_fn *fn;
	void *arg;
};

static int lookup_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct name_args *args = arg;
	struct cdx_inode inode;
	int ret = cdx_path_inode(&fs->txn, args->path, &inode, error);

	if (!ret)
		args->inode = inode.number;
	return ret;
}

int cowdax_lookup(struct cowdax *fs, const char *path, uint64_t *inode, struct cowdax_error *error)
{
	struct name_args args = {.path = path};
	int ret = cdx_image_look(fs, lookup_op, &args, path, error);

	if (ret)
		return ret;
	cdx_image_remember(fs, path, args.inode);
	*inode = args.inode;
	return 0;
}

static int create_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct name_args *args = arg;
	struct cdx_place place;
	struct cdx_inode inode;
	int ret;

	ret = cdx_path_walk(&fs->txn, args->path, &place, error);
	if (ret)
		return ret;
	if (place.inode)
		return -EEXIST;
	ret = cdx_place_create(&fs->txn, &place, S_IFREG | (args->mode & 07777), &inode, error);
	if (!ret)
		args->inode = inode.number;
	return ret;
}

int cowdax_create(struct cowdax *fs, const char *path, mode_t mode, uint64_t *inode,
		  struct cowdax_error *error)
{
	struct name_args args = {.path = path, .mode = mode};
	int ret = cdx_image_change(fs, create_op, &args, NULL, path, error);

	if (ret)
		return ret;
	cdx_image_remember(fs, path, args.inode);
	*inode = args.inode;
	return 0;
}

static int mkdir_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct name_args *args = arg;

	return cdx_path_mkdir(&fs->txn, args->path, args->mode, args->flag, error);
}

int cowdax_mkdir(struct cowdax *fs, const char *path, mode_t mode, bool parents, struct cowdax_error *error)
{
	struct name_args args = {.path = path, .mode = mode, .flag = parents};

	return cdx_image_change(fs, mkdir_op, &args, NULL, path, error);
}

static int remove_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct name_args *args = arg;

	return cdx_path_remove(&fs->txn, args->path, args->flag, error);
}

int cowdax_remove(struct cowdax *fs, const char *path, bool recursive, struct cowdax_error *error)
{
	struct name_args args = {.path = path, .flag = recursive};
	int ret = cdx_image_change(fs, remove_op, &args, NULL, path, error);

	/* In a transaction of the caller's the orphans wait for its commit. */
	return ret || fs->explicit_txn ? ret : cdx_image_tidy(fs, path, error);
}

/* ---- looking -------------------------------------------------------------------------- */

static int stat_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct name_args *args = arg;
	struct cdx_inode inode;
	uint64_t blocks = 0, shared = 0;
	int ret;

	(void)error;
	ret = cdx_inode_load(&fs->txn, args->inode, &inode);
	if (!ret && args->flag && S_ISREG(inode.mode))
		ret = cdx_file_count(&fs->txn, &inode, &blocks, &shared);
	if (ret)
		return ret;
	*args->st = (struct cowdax_stat){
		.inode = inode.number,
		.mode = inode.mode,
		.uid = inode.uid,
		.gid = inode.gid,
		.nlink = inode.nlink,
		.size = inode.size,
		.blocks = blocks,
		.shared_blocks = shared,
		.atime = inode.atime,
		.mtime = inode.mtime,
		.ctime = inode.ctime,
		.btime = inode.btime,
	};
	return 0;
}

int cowdax_stat(struct cowdax *fs, uint64_t inode, struct cowdax_stat *st, struct cowdax_error *error)
{
	struct name_args args = {.inode = inode, .st = st};

	fs->subject = inode;
	return cdx_image_look(fs, stat_op, &args, NULL, error);
}

int cowdax_stat_blocks(struct cowdax *fs, uint64_t inode, struct cowdax_stat *st, struct cowdax_error *error)
{
	struct name_args args = {.inode = inode, .st = st, .flag = true};

	fs->subject = inode;
	return cdx_image_look(fs, stat_op, &args, NULL, error);
}

static int list_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct name_args *args = arg;
	struct cdx_dir_entry entry;
	struct cdx_inode inode;
	uint64_t cursor = 0;
	int ret;

	(void)error;
	ret = cdx_inode_load(&fs->txn, args->inode, &inode);
	if (!ret && !S_ISDIR(inode.mode))
		ret = -ENOTDIR;
	if (ret)
		return ret;
	while ((ret = cdx_dir_next(&fs->txn, args->inode, &cursor, &entry)) > 0) {
		struct cowdax_dirent dirent = {entry.inode, entry.type, entry.name, entry.length};

		ret = args->fn(args->arg, &dirent);
		if (ret)
			return ret;
	}
	return ret;
}

int cowdax_list(struct cowdax *fs, uint64_t inode, cowdax_list_fn *fn, void *arg, struct cowdax_error *error)
{
	struct name_args args = {.inode = inode, .fn = fn, .arg = arg};

	fs->subject = inode;
	return cdx_image_look(fs, list_op, &args, NULL, error);
}
