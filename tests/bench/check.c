// SPDX-License-Identifier: GPL-2.0-or-later
/* fsck -n: extents a second, and what clones add. */
#include "bench.h"

#include <stdio.h>

#include "fixture.h"

#define CLONES 1000

static uint64_t check(const struct image *image, struct side *side)
{
	struct cowdax_check_options how = {0};
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};
	uint64_t started = now();

	must(cowdax_check(image->path, &how, &summary, &error), &error);
	side_add(side, started);
	if (!summary.clean)
		die("an image that the bench made is damaged");
	return summary.extents;
}

static void prepare(struct image *image, const char *name, int clones)
{
	char to[32];

	image_make(image, name, GIB, true);
	image_fragmented_file(image, "/file", 100000, SHUFFLED);
	for (int i = 0; i < clones; i++) {
		snprintf(to, sizeof(to), "/clone%d", i);
		image_clone(image, "/file", to);
	}
}

static void compare_clones(void)
{
	static const struct line line = {"fsck, 10^5 extents and 1000 clones of them", "no clones", AT_MOST, 1.1};
	struct image cloned = {0}, plain = {0};
	struct pair pair = {0};

	prepare(&cloned, "cloned", CLONES);
	prepare(&plain, "plain", 0);
	for (int batch = 0; batch < repeat(20, 5); batch++) {
		for (int turn = 0; turn < 5; turn++) {
			check(&cloned, &pair.a);
			check(&plain, &pair.b);
		}
		pair_end_batch(&pair);
	}
	report_pair(&line, &pair);
	pair_clear(&pair);
	image_remove(&cloned);
	image_remove(&plain);
}

void bench_check(void)
{
	struct side side = {0};
	uint64_t extents = 0;
	struct image image = {0};
	char text[64];
	double rate;

	image_make(&image, "check", 6 * GIB, true);
	image_fragmented_file(&image, "/file", 1000000, SHUFFLED);
	for (int i = 0; i < repeat(7, 3); i++)
		extents = check(&image, &side);
	rate = (double)extents / (series_median(&side.batch) / 1e9);
	snprintf(text, sizeof(text), "%.2f M extents/s", rate / 1e6);
	report_value("fsck, one core, 10^6 extents", text, "", ">= 1 M/s", rate >= 1e6);
	image_remove(&image);
	compare_clones();
}
