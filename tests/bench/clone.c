// SPDX-License-Identifier: GPL-2.0-or-later
/* A whole-file clone costs the same whatever the file's extents. */
#include "bench.h"

#include <stdio.h>

#include "api/image.h"
#include "fixture.h"

#define CLONES 50	/* a batch */

static void clones(struct image *image, const char *from, struct side *side, bool keep)
{
	static int made;	/* names that have been given */
	int first = made;
	struct cowdax_error error = {0};
	char to[32];

	for (int i = 0; i < CLONES; i++) {
		uint64_t started;

		snprintf(to, sizeof(to), "/clone%d", made++);
		started = now();
		must(cowdax_clone(image->fs, from, to, NULL, &error), &error);
		side_add(side, started);
	}
	for (int i = first; i < made && !keep; i++) {
		snprintf(to, sizeof(to), "/clone%d", i);
		must(cowdax_remove(image->fs, to, false, &error), &error);
	}
}

static void compare(struct image *image, const struct line *line, bool keep)
{
	struct pair pair = {0};

	for (int batch = -2; batch < repeat(40, 10); batch++) {
		clones(image, "/big", &pair.a, keep);
		clones(image, "/small", &pair.b, keep);
		if (batch < 0)
			pair_clear(&pair);
		else
			pair_end_batch(&pair);
	}
	report_pair(line, &pair);
	pair_clear(&pair);
}

/* A commit that writes no data gives back what removals have left, a bounded piece of it: that is in the second row. */
void bench_clone(void)
{
	static const struct line kept = {"whole-file clone, 10^6 extents", "1 extent", AT_MOST, 1.2};
	static const struct line removed = {"  after as many have been removed", "1 extent", AT_MOST, 1.2};
	struct image image = {0};

	image_make(&image, "clone", 6 * GIB, true);
	image_fragmented_file(&image, "/big", 1000000, SHUFFLED);
	image_fragmented_file(&image, "/small", 1, SHUFFLED);
	/* What making the files has left in limbo is not the clones'. */
	image_drain(&image);
	compare(&image, &kept, true);
	compare(&image, &removed, false);
	image_remove(&image);
}
