/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checker: what its passes share.  It judges independently: nothing here
 * uses the code that changes images, only the layers up to super.
 *
 *	1  superblocks and commit slots		media.c
 *	2  inodes, names and extents		fs.c, extent.c
 *	3  directories				dir.c
 *	4  reserves, limbo, staging		held.c
 *	5  space, and all reference counts	space.c, refs.c
 *	   the data itself, on request		data.c
 *
 * Last of all, what the media has lost is laid to the files that own it
 * (owners.c).
 *
 * A pass collects facts in the tables below and reports what contradicts
 * FORMAT.  Where part of a tree cannot be used, the checks that would need it
 * to be known are left out: the flags *_incomplete say which.
 */
#ifndef CDX_CHECK_H
#define CDX_CHECK_H

#include "check/problem.h"
#include "check/refs.h"
#include "tree/super.h"

/* ---- nodes ------------------------------------------------------------------ */

#define CDX_KEY_WORDS 3
#define CDX_NONE UINT32_MAX

struct cdx_seen_extent {
	uint64_t file_block, disk_block;
	uint32_t count, flags;
};

enum cdx_seen_state {
	CDX_SEEN_UNUSED,		/* no pointer to it was right so far */
	CDX_SEEN_BAD,			/* not usable through any pointer; reported */
	CDX_SEEN_LOST,			/* a file's, and cannot be read: owners.c reports it */
	CDX_SEEN_WALKED,		/* sound, and what is below has been walked too */
};

/* What is remembered of each node met, so that it is read once however many share it. */
struct cdx_seen {
	uint64_t grain;
	uint64_t first[CDX_KEY_WORDS], last[CDX_KEY_WORDS];	/* keys in it */
	uint64_t inode;			/* the first seen to own it, or 0 */
	uint32_t crc;
	uint32_t parent;		/* index of the first node to point here, or CDX_NONE */
	uint32_t pointers;		/* from nodes, inodes and the record; stops at UINT32_MAX */
	uint8_t kind, level;
	uint8_t state;			/* enum cdx_seen_state */
	bool live;			/* belongs to a file */
	bool shared;			/* it, or a node above it, has more than one pointer */
	bool lossy;			/* it, or something below it, cannot be read */
	bool owned;			/* lost, and reported of a file */
	/* Of an extent tree's node, what its subtree holds. */
	struct cdx_seen_extent first_extent, last_extent;	/* count 0: not known */
	uint64_t mapped_end;		/* file block after the last mapped one */
	uint64_t mapped_last;		/* disk block of that one */
};

struct cdx_seen_table {
	struct cdx_seen *nodes;		/* in the order in which they were met */
	size_t count, capacity;
	uint32_t *slots;		/* open addressing by grain: index + 1, or 0 */
	size_t slot_count;		/* a power of two */
};

/* A node in DRAM that holds up on its own. */
struct cdx_view {
	const unsigned char *bytes;
	const void *items;		/* within bytes */
	uint64_t grain;
	uint32_t index;			/* in the seen table */
	uint64_t high;			/* first word of the bound of its keys, if it has_high */
	uint16_t count, used;
	uint8_t kind, level;
	bool has_high;
};

/* A pointer to a node, with what it promises of the node. */
struct cdx_link {
	uint64_t grain;
	uint32_t crc;
	uint32_t parent;		/* index in the seen table, or CDX_NONE for a root */
	uint8_t kind, level;
	bool limbo;			/* a limbo entry's pointer */
	bool has_high;
	uint64_t low[CDX_KEY_WORDS];	/* of a child: exactly its first key */
	uint64_t high[CDX_KEY_WORDS];	/* all its keys are below */
};

struct cdx_check;
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

/* ---- inodes and names -------------------------------------------------------- */

enum cdx_seen_inode_flags {
	CDX_INODE_BAD = 1,		/* reported; its type is not known */
	CDX_INODE_DIRECTORY = 2,
	CDX_INODE_PARENT_OK = 4,	/* a name was found where parent says */
	CDX_INODE_ABSENT = 8,		/* stands in for a missing root */
	CDX_INODE_CLIMBING = 16,
	CDX_INODE_CONNECTED = 32,	/* leads to the root */
	CDX_INODE_DETACHED = 64,
	CDX_INODE_LOOP = 128,		/* one of those that contain each other */
};

struct cdx_seen_inode {
	uint64_t inode;
	uint64_t parent, size;		/* of a directory, as stored */
	uint32_t name;			/* index of a name of it, or CDX_NONE */
	uint32_t nlink;			/* as stored */
	uint32_t names;			/* dirents that lead to it */
	uint32_t entries, subdirectories;	/* of a directory, as counted */
	uint8_t type, flags;		/* S_IFMT >> 12; enum cdx_seen_inode_flags */
};

struct cdx_seen_name {
	uint64_t target;		/* inode number */
	uint64_t grain;			/* the leaf that holds it */
	uint32_t directory;		/* index of the inode it is in */
	uint16_t offset;		/* of the item in the leaf */
	uint8_t type;
};

struct cdx_files {
	struct cdx_seen_inode *inodes;	/* by ascending number */
	size_t inode_count, inode_capacity;
	struct cdx_seen_name *names;
	size_t name_count, name_capacity;
	uint64_t directory;		/* whose names came last, and by which hash: */
	uint64_t hash;
	unsigned char *chain;		/* names of equal hash, each after its length byte */
	size_t chain_used;
	uint32_t steps;			/* taken to make paths: bounded */
};

/* ---- what cannot be read ------------------------------------------------------ */

struct cdx_bad_run {
	uint64_t start, end;		/* grains */
	bool owned;			/* reported of a file */
};

struct cdx_bad_runs {
	struct cdx_bad_run *runs;
	size_t count, capacity;
};

struct cdx_media {
	struct cdx_event_set mapped;	/* the data to be read: what files have mapped */
	struct cdx_bad_runs data;	/* what of it cannot be, by ascending start, disjoint */
	bool nodes_lost;		/* there are CDX_SEEN_LOST nodes */
	uint32_t steps;			/* taken to find owners: bounded */
};

/* ---- everything --------------------------------------------------------------- */

#define CDX_SPACE_UNKNOWN (UINT64_C(1) << 63)	/* in start: a stretch that could not be read */
struct cdx_space_run {
	uint64_t start;			/* grains */
	uint64_t refcount;
};

struct cdx_seen_drop { uint64_t address, transaction; };

struct cdx_held_finding {
	enum cdx_problem problem;
	struct cdx_finding finding;
};

struct cdx_check {
	const struct cowdax_check_options *options;
	struct cdx_device device;
	struct cdx_super super;
	union {
		struct cdx_disk_commit record;	/* the newest; its lists follow it */
		unsigned char slot[CDX_SLOT_SIZE];
	};
	uint64_t transaction;
	struct cowdax_check_summary summary;

	unsigned char *buffers;		/* a node for each kind and level, then a block */
	struct cdx_seen_table seen;
	struct cdx_refs refs;
	struct cdx_files files;
	struct cdx_space_run *space;	/* runs, each up to the next one's start */
	size_t space_count, space_capacity;
	struct cdx_seen_drop *drops;	/* DROP entries of limbo */
	size_t drop_count, drop_capacity;
	struct cdx_media media;

	bool fs_incomplete;		/* inodes or names are missing from the tables */
	bool pointers_incomplete;	/* pointers were not counted */
	bool space_incomplete;

	bool holding;			/* keep findings until their paths are known */
	struct cdx_held_finding *held;
	size_t held_count;
	int pass;
};

/* problem.c */
void cdx_report(struct cdx_check *ck, enum cdx_problem problem, const struct cdx_finding *finding);
/* From hold to release, findings wait for the names that lead to their inodes. */
int cdx_report_hold(struct cdx_check *ck);
void cdx_report_release(struct cdx_check *ck);
void cdx_check_progress(struct cdx_check *ck, int pass, uint64_t current, uint64_t maximum);
static inline void cdx_report_inode(struct cdx_check *ck, enum cdx_problem problem, uint64_t inode)
{
	cdx_report(ck, problem, &(struct cdx_finding){.inode = inode});
}

/* media.c: fills in super, record and transaction; *go_on tells whether there is a record. */
int cdx_check_media(struct cdx_check *ck, const char *path, bool *go_on,
		    struct cowdax_error *error);

/* tree.c */
int cdx_seen_init(struct cdx_check *ck);
void cdx_seen_exit(struct cdx_check *ck);
/* The index of the node at @grain, or CDX_NONE. */
uint32_t cdx_seen_find(struct cdx_check *ck, uint64_t grain);
/* Room for one node of this kind and level. */
unsigned char *cdx_check_node_buffer(struct cdx_check *ck, uint8_t kind, uint8_t level);
/* Read @grain into *@buffer of node_size bytes; false, and reported, where the media fails. */
bool cdx_check_read_grain(struct cdx_check *ck, uint64_t grain, void *buffer);
/* Walk the tree at @ref; *@root, which may be NULL, is CDX_NONE if it is empty or not usable. */
int cdx_check_tree(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_disk_ref *ref,
		   enum cdx_kind kind, uint32_t parent, uint32_t *root);
/* The same for a limbo entry's tree, whose top node has limbo as its pointer. */
int cdx_check_limbo_tree(struct cdx_check *ck, struct cdx_walk *walk,
			 const struct cdx_disk_limbo *limbo);
size_t cdx_check_item_size(const struct cdx_disk_fs_item *item);

/* extent.c */
extern const struct cdx_walk_ops cdx_extent_walk_ops;
struct cdx_file_extents {
	const struct cdx_disk_inode *disk;
	const void *value;		/* what follows the inode: inline extents or a reference */
	uint64_t inode;
	uint32_t leaf;			/* index of the node that the inode is in */
	bool directory;
};
/* The extents of one inode, whose layout and length fit. */
int cdx_check_file_extents(struct cdx_check *ck, const struct cdx_file_extents *file);
/* Counts extents and shared ones, when all have been met and sorted. */
void cdx_check_count_shared(struct cdx_check *ck);

/* fs.c */
int cdx_check_fs(struct cdx_check *ck);
/* The item at *@offset of a leaf judged before, or NULL if it does not fit; moves *@offset on. */
const struct cdx_disk_fs_item *cdx_check_next_item(struct cdx_check *ck, const unsigned char *bytes,
						   size_t *offset);
/* Whether @item is an inode whose extents can be found; if so, fills in disk, value and inode. */
bool cdx_check_item_extents(const struct cdx_disk_fs_item *item, struct cdx_file_extents *file);
struct cdx_seen_inode *cdx_check_find_inode(const struct cdx_files *files, uint64_t inode);
/* The inode whose data in one block @grain lies, where @owner is the data event's owner; or 0. */
uint64_t cdx_check_owner_inode(struct cdx_check *ck, uint32_t owner, uint64_t grain);

/* dir.c */
int cdx_check_directories(struct cdx_check *ck);
/* A path to @inode, to be freed; NULL when there is none or it is too long. */
char *cdx_check_path(struct cdx_check *ck, uint64_t inode);

/* held.c */
int cdx_check_held(struct cdx_check *ck);

/* space.c */
int cdx_check_space(struct cdx_check *ck);

/* data.c: nothing unless asked for. */
int cdx_check_data(struct cdx_check *ck);
/* One more at the end, or what extends the last one. */
int cdx_bad_runs_add(struct cdx_bad_runs *bad, uint64_t start, uint64_t end);

/* owners.c */
int cdx_check_owners(struct cdx_check *ck);

#endif
