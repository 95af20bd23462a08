// SPDX-License-Identifier: GPL-2.0-or-later
/* Durable small writes into clones of a fragmented file. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "fixture.h"

#define EXTENTS 100000
#define SMALL 100
#define PER_CLONE 1000

struct subject {
	enum layout layout;
	struct image image;
	struct floor floor;
};

static void prepare(struct subject *subject)
{
	image_make(&subject->image, "small", 4 * GIB, true);
	floor_make(&subject->floor, GIB);
	image_fragmented_file(&subject->image, "/original", EXTENTS, subject->layout);
}

static void finish(struct subject *subject)
{
	image_remove(&subject->image);
	floor_remove(&subject->floor);
}

/* A fresh clone for each batch, and the last one's removed. */
static uint64_t next_clone(struct subject *subject, int batch)
{
	struct cowdax_error error = {0};

	if (batch)
		must(cowdax_remove(subject->image.fs, "/clone", false, &error), &error);
	return image_clone(&subject->image, "/original", "/clone");
}

static uint64_t small_offset(enum layout layout)
{
	return random_block(EXTENTS, layout) * BLOCK + 1 + random_below(BLOCK - SMALL - 1);
}

static void writes(struct subject *subject, uint64_t inode, size_t length, struct side *side, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t offset = length == BLOCK ? random_block(EXTENTS, subject->layout) * BLOCK :
						    small_offset(subject->layout);
		uint64_t started = now();

		image_write(&subject->image, inode, pattern, length, offset);
		side_add(side, started);
	}
}

/*
 * The first writes into a clone unshare the tree's upper nodes and, with each
 * leaf, its pointers; @first splits them from the others.
 */
static void measure(struct subject *subject, size_t length, struct pair *all, struct pair *first)
{
	int batches = repeat(40, 10);

	for (int batch = -2; batch < batches; batch++) {
		uint64_t inode = next_clone(subject, batch + 2);

		writes(subject, inode, length, &first->a, 10);
		floor_batch(&subject->floor, &first->b, 10);
		writes(subject, inode, length, &all->a, PER_CLONE - 10);
		floor_batch(&subject->floor, &all->b, PER_CLONE - 10);
		if (batch < 0) {		/* warming up */
			pair_clear(all);
			pair_clear(first);
			continue;
		}
		pair_end_batch(first);
		pair_end_batch(all);
	}
}

/* Into a file that shares nothing: what is left when no pointer is to be counted. */
static void measure_private(struct subject *subject, size_t length, struct pair *pair)
{
	struct cowdax_error error = {0};
	uint64_t inode = 0;

	must(cowdax_lookup(subject->image.fs, "/original", &inode, &error), &error);
	for (int batch = 0; batch < repeat(20, 5); batch++) {
		writes(subject, inode, length, &pair->a, PER_CLONE);
		floor_batch(&subject->floor, &pair->b, PER_CLONE);
		pair_end_batch(pair);
	}
}

static void run(size_t length, enum layout layout, const char *what, double goal)
{
	struct pair all = {0}, first = {0}, private = {0};
	struct line line = {what, "floor", AT_MOST, goal};
	struct subject subject = {.layout = layout};

	prepare(&subject);
	measure_private(&subject, length, &private);	/* before there ever was a clone */
	measure(&subject, length, &all, &first);
	report_pair(&line, &all);
	line = (struct line){.what = "  the first 10 into a clone", .against = "floor"};
	report_pair(&line, &first);
	line.what = "  into the same file, nothing shared";
	report_pair(&line, &private);
	finish(&subject);
	pair_clear(&all);
	pair_clear(&first);
	pair_clear(&private);
}

/*
 * The shuffled layout is the worst there is: the first write into a shared leaf
 * counts each of its extents once more, and each count is in another leaf of the
 * space tree.
 */
void bench_small_write(void)
{
	run(SMALL, EVERY_OTHER, "100 bytes, unaligned, into a clone of 10^5 extents", 8);
	run(SMALL, SHUFFLED, "the same, extents shuffled on the media", 8);
}

void bench_aligned_write(void)
{
	run(BLOCK, EVERY_OTHER, "4 KiB, aligned, into a clone of 10^5 extents", 6);
	run(BLOCK, SHUFFLED, "the same, extents shuffled on the media", 6);
}
