// SPDX-License-Identifier: LGPL-2.1-or-later
/* Long writes: streams, and buffers too large for one short transaction. */
#include "api/image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BUFFER_LENGTH (UINT64_C(4) << 20)

/* A write in progress: where it goes is decided in its last transaction. */
struct stream {
	struct cowdax *fs;
	const struct cowdax_write_request *request;
	struct cowdax_result *result;
	unsigned char *buffer;
	uint64_t offset;		/* of the first byte in the file */
	bool append, truncate;
	uint64_t limit;			/* most bytes to take from the source now */
	uint64_t taken;			/* so far, of limit */
	uint64_t filled;		/* bytes in the buffer */
	bool ended;			/* the source has no more */
	uint64_t inode;			/* its number; 0 while there is no such file */
};

/* ---- the file ------------------------------------------------------------------------- */

static int open_target(struct stream *stream, struct cdx_inode *inode, struct cowdax_error *error)
{
	struct cowdax *fs = stream->fs;
	struct cdx_place place;
	int ret;

	if (!stream->request) {
		ret = cdx_inode_load(&fs->txn, stream->inode, inode);
		return !ret && S_ISDIR(inode->mode) ? -EISDIR : ret;
	}
	ret = cdx_path_walk(&fs->txn, stream->request->path, &place, error);
	if (ret)
		return ret;
	if (place.inode)
		ret = cdx_inode_load(&fs->txn, place.inode, inode);
	else if (stream->request->no_create)
		ret = -ENOENT;
	else
		ret = cdx_place_create(&fs->txn, &place, S_IFREG | 0644, inode);
	if (!ret && (S_ISDIR(inode->mode) || place.want_directory))
		ret = -EISDIR;
	return ret;
}

static int prepare_target(struct stream *stream, struct cdx_inode *inode)
{
	int ret = 0;

	if (stream->truncate)
		ret = cdx_file_truncate(&stream->fs->txn, inode, 0, stream->fs->scratch, stream->result);
	if (!ret && stream->append)
		stream->offset = inode->size;
	return ret ? ret : cdx_file_check_range(stream->offset, 0);
}

/* Whether the write could succeed at all: asked before a long stream is read. */
static int check_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct stream *stream = arg;
	struct cdx_place place;
	struct cdx_inode inode;
	int ret;

	ret = cdx_path_walk(&fs->txn, stream->request->path, &place, error);
	if (ret)
		return ret;
	if (!place.inode) {
		if (!place.dir || stream->request->no_create)
			return -ENOENT;
		inode.size = 0;
		inode.number = 0;
		ret = place.want_directory ? -EISDIR : 0;
	} else {
		ret = cdx_inode_load(&fs->txn, place.inode, &inode);
		if (!ret && (S_ISDIR(inode.mode) || place.want_directory))
			ret = -EISDIR;
	}
	if (!ret && stream->append)
		stream->offset = stream->truncate ? 0 : inode.size;
	stream->inode = inode.number;
	return ret;
}

/* ---- the source -------------------------------------------------------------------------- */

/* Fill the buffer, to a block boundary of the file, from the source. */
static int fill_buffer(struct stream *stream, uint64_t position, struct cowdax_error *error)
{
	uint64_t mask = stream->fs->super.block_size - 1;
	uint64_t room = BUFFER_LENGTH - (position & mask);

	if (room > stream->limit - stream->taken)
		room = stream->limit - stream->taken;
	stream->filled = 0;
	while (stream->filled < room && !stream->ended) {
		ssize_t got = stream->request->source(stream->request->source_arg,
						      stream->buffer + stream->filled,
						      (size_t)(room - stream->filled));

		if (got < 0)
			return cdx_error_errno(error, (int)got, "input");
		stream->ended = got == 0;
		stream->filled += (uint64_t)got;
	}
	stream->taken += stream->filled;
	return cdx_file_check_range(position, stream->filled);
}

static bool more_to_take(const struct stream *stream)
{
	return !stream->ended && stream->taken < stream->limit;
}

/* A source that ends before the length it was promised to have changes nothing. */
static int check_complete(const struct stream *stream, struct cowdax_error *error)
{
	if (!stream->ended || stream->request->length == COWDAX_TO_END || stream->taken == stream->limit)
		return 0;
	return cdx_error(error, -ENODATA, "%s: the input ended after %" PRIu64 " of %" PRIu64 " bytes",
			 stream->request->path, stream->taken, stream->limit);
}

/* ---- short ---------------------------------------------------------------------------------- */

/* What a short write changes of the file must not be under a long one. */
static int check_short(struct stream *stream, uint64_t inode)
{
	if (stream->truncate || stream->append)
		return cdx_image_check_range(stream->fs, inode, 0, COWDAX_TO_END);
	return cdx_image_check_range(stream->fs, inode, stream->offset,
				     more_to_take(stream) ? COWDAX_TO_END : stream->filled);
}

/* All bytes are in the buffer, or, inside an explicit transaction, come as it goes on. */
static int short_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct stream *stream = arg;
	struct cdx_inode inode;
	uint64_t position;
	int ret;

	ret = open_target(stream, &inode, error);
	if (!ret)
		ret = check_short(stream, inode.number);
	if (!ret)
		ret = prepare_target(stream, &inode);
	position = stream->offset;
	while (!ret) {
		ret = cdx_file_check_range(position, stream->filled);
		if (!ret && stream->filled)
			ret = cdx_file_write(&fs->txn, &inode, stream->buffer, stream->filled, position,
					     fs->scratch, stream->result);
		position += stream->filled;
		if (ret || !more_to_take(stream))
			break;
		ret = fill_buffer(stream, position, error);
	}
	if (!ret)
		ret = check_complete(stream, error);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &inode);
	stream->result->inode = inode.number;
	stream->result->offset = stream->offset;
	stream->result->length = stream->result->bytes_written;
	return ret;
}

/* ---- long ------------------------------------------------------------------------------------ */

static int append_staged(struct stream *stream, const void *bytes, uint64_t length,
			 struct cowdax_error *error)
{
	uint64_t before = stream->fs->stage.position;
	int ret = cdx_stage_append(&stream->fs->stage, bytes, length, error);
	uint64_t done = stream->fs->stage.position - before;

	if (ret != -ENOSPC)
		return ret;
	ret = cdx_image_make_room(stream->fs, error);
	if (ret)
		return ret;
	return cdx_stage_append(&stream->fs->stage, (const char *)bytes + done, length - done, error);
}

/* Bytes staged for one alignment and wanted at another: read back and written like a short write. */
static int rewrite_staged(struct cowdax *fs, struct stream *stream, struct cdx_inode *inode);

static int finish_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct stream *stream = arg;
	struct cdx_inode inode;
	int ret;

	ret = open_target(stream, &inode, error);
	if (!ret)
		ret = prepare_target(stream, &inode);
	if (!ret && stream->offset != fs->stage.start)
		ret = rewrite_staged(fs, stream, &inode);
	else if (!ret)
		ret = cdx_stage_finish(&fs->stage, &inode, stream->result);
	if (!ret)
		ret = cdx_inode_store(&fs->txn, &inode);
	stream->result->inode = inode.number;
	stream->result->offset = stream->offset;
	stream->result->length = stream->result->bytes_written;
	return ret;
}

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

/* An append whose file has grown meanwhile.  The lane itself is dropped when the stage is closed. */
static int rewrite_staged(struct cowdax *fs, struct stream *stream, struct cdx_inode *inode)
{
	struct rewriting rewriting = {
		.fs = fs, .inode = inode, .result = stream->result, .position = stream->offset,
	};
	struct cdx_inode staged;
	int ret = cdx_stage_inode(&fs->stage, &staged);

	if (ret)
		return ret;
	return cdx_file_read(&fs->txn, &staged, fs->stage.start, fs->stage.position - fs->stage.start,
			     rewrite_piece, &rewriting);
}

static int finish(struct stream *stream, const char *what, struct cowdax_error *error)
{
	struct cowdax *fs = stream->fs;
	int ret = cdx_image_change(fs, finish_op, stream, stream->result, what, error);

	if (!ret && stream->offset == fs->stage.start)
		fs->stage.nonce = 0;		/* nothing is left in the lane */
	return ret;
}

/* The range of the file, then a lane.  A file that is yet to be made has no range. */
static int begin_long(struct stream *stream, uint64_t length, struct cowdax_error *error)
{
	struct cowdax *fs = stream->fs;
	bool all = stream->truncate || stream->append;
	int ret = 0;

	if (stream->inode)
		ret = cdx_image_lock_range(fs, stream->inode, all ? 0 : stream->offset,
					   all ? COWDAX_TO_END : length, error);
	if (ret)
		return ret;
	ret = cdx_stage_open(&fs->stage, &fs->txn, stream->offset, fs->scratch, error);
	if (ret)
		cdx_range_unlock(&fs->device, &fs->range);
	return ret;
}

static void end_long(struct cowdax *fs)
{
	cdx_stage_close(&fs->stage);
	cdx_range_unlock(&fs->device, &fs->range);
}

static int write_long(struct stream *stream, struct cowdax_error *error)
{
	struct cowdax *fs = stream->fs;
	const char *what = stream->request->path;
	int ret;

	ret = begin_long(stream, stream->request->length, error);
	if (ret)
		return ret;
	for (;;) {
		ret = append_staged(stream, stream->buffer, stream->filled, error);
		if (ret || !more_to_take(stream))
			break;
		ret = fill_buffer(stream, fs->stage.position, error);
		if (ret)
			break;
	}
	if (!ret)
		ret = check_complete(stream, error);
	if (!ret)
		ret = finish(stream, what, error);
	end_long(fs);
	return ret;
}

/* ---- either ------------------------------------------------------------------------------------- */

/* Write up to stream->limit bytes, as one transaction. */
static int write_once(struct stream *stream, struct cowdax_error *error)
{
	struct cowdax *fs = stream->fs;
	bool in_transaction = fs->explicit_txn || (fs->flags & COWDAX_DRY_RUN);
	int ret;

	ret = cdx_image_look(fs, check_op, stream, stream->request->path, error);
	if (!ret)
		ret = fill_buffer(stream, stream->offset, error);
	if (!ret && (in_transaction || !more_to_take(stream)))
		ret = check_complete(stream, error);
	if (ret)
		return ret;
	if (in_transaction || !more_to_take(stream))
		return cdx_image_change(fs, short_op, stream, stream->result, stream->request->path, error);
	return write_long(stream, error);
}

static int write_chunks(struct stream *stream, struct cowdax_error *error)
{
	const struct cowdax_write_request *request = stream->request;
	uint64_t total = 0, length = request->length;
	int ret = 0;

	do {
		stream->limit = request->chunk;
		if (stream->limit > length - total)
			stream->limit = length - total;
		stream->taken = 0;
		ret = write_once(stream, error);
		total += stream->taken;
		/* The next chunk goes behind this one, wherever the file ends by then. */
		stream->offset += stream->taken;
		stream->truncate = false;
		stream->append = false;
	} while (!ret && !stream->ended && total < length);
	return ret;
}

int cowdax_write_stream(struct cowdax *fs, const struct cowdax_write_request *request,
			struct cowdax_result *result, struct cowdax_error *error)
{
	struct cowdax_result own = {0};
	struct stream stream = {
		.fs = fs,
		.request = request,
		.result = result ? result : &own,
		.offset = request->offset,
		.append = request->append,
		.truncate = request->truncate,
		.limit = request->length,
	};
	struct cowdax_result before = *stream.result;
	int ret;

	stream.buffer = malloc(BUFFER_LENGTH);
	if (!stream.buffer)
		return cdx_error_errno(error, -ENOMEM, request->path);
	if (request->chunk)
		ret = write_chunks(&stream, error);
	else
		ret = write_once(&stream, error);
	free(stream.buffer);
	if (ret) {
		fs->failed = fs->failed || fs->explicit_txn;
		*stream.result = before;
		return cdx_image_explain(fs, ret, request->path, error);
	}
	stream.result->length = stream.result->bytes_written;
	stream.result->offset = stream.offset - (request->chunk ? stream.result->bytes_written : 0);
	return 0;
}

int cdx_image_write_staged(struct cowdax *fs, uint64_t inode, const void *bytes, uint64_t length,
			   uint64_t offset, struct cowdax_result *result, struct cowdax_error *error)
{
	struct stream stream = {.fs = fs, .result = result, .offset = offset, .inode = inode};
	int ret;

	fs->subject = inode;
	ret = cdx_image_usable(fs, error);
	if (!ret)
		ret = cdx_file_check_range(offset, length);
	if (ret)
		return cdx_image_explain(fs, ret, NULL, error);
	ret = begin_long(&stream, length, error);
	if (ret)
		return ret;
	ret = append_staged(&stream, bytes, length, error);
	if (!ret)
		ret = finish(&stream, NULL, error);
	end_long(fs);
	if (ret)
		return cdx_image_explain(fs, ret, NULL, error);
	result->offset = offset;
	result->length = length;
	return 0;
}
