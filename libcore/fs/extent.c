// SPDX-License-Identifier: LGPL-2.1-or-later
/* A file's extents, inline or in a tree: finding, cutting, mapping, joining what continues (FORMAT 8). */
#include "fs/extent.h"

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

static uint64_t end_of(const struct cdx_extent *extent)
{
	return extent->file_block + extent->count;
}

bool cdx_extent_continues(const struct cdx_extent *extent, const struct cdx_extent *next)
{
	return end_of(extent) == next->file_block && extent->disk_block + extent->count == next->disk_block &&
	       extent->unwritten == next->unwritten && extent->count + next->count <= CDX_MAX_EXTENT_BLOCKS;
}

/* The part of @extent from @block on. */
static struct cdx_extent tail_of(const struct cdx_extent *extent, uint64_t block)
{
	struct cdx_extent tail = *extent;

	tail.file_block = block;
	tail.disk_block += block - extent->file_block;
	tail.count -= block - extent->file_block;
	return tail;
}

static struct cdx_pointer pointer_to(const struct cdx_txn *txn, const struct cdx_extent *extent)
{
	unsigned int shift = txn->super->grains_per_block_shift;

	return (struct cdx_pointer){
		.data = true,
		.unwritten = extent->unwritten,
		.start = extent->disk_block << shift,
		.count = extent->count << shift,
	};
}

static int drop_extent(struct cdx_txn *txn, const struct cdx_extent *extent)
{
	struct cdx_pointer pointer = pointer_to(txn, extent);

	return cdx_limbo_drop(txn, &pointer);
}

/* One extent has become two. */
static void count_split(struct cdx_txn *txn, const struct cdx_extent *extent)
{
	if (extent->unwritten)
		cdx_promise_add(txn, 0, 1);
}

/* Two have become one. */
static int count_join(struct cdx_txn *txn, const struct cdx_extent *extent)
{
	return extent->unwritten ? cdx_promise_keep(txn, 0, 1) : 0;
}

static struct cdx_key block_key(uint64_t block)
{
	return (struct cdx_key){{block}};
}

/* ---- finding --------------------------------------------------------------------- */

/* Whether any node of the cursor's path has more than one pointer. */
static int path_shared(struct cdx_txn *txn, const struct cdx_cursor *cursor, bool *shared)
{
	uint64_t references, end;
	int ret;

	*shared = false;
	for (int level = 0; level < cursor->levels && !*shared; level++) {
		if (cdx_is_dirty(cursor->node[level]->address))
			continue;
		ret = cdx_space_count(&txn->space, cursor->node[level]->address, &references, &end);
		if (ret)
			return ret;
		*shared = references > 1;
	}
	return 0;
}

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
	*run = left;
	if (*shared)
		return 0;
	ret = cdx_space_count(&txn->space, start << shift, &references, &end);
	if (ret)
		return ret;
	*shared = references > 1;
	end = (end >> shift) - start;
	*run = end < left ? end : left;
	return *run ? 0 : -EUCLEAN;	/* a count that changes inside a block */
}

static int find_in_tree(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block,
			struct cdx_extent *extent, bool *shared)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	struct cdx_key key = block_key(block);
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, &tree, &key);
	if (ret > 0 && !cdx_cursor_at_item(&cursor))
		ret = cdx_cursor_next(&cursor);
	if (ret > 0) {
		cdx_extent_decode(extent, cdx_cursor_item(&cursor));
		if (end_of(extent) <= block) {
			ret = cdx_cursor_next(&cursor);
			if (ret > 0)
				cdx_extent_decode(extent, cdx_cursor_item(&cursor));
		}
	}
	if (ret > 0 && end_of(extent) <= block)
		ret = -EUCLEAN;		/* overlapping extents */
	if (ret > 0 && shared) {
		int error = path_shared(txn, &cursor, shared);

		ret = error ? error : ret;
	}
	cdx_cursor_end(&cursor);
	return ret;
}

static int find_inline(const struct cdx_extents *map, uint64_t block, struct cdx_extent *extent)
{
	for (int i = 0; i < map->n_inline; i++) {
		if (end_of(&map->inlined[i]) > block) {
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
		ret = find_in_tree(txn, map, block, extent, shared);
	} else {
		if (shared)
			*shared = false;
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
	struct cdx_extent have;
	bool shared = false;
	int ret;

	if (map->layout == CDX_LAYOUT_TREE)
		ret = find_in_tree(txn, map, extent->file_block, &have, &shared);
	else
		ret = find_inline(map, extent->file_block, &have);
	if (ret <= 0)
		return ret;
	return !shared && have.unwritten && have.file_block <= extent->file_block &&
	       end_of(&have) >= end_of(extent) &&
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
		ret = count_join(txn, &extent);
	}
	if (!ret && at && cdx_extent_continues(&map->inlined[at - 1], &extent)) {
		map->inlined[at - 1].count += extent.count;
		ret = count_join(txn, &extent);
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
	count_split(txn, extent);
}

/* Take [from, to) out; with @drop the pointers go away.  -E2BIG when a piece is left over that has no room. */
static int inline_cut(struct cdx_txn *txn, struct cdx_extents *map, uint64_t from, uint64_t to, bool drop)
{
	for (int i = 0; i < map->n_inline;) {
		struct cdx_extent extent = map->inlined[i], gone = extent, rest;
		int ret;

		if (end_of(&extent) <= from || extent.file_block >= to) {
			i++;
			continue;
		}
		if (extent.file_block < from && end_of(&extent) > to && map->n_inline == CDX_INLINE_EXTENTS)
			return -E2BIG;
		if (gone.file_block < from)
			gone = tail_of(&gone, from);
		if (end_of(&gone) > to)
			gone.count = to - gone.file_block;
		inline_remove(map, i);
		if (extent.file_block < from) {
			rest = extent;
			rest.count = from - extent.file_block;
			inline_keep(txn, map, i++, &rest);
		}
		if (end_of(&extent) > to) {
			rest = tail_of(&extent, to);
			inline_keep(txn, map, i++, &rest);
		}
		ret = drop ? drop_extent(txn, &gone) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- tree -------------------------------------------------------------------------------- */

static struct cdx_disk_extent *leaf_extent(const struct cdx_path *path, int index)
{
	return (struct cdx_disk_extent *)cdx_node_item(path->node[0], (unsigned int)index);
}

/* Make no extent cross @block. */
static int split_at(struct cdx_tree *tree, uint64_t block)
{
	struct cdx_key key = block_key(block);
	struct cdx_disk_extent disk;
	struct cdx_extent extent, tail;
	struct cdx_path path;
	int ret;

	if (!tree->root->address || cdx_keys_compare(&key, &tree->upper) >= 0)
		return 0;
	ret = cdx_path_seek(&path, tree, &key);
	if (ret || path.index[0] < 0)
		return ret;
	cdx_extent_decode(&extent, leaf_extent(&path, path.index[0]));
	if (extent.file_block == block || end_of(&extent) <= block)
		return 0;
	tail = tail_of(&extent, block);
	extent.count -= tail.count;
	count_split(tree->owner, &tail);
	cdx_extent_encode(&extent, leaf_extent(&path, path.index[0]));
	cdx_extent_encode(&tail, &disk);
	path.index[0]++;
	cdx_node_insert(path.node[0], (unsigned int)path.index[0], &disk, sizeof(disk));
	return cdx_path_repair(&path, tree);
}

static int tree_cut(struct cdx_tree *tree, uint64_t from, uint64_t to)
{
	struct cdx_key low = block_key(from), high = block_key(to);
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
	struct cdx_key key = block_key(end_of(extent));
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
	return count_join(tree->owner, extent);
}

static int tree_insert(struct cdx_tree *tree, const struct cdx_extent *new)
{
	struct cdx_extent extent = *new, neighbour;
	struct cdx_key key = block_key(extent.file_block);
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
	    path.upper[0].word[0] == end_of(&extent)) {
		ret = absorb_next_leaf(tree, &extent);
		if (!ret)
			ret = cdx_path_seek(&path, tree, &key);
		if (ret)
			return ret;
	}
	at = path.index[0] + 1;
	if (at < (int)cdx_node_count(path.node[0])) {
		cdx_extent_decode(&neighbour, leaf_extent(&path, at));
		if (neighbour.file_block < end_of(&extent))
			return -EUCLEAN;
		if (cdx_extent_continues(&extent, &neighbour)) {
			extent.count += neighbour.count;
			cdx_node_remove(path.node[0], (unsigned int)at, 1);
			ret = count_join(tree->owner, &extent);
			if (ret)
				return ret;
		}
	}
	if (at) {
		cdx_extent_decode(&neighbour, leaf_extent(&path, at - 1));
		if (end_of(&neighbour) > extent.file_block)
			return -EUCLEAN;
		if (cdx_extent_continues(&neighbour, &extent)) {
			neighbour.count += extent.count;
			cdx_extent_encode(&neighbour, leaf_extent(&path, at - 1));
			ret = count_join(tree->owner, &neighbour);
			return ret ? ret : cdx_path_repair(&path, tree);
		}
	}
	cdx_extent_encode(&extent, &disk);
	path.index[0] = at;
	cdx_node_insert(path.node[0], (unsigned int)at, &disk, sizeof(disk));
	return cdx_path_repair(&path, tree);
}

/*
 * The common small write: the range is just one extent of the same length, and
 * the new one does not continue a neighbour.  1 when done, with what was there in
 * *old; 0 when not so.
 */
static int tree_replace(struct cdx_tree *tree, const struct cdx_extent *new, struct cdx_extent *old)
{
	struct cdx_key key = block_key(new->file_block);
	struct cdx_extent neighbour;
	struct cdx_path path;
	int ret, at;

	if (!tree->root->address)
		return 0;
	ret = cdx_path_seek(&path, tree, &key);
	if (ret || path.index[0] < 0)
		return ret;
	at = path.index[0];
	cdx_extent_decode(old, leaf_extent(&path, at));
	if (old->file_block != new->file_block || old->count != new->count)
		return 0;
	if (!at && new->file_block)
		return 0;	/* the neighbour before it is in another leaf */
	if (at) {
		cdx_extent_decode(&neighbour, leaf_extent(&path, at - 1));
		if (cdx_extent_continues(&neighbour, new))
			return 0;
	}
	if (at + 1 < (int)cdx_node_count(path.node[0])) {
		cdx_extent_decode(&neighbour, leaf_extent(&path, at + 1));
		if (cdx_extent_continues(new, &neighbour))
			return 0;
	} else if (path.upper[0].word[0] == end_of(new)) {
		return 0;
	}
	cdx_extent_encode(new, leaf_extent(&path, at));
	return 1;
}

static int tree_set_written(struct cdx_tree *tree, const struct cdx_extent *extent)
{
	struct cdx_key key = block_key(extent->file_block);
	struct cdx_extent old;
	int ret;

	ret = split_at(tree, extent->file_block);
	if (!ret)
		ret = split_at(tree, end_of(extent));
	if (!ret)
		ret = tree_replace(tree, extent, &old);
	if (ret)
		return ret < 0 ? ret : 0;
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
		struct cdx_extent old;

		ret = tree_replace(&tree, extent, &old);
		if (ret > 0 && extent->unwritten)
			cdx_promise_add(txn, extent->count, 1);
		if (ret)
			return ret < 0 ? ret : drop_extent(txn, &old);
	}
	ret = cdx_extents_cut(txn, map, extent->file_block, end_of(extent));
	return ret ? ret : cdx_extents_insert(txn, map, extent);
}

static int set_written(struct cdx_txn *txn, struct cdx_extents *map, const struct cdx_extent *extent)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	int ret;

	if (map->layout == CDX_LAYOUT_INLINE) {
		ret = inline_cut(txn, map, extent->file_block, end_of(extent), false);
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
			struct cdx_pointer pointer = pointer_to(txn, &from->inlined[i]);

			ret = cdx_space_share(&txn->space, pointer.start, pointer.count);
			if (pointer.unwritten)
				cdx_promise_add(txn, from->inlined[i].count, 1);
		}
	}
	if (!ret)
		*to = *from;
	return ret;
}

/* ---- making it one's own ------------------------------------------------------------------- */

/* 1 when a node that is not dirty has more than one pointer. */
static int has_another(struct cdx_txn *txn, uint64_t address)
{
	uint64_t references, end;
	int ret;

	if (cdx_is_dirty(address))
		return 0;
	ret = cdx_space_count(&txn->space, address, &references, &end);
	return ret ? ret : references > 1;
}

int cdx_extents_own(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	struct cdx_key key = block_key(block), upper = tree.upper;
	struct cdx_node *node;
	int shared, ret;

	if (map->layout != CDX_LAYOUT_TREE)
		return 0;
	shared = has_another(txn, map->root.address);
	ret = shared < 0 ? shared : cdx_tree_root(&tree, &node);
	while (!ret && !shared && node->disk.level) {
		int index = cdx_node_search(node, &key);
		unsigned int at = index < 0 ? 0 : (unsigned int)index;
		struct cdx_key bound = cdx_tree_child_upper(node, at, &upper);

		shared = has_another(txn, get64(cdx_node_child(node, at)->address));
		if (shared < 0)
			return shared;
		ret = cdx_tree_child(&tree, node, at, &upper, &node);
		upper = bound;
	}
	return ret ? ret : shared;
}
