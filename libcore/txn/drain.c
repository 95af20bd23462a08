// SPDX-License-Identifier: LGPL-2.1-or-later
/* When limbo is undone in passing, and how far back readers let it be (R2, R6, R17). */
#include "txn/drain.h"

#include "txn/limbo.h"

#define IN_PASSING 16		/* entries, by a transaction that does something else */
#define LAZY_LIMBO 24		/* entries that may wait before readers are asked about */

int cdx_drain_limit(struct cdx_txn *txn, uint64_t *limit)
{
	uint64_t where;
	int ret;

	*limit = txn->record.transaction - 2;
	if (txn->epoch && txn->epoch < *limit)
		*limit = txn->epoch;
	while ((ret = cdx_device_lock_test(txn->device, txn->device->lock.readers, *limit, &where)) > 0)
		*limit = where - txn->device->lock.readers;
	return ret;
}

int cdx_drain_in_passing(struct cdx_txn *txn)
{
	bool wanted = txn->record.limbo.address && cdx_alloc_wants_grains(txn);
	uint64_t limit;
	int ret;

	if (txn->drain == CDX_DRAIN_BROKEN || cdx_limbo_empty(txn))
		return 0;
	if (!wanted && txn->record.list.n < LAZY_LIMBO)
		return 0;
	ret = cdx_drain_limit(txn, &limit);
	return ret ? ret : cdx_limbo_drain(txn, limit, IN_PASSING);
}
