// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The bound on what a removal needs (R17).  All of it counts nodes, and comes from
 * how the trees work:
 *
 *  - A change of one item makes the path to its leaf dirty, level + 1 nodes.  Where it
 *    adds, each of them may split and the root may get a parent; where it takes away,
 *    each may be joined to a neighbour.  So one change dirties 2 (level + 1) + 1 at most.
 *  - A change of the count of one run of grains changes the leaf it lies in, and joins
 *    it to neighbours in the leaves before and after: 3 paths.  Many changes share
 *    nodes: on each level no more are dirty than that level can have.
 *  - Limbo entries are put into the limbo tree in the order of their transactions,
 *    and are many only of the newest: the last leaves, each at least a third full.
 *
 * What a removing transaction drops costs no more than entries of limbo: what would
 * take many changes of counts is put off, as a DROP or as a TREE (limbo.c, btree_cut.c),
 * to transactions that undo one such entry each.
 */
#include "txn/bound.h"

#define COUNT_CHANGES 4		/* that a commit makes on its own: taking from and giving to the space tree */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t body(const struct cdx_super *super)
{
	return super->node_size - sizeof(struct cdx_disk_node);
}

/* Items of an extent tree's node, leaf or not: they are of one size. */
static uint64_t extent_fan_out(const struct cdx_super *super)
{
	return (cdx_node_room(CDX_KIND_EXTENT, super->node_size) - sizeof(struct cdx_disk_node)) /
	       sizeof(struct cdx_disk_extent);
}

/* Pointers that change with such a node: its items, and itself or its base (FORMAT 6.4). */
static uint64_t extent_pointers(const struct cdx_super *super)
{
	return extent_fan_out(super) + 1;
}

static uint64_t change_of(const struct cdx_ref *root)
{
	return 2 * (root->level + UINT64_C(1)) + 1;
}

/* How many nodes there can be on the space tree's @level. */
static uint64_t space_nodes(const struct cdx_super *super, const struct cdx_ref *root, int level)
{
	uint64_t fan_out = body(super) / (sizeof(le64) + sizeof(struct cdx_disk_space_child));
	/* A run has a grain at least; leaves are a third full. */
	uint64_t nodes = 1, most = 1 + 3 * super->grains / (body(super) / sizeof(struct cdx_disk_space));

	for (; level < root->level && nodes < most; level++)
		nodes *= fan_out;
	return least(nodes, most);
}

/* @changes of counts anywhere. */
static uint64_t count_changes(const struct cdx_super *super, const struct cdx_record *record, uint64_t changes)
{
	/* Each adds two items at most, and a node that splits is half full. */
	uint64_t added = 2 * changes * sizeof(struct cdx_disk_space) * 2 / body(super) + record->space.level + 2u;
	uint64_t nodes = 0;

	for (int level = 0; level <= record->space.level; level++)
		nodes += least(3 * changes, space_nodes(super, &record->space, level));
	return nodes + added;
}

/* Putting @entries into the limbo tree. */
static uint64_t spill(const struct cdx_super *super, const struct cdx_record *record, uint64_t entries)
{
	return 2 * change_of(&record->limbo) + 3 * entries * sizeof(struct cdx_disk_limbo) / body(super) + 1;
}

/* As high as an extent tree can be whose nodes are a third full. */
static uint64_t extent_levels(const struct cdx_super *super)
{
	uint64_t reach = 1, levels = 0;

	for (; reach < super->blocks && levels <= CDX_MAX_LEVEL; levels++)
		reach *= extent_fan_out(super) / 3;
	return levels + 1;
}

/*
 * Its dirent, its inode, and the item of an orphan that it may become; of its directory, the inode.
 * Of its data a shared tree's count is lowered at once, and so is one of two extents at one place.
 */
uint64_t cdx_bound_entry(const struct cdx_super *super, const struct cdx_record *record)
{
	uint64_t nodes = 4 * change_of(&record->fs);

	return nodes + spill(super, record, nodes + CDX_INLINE_EXTENTS) +
	       count_changes(super, record, CDX_INLINE_EXTENTS);
}

uint64_t cdx_bound_commit(const struct cdx_super *super, const struct cdx_record *record)
{
	return spill(super, record, record->list.n) + count_changes(super, record, COUNT_CHANGES);
}

/* Cutting a range out of one file: what hangs on each edge's path goes as one node a level. */
static uint64_t cutting(const struct cdx_super *super, const struct cdx_record *record)
{
	uint64_t levels = extent_levels(super);

	return CDX_BOUND_EDGES * (3 * levels + 1) + 2 * change_of(&record->fs) +
	       spill(super, record, CDX_BOUND_EDGES * 2 * levels);
}

/*
 * Undoing a TREE entry, copying one shared node, or giving up a base: of a base that is taken
 * over goes what it says that the node does not, which is no more.
 */
static uint64_t one_node(const struct cdx_super *super, const struct cdx_record *record)
{
	return count_changes(super, record, extent_pointers(super)) +
	       spill(super, record, extent_pointers(super)) + extent_levels(super) + change_of(&record->fs);
}

uint64_t cdx_bound_removal(const struct cdx_super *super, const struct cdx_record *record)
{
	uint64_t most = cdx_bound_entry(super, record), other = cutting(super, record);

	if (most < other)
		most = other;
	other = one_node(super, record);
	if (most < other)
		most = other;
	return most + spill(super, record, CDX_MAX_RECORD_LIMBO) + count_changes(super, record, COUNT_CHANGES);
}
