// SPDX-License-Identifier: LGPL-2.1-or-later
/* The two reserves (FORMAT 4.1, R15): the pool for nodes, the window for small writes. */
#include "txn/alloc.h"

#define POOL_CLUSTER_BYTES (UINT64_C(256) << 10)	/* carved out for nodes at a time */
#define WINDOW_BYTES (UINT64_C(256) << 10)		/* and for small writes */
#define WINDOW_MAX_BYTES (UINT64_C(4) << 20)		/* more than this goes back to the tree */
#define POOL_MAX_BYTES (UINT64_C(2) << 20)
#define MAX_POOL_RUNS 88
#define MAX_WINDOW_RUNS (CDX_MAX_RECORD_RUNS - MAX_POOL_RUNS)
#define SMALL_BLOCKS 16		/* what the window serves */
#define SPARE_RUNS 8		/* fewer runs than this: ask limbo for more; and room left for a commit's own */
#define WORTH_RELEASING 16	/* blocks in a run that is given back to the space tree at once */
#define MAX_ROUNDS 64

static uint64_t to_grains(const struct cdx_txn *txn, uint64_t bytes)
{
	return bytes >> txn->super->grain_shift;
}

/* A small image keeps small reserves. */
static uint64_t scaled(const struct cdx_txn *txn, uint64_t bytes)
{
	uint64_t part = txn->super->size / 64;

	if (bytes > part)
		bytes = part;
	if (bytes < txn->super->block_size)
		bytes = txn->super->block_size;
	return to_grains(txn, bytes & ~(uint64_t)(txn->super->block_size - 1));
}

/* ---- the reserves ---------------------------------------------------------------- */

/* Move free space of up to @want grains into @runs. */
static int refill(struct cdx_txn *txn, struct cdx_runs *runs, uint64_t want)
{
	uint64_t start, count;
	int ret;

	ret = cdx_space_find(&txn->space, want, &start, &count);
	if (ret)
		return ret;
	/* One call for all of it: a page at a time costs more than the stores. */
	ret = cdx_pmem_prepare(&txn->device->pm, start << txn->super->grain_shift,
			       count << txn->super->grain_shift);
	if (!ret)
		ret = cdx_space_take(&txn->space, start, count);
	return ret ? ret : cdx_runs_add(runs, start, count);
}

/* Give half of too long a list back to the space tree, the shortest runs first. */
static int trim(struct cdx_txn *txn, struct cdx_runs *runs, size_t limit)
{
	int ret;

	while (runs->n > limit) {
		size_t shortest = 0;
		struct cdx_run run;

		for (size_t i = 1; i < runs->n; i++)
			if (runs->run[i].count < runs->run[shortest].count)
				shortest = i;
		run = runs->run[shortest];
		cdx_runs_remove(runs, shortest);
		ret = cdx_space_release(&txn->space, run.start, run.count);
		if (ret)
			return ret;
	}
	return 0;
}

static int trim_both(struct cdx_txn *txn)
{
	int ret = 0;

	if (txn->record.pool.n > MAX_POOL_RUNS)
		ret = trim(txn, &txn->record.pool, MAX_POOL_RUNS / 2);
	if (!ret && txn->record.window.n > MAX_WINDOW_RUNS)
		ret = trim(txn, &txn->record.window, MAX_WINDOW_RUNS / 2);
	return ret;
}

int cdx_alloc_reserve(struct cdx_txn *txn)
{
	uint64_t cluster = scaled(txn, POOL_CLUSTER_BYTES);
	int ret;

	for (int round = 0; round < MAX_ROUNDS; round++) {
		uint64_t need;

		ret = trim_both(txn);
		if (ret)
			return ret;
		need = cdx_budget_pool(txn);
		if (txn->record.pool.grains >= need && txn->record.pool.n <= MAX_POOL_RUNS &&
		    txn->record.window.n <= MAX_WINDOW_RUNS)
			return 0;
		if (need < txn->record.pool.grains + cluster)
			need = txn->record.pool.grains + cluster;
		need = (need - txn->record.pool.grains + cdx_block_grains(txn) - 1) &
		       ~(cdx_block_grains(txn) - 1);
		ret = refill(txn, &txn->record.pool, need);
		if (ret == -ENOSPC)
			ret = refill(txn, &txn->record.pool, 1);
		if (ret == -ENOSPC && txn->record.window.n) {
			struct cdx_run run = txn->record.window.run[0];

			cdx_runs_remove(&txn->record.window, 0);
			ret = cdx_runs_add(&txn->record.pool, run.start, run.count);
		}
		if (ret)
			return ret;
	}
	return -ENOSPC;
}

/* A run for @want more nodes: one that holds them all, else the longest; when
 * fragments get many, the shortest goes first. */
static size_t choose_run(const struct cdx_runs *runs, uint64_t want)
{
	bool fragments_first = runs->n > MAX_POOL_RUNS / 2;
	size_t best = 0;

	for (size_t i = 0; i < runs->n; i++) {
		if (!fragments_first && runs->run[i].count >= want)
			return i;
		if (fragments_first ? runs->run[i].count < runs->run[best].count :
				      runs->run[i].count > runs->run[best].count)
			best = i;
	}
	return best;
}

int cdx_alloc_node(void *arg, uint64_t *address)
{
	struct cdx_txn *txn = arg;
	struct cdx_runs *pool = &txn->record.pool;

	if (!txn->taking.count) {
		size_t best;

		if (!pool->n)
			return -ENOSPC;
		best = choose_run(pool, txn->nodes.dirty_count);
		txn->taking = pool->run[best];
		cdx_runs_remove(pool, best);
	}
	*address = txn->taking.start++;
	txn->taking.count--;
	return 0;
}

void cdx_alloc_settle(struct cdx_txn *txn)
{
	struct cdx_run rest = txn->taking;

	txn->taking.count = 0;
	/* There is room where the run came from, and it cannot overlap. */
	if (rest.count)
		cdx_runs_add(&txn->record.pool, rest.start, rest.count);
}

/* ---- data -------------------------------------------------------------------------- */

/* Cut up to @want grains off the best run of the window; 0 when it is empty. */
static uint64_t take_from_window(struct cdx_txn *txn, uint64_t want, uint64_t *start)
{
	struct cdx_runs *window = &txn->record.window;
	uint64_t count;
	size_t best = 0;

	if (!window->n)
		return 0;
	for (size_t i = 1; i < window->n; i++) {
		uint64_t have = window->run[i].count, most = window->run[best].count;

		if (have >= want ? most < want || have < most : most < want && have > most)
			best = i;
	}
	*start = window->run[best].start;
	count = window->run[best].count < want ? window->run[best].count : want;
	cdx_runs_cut(window, best, count);
	return count;
}

static bool window_has(const struct cdx_txn *txn, uint64_t want)
{
	for (size_t i = 0; i < txn->record.window.n; i++)
		if (txn->record.window.run[i].count >= want)
			return true;
	return false;
}

static int take_from_tree(struct cdx_txn *txn, uint64_t want, uint64_t *start, uint64_t *count)
{
	int ret = cdx_space_find(&txn->space, want, start, count);

	if (!ret && *count < cdx_block_grains(txn))
		ret = -ENOSPC;
	return ret ? ret : cdx_space_take(&txn->space, *start, *count);
}

/* One block out of the pool: for the edge of what a removal leaves (R17). */
static uint64_t take_block_from_pool(struct cdx_txn *txn, uint64_t *start)
{
	struct cdx_runs *pool = &txn->record.pool;
	uint64_t block = cdx_block_grains(txn);

	for (size_t i = 0; i < pool->n; i++) {
		struct cdx_run run = pool->run[i];
		uint64_t first = (run.start + block - 1) & ~(block - 1), end = run.start + run.count;

		if (first + block > end)
			continue;
		cdx_runs_remove(pool, i);
		if (first > run.start)
			cdx_runs_add(pool, run.start, first - run.start);
		if (end > first + block)
			cdx_runs_add(pool, first + block, end - first - block);
		*start = first;
		return block;
	}
	return 0;
}

int cdx_alloc_data(struct cdx_txn *txn, uint64_t blocks, uint64_t *start, uint64_t *count)
{
	unsigned int shift = txn->super->grains_per_block_shift;
	uint64_t want, grains = 0;
	int ret = 0;

	if (blocks > CDX_MAX_EXTENT_BLOCKS)
		blocks = CDX_MAX_EXTENT_BLOCKS;
	if (blocks > txn->super->blocks)
		blocks = txn->super->blocks;
	want = blocks << shift;
	if (cdx_budget_must_drain(txn, want))
		return -ENOSPC;
	if (blocks > SMALL_BLOCKS) {
		ret = take_from_tree(txn, want, start, &grains);
	} else {
		if (!window_has(txn, want)) {
			uint64_t window = scaled(txn, WINDOW_BYTES);

			ret = refill(txn, &txn->record.window, window > want ? window : want);
		}
		if (!ret)
			grains = take_from_window(txn, want, start);
	}
	if (ret == -ENOSPC) {
		grains = take_from_window(txn, want, start);
		if (!grains && txn->claim == CDX_CLAIM_KEPT)
			grains = take_block_from_pool(txn, start);
		ret = grains ? 0 : -ENOSPC;
	}
	if (ret)
		return ret;
	*start >>= shift;
	*count = grains >> shift;
	return 0;
}

/* ---- coming back --------------------------------------------------------------------- */

int cdx_alloc_give_back(struct cdx_txn *txn, uint64_t start, uint64_t count, bool insist)
{
	uint64_t mask = cdx_block_grains(txn) - 1;
	bool whole = mask && !(start & mask) && !(count & mask);
	struct cdx_runs *runs = whole ? &txn->record.window : &txn->record.pool;
	uint64_t most = scaled(txn, whole ? WINDOW_MAX_BYTES : POOL_MAX_BYTES);
	size_t limit = (whole ? MAX_WINDOW_RUNS : MAX_POOL_RUNS) - SPARE_RUNS;
	int ret;

	if (runs->n < limit && runs->grains + count <= most) {
		ret = cdx_runs_add(runs, start, count);
		return ret ? ret : 1;
	}
	/* A long run is worth a change of the space tree; a short one waits where it is. */
	if (!insist && count < WORTH_RELEASING * (mask + 1))
		return 0;
	ret = cdx_space_release(&txn->space, start, count);
	return ret ? ret : 1;
}

bool cdx_alloc_wants_grains(const struct cdx_txn *txn)
{
	return txn->record.pool.n < SPARE_RUNS || txn->record.window.n == 0;
}

int cdx_alloc_return_all(struct cdx_txn *txn)
{
	struct cdx_runs *pool = &txn->record.pool;
	int ret = trim(txn, &txn->record.window, 0);

	while (!ret && pool->n) {
		struct cdx_run run = pool->run[0];

		if (pool->grains < run.count + 2 * cdx_budget_kept(txn) + txn->nodes.dirty_count)
			break;
		cdx_runs_remove(pool, 0);
		ret = cdx_space_release(&txn->space, run.start, run.count);
	}
	return ret;
}
