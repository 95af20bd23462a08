// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A sequential gigabyte through the library against one plain non-temporal
 * pmem_memcpy() of it.  Both read the same source and store to files on tmpfs,
 * mapped shared, whose pages are all there and mapped before the clock starts:
 * the floor's when it is made, the image's by turns that walk over all of it.
 * So neither is charged for the host finding and zeroing pages, which is no
 * part of writing to persistent memory.
 */
#include "bench.h"

#include <libpmem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"

#define LENGTH GIB

static void write_file(struct image *image, const unsigned char *source, struct side *side)
{
	struct cowdax_error error = {0};
	uint64_t inode = image_create(image, "/stream"), started = now();

	image_write(image, inode, source, LENGTH, 0);
	side_add(side, started);
	must(cowdax_remove(image->fs, "/stream", false, &error), &error);
	for (int i = 0; i < 50; i++) {		/* limbo gets its turn */
		image_begin(image);
		image_commit(image);
	}
}

static void copy(struct floor *floor, const unsigned char *source, struct side *side)
{
	uint64_t started = now();

	pmem_memcpy(floor->map, source, LENGTH, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
	pmem_drain();
	side_add(side, started);
}

void bench_stream(void)
{
	static const struct line line = {"1 GiB written through the library (bandwidth)", "one pmem_memcpy",
					 AT_LEAST, 0.9};
	unsigned char *source = make_source(LENGTH);
	struct pair pair = {0};
	struct image image = {0};
	struct floor floor = {0};

	image_make(&image, "stream", 3 * GIB, true);
	floor_make(&floor, LENGTH);
	for (int turn = -3; turn < repeat(9, 5); turn++) {
		write_file(&image, source, &pair.b);
		copy(&floor, source, &pair.a);
		if (turn < 0)
			pair_clear(&pair);
		else
			pair_end_batch(&pair);
	}
	report_bandwidth(&line, &pair);
	pair_clear(&pair);
	floor_remove(&floor);
	image_remove(&image);
	munmap(source, LENGTH);
}
