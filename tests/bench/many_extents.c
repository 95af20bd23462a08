// SPDX-License-Identifier: GPL-2.0-or-later
/* What a write costs when the image has a million extents. */
#include "bench.h"

#include <stdio.h>

#include "fixture.h"

struct subject {
	struct image image;
	uint64_t inode;
	uint64_t blocks, *block;	/* that are written to; NULL: the file's first */
};

static void prepare(struct subject *subject, const char *name, uint64_t size, uint64_t extents)
{
	image_make(&subject->image, name, size, true);
	subject->blocks = extents;
	subject->inode = image_fragmented_file(&subject->image, "/file", extents, SHUFFLED);
}

static void writes(struct subject *subject, struct side *side, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t at = random_below(subject->blocks), started;

		at = (subject->block ? subject->block[at] : at) * BLOCK;
		started = now();
		image_write(&subject->image, subject->inode, pattern, BLOCK, at);
		side_add(side, started);
	}
}

static void compare(const struct line *line, struct subject *many, struct subject *few)
{
	struct pair pair = {0};

	for (int batch = -10; batch < repeat(40, 10); batch++) {
		writes(many, &pair.a, 500);
		writes(few, &pair.b, 500);
		if (batch < 0)
			pair_clear(&pair);
		else
			pair_end_batch(&pair);
	}
	report_pair(line, &pair);
	pair_clear(&pair);
	image_remove(&many->image);
	image_remove(&few->image);
}

/* ---- more than there is memory for ------------------------------------------------------------ */

#define SAMPLE 20000	/* blocks that are written to, again and again */
#define AT_ONCE 20000	/* extents made in one transaction */

/*
 * A file is preallocated, which takes no memory for what is not written yet, and every other
 * block cut out of it: each that is left is an extent.
 */
static void prepare_sparse(struct subject *subject, const char *name, uint64_t extents, uint64_t block[SAMPLE])
{
	struct cowdax_error error = {0};

	image_make(&subject->image, name, extents * (2 * BLOCK + BLOCK / 4) + GIB, false);
	subject->blocks = SAMPLE;
	subject->block = block;
	subject->inode = image_create(&subject->image, "/file");
	must(cowdax_fallocate(subject->image.fs, subject->inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 2 * extents * BLOCK,
			      false, NULL, &error), &error);
	for (uint64_t i = 0; i < extents; i++) {
		if (i % AT_ONCE == 0)
			image_begin(&subject->image);
		must(cowdax_fallocate(subject->image.fs, subject->inode, COWDAX_FALLOCATE_PUNCH,
				      (2 * i + 1) * BLOCK, BLOCK, true, NULL, &error), &error);
		if (i % AT_ONCE == AT_ONCE - 1 || i == extents - 1)
			image_commit(&subject->image);
	}
	for (int i = 0; i < SAMPLE; i++) {
		block[i] = 2 * random_below(extents);
		image_write(&subject->image, subject->inode, pattern, BLOCK, block[i] * BLOCK);
	}
}

static void compare_sparse(void)
{
	static uint64_t of_many[SAMPLE], of_few[SAMPLE];
	uint64_t extents = (uint64_t)repeat(10000000, 1000000);
	char what[64], against[32];
	struct line line = {what, against, AT_MOST, 1.3};
	struct subject many = {0}, few = {0};

	snprintf(what, sizeof(what), "the same, %.0e extents, preallocated", (double)extents);
	snprintf(against, sizeof(against), "%.0e extents", (double)extents / 10);
	prepare_sparse(&many, "many", extents, of_many);
	prepare_sparse(&few, "few", extents / 10, of_few);
	compare(&line, &many, &few);
}

void bench_many_extents(void)
{
	static const struct line line = {"random 4 KiB write, 10^6 extents in the image", "10^3 extents",
					 AT_MOST, 1.5};
	struct subject many = {0}, few = {0};

	prepare(&many, "many", 6 * GIB, 1000000);
	prepare(&few, "few", GIB, 1000);
	compare(&line, &many, &few);
	compare_sparse();
}
