/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inodes and names found in the file tree, and the paths that they make. */
#ifndef CDX_CHECK_FILES_H
#define CDX_CHECK_FILES_H

#include "check/context.h"

#define CDX_TYPE_SHIFT 12		/* of S_IFMT in a mode */

enum cdx_seen_inode_flags {
	CDX_INODE_BAD = 1,		/* reported; its type is not known */
	CDX_INODE_DIRECTORY = 2,
	CDX_INODE_PARENT_OK = 4,	/* a name was found where parent says */
	CDX_INODE_ABSENT = 8,		/* stands in for a missing root */
	CDX_INODE_CLIMBING = 16,
	CDX_INODE_CONNECTED = 32,	/* leads to the root */
	CDX_INODE_DETACHED = 64,
	CDX_INODE_LOOP = 128,		/* one of those that contain each other */
	CDX_INODE_REMOVED = 256,	/* an orphan item names it */
};

struct cdx_seen_inode {
	uint64_t inode;
	uint64_t parent, size;		/* of a directory, as stored */
	uint32_t name;			/* index of a name of it, or CDX_NONE */
	uint32_t nlink;			/* as stored */
	uint32_t names;			/* dirents that lead to it */
	uint32_t entries, subdirectories;	/* of a directory, as counted */
	uint8_t type;			/* S_IFMT >> 12 */
	uint16_t flags;			/* enum cdx_seen_inode_flags */
};

struct cdx_seen_name {
	uint64_t target;		/* inode number */
	uint64_t grain;			/* the leaf that holds it */
	uint32_t directory;		/* index of the inode it is in */
	uint16_t offset;		/* of the item in the leaf */
	uint8_t type;
};

struct cdx_files {
	struct cdx_seen_inode *inodes;	/* by ascending number; the root, or its stand-in, first */
	size_t inode_count, inode_capacity;
	struct cdx_seen_name *names;
	size_t name_count, name_capacity;
	uint64_t *orphans;		/* inode numbers in orphan items, ascending */
	size_t orphan_count, orphan_capacity;
	bool incomplete;		/* inodes or names are missing from the tables */
	uint32_t steps;			/* taken to make paths: bounded */
};

void cdx_files_exit(struct cdx_files *files);
int cdx_files_add_inode(struct cdx_files *files, const struct cdx_seen_inode *inode);
int cdx_files_add_name(struct cdx_files *files, const struct cdx_seen_name *name);
int cdx_files_add_orphan(struct cdx_files *files, uint64_t inode);
struct cdx_seen_inode *cdx_files_find(const struct cdx_files *files, uint64_t inode);
/* The directory that @inode is in; NULL at the root, or where no name leads on. */
struct cdx_seen_inode *cdx_files_above(const struct cdx_files *files,
				       const struct cdx_seen_inode *inode);
/* A path to @inode, to be freed; NULL when there is none or it is too long. */
char *cdx_files_path(struct cdx_check *ck, struct cdx_files *files, uint64_t inode);

#endif
