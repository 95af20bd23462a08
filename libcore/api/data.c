// SPDX-License-Identifier: LGPL-2.1-or-later
/* The public functions on files' data, but for streams (stream.c). */
#include "api/image.h"

#include <stdlib.h>
#include <sys/stat.h>

struct data_args {
	uint64_t inode;
	const char *src, *dst;			/* paths */
	const void *bytes;
	uint64_t offset, src_offset, length;
	enum cowdax_fallocate_mode mode;
	bool keep_size;
	struct cowdax_result *result;
	cowdax_sink_fn *sink;
	bool mapped;				/* it takes bytes where they lie */
	cowdax_map_fn *map;
	void *arg;
};

/* A result to count in when the caller wants none. */
static struct cowdax_result *or_own(struct cowdax_result *result, struct cowdax_result *own)
{
	return result ? result : own;
}

static int load_file(struct cowdax *fs, uint64_t number, struct cdx_inode *inode)
{
	int ret = cdx_inode_load(&fs->txn, number, inode);

	if (ret)
		return ret;
	return S_ISDIR(inode->mode) ? -EISDIR : 0;
}

/* ---- changing ------------------------------------------------------------------------- */

static int write_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode inode;
	int ret;

	(void)error;
	ret = cdx_file_check_range(args->offset, args->length);
	if (!ret)
		ret = load_file(fs, args->inode, &inode);
	if (!ret)
		ret = cdx_image_check_range(fs, args->inode, args->offset, args->length);
	if (!ret)
		ret = cdx_file_write(&fs->txn, &inode, args->bytes, args->length, args->offset, fs->scratch,
				     args->result);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &inode);
	cdx_image_claim_promised(fs);
	args->result->inode = args->inode;
	args->result->offset = args->offset;
	args->result->length = args->length;
	return ret;
}

int cowdax_write(struct cowdax *fs, uint64_t inode, const void *buffer, size_t length, uint64_t offset,
		 struct cowdax_result *result, struct cowdax_error *error)
{
	struct cowdax_result own = {0};
	struct data_args args = {
		.inode = inode, .bytes = buffer, .length = length, .offset = offset,
		.result = or_own(result, &own),
	};

	int ret;

	fs->subject = inode;
	if (length <= CDX_IMAGE_LONG || cdx_txn_is_open(&fs->txn) || fs->flags & COWDAX_DRY_RUN)
		return cdx_image_change(fs, write_op, &args, args.result, NULL, error);
	cdx_image_enter(fs, error);
	ret = cdx_image_write_staged(fs, inode, buffer, length, offset, args.result, error);
	return cdx_image_leave(fs, ret, NULL, error);
}

static int truncate_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode inode;
	int ret;

	(void)error;
	ret = cdx_file_check_range(args->length, 0);
	if (!ret)
		ret = load_file(fs, args->inode, &inode);
	if (!ret)
		ret = cdx_image_check_range(fs, args->inode, 0, COWDAX_TO_END);
	if (!ret)
		fs->txn.claim = args->length < inode.size ? CDX_CLAIM_KEPT : CDX_CLAIM_AVAILABLE;
	if (!ret)
		ret = cdx_file_truncate(&fs->txn, &inode, args->length, fs->scratch, args->result);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &inode);
	args->result->inode = args->inode;
	args->result->length = args->length;
	return ret;
}

/* A change that takes away what lies from @from to @to: it always works (R17). */
static int change_for_less(struct cowdax *fs, cdx_image_op *op, struct data_args *args, uint64_t from,
			   uint64_t to, struct cowdax_error *error)
{
	unsigned int shift = fs->super.block_shift;
	int ret = cdx_image_change(fs, op, args, args->result, NULL, error);

	if (ret != -ENOSPC || cdx_image_own(fs, args->inode, from >> shift, to >> shift, NULL) <= 0)
		return ret;
	return cdx_image_change(fs, op, args, args->result, NULL, error);
}

int cowdax_truncate(struct cowdax *fs, uint64_t inode, uint64_t size, struct cowdax_result *result,
		    struct cowdax_error *error)
{
	struct cowdax_result own = {0};
	struct data_args args = {.inode = inode, .length = size, .result = or_own(result, &own)};

	fs->subject = inode;
	return change_for_less(fs, truncate_op, &args, size, size, error);
}

static int fallocate_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode inode;
	int ret;

	(void)error;
	fs->txn.claim = args->mode == COWDAX_FALLOCATE_PUNCH ? CDX_CLAIM_KEPT : CDX_CLAIM_AVAILABLE;
	ret = args->length ? cdx_file_check_range(args->offset, args->length) : -EINVAL;
	if (!ret)
		ret = load_file(fs, args->inode, &inode);
	if (!ret)
		ret = cdx_image_check_range(fs, args->inode, args->offset, args->length);
	if (!ret)
		ret = cdx_file_fallocate(&fs->txn, &inode, args->mode, args->offset, args->length,
					 args->keep_size, fs->scratch, args->result);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &inode);
	if (args->mode == COWDAX_FALLOCATE_ZERO || args->mode == COWDAX_FALLOCATE_UNWRITTEN)
		cdx_image_claim_promised(fs);
	args->result->inode = args->inode;
	args->result->offset = args->offset;
	args->result->length = args->length;
	return ret;
}

int cowdax_fallocate(struct cowdax *fs, uint64_t inode, enum cowdax_fallocate_mode mode, uint64_t offset,
		     uint64_t length, bool keep_size, struct cowdax_result *result,
		     struct cowdax_error *error)
{
	struct cowdax_result own = {0};
	struct data_args args = {
		.inode = inode, .mode = mode, .offset = offset, .length = length, .keep_size = keep_size,
		.result = or_own(result, &own),
	};

	fs->subject = inode;
	if (mode == COWDAX_FALLOCATE_PUNCH)
		return change_for_less(fs, fallocate_op, &args, offset, offset + length, error);
	return cdx_image_change(fs, fallocate_op, &args, args.result, NULL, error);
}

/* ---- cloning ----------------------------------------------------------------------------- */

/* The file at @path, created with @mode when it is missing. */
static int open_or_create(struct cowdax *fs, const char *path, uint32_t mode, struct cdx_inode *inode,
			  struct cowdax_error *error)
{
	struct cdx_place place;
	int ret;

	ret = cdx_path_walk(&fs->txn, path, &place, error);
	if (ret)
		return ret;
	if (!place.inode)
		ret = cdx_place_create(&fs->txn, &place, S_IFREG | (mode & 07777), inode, error);
	else if (place.want_directory)
		ret = -EISDIR;
	else
		ret = load_file(fs, place.inode, inode);
	return ret ? cdx_error_errno(error, ret, path) : 0;
}

static int load_source(struct cowdax *fs, const char *path, struct cdx_inode *inode,
		       struct cowdax_error *error)
{
	int ret = cdx_path_inode(&fs->txn, path, inode, error);

	if (!ret && S_ISDIR(inode->mode))
		ret = cdx_error_errno(error, -EISDIR, path);
	return ret;
}

static int clone_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode from, to;
	int ret;

	ret = load_source(fs, args->src, &from, error);
	if (!ret)
		ret = open_or_create(fs, args->dst, from.mode, &to, error);
	if (ret)
		return ret;
	if (from.number == to.number)
		return cdx_error(error, -EINVAL, "%s: cannot be cloned onto itself", args->dst);
	ret = cdx_image_check_range(fs, to.number, 0, COWDAX_TO_END);
	if (!ret)
		ret = cdx_file_clone(&fs->txn, &to, &from, args->result);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &to);
	/* A dirty tree was written out to be shared: the source must know where. */
	if (!ret && from.extents.layout == CDX_LAYOUT_TREE)
		ret = cdx_inode_store(&fs->txn, &from);
	args->result->inode = to.number;
	args->result->length = from.size;
	return ret;
}

int cowdax_clone(struct cowdax *fs, const char *src_path, const char *dst_path,
		 struct cowdax_result *result, struct cowdax_error *error)
{
	struct cowdax_result own = {0};
	struct data_args args = {.src = src_path, .dst = dst_path, .result = or_own(result, &own)};

	return cdx_image_change(fs, clone_op, &args, args.result, src_path, error);
}

static int clone_range_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode from, to, *source = &from;
	uint64_t length = args->length;
	int ret;

	ret = load_source(fs, args->src, &from, error);
	if (!ret)
		ret = open_or_create(fs, args->dst, from.mode, &to, error);
	if (ret)
		return ret;
	if (from.number == to.number)
		source = &to;
	if ((length == COWDAX_TO_END || length == 0) && args->src_offset <= from.size)
		length = from.size - args->src_offset;
	ret = cdx_image_check_range(fs, to.number, args->offset, COWDAX_TO_END);
	if (!ret)
		ret = cdx_file_clone_range(&fs->txn, &to, args->offset, source, args->src_offset, length,
					   args->result);
	if (ret == -EINVAL)
		return cdx_error(error, ret,
				 "%s: offsets and length must be multiples of the block size (%u) inside %s, "
				 "or end at its end at or past the end of %s, and must not overlap",
				 args->src, fs->super.block_size, args->src, args->dst);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &to);
	args->result->inode = to.number;
	args->result->offset = args->offset;
	args->result->length = length;
	return ret;
}

int cowdax_clone_range(struct cowdax *fs, const char *src_path, uint64_t src_offset, const char *dst_path,
		       uint64_t dst_offset, uint64_t length, struct cowdax_result *result,
		       struct cowdax_error *error)
{
	struct cowdax_result own = {0};
	struct data_args args = {
		.src = src_path, .src_offset = src_offset, .dst = dst_path, .offset = dst_offset,
		.length = length, .result = or_own(result, &own),
	};

	return cdx_image_change(fs, clone_range_op, &args, args.result, src_path, error);
}

/* ---- looking -------------------------------------------------------------------------------- */

static int read_to_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode inode;
	int ret = load_file(fs, args->inode, &inode);

	(void)error;
	if (ret)
		return ret;
	return (args->mapped ? cdx_file_read_mapped : cdx_file_read)(&fs->txn, &inode, args->offset, args->length,
								      args->sink, args->arg);
}

static int read_to(struct cowdax *fs, struct data_args *args, struct cowdax_error *error)
{
	fs->subject = args->inode;
	return cdx_image_look(fs, read_to_op, args, NULL, error);
}

int cowdax_read_to(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, cowdax_sink_fn *sink,
		   void *arg, struct cowdax_error *error)
{
	struct data_args args = {
		.inode = inode, .offset = offset, .length = length, .sink = sink, .arg = arg,
	};

	return read_to(fs, &args, error);
}

int cowdax_read_through(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length,
			cowdax_sink_fn *sink, void *arg, struct cowdax_error *error)
{
	struct data_args args = {
		.inode = inode, .offset = offset, .length = length, .sink = sink, .mapped = true, .arg = arg,
	};

	return read_to(fs, &args, error);
}

struct filling { unsigned char *at; size_t done; };

static int fill(void *arg, const void *bytes, size_t length)
{
	struct filling *filling = arg;

	int ret = cdx_pmem_fetch(filling->at + filling->done, bytes, length);

	filling->done += length;
	return ret;
}

ssize_t cowdax_read(struct cowdax *fs, uint64_t inode, void *buffer, size_t length, uint64_t offset,
		    struct cowdax_error *error)
{
	struct filling filling = {.at = buffer};
	int ret = cowdax_read_through(fs, inode, offset, length, fill, &filling, error);

	return ret ? ret : (ssize_t)filling.done;
}

static int map_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct data_args *args = arg;
	struct cdx_inode inode;
	int ret = load_file(fs, args->inode, &inode);

	(void)error;
	return ret ? ret : cdx_file_map(&fs->txn, &inode, args->offset, args->length, args->map, args->arg);
}

int cowdax_map(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, cowdax_map_fn *fn,
	       void *arg, struct cowdax_error *error)
{
	struct data_args args = {
		.inode = inode, .offset = offset, .length = length, .map = fn, .arg = arg,
	};

	fs->subject = inode;
	return cdx_image_look(fs, map_op, &args, NULL, error);
}
