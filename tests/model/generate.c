// SPDX-License-Identifier: GPL-2.0-or-later
/* Which operation comes next, and on what. */
#include <stdlib.h>

#include "memory.h"
#include "op.h"

#define STAGED (UINT64_C(1) << 20)	/* longer writes take the staged path */
#define BUFFERED (UINT64_C(4) << 20)	/* longer streams are read in pieces */

/* ---- paths ------------------------------------------------------------------------------- */

/* All that POSIX allows, and what a careless program takes for something else. */
static const char *const odd_names[] = {
	"a", "b", "c", "file", "data.bin", " ", "-rf", "two\nlines", "\ttab", "...", ".hidden", "ino:3",
	"*?[x]", "\"quotes' \\", "\x01\x7f\xff", "\xc3\xa9t\xc3\xa9", "\xe5\x90\x8d\xe5\x89\x8d", "%s%n", "$(x)",
};

static char *join(const char *directory, const char *name)
{
	size_t length = strlen(directory) + 1 + strlen(name) + 1;
	char *path = get_memory(length);

	snprintf(path, length, "%s/%s", directory, name);
	return path;
}

static char *name_in(const char *directory, struct random *random)
{
	char name[COWDAX_NAME_MAX + 2];
	uint64_t kind = random_below(random, 40);

	if (kind == 0) {
		memset(name, 'L', COWDAX_NAME_MAX);
		name[COWDAX_NAME_MAX - 1] = "abc"[random_below(random, 3)];
		/* Now and then one byte too long. */
		name[COWDAX_NAME_MAX] = random_one_in(random, 3) ? 'x' : '\0';
		name[COWDAX_NAME_MAX + 1] = '\0';
	} else if (kind < 20) {
		snprintf(name, sizeof(name), "n%u", (unsigned int)random_below(random, 1000));
	} else {
		return join(directory, odd_names[random_below(random, sizeof(odd_names) / sizeof(*odd_names))]);
	}
	return join(directory, name);
}

static const struct entry *choose(const struct model *model, bool directory, struct random *random)
{
	const struct entry *found = NULL;
	uint64_t seen = 0;

	for (size_t i = 0; i < model->entries; i++)
		if (model->entry[i]->directory == directory && random_one_in(random, ++seen))
			found = model->entry[i];
	return found;
}

static char *new_path(const struct model *model, struct random *random)
{
	const struct entry *above = choose(model, !random_one_in(random, 50), random);
	char *path = name_in(above ? above->path : "", random);

	while (random_one_in(random, 30)) {
		char *deeper = name_in(path, random);

		free(path);
		path = deeper;
	}
	return path;
}

/* A file that is there; seldom a directory, or nothing. */
static char *file_path(const struct model *model, struct random *random)
{
	const struct entry *entry = choose(model, random_one_in(random, 100), random);

	if (!entry || random_one_in(random, 100))
		return new_path(model, random);
	return get_string(entry->path);
}

static char *any_path(const struct model *model, struct random *random)
{
	return random_one_in(random, 4) ? new_path(model, random) : file_path(model, random);
}

/* ---- ranges -------------------------------------------------------------------------------- */

/* About the places where something changes: blocks' edges, the end of the file. */
static uint64_t position(const struct config *config, const struct entry *file, uint64_t limit,
			 struct random *random)
{
	uint64_t size = config->block_size, at = random_below(random, limit + 1);
	uint64_t end = file && !file->directory ? file->size : 0;

	switch (random_below(random, 8)) {
	case 0:
		return at;
	case 1:
		return end > limit ? limit : end;
	case 2:
		return end > 1 && end <= limit ? end - 1 - random_below(random, 2) : at;
	case 3:
		at = at / size * size;
		return at + (at ? random_below(random, 3) - 1 : 0);
	case 4:
		return random_below(random, end < limit ? end + 1 : limit);
	default:
		return at / size * size;
	}
}

static uint64_t length_from(const struct config *config, uint64_t offset, uint64_t limit,
			    struct random *random)
{
	uint64_t size = config->block_size, length;

	switch (random_below(random, 8)) {
	case 0:
		length = 1 + random_below(random, 100);
		break;
	case 1:
	case 2:		/* to the end of a block */
		length = size - offset % size + random_below(random, 3) * size;
		break;
	case 3:
		length = random_below(random, 3 * size);
		break;
	case 4:
		length = random_below(random, limit + 1);
		break;
	default:
		length = size * (1 + random_below(random, 4));
	}
	return length > limit - offset ? limit - offset : length;
}

static void range(struct op *op, const struct config *config, const struct entry *file, struct random *random)
{
	/* Most files stay short, so that there is time for many operations. */
	uint64_t limit = random_one_in(random, 3) ? config->max_file : 12 * (uint64_t)config->block_size;

	if (limit > config->max_file)
		limit = config->max_file;
	op->offset = position(config, file, limit, random);
	op->length = length_from(config, op->offset, limit, random);
}

/* ---- each kind ------------------------------------------------------------------------------- */

static void generate_write(struct op *op, const struct config *config, const struct entry *file,
			   struct random *random)
{
	range(op, config, file, random);
	if (op->length < STAGED && config->max_file > 2 * STAGED && random_one_in(random, 100)) {
		op->length = STAGED + random_below(random, STAGED / 2);
		op->offset = position(config, file, config->max_file - op->length, random);
	}
	if (random_one_in(random, 500)) {
		op->offset = UINT64_MAX / 2 - random_below(random, 3) * config->block_size;
		op->length = 1 + random_below(random, 2 * (uint64_t)config->block_size);
	}
}

static void generate_stream(struct op *op, const struct config *config, const struct entry *file,
			    struct random *random)
{
	range(op, config, file, random);
	if (config->max_file > BUFFERED + 2 * STAGED && random_one_in(random, 12))
		op->length = BUFFERED - 100 + random_below(random, STAGED);
	op->given = op->length;
	op->append = random_one_in(random, 3) && (!file || file->size < config->max_file);
	op->truncate = random_one_in(random, 4);
	op->no_create = random_one_in(random, 4);
	op->fails = random_one_in(random, 20);
	if (random_one_in(random, 3))
		op->length = COWDAX_TO_END;
	else if (random_one_in(random, 8))
		op->given -= random_below(random, op->length + 1);
	else
		op->given += random_below(random, 1000);
	if (random_one_in(random, 6))
		op->chunk = 1 + op->given / (1 + random_below(random, 6)) + random_below(random, 10);
	else if (random_one_in(random, 6))
		op->interloper = (enum interloper)(1 + random_below(random, 3));
	else
		op->sparse = random_one_in(random, 2);
}

static void generate_fallocate(struct op *op, const struct config *config, const struct entry *file,
			       struct random *random)
{
	range(op, config, file, random);
	op->fallocate = (enum cowdax_fallocate_mode)random_below(random, 4);
	op->keep_size = random_one_in(random, 2);
	/* Reaching what is there is more telling than reaching behind it. */
	if (file && op->offset > file->size && !random_one_in(random, 4))
		op->offset = random_below(random, file->size + 1);
}

/* Much of the image, at times. */
static void generate_promise(struct op *op, const struct config *config, const struct entry *file,
			     struct random *random)
{
	range(op, config, file, random);
	op->fallocate = COWDAX_FALLOCATE_UNWRITTEN;
	op->keep_size = random_one_in(random, 2);
	if (random_one_in(random, 3))
		op->length = config->max_file - op->offset;
	op->length += !op->length;
}

static void generate_clone_range(struct op *op, const struct config *config, const struct model *model,
				 struct random *random)
{
	const struct entry *from = model_find(model, op->path);
	uint64_t size = config->block_size, blocks = from ? from->size / size + 1 : 1;
	uint64_t limit = random_one_in(random, 3) ? config->max_file / size : 12;

	op->offset2 = random_below(random, blocks) * size;
	op->offset = random_below(random, limit) * size;
	op->length = (1 + random_below(random, blocks)) * size;
	if (from && random_one_in(random, 2))
		op->length = from->size > op->offset2 ? from->size - op->offset2 : 0;
	if (random_one_in(random, 6))
		op->length = random_one_in(random, 2) ? COWDAX_TO_END : 0;
	/* And against the rules. */
	if (random_one_in(random, 20))
		op->offset += random_below(random, size);
	if (random_one_in(random, 20))
		op->offset2 += random_below(random, size);
	if (random_one_in(random, 20))
		op->length += random_below(random, size);
	if (op->length != COWDAX_TO_END && op->offset + op->length > config->max_file + size)
		op->offset = 0;
}

static uint64_t total_bytes(const struct model *model)
{
	uint64_t total = 0;

	for (size_t i = 0; i < model->entries; i++)
		total += model->entry[i]->blocks * model->block_size;
	return total;
}

/* The rest of what there is to know for the kind chosen. */
static void generate_arguments(struct op *op, const struct config *config, const struct model *model,
			       struct random *random)
{
	const struct entry *file;

	op->path = op->kind == OP_STREAM ? any_path(model, random) : file_path(model, random);
	file = model_find(model, op->path);
	switch (op->kind) {
	case OP_WRITE:
	case OP_DRY_RUN:
		generate_write(op, config, file, random);
		break;
	case OP_STREAM:
		generate_stream(op, config, file, random);
		break;
	case OP_READ:
	case OP_MAP:
		range(op, config, file, random);
		break;
	case OP_TRUNCATE:
		range(op, config, file, random);
		op->length = random_one_in(random, 6) ? 0 : op->offset;
		op->offset = 0;
		break;
	case OP_FALLOCATE:
		generate_fallocate(op, config, file, random);
		break;
	case OP_PROMISE:
		generate_promise(op, config, file, random);
		break;
	case OP_CLONE:
		op->path2 = any_path(model, random);
		break;
	case OP_CLONE_RANGE:
		op->path2 = random_one_in(random, 5) ? get_string(op->path) : any_path(model, random);
		generate_clone_range(op, config, model, random);
		break;
	default:
		break;
	}
}

static void generate_name(struct op *op, const struct model *model, struct random *random)
{
	if (op->kind == OP_REMOVE) {
		op->recursive = random_one_in(random, 4);
		op->path = op->recursive && random_one_in(random, 4) ?
			   get_string(choose(model, true, random)->path) : file_path(model, random);
	} else {
		op->path = new_path(model, random);
		op->mode = (uint32_t)random_below(random, 01000);
		op->parents = op->kind == OP_MKDIR && random_one_in(random, 2);
	}
}

static const struct { enum op_kind kind; unsigned int weight; } weights[] = {
	{OP_CREATE, 5}, {OP_MKDIR, 4}, {OP_REMOVE, 6}, {OP_WRITE, 30}, {OP_STREAM, 7}, {OP_READ, 4},
	{OP_TRUNCATE, 7}, {OP_FALLOCATE, 16}, {OP_CLONE, 5}, {OP_CLONE_RANGE, 12}, {OP_MAP, 3},
	{OP_BEGIN, 2}, {OP_REOPEN, 1}, {OP_READER, 2}, {OP_DRY_RUN, 1},
};

static enum op_kind choose_kind(struct random *random)
{
	unsigned int total = 0, at;
	size_t i = 0;

	for (size_t j = 0; j < sizeof(weights) / sizeof(*weights); j++)
		total += weights[j].weight;
	for (at = (unsigned int)random_below(random, total); at >= weights[i].weight; i++)
		at -= weights[i].weight;
	return weights[i].kind;
}

void op_generate(struct op *op, const struct config *config, const struct model *model,
		 bool in_transaction, struct random *random)
{
	uint64_t most = config->crowded ? 4 * config->image_size : config->image_size / 2;

	*op = (struct op){.kind = choose_kind(random), .seed = random_next(random)};
	/* Runs of operations through one handle, so that it has something to remember. */
	op->handle = op->seed % 8 == 0;
	if (model->entries > config->max_entries || total_bytes(model) > most)
		op->kind = random_one_in(random, 3) ? OP_TRUNCATE : OP_REMOVE;
	if (in_transaction && random_one_in(random, 6))
		op->kind = random_one_in(random, 3) ? OP_ABORT : OP_COMMIT;
	if (!in_transaction && random_one_in(random, 200))
		op->kind = OP_PROMISE;
	if (!in_transaction && random_one_in(random, 500))
		op->kind = OP_DRAIN;
	if (!in_transaction && random_one_in(random, 5000))
		op->kind = OP_CLEAR;
	if (in_transaction && op->kind == OP_BEGIN)
		op->kind = OP_WRITE;
	switch (op->kind) {
	case OP_CREATE:
	case OP_MKDIR:
	case OP_REMOVE:
		generate_name(op, model, random);
		break;
	default:
		generate_arguments(op, config, model, random);
		break;
	case OP_BEGIN:
	case OP_COMMIT:
	case OP_ABORT:
	case OP_REOPEN:
	case OP_READER:
	case OP_DRAIN:
	case OP_CLEAR:
		break;
	}
}
