// SPDX-License-Identifier: LGPL-2.1-or-later
/* When limbo is undone in passing, and how far back readers let it be (R2, R6, R17). */
#include "txn/drain.h"

#include "txn/limbo.h"

#define IN_PASSING 16		/* entries, by a transaction that does something else */
#define LAZY_LIMBO 24		/* entries that may wait before readers are asked about */
#define ALL_QUESTIONS 128	/* halving needs no more than 48 */
#define FEW_QUESTIONS 3
#define PATIENCE 32		/* transactions until those who held something up are asked about again */

/*
 * The newest T below which nobody holds a reader's byte, up to @high, as far as so
 * many questions tell; each walks all locks there are on the file, in the kernel.
 * What has been learned stays true: who takes a lower byte after the answer looks
 * at the slots after that, and uses what was the newest then or later (I5).
 */
static int ask_readers(struct cdx_txn *txn, uint64_t high, unsigned int questions)
{
	uint64_t low = txn->readers.limit, next = high, where;

	for (unsigned int asked = 1; low < high && asked <= questions; asked++) {
		int ret = cdx_device_lock_test(txn->device, txn->device->lock.readers, next, &where);

		if (ret < 0)
			return ret;
		if (ret)
			high = where - txn->device->lock.readers;
		else
			low = next;
		/* The one that is reported is often the oldest; when not, halving ends sooner. */
		next = asked < 3 ? high : low + (high - low + 1) / 2;
	}
	txn->readers.limit = low;
	return 0;
}

/* Two commits back, and what this handle itself reads: the kernel does not report that (R2, R6). */
static uint64_t own_limit(const struct cdx_txn *txn)
{
	uint64_t limit = txn->record.transaction - 2;

	return txn->epoch && txn->epoch < limit ? txn->epoch : limit;
}

int cdx_drain_limit(struct cdx_txn *txn, uint64_t *limit)
{
	int ret = ask_readers(txn, own_limit(txn), ALL_QUESTIONS);

	*limit = own_limit(txn) < txn->readers.limit ? own_limit(txn) : txn->readers.limit;
	return ret;
}

/* The same in few questions, and rarely while readers are in the way: it may be less than could be had. */
static int cheap_limit(struct cdx_txn *txn, uint64_t *limit)
{
	uint64_t high = own_limit(txn);
	int ret = 0;

	if (txn->record.transaction >= txn->readers.ask_again) {
		ret = ask_readers(txn, high, FEW_QUESTIONS);
		if (txn->readers.limit < high)
			txn->readers.ask_again = txn->record.transaction + PATIENCE;
	}
	*limit = high < txn->readers.limit ? high : txn->readers.limit;
	return ret;
}

int cdx_drain_in_passing(struct cdx_txn *txn)
{
	bool wanted = txn->record.limbo.address && cdx_alloc_wants_grains(txn);
	uint64_t limit;
	int ret;

	if (txn->drain == CDX_DRAIN_BROKEN || cdx_limbo_empty(txn))
		return 0;
	/* Who writes data now is not kept from it: limbo waits for one who does not. */
	if (!txn->busy && cdx_limbo_has_work(txn)) {
		ret = cheap_limit(txn, &limit);
		return ret ? ret : cdx_limbo_give_back(txn, limit);
	}
	if (!wanted && txn->record.list.n < LAZY_LIMBO)
		return 0;
	ret = cheap_limit(txn, &limit);
	return ret ? ret : cdx_limbo_drain(txn, limit, IN_PASSING);
}
