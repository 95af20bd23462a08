// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two writers of one file at once, each in a range of its own, against one, and
 * against two plain copiers: what the memory gives to two is what there is to
 * share.  All four in turn, in one run.  As with the stream, every page is there
 * and mapped before the clock starts.
 */
#include "bench.h"

#include <libpmem.h>
#include <string.h>

#include "fixture.h"
#include "worker.h"

#define LENGTH (64 * MIB)
#define IMAGE (768 * MIB)
#define WRITES 6		/* of a turn */

struct writer {
	struct image image;	/* opened in the worker */
	struct floor floor;	/* the copier's */
	unsigned char *source;
	uint64_t inode, offset;
};

static void write_range(void *subject)
{
	struct writer *writer = subject;

	image_write(&writer->image, writer->inode, writer->source, LENGTH, writer->offset);
}

static void prepare_writer(void *subject)
{
	struct writer *writer = subject;

	image_open(&writer->image);
	writer->source = make_source(LENGTH);
}

static void copy(void *subject)
{
	struct writer *copier = subject;

	pmem_memcpy(copier->floor.map, copier->source, LENGTH, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
	pmem_drain();
}

static void prepare_copier(void *subject)
{
	struct writer *copier = subject;

	floor_make(&copier->floor, LENGTH);
	copier->source = make_source(LENGTH);
}

/* Nanoseconds for a gigabyte of what @count workers do together, from the first start to the last end. */
static double together(struct worker *const *workers, int count)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (int i = 0; i < count; i++)
		worker_go(workers[i]);
	for (int i = 0; i < count; i++) {
		worker_wait(workers[i]);
		first = workers[i]->started < first ? workers[i]->started : first;
		last = workers[i]->ended > last ? workers[i]->ended : last;
	}
	return (double)(last - first) * (double)GIB / (double)(LENGTH * WRITES * (uint64_t)count);
}

static void compare(struct worker *const *writers, struct worker *const *copiers)
{
	struct line line = {"2 writers, 64 MiB each, disjoint ranges of a file", "1 writer", AT_LEAST, 1.6};
	struct pair one = {0}, plain = {0}, ceiling = {0};
	bool goal_met;

	for (int batch = 0; batch < repeat(40, 10); batch++) {
		double alone = together(writers, 1), both = together(writers, 2);
		double copier = together(copiers, 1), both_copiers = together(copiers, 2);

		side_add_time(&one.a, alone);
		side_add_time(&one.b, both);
		side_add_time(&plain.a, both_copiers);
		side_add_time(&plain.b, both);
		side_add_time(&ceiling.a, copier);
		side_add_time(&ceiling.b, both_copiers);
		pair_end_batch(&one);
		pair_end_batch(&plain);
		pair_end_batch(&ceiling);
	}
	report_bandwidth(&line, &one);
	line = (struct line){"  or, the same", "2 copiers", AT_LEAST, 0.9};
	report_bandwidth(&line, &plain);
	line = (struct line){.what = "  2 copiers", .against = "1 copier"};
	report_bandwidth(&line, &ceiling);
	goal_met = series_median(&one.ratios) >= 1.6 || series_median(&plain.ratios) >= 0.9;
	report_note("either goal will do: %s", goal_met ? "met" : "MISSED");
	pair_clear(&one);
	pair_clear(&plain);
	pair_clear(&ceiling);
}

void bench_writers(void)
{
	struct writer subject = {0};
	struct worker writer = {.prepare = prepare_writer, .operate = write_range, .subject = &subject,
				.most = WRITES};
	struct worker copier = {.prepare = prepare_copier, .operate = copy, .subject = &subject,
				.most = WRITES};
	struct worker *writers[2], *copiers[2];

	image_make(&subject.image, "writers", IMAGE, true);
	subject.inode = image_create(&subject.image, "/file");
	for (int i = 0; i < 2; i++) {
		subject.offset = (uint64_t)i * LENGTH;
		writers[i] = worker_start(&writer, i);
		copiers[i] = worker_start(&copier, i);
	}
	together(writers, 2);
	together(copiers, 2);
	compare(writers, copiers);
	for (int i = 0; i < 2; i++) {
		worker_end(writers[i]);
		worker_end(copiers[i]);
	}
	image_remove(&subject.image);
}
