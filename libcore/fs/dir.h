/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories (FORMAT 9.2) and paths. */
#ifndef CDX_DIR_H
#define CDX_DIR_H

#include "fs/inode.h"

/* The inode that @name stands for in directory @dir: -ENOENT. */
int cdx_dir_find(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length, uint64_t *inode,
		 uint32_t *type);
/* Add or remove a name; @dir's size and, for a directory, nlink follow, in memory. */
int cdx_dir_add(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		const struct cdx_inode *inode);
int cdx_dir_remove(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		   uint32_t type);

struct cdx_dir_entry {
	uint64_t inode;
	uint32_t type;			/* S_IFMT bits */
	size_t length;
	char name[CDX_NAME_MAX + 1];	/* terminated for convenience */
};
/* The first entry with a hash key at or after *@cursor (0 to start), which moves
 * behind it: 1, 0 at the end. */
int cdx_dir_next(struct cdx_txn *txn, uint64_t dir, uint64_t *cursor, struct cdx_dir_entry *entry);

/* What a path leads to. */
struct cdx_place {
	uint64_t dir;			/* where the last component is, or would be; 0 for the root and ino:N */
	const char *name;		/* the last component, in the caller's path */
	size_t length;
	uint64_t inode;			/* what it names; 0: nothing yet */
	bool want_directory;		/* the path ends in "/" */
};
/*
 * Walk @path ("ino:N" too).  Missing intermediate components and files in the
 * way are errors; a missing last one is not: then place->inode is 0.
 */
int cdx_path_walk(struct cdx_txn *txn, const char *path, struct cdx_place *place,
		  struct cowdax_error *error);
/* The same, -ENOENT when there is nothing, with the inode loaded. */
int cdx_path_inode(struct cdx_txn *txn, const char *path, struct cdx_inode *inode,
		   struct cowdax_error *error);

/* Create a file or directory at a place whose inode is 0. */
int cdx_place_create(struct cdx_txn *txn, const struct cdx_place *place, uint32_t mode,
		     struct cdx_inode *inode);
int cdx_path_mkdir(struct cdx_txn *txn, const char *path, uint32_t mode, bool parents,
		   struct cowdax_error *error);
/* Remove a name and what it names: with @recursive, all below it. */
int cdx_path_remove(struct cdx_txn *txn, const char *path, bool recursive, struct cowdax_error *error);
/* The root directory of a new image. */
int cdx_dir_make_root(struct cdx_txn *txn, const struct timespec *now, uint32_t uid, uint32_t gid);

#endif
