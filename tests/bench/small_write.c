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
	uint64_t private;	/* a file of the same kind that shares nothing */
};

static void prepare(struct subject *subject)
{
	image_make(&subject->image, "small", 4 * GIB, true);
	floor_make(&subject->floor, GIB);
	image_fragmented_file(&subject->image, "/original", EXTENTS, subject->layout);
	subject->private = image_fragmented_file(&subject->image, "/private", EXTENTS, subject->layout);
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

	if (batch) {
		must(cowdax_remove(subject->image.fs, "/clone", false, &error), &error);
		image_drain(&subject->image);
	}
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

struct pairs { struct pair private, all, first; };

/*
 * Side by side: writes to the file that shares nothing and the floor, then writes into a fresh
 * clone against those.  The first unshare the tree's upper nodes: they are a pair of their own.
 */
static void measure(struct subject *subject, size_t length, struct pairs *pairs)
{
	int batches = repeat(40, 10);

	for (int batch = -2; batch < batches; batch++) {
		uint64_t clone = next_clone(subject, batch + 2);

		writes(subject, clone, length, &pairs->first.a, 10);
		writes(subject, subject->private, length, &pairs->first.b, 10);
		writes(subject, clone, length, &pairs->all.a, PER_CLONE - 10);
		writes(subject, subject->private, length, &pairs->all.b, PER_CLONE - 10);
		writes(subject, subject->private, length, &pairs->private.a, PER_CLONE);
		floor_batch(&subject->floor, &pairs->private.b, PER_CLONE);
		if (batch < 0) {		/* warming up */
			pair_clear(&pairs->private);
			pair_clear(&pairs->all);
			pair_clear(&pairs->first);
			continue;
		}
		pair_end_batch(&pairs->private);
		pair_end_batch(&pairs->all);
		pair_end_batch(&pairs->first);
	}
}

static void run(size_t length, enum layout layout, const char *what, double floors)
{
	struct line line = {what, "floor", AT_MOST, floors};
	struct subject subject = {.layout = layout};
	struct pairs pairs = {0};

	prepare(&subject);
	measure(&subject, length, &pairs);
	report_pair(&line, &pairs.private);
	line = (struct line){"  into a clone of it", "nothing shared", AT_MOST, 1.5};
	report_pair(&line, &pairs.all);
	line = (struct line){"  the first 10 into a clone", "nothing shared", AT_MOST, 3};
	report_pair(&line, &pairs.first);
	finish(&subject);
	pair_clear(&pairs.private);
	pair_clear(&pairs.all);
	pair_clear(&pairs.first);
}

/*
 * The shuffled layout is the worst there is: the first write into a shared leaf
 * counts each of its extents once more, and each count is in another leaf of the
 * space tree.
 */
void bench_small_write(void)
{
	run(SMALL, EVERY_OTHER, "100 bytes, unaligned, into a file of 10^5 extents", 12);
	run(SMALL, SHUFFLED, "the same, extents shuffled on the media", 12);
}

void bench_aligned_write(void)
{
	run(BLOCK, EVERY_OTHER, "4 KiB, aligned, into a file of 10^5 extents", 10);
	run(BLOCK, SHUFFLED, "the same, extents shuffled on the media", 10);
}
