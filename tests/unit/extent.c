// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a file's blocks are, against a plain array: inline and in a tree. */
#include "fs/extent.h"

#include "rig.h"

#define BLOCKS 600
#define TOP (CDX_MAX_FILE >> 12)

struct lab {
	struct cowdax *fs;
	struct cdx_txn *txn;
	struct cdx_extents map;
	uint64_t disk[BLOCKS];		/* for each file block, 0: hole */
	bool unwritten[BLOCKS];
	uint64_t seed;
	unsigned int trees, inlines;	/* states seen */
};

static struct lab *make_lab(uint32_t node_size)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	CHECK(lab);
	lab->fs = rig_new(256 * MIB, 0, node_size);
	lab->txn = rig_begin(lab->fs);
	lab->seed = node_size;
	return lab;
}

static void free_lab(struct lab *lab)
{
	cdx_txn_abort(lab->txn);
	cowdax_close(lab->fs);
	free(lab);
}

/* The map is the array, in as few extents as can be. */
static void expect_all(struct lab *lab)
{
	struct cdx_extent extent, before = {0};
	uint64_t at = 0;
	int ret;

	CHECK(lab->map.layout == CDX_LAYOUT_INLINE || lab->map.root.address);
	lab->trees += lab->map.layout == CDX_LAYOUT_TREE;
	lab->inlines += lab->map.layout == CDX_LAYOUT_INLINE;
	while ((ret = cdx_extents_find(lab->txn, &lab->map, at, &extent, NULL, NULL)) > 0) {
		CHECK(extent.file_block >= at && extent.count > 0);
		CHECK(extent.file_block + extent.count <= BLOCKS);
		CHECK(!before.count || !cdx_extent_continues(&before, &extent));
		for (; at < extent.file_block; at++)
			CHECK_EQUAL(lab->disk[at], 0);
		for (uint64_t i = 0; i < extent.count; i++, at++) {
			CHECK_EQUAL(lab->disk[at], extent.disk_block + i);
			CHECK_EQUAL(lab->unwritten[at], extent.unwritten);
		}
		before = extent;
	}
	CHECK_EQUAL(ret, 0);
	for (; at < BLOCKS; at++)
		CHECK_EQUAL(lab->disk[at], 0);
}

static void cut(struct lab *lab, uint64_t from, uint64_t to)
{
	CHECK_EQUAL(cdx_extents_cut(lab->txn, &lab->map, from, to), 0);
	for (uint64_t b = from; b < to && b < BLOCKS; b++)
		lab->disk[b] = 0;
}

static void remap(struct lab *lab, uint64_t at, uint64_t disk, uint64_t count, bool unwritten)
{
	struct cdx_extent extent = {at, disk, count, unwritten};

	CHECK_EQUAL(cdx_extents_remap(lab->txn, &lab->map, &extent), 0);
	for (uint64_t i = 0; i < count; i++) {
		lab->disk[at + i] = disk + i;
		lab->unwritten[at + i] = unwritten;
	}
}

/* Map new blocks to a range: in one go, or piece by piece in any order, which must come to the same. */
static void write_range(struct lab *lab, uint64_t at, uint64_t want, bool pieces)
{
	bool unwritten = unit_below(&lab->seed, 4) == 0;
	uint64_t start, count, order[8] = {0};

	if (at + want > BLOCKS)
		want = BLOCKS - at;
	CHECK_EQUAL(cdx_alloc_data(lab->txn, want, &start, &count), 0);
	if (!pieces || count < 8) {
		remap(lab, at, start, count, unwritten);
		return;
	}
	for (uint64_t i = 0; i < 8; i++) {
		uint64_t other = unit_below(&lab->seed, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	for (int i = 0; i < 8; i++) {
		uint64_t from = count * order[i] / 8, to = count * (order[i] + 1) / 8;

		remap(lab, at + from, start + from, to - from, unwritten);
		expect_all(lab);
	}
}

TEST("random maps and cuts keep the extents equal to an array, and canonical")
{
	static const uint32_t node_sizes[] = {512, 1024, 4096};

	for (int n = 0; n < 3; n++) {
		struct lab *lab = make_lab(node_sizes[n]);

		for (int i = 0; i < 1500; i++) {
			uint64_t at = unit_below(&lab->seed, BLOCKS), choice = unit_below(&lab->seed, 100);
			uint64_t length = 1 + unit_below(&lab->seed, i / 100 % 2 ? 8 : 200);

			if (choice < 60)
				write_range(lab, at, length, choice < 10);
			else if (choice < 95)
				cut(lab, at, at + length);
			else
				cut(lab, at & ~UINT64_C(255), TOP);
			expect_all(lab);
		}
		CHECK(lab->trees > 100 && lab->inlines > 100);
		free_lab(lab);
	}
}

TEST("a cut at every alignment of an extent leaves the rest, inline and in a tree")
{
	for (int tree = 0; tree < 2; tree++) {
		struct lab *lab = make_lab(512);

		for (uint64_t from = 0; from <= 7; from++) {
			for (uint64_t to = from; to <= 9; to++) {
				cut(lab, 0, TOP);
				for (uint64_t i = 0; tree && i < 5; i++)
					write_range(lab, 100 + 2 * i, 1, false);
				write_range(lab, 1, 6, false);
				cut(lab, from, to);
				expect_all(lab);
				CHECK_EQUAL(lab->map.layout, tree ? CDX_LAYOUT_TREE : CDX_LAYOUT_INLINE);
			}
		}
		free_lab(lab);
	}
}

TEST("three extents stay inline, a fourth makes a tree, and a file that loses all is inline again")
{
	struct lab *lab = make_lab(512);

	for (uint64_t i = 0; i < 4; i++) {
		CHECK_EQUAL(lab->map.layout, CDX_LAYOUT_INLINE);
		write_range(lab, 10 * i, 1, false);
		expect_all(lab);
	}
	CHECK_EQUAL(lab->map.layout, CDX_LAYOUT_TREE);
	cut(lab, 0, TOP);
	CHECK_EQUAL(lab->map.layout, CDX_LAYOUT_INLINE);
	CHECK_EQUAL(lab->map.n_inline, 0);
	/* A hole in the middle of the last of three makes four. */
	for (uint64_t i = 0; i < 3; i++)
		write_range(lab, 10 * i, 5, false);
	cut(lab, 22, 23);
	expect_all(lab);
	CHECK_EQUAL(lab->map.layout, CDX_LAYOUT_TREE);
	free_lab(lab);
}

TEST("extents become one only when file, disk and kind go on, and the sum is not too long")
{
	struct cdx_extent extent = {10, 100, 5, false}, next = {15, 105, 1, false}, other;

	CHECK(cdx_extent_continues(&extent, &next));
	other = (struct cdx_extent){16, 105, 1, false};
	CHECK(!cdx_extent_continues(&extent, &other));
	other = (struct cdx_extent){15, 106, 1, false};
	CHECK(!cdx_extent_continues(&extent, &other));
	other = (struct cdx_extent){15, 105, 1, true};
	CHECK(!cdx_extent_continues(&extent, &other));
	extent.count = CDX_MAX_EXTENT_BLOCKS - 1;
	next = (struct cdx_extent){10 + extent.count, 100 + extent.count, 1, false};
	CHECK(cdx_extent_continues(&extent, &next));
	next.count = 2;
	CHECK(!cdx_extent_continues(&extent, &next));
}

TEST("extents that meet at the border of two leaves become one")
{
	struct lab *lab = make_lab(512);
	uint64_t start, count;

	/* Every second block of one run, then the gaps, in an order that meets all borders. */
	CHECK_EQUAL(cdx_alloc_data(lab->txn, BLOCKS, &start, &count), 0);
	CHECK_EQUAL(count, BLOCKS);
	for (uint64_t b = 0; b < BLOCKS; b += 2)
		remap(lab, b, start + b, 1, false);
	expect_all(lab);
	for (uint64_t i = 0; i < BLOCKS / 2; i++)
		remap(lab, (2 * (i * 7 % (BLOCKS / 2)) + 1), start + 2 * (i * 7 % (BLOCKS / 2)) + 1, 1, false);
	expect_all(lab);
	free_lab(lab);
}

TEST("blocks replaced one by one by those of one run become one extent")
{
	for (uint64_t step = 1; step < 12; step += 5) {
		struct lab *lab = make_lab(512);
		uint64_t old, new, count;

		CHECK_EQUAL(cdx_alloc_data(lab->txn, BLOCKS, &old, &count), 0);
		CHECK_EQUAL(count, BLOCKS);
		CHECK_EQUAL(cdx_alloc_data(lab->txn, BLOCKS, &new, &count), 0);
		CHECK_EQUAL(count, BLOCKS);
		/* Backwards, so that no two go on. */
		for (uint64_t b = 0; b < BLOCKS; b++)
			remap(lab, b, old + BLOCKS - 1 - b, 1, false);
		for (uint64_t i = 0; i < BLOCKS; i++) {
			uint64_t b = i * step % BLOCKS + (step > 1 && BLOCKS % step == 0 ? i / (BLOCKS / step) : 0);

			remap(lab, b, new + b, 1, false);
			expect_all(lab);
		}
		CHECK_EQUAL(lab->disk[BLOCKS - 1], new + BLOCKS - 1);
		free_lab(lab);
		CHECK_EQUAL(remove(unit_path("image")), 0);
	}
}

TEST("what is mapped over where something is mapped already is damage, not an overlap")
{
	for (int tree = 0; tree < 2; tree++) {
		struct lab *lab = make_lab(512);
		struct cdx_extent extent = {.count = 2};

		for (uint64_t i = 0; i < 5; i++)
			write_range(lab, 10 * i, 4, false);
		CHECK_EQUAL(cdx_alloc_data(lab->txn, 2, &extent.disk_block, &extent.count), 0);
		extent.file_block = 22;
		CHECK_EQUAL(cdx_extents_insert(lab->txn, &lab->map, &extent), -EUCLEAN);
		extent.file_block = 19;
		CHECK_EQUAL(cdx_extents_insert(lab->txn, &lab->map, &extent), -EUCLEAN);
		free_lab(lab);
		CHECK_EQUAL(remove(unit_path("image")), 0);
	}
}

TEST("a clone is the same map at constant cost, and neither changes with the other")
{
	for (uint64_t extents = 2; extents <= 200; extents += 198) {
		struct lab *lab = make_lab(512);
		struct cdx_extents clone;
		struct lab *other = calloc(1, sizeof(*other));
		uint64_t dirty;
		bool shared;
		uint64_t run;
		struct cdx_extent extent;

		CHECK(other);
		for (uint64_t i = 0; i < extents; i++)
			write_range(lab, 3 * i, 2, false);
		CHECK_EQUAL(cdx_extents_find(lab->txn, &lab->map, 3, &extent, &shared, &run), 1);
		CHECK(!shared);
		CHECK_EQUAL(run, 2);
		dirty = lab->txn->nodes.dirty_count;
		CHECK_EQUAL(cdx_extents_clone(lab->txn, &clone, &lab->map), 0);
		CHECK(lab->txn->nodes.dirty_count <= dirty + 5);
		memcpy(other, lab, sizeof(*other));
		other->map = clone;
		expect_all(other);
		CHECK_EQUAL(cdx_extents_find(lab->txn, &lab->map, 3, &extent, &shared, &run), 1);
		CHECK(shared);
		write_range(lab, 3, 1, false);
		cut(other, 0, 1);
		expect_all(lab);
		expect_all(other);
		CHECK_EQUAL(cdx_extents_find(lab->txn, &lab->map, 3, &extent, &shared, &run), 1);
		CHECK(!shared);
		free(other);
		free_lab(lab);
		CHECK_EQUAL(remove(unit_path("image")), 0);
	}
}
