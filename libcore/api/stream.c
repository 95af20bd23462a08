// SPDX-License-Identifier: LGPL-2.1-or-later
/* cowdax_write_stream(): a target, a source, and the choice between a short transaction and a long write. */
#include "api/long.h"
#include "api/source.h"

struct stream {
	struct cdx_target target;
	struct cdx_source source;
	struct cowdax_result *result;
};

/* ---- short ---------------------------------------------------------------------------------- */

/* What a short write changes of the file must not be under a long one. */
static int check_short(struct cowdax *fs, const struct stream *stream, uint64_t inode)
{
	const struct cdx_target *target = &stream->target;

	if (target->truncate || target->append)
		return cdx_image_check_range(fs, inode, 0, COWDAX_TO_END);
	return cdx_image_check_range(fs, inode, target->offset,
				     cdx_source_has_more(&stream->source) ? COWDAX_TO_END :
									    stream->source.pending);
}

static int write_runs(struct cowdax *fs, struct stream *stream, struct cdx_inode *inode, uint64_t position)
{
	const unsigned char *bytes = stream->source.buffer;
	int ret = 0;

	for (unsigned int i = 0; i < stream->source.runs && !ret; i++) {
		const struct cdx_source_run *run = &stream->source.run[i];

		if (run->hole) {
			ret = cdx_file_write_hole(&fs->txn, inode, run->length, position, fs->scratch,
						  stream->result);
		} else {
			ret = cdx_file_write(&fs->txn, inode, bytes, run->length, position, fs->scratch,
					     stream->result);
			bytes += run->length;
		}
		position += run->length;
	}
	return ret;
}

/* All bytes are in the buffer, or, inside an explicit transaction, come as it goes on. */
static int write_buffers(struct cowdax *fs, struct stream *stream, struct cdx_inode *inode, uint64_t *end,
			 struct cowdax_error *error)
{
	struct cdx_source *source = &stream->source;
	uint64_t position = stream->target.offset;

	for (;;) {
		int ret = cdx_file_check_range(position, source->pending);

		if (!ret)
			ret = write_runs(fs, stream, inode, position);
		position += source->pending;
		*end = position;
		/* What was all stays in the buffer: the transaction may be tried again. */
		if (ret || !cdx_source_has_more(source))
			return ret;
		cdx_source_empty(source);
		ret = cdx_source_fill(source, position, fs->super.block_size, error);
		if (ret)
			return ret;
	}
}

static int short_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct stream *stream = arg;
	struct cdx_inode inode;
	uint64_t end = 0;
	int ret;

	ret = cdx_target_open(fs, &stream->target, &inode, error);
	if (!ret)
		ret = check_short(fs, stream, inode.number);
	if (!ret)
		ret = cdx_target_prepare(fs, &stream->target, &inode, stream->result);
	if (!ret)
		ret = write_buffers(fs, stream, &inode, &end, error);
	if (!ret)
		ret = cdx_source_check(&stream->source, stream->target.path, error);
	if (!ret && stream->target.inode == inode.number && stream->source.taken)
		cdx_image_claim_promised(fs);
	return ret ? ret : cdx_target_store(fs, &stream->target, &inode, end, stream->result);
}

/* ---- long ------------------------------------------------------------------------------------ */

/* All runs but the last @left bytes. */
static int stage_runs(struct cowdax *fs, const struct cdx_source *source, uint64_t left,
		      struct cowdax_error *error)
{
	const unsigned char *bytes = source->buffer;

	for (unsigned int i = 0; i < source->runs; i++) {
		const struct cdx_source_run *run = &source->run[i];
		uint64_t part = run->length - (i + 1 == source->runs ? left : 0);
		int ret;

		if (run->hole) {
			cdx_stage_pass(&fs->stage, part);
			continue;
		}
		ret = cdx_long_append(fs, bytes, part, error);
		if (ret)
			return ret;
		bytes += part;
	}
	return 0;
}

/* All but the last piece ends where a block does: what is behind that stays in the buffer. */
static int stage_all(struct cowdax *fs, struct cdx_source *source, struct cowdax_error *error)
{
	for (;;) {
		uint64_t end = fs->stage.position + source->pending, left = 0;
		int ret;

		if (cdx_source_has_more(source))
			left = end & (fs->super.block_size - 1);
		ret = stage_runs(fs, source, left, error);
		if (ret)
			return ret;
		cdx_source_used(source, left);
		if (!source->runs && !cdx_source_has_more(source))
			return 0;
		ret = cdx_source_fill(source, fs->stage.position, fs->super.block_size, error);
		if (ret)
			return ret;
	}
}

static int write_long(struct cowdax *fs, struct stream *stream, struct cowdax_error *error)
{
	struct cdx_source *source = &stream->source;
	int ret = cdx_long_begin(fs, &stream->target, source->exact ? source->limit : COWDAX_TO_END, error);

	if (ret)
		return ret;
	ret = stage_all(fs, source, error);
	if (!ret)
		ret = cdx_source_check(source, stream->target.path, error);
	if (!ret)
		ret = cdx_long_finish(fs, &stream->target, stream->result, error);
	cdx_long_end(fs);
	return ret;
}

/* ---- either ------------------------------------------------------------------------------------- */

static int look_op(struct cowdax *fs, void *arg, struct cowdax_error *error)
{
	struct stream *stream = arg;

	return cdx_target_look(fs, &stream->target, error);
}

/* Write up to source->limit bytes, or source->quota, as one transaction. */
static int write_once(struct cowdax *fs, struct stream *stream, struct cowdax_error *error)
{
	struct cdx_source *source = &stream->source;
	const char *path = stream->target.path;
	bool in_short;
	int ret;

	/* Whether the write could succeed at all is asked before a long stream is read. */
	cdx_source_empty(source);
	ret = cdx_image_look(fs, look_op, stream, path, error);
	if (!ret)
		ret = cdx_source_fill(source, stream->target.offset, fs->super.block_size, error);
	if (ret)
		return ret;
	in_short = fs->explicit_txn || (fs->flags & COWDAX_DRY_RUN) || !cdx_source_has_more(source);
	if (!in_short)
		return write_long(fs, stream, error);
	ret = cdx_source_check(source, path, error);
	return ret ? ret : cdx_image_change(fs, short_op, stream, stream->result, path, error);
}

static int write_chunks(struct cowdax *fs, struct stream *stream, uint64_t length, struct cowdax_error *error)
{
	struct cdx_source *source = &stream->source;
	bool commits = !fs->explicit_txn && !(fs->flags & COWDAX_DRY_RUN);
	uint64_t total = 0;
	int ret;

	do {
		source->limit = length - total;
		source->taken = source->given = 0;
		ret = write_once(fs, stream, error);
		total += source->taken;
		if (!ret && commits)
			stream->result->bytes_committed = total;
		/* The next chunk goes behind this one, wherever the file ends by then. */
		stream->target.offset += source->taken;
		stream->target.truncate = false;
		stream->target.append = false;
	} while (!ret && !source->ended && total < length);
	return ret;
}

static int write_stream(struct cowdax *fs, struct stream *stream, const struct cowdax_write_request *request,
			struct cowdax_error *error)
{
	int ret = cdx_image_writable(fs, error);

	if (!ret)
		ret = cdx_source_init(&stream->source, request);
	if (ret)
		return ret;
	if (request->chunk)
		ret = write_chunks(fs, stream, request->length, error);
	else
		ret = write_once(fs, stream, error);
	cdx_source_exit(&stream->source);
	fs->failed = fs->failed || (ret && fs->explicit_txn);
	return ret;
}

int cowdax_write_stream(struct cowdax *fs, const struct cowdax_write_request *request,
			struct cowdax_result *result, struct cowdax_error *error)
{
	struct cowdax_result own = {0}, before;
	struct stream stream = {
		.target = {
			.path = request->path,
			.start = request->offset,
			.offset = request->offset,
			.append = request->append,
			.truncate = request->truncate,
			.no_create = request->no_create,
		},
		.result = result ? result : &own,
	};
	int ret;

	before = *stream.result;
	cdx_image_enter(fs, error);
	ret = write_stream(fs, &stream, request, error);
	if (ret) {
		before.bytes_committed = stream.result->bytes_committed;
		*stream.result = before;
	}
	return cdx_image_leave(fs, ret, request->path, error);
}
