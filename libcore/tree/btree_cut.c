// SPDX-License-Identifier: LGPL-2.1-or-later
/* Cutting a range of keys out of a tree: what lies in it whole is dropped whole. */
#include "tree/borrow.h"
#include "tree/btree.h"

static int drop_subtree(struct cdx_tree *tree, uint64_t address, uint32_t crc, uint8_t level);

static int drop_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct cdx_tree *tree = arg;

	if (!pointer->data && cdx_is_dirty(pointer->start))
		return drop_subtree(tree, pointer->start, pointer->crc, pointer->level);
	return tree->ops->dropped(tree, pointer);
}

/* Drop all that a dirty node points to, and forget it. */
static int drop_node(struct cdx_tree *tree, struct cdx_node *node)
{
	int ret = tree->ops->put_off ? tree->ops->put_off(tree, node) : 0;

	if (ret)
		return ret < 0 ? ret : 0;
	ret = cdx_node_counted(tree->nodes, node, drop_pointer, tree);
	return ret ? ret : cdx_node_forget(tree->nodes, node);
}

/*
 * Drop a child of the tree: a clean one as it is, a dirty one by dropping what
 * it points to.  Recursion is bounded by the tree's height.
 */
static int drop_subtree(struct cdx_tree *tree, uint64_t address, uint32_t crc, uint8_t level)
{
	struct cdx_pointer pointer = {
		.start = address, .count = 1, .crc = crc, .kind = tree->kind, .level = level,
	};

	if (!cdx_is_dirty(address))
		return tree->ops->dropped(tree, &pointer);
	return drop_node(tree, tree->nodes->dirty[address & ~CDX_DIRTY]);
}

/* Drop the items [from, to) of a dirty node: as a node of just those, so that one
 * function knows what items point to, and so that they can be put off as one. */
static int drop_items(struct cdx_tree *tree, struct cdx_node *node, unsigned int from, unsigned int to)
{
	struct cdx_node *gone;
	int ret;

	if (from >= to)
		return 0;
	ret = cdx_node_copy(tree->nodes, node, &gone);
	if (ret)
		return ret;
	cdx_node_remove(gone, to, cdx_node_count(gone) - to);
	cdx_node_remove(gone, 0, from);
	cdx_node_remove(node, from, to - from);
	return drop_node(tree, gone);
}

static int cut_leaf(struct cdx_tree *tree, struct cdx_node *leaf, const struct cdx_key *low,
		    const struct cdx_key *high)
{
	unsigned int words = cdx_kind_shapes[tree->kind].key_words, from, to;

	for (from = 0; from < cdx_node_count(leaf); from++)
		if (cdx_key_compare(words, (le64 *)cdx_node_item(leaf, from), low) >= 0)
			break;
	for (to = from; to < cdx_node_count(leaf); to++)
		if (cdx_key_compare(words, (le64 *)cdx_node_item(leaf, to), high) >= 0)
			break;
	return drop_items(tree, leaf, from, to);
}

/* Drop the children that lie in [low, high) whole. */
static int cut_whole(struct cdx_tree *tree, struct cdx_node *node, const struct cdx_key *low,
		     const struct cdx_key *high, const struct cdx_key *upper)
{
	unsigned int from = 0, to;

	for (; from < cdx_node_count(node); from++) {
		struct cdx_key start = cdx_item_key(node, cdx_node_item(node, from));

		if (cdx_keys_compare(low, &start) <= 0)
			break;
	}
	for (to = from; to < cdx_node_count(node); to++) {
		struct cdx_key end = cdx_tree_child_upper(node, to, upper);

		if (cdx_keys_compare(&end, high) > 0)
			break;
	}
	return drop_items(tree, node, from, to);
}

static int cut_node(struct cdx_tree *tree, struct cdx_node *node, const struct cdx_key *low,
		    const struct cdx_key *high, const struct cdx_key *upper)
{
	unsigned int index = 0;
	int ret;

	if (node->disk.level == 0)
		return cut_leaf(tree, node, low, high);
	ret = cut_whole(tree, node, low, high, upper);
	if (ret)
		return ret;
	/* What is left to be cut are the edges. */
	while (index < cdx_node_count(node)) {
		struct cdx_key start = cdx_item_key(node, cdx_node_item(node, index));
		struct cdx_key end = cdx_tree_child_upper(node, index, upper);
		struct cdx_node *child;

		if (cdx_keys_compare(&end, low) <= 0) {
			index++;
			continue;
		}
		if (cdx_keys_compare(&start, high) >= 0)
			break;
		ret = cdx_tree_child(tree, node, index, upper, &child);
		if (!ret)
			ret = cut_node(tree, child, low, high, &end);
		if (ret)
			return ret;
		if (cdx_node_count(child) == 0) {
			cdx_node_remove(node, index, 1);
			ret = cdx_node_forget(tree->nodes, child);
			if (ret)
				return ret;
			continue;
		}
		cdx_tree_refresh_item(tree, node, index, child, upper);
		index++;
	}
	return 0;
}

int cdx_tree_cut(struct cdx_tree *tree, const struct cdx_key *low, const struct cdx_key *high)
{
	struct cdx_node *root;
	int ret;

	if (!tree->root->address)
		return 0;
	if (low->word[0] == 0 && cdx_keys_compare(high, &tree->upper) >= 0) {
		ret = drop_subtree(tree, tree->root->address, tree->root->crc, tree->root->level);
		*tree->root = (struct cdx_ref){0};
		return ret;
	}
	ret = cdx_tree_root(tree, &root);
	if (!ret)
		ret = cut_node(tree, root, low, high, &tree->upper);
	return ret ? ret : cdx_tree_shrink_root(tree);
}
