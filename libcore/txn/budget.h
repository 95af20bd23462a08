/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One account of free space (R17): what there is, what of it is kept, needed, and
 * available.  Every decision about space follows from it.
 */
#ifndef CDX_BUDGET_H
#define CDX_BUDGET_H

#include "txn/promise.h"

/* All in grains. */
struct cdx_budget {
	uint64_t held;		/* free: in the space tree, the pool and the window */
	uint64_t kept;		/* of that, for removals and commits only */
	uint64_t promised;	/* and for writing to what is preallocated */
	uint64_t needed;	/* and by the dirty nodes there are */
	uint64_t available;	/* the rest, for whoever asks */
	uint64_t undoing;	/* of that, better left to pay for undoing limbo, while limbo can give */
};

struct cdx_budget cdx_budget(const struct cdx_txn *txn);
/* What is kept, as long as nobody says that this transaction may use it. */
uint64_t cdx_budget_kept(const struct cdx_txn *txn);
/* It is worked out anew where a tree's height has changed: do that once, it is asked for often. */
void cdx_budget_refresh(struct cdx_txn *txn);
/* The same, of an image that is about to be made. */
uint64_t cdx_budget_kept_at_first(const struct cdx_super *super);

/* Whether a commit leaves what is kept and promised, unless it may use it. */
bool cdx_budget_allows(const struct cdx_txn *txn);
/* What the pool has to hold at the next write-out: needed, and kept unless claimed. */
uint64_t cdx_budget_pool(const struct cdx_txn *txn);
/* Whether limbo should be undone before @grains are given: say ENOSPC, and begin again after that. */
bool cdx_budget_must_drain(struct cdx_txn *txn, uint64_t grains);
/* Whether space is so low that limbo should be undone before a large transaction. */
bool cdx_budget_is_low(const struct cdx_txn *txn);
/* Whether the pool can pay for taking a tree apart, which costs nodes before it gives any. */
bool cdx_budget_can_expand(const struct cdx_txn *txn);
/* Grains that the transaction takes until its commit, at most, were it committed as it is. */
uint64_t cdx_budget_transaction(const struct cdx_txn *txn);
/* Whether removing one more entry is sure to fit into this transaction. */
bool cdx_budget_has_room(const struct cdx_txn *txn);
/* Whether a transaction that needs little itself can pay for giving some of limbo back. */
bool cdx_budget_can_give_back(const struct cdx_txn *txn);
/* How many limbo entries 1/@share of all that is free can pay for: 1 .. @most. */
int cdx_budget_entries(const struct cdx_txn *txn, unsigned int share, int most);

#endif
