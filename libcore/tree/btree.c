// SPDX-License-Identifier: LGPL-2.1-or-later
/* The one B+tree (FORMAT 6): descents that trust nothing (R20), and changes along a path that was shadowed first (I2). */
#include "tree/btree.h"

const struct cdx_key cdx_key_infinite = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}};

static unsigned int key_words(const struct cdx_tree *tree)
{
	return cdx_kind_shapes[tree->kind].key_words;
}

/* Bytes that a node can have. */
static unsigned int room_of(const struct cdx_tree *tree)
{
	return cdx_node_room(tree->kind, tree->nodes->super->node_size);
}

struct cdx_key cdx_tree_child_upper(struct cdx_node *node, unsigned int index, const struct cdx_key *upper)
{
	if (index + 1 < cdx_node_count(node))
		return cdx_item_key(node, cdx_node_item(node, index + 1));
	return *upper;
}

/* ---- reading ------------------------------------------------------------------ */

/*
 * The child of a clean or dirty node, no younger than that, its keys within what the parent
 * says of them (R20): the first equal to the item's, the last below the next item's.
 */
int cdx_tree_get_child(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
		     const struct cdx_key *upper, struct cdx_node **child)
{
	const struct cdx_disk_child *item = cdx_node_child(parent, index);
	unsigned int words = key_words(tree);
	struct cdx_key key, bound;
	int ret;

	ret = cdx_node_get(tree->nodes, get64(item->address), get32(item->crc), tree->kind,
			   (uint8_t)(parent->disk.level - 1), child);
	if (ret)
		return ret;
	key = cdx_item_key(parent, cdx_node_item(parent, index));
	bound = cdx_tree_child_upper(parent, index, upper);
	if ((get64((*child)->disk.birth) <= get64(parent->disk.birth) || parent->amended ||
	     cdx_is_dirty((*child)->address)) &&
	    cdx_key_compare(words, (le64 *)cdx_node_item(*child, 0), &key) == 0 &&
	    cdx_key_compare(words, (le64 *)cdx_node_item(*child, cdx_node_count(*child) - 1), &bound) < 0)
		return 0;
	cdx_node_put(tree->nodes, *child);
	return -EUCLEAN;
}

static int get_root(struct cdx_tree *tree, struct cdx_node **root)
{
	int ret = cdx_node_get(tree->nodes, tree->root->address, tree->root->crc, tree->kind,
			       tree->root->level, root);

	if (ret)
		return ret;
	if (cdx_key_compare(key_words(tree), (le64 *)cdx_node_item(*root, cdx_node_count(*root) - 1),
			    &tree->upper) < 0)
		return 0;
	cdx_node_put(tree->nodes, *root);
	return -EUCLEAN;
}

int cdx_cursor_seek(struct cdx_cursor *cursor, struct cdx_tree *tree, const struct cdx_key *key)
{
	int ret;

	cursor->tree = tree;
	cursor->levels = 0;
	if (!tree->root->address)
		return 0;
	if (tree->root->level > CDX_MAX_LEVEL)
		return -EUCLEAN;
	for (int level = tree->root->level; level >= 0; level--) {
		if (!cursor->levels) {
			ret = get_root(tree, &cursor->node[level]);
			cursor->upper[level] = tree->upper;
		} else {
			unsigned int above = (unsigned int)cursor->index[level + 1];

			ret = cdx_tree_get_child(tree, cursor->node[level + 1], above, &cursor->upper[level + 1],
					&cursor->node[level]);
			cursor->upper[level] =
				cdx_tree_child_upper(cursor->node[level + 1], above, &cursor->upper[level + 1]);
		}
		if (ret) {
			/* Keep the pins where end() finds them. */
			for (int above = level + 1; above <= tree->root->level; above++)
				cdx_node_put(tree->nodes, cursor->node[above]);
			cursor->levels = 0;
			return ret;
		}
		cursor->levels = tree->root->level + 1;
		cursor->index[level] = cdx_node_search(cursor->node[level], key);
		if (level && cursor->index[level] < 0)
			cursor->index[level] = 0;
	}
	return 1;
}

void cdx_cursor_end(struct cdx_cursor *cursor)
{
	for (int level = 0; level < cursor->levels; level++)
		cdx_node_put(cursor->tree->nodes, cursor->node[level]);
	cursor->levels = 0;
}

int cdx_cursor_next(struct cdx_cursor *cursor)
{
	int level = 0, ret;

	if (!cursor->levels)
		return 0;
	while (++cursor->index[level] >= (int)cdx_node_count(cursor->node[level])) {
		if (++level == cursor->levels)
			return 0;
	}
	while (level > 0) {
		unsigned int index = (unsigned int)cursor->index[level];
		struct cdx_node *child;

		ret = cdx_tree_get_child(cursor->tree, cursor->node[level], index, &cursor->upper[level], &child);
		if (ret)
			return ret;
		cursor->upper[level - 1] = cdx_tree_child_upper(cursor->node[level], index, &cursor->upper[level]);
		level--;
		cdx_node_put(cursor->tree->nodes, cursor->node[level]);
		cursor->node[level] = child;
		cursor->index[level] = 0;
	}
	return 1;
}

int cdx_cursor_seek_from(struct cdx_cursor *cursor, struct cdx_tree *tree, const struct cdx_key *key)
{
	int ret = cdx_cursor_seek(cursor, tree, key);

	if (ret > 0 && (!cdx_cursor_at_item(cursor) ||
			cdx_key_compare(key_words(tree), cdx_cursor_item(cursor), key) < 0))
		ret = cdx_cursor_next(cursor);
	return ret;
}

struct cdx_key cdx_cursor_next_key(const struct cdx_cursor *cursor)
{
	return cdx_tree_child_upper(cursor->node[0], (unsigned int)cursor->index[0], &cursor->upper[0]);
}

/* ---- making dirty ---------------------------------------------------------------- */

/* A clean node that nobody else points to or holds becomes the dirty one itself. */
static int take(struct cdx_tree *tree, struct cdx_node *node)
{
	int ret = cdx_node_take(tree->nodes, node);

	if (!ret)
		return tree->ops->taken ? tree->ops->taken(tree, node) : 0;
	cdx_node_put(tree->nodes, node);
	return ret;
}

/* A dirty node in the place of a clean and pinned one, whose holder gives up its pointer to that. */
static int shadow(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index, struct cdx_node *node,
		  struct cdx_node **copy)
{
	int holders = tree->ops->holders ? tree->ops->holders(tree, parent, index, node) : CDX_HOLDERS_OTHERS;
	int ret = holders < 0 ? holders : 0;

	if (holders == CDX_HOLDERS_NONE && node->pins == 1) {
		*copy = node;
		return take(tree, node);
	}
	if (!ret)
		ret = cdx_node_copy(tree->nodes, node, copy);
	if (!ret)
		ret = tree->ops->replaced(tree, parent, (enum cdx_holders)holders, node, *copy);
	cdx_node_put(tree->nodes, node);
	return ret;
}

/* A change that knows nothing of bases meets a dirty node that has one. */
static int without_base(struct cdx_tree *tree, struct cdx_node *node)
{
	return node->base && !tree->borrows ? tree->ops->settle(tree, node) : 0;
}

int cdx_tree_root(struct cdx_tree *tree, struct cdx_node **root)
{
	struct cdx_node *clean;
	int ret;

	ret = get_root(tree, &clean);
	if (ret)
		return ret;
	if (cdx_is_dirty(clean->address)) {
		cdx_node_put(tree->nodes, clean);
		*root = clean;
		return without_base(tree, clean);
	}
	ret = shadow(tree, NULL, 0, clean, root);
	if (!ret)
		tree->root->address = (*root)->address;
	return ret;
}

int cdx_tree_child(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
		   const struct cdx_key *upper, struct cdx_node **child)
{
	struct cdx_disk_child *item = cdx_node_child(parent, index);
	struct cdx_node *clean;
	int ret;

	if (cdx_is_dirty(get64(item->address))) {
		*child = tree->nodes->dirty[get64(item->address) & ~CDX_DIRTY];
		ret = without_base(tree, *child);
		if (ret)
			return ret;
	} else {
		ret = cdx_tree_get_child(tree, parent, index, upper, &clean);
		if (ret)
			return ret;
		ret = shadow(tree, parent, index, clean, child);
		if (ret)
			return ret;
		item->address = put64((*child)->address);
		cdx_node_touch(parent, index);
	}
	if (tree->ops->push_down && tree->ops->push_down(tree, cdx_node_item(parent, index), *child))
		parent->same = (*child)->same = false;
	return 0;
}

/* ---- changing ----------------------------------------------------------------------- */

int cdx_path_settle(const struct cdx_path *path, struct cdx_tree *tree, int level)
{
	int ret = 0;

	for (; level <= path->top && !ret; level++)
		if (path->node[level]->base)
			ret = tree->ops->settle(tree, path->node[level]);
	return ret;
}

int cdx_path_seek(struct cdx_path *path, struct cdx_tree *tree, const struct cdx_key *key)
{
	int ret;

	tree->settled = false;
	path->top = tree->root->level;
	if (path->top > CDX_MAX_LEVEL)
		return -EUCLEAN;
	ret = cdx_tree_root(tree, &path->node[path->top]);
	if (ret)
		return ret;
	path->upper[path->top] = tree->upper;
	for (int level = path->top;; level--) {
		path->index[level] = cdx_node_search(path->node[level], key);
		if (!level)
			return tree->settled ? cdx_path_settle(path, tree, 1) : 0;
		if (path->index[level] < 0)
			path->index[level] = 0;
		ret = cdx_tree_child(tree, path->node[level], (unsigned int)path->index[level],
				     &path->upper[level], &path->node[level - 1]);
		if (ret)
			return ret;
		path->upper[level - 1] = cdx_tree_child_upper(path->node[level], (unsigned int)path->index[level],
						     &path->upper[level]);
	}
}

bool cdx_tree_refresh_item(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
			   struct cdx_node *child, const struct cdx_key *parent_upper)
{
	size_t stride = cdx_kind_shapes[tree->kind].inner_stride;
	unsigned char *item = cdx_node_item(parent, index);
	unsigned char before[CDX_MAX_INNER_ITEM];
	struct cdx_key upper;

	memcpy(before, item, stride);
	memcpy(item, cdx_node_item(child, 0), key_words(tree) * 8);
	if (tree->ops->summarise) {
		upper = cdx_tree_child_upper(parent, index, parent_upper);
		tree->ops->summarise(tree, item, child, &upper);
	}
	if (memcmp(before, item, stride) == 0)
		return false;
	parent->same = false;
	return true;
}

/* Build the inner item for @child in @item, all but its summary. */
static size_t make_item(struct cdx_tree *tree, struct cdx_node *child, unsigned char *item)
{
	size_t stride = cdx_kind_shapes[tree->kind].inner_stride;
	struct cdx_disk_child pointer = {.address = put64(child->address)};

	memset(item, 0, stride);
	memcpy(item, cdx_node_item(child, 0), key_words(tree) * 8);
	memcpy(item + key_words(tree) * 8, &pointer, sizeof(pointer));
	return stride;
}

/*
 * How many items stay in the left half: about half of the bytes, but nearly all
 * when the last item is the new one, so that ascending inserts fill their nodes.
 */
static unsigned int split_point(const struct cdx_tree *tree, struct cdx_node *node, bool ascending)
{
	unsigned int count = cdx_node_count(node), kept = 0;
	size_t bytes = sizeof(struct cdx_disk_node), size;
	size_t limit = ascending ? room_of(tree) : cdx_node_used(node) / 2;

	for (unsigned char *item = cdx_node_item(node, 0); kept + 1 < count; kept++, item += size) {
		size = cdx_item_size(node, item);
		if (kept && bytes + size > limit)
			break;
		bytes += size;
	}
	return kept;
}

static int split(struct cdx_tree *tree, struct cdx_node *node, bool ascending, struct cdx_node **right)
{
	unsigned int kept = split_point(tree, node, ascending), count = cdx_node_count(node);
	unsigned char *from = cdx_node_item(node, kept);
	size_t moved = cdx_node_used(node) - (size_t)(from - cdx_node_bytes(node));
	int ret;

	ret = cdx_node_new(tree->nodes, tree->kind, node->disk.level, right);
	if (ret)
		return ret;
	memcpy(cdx_node_item(*right, 0), from, moved);
	(*right)->disk.used = put16((uint16_t)(sizeof(struct cdx_disk_node) + moved));
	(*right)->disk.count = put16((uint16_t)(count - kept));
	node->disk.used = put16((uint16_t)(cdx_node_used(node) - moved));
	node->disk.count = put16((uint16_t)kept);
	(*right)->base = node->base;
	(*right)->base_crc = node->base_crc;
	/* How it is divided, nobody knows. */
	(*right)->own = node->own = node->base ? CDX_OWN_UNKNOWN : 0;
	node->touched = CDX_TOUCHED_ANY;
	node->same = false;
	return node->base ? tree->ops->based(tree, node) : 0;
}

static int grow_root(struct cdx_tree *tree, struct cdx_path *path)
{
	unsigned char item[CDX_MAX_ITEM];
	struct cdx_node *root;
	int ret;

	if (path->top == CDX_MAX_LEVEL)
		return -ENOSPC;
	ret = cdx_node_new(tree->nodes, tree->kind, (uint8_t)(path->top + 1), &root);
	if (ret)
		return ret;
	cdx_node_insert(root, 0, item, make_item(tree, path->node[path->top], item));
	path->top++;
	path->node[path->top] = root;
	path->index[path->top] = 0;
	path->upper[path->top] = tree->upper;
	tree->root->address = root->address;
	tree->root->level = (uint8_t)path->top;
	return 0;
}

/* Split the path's node at @level until every part fits, telling its parent. */
static int split_level(struct cdx_tree *tree, struct cdx_path *path, int level)
{
	struct cdx_node *node = path->node[level];
	unsigned int index, changed = (unsigned int)path->index[level];

	while (cdx_node_used(node) > room_of(tree)) {
		bool ascending = changed + 1 == cdx_node_count(node);
		unsigned char item[CDX_MAX_ITEM];
		struct cdx_node *right, *parent;
		int ret;

		if (level == path->top) {
			ret = grow_root(tree, path);
			if (ret)
				return ret;
		}
		ret = split(tree, node, ascending, &right);
		if (ret)
			return ret;
		parent = path->node[level + 1];
		index = (unsigned int)path->index[level + 1];
		cdx_node_insert(parent, index + 1, item, make_item(tree, right, item));
		cdx_node_own_more(parent);
		cdx_tree_refresh_item(tree, parent, index, node, &path->upper[level + 1]);
		cdx_tree_refresh_item(tree, parent, index + 1, right, &path->upper[level + 1]);
		path->index[level + 1] = (int)index + 1;
		changed = cdx_node_count(right) - 1;
		node = right;
	}
	return 0;
}

/* After the leaf of @path changed: split what is too full, and set each item above right. */
int cdx_path_repair(struct cdx_path *path, struct cdx_tree *tree)
{
	bool changed = true;
	int ret;

	for (int level = 0; level <= path->top; level++) {
		if (cdx_node_used(path->node[level]) > room_of(tree)) {
			ret = split_level(tree, path, level);
			if (ret)
				return ret;
			changed = true;
		} else if (level < path->top && changed) {
			/* Nothing above an item that stays as it was has to change. */
			changed = cdx_tree_refresh_item(tree, path->node[level + 1],
					       (unsigned int)path->index[level + 1], path->node[level],
					       &path->upper[level + 1]);
		}
	}
	return 0;
}

static struct cdx_key key_of(const struct cdx_tree *tree, const void *item)
{
	struct cdx_key key = {{0}};

	for (unsigned int i = 0; i < key_words(tree); i++)
		key.word[i] = get64(((const le64 *)item)[i]);
	return key;
}

int cdx_tree_insert(struct cdx_tree *tree, const void *item, size_t size)
{
	struct cdx_key key = key_of(tree, item);
	struct cdx_node *leaf;
	struct cdx_path path;
	int ret;

	if (!tree->root->address) {
		ret = cdx_node_new(tree->nodes, tree->kind, 0, &leaf);
		if (ret)
			return ret;
		cdx_node_insert(leaf, 0, item, size);
		*tree->root = (struct cdx_ref){.address = leaf->address};
		return 0;
	}
	ret = cdx_path_seek(&path, tree, &key);
	if (ret)
		return ret;
	leaf = path.node[0];
	if (path.index[0] >= 0 &&
	    cdx_key_compare(key_words(tree), (le64 *)cdx_node_item(leaf, (unsigned int)path.index[0]),
			    &key) == 0)
		return -EEXIST;
	path.index[0]++;
	cdx_node_insert(leaf, (unsigned int)path.index[0], item, size);
	return cdx_path_repair(&path, tree);
}

/* Seek to exactly @key. */
static int path_find(struct cdx_path *path, struct cdx_tree *tree, const struct cdx_key *key)
{
	int ret;

	if (!tree->root->address)
		return -ENOENT;
	ret = cdx_path_seek(path, tree, key);
	if (ret)
		return ret;
	if (path->index[0] < 0 ||
	    cdx_key_compare(key_words(tree),
			    (le64 *)cdx_node_item(path->node[0], (unsigned int)path->index[0]), key) != 0)
		return -ENOENT;
	return 0;
}

int cdx_tree_replace(struct cdx_tree *tree, const void *item, size_t size)
{
	struct cdx_key key = key_of(tree, item);
	unsigned char *old;
	struct cdx_path path;
	int ret;

	ret = path_find(&path, tree, &key);
	if (ret)
		return ret;
	old = cdx_node_item(path.node[0], (unsigned int)path.index[0]);
	if (cdx_item_size(path.node[0], old) == size) {
		cdx_amends_note(tree->nodes, path.node[0], (unsigned int)path.index[0], item);
		memcpy(old, item, size);
	} else {
		cdx_node_remove(path.node[0], (unsigned int)path.index[0], 1);
		cdx_node_insert(path.node[0], (unsigned int)path.index[0], item, size);
	}
	return cdx_path_repair(&path, tree);
}

int cdx_tree_shrink_root(struct cdx_tree *tree)
{
	struct cdx_node *root, *child;
	int ret;

	while (tree->root->address && cdx_is_dirty(tree->root->address)) {
		root = tree->nodes->dirty[tree->root->address & ~CDX_DIRTY];
		if (cdx_node_count(root) == 0) {
			*tree->root = (struct cdx_ref){0};
			return cdx_node_forget(tree->nodes, root);
		}
		if (root->disk.level == 0 || cdx_node_count(root) > 1)
			return 0;
		if (tree->ops->push_down) {
			ret = cdx_tree_child(tree, root, 0, &tree->upper, &child);
			if (ret)
				return ret;
		}
		tree->root->address = get64(cdx_node_child(root, 0)->address);
		tree->root->crc = get32(cdx_node_child(root, 0)->crc);
		tree->root->level--;
		ret = cdx_node_forget(tree->nodes, root);
		if (ret)
			return ret;
	}
	return 0;
}

/* Join the children at @index and @index + 1 of the path's node at @level when they fit into one. */
static int try_merge(struct cdx_tree *tree, struct cdx_path *path, int level, unsigned int index)
{
	struct cdx_node *parent = path->node[level], *left, *right;
	unsigned int limit = tree->nodes->super->node_size * 7 / 8, used;
	struct cdx_node *other;
	bool fits;
	int ret;

	if (index + 1 >= cdx_node_count(parent))
		return 0;
	/* Look before copying: most neighbours are too full. */
	other = path->node[level - 1];
	ret = cdx_tree_get_child(tree, parent, path->index[level] == (int)index ? index + 1 : index,
			&path->upper[level], &right);
	if (ret)
		return ret;
	used = cdx_node_used(right) - (unsigned int)sizeof(struct cdx_disk_node);
	fits = cdx_node_used(other) + used <= limit;
	cdx_node_put(tree->nodes, right);
	if (!fits)
		return 0;
	ret = cdx_tree_child(tree, parent, index, &path->upper[level], &left);
	if (!ret)
		ret = cdx_tree_child(tree, parent, index + 1, &path->upper[level], &right);
	if (ret)
		return ret;
	used = cdx_node_used(right) - (unsigned int)sizeof(struct cdx_disk_node);
	memcpy(cdx_node_item(left, cdx_node_count(left)), cdx_node_item(right, 0), used);
	left->touched = CDX_TOUCHED_ANY;
	left->same = false;
	left->amended |= right->amended;
	left->disk.used = put16((uint16_t)(cdx_node_used(left) + used));
	left->disk.count = put16((uint16_t)(cdx_node_count(left) + cdx_node_count(right)));
	if (get64(left->disk.birth) < get64(right->disk.birth))
		left->disk.birth = right->disk.birth;
	cdx_node_remove(parent, index + 1, 1);
	path->index[level] = (int)index;
	path->node[level - 1] = left;
	ret = cdx_node_forget(tree->nodes, right);
	return ret ? ret : 1;
}

/* After removals from the path's leaf: drop what is empty, merge what is nearly so. */
static int repair_thin(struct cdx_tree *tree, struct cdx_path *path)
{
	int ret;

	for (int level = 0; level < path->top; level++) {
		struct cdx_node *node = path->node[level], *parent = path->node[level + 1];
		unsigned int index = (unsigned int)path->index[level + 1];

		if (cdx_node_count(node) == 0) {
			cdx_node_remove(parent, index, 1);
			ret = cdx_node_forget(tree->nodes, node);
			if (ret)
				return ret;
			/* The left neighbour's bound has moved. */
			if (index && cdx_node_count(parent) && tree->ops->summarise) {
				ret = cdx_tree_child(tree, parent, index - 1, &path->upper[level + 1], &node);
				if (ret)
					return ret;
				cdx_tree_refresh_item(tree, parent, index - 1, node, &path->upper[level + 1]);
			}
			if (index == cdx_node_count(parent) && index)
				path->index[level + 1] = (int)index - 1;
			path->node[level] = NULL;
			continue;
		}
		if (!path->node[level])
			continue;
		if (cdx_node_used(node) < tree->nodes->super->node_size / 3) {
			ret = try_merge(tree, path, level + 1, index);
			if (ret == 0 && index)
				ret = try_merge(tree, path, level + 1, index - 1);
			if (ret < 0)
				return ret;
		}
		cdx_tree_refresh_item(tree, parent, (unsigned int)path->index[level + 1], path->node[level],
			     &path->upper[level + 1]);
	}
	return cdx_tree_shrink_root(tree);
}

int cdx_tree_delete(struct cdx_tree *tree, const struct cdx_key *key)
{
	struct cdx_path path;
	int ret;

	ret = path_find(&path, tree, key);
	if (ret)
		return ret;
	cdx_node_remove(path.node[0], (unsigned int)path.index[0], 1);
	return repair_thin(tree, &path);
}
