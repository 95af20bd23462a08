/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Seeing an image. */
#ifndef CDX_VIEW_H
#define CDX_VIEW_H

#include "txn/state.h"

/*
 * See the newest commit, and hold it: what it reaches is not used again until
 * cdx_txn_release_view() (the reader's epoch of I5).  Takes no lock that a
 * writer waits for.  Not inside a transaction.
 */
int cdx_txn_view(struct cdx_txn *txn, struct cowdax_error *error);
void cdx_txn_release_view(struct cdx_txn *txn);

/* Whether nobody has committed since the commit that is seen; false where nobody knows. */
bool cdx_view_is_newest(const struct cdx_txn *txn);
/* Make what a valid slot says the commit that is seen. */
int cdx_view_adopt(struct cdx_txn *txn, const union cdx_slot *slot);
/* Have the lists of the commit that is seen, which reading does without: for what looks into them. */
int cdx_view_lists(struct cdx_txn *txn);
/* Forget every change since the commit that is seen. */
int cdx_view_reset(struct cdx_txn *txn);

#endif
