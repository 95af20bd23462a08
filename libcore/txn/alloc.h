/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a transaction gets space from.
 *
 * The record being built owns two reserves (FORMAT 4.1).  Taking from one and,
 * later, giving back to it moves a pointer between the record and a node, an
 * extent or limbo: no count changes, so the space tree does not, and a tree
 * that records where its own nodes go cannot chase its tail (R15).
 */
#ifndef CDX_ALLOC_H
#define CDX_ALLOC_H

#include "txn/budget.h"

/*
 * Make the pool hold what writing all dirty nodes takes, and what is kept; -ENOSPC
 * when there is not that much anywhere.  Before a commit the lists must fit into
 * the record as well, when the nodes have been written.
 */
int cdx_alloc_fill(struct cdx_txn *txn);
int cdx_alloc_reserve(struct cdx_txn *txn);
/* One grain for a node out of the pool: a cdx_take_fn.  Run cdx_alloc_settle after the last. */
int cdx_alloc_node(void *txn, uint64_t *address);
void cdx_alloc_settle(struct cdx_txn *txn);

/* Up to @blocks of data space in one run: at least one block, or -ENOSPC.  Block numbers. */
int cdx_alloc_data(struct cdx_txn *txn, uint64_t blocks, uint64_t *start, uint64_t *count);

/*
 * Take back grains of count 1 that nobody can see any more: 1, or 0 when there
 * is no room for them in the reserves and, unless @insist, they are too few to be
 * worth a change of the space tree.  (Giving every freed node back to the space
 * tree shadows as many nodes again, which are freed in turn, for ever.)
 */
int cdx_alloc_give_back(struct cdx_txn *txn, uint64_t start, uint64_t count, bool insist);
/* Whether what limbo holds would be put to use. */
bool cdx_alloc_wants_grains(const struct cdx_txn *txn);
/* Empty the window and cut the pool down to what must be kept: before giving up with ENOSPC. */
int cdx_alloc_return_all(struct cdx_txn *txn);

#endif
