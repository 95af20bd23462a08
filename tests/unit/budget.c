// SPDX-License-Identifier: GPL-2.0-or-later
/* One account of space, and what is decided by it. */
#include "txn/budget.h"

#include "rig.h"
#include "txn/bound.h"

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

TEST("what is promised to preallocated blocks is neither available nor free for a commit, but to who may use it")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_budget before = cdx_budget(txn), budget;

	CHECK_EQUAL(before.promised, 0);
	txn->record.unwritten_blocks = 1000;
	txn->record.unwritten_extents = 100;
	budget = cdx_budget(txn);
	CHECK(budget.promised > 100);
	CHECK_EQUAL(budget.promised, cdx_promise_grains(txn));
	CHECK_EQUAL(budget.available, before.available - budget.promised);
	CHECK(cdx_budget_allows(txn));
	txn->record.pool.grains = txn->record.window.grains = 0;
	txn->record.free_grains = txn->nodes.dirty_count + budget.kept + budget.promised;
	CHECK(cdx_budget_allows(txn));
	txn->record.free_grains--;
	CHECK(!cdx_budget_allows(txn));
	txn->claim = CDX_CLAIM_KEPT;
	CHECK(cdx_budget_allows(txn));
	CHECK_EQUAL(cdx_budget(txn).available, txn->record.free_grains - txn->nodes.dirty_count);
	txn->claim = CDX_CLAIM_AVAILABLE;
	txn->record.unwritten_blocks = 0;
	CHECK(cdx_budget_allows(txn));
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R17: what is kept follows the height of the trees, asked for or worked out before")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t flat, high;

	cdx_budget_refresh(txn);
	flat = cdx_budget_kept(txn);
	CHECK_EQUAL(flat, cdx_budget_kept_at_first(txn->super));
	txn->record.fs.level += 3;
	high = cdx_budget_kept(txn);
	CHECK(high > flat);
	cdx_budget_refresh(txn);
	CHECK_EQUAL(cdx_budget_kept(txn), high);
	CHECK_EQUAL(txn->kept.grains, high);
	txn->record.fs.level -= 3;
	txn->record.space.level++;
	CHECK(cdx_budget_kept(txn) > flat);
	txn->record.space.level--;
	txn->record.limbo.level++;
	CHECK(cdx_budget_kept(txn) > flat);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

/* The least of pool.grains with which @asked says yes. */
static uint64_t least_pool(struct cdx_txn *txn, bool (*asked)(const struct cdx_txn *txn))
{
	uint64_t low = 0, high = txn->super->grains;

	while (low < high) {
		txn->record.pool.grains = low + (high - low) / 2;
		if (asked(txn))
			high = txn->record.pool.grains;
		else
			low = txn->record.pool.grains + 1;
	}
	return low;
}

TEST("R17: giving back, taking a tree apart and removing one more each leave what others need")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t kept = cdx_budget_kept(txn), needed = txn->nodes.dirty_count;

	txn->record.free_grains = txn->record.window.grains = 0;
	CHECK_EQUAL(least_pool(txn, cdx_budget_can_give_back), needed + kept + 97);
	CHECK_EQUAL(least_pool(txn, cdx_budget_can_expand), needed + kept / 2 + 2 * CDX_LEVELS + 1);
	CHECK_EQUAL(least_pool(txn, cdx_budget_has_room),
		    needed + cdx_bound_entry(txn->super, &txn->record) + cdx_bound_commit(txn->super, &txn->record));
	/* Half of what is in the tree may be needed to get it from there. */
	txn->record.free_grains = 40;
	CHECK_EQUAL(least_pool(txn, cdx_budget_has_room) + 20,
		    needed + cdx_bound_entry(txn->super, &txn->record) + cdx_bound_commit(txn->super, &txn->record));
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R17: limbo is undone by as many entries as a share of all that is free pays for, and at least by one")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);

	txn->record.pool.grains = txn->record.window.grains = 0;
	txn->record.free_grains = 8000;
	CHECK_EQUAL(cdx_budget_entries(txn, 1, 4096), 1000);
	CHECK_EQUAL(cdx_budget_entries(txn, 4, 4096), 250);
	CHECK_EQUAL(cdx_budget_entries(txn, 1, 999), 999);
	CHECK_EQUAL(cdx_budget_entries(txn, 1001, 4096), 1);
	txn->record.free_grains = 0;
	CHECK_EQUAL(cdx_budget_entries(txn, 1, 4096), 1);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}
