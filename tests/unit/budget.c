// SPDX-License-Identifier: GPL-2.0-or-later
/* One account of space, and what is decided by it. */
#include "txn/budget.h"

#include "rig.h"

TEST("what is held is kept, needed, or available; who may use what is kept has that as well")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_budget budget;
	struct cdx_node *node;

	for (int i = 0; i < 10; i++)
		CHECK_EQUAL(cdx_node_new(&txn->nodes, CDX_KIND_EXTENT, 0, &node), 0);
	budget = cdx_budget(txn);
	CHECK_EQUAL(budget.held, txn->record.free_grains + txn->record.pool.grains + txn->record.window.grains);
	CHECK_EQUAL(budget.kept, cdx_budget_kept(txn));
	CHECK_EQUAL(budget.needed, txn->nodes.dirty_count);
	CHECK_EQUAL(budget.available, budget.held - budget.kept - budget.needed);
	CHECK_EQUAL(cdx_budget_pool(txn), budget.kept + budget.needed);
	txn->claim = CDX_CLAIM_KEPT;
	CHECK_EQUAL(cdx_budget(txn).available, budget.held - budget.needed);
	CHECK_EQUAL(cdx_budget_pool(txn), budget.needed);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("nothing is available when all that is held is spoken for")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);

	txn->record.free_grains = 0;
	txn->record.window.grains = 0;
	txn->record.pool.grains = cdx_budget_kept(txn) - 1;
	CHECK_EQUAL(cdx_budget(txn).available, 0);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R17: limbo is undone before space is refused, once, until there is plenty again; never when it is damaged")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t undoing = cdx_budget(txn).undoing;

	CHECK(!cdx_budget_must_drain(txn, txn->super->grains));	/* nothing is in its tree */
	txn->record.limbo.address = 1;
	txn->record.pool.grains = txn->record.window.grains = 0;
	txn->record.free_grains = undoing + 9;
	CHECK(!cdx_budget_must_drain(txn, 9));
	CHECK(cdx_budget_must_drain(txn, 10));
	CHECK(cdx_budget_is_low(txn));
	txn->claim = CDX_CLAIM_KEPT;
	CHECK(!cdx_budget_must_drain(txn, 10));
	txn->claim = CDX_CLAIM_AVAILABLE;
	txn->drain = CDX_DRAIN_DONE;
	CHECK(!cdx_budget_must_drain(txn, 10));
	txn->record.free_grains = 2 * undoing + 1;
	CHECK(!cdx_budget_is_low(txn));
	CHECK(cdx_budget_must_drain(txn, 2 * undoing));
	CHECK_EQUAL(txn->drain, CDX_DRAIN_DUE);
	txn->drain = CDX_DRAIN_BROKEN;
	CHECK(!cdx_budget_must_drain(txn, 2 * undoing));
	cdx_txn_abort(txn);
	cowdax_close(fs);
}
