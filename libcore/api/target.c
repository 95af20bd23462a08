// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finds the file of a write anew in each transaction, as R7 asks, and places the write in it. */
#include "api/target.h"

#include <sys/stat.h>

int cdx_target_look(struct cowdax *fs, struct cdx_target *target, struct cowdax_error *error)
{
	struct cdx_inode inode = {0};
	struct cdx_place place;
	int ret;

	ret = cdx_path_walk(&fs->txn, target->path, &place, error);
	if (ret)
		return ret;
	if (!place.inode && (!place.dir || target->no_create))
		return -ENOENT;
	if (place.inode)
		ret = cdx_inode_load(&fs->txn, place.inode, &inode);
	if (!ret && (S_ISDIR(inode.mode) || place.want_directory))
		ret = -EISDIR;
	if (!ret && target->append)
		target->offset = target->truncate ? 0 : inode.size;
	target->inode = inode.number;
	return ret;
}

int cdx_target_open(struct cowdax *fs, const struct cdx_target *target, struct cdx_inode *inode,
		    struct cowdax_error *error)
{
	struct cdx_place place;
	int ret;

	if (!target->path) {
		ret = cdx_inode_load(&fs->txn, target->inode, inode);
		return !ret && S_ISDIR(inode->mode) ? -EISDIR : ret;
	}
	ret = cdx_path_walk(&fs->txn, target->path, &place, error);
	if (ret)
		return ret;
	if (place.inode)
		ret = cdx_inode_load(&fs->txn, place.inode, inode);
	else if (target->no_create)
		ret = -ENOENT;
	else
		ret = cdx_place_create(&fs->txn, &place, S_IFREG | 0644, inode, error);
	if (!ret && (S_ISDIR(inode->mode) || place.want_directory))
		ret = -EISDIR;
	return ret;
}

int cdx_target_prepare(struct cowdax *fs, struct cdx_target *target, struct cdx_inode *inode,
		       struct cowdax_result *result)
{
	int ret = 0;

	if (target->truncate)
		ret = cdx_file_truncate(&fs->txn, inode, 0, fs->scratch, result);
	if (!ret && target->append)
		target->start = target->offset = inode->size;
	return ret ? ret : cdx_file_check_range(target->offset, 0);
}

int cdx_target_store(struct cowdax *fs, const struct cdx_target *target, const struct cdx_inode *inode,
		     uint64_t end, struct cowdax_result *result)
{
	int ret = cdx_inode_store(&fs->txn, inode);

	result->inode = inode->number;
	result->offset = target->start;
	result->length = end - target->start;
	return ret;
}
