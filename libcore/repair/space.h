/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_REPAIR_SPACE_H
#define CDX_REPAIR_SPACE_H

#include "check/recount.h"
#include "txn/txn.h"

/*
 * In a transaction that has just begun: a space tree that says what was counted takes the place
 * of the one there is.  Nothing of that is believed.  Its nodes go to limbo; the new ones lie where
 * nobody points to.  The commit is -ENOSPC when there is no room for these.
 */
int cdx_repair_space(struct cdx_txn *txn, const struct cdx_recount *recount);

#endif
