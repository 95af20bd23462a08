/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Borrowing (FORMAT 6.4).  A copy of a shared node may have the original as its *base*.
 * What base says in the same words is borrowed: no pointer of the copy's, so not counted.
 * Everything else that it says is a pointer, and so is base.  So a copy costs one count,
 * where Rodeh's ("B-trees, shadowing, and clones", 2008) counts every item once more; and a
 * reference count is the number of pointers all the same.
 *
 * A base has no base of its own.
 */
#ifndef CDX_BORROW_H
#define CDX_BORROW_H

#include "tree/node.h"

/* Pin what @node borrows from, which must have a base: -EUCLEAN when that is nothing to borrow from. */
int cdx_base_get(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **base);

/*
 * Call @fn for each pointer that @node would have by itself, in order; an extent comes in
 * as many pieces as it takes to say of each whether @other, a node of the same level, has it
 * too, and at the same place.  Stops at the first non-zero return.
 */
typedef int cdx_piece_fn(void *arg, const struct cdx_pointer *piece, bool both);
int cdx_node_pieces(const struct cdx_nodes *nodes, struct cdx_node *node, struct cdx_node *other,
		    cdx_piece_fn *fn, void *arg);

/* How many pieces a node that has a base has of its own, and how many it borrows. */
struct cdx_apart { unsigned int own, borrowed; };
int cdx_node_apart(struct cdx_nodes *nodes, struct cdx_node *node, struct cdx_apart *apart);

/*
 * With so much of its own a node had better give its base up, on the next change: half of what
 * fits into it.  The less, the sooner the rest is counted, and that one by one where it is
 * scattered; the more, the more a base can hide of what nobody else has.
 */
static inline unsigned int cdx_most_own(const struct cdx_nodes *nodes)
{
	unsigned int room = cdx_node_room(CDX_KIND_EXTENT, nodes->super->node_size) - sizeof(struct cdx_disk_node);

	return room / sizeof(struct cdx_disk_extent) / 2;
}

/* Call @fn for each pointer of @node that is counted: those that it does not borrow, and its base. */
int cdx_node_counted(struct cdx_nodes *nodes, struct cdx_node *node, cdx_pointer_fn *fn, void *arg);

/* Whether the item at @index of an inner node is borrowed: 1, 0, -errno. */
int cdx_child_borrowed(struct cdx_nodes *nodes, struct cdx_node *parent, unsigned int index);
/*
 * Whether @leaf borrows what @extent says of the file's block @block, or would if it said
 * so: 1, 0, -errno.  The answer holds for *run blocks from there, or to the extent's end.
 */
int cdx_extent_borrowed(struct cdx_nodes *nodes, struct cdx_node *leaf, const struct cdx_disk_extent *extent,
			uint64_t block, uint64_t *run);

#endif
