/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Freed is not free until nobody can see it (I4, FORMAT 5): dropping pointers,
 * and undoing the dropped in bounded steps.
 */
#ifndef CDX_LIMBO_H
#define CDX_LIMBO_H

#include "txn/alloc.h"

/* A pointer goes away: by its count it is one less, or limbo takes it over. */
int cdx_limbo_drop(struct cdx_txn *txn, const struct cdx_pointer *pointer);
/* A run of grains of count 1 has lost its pointer. */
int cdx_limbo_add_run(struct cdx_txn *txn, uint64_t start, uint64_t count);

/*
 * Undo entries of transactions up to @limit that the reserves have room or need
 * for, at most @budget that take work.  Never fails for lack of space: it stops.
 */
int cdx_limbo_drain(struct cdx_txn *txn, uint64_t limit, int budget);
/*
 * Undo up to @budget entries, whatever it takes: for a transaction that does
 * nothing else.  Returns how many subtrees and splintered runs were among them:
 * those yield more entries for later.
 */
int cdx_limbo_drain_hard(struct cdx_txn *txn, uint64_t limit, int budget);
/* Whether the record has room for all entries, those that writing nodes out will add included. */
bool cdx_limbo_fits(const struct cdx_txn *txn);
/* Move entries to the limbo tree until the record has room for the rest. */
int cdx_limbo_spill(struct cdx_txn *txn);
/* Have the list @most entries in the middle of a transaction: by joining them, if that will do. */
int cdx_limbo_shorten(struct cdx_txn *txn, size_t most);
/*
 * Undo what comes next: up to a bounded number of entries and of nodes that this
 * takes, of transactions up to @limit.  For a transaction that needs little itself.
 */
int cdx_limbo_give_back(struct cdx_txn *txn, uint64_t limit);
/* Whether there is more to undo than what the reserves take in anyway. */
bool cdx_limbo_has_work(const struct cdx_txn *txn);
/* Grains that are sure to come free when all is undone: runs, and the top node of each tree. */
uint64_t cdx_limbo_grains(const struct cdx_txn *txn);
/* Whether anything waits. */
bool cdx_limbo_empty(const struct cdx_txn *txn);

/* Call @fn for every entry of list and tree. */
typedef int cdx_limbo_fn(void *arg, const struct cdx_limbo_entry *entry);
int cdx_limbo_walk(struct cdx_txn *txn, cdx_limbo_fn *fn, void *arg);

#endif
