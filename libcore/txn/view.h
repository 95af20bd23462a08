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
/* A handle that lingers goes on holding it, for the next cdx_txn_view(); until cdx_txn_rest(). */
void cdx_txn_release_view(struct cdx_txn *txn);
/* Hold nothing any more, whatever is held for. */
void cdx_view_let_go(struct cdx_txn *txn);
/* Let go of what is held for no view any more: before waiting for locks, or using space. */
static inline void cdx_txn_rest(struct cdx_txn *txn)
{
	if (txn->idle)
		cdx_view_let_go(txn);
}
/* Whether there is a view, and it has not been released. */
static inline bool cdx_view_is_held(const struct cdx_txn *txn)
{
	return txn->epoch && !txn->idle;
}

/* Whether nobody has committed since the commit that is seen; false where nobody knows. */
bool cdx_view_is_newest(const struct cdx_txn *txn);
/* Make what a valid slot says the commit that is seen. */
int cdx_view_adopt(struct cdx_txn *txn, const union cdx_slot *slot);
/* Have the lists of the commit that is seen, which reading does without: for what looks into them. */
int cdx_view_decode_lists(struct cdx_txn *txn);
static inline int cdx_view_lists(struct cdx_txn *txn)
{
	return txn->unlisted ? cdx_view_decode_lists(txn) : 0;
}
/* Forget every change since the commit that is seen. */
int cdx_view_reset(struct cdx_txn *txn);

#endif
