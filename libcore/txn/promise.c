// SPDX-License-Identifier: LGPL-2.1-or-later
/* The nodes that writing into preallocated blocks may take: a bound from the record's counts (FORMAT 4, 8). */
#include "txn/promise.h"

#include "base/count.h"

#define NODES_AT_FIRST 3	/* that the first write to an extent may split: its leaf, and what is above */

void cdx_promise_add(struct cdx_txn *txn, uint64_t blocks, uint64_t extents)
{
	txn->record.unwritten_blocks += blocks;
	txn->record.unwritten_extents += extents;
}

int cdx_promise_keep(struct cdx_txn *txn, uint64_t blocks, uint64_t extents)
{
	int ret = cdx_lower(&txn->record.unwritten_blocks, blocks);

	return ret ? ret : cdx_lower(&txn->record.unwritten_extents, extents);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * n unwritten blocks come apart into n extents at most, so n items are added.  A leaf
 * splits when it is full and is half full then: the first time it may be full
 * already, after that it takes half a leaf of new items; and the same above it.  No
 * more leaves are full than the image has blocks for, but that inodes have their own.
 */
static uint64_t worst(const struct cdx_txn *txn)
{
	const struct cdx_super *super = txn->super;
	const struct cdx_record *record = &txn->record;
	uint64_t half = (cdx_node_room(CDX_KIND_EXTENT, super->node_size) - sizeof(struct cdx_disk_node)) /
			sizeof(struct cdx_disk_extent) / 2;
	uint64_t blocks = least(record->unwritten_blocks, super->grains * half);
	uint64_t extents = least(record->unwritten_extents, blocks);

	return (blocks + half - 2) / (half - 1) +
	       least(NODES_AT_FIRST * extents, super->blocks / half + 2 * least(record->inodes, super->grains));
}

uint64_t cdx_promise_grains(const struct cdx_txn *txn)
{
	return txn->record.unwritten_blocks ? worst(txn) : 0;
}
