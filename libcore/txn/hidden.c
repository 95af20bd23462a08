// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Blocks that no file has any more and that a base keeps (FORMAT 6.4): files' own trees are
 * walked first, and what their bases have beyond that after them.  check/hidden.c finds the
 * same in its own way.
 */
#include "txn/hidden.h"

#include <stdlib.h>

#include "base/met.h"

struct base { uint64_t address; uint32_t crc; uint8_t level; };

struct walk {
	struct cdx_txn *txn;
	struct cdx_met met;		/* nodes */
	uint64_t *seen;			/* a bit for each block */
	uint64_t blocks;		/* of these, set */
	struct base *bases;		/* of all nodes met */
	size_t n, room;
};

static int note_base(struct walk *walk, const struct cdx_node *node)
{
	if (walk->n == walk->room) {
		size_t room = walk->room ? 2 * walk->room : 64;
		struct base *more = realloc(walk->bases, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		walk->bases = more;
		walk->room = room;
	}
	walk->bases[walk->n++] = (struct base){node->base, node->base_crc, node->disk.level};
	return 0;
}

static int note_data(struct walk *walk, uint64_t start, uint64_t count)
{
	const struct cdx_super *super = walk->txn->super;
	uint64_t block = start >> super->grains_per_block_shift, end = block + (count >> super->grains_per_block_shift);

	if (end < block || end > super->blocks)
		return -EUCLEAN;
	while (block < end) {
		unsigned int bit = block % 64;
		uint64_t n = end - block < 64 - bit ? end - block : 64 - bit;
		uint64_t mask = (UINT64_MAX >> (64 - n)) << bit, *word = &walk->seen[block / 64];

		walk->blocks += (uint64_t)__builtin_popcountll(mask & ~*word);
		*word |= mask;
		block += n;
	}
	return 0;
}

static int note_pointer(void *arg, const struct cdx_pointer *pointer);

/* As deep as the level: an extent tree below the fs tree's leaves. */
static int note_node(struct walk *walk, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level)
{
	struct cdx_nodes *nodes = &walk->txn->nodes;
	struct cdx_node *node;
	int ret = cdx_meet(&walk->met, address);

	if (ret <= 0)
		return ret;
	ret = cdx_node_get(nodes, address, crc, kind, level, &node);
	if (ret)
		return ret;
	ret = node->base ? note_base(walk, node) : 0;
	if (!ret)
		ret = cdx_node_pointers(nodes, node, note_pointer, walk);
	cdx_node_put(nodes, node);
	return ret;
}

static int note_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct walk *walk = arg;

	if (pointer->data)
		return note_data(walk, pointer->start, pointer->count);
	return note_node(walk, pointer->start, pointer->crc, pointer->kind, pointer->level);
}

static int note_files(struct walk *walk)
{
	const struct cdx_ref *root = &walk->txn->record.fs;

	return root->address ? note_node(walk, root->address, root->crc, CDX_KIND_FS, root->level) : 0;
}

/* What files have has been seen by now: bases that are files' nodes, too, say nothing new. */
static int note_bases(struct walk *walk)
{
	int ret = 0;

	for (size_t i = 0; i < walk->n && !ret; i++) {
		struct base base = walk->bases[i];

		ret = note_node(walk, base.address, base.crc, CDX_KIND_EXTENT, base.level);
	}
	return ret;
}

int cdx_hidden_blocks(struct cdx_txn *txn, uint64_t *blocks)
{
	struct walk walk = {.txn = txn};
	uint64_t mapped;
	int ret;

	walk.seen = calloc(txn->super->blocks / 64 + 1, sizeof(*walk.seen));
	if (!walk.seen)
		return -ENOMEM;
	ret = note_files(&walk);
	mapped = walk.blocks;
	if (!ret)
		ret = note_bases(&walk);
	if (!ret)
		*blocks = walk.blocks - mapped;
	cdx_met_exit(&walk.met);
	free(walk.bases);
	free(walk.seen);
	return ret;
}
