/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The newest slot, made durable. */
#ifndef CDX_SETTLE_H
#define CDX_SETTLE_H

#include "txn/state.h"

/*
 * Make durable all that this handle has stored.  Where that fails, the mirror of the last
 * commit may be what is not: then its slot is stored again before anything builds on it.
 */
int cdx_settle_fence(struct cdx_txn *txn);
/* Store a sealed slot in its place, and fence. */
int cdx_slot_store(struct cdx_txn *txn, const union cdx_slot *slot);
/*
 * Store its mirror, which becomes durable by the next fence: that comes before the slot is
 * stored to again, or when the handle is closed.
 */
int cdx_slot_store_mirror(struct cdx_txn *txn, const union cdx_slot *slot);
/*
 * With the commit lock held: see the newest commit, and make it durable and all
 * copies agree (R1, R3), unless this handle has done so.  -EUCLEAN when there is none.
 */
int cdx_settle(struct cdx_txn *txn);

#endif
