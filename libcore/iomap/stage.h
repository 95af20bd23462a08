/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Staging (FORMAT 10): a long write's new blocks, allocated by short
 * transactions and filled without the commit lock, until one transaction makes
 * the file map them.  Like XFS's CoW staging extents, with an owner: whoever
 * dies leaves a lane that is not locked, and the next writer drops what is in it.
 */
#ifndef CDX_STAGE_H
#define CDX_STAGE_H

#include "iomap/file.h"

struct cdx_stage {
	struct cdx_txn *txn;
	bool open;
	uint64_t lane, nonce;
	uint64_t inode;			/* whose bytes they are to be; 0: of one that is yet to be made */
	bool allocated;			/* some went to blocks that were not the file's */
	uint64_t passed;		/* blocks of holes */
	uint64_t start, position;	/* bytes in the file: of the first byte staged, and behind the last */
	unsigned char *scratch;		/* a block's worth, the caller's */
};

/* Take a lane, for bytes of @inode from @start on.  Not inside a transaction. */
int cdx_stage_open(struct cdx_stage *stage, struct cdx_txn *txn, uint64_t inode, uint64_t start, void *scratch,
		   struct cowdax_error *error);
/*
 * In an open transaction: make the lane's entry, so that others see from its commit on
 * that something is being staged, before any bytes are.
 */
int cdx_stage_mark(struct cdx_stage *stage);
/*
 * Stage the next bytes, where it can in unwritten blocks that the file has there; all but the last piece must end at a block boundary of
 * the file.  Commits short transactions of its own.
 */
int cdx_stage_append(struct cdx_stage *stage, const void *bytes, uint64_t length,
		     struct cowdax_error *error);
/* The next bytes are a hole, and end at a block boundary of the file unless they are the last. */
void cdx_stage_pass(struct cdx_stage *stage, uint64_t length);
/* In an open transaction: make @inode map what was staged, and have holes where there were holes.  The lane stays taken until closed. */
int cdx_stage_finish(struct cdx_stage *stage, struct cdx_inode *inode, struct cowdax_result *result);
/* What was staged, as if it were a file: to be read in an open transaction. */
int cdx_stage_inode(struct cdx_stage *stage, struct cdx_inode *inode);
/* Let go of the lane, and of what it holds (in a transaction of its own when there is anything). */
void cdx_stage_close(struct cdx_stage *stage);

/*
 * In an open transaction: drop what lanes without an owner hold; how many were dropped.
 * A few at a time, other lanes in each transaction, or @thorough: until none is left to drop.
 */
int cdx_stage_sweep(struct cdx_txn *txn, const struct cdx_stage *own, bool thorough);

#endif
