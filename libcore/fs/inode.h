/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inodes (FORMAT 9.1) in DRAM. */
#ifndef CDX_INODE_H
#define CDX_INODE_H

#include "fs/extent.h"

struct cdx_inode {
	uint64_t number;
	uint32_t mode, uid, gid, nlink;
	uint64_t size;			/* bytes; of a directory: its entries */
	uint64_t parent;		/* of a directory */
	struct timespec atime, mtime, ctime, btime;
	struct cdx_extents extents;
};

/*
 * A loaded inode is a copy.  After its extents have been changed it must be
 * stored before anybody else loads it, and before the transaction ends: only
 * then does the tree reach what was built.
 */
int cdx_inode_load(struct cdx_txn *txn, uint64_t number, struct cdx_inode *inode);
int cdx_inode_store(struct cdx_txn *txn, const struct cdx_inode *inode);
/* A fresh inode with a number of its own, not stored yet; -EOVERFLOW when there is none left. */
int cdx_inode_make(struct cdx_txn *txn, uint32_t mode, struct cdx_inode *inode);
int cdx_inode_add(struct cdx_txn *txn, const struct cdx_inode *inode);
/* Take it out, and drop all it maps. */
int cdx_inode_remove(struct cdx_txn *txn, struct cdx_inode *inode);
/* The first inode from *number on whose extents are in a tree: 1 with *number, 0, -errno. */
int cdx_inode_next_tree(struct cdx_txn *txn, uint64_t *number);
/* Stamp a change of data (and with it of the inode). */
void cdx_inode_modified(const struct cdx_txn *txn, struct cdx_inode *inode);

#endif
