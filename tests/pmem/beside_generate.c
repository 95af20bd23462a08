// SPDX-License-Identifier: GPL-2.0-or-later
/* Which operation comes next, and on what. */
#include "../model/random.h"
#include "beside.h"

#define STAGED (UINT64_C(1) << 20)	/* longer writes take cowdax's staged path */
#define SHORT_FILE (24 * BLOCK)		/* most stay short, so that operations meet */

/* Out of a hundred. */
static const struct weight {
	enum op_kind kind;
	unsigned int weight;
} weights[] = {
	{OP_WRITE, 36}, {OP_CLONE, 7}, {OP_CLONE_RANGE, 15}, {OP_PUNCH, 9}, {OP_ZERO, 9},
	{OP_UNSHARE, 6}, {OP_ALLOCATE, 7}, {OP_TRUNCATE, 7}, {OP_REMOVE, 2}, {OP_CREATE, 2},
};

static enum op_kind kind_of(uint64_t number)
{
	const struct weight *at = weights;

	for (; number >= at->weight; at++)
		number -= at->weight;
	return at->kind;
}

/* A file that is there, mostly. */
static unsigned int choose_file(struct random *random, const struct layout *layouts)
{
	unsigned int file = (unsigned int)random_below(random, FILES);

	for (int tries = 0; tries < 4 && !layouts[file].exists; tries++)
		file = (unsigned int)random_below(random, FILES);
	return file;
}

/* About the places where something changes: blocks' edges, the end of the file. */
static uint64_t position(struct random *random, uint64_t size, uint64_t limit)
{
	uint64_t at = random_below(random, limit);

	switch (random_below(random, 8)) {
	case 0:
		return at;
	case 1:
		return size < limit ? size : at;
	case 2:
		return size && size <= limit ? size - 1 : at;
	case 3:
		at = round_down(at);
		return at ? at - 1 + random_below(random, 3) : 1;
	case 4:
	case 5:		/* inside the file */
		return random_below(random, size && size < limit ? size : limit);
	default:
		return round_down(at);
	}
}

static uint64_t length_at(struct random *random, uint64_t offset, uint64_t limit)
{
	uint64_t length;

	switch (random_below(random, 8)) {
	case 0:
	case 1:
		length = 1 + random_below(random, 200);
		break;
	case 2:		/* to the end of a block */
		length = BLOCK - offset % BLOCK + random_below(random, 3) * BLOCK;
		break;
	case 3:
		length = 1 + random_below(random, 3 * BLOCK);
		break;
	case 4:
		length = 1 + random_below(random, limit);
		break;
	default:
		length = BLOCK * (1 + random_below(random, 4));
	}
	return length > limit - offset ? limit - offset : length;
}

static void generate_range(struct random *random, struct op *op, const struct layout *layout)
{
	uint64_t limit = random_one_in(random, 12) ? MAX_FILE : SHORT_FILE;

	op->offset = position(random, layout->size, limit);
	op->length = length_at(random, op->offset, limit);
	if (op->kind == OP_WRITE && random_one_in(random, 200)) {
		op->length = STAGED + random_below(random, STAGED / 4);
		op->offset = random_below(random, MAX_FILE - op->length);
	}
	if (!op->length && op->kind == OP_WRITE)
		op->length = 1;
	if (op->offset + op->length > MAX_FILE)
		op->offset = 0;
}

static void generate_clone_range(struct random *random, struct op *op, const struct layout *from)
{
	uint64_t blocks = from->size / BLOCK + 1;

	op->from_offset = random_below(random, blocks) * BLOCK;
	op->offset = random_below(random, SHORT_FILE / BLOCK) * BLOCK;
	op->length = (1 + random_below(random, blocks)) * BLOCK;
	if (random_one_in(random, 2))
		op->length = from->size > op->from_offset ? from->size - op->from_offset : 0;
	/* And against the rules. */
	if (random_one_in(random, 20))
		op->offset += random_below(random, BLOCK);
	if (random_one_in(random, 20))
		op->from_offset += random_below(random, BLOCK);
	if (random_one_in(random, 20))
		op->length += random_below(random, BLOCK);
	/* A length of 0 goes to the end of the source. */
	if (op->offset + (op->length ? op->length : from->size) > MAX_FILE)
		op->offset = 0;
}

struct op op_generate(struct random *random, const struct layout *layouts)
{
	struct op op = {.kind = kind_of(random_below(random, 100))};

	op.file = choose_file(random, layouts);
	switch (op.kind) {
	case OP_CREATE:
	case OP_REMOVE:
		break;
	case OP_CLONE:
		op.from = choose_file(random, layouts);
		op.file = (unsigned int)random_below(random, FILES);
		break;
	case OP_CLONE_RANGE:
		op.from = choose_file(random, layouts);
		if (random_one_in(random, 4))
			op.file = op.from;
		generate_clone_range(random, &op, &layouts[op.from]);
		break;
	case OP_TRUNCATE:
		op.length = random_one_in(random, 8)
				    ? 0
				    : position(random, layouts[op.file].size, SHORT_FILE);
		break;
	default:
		op.keep_size =
			(op.kind == OP_ALLOCATE || op.kind == OP_ZERO) && random_one_in(random, 2);
		generate_range(random, &op, &layouts[op.file]);
	}
	return op;
}
