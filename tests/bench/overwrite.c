// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All of a clone is written to, block by block, until it shares nothing: what is put off
 * by borrowing has been paid by then.  Beside it as many writes to a file of its own.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

#define TURN 1000	/* writes */

struct subject {
	struct image image;
	uint64_t clone, private;
	uint64_t extents, *order;
	enum layout layout;
};

static double writes(struct subject *subject, uint64_t inode, uint64_t from)
{
	uint64_t started = now();

	for (uint64_t i = from; i < from + TURN; i++)
		image_write(&subject->image, inode, pattern, BLOCK, subject->order[i] * BLOCK);
	return (double)(now() - started) / TURN;
}

static void report_hidden(const struct subject *subject)
{
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};
	char hidden[32], borrowing[64];

	must(cowdax_check(subject->image.path, NULL, &summary, &error), &error);
	if (!summary.clean)
		die("the image is damaged");
	snprintf(hidden, sizeof(hidden), "%" PRIu64, summary.hidden_blocks);
	snprintf(borrowing, sizeof(borrowing), "%" PRIu64 " nodes borrow", summary.borrowing_nodes);
	report_value("  blocks that only bases keep then", hidden, borrowing, "0", summary.hidden_blocks == 0);
}

static void run(enum layout layout, const char *how)
{
	struct subject subject = {.layout = layout, .extents = (uint64_t)repeat(1000000, 50000)};
	struct line line = {.against = "a file of its own", .goal = AT_MOST, .bound = 2};
	struct series first = {0}, last = {0};
	struct pair pair = {0};
	double clone = 0, private = 0;
	char what[64];

	image_make(&subject.image, "overwrite", (3 * BLOCK + BLOCK / 8) * subject.extents + 128 * MIB, true);
	image_fragmented_file(&subject.image, "/original", subject.extents, SHUFFLED);
	subject.private = image_fragmented_file(&subject.image, "/private", subject.extents, SHUFFLED);
	subject.clone = image_clone(&subject.image, "/original", "/clone");
	subject.order = layout == SHUFFLED ? write_order(subject.extents, SHUFFLED) : NULL;
	if (!subject.order) {
		subject.order = calloc(subject.extents, sizeof(*subject.order));
		for (uint64_t i = 0; subject.order && i < subject.extents; i++)
			subject.order[i] = i;
	}
	if (!subject.order)
		die("out of memory");
	for (uint64_t at = 0; at < subject.extents; at += TURN) {
		double time = writes(&subject, subject.clone, at);

		clone += time;
		private += writes(&subject, subject.private, at);
		series_add(at < subject.extents / 10 ? &first : &last, time);
	}
	/* Of all writes at once: no batch stands for the others. */
	side_add_time(&pair.a, clone * TURN / (double)subject.extents);
	side_add_time(&pair.b, private * TURN / (double)subject.extents);
	pair_end_batch(&pair);
	snprintf(what, sizeof(what), "%" PRIu64 " writes over all of a clone, %s", subject.extents, how);
	line.what = what;
	report_pair(&line, &pair);
	report_note("the first tenth %.1f us, the others %.1f us", series_mean(&first) / 1000,
		    series_mean(&last) / 1000);
	report_hidden(&subject);
	series_clear(&first);
	series_clear(&last);
	pair_clear(&pair);
	free(subject.order);
	image_remove(&subject.image);
}

void bench_overwrite(void)
{
	run(EVERY_OTHER, "in order");
	run(SHUFFLED, "at random");
}
