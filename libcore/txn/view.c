// SPDX-License-Identifier: LGPL-2.1-or-later
/* Seeing an image: the newest commit, and the reader's epoch that holds it (I5, R2, R6). */
#include "txn/view.h"

int cdx_view_reset(struct cdx_txn *txn)
{
	int ret = 0;

	cdx_nodes_forget_all(&txn->nodes);
	txn->nodes.transaction = txn->nodes.newest = txn->committed.transaction;
	txn->space.run_end = 0;
	txn->taking.count = 0;
	txn->pool_by_length = false;
	txn->claim = CDX_CLAIM_AVAILABLE;
	txn->sparing = txn->sifted = false;
	if (txn->working != CDX_WORKING_SAME)
		ret = cdx_record_copy(&txn->record, &txn->committed);
	txn->working = ret ? CDX_WORKING_STALE : CDX_WORKING_SAME;
	return ret;
}

int cdx_view_adopt(struct cdx_txn *txn, const union cdx_slot *slot)
{
	uint64_t trimmed = txn->committed.trimmed;
	int ret;

	/* Looking does not make this handle forget that it made this commit durable. */
	if (txn->seen == CDX_SEEN_OWN && get64(slot->commit.transaction) == txn->committed.transaction)
		return cdx_view_reset(txn);
	txn->working = CDX_WORKING_STALE;
	ret = cdx_record_decode(&txn->committed, txn->super, &slot->commit);
	txn->seen = ret ? CDX_SEEN_NOTHING : CDX_SEEN_SLOT;
	if (txn->committed.trimmed != trimmed)
		cdx_pmem_forget_backing(&txn->device->pm);
	return ret ? ret : cdx_view_reset(txn);
}

static int peek_newest(struct cdx_txn *txn, struct cdx_slots *slots, uint64_t *newest)
{
	int ret = cdx_slots_read(&txn->device->pm, txn->super, slots);

	if (!ret)
		*newest = get64(cdx_slots_newest(slots)->commit.transaction);
	return ret;
}

void cdx_txn_release_view(struct cdx_txn *txn)
{
	if (txn->epoch)
		cdx_device_unlock(txn->device, txn->device->lock.readers + txn->epoch, 1);
	txn->epoch = 0;
}

/*
 * Lock the newest number known, then look again and use the newest (I5): a
 * writer that asked for readers before the lock was there undoes nothing that
 * the image seen now can reach.
 */
int cdx_txn_view(struct cdx_txn *txn, struct cowdax_error *error)
{
	struct cdx_slots slots;
	uint64_t known, newest;
	int ret;

	if (txn->epoch)
		return 0;
	for (int tries = 0; tries < 1000; tries++) {
		ret = peek_newest(txn, &slots, &known);
		if (ret == -EUCLEAN)
			continue;	/* both slots may be changing under us */
		if (ret)
			return ret;
		ret = cdx_device_lock(txn->device, txn->device->lock.readers + known, 1, false, true);
		if (ret)
			return ret;
		txn->epoch = known;
		ret = peek_newest(txn, &slots, &newest);
		if (!ret && newest >= known)
			return cdx_view_adopt(txn, cdx_slots_newest(&slots));
		cdx_txn_release_view(txn);
	}
	return cdx_error(error, -EUCLEAN, "%s: no valid commit record: the image is damaged", txn->device->path);
}
