/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be done to a file's data: each a loop over the two-map iterator.
 * All run in an open transaction, on a loaded inode that the caller stores
 * afterwards.  Offsets and lengths have been checked against the limits.
 */
#ifndef CDX_FILE_H
#define CDX_FILE_H

#include "iomap/iomap.h"

/* -EFBIG unless [offset, offset + length) can be in a file. */
int cdx_file_check_range(uint64_t offset, uint64_t length);

/* @buffer: a block's worth of scratch memory. */
int cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
		   uint64_t offset, void *scratch, struct cowdax_result *result);
/* The same for zeros that need no blocks: whole ones that are there are given up. */
int cdx_file_write_hole(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t length, uint64_t offset,
			void *scratch, struct cowdax_result *result);
int cdx_file_truncate(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t size, void *scratch,
		      struct cowdax_result *result);
int cdx_file_fallocate(struct cdx_txn *txn, struct cdx_inode *inode, enum cowdax_fallocate_mode mode,
		       uint64_t offset, uint64_t length, bool keep_size, void *scratch,
		       struct cowdax_result *result);
/* @to becomes what @from is; different inodes. */
int cdx_file_clone(struct cdx_txn *txn, struct cdx_inode *to, struct cdx_inode *from,
		   struct cowdax_result *result);
/* By the rules of FICLONERANGE; for one file give one struct twice. */
int cdx_file_clone_range(struct cdx_txn *txn, struct cdx_inode *to, uint64_t to_offset,
			 struct cdx_inode *from, uint64_t from_offset, uint64_t length,
			 struct cowdax_result *result);

/* Hand the file's bytes to @sink, straight out of the mapping where it can. */
int cdx_file_read_mapped(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length,
		  cowdax_sink_fn *sink, void *arg);
/* The same for a sink that knows nothing of faults: it gets copies, in pieces that stay in the cache. */
int cdx_file_read(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length,
		  cowdax_sink_fn *sink, void *arg);
int cdx_file_map(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length,
		 cowdax_map_fn *fn, void *arg);
/* Blocks mapped, and those of them that are shared. */
int cdx_file_count(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t *blocks, uint64_t *shared);

#endif
