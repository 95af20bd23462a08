// SPDX-License-Identifier: LGPL-2.1-or-later
/* Long writes (FORMAT 10, ARCHITECTURE 5): range lock, lane, staging, and the transaction that maps it all. */
#include "api/long.h"

/* Lock from the offset on, and take a lane.  A file that is yet to be made has no range. */
static int begin_at(struct cowdax *fs, const struct cdx_target *target, uint64_t length,
		    struct cowdax_error *error)
{
	int ret = 0;

	if (target->inode)
		ret = cdx_image_lock_range(fs, target->inode, target->truncate ? 0 : target->offset,
					   target->truncate ? COWDAX_TO_END : length, error);
	if (ret)
		return ret;
	ret = cdx_stage_open(&fs->stage, &fs->txn, target->inode, target->offset, fs->scratch, error);
	if (ret)
		cdx_range_unlock(&fs->device, &fs->range);
	return ret;
}

/* Where the file ends, while others can see that something is staged: from here on they ask for ranges. */
static int mark_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct cdx_target *target = arg;
	struct cdx_inode inode;
	int ret = cdx_inode_load(&fs->txn, target->inode, &inode);

	(void)error;
	if (ret)
		return ret;
	target->offset = inode.size;
	fs->stage.nonce = 0;
	return cdx_stage_mark(&fs->stage);
}

/*
 * The end of the file is known only to whoever has the range behind it: lock from where
 * it was seen last, look again, and begin anew when the file has become shorter.
 */
static int begin_append(struct cowdax *fs, struct cdx_target *target, struct cowdax_error *error)
{
	for (;;) {
		uint64_t from = target->offset;
		int ret = begin_at(fs, target, COWDAX_TO_END, error);

		if (ret)
			return ret;
		ret = cdx_image_change(fs, mark_op, target, NULL, target->path, error);
		if (!ret && target->offset >= from) {
			fs->stage.start = fs->stage.position = target->offset;
			return 0;
		}
		if (ret)
			fs->stage.nonce = 0;
		cdx_long_end(fs);
		if (ret == -ENOENT)
			break;
		if (ret)
			return ret;
	}
	/* Removed meanwhile: the last transaction makes it anew, or says that it is not there. */
	cdx_error_begin(error);
	target->inode = 0;
	target->offset = 0;
	return begin_at(fs, target, COWDAX_TO_END, error);
}

int cdx_long_begin(struct cowdax *fs, struct cdx_target *target, uint64_t length, struct cowdax_error *error)
{
	if (target->append && !target->truncate && target->inode)
		return begin_append(fs, target, error);
	return begin_at(fs, target, length, error);
}

int cdx_long_append(struct cowdax *fs, const void *bytes, uint64_t length, struct cowdax_error *error)
{
	uint64_t before = fs->stage.position, done;
	int ret = cdx_stage_append(&fs->stage, bytes, length, error);

	if (ret != -ENOSPC)
		return ret;
	done = fs->stage.position - before;
	ret = cdx_image_make_room(fs, error);
	return ret ? ret : cdx_stage_append(&fs->stage, (const char *)bytes + done, length - done, error);
}

/* ---- finishing ------------------------------------------------------------------------- */

struct rewriting {
	struct cowdax *fs;
	struct cdx_inode *inode;
	struct cowdax_result *result;
	uint64_t position;
};

static int rewrite_piece(void *arg, const void *bytes, size_t length)
{
	struct rewriting *rewriting = arg;
	int ret = cdx_file_write(&rewriting->fs->txn, rewriting->inode, bytes, length, rewriting->position,
				 rewriting->fs->scratch, rewriting->result);

	rewriting->position += length;
	return ret;
}

static int rewrite_part(struct rewriting *rewriting, struct cdx_inode *staged, const struct cowdax_iomap *map,
			uint64_t offset, uint64_t length)
{
	struct cowdax *fs = rewriting->fs;
	int ret;

	if (map->type != COWDAX_HOLE)
		return cdx_file_read(&fs->txn, staged, offset, length, rewrite_piece, rewriting);
	ret = cdx_file_write_hole(&fs->txn, rewriting->inode, length, rewriting->position, fs->scratch,
				  rewriting->result);
	rewriting->position += length;
	return ret;
}

/*
 * Bytes staged for one place and wanted at another (an append whose file has grown
 * meanwhile): read back and written like a short write.  The lane itself is dropped
 * when the stage is closed.
 */
static int rewrite_staged(struct cowdax *fs, const struct cdx_target *target, struct cdx_inode *inode,
			  struct cowdax_result *result)
{
	struct rewriting rewriting = {
		.fs = fs, .inode = inode, .result = result, .position = target->offset,
	};
	uint64_t at = fs->stage.start, end = fs->stage.position;
	struct cdx_inode staged;
	int ret = cdx_stage_inode(&fs->stage, &staged);

	while (!ret && at < end) {
		struct cowdax_iomap map;
		uint64_t part;

		ret = cdx_iomap_lookup(&fs->txn, &staged, at, end, false, &map);
		if (ret)
			break;
		part = (cdx_iomap_end(&map) < end ? cdx_iomap_end(&map) : end) - at;
		ret = rewrite_part(&rewriting, &staged, &map, at, part);
		at += part;
	}
	return ret;
}

struct finishing {
	struct cdx_target *target;
	struct cowdax_result *result;
};

static int finish_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct finishing *finishing = arg;
	struct cdx_target *target = finishing->target;
	struct cowdax_result *result = finishing->result;
	struct cdx_inode inode;
	int ret;

	ret = cdx_target_open(fs, target, &inode, error);
	if (!ret)
		ret = cdx_target_prepare(fs, target, &inode, result);
	if (!ret && target->offset != fs->stage.start)
		ret = rewrite_staged(fs, target, &inode, result);
	else if (!ret)
		ret = cdx_stage_finish(&fs->stage, &inode, result);
	return ret ? ret : cdx_target_store(fs, target, &inode,
					    target->offset + (fs->stage.position - fs->stage.start), result);
}

int cdx_long_finish(struct cowdax *fs, struct cdx_target *target, struct cowdax_result *result,
		    struct cowdax_error *error)
{
	struct finishing finishing = {target, result};
	int ret = cdx_image_change(fs, finish_op, &finishing, result, target->path, error);

	if (!ret && target->offset == fs->stage.start)
		fs->stage.nonce = 0;		/* nothing is left in the lane */
	return ret;
}

void cdx_long_end(struct cowdax *fs)
{
	cdx_stage_close(&fs->stage);
	cdx_range_unlock(&fs->device, &fs->range);
}

/* ---- bytes in memory ---------------------------------------------------------------------- */

int cdx_image_write_staged(struct cowdax *fs, uint64_t inode, const void *bytes, uint64_t length,
			   uint64_t offset, struct cowdax_result *result, struct cowdax_error *error)
{
	struct cdx_target target = {.inode = inode, .start = offset, .offset = offset};
	int ret;

	ret = cdx_image_writable(fs, error);
	if (!ret)
		ret = cdx_file_check_range(offset, length);
	if (!ret)
		ret = cdx_long_begin(fs, &target, length, error);
	if (ret)
		return ret;
	ret = cdx_long_append(fs, bytes, length, error);
	if (!ret)
		ret = cdx_long_finish(fs, &target, result, error);
	cdx_long_end(fs);
	return ret;
}
