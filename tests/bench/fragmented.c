// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocation when the free space is in a million pieces.  The space is filled
 * with unwritten extents and punched, so that no page of it is ever touched; what
 * is measured is a durable fallocate() of one block.
 */
#include "bench.h"

#include <inttypes.h>

#include "fixture.h"
#include "api/image.h"

#define FREE_BLOCKS 1000000
#define METADATA (512 * MIB)	/* what the punching needs */

struct subject {
	struct image image;
	uint64_t inode, runs;
};

static void punch(struct image *image, uint64_t inode, uint64_t at, uint64_t length)
{
	struct cowdax_error error = {0};

	must(cowdax_fallocate(image->fs, inode, COWDAX_FALLOCATE_PUNCH, at, length, true, NULL, &error), &error);
}

static void allocate(struct image *image, uint64_t inode, uint64_t at, uint64_t length)
{
	struct cowdax_error error = {0};

	must(cowdax_fallocate(image->fs, inode, COWDAX_FALLOCATE_UNWRITTEN, at, length, false, NULL, &error),
	     &error);
}

static int count_run(void *arg, uint64_t start, uint64_t count, uint64_t references)
{
	uint64_t *runs = arg;

	(void)start;
	(void)count;
	*runs += references == 0;
	return 0;
}

/* By the space tree itself: space that waits in limbo is not free yet. */
static uint64_t count_free_runs(struct image *image)
{
	struct cdx_txn *txn = &image->fs->txn;
	struct cowdax_error error = {0};
	uint64_t runs = 0;

	must(cdx_txn_view(txn, &error), &error);
	must(cdx_space_walk(&txn->space, count_run, &runs), &error);
	cdx_txn_release_view(txn);
	return runs;
}

/* Until nothing more comes of it. */
static uint64_t drain(struct image *image)
{
	uint64_t before, runs = 0;

	do {
		before = runs;
		image_drain(image);
		runs = count_free_runs(image);
	} while (runs > before);
	return runs;
}

/*
 * Fill the image with a file of @runs parts to go and others to stay, then with
 * another what is left, and free the first.
 */
static void prepare(struct subject *subject, const char *name, uint64_t runs)
{
	uint64_t part = FREE_BLOCKS / runs * BLOCK, size = 2 * FREE_BLOCKS * (uint64_t)BLOCK;
	struct cowdax_error error = {0};
	struct cowdax_info info;
	uint64_t filled, rest;

	image_make(&subject->image, name, size + GIB, false);
	filled = image_create(&subject->image, "/filled");
	allocate(&subject->image, filled, 0, size);
	must(cowdax_info(subject->image.fs, &info, &error), &error);
	rest = image_create(&subject->image, "/rest");
	allocate(&subject->image, rest, 0, info.free_blocks * BLOCK - METADATA);
	for (uint64_t i = 0; i < runs; i++) {
		if (i % 1000 == 0)
			image_begin(&subject->image);
		punch(&subject->image, filled, 2 * i * part, part);
		if (i % 1000 == 999 || i == runs - 1)
			image_commit(&subject->image);
	}
	subject->inode = image_create(&subject->image, "/file");
	subject->runs = drain(&subject->image);
	if (subject->runs < runs * 9 / 10)
		die("only %" PRIu64 " of %" PRIu64 " free runs could be made: the others stay in limbo",
		    subject->runs, runs);
}

static void allocations(struct subject *subject, struct side *side, int batch, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t at = ((uint64_t)batch * (uint64_t)count + (uint64_t)i) * 2 * BLOCK, started = now();

		allocate(&subject->image, subject->inode, at, BLOCK);
		side_add(side, started);
	}
}

void bench_fragmented(void)
{
	static const struct line line = {"allocating a block, 10^6 free runs", "10 free runs", AT_MOST, 2};
	struct subject splinters = {0}, whole = {0};
	struct pair pair = {0};

	prepare(&splinters, "splinters", FREE_BLOCKS);
	prepare(&whole, "whole", 10);
	for (int batch = 0; batch < repeat(45, 15); batch++) {
		allocations(&splinters, &pair.a, batch, 500);
		allocations(&whole, &pair.b, batch, 500);
		if (batch < 5)
			pair_clear(&pair);
		else
			pair_end_batch(&pair);
	}
	report_pair(&line, &pair);
	report_note("free runs in the space tree: %" PRIu64 " and %" PRIu64, splinters.runs, whole.runs);
	pair_clear(&pair);
	image_remove(&splinters.image);
	image_remove(&whole.image);
}
