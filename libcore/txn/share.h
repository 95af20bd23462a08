/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What shadowing means for counts (I3; Rodeh, "B-trees, shadowing, and clones"):
 * a node's copy takes over its pointers, or, when the node stays with others, has
 * pointers of its own, one more for each child.
 */
#ifndef CDX_SHARE_H
#define CDX_SHARE_H

#include "txn/limbo.h"

/* For cdx_nodes: no node of the transaction @owner has the place @home any more, where one was written in @birth. */
int cdx_share_left(void *owner, uint64_t home, uint64_t birth);

extern const struct cdx_tree_ops cdx_shareable_ops;	/* nodes may have several pointers: fs, extents */
extern const struct cdx_tree_ops cdx_private_ops;	/* nodes have one pointer: limbo, staging */
extern const struct cdx_tree_ops cdx_space_tree_ops;	/* the same, with what the space tree keeps in inner items */

#endif
