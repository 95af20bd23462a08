// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations hold all they need, so a list of them means something with any of
 * them left out.  Leave out ever smaller pieces for as long as it still fails.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "run.h"
#include "world.h"

#define FEW 400		/* operations that can be checked in full one by one */

struct list {
	const struct config *config;
	uint64_t seed, check_every;
	struct op *op;
	uint64_t ops;
	int how;			/* it fails: a wait status */
};

static void record(struct list *list, const struct run *run)
{
	struct random random = {run->seed * 1000003 + run->config->node_size + run->config->image_size};
	struct world world;
	int ret = world_open(&world, run->config, run->seed, run->check_every);

	list->op = get_memory(run->done * sizeof(*list->op));
	while (!ret && list->ops < run->done) {
		struct op *op = &list->op[list->ops++];

		op_generate(op, run->config, world.model, world.before != NULL, &random);
		/* The last may kill whoever does it. */
		if (list->ops < run->done)
			ret = world_step(&world, op);
	}
	world_close(&world);
}

static int do_list(const struct list *list, bool print)
{
	struct world world;
	int ret;

	ret = world_open(&world, list->config, list->seed, list->ops < FEW ? 1 : list->check_every);
	for (uint64_t i = 0; !ret && i < list->ops; i++)
		ret = world_step(&world, &list->op[i]);
	if (!ret)
		ret = world_finish(&world);
	if (ret && print)
		printf("# step %" PRIu64 ": %s\n", world.step, world.failure);
	ret = (int)world.failure_kind;
	world_close(&world);
	return ret;
}

/* In a child, since what fails may crash, too.  The status that it ends with, which tells how. */
static int try_list(const struct list *list, bool print)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (!print && !freopen("/dev/null", "w", stderr))
			_exit(0);
		status = do_list(list, print);
		fflush(stdout);
		_exit(status);
	}
	return child > 0 && waitpid(child, &status, 0) == child ? status : 0;
}

/* Whether it fails in the same way without these. */
static bool leave_out(struct list *list, uint64_t at, uint64_t count)
{
	struct list rest = *list;

	rest.ops = list->ops - count;
	rest.op = get_memory(rest.ops * sizeof(*rest.op));
	memcpy(rest.op, list->op, at * sizeof(*rest.op));
	memcpy(rest.op + at, list->op + at + count, (rest.ops - at) * sizeof(*rest.op));
	if (try_list(&rest, false) != list->how) {
		free(rest.op);
		return false;
	}
	for (uint64_t i = at; i < at + count; i++)
		op_free(&list->op[i]);
	free(list->op);
	*list = rest;
	return true;
}

void run_shrink(const struct run *run)
{
	struct list list = {.config = run->config, .seed = run->seed, .check_every = run->check_every};

	record(&list, run);
	list.how = try_list(&list, false);
	if (!list.how) {
		printf("# does not fail the second time\n");
		goto out_free;
	}
	for (uint64_t piece = list.ops / 2; piece; piece /= 2) {
		for (uint64_t at = list.ops; at >= piece;) {
			at -= piece;
			leave_out(&list, at, piece);
			if (at > list.ops)
				at = list.ops;
		}
	}
	printf("# %" PRIu64 " operations are enough:\n", list.ops);
	for (uint64_t i = 0; i < list.ops; i++) {
		printf("# %4" PRIu64 "  ", i + 1);
		op_print(stdout, &list.op[i]);
	}
	try_list(&list, true);
out_free:
	for (uint64_t i = 0; i < list.ops; i++)
		op_free(&list.op[i]);
	free(list.op);
}
