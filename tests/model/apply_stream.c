// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes that come from a stream, with all that can happen while it is read. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "world.h"

/* The runs of a sparse source, bytes and holes in turn; of any other: one. */
struct runs {
	struct random random;
	const struct op *op;
	uint64_t from, to;		/* this one */
	bool hole;
};

struct source {
	struct world *world;
	const struct op *op;
	struct random random;
	struct runs runs;
	uint64_t given;			/* so far */
	bool interrupted;
};

static struct runs first_run(const struct op *op)
{
	struct runs runs = {.random = {op->seed + 2}, .op = op, .to = op->given};

	if (op->sparse) {
		runs.to = 0;
		runs.hole = random_one_in(&runs.random, 2);
	}
	return runs;
}

/* False at the end of the source. */
static bool next_run(struct runs *runs)
{
	const struct op *op = runs->op;
	uint64_t most = random_one_in(&runs->random, 3) ? op->given / 2 : op->given / 20;

	if (runs->to == op->given)
		return false;
	runs->from = runs->to;
	runs->to += 1 + random_below(&runs->random, most);
	if (random_one_in(&runs->random, 3))
		runs->to = (runs->to | 4095) + 1;
	if (runs->to > op->given)
		runs->to = op->given;
	runs->hole = !runs->hole;
	return true;
}

/* The run that the next byte is of. */
static bool at_hole(struct source *source)
{
	while (source->given == source->runs.to && next_run(&source->runs))
		;
	return source->runs.hole && source->given < source->runs.to;
}

static int64_t pass(void *arg, uint64_t length)
{
	struct source *source = arg;
	uint64_t part;

	if (!at_hole(source))
		return 0;
	part = source->runs.to - source->given;
	if (part > length)
		part = length;
	if (random_one_in(&source->random, 4))
		part = 1 + random_below(&source->random, part);
	source->given += part;
	return (int64_t)part;
}

/* Through the other handle, which no transaction keeps out while a source is being read. */
static int interlope(struct world *world, const struct op *op)
{
	const struct entry *file = model_find(world->model, op->path);
	struct cowdax *other = world->handle[!op->handle];
	struct cowdax_error error = {0};
	unsigned char bytes[100];
	uint64_t inode;
	int ret;

	if (!file || file->directory)
		return 0;
	ret = cowdax_lookup(other, op->path, &inode, &error);
	if (ret)
		return world_fail(world, "another's lookup: %s", error.text);
	random_fill(op->seed + 1, bytes, sizeof(bytes));
	if (op->interloper == INTERLOPER_WRITE)
		ret = cowdax_write(other, inode, bytes, sizeof(bytes), file->size, NULL, &error);
	else if (op->interloper == INTERLOPER_TRUNCATE)
		ret = cowdax_truncate(other, inode, file->size / 2, NULL, &error);
	else
		ret = cowdax_remove(other, op->path, false, &error);
	/* The stream may have locked these bytes already; then the other one has to wait. */
	if (ret == -EAGAIN)
		return 0;
	ret = world_outcome(world, ret, 0, &error);
	if (ret <= 0)
		return ret;
	if (op->interloper == INTERLOPER_WRITE)
		model_write(world->model, model_edit(world->model, op->path), file->size, bytes, sizeof(bytes));
	else if (op->interloper == INTERLOPER_TRUNCATE)
		model_truncate(world->model, model_edit(world->model, op->path), file->size / 2);
	else
		model_remove(world->model, op->path);
	return 0;
}

/* In pieces of any length, as a pipe gives them. */
static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;
	const struct op *op = source->op;
	uint64_t part;

	at_hole(source);
	part = source->runs.to - source->given;
	if (op->interloper && !source->world->before && !source->interrupted) {
		source->interrupted = true;
		if (interlope(source->world, op))
			return -ENOTRECOVERABLE;
	}
	if (part == 0)
		return op->fails ? -EIO : 0;
	if (part > length)
		part = length;
	if (random_one_in(&source->random, 2))
		part = 1 + random_below(&source->random, part);
	memcpy(buffer, source->world->bytes + source->given, part);
	source->given += part;
	return (ssize_t)part;
}

/* The bytes of the stream, zeros in its holes. */
static void stream_bytes(struct world *world, const struct op *op)
{
	struct runs runs = first_run(op);

	world_bytes(world, op->seed, op->given);
	do {
		if (runs.hole)
			memset(world->bytes + runs.from, 0, runs.to - runs.from);
	} while (next_run(&runs));
}

/* What it must end with, and the bytes it then takes. */
static int wanted(const struct world *world, const struct op *op, uint64_t *taken)
{
	const struct entry *entry = NULL;
	int want = model_walk(world->model, op->path, &entry);

	*taken = op->length < op->given ? op->length : op->given;
	if (!want && !entry && op->no_create)
		want = -ENOENT;
	if (!want && entry && entry->directory)
		want = -EISDIR;
	if (!want && op->length > op->given && op->fails)
		want = -EIO;
	if (!want && op->length > op->given && op->length != COWDAX_TO_END)
		want = -ENODATA;
	return want;
}

/* For each block that [at, end) touches whether it gets a byte of the source. */
static bool *blocks_written(const struct model *model, const struct op *op, uint64_t at, uint64_t end)
{
	uint64_t size = model->block_size, first = at / size;
	bool *written = get_memory(end / size - first + 1);
	struct runs runs = first_run(op);

	memset(written, 0, end / size - first + 1);
	do {
		uint64_t to = at + runs.to < end ? at + runs.to : end;

		for (uint64_t from = at + runs.from; !runs.hole && from < to; from = (from / size + 1) * size)
			written[from / size - first] = true;
	} while (next_run(&runs));
	return written;
}

/* Such blocks are written, with zeros where the holes are; the others become holes. */
static void write_runs(struct model *model, const struct op *op, struct entry *file, uint64_t at,
		       const unsigned char *bytes, uint64_t length)
{
	uint64_t size = model->block_size, end = at + length, first = at / size, to;
	bool *written = blocks_written(model, op, at, end);

	for (uint64_t from = at; from < end; from = to) {
		bool hole = !written[from / size - first];

		to = (from / size + 1) * size;
		while (to < end && written[to / size - first] == !hole)
			to += size;
		to = to < end ? to : end;
		if (hole)
			model_fallocate(model, file, COWDAX_FALLOCATE_PUNCH, from, to - from, true);
		else
			model_write(model, file, from, bytes + (from - at), to - from);
		if (hole && to > file->size)
			model_truncate(model, file, to);
	}
	free(written);
}

/* The stream's first @length bytes in the file. */
static void write_to_model(struct model *model, const struct op *op, const unsigned char *bytes, uint64_t length)
{
	struct entry *file;

	if (!model_find(model, op->path))
		model_add(model, op->path, false, 0644);
	file = model_edit(model, op->path);
	if (op->truncate)
		model_truncate(model, file, 0);
	write_runs(model, op, file, op->append ? file->size : op->offset, bytes, length);
}

static bool is_in_image(struct world *world, struct cowdax *fs, const struct entry *file)
{
	struct cowdax_stat st;
	uint64_t inode;
	ssize_t got;

	if (cowdax_lookup(fs, file->path, &inode, NULL) || cowdax_stat(fs, inode, &st, NULL) ||
	    st.size != file->size)
		return false;
	got = cowdax_read(fs, inode, world_back(world, file->size), file->size, 0, NULL);
	return got == (ssize_t)file->size && memcmp(world->back, file->bytes, file->size) == 0;
}

/* The chunks that are said to be durable of a stream that did not get to its end are, and no more. */
static int take_chunks(struct world *world, const struct op *op, struct cowdax *fs,
		       struct cowdax_result *result)
{
	uint64_t done = result->bytes_committed;

	if (done % op->chunk)
		return world_fail(world, "%" PRIu64 " bytes are said to be committed, in chunks of %" PRIu64,
				  done, op->chunk);
	if (done) {
		write_to_model(world->model, op, world->bytes, done);
		if (!is_in_image(world, fs, model_find(world->model, op->path)))
			return world_fail(world, "%" PRIu64 " bytes are said to be committed, and are not", done);
	}
	result->bytes_committed = 0;
	return world_check_refused(world, result);
}

static int check_result(struct world *world, const struct op *op, const struct cowdax_result *result,
			uint64_t taken)
{
	if ((result->bytes_written != taken && !op->sparse) || result->length != taken)
		return world_fail(world, "%" PRIu64 " bytes are said to be written, length %" PRIu64
				  ", should be %" PRIu64, result->bytes_written, result->length, taken);
	return 0;
}

int world_apply_stream(struct world *world, const struct op *op, struct cowdax *fs)
{
	struct source source = {.world = world, .op = op, .random = {op->seed}, .runs = first_run(op)};
	char *path = world_spell(world->model, op->path, op->seed);
	struct cowdax_write_request request = {
		.path = path, .offset = op->offset, .append = op->append, .truncate = op->truncate,
		.no_create = op->no_create, .length = op->length, .chunk = op->chunk,
		.source = give, .hole = op->sparse ? pass : NULL, .source_arg = &source,
	};
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};
	uint64_t taken;
	int ret, want, early = wanted(world, op, &taken);

	stream_bytes(world, op);
	ret = cowdax_write_stream(fs, &request, &result, &error);
	free(path);
	if (world->failure[0])
		return -1;
	want = wanted(world, op, &taken);
	if (early && ret == early)
		want = early;
	ret = world_outcome(world, ret, want, &error);
	if (ret < 0)
		return ret;
	if (ret > 0) {
		write_to_model(world->model, op, world->bytes, taken);
		return check_result(world, op, &result, taken);
	}
	if (op->chunk && !world->before)
		return take_chunks(world, op, fs, &result);
	return world_check_refused(world, &result);
}
