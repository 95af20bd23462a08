// SPDX-License-Identifier: LGPL-2.1-or-later
/* Seeing an image: the newest commit, and the reader's epoch that holds it (I5, R2, R6). */
#include "txn/view.h"

#define HASTY_TRIES 4
/* A byte that is held for later serves so many commits, and so many looks once there is a newer one. */
#define LINGER_COMMITS 8
#define LINGER_LOOKS 64

int cdx_view_reset(struct cdx_txn *txn)
{
	int ret = 0;

	cdx_nodes_forget_all(&txn->nodes);
	if (txn->nodes.reamended)
		cdx_amends_adopt(&txn->nodes, &txn->amends);
	txn->nodes.transaction = txn->nodes.newest = txn->committed.transaction;
	txn->space.run_end = 0;
	txn->taking.at = txn->taking.n = 0;
	txn->pool_by_length = false;
	txn->claim = CDX_CLAIM_AVAILABLE;
	txn->sparing = txn->sifted = false;
	if (txn->working != CDX_WORKING_SAME)
		ret = cdx_record_copy(&txn->record, &txn->committed);
	txn->working = ret ? CDX_WORKING_STALE : CDX_WORKING_SAME;
	return ret;
}

/* What has been decoded, or tried to be, is what is seen. */
static int adopt(struct cdx_txn *txn, int ret, uint64_t trimmed)
{
	txn->working = CDX_WORKING_STALE;
	txn->seen = ret ? CDX_SEEN_NOTHING : CDX_SEEN_SLOT;
	txn->shared_at = txn->committed.transaction;	/* what others may have shared */
	if (txn->committed.trimmed != trimmed)
		cdx_pmem_forget_backing(&txn->device->pm);
	if (!ret)
		cdx_amends_adopt(&txn->nodes, &txn->amends);
	return ret ? ret : cdx_view_reset(txn);
}

int cdx_view_adopt(struct cdx_txn *txn, const union cdx_slot *slot)
{
	uint64_t trimmed = txn->committed.trimmed;
	int ret;

	/* Looking does not make this handle forget that it made this commit durable. */
	if (txn->seen == CDX_SEEN_OWN && get64(slot->commit.transaction) == txn->committed.transaction)
		return cdx_view_reset(txn);
	txn->unlisted = false;
	ret = cdx_record_decode(&txn->committed, txn->super, &slot->commit);
	if (!ret)
		ret = cdx_amends_decode(&txn->amends, txn->super, &slot->commit);
	return adopt(txn, ret, trimmed);
}

/* The same with txn->slot, for a reader: the other lists are left there. */
static int adopt_roots(struct cdx_txn *txn)
{
	uint64_t trimmed = txn->committed.trimmed;
	int ret = cdx_record_decode_roots(&txn->committed, txn->super, &txn->slot.commit);

	txn->unlisted = true;
	if (!ret)
		ret = cdx_amends_decode(&txn->amends, txn->super, &txn->slot.commit);
	return adopt(txn, ret, trimmed);
}

int cdx_view_decode_lists(struct cdx_txn *txn)
{
	int ret = cdx_record_decode_lists(&txn->committed, txn->super, &txn->slot.commit);

	if (ret)
		return ret;
	txn->unlisted = false;
	txn->working = CDX_WORKING_STALE;
	return cdx_view_reset(txn);
}

/*
 * The number that is known is the highest there is: what it means has been seen once, whole,
 * and is nothing else ever after.
 */
bool cdx_view_is_newest(const struct cdx_txn *txn)
{
	uint64_t newest;

	return txn->seen != CDX_SEEN_NOTHING && cdx_slots_peek(&txn->device->pm, txn->super, &newest) &&
	       newest == txn->committed.transaction;
}

static int peek_newest(struct cdx_txn *txn, struct cdx_slots *slots, uint64_t *newest)
{
	int ret = cdx_slots_read(&txn->device->pm, txn->super, slots);

	if (!ret)
		*newest = get64(cdx_slots_newest(slots)->commit.transaction);
	return ret;
}

void cdx_view_let_go(struct cdx_txn *txn)
{
	if (txn->epoch)
		cdx_device_unlock(txn->device, txn->device->lock.readers + txn->epoch, 1);
	txn->epoch = 0;
	txn->idle = false;
}

void cdx_txn_release_view(struct cdx_txn *txn)
{
	if (txn->lingers && txn->epoch)
		txn->idle = true;
	else
		cdx_view_let_go(txn);
}

static int hold(struct cdx_txn *txn, uint64_t number)
{
	int ret = cdx_device_lock(txn->device, txn->device->lock.readers + number, 1, false, true);

	if (!ret)
		txn->epoch = number;
	txn->lingered = 0;
	return ret;
}

/*
 * See what is the newest now, if that is from @least to @most: what was seen before, or else
 * what is read.  1, or 0 where that does not tell; a store that is met halfway is soon over.
 */
static int see(struct cdx_txn *txn, uint64_t least, uint64_t most)
{
	uint64_t newest;
	int ret = 0;

	for (int tries = 0; tries < HASTY_TRIES; tries++) {
		if (!cdx_slots_peek(&txn->device->pm, txn->super, &newest) || newest < least ||
		    newest > most)
			return 0;
		/* What a number means has been seen once, whole, and is nothing else ever after. */
		if (txn->seen != CDX_SEEN_NOTHING && newest == txn->committed.transaction) {
			ret = cdx_view_reset(txn);
			return ret ? ret : 1;
		}
		txn->seen = CDX_SEEN_NOTHING;	/* whose lists are about to go */
		if (cdx_slots_fetch(&txn->device->pm, txn->super, newest, &txn->slot)) {
			ret = adopt_roots(txn);
			return ret ? ret : 1;
		}
	}
	return 0;
}

/* As cdx_txn_view(), where nothing is odd about the slots: 1, or 0. */
static int view_hastily(struct cdx_txn *txn)
{
	uint64_t known;
	int ret;

	if (!cdx_slots_peek(&txn->device->pm, txn->super, &known))
		return 0;
	ret = hold(txn, known);
	if (!ret)
		ret = see(txn, known, CDX_LAST_TRANSACTION);
	if (ret <= 0)
		cdx_view_let_go(txn);
	return ret;
}

/*
 * The same under a byte that is still held.  Not for ever where there is a newer commit, whether
 * others commit often or, for want of what is held, not at all.
 */
static int view_lingering(struct cdx_txn *txn)
{
	int ret = 0;

	if (txn->idle && txn->lingered < LINGER_LOOKS)
		ret = see(txn, txn->epoch, txn->epoch + LINGER_COMMITS);
	if (ret <= 0)
		cdx_txn_rest(txn);
	else if (txn->committed.transaction > txn->epoch)
		txn->lingered++;
	txn->idle = false;
	return ret;
}

/* The same by all four copies, whatever is odd about them. */
static int view_thoroughly(struct cdx_txn *txn, struct cowdax_error *error)
{
	struct cdx_slots slots;
	uint64_t known, newest;
	int ret;

	for (int tries = 0; tries < 1000; tries++) {
		ret = peek_newest(txn, &slots, &known);
		if (ret == -EUCLEAN)
			continue;	/* both slots may be changing under us */
		if (ret)
			return ret;
		ret = hold(txn, known);
		if (ret)
			return ret;
		ret = peek_newest(txn, &slots, &newest);
		if (!ret && newest >= known)
			return cdx_view_adopt(txn, cdx_slots_newest(&slots));
		cdx_view_let_go(txn);
	}
	return cdx_error(error, -EUCLEAN, "%s: no valid commit record: the image is damaged", txn->device->path);
}

/*
 * Lock the newest number known, then look again and use the newest (I5): a
 * writer that asked for readers before the lock was there undoes nothing that
 * the image seen now can reach.
 */
int cdx_txn_view(struct cdx_txn *txn, struct cowdax_error *error)
{
	int ret;

	if (cdx_view_is_held(txn))
		return 0;
	ret = view_lingering(txn);
	if (!ret)
		ret = view_hastily(txn);
	if (ret)
		return ret < 0 ? ret : 0;
	return view_thoroughly(txn, error);
}
