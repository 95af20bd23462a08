// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes that come from a stream, with all that can happen while it is read. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "world.h"

struct source {
	struct world *world;
	const struct op *op;
	struct random random;
	uint64_t given;			/* so far */
	bool interrupted;
};

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
	uint64_t part = op->given - source->given;

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

/* The stream's first @length bytes in the file. */
static void write_to_model(struct model *model, const struct op *op, const unsigned char *bytes, uint64_t length)
{
	struct entry *file;

	if (!model_find(model, op->path))
		model_add(model, op->path, false, 0644);
	file = model_edit(model, op->path);
	if (op->truncate)
		model_truncate(model, file, 0);
	model_write(model, file, op->append ? file->size : op->offset, bytes, length);
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

static int check_result(struct world *world, const struct cowdax_result *result, uint64_t taken)
{
	if (result->bytes_written != taken || result->length != taken)
		return world_fail(world, "%" PRIu64 " bytes are said to be written, length %" PRIu64
				  ", should be %" PRIu64, result->bytes_written, result->length, taken);
	return 0;
}

int world_apply_stream(struct world *world, const struct op *op, struct cowdax *fs)
{
	struct source source = {.world = world, .op = op, .random = {op->seed}};
	char *path = world_spell(world->model, op->path, op->seed);
	struct cowdax_write_request request = {
		.path = path, .offset = op->offset, .append = op->append, .truncate = op->truncate,
		.no_create = op->no_create, .length = op->length, .chunk = op->chunk,
		.source = give, .source_arg = &source,
	};
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};
	uint64_t taken;
	int ret, want, early = wanted(world, op, &taken);

	world_bytes(world, op->seed, op->given);
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
		return check_result(world, &result, taken);
	}
	if (op->chunk && !world->before)
		return take_chunks(world, op, fs, &result);
	return world_check_refused(world, &result);
}
