/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What preallocation promises (ARCHITECTURE 3): that writing to unwritten blocks of
 * one's own never fails for want of space.  The blocks are there; what their extents
 * take when they come apart is set aside from the day they are made.
 */
#ifndef CDX_PROMISE_H
#define CDX_PROMISE_H

#include "txn/state.h"

/* Unwritten extents have appeared, @extents of @blocks together. */
void cdx_promise_add(struct cdx_txn *txn, uint64_t blocks, uint64_t extents);
/* So much of it has been written or dropped: -EUCLEAN when there was not that much. */
int cdx_promise_keep(struct cdx_txn *txn, uint64_t blocks, uint64_t extents);
/* Grains that writing all that is unwritten may take at worst, one block at a time. */
uint64_t cdx_promise_grains(const struct cdx_txn *txn);

#endif
