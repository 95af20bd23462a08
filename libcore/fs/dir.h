/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories (FORMAT 9.2). */
#ifndef CDX_DIR_H
#define CDX_DIR_H

#include "fs/inode.h"

struct cdx_dir_entry {
	uint64_t inode;
	uint32_t type;			/* S_IFMT bits */
	size_t length;
	char name[CDX_NAME_MAX + 1];	/* terminated for convenience */
};
/* Find @name; *at is its key's hash word, or the lowest free one when it is not there (-ENOENT). */
int cdx_dir_locate(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length,
		   struct cdx_dir_entry *entry, uint64_t *at);
/* The inode that @name stands for in directory @dir: -ENOENT. */
int cdx_dir_find(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length, uint64_t *inode,
		 uint32_t *type);
/*
 * Add or remove a name; @dir's size and, for a directory, nlink follow, in memory.
 * -EXFULL: there are as many names of one hash as there can be.
 */
int cdx_dir_add(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		const struct cdx_inode *inode);
int cdx_dir_remove(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		   uint32_t type);
/* The same for the entry with hash key @at. */
int cdx_dir_remove_at(struct cdx_txn *txn, struct cdx_inode *dir, uint64_t at, uint32_t type);

/* The first entry with a hash key at or after *@cursor (0 to start), which moves
 * behind it: 1, 0 at the end. */
int cdx_dir_next(struct cdx_txn *txn, uint64_t dir, uint64_t *cursor, struct cdx_dir_entry *entry);

/* The root directory of a new image. */
int cdx_dir_make_root(struct cdx_txn *txn, const struct timespec *now, uint32_t uid, uint32_t gid);

#endif
