// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whose the nodes of a file's extents are: what is shared (I3), what is borrowed, what only a
 * base has (FORMAT 6.4), and making a way to a block the file's own, node by node (R17).
 */
#include "fs/extent_share.h"

#include "tree/borrow.h"

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

/* 1 when a node's base is somebody else's, too: what is borrowed from one's own is one's own. */
static int borrows_from_others(struct cdx_txn *txn, const struct cdx_node *node)
{
	return node->base ? has_another(txn, node->base) : 0;
}

/* A base that cannot be read is somebody's all the same, and who only looks can do without it. */
static int even_if_lost(int borrowed)
{
	return borrowed == -EIO || borrowed == -EUCLEAN ? 1 : borrowed;
}

/* 1 when the cursor's node at @level has more than one pointer, or its child there is borrowed. */
static int level_shared(struct cdx_txn *txn, const struct cdx_cursor *cursor, int level)
{
	struct cdx_node *node = cursor->node[level];
	int ret = has_another(txn, node->address);

	if (ret || !level)
		return ret;
	ret = borrows_from_others(txn, node);
	if (ret <= 0)
		return ret;
	return even_if_lost(cdx_child_borrowed(&txn->nodes, node, (unsigned int)cursor->index[level]));
}

/*
 * Whether that is so for any node of the cursor's path, or its leaf borrows @block.  The
 * answer holds for *run blocks at most.
 */
int cdx_path_shared(struct cdx_txn *txn, const struct cdx_cursor *cursor, uint64_t block, bool *shared,
		    uint64_t *run)
{
	int ret = 0;

	*run = UINT64_MAX;
	for (int level = cursor->levels - 1; level >= 0 && !ret; level--)
		ret = level_shared(txn, cursor, level);
	if (!ret) {
		ret = borrows_from_others(txn, cursor->node[0]);
		if (ret > 0)
			ret = even_if_lost(cdx_extent_borrowed(&txn->nodes, cursor->node[0],
							       cdx_cursor_item(cursor), block, run));
	}
	*shared = ret > 0;
	return ret < 0 ? ret : 0;
}


/* ---- making it one's own ------------------------------------------------------------------- */

/* Whether a node's own copy is worth a transaction of its own: it has another pointer, or a base to give up. */
static int is_work(struct cdx_txn *txn, struct cdx_tree *tree, uint64_t address, uint32_t crc, uint8_t level)
{
	int ret = has_another(txn, address);
	struct cdx_node *node;

	if (ret)
		return ret;
	ret = cdx_node_get(tree->nodes, address, crc, tree->kind, level, &node);
	if (ret)
		return ret;
	ret = node->base != 0;
	cdx_node_put(tree->nodes, node);
	return ret;
}

int cdx_extents_own(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	struct cdx_key key = cdx_block_key(block), upper = tree.upper;
	struct cdx_node *node;
	int shared, ret;

	if (map->layout != CDX_LAYOUT_TREE)
		return 0;
	shared = is_work(txn, &tree, map->root.address, map->root.crc, map->root.level);
	ret = shared < 0 ? shared : cdx_tree_root(&tree, &node);
	while (!ret && !shared && node->disk.level) {
		int index = cdx_node_search(node, &key);
		unsigned int at = index < 0 ? 0 : (unsigned int)index;
		struct cdx_key bound = cdx_tree_child_upper(node, at, &upper);

		shared = is_work(txn, &tree, get64(cdx_node_child(node, at)->address),
				 get32(cdx_node_child(node, at)->crc), (uint8_t)(node->disk.level - 1));
		if (shared < 0)
			return shared;
		ret = cdx_tree_child(&tree, node, at, &upper, &node);
		upper = bound;
	}
	return ret ? ret : shared;
}

/* ---- what a base hides ---------------------------------------------------------------------- */

struct hiding {
	struct cdx_txn *txn;
	struct cdx_tree tree;
	bool all;
	uint64_t block;
};

static int find_hiding(struct hiding *hiding, struct cdx_node *node, const struct cdx_key *upper);

/* The same below the child at @index, unless that is others' too. */
static int find_hiding_below(struct hiding *hiding, struct cdx_node *node, unsigned int index,
			     const struct cdx_key *upper)
{
	struct cdx_tree *tree = &hiding->tree;
	struct cdx_key bound = cdx_tree_child_upper(node, index, upper);
	struct cdx_node *child;
	int ret = 0;

	if (bound.word[0] <= hiding->block)
		return 0;
	if (!hiding->all)
		ret = has_another(hiding->txn, get64(cdx_node_child(node, index)->address));
	if (!hiding->all && !ret)
		ret = cdx_child_borrowed(tree->nodes, node, index);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = cdx_tree_get_child(tree, node, index, upper, &child);
	if (ret)
		return ret;
	ret = find_hiding(hiding, child, &bound);
	cdx_node_put(tree->nodes, child);
	return ret;
}

static int find_hiding(struct hiding *hiding, struct cdx_node *node, const struct cdx_key *upper)
{
	uint64_t first = get64(*(le64 *)cdx_node_item(node, 0));
	int ret = !node->base;

	if (node->base && !hiding->all)
		ret = has_another(hiding->txn, node->base);
	if (!ret) {
		hiding->block = first > hiding->block ? first : hiding->block;
		return 1;
	}
	for (unsigned int i = 0; ret >= 0 && node->disk.level && i < cdx_node_count(node); i++) {
		ret = find_hiding_below(hiding, node, i, upper);
		if (ret)
			return ret;
	}
	return ret < 0 ? ret : 0;
}

int cdx_extents_find_hiding(struct cdx_txn *txn, struct cdx_extents *map, bool all, uint64_t *block)
{
	struct hiding hiding = {
		.txn = txn, .tree = cdx_txn_extents(txn, &map->root), .all = all, .block = *block,
	};
	struct cdx_node *root;
	int ret = 0;

	if (map->layout != CDX_LAYOUT_TREE || !map->root.address)
		return 0;
	if (!all)
		ret = has_another(txn, map->root.address);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = cdx_node_get(&txn->nodes, map->root.address, map->root.crc, CDX_KIND_EXTENT, map->root.level,
			   &root);
	if (ret)
		return ret;
	ret = find_hiding(&hiding, root, &hiding.tree.upper);
	cdx_node_put(&txn->nodes, root);
	*block = hiding.block;
	return ret;
}

int cdx_extents_settle(struct cdx_txn *txn, struct cdx_extents *map, uint64_t block)
{
	struct cdx_tree tree = cdx_txn_extents(txn, &map->root);
	struct cdx_key key = cdx_block_key(block);
	struct cdx_path path;

	return cdx_path_seek(&path, &tree, &key);
}
