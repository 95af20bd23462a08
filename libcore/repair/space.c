// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The space tree made anew from the pointers that were counted (FORMAT 7).  Its nodes come out
 * of a run that goes into the pool first, as nodes' space always does, so that the tree can say
 * of its own nodes what it says of all in the pool.
 */
#include "repair/space.h"

#define LIKELY_PER_LEAF 16	/* runs, in the worst case of how the tree splits, at the smallest node */
#define NOWHERE UINT64_MAX
#define SPARE_NODES 64		/* for what the commit itself changes */

struct rebuilding {
	struct cdx_txn *txn;
	const struct cdx_recount *recount;
	uint64_t pool, pool_end;	/* grains that are to be in the pool */
	uint64_t last;			/* count of the last run put in */
	bool any;
};

static uint64_t end_of(const struct rebuilding *re, size_t index)
{
	return index + 1 < re->recount->n ? re->recount->run[index + 1].start : re->txn->super->grains;
}

/* The first free run that holds what may be needed, else the longest, if any: else the pool has to do as it is. */
static void find_pool(struct rebuilding *re)
{
	uint64_t need = re->recount->n / LIKELY_PER_LEAF * 2 + SPARE_NODES, best = 0;

	for (size_t i = 0; i < re->recount->n && best < need; i++) {
		uint64_t start = re->recount->run[i].start, length = end_of(re, i) - start;

		if (re->recount->run[i].count || length <= best)
			continue;
		best = length < need ? length : need;
		re->pool = start;
		re->pool_end = start + best;
	}
}

/* From @start on grains have @count pointers. */
static int put_run(struct rebuilding *re, uint64_t start, uint64_t end, uint64_t count)
{
	struct cdx_disk_space item = {.start = put64(start), .refcount = put64(count)};

	if (start == end)
		return 0;
	if (!count)
		re->txn->record.free_grains += end - start;
	if (re->any && re->last == count)
		return 0;
	re->any = true;
	re->last = count;
	return cdx_tree_insert(&re->txn->space.tree, &item, sizeof(item));
}

/* One that the pool is taken out of, from its start, comes in up to two parts. */
static int put_runs(struct rebuilding *re)
{
	int ret = 0;

	for (size_t i = 0; i < re->recount->n && !ret; i++) {
		const struct cdx_counted *run = &re->recount->run[i];
		uint64_t end = end_of(re, i);

		if (run->start != re->pool) {
			ret = put_run(re, run->start, end, run->count);
			continue;
		}
		ret = put_run(re, run->start, re->pool_end, 1);
		if (!ret)
			ret = put_run(re, re->pool_end, end, 0);
	}
	return ret;
}

/* What the record amends of the old tree's nodes goes with them. */
static void forget_amendments(struct cdx_nodes *nodes)
{
	for (unsigned int i = nodes->amends.n; i-- > 0;)
		if (i < nodes->amends.n && nodes->amends.entry[i].kind == CDX_KIND_SPACE)
			cdx_amends_drop(nodes, get64(nodes->amends.entry[i].node));
}

/* They have the image before as their owner still: free two commits later (R2). */
static int leave_old_nodes(struct rebuilding *re)
{
	int ret = 0;

	for (size_t i = 0; i < re->recount->n && !ret; i++)
		if (re->recount->run[i].left)
			ret = cdx_limbo_add_run(re->txn, re->recount->run[i].start,
						end_of(re, i) - re->recount->run[i].start);
	return ret;
}

int cdx_repair_space(struct cdx_txn *txn, const struct cdx_recount *recount)
{
	struct rebuilding re = {.txn = txn, .recount = recount, .pool = NOWHERE, .pool_end = NOWHERE};
	int ret;

	find_pool(&re);
	forget_amendments(&txn->nodes);
	*txn->space.tree.root = (struct cdx_ref){0};
	txn->space.run_end = txn->space.hint = 0;
	txn->record.free_grains = 0;
	txn->record.unwritten_blocks = recount->unwritten_blocks;
	txn->record.unwritten_extents = recount->unwritten_extents;
	txn->claim = CDX_CLAIM_KEPT;
	ret = put_runs(&re);
	if (!ret && re.pool != NOWHERE)
		ret = cdx_runs_add(&txn->record.pool, re.pool, re.pool_end - re.pool);
	return ret ? ret : leave_old_nodes(&re);
}
