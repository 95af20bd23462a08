// SPDX-License-Identifier: GPL-2.0-or-later
/* What a write costs when the image has a million extents. */
#include "bench.h"

#include <stdio.h>

#include "fixture.h"

struct subject {
	struct image image;
	uint64_t inode, extents;
};

static void prepare(struct subject *subject, const char *name, uint64_t size, uint64_t extents)
{
	image_make(&subject->image, name, size, true);
	subject->extents = extents;
	subject->inode = image_fragmented_file(&subject->image, "/file", extents, SHUFFLED);
}

static void writes(struct subject *subject, struct side *side, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t offset = random_below(subject->extents) * BLOCK, started = now();

		image_write(&subject->image, subject->inode, pattern, BLOCK, offset);
		side_add(side, started);
	}
}

/* ---- more than there is memory for ------------------------------------------------------------ */

#define SAMPLE 20000	/* blocks that are written to, again and again */
#define AT_ONCE 20000	/* extents made in one transaction */

struct sparse {
	struct image image;
	uint64_t inode, block[SAMPLE];
};

/*
 * A file is preallocated, which takes no memory for what is not written yet, and every other
 * block cut out of it: each that is left is an extent.
 */
static void prepare_sparse(struct sparse *sparse, const char *name, uint64_t extents)
{
	struct cowdax_error error = {0};

	image_make(&sparse->image, name, extents * (2 * BLOCK + BLOCK / 4) + GIB, false);
	sparse->inode = image_create(&sparse->image, "/file");
	must(cowdax_fallocate(sparse->image.fs, sparse->inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 2 * extents * BLOCK, false,
			      NULL, &error), &error);
	for (uint64_t i = 0; i < extents; i++) {
		if (i % AT_ONCE == 0)
			image_begin(&sparse->image);
		must(cowdax_fallocate(sparse->image.fs, sparse->inode, COWDAX_FALLOCATE_PUNCH, (2 * i + 1) * BLOCK,
				      BLOCK, true, NULL, &error), &error);
		if (i % AT_ONCE == AT_ONCE - 1 || i == extents - 1)
			image_commit(&sparse->image);
	}
	for (int i = 0; i < SAMPLE; i++) {
		sparse->block[i] = 2 * random_below(extents);
		image_write(&sparse->image, sparse->inode, pattern, BLOCK, sparse->block[i] * BLOCK);
	}
}

static void sparse_writes(struct sparse *sparse, struct side *side, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t offset = sparse->block[random_below(SAMPLE)] * BLOCK, started = now();

		image_write(&sparse->image, sparse->inode, pattern, BLOCK, offset);
		side_add(side, started);
	}
}

static void compare_sparse(void)
{
	static struct sparse many, few;
	uint64_t extents = (uint64_t)repeat(10000000, 1000000);
	char what[64], against[32];
	struct line line = {what, against, AT_MOST, 1.3};
	struct pair pair = {0};

	prepare_sparse(&many, "many", extents);
	prepare_sparse(&few, "few", extents / 10);
	for (int batch = -10; batch < repeat(40, 10); batch++) {
		sparse_writes(&many, &pair.a, 500);
		sparse_writes(&few, &pair.b, 500);
		if (batch < 0)
			pair_clear(&pair);
		else
			pair_end_batch(&pair);
	}
	snprintf(what, sizeof(what), "the same, %.0e extents, preallocated", (double)extents);
	snprintf(against, sizeof(against), "%.0e extents", (double)extents / 10);
	report_pair(&line, &pair);
	pair_clear(&pair);
	image_remove(&many.image);
	image_remove(&few.image);
}

void bench_many_extents(void)
{
	static const struct line line = {"random 4 KiB write, 10^6 extents in the image", "10^3 extents",
					 AT_MOST, 1.5};
	struct subject many = {0}, few = {0};
	struct pair pair = {0};

	prepare(&many, "many", 6 * GIB, 1000000);
	prepare(&few, "few", GIB, 1000);
	for (int batch = -10; batch < repeat(40, 10); batch++) {
		writes(&many, &pair.a, 500);
		writes(&few, &pair.b, 500);
		if (batch < 0)
			pair_clear(&pair);
		else
			pair_end_batch(&pair);
	}
	report_pair(&line, &pair);
	pair_clear(&pair);
	image_remove(&many.image);
	image_remove(&few.image);
	compare_sparse();
}
