// SPDX-License-Identifier: GPL-2.0-or-later
/* A handle's states, and which may follow which. */
#include "txn/state.h"

#include "rig.h"

#define PHASES (CDX_PHASE_DEAD + 1)

TEST("a writer's phase follows only where it may, and one that does not ends the handle's writing")
{
	static const bool may[PHASES][PHASES] = {
		[CDX_PHASE_IDLE] = {[CDX_PHASE_LOCKED] = true, [CDX_PHASE_DRY] = true},
		[CDX_PHASE_LOCKED] = {[CDX_PHASE_OPEN] = true, [CDX_PHASE_IDLE] = true},
		[CDX_PHASE_OPEN] = {[CDX_PHASE_IDLE] = true, [CDX_PHASE_DEAD] = true},
		[CDX_PHASE_DRY] = {[CDX_PHASE_IDLE] = true},
	};

	for (int from = 0; from < PHASES; from++) {
		for (int to = 0; to < PHASES; to++) {
			struct cdx_txn txn = {.phase = (enum cdx_phase)from};

			CHECK_EQUAL(cdx_phase_enter(&txn, (enum cdx_phase)to),
				    may[from][to] ? 0 : -ENOTRECOVERABLE);
			CHECK_EQUAL(txn.phase, may[from][to] ? to : (int)CDX_PHASE_DEAD);
		}
	}
}

TEST("a transaction begins where none is open and the handle knows what it has committed")
{
	static const int expected[PHASES] = {
		[CDX_PHASE_LOCKED] = -EBUSY, [CDX_PHASE_OPEN] = -EBUSY, [CDX_PHASE_DRY] = -EBUSY,
		[CDX_PHASE_DEAD] = -EIO,
	};

	for (int phase = 0; phase < PHASES; phase++) {
		struct cdx_txn txn = {.phase = (enum cdx_phase)phase};

		CHECK_EQUAL(cdx_phase_may_begin(&txn), expected[phase]);
		CHECK_EQUAL(cdx_txn_is_open(&txn), phase == CDX_PHASE_OPEN || phase == CDX_PHASE_DRY);
	}
}

TEST("a handle is idle, open from begin to its end, and idle again; dry when nothing will be stored")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0), *dry = rig_open(fs->path, COWDAX_DRY_RUN);

	CHECK_EQUAL(fs->txn.phase, CDX_PHASE_IDLE);
	rig_begin(fs);
	CHECK_EQUAL(fs->txn.phase, CDX_PHASE_OPEN);
	CHECK_EQUAL(fs->txn.working, CDX_WORKING_CHANGED);
	cdx_txn_abort(&fs->txn);
	CHECK_EQUAL(fs->txn.phase, CDX_PHASE_IDLE);
	CHECK_EQUAL(fs->txn.working, CDX_WORKING_SAME);
	CHECK_EQUAL(fs->txn.seen, CDX_SEEN_SLOT);
	rig_begin(fs);
	rig_commit(fs);
	CHECK_EQUAL(fs->txn.phase, CDX_PHASE_IDLE);
	CHECK_EQUAL(fs->txn.seen, CDX_SEEN_OWN);
	rig_begin(dry);
	CHECK_EQUAL(dry->txn.phase, CDX_PHASE_DRY);
	rig_commit(dry);
	CHECK_EQUAL(dry->txn.phase, CDX_PHASE_IDLE);
	CHECK_EQUAL(dry->txn.seen, CDX_SEEN_SLOT);
	cowdax_close(dry);
	cowdax_close(fs);
}
