/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths, and what is done to what they name. */
#ifndef CDX_PATH_H
#define CDX_PATH_H

#include "fs/dir.h"

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
		     struct cdx_inode *inode, struct cowdax_error *error);
int cdx_path_mkdir(struct cdx_txn *txn, const char *path, uint32_t mode, bool parents,
		   struct cowdax_error *error);
/* Remove a name and what it names: with @recursive, all below it. */
int cdx_path_remove(struct cdx_txn *txn, const char *path, bool recursive, struct cowdax_error *error);

#endif
