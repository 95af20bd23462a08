/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The nodes of all trees, as met (FORMAT 6): each is read and judged once,
 * however many pointers lead to it, and all pointers are counted.
 */
#ifndef CDX_CHECK_TREE_H
#define CDX_CHECK_TREE_H

#include "check/context.h"
#include "check/refs.h"

#define CDX_KEY_WORDS 3

struct cdx_seen_extent {
	uint64_t file_block, disk_block;
	uint32_t count, flags;
};

enum cdx_seen_state {
	CDX_SEEN_UNUSED,		/* no pointer to it was right so far */
	CDX_SEEN_BAD,			/* not usable through any pointer; reported */
	CDX_SEEN_LOST,			/* a file's, and cannot be read: not reported yet */
	CDX_SEEN_WALKED,		/* sound, and what is below has been walked too */
};

/* What is remembered of each node met, so that it is read once however many share it. */
struct cdx_seen {
	uint64_t grain;
	uint64_t first[CDX_KEY_WORDS], last[CDX_KEY_WORDS];	/* keys in it */
	uint64_t inode;			/* the first seen to own it, or 0 */
	uint64_t birth;
	uint32_t crc;
	uint32_t parent;		/* index of the first node to point here, or CDX_NONE */
	uint32_t pointers;		/* from nodes, inodes and the record; stops at UINT32_MAX */
	uint8_t kind, level;
	uint8_t state;			/* enum cdx_seen_state */
	bool live;			/* belongs to a file */
	bool based;			/* borrows, and so is nobody's base (FORMAT 6.4) */
	bool shared;			/* it, or a node above it, has more than one pointer */
	bool lends;			/* is the base of one that borrows */
	/* Of an extent tree's node, what its subtree holds: extent.c's. */
	struct cdx_seen_extent first_extent, last_extent;	/* count 0: not known */
	uint64_t mapped_end;		/* file block after the last mapped one */
	uint64_t mapped_last;		/* disk block of that one */
};

struct cdx_seen_table {
	struct cdx_seen *nodes;		/* in the order in which they were met: parents first */
	size_t count, capacity;
	uint32_t *slots;		/* open addressing by grain: index + 1, or 0 */
	size_t slot_count;		/* a power of two */
};

/* What the record says of nodes that stay where they are (FORMAT 4.3): what of it makes sense by itself. */
struct cdx_amends {
	struct cdx_disk_amend list[CDX_MAX_AMENDS];
	unsigned int count;
};

struct cdx_trees {
	struct cdx_seen_table seen;
	struct cdx_amends amends;	/* amend.c's; no two of one node's item */
	struct cdx_refs refs;		/* all pointers, to nodes, data and what is held */
	unsigned char *buffers;		/* a node for each kind and level */
	uint64_t unwritten_blocks, unwritten_extents;	/* seen in leaves and inodes */
	bool pointers_incomplete;	/* some were not counted: their holder could not be used */
	size_t lost;			/* nodes in CDX_SEEN_LOST */
};

/* A node in DRAM that holds up on its own. */
struct cdx_view {
	const unsigned char *bytes;
	const void *items;		/* within bytes */
	const void *base_items;		/* of the node that it borrows from, or NULL */
	uint16_t base_count;
	bool base_lost;			/* it has one that cannot be used: what is borrowed is not known */
	uint64_t grain;
	uint32_t index;			/* in the seen table */
	uint64_t high;			/* first word of the bound of its keys, if it has_high */
	uint16_t count, used;
	uint8_t kind, level;
	bool has_high;
};

struct cdx_walk;

/* What a walk does with the nodes of its tree; 0 or -errno, which ends the check. */
struct cdx_walk_ops {
	int (*leaf)(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *node);
	/* Around each child of an inner node; leave's @child is CDX_NONE when it cannot be used. */
	void (*enter)(struct cdx_walk *walk, const struct cdx_view *node, const void *item);
	int (*leave)(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *node,
		     const void *item, uint32_t child);
};

struct cdx_walk {
	const struct cdx_walk_ops *ops;
	uint64_t inode;			/* whose extents these are, or 0 */
	bool live;			/* a file's, not what limbo or staging holds */
	bool broken;			/* set when a node could not be used */
	void *arg;
};

int cdx_trees_init(struct cdx_trees *trees, const struct cdx_super *super);
void cdx_trees_exit(struct cdx_trees *trees);

/* The index of the node at @grain, or CDX_NONE. */
uint32_t cdx_seen_find(struct cdx_check *ck, uint64_t grain);
/* Room for one node of this kind and level. */
unsigned char *cdx_check_node_buffer(struct cdx_check *ck, uint8_t kind, uint8_t level);
/* Whether an amendment is of the node's item of that number, from 0. */
bool cdx_check_is_amended(const struct cdx_check *ck, uint64_t grain, unsigned int number);
/*
 * Read a node judged before, as amended, into *@buffer of node_size bytes; false, and reported,
 * where the media fails.
 */
bool cdx_check_read_node(struct cdx_check *ck, const struct cdx_seen *seen, void *buffer);
/* The same for bytes as they are on media. */
bool cdx_check_read_grain(struct cdx_check *ck, uint64_t grain, void *buffer);
/* Walk the tree at @ref; *@root, which may be NULL, is CDX_NONE if it is empty or not usable. */
int cdx_check_tree(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_disk_ref *ref,
		   enum cdx_kind kind, uint32_t parent, uint32_t *root);
/* The same for a limbo entry's tree, whose top node has limbo as its pointer. */
int cdx_check_limbo_tree(struct cdx_check *ck, struct cdx_walk *walk,
			 const struct cdx_disk_limbo *limbo);

#endif
