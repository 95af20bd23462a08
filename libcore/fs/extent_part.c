// SPDX-License-Identifier: LGPL-2.1-or-later
/* One extent by itself (FORMAT 8): on media and in DRAM, what it points to, what is promised to it (FORMAT 8.1). */
#include "fs/extent_part.h"

#include "txn/promise.h"

void cdx_extent_decode(struct cdx_extent *extent, const struct cdx_disk_extent *disk)
{
	*extent = (struct cdx_extent){
		.file_block = get64(disk->file_block),
		.disk_block = get64(disk->disk_block),
		.count = get32(disk->count),
		.unwritten = get32(disk->flags) & CDX_EXTENT_UNWRITTEN,
	};
}

void cdx_extent_encode(const struct cdx_extent *extent, struct cdx_disk_extent *disk)
{
	*disk = (struct cdx_disk_extent){
		.file_block = put64(extent->file_block),
		.disk_block = put64(extent->disk_block),
		.count = put32((uint32_t)extent->count),
		.flags = put32(extent->unwritten ? CDX_EXTENT_UNWRITTEN : 0),
	};
}

bool cdx_extent_continues(const struct cdx_extent *extent, const struct cdx_extent *next)
{
	return cdx_extent_end(extent) == next->file_block && extent->disk_block + extent->count == next->disk_block &&
	       extent->unwritten == next->unwritten && extent->count + next->count <= CDX_MAX_EXTENT_BLOCKS;
}

struct cdx_pointer cdx_extent_pointer(const struct cdx_txn *txn, const struct cdx_extent *extent)
{
	unsigned int shift = txn->super->grains_per_block_shift;

	return (struct cdx_pointer){
		.data = true,
		.unwritten = extent->unwritten,
		.start = extent->disk_block << shift,
		.count = extent->count << shift,
	};
}

int cdx_extent_drop(struct cdx_txn *txn, const struct cdx_extent *extent)
{
	struct cdx_pointer pointer = cdx_extent_pointer(txn, extent);

	return cdx_limbo_drop(txn, &pointer);
}

void cdx_extent_split(struct cdx_txn *txn, const struct cdx_extent *extent)
{
	if (extent->unwritten)
		cdx_promise_add(txn, 0, 1);
}

int cdx_extent_join(struct cdx_txn *txn, const struct cdx_extent *extent)
{
	return extent->unwritten ? cdx_promise_keep(txn, 0, 1) : 0;
}
