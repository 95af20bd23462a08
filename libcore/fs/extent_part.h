/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One extent by itself: its ends and parts, and the pointers that come and go with it. */
#ifndef CDX_EXTENT_PART_H
#define CDX_EXTENT_PART_H

#include "txn/txn.h"

struct cdx_extent {
	uint64_t file_block, disk_block, count;
	bool unwritten;
};

struct cdx_extents {
	uint8_t layout;			/* enum cdx_layout */
	uint8_t n_inline;
	struct cdx_extent inlined[CDX_INLINE_EXTENTS];
	struct cdx_ref root;
};

/* File block after the last. */
static inline uint64_t cdx_extent_end(const struct cdx_extent *extent)
{
	return extent->file_block + extent->count;
}

/* The part of @extent from @block on. */
static inline struct cdx_extent cdx_extent_tail(const struct cdx_extent *extent, uint64_t block)
{
	struct cdx_extent tail = *extent;

	tail.file_block = block;
	tail.disk_block += block - extent->file_block;
	tail.count -= block - extent->file_block;
	return tail;
}

static inline struct cdx_key cdx_block_key(uint64_t block)
{
	return (struct cdx_key){{block}};
}

/* Item @index of the leaf that @path leads to. */
static inline struct cdx_disk_extent *cdx_leaf_extent(const struct cdx_path *path, int index)
{
	return (struct cdx_disk_extent *)cdx_node_item(path->node[0], (unsigned int)index);
}

/* Whether @next goes on where @extent ends, so that they must be one. */
bool cdx_extent_continues(const struct cdx_extent *extent, const struct cdx_extent *next);

void cdx_extent_decode(struct cdx_extent *extent, const struct cdx_disk_extent *disk);
void cdx_extent_encode(const struct cdx_extent *extent, struct cdx_disk_extent *disk);

struct cdx_pointer cdx_extent_pointer(const struct cdx_txn *txn, const struct cdx_extent *extent);
/* Its pointers go away. */
int cdx_extent_drop(struct cdx_txn *txn, const struct cdx_extent *extent);
/* One extent has become two; and two have become one. */
void cdx_extent_split(struct cdx_txn *txn, const struct cdx_extent *extent);
int cdx_extent_join(struct cdx_txn *txn, const struct cdx_extent *extent);

#endif
