/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one B+tree (FORMAT 6): shadowing, shared nodes, whole subtrees dropped at
 * once.  After Rodeh, "B-trees, shadowing, and clones" (2008).
 *
 * A change first makes the path to its leaf dirty.  What that means for the
 * nodes left behind, who counts references, and where dropped pointers go is
 * the business of the transaction, through struct cdx_tree_ops.
 */
#ifndef CDX_BTREE_H
#define CDX_BTREE_H

#include "tree/node.h"

#define CDX_LEVELS (CDX_MAX_LEVEL + 1)

struct cdx_tree;

enum cdx_holders {
	CDX_HOLDERS_NONE,		/* nobody else */
	CDX_HOLDERS_OTHERS,		/* others */
	CDX_HOLDERS_BASE,		/* others, and its holder is none: it borrows the pointer from its base */
};

struct cdx_tree_ops {
	/*
	 * Who points to the clean @node beside its holder, the item at @index of @parent (NULL for the root): one of
	 * enum cdx_holders, or -errno.  NULL: others may.  Where nobody does it is changed where it is in DRAM, and
	 * keeps its home on media for as long as the record can amend what lies there.
	 */
	int (*holders)(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
		       const struct cdx_node *node);
	/* It has been taken so (NULL: that is all). */
	int (*taken)(struct cdx_tree *tree, struct cdx_node *node);
	/* Else @node has been copied, and its holder points to the copy now (I3): it will say so only after this. */
	int (*replaced)(struct cdx_tree *tree, struct cdx_node *parent, enum cdx_holders holders,
			struct cdx_node *node, struct cdx_node *copy);
	/* A dirty node gives its base up (FORMAT 6.4); and one more has the same as @node.  NULL where none has one. */
	int (*settle)(struct cdx_tree *tree, struct cdx_node *node);
	int (*based)(struct cdx_tree *tree, const struct cdx_node *node);
	/* A pointer out of the tree goes away. */
	int (*dropped)(struct cdx_tree *tree, const struct cdx_pointer *pointer);
	/* Take over in one piece what @node points to; it is dirty, and nothing leads to it.
	 * 1, and it is gone; 0 when its pointers had better be dropped one by one.  May be NULL. */
	int (*put_off)(struct cdx_tree *tree, struct cdx_node *node);
	/* For trees whose inner items carry more: what the item says of its child moves
	 * into the dirty child, if it says anything; and the item is made to say what is so. */
	bool (*push_down)(struct cdx_tree *tree, unsigned char *item, struct cdx_node *child);
	void (*summarise)(struct cdx_tree *tree, unsigned char *item, struct cdx_node *child,
			  const struct cdx_key *upper);
};

struct cdx_tree {
	struct cdx_nodes *nodes;
	const struct cdx_tree_ops *ops;
	void *owner;			/* for ops */
	struct cdx_ref *root;
	uint8_t kind;
	bool borrows;			/* changes keep bases, and give one to what they copy */
	bool settled;			/* a node of the path under way has given up its base */
	struct cdx_key upper;		/* no key is at or above it */
};

extern const struct cdx_key cdx_key_infinite;

/* ---- reading ------------------------------------------------------------------ */

/*
 * A place in a tree.  Between seek and end the tree must not change.
 * node[0] is the leaf; node[l] and index[l] for each level above.
 */
struct cdx_cursor {
	struct cdx_tree *tree;
	struct cdx_node *node[CDX_LEVELS];
	int index[CDX_LEVELS];
	struct cdx_key upper[CDX_LEVELS];	/* bound of node[l] */
	int levels;				/* 0: not placed */
};

/* Go to the last item with a key not above @key, or before the first item when
 * there is none (index -1).  1; 0 when the tree is empty; -errno. */
int cdx_cursor_seek(struct cdx_cursor *cursor, struct cdx_tree *tree, const struct cdx_key *key);
/* Go to the first item with a key not below @key: 1; 0 when there is none; -errno. */
int cdx_cursor_seek_from(struct cdx_cursor *cursor, struct cdx_tree *tree, const struct cdx_key *key);
/* Go to the next or previous item: 1; 0 when there is none (then only end is allowed); -errno. */
int cdx_cursor_next(struct cdx_cursor *cursor);
/* Every seek, whatever it returned, needs its end. */
void cdx_cursor_end(struct cdx_cursor *cursor);

static inline bool cdx_cursor_at_item(const struct cdx_cursor *cursor)
{
	return cursor->levels && cursor->index[0] >= 0;
}

static inline void *cdx_cursor_item(const struct cdx_cursor *cursor)
{
	return cdx_node_item(cursor->node[0], (unsigned int)cursor->index[0]);
}

/* The key of the next item, or the leaf's upper bound when it is the leaf's last. */
struct cdx_key cdx_cursor_next_key(const struct cdx_cursor *cursor);

/* ---- changing ------------------------------------------------------------------- */

/* Add an item whose key is not in the tree yet (-EEXIST). */
int cdx_tree_insert(struct cdx_tree *tree, const void *item, size_t size);
/* Put @item in the place of the one with the same key (-ENOENT). */
int cdx_tree_replace(struct cdx_tree *tree, const void *item, size_t size);
/* Take an item out; its pointers are the caller's to care for (-ENOENT). */
int cdx_tree_delete(struct cdx_tree *tree, const struct cdx_key *key);
/* Take out all items with low <= key < high, whole subtrees at once, and drop
 * all their pointers. */
int cdx_tree_cut(struct cdx_tree *tree, const struct cdx_key *low, const struct cdx_key *high);
/*
 * A path of dirty nodes from the root (level top) to a leaf, with the bound of
 * each.  For changes in place: seek, change the leaf's items (by up to
 * CDX_MAX_ITEM bytes more), repair.  index[0] is the last item not above the
 * key, or -1.  Not for an empty tree, and the leaf must not become empty.
 */
struct cdx_path {
	struct cdx_node *node[CDX_LEVELS];
	int index[CDX_LEVELS];
	struct cdx_key upper[CDX_LEVELS];
	int top;
};
int cdx_path_seek(struct cdx_path *path, struct cdx_tree *tree, const struct cdx_key *key);
int cdx_path_repair(struct cdx_path *path, struct cdx_tree *tree);
/*
 * The path's nodes from @level on give up their bases.  Where a node has, those above it do:
 * what an inner base hides stays within what the nodes below differ from theirs.
 */
int cdx_path_settle(const struct cdx_path *path, struct cdx_tree *tree, int level);

/* The child at @index, read-only and pinned, checked against the parent's items and @upper (R20). */
int cdx_tree_get_child(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
		       const struct cdx_key *upper, struct cdx_node **child);
/* The dirty child at @index of the dirty node @parent, which is bounded by @upper. */
int cdx_tree_child(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
		   const struct cdx_key *upper, struct cdx_node **child);
/* The dirty root; not for an empty tree. */
int cdx_tree_root(struct cdx_tree *tree, struct cdx_node **root);
/* Upper bound of the child at @index of a node bounded by @upper. */
struct cdx_key cdx_tree_child_upper(struct cdx_node *node, unsigned int index, const struct cdx_key *upper);
/* Make the item for the child at @index of @parent say what is so; whether it did not before. */
bool cdx_tree_refresh_item(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
			   struct cdx_node *child, const struct cdx_key *parent_upper);
/* A root that has one child or nothing left gives way. */
int cdx_tree_shrink_root(struct cdx_tree *tree);

/*
 * Write out all dirty nodes at and below a pointer, children first, taking
 * addresses from @take (which fails when there are none left).  A node of which
 * the record can amend what has changed stays where it is.
 */
typedef int cdx_take_fn(void *arg, uint64_t *address);
int cdx_tree_write(struct cdx_nodes *nodes, struct cdx_ref *root, uint8_t kind, cdx_take_fn *take,
		   void *arg);

#endif
