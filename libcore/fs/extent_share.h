/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose the nodes are that lead to a block. */
#ifndef CDX_EXTENT_SHARE_H
#define CDX_EXTENT_SHARE_H

#include "fs/extent_part.h"

/*
 * Whether any node of the cursor's path has more than one pointer, or is borrowed from what
 * others have, too, or its leaf borrows @block so.  The answer holds for *run blocks at most.
 */
int cdx_path_shared(struct cdx_txn *txn, const struct cdx_cursor *cursor, uint64_t block, bool *shared,
		    uint64_t *run);

/*
 * Copy the topmost node of those on the way to @block that have another pointer: 1;
 * 0 when there is none.  As many counts change as the node has items, so for a large
 * map and little space each such node is better worth a transaction of its own.
 */
int cdx_extents_own(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block);
/*
 * A node at or after *block of the map's own that borrows from a base nobody else has: what
 * of that it does not say is kept for nothing.  With @all any node that borrows, others' too:
 * several together may have a base all to themselves.  1 with *block in it, 0, -errno.
 */
int cdx_extents_find_hiding(struct cdx_txn *txn, struct cdx_extents *map, bool all, uint64_t *block);
/* Let the nodes that lead to @block borrow no more. */
int cdx_extents_settle(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block);

#endif
