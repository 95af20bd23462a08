// SPDX-License-Identifier: LGPL-2.1-or-later
/* A file's extents, inline or in a tree: finding, cutting, mapping, joining what continues (FORMAT 8). */
#include "fs/extent.h"

#include "fs/extent_patch.h"
#include "txn/promise.h"

/*
 * Blocks of a small change.  Only these make nodes borrow: a longer one counts what it
 * shadows, so that its base never hides more than a few small changes have replaced.
 */
#define MOST_BORROWING 16

/* ---- finding --------------------------------------------------------------------- */

/* The same for the extent's own blocks, as far as one answer holds. */
static int blocks_shared(struct cdx_txn *txn, const struct cdx_extent *extent, uint64_t block, bool *shared,
			 uint64_t *run)
{
	unsigned int shift = txn->super->grains_per_block_shift;
	uint64_t start = extent->disk_block, left = extent->count, references, end;
	int ret;

	if (block > extent->file_block) {
		start += block - extent->file_block;
		left -= block - extent->file_block;
	}
	if (*run > left)
		*run = left;
	if (*shared)
		return 0;
	ret = cdx_space_count(&txn->space, start << shift, &references, &end);
	if (ret)
		return ret;
	*shared = references > 1;
	end = (end >> shift) - start;
	if (*run > end)
		*run = end;
	return *run ? 0 : -EUCLEAN;	/* a count that changes inside a block */
}

static int find_in_tree(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block,
			struct cdx_extent *extent, bool *shared, uint64_t *run)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	struct cdx_key key = cdx_block_key(block);
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, &tree, &key);
	if (ret > 0 && !cdx_cursor_at_item(&cursor))
		ret = cdx_cursor_next(&cursor);
	if (ret > 0) {
		cdx_extent_decode(extent, cdx_cursor_item(&cursor));
		if (cdx_extent_end(extent) <= block) {
			ret = cdx_cursor_next(&cursor);
			if (ret > 0)
				cdx_extent_decode(extent, cdx_cursor_item(&cursor));
		}
	}
	if (ret > 0 && cdx_extent_end(extent) <= block)
		ret = -EUCLEAN;		/* overlapping extents */
	if (ret > 0 && shared) {
		uint64_t first = extent->file_block > block ? extent->file_block : block;
		int error = cdx_path_shared(txn, &cursor, first, shared, run);

		ret = error ? error : ret;
	}
	cdx_cursor_end(&cursor);
	return ret;
}

static int find_inline(const struct cdx_extents *map, uint64_t block, struct cdx_extent *extent)
{
	for (int i = 0; i < map->n_inline; i++) {
		if (cdx_extent_end(&map->inlined[i]) > block) {
			*extent = map->inlined[i];
			return 1;
		}
	}
	return 0;
}

int cdx_extents_find(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block, struct cdx_extent *extent,
		     bool *shared, uint64_t *run)
{
	int ret;

	if (map->layout == CDX_LAYOUT_TREE) {
		ret = find_in_tree(txn, map, block, extent, shared, run);
	} else {
		if (shared) {
			*shared = false;
			*run = UINT64_MAX;
		}
		ret = find_inline(map, block, extent);
	}
	if (ret > 0 && shared) {
		int error = blocks_shared(txn, extent, block, shared, run);

		ret = error ? error : ret;
	}
	return ret;
}

int cdx_extents_hold(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	uint64_t run = UINT64_MAX;
	struct cdx_extent have;
	bool shared = false;
	int ret;

	if (map->layout == CDX_LAYOUT_TREE)
		ret = find_in_tree(txn, map, extent->file_block, &have, &shared, &run);
	else
		ret = find_inline(map, extent->file_block, &have);
	if (ret <= 0)
		return ret;
	/* What is not borrowed where it begins may be so further on. */
	return !shared && run >= extent->count && have.unwritten && have.file_block <= extent->file_block &&
	       cdx_extent_end(&have) >= cdx_extent_end(extent) &&
	       have.disk_block + (extent->file_block - have.file_block) == extent->disk_block;
}

/* ---- inline --------------------------------------------------------------------------- */

static void inline_remove(struct cdx_extents *map, int index)
{
	map->n_inline--;
	memmove(&map->inlined[index], &map->inlined[index + 1],
		(size_t)(map->n_inline - index) * sizeof(map->inlined[0]));
}

/* All inline extents become a tree's first leaf. */
static int inline_to_tree(struct cdx_txn *txn, struct cdx_extents *map)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);

	map->root = (struct cdx_ref){0};
	for (int i = 0; i < map->n_inline; i++) {
		struct cdx_disk_extent disk;
		int ret;

		cdx_extent_encode(&map->inlined[i], &disk);
		ret = cdx_tree_insert(&tree, &disk, sizeof(disk));
		if (ret)
			return ret;
	}
	map->layout = CDX_LAYOUT_TREE;
	map->n_inline = 0;
	return 0;
}

/* 1 when it went in, 0 when there is no room. */
static int inline_insert(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *new)
{
	struct cdx_extent extent = *new;
	int at = 0, ret = 0;

	while (at < map->n_inline && map->inlined[at].file_block < extent.file_block)
		at++;
	if (at < map->n_inline && cdx_extent_continues(&extent, &map->inlined[at])) {
		extent.count += map->inlined[at].count;
		inline_remove(map, at);
		ret = cdx_extent_join(txn, &extent);
	}
	if (!ret && at && cdx_extent_continues(&map->inlined[at - 1], &extent)) {
		map->inlined[at - 1].count += extent.count;
		ret = cdx_extent_join(txn, &extent);
		return ret ? ret : 1;
	}
	if (ret || map->n_inline == CDX_INLINE_EXTENTS)
		return ret;
	memmove(&map->inlined[at + 1], &map->inlined[at],
		(size_t)(map->n_inline - at) * sizeof(map->inlined[0]));
	map->inlined[at] = extent;
	map->n_inline++;
	return 1;
}

/* Put back, beside the hole that a cut makes, what is not cut of an extent: there is room. */
static void inline_keep(struct cdx_txn *txn, struct cdx_extents *map, int at, const struct cdx_extent *extent)
{
	memmove(&map->inlined[at + 1], &map->inlined[at],
		(size_t)(map->n_inline - at) * sizeof(map->inlined[0]));
	map->inlined[at] = *extent;
	map->n_inline++;
	cdx_extent_split(txn, extent);
}

/* Take [from, to) out; with @drop the pointers go away.  -E2BIG when a piece is left over that has no room. */
static int inline_cut(struct cdx_txn *txn, struct cdx_extents *map, uint64_t from, uint64_t to, bool drop)
{
	for (int i = 0; i < map->n_inline;) {
		struct cdx_extent extent = map->inlined[i], gone = extent, rest;
		int ret;

		if (cdx_extent_end(&extent) <= from || extent.file_block >= to) {
			i++;
			continue;
		}
		if (extent.file_block < from && cdx_extent_end(&extent) > to && map->n_inline == CDX_INLINE_EXTENTS)
			return -E2BIG;
		if (gone.file_block < from)
			gone = cdx_extent_tail(&gone, from);
		if (cdx_extent_end(&gone) > to)
			gone.count = to - gone.file_block;
		inline_remove(map, i);
		if (extent.file_block < from) {
			rest = extent;
			rest.count = from - extent.file_block;
			inline_keep(txn, map, i++, &rest);
		}
		if (cdx_extent_end(&extent) > to) {
			rest = cdx_extent_tail(&extent, to);
			inline_keep(txn, map, i++, &rest);
		}
		ret = drop ? cdx_extent_drop(txn, &gone) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- tree -------------------------------------------------------------------------------- */

/* Make no extent cross @block. */
static int split_at(struct cdx_tree *tree, uint64_t block)
{
	struct cdx_key key = cdx_block_key(block);
	struct cdx_disk_extent disk;
	struct cdx_extent extent, tail;
	struct cdx_path path;
	int ret;

	if (!tree->root->address || cdx_keys_compare(&key, &tree->upper) >= 0)
		return 0;
	ret = cdx_path_seek(&path, tree, &key);
	if (ret || path.index[0] < 0)
		return ret;
	cdx_extent_decode(&extent, cdx_leaf_extent(&path, path.index[0]));
	if (extent.file_block == block || cdx_extent_end(&extent) <= block)
		return 0;
	tail = cdx_extent_tail(&extent, block);
	extent.count -= tail.count;
	cdx_extent_split(tree->owner, &tail);
	cdx_extent_encode(&extent, cdx_leaf_extent(&path, path.index[0]));
	cdx_extent_encode(&tail, &disk);
	path.index[0]++;
	cdx_node_insert(path.node[0], (unsigned int)path.index[0], &disk, sizeof(disk));
	return cdx_path_repair(&path, tree);
}

static int tree_cut(struct cdx_tree *tree, uint64_t from, uint64_t to)
{
	struct cdx_key low = cdx_block_key(from), high = cdx_block_key(to);
	int ret;

	if (from || to < tree->upper.word[0]) {
		ret = split_at(tree, from);
		if (!ret)
			ret = split_at(tree, to);
		if (ret)
			return ret;
	}
	return cdx_tree_cut(tree, &low, &high);
}

/* Take in the extent after @extent when it lies in the next leaf and goes on. */
static int absorb_next_leaf(struct cdx_tree *tree, struct cdx_extent *extent)
{
	struct cdx_key key = cdx_block_key(cdx_extent_end(extent));
	struct cdx_extent next = {0};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, tree, &key);
	if (ret > 0 && cdx_cursor_at_item(&cursor))
		cdx_extent_decode(&next, cdx_cursor_item(&cursor));
	cdx_cursor_end(&cursor);
	if (ret < 0 || !next.count || !cdx_extent_continues(extent, &next))
		return ret < 0 ? ret : 0;
	ret = cdx_tree_delete(tree, &key);
	if (ret)
		return ret;
	extent->count += next.count;
	return cdx_extent_join(tree->owner, extent);
}

static int tree_insert(struct cdx_tree *tree, const struct cdx_extent *new)
{
	struct cdx_extent extent = *new, neighbour;
	struct cdx_key key = cdx_block_key(extent.file_block);
	struct cdx_disk_extent disk;
	struct cdx_path path;
	int ret, at;

	cdx_extent_encode(&extent, &disk);
	if (!tree->root->address)
		return cdx_tree_insert(tree, &disk, sizeof(disk));
	ret = cdx_path_seek(&path, tree, &key);
	if (ret)
		return ret;
	if (path.index[0] + 1 == (int)cdx_node_count(path.node[0]) &&
	    path.upper[0].word[0] == cdx_extent_end(&extent)) {
		ret = absorb_next_leaf(tree, &extent);
		if (!ret)
			ret = cdx_path_seek(&path, tree, &key);
		if (ret)
			return ret;
	}
	at = path.index[0] + 1;
	if (at < (int)cdx_node_count(path.node[0])) {
		cdx_extent_decode(&neighbour, cdx_leaf_extent(&path, at));
		if (neighbour.file_block < cdx_extent_end(&extent))
			return -EUCLEAN;
		if (cdx_extent_continues(&extent, &neighbour)) {
			extent.count += neighbour.count;
			cdx_node_remove(path.node[0], (unsigned int)at, 1);
			ret = cdx_extent_join(tree->owner, &extent);
			if (ret)
				return ret;
		}
	}
	if (at) {
		cdx_extent_decode(&neighbour, cdx_leaf_extent(&path, at - 1));
		if (cdx_extent_end(&neighbour) > extent.file_block)
			return -EUCLEAN;
		if (cdx_extent_continues(&neighbour, &extent)) {
			neighbour.count += extent.count;
			cdx_extent_encode(&neighbour, cdx_leaf_extent(&path, at - 1));
			ret = cdx_extent_join(tree->owner, &neighbour);
			return ret ? ret : cdx_path_repair(&path, tree);
		}
	}
	cdx_extent_encode(&extent, &disk);
	path.index[0] = at;
	cdx_node_insert(path.node[0], (unsigned int)at, &disk, sizeof(disk));
	return cdx_path_repair(&path, tree);
}

static int tree_set_written(struct cdx_tree *tree, const struct cdx_extent *extent)
{
	struct cdx_key key = cdx_block_key(extent->file_block);
	int ret = cdx_extent_patch(tree, extent, false);

	if (ret)
		return ret < 0 ? ret : 0;
	ret = split_at(tree, extent->file_block);
	if (!ret)
		ret = split_at(tree, cdx_extent_end(extent));
	if (!ret)
		ret = cdx_tree_delete(tree, &key);
	return ret ? ret : tree_insert(tree, extent);
}

/* ---- either -------------------------------------------------------------------------------- */

int cdx_extents_cut(struct cdx_txn *txn, struct cdx_extents *map, uint64_t from, uint64_t to)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	int ret;

	if (from >= to)
		return 0;
	if (map->layout == CDX_LAYOUT_INLINE) {
		ret = inline_cut(txn, map, from, to, true);
		if (ret != -E2BIG)
			return ret;
		ret = inline_to_tree(txn, map);
		if (ret)
			return ret;
	}
	ret = tree_cut(&tree, from, to);
	if (!ret && !map->root.address) {
		map->layout = CDX_LAYOUT_INLINE;
		map->n_inline = 0;
	}
	return ret;
}

/* Put in an extent whose pointers are counted. */
static int put(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	int ret;

	if (map->layout == CDX_LAYOUT_INLINE) {
		ret = inline_insert(txn, map, extent);
		if (ret)
			return ret < 0 ? ret : 0;
		ret = inline_to_tree(txn, map);
		if (ret)
			return ret;
	}
	return tree_insert(&tree, extent);
}

int cdx_extents_insert(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	if (extent->unwritten)
		cdx_promise_add(txn, extent->count, 1);
	return put(txn, map, extent);
}

int cdx_extents_remap(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	int ret;

	if (map->layout == CDX_LAYOUT_TREE) {
		struct cdx_tree tree = cdx_txn_extents(txn, &map->root);

		tree.borrows = extent->count <= MOST_BORROWING;
		ret = cdx_extent_patch(&tree, extent, true);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	ret = cdx_extents_cut(txn, map, extent->file_block, cdx_extent_end(extent));
	return ret ? ret : cdx_extents_insert(txn, map, extent);
}

static int set_written(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	int ret;

	if (map->layout == CDX_LAYOUT_INLINE) {
		ret = inline_cut(txn, map, extent->file_block, cdx_extent_end(extent), false);
		if (ret != -E2BIG)
			return ret ? ret : put(txn, map, extent);
		ret = inline_to_tree(txn, map);
		if (ret)
			return ret;
	}
	return tree_set_written(&tree, extent);
}

int cdx_extents_set_written(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	int ret = set_written(txn, map, extent);

	return ret ? ret : cdx_promise_keep(txn, extent->count, 1);
}

int cdx_extents_clone(struct cdx_txn *txn, struct cdx_extents *to, struct cdx_extents *from)
{
	int ret = 0;

	if (from->layout == CDX_LAYOUT_TREE) {
		ret = cdx_txn_share_tree(txn, &from->root);
	} else {
		for (int i = 0; i < from->n_inline && !ret; i++) {
			struct cdx_pointer pointer = cdx_extent_pointer(txn, &from->inlined[i]);

			ret = cdx_space_share(&txn->space, pointer.start, pointer.count);
			if (pointer.unwritten)
				cdx_promise_add(txn, from->inlined[i].count, 1);
		}
	}
	if (!ret)
		*to = *from;
	return ret;
}
