/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Removing (FORMAT 9.3): a directory tree loses its name in one small transaction
 * and becomes an orphan, which that one and later ones take apart piece by piece.
 */
#ifndef CDX_ORPHAN_H
#define CDX_ORPHAN_H

#include "fs/dir.h"

/*
 * In an open transaction: remove a name, and what has no other.  A directory that
 * is not empty becomes an orphan, and as much of it goes at once as there is room
 * for, up to a bound.
 */
int cdx_orphan_unlink(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length);

/* Whether this handle knows of orphans that it could take apart. */
bool cdx_orphans_wait(const struct cdx_txn *txn);
#define CDX_ORPHAN_PIECE 256	/* entries that one transaction removes, at most */
/*
 * Take a piece of the orphans apart, @most entries, in a transaction of its own.  1: there
 * was something to do; 0: there is nothing left that can be; -ENOSPC: nothing can be
 * done before limbo gives back what it holds.  Damaged orphans are left to fsck,
 * counted in txn->orphans.broken, and not tried again by this handle.
 */
int cdx_orphan_sweep(struct cdx_txn *txn, int most, struct cowdax_error *error);

#endif
