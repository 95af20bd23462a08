// SPDX-License-Identifier: GPL-2.0-or-later
/* A list of operations on both sides, and what to do when they do not end alike. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../model/memory.h"
#include "../model/random.h"
#include "beside.h"

#define LOOK_AT_ALL 64			/* steps after which everything is compared, limbo undone */
#define SHRINK_OPERATIONS 100000	/* done at most to find fewer of them that fail */

/* ---- one step ------------------------------------------------------------------------ */

static void look(struct run *run)
{
	for (unsigned int file = 0; file < FILES; file++) {
		xfs_layout(run->xfs, file, &run->now.xfs[file]);
		image_layout(run->image, file, &run->now.cowdax[file]);
	}
}

static const char *result_name(int ret)
{
	return ret ? strerrorname_np(-ret) : "success";
}

/* Which goes first changes, so that neither always finds the other's cache lines. */
static bool apply(struct run *run, const struct op *op, bool *changed)
{
	static unsigned char bytes[MAX_FILE];
	struct cowdax_error error = {0};
	uint64_t xfs_time, cowdax_time;
	enum reason reason;
	bool dsync = run->step / 2 % 2;
	int xfs, cowdax;

	random_fill(run->step, bytes, op->kind == OP_WRITE ? op->length : 0);
	if (run->step % 2) {
		xfs = xfs_apply(run->xfs, op, bytes, dsync, &xfs_time);
		cowdax = image_apply(run->image, op, bytes, &cowdax_time, &error);
	} else {
		cowdax = image_apply(run->image, op, bytes, &cowdax_time, &error);
		xfs = xfs_apply(run->xfs, op, bytes, dsync, &xfs_time);
	}
	*changed = xfs == 0 && cowdax == 0;
	if (*changed && run->times)
		times_add(run->times, op->kind, xfs_time, cowdax_time);
	if (xfs == cowdax)
		return true;
	reason = reason_for_results(op, &run->now, xfs, cowdax);
	run->counts[reason]++;
	return reason || run_fail(run, "%s on XFS, %s in cowdax (%s)", result_name(xfs),
				  result_name(cowdax), error.text);
}

static void count_differences(struct run *run, const struct sides *before,
			      enum reason old[FILES][BLOCKS], uint64_t old_limbo)
{
	for (unsigned int file = 0; file < FILES; file++)
		for (uint64_t i = 0; i < BLOCKS; i++) {
			const struct block *was = &before->cowdax[file].block[i],
					   *is = &run->now.cowdax[file].block[i];

			if (run->mark[file][i] != old[file][i])
				run->counts[run->mark[file][i]]++;
			if (is->type == COWDAX_UNWRITTEN && is->shared &&
			    !(was->type == COWDAX_UNWRITTEN && was->shared))
				run->counts[REASON_UNWRITTEN_SHARED]++;
		}
	if (run->limbo > old_limbo)
		run->counts[REASON_LIMBO] += run->limbo - old_limbo;
}

/* With nothing left in limbo there is nothing to excuse a flag that is wrong. */
static bool look_when_drained(struct run *run)
{
	image_drain(run->image);
	look(run);
	return compare_layouts(run, true);
}

static bool step(struct run *run, const struct op *op)
{
	static struct sides before;
	static enum reason old[FILES][BLOCKS];
	uint64_t old_limbo = run->limbo;
	bool changed;

	run->step++;
	if (!apply(run, op, &changed))
		return false;
	before = run->now;
	memcpy(old, run->mark, sizeof(old));
	look(run);
	if (changed)
		reason_update(run->mark, op, &before, &run->now);
	if (!compare_contents(run, op->file) || !compare_layouts(run, false))
		return false;
	count_differences(run, &before, old, old_limbo);
	/* A tree in limbo is smaller than a block, and so not counted. */
	return !run->limbo || image_limbo(run->image) || look_when_drained(run);
}

static bool look_at_all(struct run *run)
{
	return look_when_drained(run) && compare_all_contents(run);
}

/* ---- one run ------------------------------------------------------------------------- */

static void start(struct run *run, struct setting *setting, uint64_t counts[REASONS])
{
	*run = (struct run){
		.xfs = &setting->xfs,
		.image = &setting->image,
		.counts = counts,
		.times = setting->times,
	};
	for (unsigned int file = 0; file < FILES; file++) {
		const struct op gone = {.kind = OP_REMOVE, .file = file};
		struct cowdax_error error;
		uint64_t time;

		xfs_apply(run->xfs, &gone, NULL, false, &time);
		image_apply(run->image, &gone, NULL, &time, &error);
	}
}

static bool finish(struct run *run)
{
	if (!look_at_all(run))
		return false;
	return image_is_clean(run->image) || run_fail(run, "fsck.cowdax finds problems");
}

/* Without a trace in the tables. */
static bool fails(struct setting *setting, const struct op_list *list, struct run *run)
{
	uint64_t counts[REASONS] = {0};
	bool good = true;

	start(run, setting, counts);
	run->times = NULL;
	for (size_t i = 0; i < list->count && good; i++)
		good = step(run, &list->op[i]);
	return !good || !finish(run);
}

/* ---- fewer operations ---------------------------------------------------------------- */

static void leave_out(struct op_list *to, const struct op_list *from, size_t first, size_t count)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		if (i < first || i >= first + count)
			op_list_add(to, &from->op[i]);
}

/* Leave out what is not needed to fail, in ever smaller parts. */
static void shrink(struct setting *setting, struct op_list *list, struct run *run)
{
	struct op_list fewer = {0};
	uint64_t done = 0;

	for (size_t part = list->count / 2; part && done < SHRINK_OPERATIONS; part /= 2)
		for (size_t first = 0; first < list->count && done < SHRINK_OPERATIONS;) {
			leave_out(&fewer, list, first, part);
			done += fewer.count;
			if (fails(setting, &fewer, run)) {
				struct op_list old = *list;

				*list = fewer;
				fewer = old;
			} else {
				first += part;
			}
		}
	op_list_free(&fewer);
	fails(setting, list, run);
}

static void print_list(const struct op_list *list)
{
	printf("# again: --replay '");
	for (size_t i = 0; i < list->count; i++) {
		fputs(i ? "; " : "", stdout);
		op_print(stdout, &list->op[i]);
	}
	puts("'");
}

static void explain(struct setting *setting, struct op_list *list, const struct run *failed)
{
	static struct run run;

	printf("# operation %" PRIu64 ": %s\n", failed->step, failed->failure);
	fflush(stdout);
	if (!fails(setting, list, &run)) {
		printf("# and not when done again\n");
	} else {
		shrink(setting, list, &run);
		printf("# with fewer operations: %s\n", run.failure);
	}
	print_list(list);
	fflush(stdout);
}

/* ---- what the tests are made of ------------------------------------------------------ */

bool run_list(struct setting *setting, const struct op_list *list, const char *name)
{
	static struct run run;
	bool good = true;

	start(&run, setting, setting->counts);
	run.times = NULL;
	for (size_t i = 0; i < list->count && good; i++)
		good = step(&run, &list->op[i]);
	good = good && finish(&run);
	tap(setting, good, "%s", name);
	if (!good) {
		printf("# operation %" PRIu64 ": %s\n", run.step, run.failure);
		print_list(list);
	}
	return good;
}

void run_random(struct setting *setting, uint64_t seed, uint64_t operations)
{
	static struct run run;
	struct random random = {seed};
	struct op_list list = {0};
	bool good = true;

	start(&run, setting, setting->counts);
	while (list.count < operations && good) {
		struct op op = op_generate(&random, run.now.xfs);

		op_list_add(&list, &op);
		good = step(&run, &op) && (list.count % LOOK_AT_ALL || look_at_all(&run));
	}
	good = good && finish(&run);
	tap(setting, good, "random operations: %zu from seed %" PRIu64, list.count, seed);
	if (!good)
		explain(setting, &list, &run);
	op_list_free(&list);
}
