/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The newest slot, made durable. */
#ifndef CDX_SETTLE_H
#define CDX_SETTLE_H

#include "txn/state.h"

/* Store a sealed slot in its place, or in its mirror's, and fence. */
int cdx_slot_store(struct cdx_txn *txn, const union cdx_slot *slot, bool mirror);
/*
 * With the commit lock held: see the newest commit, and make it durable and all
 * copies agree (R1, R3), unless this handle has done so.  -EUCLEAN when there is none.
 */
int cdx_settle(struct cdx_txn *txn);

#endif
