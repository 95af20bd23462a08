/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a file's blocks are (FORMAT 8): a few extents inline, then a tree. */
#ifndef CDX_EXTENT_H
#define CDX_EXTENT_H

#include "fs/extent_share.h"

/*
 * The extent that maps @block, or the first one after it: 1, or 0 when there is
 * none.  With @shared, whether a count above one lies on the path to the first
 * mapped block at or after @block; the answer holds for *run blocks from there.
 */
int cdx_extents_find(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block, struct cdx_extent *extent,
		     bool *shared, uint64_t *run);
/* Unmap [from, to), dropping the pointers. */
int cdx_extents_cut(struct cdx_txn *txn, struct cdx_extents *map, uint64_t from, uint64_t to);
/* Map what is a hole; the caller's pointer to the blocks becomes the map's. */
int cdx_extents_insert(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent);
/* Cut the extent's range, then insert it. */
int cdx_extents_remap(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent);
/* [file_block, + count) lies in one unwritten extent and has been filled in place: mapped from now on. */
int cdx_extents_set_written(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent);
/* Whether the map has just these blocks there, unwritten, by a path that is not shared: 1, 0 or -errno. */
int cdx_extents_hold(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent);
/* Make @to the same as @from, every pointer counted: constant time. */
int cdx_extents_clone(struct cdx_txn *txn, struct cdx_extents *to, struct cdx_extents *from);

#endif
