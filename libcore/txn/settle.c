// SPDX-License-Identifier: LGPL-2.1-or-later
/* Slots on media: storing one, and making sure of the newest before building on it (R1, R3; FORMAT 4). */
#include "txn/settle.h"

#include "txn/view.h"

static void put_slot(struct cdx_txn *txn, const union cdx_slot *slot, bool mirror)
{
	int parity = (int)(get64(slot->commit.transaction) & 1);

	cdx_pmem_copy(&txn->device->pm, cdx_slot_offset(txn->super, parity, mirror), slot,
		      get32(slot->commit.length));
}

int cdx_settle_fence(struct cdx_txn *txn)
{
	int ret = cdx_pmem_fence(&txn->device->pm);

	if (ret && txn->mirror_due && txn->seen == CDX_SEEN_OWN)
		txn->seen = CDX_SEEN_SLOT;
	txn->mirror_due = false;
	return ret;
}

int cdx_slot_store(struct cdx_txn *txn, const union cdx_slot *slot)
{
	put_slot(txn, slot, false);
	return cdx_settle_fence(txn);
}

int cdx_slot_store_mirror(struct cdx_txn *txn, const union cdx_slot *slot)
{
	put_slot(txn, slot, true);
	txn->mirror_due = true;
	return cdx_pmem_take_fault(&txn->device->pm);
}

/*
 * What others committed may be visible and not durable: store it again, and make
 * all copies agree (R1, R3).  Only the newest primary needs a fence of its own:
 * a commit's first fence, before it stores a slot anew, is there for the others.
 */
static int settle_slots(struct cdx_txn *txn, const struct cdx_slots *slots)
{
	const union cdx_slot *newest = cdx_slots_newest(slots);
	int parity = (int)(get64(newest->commit.transaction) & 1), other = !parity;
	const union cdx_slot *old = &slots->copy[other][0], *mirror = &slots->copy[other][1];
	int ret;

	ret = cdx_slot_store(txn, newest);
	if (ret)
		return ret;
	put_slot(txn, newest, true);
	if (!slots->valid[other][0] && !slots->valid[other][1])
		return 0;
	if (!slots->valid[other][0] ||
	    (slots->valid[other][1] && get64(mirror->commit.transaction) > get64(old->commit.transaction)))
		put_slot(txn, mirror, false);
	else if (!slots->valid[other][1] || get64(mirror->commit.transaction) != get64(old->commit.transaction))
		put_slot(txn, old, true);
	return 0;
}

int cdx_settle(struct cdx_txn *txn)
{
	struct cdx_slots slots;
	int ret;

	/* Nobody has committed since this handle did. */
	if (txn->seen == CDX_SEEN_OWN && cdx_view_is_newest(txn))
		return 0;
	/* What is written back meanwhile may need room anew, and only a fence says so (R22). */
	ret = txn->mirror_due ? cdx_settle_fence(txn) : 0;
	if (!ret)
		ret = cdx_slots_read(&txn->device->pm, txn->super, &slots);
	for (int i = 0; i < 4 && !ret; i++)
		ret = cdx_pmem_prepare(&txn->device->pm, cdx_slot_offset(txn->super, i / 2, i % 2),
				       CDX_SLOT_SIZE);
	if (!ret)
		ret = settle_slots(txn, &slots);
	return ret ? ret : cdx_view_adopt(txn, cdx_slots_newest(&slots));
}
