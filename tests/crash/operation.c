// SPDX-License-Identifier: GPL-2.0-or-later
#include "operation.h"

#include <errno.h>
#include <stdlib.h>

#include "api/image.h"
#include "media.h"

/* ---- tools ------------------------------------------------------------------------- */

struct cowdax_result operation_result;
struct cowdax_error operation_error;

bool operation_may_fail(int code)
{
	return code == -ENOSPC || code == -ENOENT || code == -EEXIST || code == -EINVAL;
}

void fill_pattern(void *bytes, size_t length, unsigned int salt)
{
	uint64_t random = salt, word;

	for (size_t done = 0; done < length; done += sizeof(word)) {
		word = random_next(&random);
		memcpy((char *)bytes + done, &word,
		       length - done < sizeof(word) ? length - done : sizeof(word));
	}
}

static int write_at(struct cowdax *fs, const char *path, uint64_t offset, size_t length)
{
	unsigned char bytes[8 * BLOCK];
	uint64_t inode;
	int ret = cowdax_lookup(fs, path, &inode, &operation_error);

	if (ret)
		return ret;
	fill_pattern(bytes, length, (unsigned int)offset + 7);
	return cowdax_write(fs, inode, bytes, length, offset, &operation_result, &operation_error);
}

static int truncate_to(struct cowdax *fs, const char *path, uint64_t size)
{
	uint64_t inode;
	int ret = cowdax_lookup(fs, path, &inode, &operation_error);

	return ret ? ret : cowdax_truncate(fs, inode, size, &operation_result, &operation_error);
}

static int fallocate_at(struct cowdax *fs, const char *path, enum cowdax_fallocate_mode mode, uint64_t offset,
			uint64_t length)
{
	uint64_t inode;
	int ret = cowdax_lookup(fs, path, &inode, &operation_error);

	return ret ? ret : cowdax_fallocate(fs, inode, mode, offset, length, false, &operation_result,
						&operation_error);
}

struct source { size_t left; };

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;

	if (length > source->left)
		length = source->left;
	fill_pattern(buffer, length, (unsigned int)source->left);
	source->left -= length;
	return (ssize_t)length;
}

static int write_stream(struct cowdax *fs, const char *path, size_t length, bool append)
{
	struct source source = {length};
	struct cowdax_write_request request = {
		.path = path,
		.append = append,
		.truncate = !append,
		.length = COWDAX_TO_END,
		.source = give,
		.source_arg = &source,
	};

	return cowdax_write_stream(fs, &request, &operation_result, &operation_error);
}

/* Over what is there: a block in each three, between holes. */
static ssize_t give_block(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;
	size_t part = source->left % (3 * BLOCK);

	if (!part)
		return 0;
	part = part < length ? part : length;
	fill_pattern(buffer, part, (unsigned int)source->left);
	source->left -= part;
	return (ssize_t)part;
}

static int64_t pass_blocks(void *arg, uint64_t length)
{
	struct source *source = arg;
	size_t part = source->left % (3 * BLOCK);

	part = !part && source->left ? 2 * BLOCK : part > BLOCK ? part - BLOCK : 0;
	part = part < length ? part : (size_t)length;
	source->left -= part;
	return (int64_t)part;
}

static int write_sparse(struct cowdax *fs, const char *path, uint64_t offset, size_t length)
{
	struct source source = {length};
	struct cowdax_write_request request = {
		.path = path,
		.offset = offset,
		.length = COWDAX_TO_END,
		.source = give_block,
		.hole = pass_blocks,
		.source_arg = &source,
	};

	return cowdax_write_stream(fs, &request, &operation_result, &operation_error);
}

/* As long writes are done, but not long. */
static int write_staged(struct cowdax *fs, const char *path, uint64_t offset, size_t length)
{
	unsigned char bytes[8 * BLOCK];
	uint64_t inode;
	int ret = cowdax_lookup(fs, path, &inode, &operation_error);

	if (ret)
		return ret;
	fill_pattern(bytes, length, (unsigned int)offset + 9);
	cdx_image_enter(fs, &operation_error);
	ret = cdx_image_write_staged(fs, inode, bytes, length, offset, &operation_result,
				     &operation_error);
	return cdx_image_leave(fs, ret, path, &operation_error);
}

/* ---- names ---------------------------------------------------------------------------- */

static int create(struct cowdax *fs)
{
	uint64_t inode;

	return cowdax_create(fs, "/dir/new", 0644, &inode, &operation_error);
}

static int make_directories(struct cowdax *fs)
{
	return cowdax_mkdir(fs, "/dir/sub/x/y", 0755, true, &operation_error);
}

static int remove_file(struct cowdax *fs)
{
	return cowdax_remove(fs, "/dir/file", false, &operation_error);
}

static int remove_directory(struct cowdax *fs)
{
	return cowdax_remove(fs, "/dir", true, &operation_error);
}

/* As if the directory were large: orphans after the first transaction, one entry less after each. */
static int remove_in_pieces(struct cowdax *fs)
{
	int ret = cdx_txn_begin(&fs->txn, &operation_error);

	fs->txn.sparing = true;
	if (!ret)
		ret = cdx_path_remove(&fs->txn, "/dir", true, &operation_error);
	if (!ret)
		ret = cdx_txn_commit(&fs->txn, &operation_error);
	cdx_txn_abort(&fs->txn);
	if (ret)
		return cdx_image_leave(fs, ret, "/dir", &operation_error);
	/* What cannot be done now is not the removal's failure. */
	while (cdx_orphans_wait(&fs->txn) && cdx_orphan_sweep(&fs->txn, 1, NULL) > 0)
		;
	return 0;
}

static int remove_shared_tree(struct cowdax *fs)
{
	return cowdax_remove(fs, "/tree", false, &operation_error);
}

static int remove_own_tree(struct cowdax *fs)
{
	return cowdax_remove(fs, "/own", false, &operation_error);
}

static int remove_splintered(struct cowdax *fs)
{
	return cowdax_remove(fs, "/sieve", false, &operation_error);
}

/* ---- data ------------------------------------------------------------------------------- */

static int write_aligned(struct cowdax *fs)
{
	return write_at(fs, "/small", 0, 2 * BLOCK);
}

static int write_within_block(struct cowdax *fs)
{
	return write_at(fs, "/small", BLOCK + 100, 333);
}

static int write_over_edges(struct cowdax *fs)
{
	return write_at(fs, "/mixed", 1000, 3 * BLOCK);
}

static int write_past_end(struct cowdax *fs)
{
	return write_at(fs, "/small", 4 * BLOCK + 77, 200);
}

static int write_into_clone(struct cowdax *fs)
{
	return write_at(fs, "/tree-clone", 20 * BLOCK + 5, BLOCK);
}

static int write_into_borrower(struct cowdax *fs)
{
	return write_at(fs, "/borrower", 10 * BLOCK + 9, 100);
}

static int write_own_tree(struct cowdax *fs)
{
	return write_at(fs, "/own", 3 * BLOCK + 1, 2 * BLOCK);
}

static int replace_by_stream(struct cowdax *fs)
{
	return write_stream(fs, "/small-clone", BLOCK + 500, false);
}

static int create_by_stream(struct cowdax *fs)
{
	return write_stream(fs, "/streamed", 3 * BLOCK + 1, false);
}

static int append_by_stream(struct cowdax *fs)
{
	return write_stream(fs, "/dir/sub/deep", BLOCK, true);
}

static int write_holes(struct cowdax *fs)
{
	return write_sparse(fs, "/tree-clone", 2 * BLOCK + 50, 9 * BLOCK);
}

static int truncate_down(struct cowdax *fs)
{
	return truncate_to(fs, "/small", BLOCK + 10);
}

static int truncate_up(struct cowdax *fs)
{
	return truncate_to(fs, "/small", 9 * BLOCK + 10);
}

static int truncate_tree(struct cowdax *fs)
{
	return truncate_to(fs, "/tree-clone", 21 * BLOCK + 9);
}

static int truncate_to_nothing(struct cowdax *fs)
{
	return truncate_to(fs, "/tree", 0);
}

static int punch(struct cowdax *fs)
{
	return fallocate_at(fs, "/tree", COWDAX_FALLOCATE_PUNCH, 3 * BLOCK + 50, 20 * BLOCK);
}

static int punch_within_block(struct cowdax *fs)
{
	return fallocate_at(fs, "/small", COWDAX_FALLOCATE_PUNCH, 50, 100);
}

static int zero(struct cowdax *fs)
{
	return fallocate_at(fs, "/mixed", COWDAX_FALLOCATE_ZERO, 50, 3 * BLOCK);
}

static int preallocate(struct cowdax *fs)
{
	return fallocate_at(fs, "/mixed", COWDAX_FALLOCATE_UNWRITTEN, 0, 8 * BLOCK);
}

static int unshare(struct cowdax *fs)
{
	return fallocate_at(fs, "/tree-clone", COWDAX_FALLOCATE_UNSHARE, 4 * BLOCK, 8 * BLOCK);
}

/* ---- cloning ------------------------------------------------------------------------------ */

static int clone_tree(struct cowdax *fs)
{
	return cowdax_clone(fs, "/tree", "/dir/tree", &operation_result, &operation_error);
}

static int clone_over(struct cowdax *fs)
{
	return cowdax_clone(fs, "/small", "/own", &operation_result, &operation_error);
}

static int clone_own_tree(struct cowdax *fs)
{
	return cowdax_clone(fs, "/own", "/own-clone", &operation_result, &operation_error);
}

static int clone_range(struct cowdax *fs)
{
	return cowdax_clone_range(fs, "/tree", 10 * BLOCK, "/mixed", 0, 12 * BLOCK, &operation_result,
				  &operation_error);
}

static int clone_range_within(struct cowdax *fs)
{
	return cowdax_clone_range(fs, "/own", 0, "/own", 4 * BLOCK, 3 * BLOCK, &operation_result,
				  &operation_error);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static int stage(struct cowdax *fs)
{
	return write_staged(fs, "/mixed", 2 * BLOCK + 17, 3 * BLOCK);
}

/* Unwritten blocks of the file's own are stored to where they are, before any commit. */
static int write_preallocated(struct cowdax *fs)
{
	return write_at(fs, "/mixed", 5 * BLOCK + 100, 900);
}

static int stage_preallocated(struct cowdax *fs)
{
	return write_staged(fs, "/mixed", 5 * BLOCK + 10, 2 * BLOCK - 20);
}

static int stage_into_tree(struct cowdax *fs)
{
	return write_staged(fs, "/tree-clone", 7 * BLOCK - 3, 4 * BLOCK);
}

/* A long write that is given up: its lane is emptied, the file as it was. */
static int stage_in_vain(struct cowdax *fs)
{
	unsigned char bytes[2 * BLOCK];
	int ret;

	fill_pattern(bytes, sizeof(bytes), 11);
	ret = cdx_stage_open(&fs->stage, &fs->txn, 0, 0, fs->scratch, &operation_error);
	if (!ret)
		ret = cdx_stage_append(&fs->stage, bytes, sizeof(bytes), &operation_error);
	cdx_stage_close(&fs->stage);
	return ret;
}

/* Many changes, one commit. */
static int batch(struct cowdax *fs)
{
	uint64_t inode;
	int ret = cowdax_begin(fs, &operation_error);

	if (!ret)
		ret = cowdax_create(fs, "/batched", 0600, &inode, &operation_error);
	if (!ret)
		ret = write_at(fs, "/batched", 10, 5000);
	if (!ret)
		ret = cowdax_clone(fs, "/batched", "/dir/batched", &operation_result, &operation_error);
	if (!ret)
		ret = cowdax_remove(fs, "/small", false, &operation_error);
	if (!ret)
		ret = write_at(fs, "/batched", 4000, 200);
	if (!ret)
		return cowdax_commit(fs, &operation_error);
	cowdax_abort(fs);
	return ret;
}

static int abort_batch(struct cowdax *fs)
{
	uint64_t inode;
	int ret = cowdax_begin(fs, &operation_error);

	if (!ret)
		ret = cowdax_create(fs, "/aborted", 0600, &inode, &operation_error);
	if (!ret)
		ret = write_at(fs, "/aborted", 0, 5000);
	cowdax_abort(fs);
	return ret;
}

static int drain(struct cowdax *fs)
{
	bool blocked;

	return cdx_txn_drain_all(&fs->txn, &blocked, &operation_error);
}

/* Only where little is free: each word of it is stored three times, and may be in flight. */
static int trim_zero(struct cowdax *fs)
{
	struct cowdax_trimmed trimmed = {0};
	struct cowdax_info info;
	int ret = cowdax_info(fs, &info, &operation_error);

	if (ret || info.free_blocks > 256)
		return ret;
	return cowdax_trim(fs, true, NULL, NULL, &trimmed, &operation_error);
}

static int unhide(struct cowdax *fs)
{
	return cowdax_unhide(fs, &operation_error);
}

/* ---- mkfs ---------------------------------------------------------------------------------------- */

static int make_again(struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	setup_options(&options);
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int make_anew(struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	setup_options(&options);
	options.seed++;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

/* The former backup is elsewhere, and its new one amid former data. */
static int make_smaller(struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	setup_options(&options);
	options.seed++;
	options.size /= 2;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

const struct operation operations[] = {
	{"create", .run = create},
	{"mkdir", .run = make_directories},
	{"remove-file", .run = remove_file, .chained = true},
	{"remove-directory", .run = remove_directory},
	{"remove-in-pieces", .run = remove_in_pieces, .chained = true},
	{"remove-shared-tree", .run = remove_shared_tree},
	{"remove-own-tree", .run = remove_own_tree, .chained = true},
	{"remove-splintered", .run = remove_splintered},
	{"write-aligned", .run = write_aligned, .chained = true},
	{"write-within-block", .run = write_within_block},
	{"write-over-edges", .run = write_over_edges},
	{"write-past-end", .run = write_past_end},
	{"write-into-clone", .run = write_into_clone},
	{"write-into-borrower", .run = write_into_borrower},
	{"write-own-tree", .run = write_own_tree, .chained = true},
	{"replace-by-stream", .run = replace_by_stream},
	{"create-by-stream", .run = create_by_stream},
	{"append-by-stream", .run = append_by_stream},
	{"write-holes", .run = write_holes},
	{"truncate-down", .run = truncate_down},
	{"truncate-up", .run = truncate_up},
	{"truncate-tree", .run = truncate_tree},
	{"truncate-to-nothing", .run = truncate_to_nothing},
	{"punch", .run = punch},
	{"punch-within-block", .run = punch_within_block},
	{"zero", .run = zero},
	{"preallocate", .run = preallocate},
	{"unshare", .run = unshare},
	{"clone-tree", .run = clone_tree},
	{"clone-over", .run = clone_over},
	{"clone-own-tree", .run = clone_own_tree},
	{"clone-range", .run = clone_range},
	{"clone-range-within", .run = clone_range_within},
	{"stage", .run = stage, .chained = true},
	{"write-preallocated", .run = write_preallocated, .chained = true},
	{"stage-preallocated", .run = stage_preallocated, .chained = true},
	{"stage-into-tree", .run = stage_into_tree},
	{"stage-in-vain", .run = stage_in_vain},
	{"batch", .run = batch},
	{"abort", .run = abort_batch},
	{"drain", .run = drain, .chained = true},
	{"trim-zero", .run = trim_zero},
	{"unhide", .run = unhide},
	{"mkfs-again", .remake = make_again},
	{"mkfs-anew", .remake = make_anew},
	{"mkfs-smaller", .remake = make_smaller},
};
const unsigned int operation_count = sizeof(operations) / sizeof(operations[0]);
