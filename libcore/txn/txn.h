/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One root, one commit point (I1): seeing an image, and changing it. */
#ifndef CDX_TXN_H
#define CDX_TXN_H

#include "txn/limbo.h"
#include "txn/view.h"

/* Over an opened and mapped device; both must outlive it. */
int cdx_txn_init(struct cdx_txn *txn, struct cdx_device *device, const struct cdx_super *super);
void cdx_txn_exit(struct cdx_txn *txn);
/* In a forked child: forget the locks, which are the parent's to let go of (R10). */
void cdx_txn_disown(struct cdx_txn *txn);

/*
 * Take the commit lock, see the newest commit, make sure that it is durable
 * (R1), and start the next.  -EAGAIN when the lock is held and the device was
 * opened not to wait.
 */
int cdx_txn_begin(struct cdx_txn *txn, struct cowdax_error *error);
/* The same for a transaction that does nothing but undo limbo: the first does so in passing. */
int cdx_txn_begin_undrained(struct cdx_txn *txn, struct cowdax_error *error);
/* Let `record` be the next transaction's: what beginning comes down to in the end. */
int cdx_txn_start(struct cdx_txn *txn);
/* What can still fail for want of space: after it only the media can fail the commit. */
int cdx_txn_prepare(struct cdx_txn *txn);
/* Write, fence, publish, fence.  On failure the transaction is aborted. */
int cdx_txn_commit(struct cdx_txn *txn, struct cowdax_error *error);
void cdx_txn_abort(struct cdx_txn *txn);

/*
 * Commits that only undo limbo, until nothing more comes of it: what to do
 * before saying ENOSPC (R17).  *blocked tells whether a reader holds space.
 */
int cdx_txn_drain_all(struct cdx_txn *txn, bool *blocked, struct cowdax_error *error);

/*
 * Bound the memory of a long transaction (R18): write out dirty nodes when they
 * are many.  No inode may be in the caller's hands, since its tree moves.
 */
int cdx_txn_relieve(struct cdx_txn *txn);

/* The extent tree whose root is *root. */
struct cdx_tree cdx_txn_extents(struct cdx_txn *txn, struct cdx_ref *root);
/* One more pointer to a subtree or run, as I3 counts them.  A dirty node is written out first. */
int cdx_txn_share_tree(struct cdx_txn *txn, struct cdx_ref *root);

/*
 * What mkfs does (R4): a first commit over a device whose superblocks are void.
 * The space tree is made here; the caller then makes the root directory and
 * commits.
 */
int cdx_txn_format(struct cdx_txn *txn);
/* The grains of the pool that it makes. */
uint64_t cdx_txn_format_pool(const struct cdx_super *super);

#endif
