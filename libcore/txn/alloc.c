// SPDX-License-Identifier: LGPL-2.1-or-later
/* The two reserves (FORMAT 4.1, R15): the pool for nodes, the window for small writes. */
#include "txn/alloc.h"

#include <stdlib.h>

#include "txn/bound.h"

#define POOL_CLUSTER_BYTES (UINT64_C(256) << 10)	/* carved out for nodes at a time */
#define WINDOW_BYTES (UINT64_C(256) << 10)		/* and for small writes */
#define WINDOW_MAX_BYTES (UINT64_C(4) << 20)		/* more than this goes back to the tree */
#define POOL_MAX_BYTES (UINT64_C(2) << 20)
#define MAX_POOL_RUNS 88
#define MAX_WINDOW_RUNS (CDX_MAX_RECORD_RUNS - MAX_POOL_RUNS)
#define SMALL_BLOCKS 16		/* what the window serves */
#define MANY_POOL_RUNS 16	/* more than this: nodes take the shortest, so that the record stays short */
#define SPARE_RUNS 8		/* fewer runs than this: ask limbo for more; and room left for a commit's own */
#define MOST_BACKED_RUNS 65536	/* of the space tree looked at for space that a full host backs */
#define WORTH_RELEASING 16	/* blocks in a run that is given back to the space tree at once */

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

/* One call for all of it: a page at a time costs more than the stores. */
static int prepare(struct cdx_txn *txn, uint64_t start, uint64_t count)
{
	return cdx_pmem_prepare(&txn->device->pm, start << txn->super->grain_shift,
				count << txn->super->grain_shift);
}

/*
 * The first part of the free run [*at, end) that the host has backing store for, of
 * up to @want grains: 1, or 0 with *at past what has been looked at.
 */
static int backed_part(struct cdx_txn *txn, uint64_t *at, uint64_t end, uint64_t want, uint64_t *start,
		       uint64_t *count)
{
	unsigned int shift = txn->super->grain_shift;
	uint64_t align = want < cdx_block_grains(txn) ? 1 : cdx_block_grains(txn), offset, length;

	while (*at < end) {
		uint64_t first, last;

		offset = *at << shift;
		length = (end - *at) << shift;
		if (!cdx_pmem_next_data(&txn->device->pm, &offset, &length))
			break;
		first = (((offset + (UINT64_C(1) << shift) - 1) >> shift) + align - 1) & ~(align - 1);
		last = ((offset + length) >> shift) & ~(align - 1);
		*at = (offset + length + (UINT64_C(1) << shift) - 1) >> shift;
		if (first >= last)
			continue;
		*start = first;
		*count = last - first < want ? last - first : want;
		return 1;
	}
	*at = end;
	return 0;
}

/*
 * Free space that the host has backing store for, where it has no more to give: what
 * the image's files once had.  From where the last was found on, and once around.
 */
static int find_backed(struct cdx_txn *txn, uint64_t want, uint64_t *start, uint64_t *count)
{
	uint64_t grains = txn->super->grains, at = txn->backed < grains ? txn->backed : 0, turn = at;
	bool around = false;

	for (int runs = 0; runs < MOST_BACKED_RUNS; runs++) {
		uint64_t references, end;
		int ret;

		if (at >= grains) {
			around = true;
			at = 0;
		}
		if (around && at >= turn)
			break;
		ret = cdx_space_count(&txn->space, at, &references, &end);
		if (ret)
			return ret;
		if (references) {
			at = end;
		} else if (backed_part(txn, &at, end, want, start, count)) {
			txn->backed = *start + *count;
			return cdx_super_allocatable(txn->super, *start, *count) ? 0 : -EUCLEAN;
		}
	}
	txn->backed = at;
	return -ENOSPC;
}

/* Free space to store to: any, but what the host backs already where it is known to be full. */
static int find_storable(struct cdx_txn *txn, uint64_t want, uint64_t *start, uint64_t *count)
{
	bool was_full = txn->device->pm.host_was_full;
	int ret;

	if (was_full) {
		ret = find_backed(txn, want, start, count);
		if (ret != -ENOSPC)
			return ret ? ret : prepare(txn, *start, *count);
		/* Maybe it has room again; preparing will tell. */
		txn->device->pm.host_was_full = false;
	}
	ret = cdx_space_find(&txn->space, want, start, count);
	if (!ret)
		ret = prepare(txn, *start, *count);
	if (ret != -ENOSPC || !txn->device->pm.host_was_full)
		return ret;
	/* It may have given a part. */
	ret = find_backed(txn, want, start, count);
	return ret ? ret : prepare(txn, *start, *count);
}

/* Move free space of up to @want grains into @runs. */
static int refill(struct cdx_txn *txn, struct cdx_runs *runs, uint64_t want)
{
	uint64_t start, count;
	int ret;

	ret = find_storable(txn, want, &start, &count);
	if (!ret)
		ret = cdx_space_take(&txn->space, start, count);
	return ret ? ret : cdx_runs_add(runs, start, count);
}

static int release_run(struct cdx_txn *txn, struct cdx_runs *runs, size_t index)
{
	struct cdx_run run = runs->run[index];

	cdx_runs_remove(runs, index);
	return cdx_space_release(&txn->space, run.start, run.count);
}

/* What the host has no room for goes back to the space tree, and what it backs is taken instead. */
static int sift(struct cdx_txn *txn, struct cdx_runs *runs)
{
	for (size_t i = runs->n; i-- > 0;) {
		int ret = prepare(txn, runs->run[i].start, runs->run[i].count);

		if (ret == -ENOSPC)
			ret = release_run(txn, runs, i);
		if (ret)
			return ret;
	}
	return 0;
}

/* Once in a transaction, where the host is full: its reserves may have come from files that had no data. */
static int sift_reserves(struct cdx_txn *txn)
{
	int ret;

	if (!txn->device->pm.host_was_full || txn->sifted)
		return 0;
	txn->sifted = true;
	ret = sift(txn, &txn->record.pool);
	return ret ? ret : sift(txn, &txn->record.window);
}

/* Give too long a list back to the space tree, but for @limit runs, the shortest first. */
static int trim(struct cdx_txn *txn, struct cdx_runs *runs, size_t limit)
{
	int ret = 0;

	while (!ret && runs->n > limit) {
		size_t shortest = 0;

		for (size_t i = 1; i < runs->n; i++)
			if (runs->run[i].count < runs->run[shortest].count)
				shortest = i;
		ret = release_run(txn, runs, shortest);
	}
	return ret;
}

static int by_count(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/*
 * Runs of the pool that @nodes will not use up: cdx_alloc_node() takes the
 * shortest first while they are many.  *enough is the length of the shortest of these.
 */
static int64_t runs_left(const struct cdx_runs *pool, uint64_t nodes, uint64_t *enough)
{
	uint64_t *count;
	size_t used = 0;

	*enough = 0;
	if (pool->n <= MAX_POOL_RUNS / 2)
		return (int64_t)pool->n;
	count = malloc(pool->n * sizeof(*count));
	if (!count)
		return -ENOMEM;
	for (size_t i = 0; i < pool->n; i++)
		count[i] = pool->run[i].count;
	qsort(count, pool->n, sizeof(*count), by_count);
	while (used < pool->n && count[used] <= nodes)
		nodes -= count[used++];
	if (used < pool->n)
		*enough = count[used];
	free(count);
	return (int64_t)(pool->n - used);
}

/* Whether the pool holds what it must.  What is kept may lie in the space tree where the record has no room. */
static int pool_suffices(const struct cdx_txn *txn)
{
	const struct cdx_runs *pool = &txn->record.pool;
	struct cdx_budget budget = cdx_budget(txn);
	uint64_t enough;
	int64_t left;

	if (pool->grains >= cdx_budget_pool(txn))
		return 1;
	if (pool->grains < budget.needed || budget.held < cdx_budget_pool(txn))
		return 0;
	left = runs_left(pool, budget.needed, &enough);
	return left < 0 ? (int)left : left > MAX_POOL_RUNS / 2;
}

/*
 * What the window keeps for removals: a block for either edge of what is cut out
 * (R17).  Where a block is a grain the pool has them.
 */
static uint64_t edges(const struct cdx_txn *txn)
{
	uint64_t block = cdx_block_grains(txn);

	return block > 1 && txn->claim == CDX_CLAIM_AVAILABLE ? CDX_BOUND_EDGES * block : 0;
}

/* Grains of the window that this transaction may have. */
static uint64_t window_available(const struct cdx_txn *txn)
{
	uint64_t kept = edges(txn);

	return txn->record.window.grains > kept ? txn->record.window.grains - kept : 0;
}

static uint64_t take_block_from_pool(struct cdx_txn *txn, uint64_t *start);

/* Have the window hold that, while there are whole blocks. */
static int keep_edges(struct cdx_txn *txn)
{
	uint64_t kept = edges(txn), start, count;
	int ret = 0;

	while (txn->record.window.grains < kept && !ret) {
		ret = refill(txn, &txn->record.window, kept - txn->record.window.grains);
		if (ret != -ENOSPC)
			continue;
		count = take_block_from_pool(txn, &start);
		if (!count)
			return 0;
		ret = cdx_runs_add(&txn->record.window, start, count);
	}
	return ret;
}

/* One run more for the pool: off the space tree, else off the window. */
static int add_to_pool(struct cdx_txn *txn)
{
	uint64_t cluster = scaled(txn, POOL_CLUSTER_BYTES), block = cdx_block_grains(txn);
	struct cdx_runs *pool = &txn->record.pool, *window = &txn->record.window;
	uint64_t want = cdx_budget_pool(txn), spare = window_available(txn);
	struct cdx_run run;
	int ret;

	want = want > pool->grains + cluster ? want - pool->grains : cluster;
	ret = refill(txn, pool, (want + block - 1) & ~(block - 1));
	if (ret == -ENOSPC && block > 1)
		ret = refill(txn, pool, block - 1);
	if (ret != -ENOSPC || !spare)
		return ret;
	run = window->run[0];
	if (run.count > spare)
		run.count = spare;
	cdx_runs_cut(window, 0, run.count);
	return cdx_runs_add(pool, run.start, run.count);
}

int cdx_alloc_fill(struct cdx_txn *txn)
{
	int ret;

	cdx_budget_refresh(txn);
	ret = sift_reserves(txn);
	if (ret)
		return ret;
	/* Each turn takes something off the space tree or the window, so this ends. */
	while ((ret = pool_suffices(txn)) == 0) {
		ret = add_to_pool(txn);
		if (ret)
			return ret;
	}
	return ret < 0 ? ret : 0;
}

/* What the record has no room for goes back to the space tree: 1, or 0 when there is nothing. */
static int fit_pool(struct cdx_txn *txn)
{
	struct cdx_runs *pool = &txn->record.pool;
	uint64_t shortest;
	int64_t left;
	int ret = 0;

	if (pool->n <= MAX_POOL_RUNS)
		return 0;
	left = runs_left(pool, txn->nodes.dirty_count, &shortest);
	if (left <= MAX_POOL_RUNS)
		return left < 0 ? (int)left : 0;
	for (size_t i = pool->n; i-- > 0 && left > MAX_POOL_RUNS / 2 && !ret;) {
		if (pool->run[i].count < shortest)
			continue;
		ret = release_run(txn, pool, i);
		left--;
	}
	return ret ? ret : 1;
}

/* The same for the window: nobody uses it up any more. */
static int fit_window(struct cdx_txn *txn)
{
	int ret;

	if (txn->record.window.n <= MAX_WINDOW_RUNS)
		return 0;
	ret = trim(txn, &txn->record.window, MAX_WINDOW_RUNS / 2);
	return ret ? ret : 1;
}

int cdx_alloc_reserve(struct cdx_txn *txn)
{
	int ret;

	do {
		ret = fit_window(txn);
		if (ret >= 0)
			ret = keep_edges(txn);
		if (!ret)
			ret = cdx_alloc_fill(txn);
		if (!ret)
			ret = fit_pool(txn);
	} while (ret > 0);
	return ret || cdx_budget_allows(txn) ? ret : -ENOSPC;
}

/* One run that holds @want nodes, else the longest. */
static void take_long(struct cdx_txn *txn, uint64_t want)
{
	struct cdx_runs *pool = &txn->record.pool;
	size_t best = 0;

	for (size_t i = 0; i < pool->n && pool->run[best].count < want; i++)
		if (pool->run[i].count > pool->run[best].count)
			best = i;
	txn->taking.run[txn->taking.n++] = pool->run[best];
	cdx_runs_remove(pool, best);
}

/*
 * Runs of the length that none is shorter than, from the end, until *want is 0.  Whether all
 * have been looked at and longer ones are left: then it is known how long the next are.
 */
static bool take_least(struct cdx_txn *txn, uint64_t *want)
{
	struct cdx_runs *pool = &txn->record.pool;
	uint64_t next = UINT64_MAX;
	size_t i;

	for (i = pool->n; i > 0 && *want && txn->taking.n < CDX_MOST_TAKING; i--) {
		struct cdx_run run = pool->run[i - 1];

		if (run.count > pool->least) {
			next = run.count < next ? run.count : next;
			continue;
		}
		txn->taking.run[txn->taking.n++] = run;
		*want -= run.count < *want ? run.count : *want;
		cdx_runs_remove(pool, i - 1);
	}
	if (i || next == UINT64_MAX)
		return false;
	pool->least = next;
	return true;
}

/* The shortest runs for @want nodes, in few passes for all of them. */
static void take_short(struct cdx_txn *txn, uint64_t want)
{
	while (take_least(txn, &want))
		;
}

static int longest_first(const void *a, const void *b)
{
	const struct cdx_run *left = a, *right = b;

	return left->count > right->count ? -1 : left->count < right->count;
}

static int in_order(const void *a, const void *b)
{
	const struct cdx_run *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/*
 * How many nodes are going to be written: those that cannot stay where they are, and one of those that can.
 * Where it is more, runs are taken again.
 */
static uint64_t likely_nodes(const struct cdx_txn *txn)
{
	uint64_t homeless = txn->nodes.dirty_count - txn->nodes.homes;

	return homeless + 1;
}

/* Runs for the nodes that are dirty; where splinters are many, these first (runs_left() counts on that). */
static int take_runs(struct cdx_txn *txn)
{
	struct cdx_runs *pool = &txn->record.pool;
	uint64_t want = likely_nodes(txn);

	txn->taking.at = txn->taking.n = 0;
	if (!pool->n)
		return -ENOSPC;
	/* Too many to look for the shortest each time: until all are written it is the last. */
	if (pool->n > MAX_POOL_RUNS && !txn->pool_by_length) {
		qsort(pool->run, pool->n, sizeof(*pool->run), longest_first);
		txn->pool_by_length = true;
	}
	if (txn->pool_by_length) {
		txn->taking.run[txn->taking.n++] = pool->run[pool->n - 1];
		cdx_runs_remove(pool, pool->n - 1);
	} else if (pool->n > MANY_POOL_RUNS) {
		take_short(txn, want);
	} else {
		take_long(txn, want);
	}
	return 0;
}

int cdx_alloc_node(void *arg, uint64_t *address)
{
	struct cdx_txn *txn = arg;
	struct cdx_run *run;
	int ret = txn->taking.at < txn->taking.n ? 0 : take_runs(txn);

	if (ret)
		return ret;
	run = &txn->taking.run[txn->taking.at];
	*address = run->start++;
	if (!--run->count)
		txn->taking.at++;
	return 0;
}

void cdx_alloc_settle(struct cdx_txn *txn)
{
	struct cdx_runs *pool = &txn->record.pool;

	if (txn->pool_by_length)
		qsort(pool->run, pool->n, sizeof(*pool->run), in_order);
	txn->pool_by_length = false;
	/* There is room where the runs came from, and they cannot overlap. */
	for (; txn->taking.at < txn->taking.n; txn->taking.at++) {
		struct cdx_run rest = txn->taking.run[txn->taking.at];

		cdx_runs_add(pool, rest.start, rest.count);
	}
}

/* ---- data -------------------------------------------------------------------------- */

/* Cut up to @want grains off the best run of the window; 0 when it is empty. */
static uint64_t take_from_window(struct cdx_txn *txn, uint64_t want, uint64_t *start)
{
	struct cdx_runs *window = &txn->record.window;
	uint64_t count, spare = window_available(txn);
	size_t best = 0;

	if (!spare)
		return 0;
	if (want > spare)
		want = spare;
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
	if (window_available(txn) < want)
		return false;
	for (size_t i = 0; i < txn->record.window.n; i++)
		if (txn->record.window.run[i].count >= want)
			return true;
	return false;
}

static int take_from_tree(struct cdx_txn *txn, uint64_t want, uint64_t *start, uint64_t *count)
{
	int ret = txn->device->pm.host_was_full ? find_backed(txn, want, start, count) : -ENOSPC;

	/* What a file gets that has no data yet need not be backed: others prepare it. */
	if (ret == -ENOSPC)
		ret = cdx_space_find(&txn->space, want, start, count);
	if (!ret && *count < cdx_block_grains(txn))
		ret = -ENOSPC;
	return ret ? ret : cdx_space_take(&txn->space, *start, *count);
}

/* One block out of the pool, which small fragments may fill again: for the last of the space (R17). */
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
	txn->took_data = true;
	if (cdx_budget_must_drain(txn, want))
		return -ENOSPC;
	ret = sift_reserves(txn);
	if (!ret)
		ret = keep_edges(txn);
	if (ret)
		return ret;
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
		if (!grains && cdx_budget(txn).available >= cdx_block_grains(txn))
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
		if (pool->grains < pool->run[0].count + 2 * cdx_budget_kept(txn) + txn->nodes.dirty_count)
			break;
		ret = release_run(txn, pool, 0);
	}
	return ret;
}
