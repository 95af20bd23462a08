// SPDX-License-Identifier: GPL-2.0-or-later
/* What a write costs when the image has a million extents. */
#include "bench.h"

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
}
