// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening costs the same whatever the image's size. */
#include "bench.h"

#include "fixture.h"

static void open_and_close(const char *path, unsigned int flags, struct side *side)
{
	struct cowdax_open_options how = {.flags = flags};
	struct cowdax_error error = {0};
	struct cowdax_stat stat;
	struct cowdax *fs = NULL;
	uint64_t started = now();

	must(cowdax_open(path, &how, &fs, &error), &error);
	must(cowdax_stat(fs, COWDAX_ROOT_INODE, &stat, &error), &error);
	cowdax_close(fs);
	side_add(side, started);
}

static void compare(const char *what, const struct image *big, const struct image *small,
		    unsigned int flags)
{
	struct line line = {what, "16 MiB", AT_MOST, 1.2};
	struct pair pair = {0};

	for (int batch = 0; batch < repeat(40, 10); batch++) {
		for (int turn = 0; turn < 100; turn++) {
			open_and_close(big->path, flags, &pair.a);
			open_and_close(small->path, flags, &pair.b);
		}
		pair_end_batch(&pair);
	}
	report_pair(&line, &pair);
	pair_clear(&pair);
}

void bench_open(void)
{
	struct image big = {0}, small = {0};

	image_make(&big, "big", 4096 * GIB, false);
	image_make(&small, "small", 16 * MIB, false);
	compare("open + stat + close, sparse 4 TiB", &big, &small, 0);
	compare("  the same, for reading only", &big, &small, COWDAX_RDONLY);
	image_remove(&small);
	image_remove(&big);
}
