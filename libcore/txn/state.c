// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which phase of a writer may follow which: the machine that R1, R3 and R17 rely on. */
#include "txn/state.h"

#define BIT(phase) (1U << (phase))

static const unsigned int followers[] = {
	[CDX_PHASE_IDLE] = BIT(CDX_PHASE_LOCKED) | BIT(CDX_PHASE_DRY),
	[CDX_PHASE_LOCKED] = BIT(CDX_PHASE_OPEN) | BIT(CDX_PHASE_IDLE),
	[CDX_PHASE_OPEN] = BIT(CDX_PHASE_IDLE) | BIT(CDX_PHASE_DEAD),
	[CDX_PHASE_DRY] = BIT(CDX_PHASE_IDLE),
	[CDX_PHASE_DEAD] = 0,
};

int cdx_phase_enter(struct cdx_txn *txn, enum cdx_phase next)
{
	bool legal = followers[txn->phase] & BIT(next);

	txn->phase = legal ? next : CDX_PHASE_DEAD;
	return legal ? 0 : -ENOTRECOVERABLE;
}

int cdx_phase_may_begin(const struct cdx_txn *txn)
{
	if (txn->phase == CDX_PHASE_DEAD)
		return -EIO;
	return txn->phase == CDX_PHASE_IDLE ? 0 : -EBUSY;
}
