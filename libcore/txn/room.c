// SPDX-License-Identifier: LGPL-2.1-or-later
/* Making room before anybody hears ENOSPC: commits that only undo limbo (R17). */
#include "txn/txn.h"

#include "txn/drain.h"

#define MOST_ENTRIES 4096	/* that one such commit undoes */

/* One commit that undoes entries; how many of them will yield more, or -errno. */
static int drain_once(struct cdx_txn *txn, unsigned int share, bool *blocked, struct cowdax_error *error)
{
	int expanded = 0, budget, ret;
	uint64_t limit;

	ret = cdx_txn_begin_undrained(txn, error);
	if (ret)
		return ret;
	txn->claim = CDX_CLAIM_KEPT;
	txn->sparing = share > 1;
	budget = cdx_budget_entries(txn, share, MOST_ENTRIES);
	ret = cdx_drain_limit(txn, &limit);
	if (!ret) {
		*blocked = limit + 2 < txn->record.transaction;
		ret = expanded = cdx_limbo_drain_hard(txn, limit, budget);
	}
	if (ret >= 0 && budget == MOST_ENTRIES)
		ret = cdx_alloc_return_all(txn);
	if (ret < 0)
		cdx_txn_abort(txn);
	else
		ret = cdx_txn_commit(txn, error);
	return ret ? ret : expanded;
}

int cdx_txn_drain_all(struct cdx_txn *txn, bool *blocked, struct cowdax_error *error)
{
	unsigned int share = 1;
	uint64_t most = 0;
	int idle = 0, ret;

	*blocked = false;
	if (txn->drain == CDX_DRAIN_DUE)
		txn->drain = CDX_DRAIN_DONE;
	/* Two commits pass before an entry can be undone, and so between a tree and its children. */
	while (idle < 4) {
		ret = drain_once(txn, share, blocked, error);
		if (ret == -ENOSPC && share < MOST_ENTRIES) {
			share *= 4;
			continue;
		}
		if (ret < 0)
			return ret;
		share = 1;
		idle = ret ? 0 : idle + 1;
		if (cdx_budget(txn).held > most) {
			most = cdx_budget(txn).held;
			idle = 0;
		}
	}
	return 0;
}
