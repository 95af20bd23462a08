// SPDX-License-Identifier: LGPL-2.1-or-later
/* The common small change: one extent put into one leaf (FORMAT 8), whatever that borrows (FORMAT 6.4). */
#include "fs/extent_patch.h"

#include "tree/borrow.h"
#include "txn/promise.h"
#include "txn/share.h"

/* What becomes of a leaf's items from @at on: @gone of them give way to @item. */
struct patch {
	struct cdx_extent item[3];
	int n, at, gone;
	int splits, joins;		/* of unwritten extents */
};

static struct cdx_extent leaf_item(const struct cdx_path *path, int index)
{
	struct cdx_extent extent;

	cdx_extent_decode(&extent, cdx_leaf_extent(path, index));
	return extent;
}

/* Put @extent behind the patch's last item, as one with it where it goes on. */
static void patch_add(struct patch *patch, const struct cdx_extent *extent)
{
	struct cdx_extent *last = patch->n ? &patch->item[patch->n - 1] : NULL;

	if (!last || !cdx_extent_continues(last, extent)) {
		patch->item[patch->n++] = *extent;
		return;
	}
	last->count += extent->count;
	patch->joins += extent->unwritten;
}

/* The rest of what is cut in front, or the item before when the new one continues that. */
static void patch_left(struct patch *patch, const struct cdx_path *path, const struct cdx_extent *new)
{
	struct cdx_extent left;

	if (patch->gone) {
		left = leaf_item(path, patch->at);
		if (left.file_block < new->file_block) {
			left.count = new->file_block - left.file_block;
			patch->splits += left.unwritten;
			patch_add(patch, &left);
			return;
		}
	}
	if (!patch->at)
		return;
	left = leaf_item(path, patch->at - 1);
	if (cdx_extent_continues(&left, new)) {
		patch->at--;
		patch->gone++;
		patch_add(patch, &left);
	}
}

/* The same behind. */
static void patch_right(struct patch *patch, const struct cdx_path *path, const struct cdx_extent *new)
{
	int to = patch->at + patch->gone;
	struct cdx_extent right;

	if (to) {
		right = leaf_item(path, to - 1);
		if (cdx_extent_end(&right) > cdx_extent_end(new)) {
			right = cdx_extent_tail(&right, cdx_extent_end(new));
			patch->splits += right.unwritten;
			patch_add(patch, &right);
			return;
		}
	}
	if (to == (int)cdx_node_count(path->node[0]))
		return;
	right = leaf_item(path, to);
	if (cdx_extent_continues(&patch->item[patch->n - 1], &right)) {
		patch->gone++;
		patch_add(patch, &right);
	}
}

/*
 * Whether @new and an extent of another leaf, which ends where the leaf begins or begins
 * where it ends, have to become one: 1, 0 or -errno.
 */
static int joins_across(struct cdx_tree *tree, const struct cdx_extent *new, uint64_t block)
{
	struct cdx_key key = cdx_block_key(block);
	struct cdx_extent other = {0};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, tree, &key);
	if (ret > 0 && cdx_cursor_at_item(&cursor))
		cdx_extent_decode(&other, cdx_cursor_item(&cursor));
	cdx_cursor_end(&cursor);
	if (ret < 0 || !other.count)
		return ret < 0 ? ret : 0;
	return cdx_extent_continues(&other, new) || cdx_extent_continues(new, &other);
}

/*
 * How the leaf that the path leads to takes @new in: 1; 0 when more would change with it, an
 * extent of a neighbour that it continues or that continues it, or the leaf's first key; -errno.
 */
static int plan_patch(struct cdx_tree *tree, struct patch *patch, const struct cdx_path *path,
		      const struct cdx_extent *new)
{
	int from = path->index[0], to, count = (int)cdx_node_count(path->node[0]);
	struct cdx_extent first;
	int joins = 0;

	if (from < 0 || path->upper[0].word[0] < cdx_extent_end(new))
		return 0;
	first = leaf_item(path, from);
	if (cdx_extent_end(&first) <= new->file_block)
		from++;
	else if (!from && first.file_block == new->file_block && new->file_block)
		joins = joins_across(tree, new, new->file_block - 1);
	if (!joins && path->upper[0].word[0] == cdx_extent_end(new))
		joins = joins_across(tree, new, cdx_extent_end(new));
	if (joins)
		return joins < 0 ? joins : 0;
	for (to = from; to < count && leaf_item(path, to).file_block < cdx_extent_end(new); to++)
		;
	*patch = (struct patch){.at = from, .gone = to - from};
	patch_left(patch, path, new);
	patch_add(patch, new);
	patch_right(patch, path, new);
	return 1;
}

/* Extents that count as unwritten are counted whole: none may be borrowed in part (FORMAT 6.4). */
static bool concerns_unwritten(const struct patch *patch, const struct cdx_path *path, const struct cdx_extent *new)
{
	bool unwritten = new->unwritten;

	for (int i = patch->at; i < patch->at + patch->gone; i++)
		unwritten = unwritten || leaf_item(path, i).unwritten;
	return unwritten;
}

/* Drop what @leaf borrows of an extent's [from, to), or what it does not. */
static int drop_part(struct cdx_tree *tree, struct cdx_node *leaf, const struct cdx_extent *extent, uint64_t from,
		     uint64_t to, bool borrowed)
{
	struct cdx_disk_extent disk;
	struct cdx_extent part;
	int ret = 0;

	cdx_extent_encode(extent, &disk);
	for (; from < to && ret >= 0; from += part.count) {
		uint64_t run;

		ret = cdx_extent_borrowed(tree->nodes, leaf, &disk, from, &run);
		part = cdx_extent_tail(extent, from);
		part.count = to - from < run ? to - from : run;
		if (ret == borrowed)
			ret = cdx_extent_drop(tree->owner, &part);
	}
	return ret < 0 ? ret : 0;
}

/* All that gives way to @new. */
static int drop_patched(struct cdx_tree *tree, const struct cdx_path *path, const struct patch *patch,
			const struct cdx_extent *new)
{
	int ret = 0;

	for (int i = patch->at; i < patch->at + patch->gone && !ret; i++) {
		struct cdx_extent extent = leaf_item(path, i);
		uint64_t from = extent.file_block > new->file_block ? extent.file_block : new->file_block;
		uint64_t to = cdx_extent_end(&extent) < cdx_extent_end(new) ? cdx_extent_end(&extent) : cdx_extent_end(new);

		if (from < to)
			ret = drop_part(tree, path->node[0], &extent, from, to, false);
	}
	return ret;
}

static int apply_patch(struct cdx_tree *tree, struct cdx_path *path, const struct patch *patch)
{
	struct cdx_node *leaf = path->node[0];
	int same = patch->gone < patch->n ? patch->gone : patch->n;
	int ret;

	cdx_promise_add(tree->owner, 0, (uint64_t)patch->splits);
	ret = cdx_promise_keep(tree->owner, 0, (uint64_t)patch->joins);
	if (ret)
		return ret;
	if (patch->gone > same)
		cdx_node_remove(leaf, (unsigned int)(patch->at + same), (unsigned int)(patch->gone - same));
	for (int i = 0; i < patch->n; i++) {
		struct cdx_disk_extent disk;

		cdx_extent_encode(&patch->item[i], &disk);
		path->index[0] = patch->at + i;
		if (i < same)
			*cdx_leaf_extent(path, path->index[0]) = disk;
		else
			cdx_node_insert(leaf, (unsigned int)path->index[0], &disk, sizeof(disk));
	}
	return patch->n == patch->gone ? 0 : cdx_path_repair(path, tree);
}

/*
 * After a change of a leaf that borrows.  It may never be changed again, or many times in this
 * transaction, in which it is not shadowed anew: so it is now that it gives its base up, and
 * those above it do.  Looked at only where that can be.
 */
static int settle_apart(struct cdx_tree *tree, struct cdx_path *path)
{
	unsigned int most = cdx_most_own(tree->nodes);
	struct cdx_node *leaf = path->node[0];
	struct cdx_apart apart;
	int ret;

	if (!leaf->base)
		return 0;
	cdx_node_own_more(leaf);
	if (leaf->own < most && cdx_node_count(leaf) > most)
		return 0;
	ret = cdx_node_apart(tree->nodes, leaf, &apart);
	if (ret)
		return ret;
	leaf->own = (uint16_t)apart.own;
	if (apart.own < most && apart.borrowed)
		return 0;
	return cdx_path_settle(path, tree, 0);
}

int cdx_extent_patch(struct cdx_tree *tree, const struct cdx_extent *new, bool drop)
{
	struct cdx_key key = cdx_block_key(new->file_block);
	struct cdx_path path;
	struct patch patch;
	int ret;

	if (!tree->root->address)
		return 0;
	ret = cdx_path_seek(&path, tree, &key);
	if (!ret)
		ret = plan_patch(tree, &patch, &path, new);
	if (ret <= 0)
		return ret;
	if (path.node[0]->base && concerns_unwritten(&patch, &path, new))
		return 0;
	if (drop && new->unwritten)
		cdx_promise_add(tree->owner, new->count, 1);
	ret = drop ? drop_patched(tree, &path, &patch, new) : 0;
	/* The same blocks may have come back to where the base has them: no pointer then. */
	if (!ret && drop && path.node[0]->base)
		ret = drop_part(tree, path.node[0], new, new->file_block, cdx_extent_end(new), true);
	if (!ret)
		ret = apply_patch(tree, &path, &patch);
	if (!ret)
		ret = settle_apart(tree, &path);
	return ret ? ret : 1;
}
