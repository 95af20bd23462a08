// SPDX-License-Identifier: GPL-2.0-or-later
/* The two reserves of the commit record, and what is handed out of them. */
#include "txn/alloc.h"

#include <unistd.h>

#include "rig.h"

/* What each grain of the image is, as far as the reserves know. */
static unsigned char *map_reserves(struct cdx_txn *txn)
{
	const struct cdx_runs *both[] = {&txn->record.pool, &txn->record.window};
	unsigned char *map = calloc(1, txn->super->grains);

	CHECK(map);
	for (unsigned char which = 0; which < 2; which++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < both[which]->n; i++) {
			const struct cdx_run *run = &both[which]->run[i];
			uint64_t count, end;

			CHECK(cdx_super_allocatable(txn->super, run->start, run->count));
			for (uint64_t g = run->start; g < run->start + run->count; g++) {
				CHECK_EQUAL(map[g], 0);
				map[g] = which + 1;
				CHECK_EQUAL(cdx_space_count(&txn->space, g, &count, &end), 0);
				CHECK_EQUAL(count, 1);
			}
			if (which) {
				CHECK_EQUAL(run->start % cdx_block_grains(txn), 0);
				CHECK_EQUAL(run->count % cdx_block_grains(txn), 0);
			}
			CHECK(run->count >= both[which]->least);
			sum += run->count;
		}
		CHECK_EQUAL(both[which]->grains, sum);
	}
	return map;
}

static void expect_reserves(struct cdx_txn *txn)
{
	free(map_reserves(txn));
}

TEST("pool and window never overlap, hold grains of count 1, and the window whole blocks")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	char path[64];
	uint64_t seed = 11;

	expect_reserves(&fs->txn);
	for (int i = 0; i < 400; i++) {
		uint64_t which = unit_below(&seed, 40), inode;
		struct cowdax_error error;

		snprintf(path, sizeof(path), "/%u", (unsigned int)which);
		if (cowdax_lookup(fs, path, &inode, &error))
			inode = rig_create(fs, path);
		if (unit_below(&seed, 5) == 0)
			rig_remove(fs, path);
		else
			rig_write(fs, inode, unit_below(&seed, 100) * 1000, 1 + unit_below(&seed, 100000), i);
		rig_begin(fs);
		expect_reserves(&fs->txn);
		CHECK(fs->txn.record.pool.n + fs->txn.record.window.n <= CDX_MAX_RECORD_RUNS);
		cdx_txn_abort(&fs->txn);
	}
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("blocks handed out are free, disjoint, and outside of the reserves; in the end there are none")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	bool *given = calloc(txn->super->blocks, sizeof(*given));
	uint64_t seed = 4, start, count, total = 0, end, references;
	uint64_t available = cdx_budget(txn).available;
	unsigned char *reserves;
	int ret;

	CHECK(given);
	while ((ret = cdx_alloc_data(txn, 1 + unit_below(&seed, 40), &start, &count)) == 0) {
		CHECK(count > 0);
		for (uint64_t b = start; b < start + count; b++) {
			CHECK(!given[b]);
			given[b] = true;
			total++;
			CHECK_EQUAL(cdx_space_count(&txn->space, b * 8, &references, &end), 0);
			CHECK(references == 1 && end >= b * 8 + 8);
		}
	}
	CHECK_EQUAL(ret, -ENOSPC);
	reserves = map_reserves(txn);
	for (uint64_t g = 0; g < txn->super->grains; g++)
		CHECK(!(reserves[g] && given[g / 8]));
	free(reserves);
	/* All but what is kept, what recording it takes, and less than a block. */
	CHECK(total * 8 <= available);
	CHECK(cdx_budget(txn).available < 8);
	CHECK(total * 8 + txn->nodes.dirty_count + 8 > available);
	free(given);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("more blocks than there are, or than an extent can hold, are cut to what can be")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t start, count;

	CHECK_EQUAL(cdx_alloc_data(txn, UINT64_MAX, &start, &count), 0);
	CHECK(count > 500 && count < 1024);
	CHECK(cdx_super_allocatable(txn->super, start * 4, count * 4));
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R15: the pool is filled up before nodes are written: for all of them, and a removal besides")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_node *node;
	uint64_t address, before;
	bool *taken = calloc(txn->super->grains, sizeof(*taken));

	CHECK(taken);
	for (int i = 0; i < 3000; i++)
		CHECK_EQUAL(cdx_node_new(&txn->nodes, CDX_KIND_EXTENT, 0, &node), 0);
	CHECK(txn->record.pool.grains < 3000);
	CHECK_EQUAL(cdx_alloc_reserve(txn), 0);
	CHECK(txn->record.pool.grains >= txn->nodes.dirty_count + cdx_budget_kept(txn));
	expect_reserves(txn);
	before = txn->record.pool.grains;
	for (int i = 0; i < 3000; i++) {
		CHECK_EQUAL(cdx_alloc_node(txn, &address), 0);
		CHECK(!taken[address]);
		taken[address] = true;
	}
	cdx_alloc_settle(txn);
	CHECK_EQUAL(txn->record.pool.grains, before - 3000);
	free(taken);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R15: what comes back goes to the reserve it came from, without touching the space tree")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct cdx_txn *txn;
	uint64_t start, count, node, window, pool;
	uint64_t space;

	rig_write(fs, rig_create(fs, "/a"), 0, 10000, 'x');
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_alloc_data(txn, 4, &start, &count), 0);
	CHECK_EQUAL(cdx_alloc_node(txn, &node), 0);
	cdx_alloc_settle(txn);
	window = txn->record.window.grains;
	pool = txn->record.pool.grains;
	space = txn->record.space.address;
	CHECK_EQUAL(cdx_alloc_give_back(txn, start * 4, count * 4, false), 1);
	CHECK_EQUAL(cdx_alloc_give_back(txn, node, 1, false), 1);
	CHECK_EQUAL(txn->record.window.grains, window + count * 4);
	CHECK_EQUAL(txn->record.pool.grains, pool + 1);
	CHECK_EQUAL(txn->record.space.address, space);
	expect_reserves(txn);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("however splintered what comes back is, the record has room for the reserves' lists")
{
	for (int insist = 0; insist < 2; insist++) {
		struct cowdax *fs = rig_new(64 * MIB, 0, 512);
		struct cdx_txn *txn = rig_begin(fs);
		uint64_t start, count, before, back = 0;

		CHECK_EQUAL(cdx_alloc_data(txn, 2000, &start, &count), 0);
		CHECK_EQUAL(count, 2000);
		before = txn->record.free_grains + txn->record.pool.grains + txn->record.window.grains;
		for (uint64_t i = 0; i < 400; i++) {
			int fragment = cdx_alloc_give_back(txn, (start + 4 * i) * 8 + 3, 1, insist);
			int block = cdx_alloc_give_back(txn, (start + 4 * i + 2) * 8, 8, insist);

			CHECK(fragment >= 0 && block >= 0);
			CHECK(!insist || (fragment == 1 && block == 1));
			back += (uint64_t)(fragment + 8 * block);
		}
		CHECK(back > 0);
		CHECK_EQUAL(cdx_alloc_reserve(txn), 0);
		CHECK(txn->record.pool.n + txn->record.window.n <= CDX_MAX_RECORD_RUNS);
		CHECK_EQUAL(txn->record.free_grains + txn->record.pool.grains + txn->record.window.grains,
			    before + back);
		expect_reserves(txn);
		cdx_txn_abort(txn);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("nodes use the pool's splinters up first, the shortest of them, and give back what they do not use")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_runs *pool = &txn->record.pool;
	uint64_t start, count, node, longest = 0;

	CHECK_EQUAL(cdx_alloc_data(txn, 500, &start, &count), 0);
	/* Runs of 3, 1, 2, 3, 1, 2 ... beside the long one that was there. */
	for (uint64_t i = 0; i < 30; i++)
		CHECK_EQUAL(cdx_alloc_give_back(txn, (start + i) * 8, 1 + (i + 2) % 3, false), 1);
	expect_reserves(txn);
	for (uint64_t wanted = 1; wanted < 40; wanted += 7) {
		size_t before = pool->n;
		uint64_t grains = pool->grains;
		struct cdx_node *dirty[40];

		for (uint64_t i = 0; i < wanted; i++)
			CHECK_EQUAL(cdx_node_new(&txn->nodes, CDX_KIND_EXTENT, 0, &dirty[i]), 0);
		for (uint64_t i = 0; i < wanted; i++) {
			uint64_t references, end;

			CHECK_EQUAL(cdx_alloc_node(txn, &node), 0);
			CHECK_EQUAL(cdx_space_count(&txn->space, node, &references, &end), 0);
			CHECK_EQUAL(references, 1);
			for (size_t r = 0; r < pool->n; r++)
				CHECK(node < pool->run[r].start || node >= pool->run[r].start + pool->run[r].count);
		}
		cdx_alloc_settle(txn);
		for (uint64_t i = 0; i < wanted; i++)
			cdx_node_forget(&txn->nodes, dirty[i]);
		CHECK_EQUAL(pool->grains, grains - wanted);
		CHECK(pool->n <= before - wanted / 3 || pool->n <= 16);
		expect_reserves(txn);
	}
	for (size_t i = 0; i < pool->n; i++)
		longest = pool->run[i].count > longest ? pool->run[i].count : longest;
	CHECK(longest > 40);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R17: before giving up for lack of space, the reserves go back, but for what a removal needs")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct cdx_txn *txn;
	uint64_t all;

	rig_write(fs, rig_create(fs, "/a"), 0, 10000, 'x');
	txn = rig_begin(fs);
	all = txn->record.free_grains + txn->record.pool.grains + txn->record.window.grains;
	CHECK_EQUAL(cdx_alloc_return_all(txn), 0);
	CHECK_EQUAL(txn->record.window.n, 0);
	CHECK(txn->record.pool.grains >= cdx_budget_kept(txn));
	CHECK_EQUAL(txn->record.free_grains + txn->record.pool.grains, all);
	expect_reserves(txn);
	rig_commit(fs);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R17: what is set aside for removals is not given to other nodes")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_node *node;
	uint64_t start, count;

	while (cdx_alloc_data(txn, 1000, &start, &count) == 0)
		;
	while (txn->nodes.dirty_count + cdx_budget_kept(txn) <= txn->record.pool.grains)
		CHECK_EQUAL(cdx_node_new(&txn->nodes, CDX_KIND_EXTENT, 0, &node), 0);
	CHECK_EQUAL(cdx_alloc_reserve(txn), -ENOSPC);
	txn->claim = CDX_CLAIM_KEPT;
	CHECK_EQUAL(cdx_alloc_reserve(txn), 0);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}
