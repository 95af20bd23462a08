/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undoing limbo, as a transaction's company. */
#ifndef CDX_DRAIN_H
#define CDX_DRAIN_H

#include "txn/state.h"

/*
 * The newest T whose entries may be undone: two commits old, and no image
 * before it is being read, by others or by this handle (R2, R6).
 */
int cdx_drain_limit(struct cdx_txn *txn, uint64_t *limit);
/* At the start of a transaction: undo a few entries, when that is of use. */
int cdx_drain_in_passing(struct cdx_txn *txn);

#endif
