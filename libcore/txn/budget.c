// SPDX-License-Identifier: LGPL-2.1-or-later
/* How much space there is, and for whom: R17. */
#include "txn/budget.h"

#include "txn/bound.h"

#define MAX_UNDOING 32768	/* grains, at most, that are left alone until limbo is undone */
#define GIVING_BACK 96		/* and that giving back in passing leaves to the transaction itself */
#define UNDOING_COST 8		/* nodes that undoing one entry may take until it pays */

uint64_t cdx_budget_kept_at_first(const struct cdx_super *super)
{
	static const struct cdx_record empty;

	return cdx_bound_removal(super, &empty);
}

/* What the bound follows from, of all that changes. */
static uint32_t levels(const struct cdx_record *record)
{
	return record->fs.level | (uint32_t)record->space.level << 8 | (uint32_t)record->limbo.level << 16;
}

void cdx_budget_refresh(struct cdx_txn *txn)
{
	if (txn->kept.grains && txn->kept.levels == levels(&txn->record))
		return;
	txn->kept.levels = levels(&txn->record);
	txn->kept.grains = cdx_bound_removal(txn->super, &txn->record);
}

uint64_t cdx_budget_kept(const struct cdx_txn *txn)
{
	if (txn->kept.grains && txn->kept.levels == levels(&txn->record))
		return txn->kept.grains;
	return cdx_bound_removal(txn->super, &txn->record);
}

static uint64_t held(const struct cdx_txn *txn)
{
	return txn->record.free_grains + txn->record.pool.grains + txn->record.window.grains;
}

static uint64_t undoing(const struct cdx_txn *txn)
{
	uint64_t part = txn->super->grains / 32;

	return part < MAX_UNDOING ? part : MAX_UNDOING;
}

struct cdx_budget cdx_budget(const struct cdx_txn *txn)
{
	struct cdx_budget budget = {
		.held = held(txn),
		.kept = cdx_budget_kept(txn),
		.promised = cdx_promise_grains(txn),
		.needed = txn->nodes.dirty_count,
		.undoing = undoing(txn),
	};
	uint64_t spoken_for = budget.needed;

	if (txn->claim != CDX_CLAIM_KEPT)
		spoken_for += budget.kept + budget.promised;

	budget.available = budget.held > spoken_for ? budget.held - spoken_for : 0;
	return budget;
}

bool cdx_budget_allows(const struct cdx_txn *txn)
{
	uint64_t promised = cdx_promise_grains(txn);

	return !promised || txn->claim == CDX_CLAIM_KEPT ||
	       held(txn) >= txn->nodes.dirty_count + cdx_budget_kept(txn) + promised;
}

uint64_t cdx_budget_pool(const struct cdx_txn *txn)
{
	return txn->nodes.dirty_count + (txn->claim == CDX_CLAIM_KEPT ? 0 : cdx_budget_kept(txn));
}

bool cdx_budget_must_drain(struct cdx_txn *txn, uint64_t grains)
{
	if (!txn->record.limbo.address || txn->claim == CDX_CLAIM_KEPT)
		return false;
	if (txn->drain == CDX_DRAIN_DONE && held(txn) > 2 * undoing(txn))
		txn->drain = CDX_DRAIN_DUE;
	return txn->drain == CDX_DRAIN_DUE && held(txn) < grains + undoing(txn);
}

bool cdx_budget_is_low(const struct cdx_txn *txn)
{
	return txn->record.limbo.address && held(txn) < 2 * undoing(txn);
}

bool cdx_budget_can_expand(const struct cdx_txn *txn)
{
	/* What removals need is not touched, and two paths are shadowed at most. */
	return txn->record.pool.grains >
	       txn->nodes.dirty_count + cdx_budget_kept(txn) / 2 + 2 * CDX_LEVELS;
}

uint64_t cdx_budget_transaction(const struct cdx_txn *txn)
{
	return txn->nodes.dirty_count + cdx_bound_commit(txn->super, &txn->record);
}

bool cdx_budget_has_room(const struct cdx_txn *txn)
{
	const struct cdx_record *record = &txn->record;

	/* Taking space from the tree may take as much again. */
	return record->pool.grains + record->free_grains / 2 >= txn->nodes.dirty_count +
	       cdx_bound_entry(txn->super, record) + cdx_bound_commit(txn->super, record);
}

bool cdx_budget_can_give_back(const struct cdx_txn *txn)
{
	return cdx_budget(txn).available > GIVING_BACK;
}

int cdx_budget_entries(const struct cdx_txn *txn, unsigned int share, int most)
{
	uint64_t entries = held(txn) / UNDOING_COST / share;

	return entries > (uint64_t)most ? most : entries ? (int)entries : 1;
}
