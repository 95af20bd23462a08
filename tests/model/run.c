// SPDX-License-Identifier: GPL-2.0-or-later
#include "run.h"

#include <inttypes.h>
#include <stdio.h>

#include "world.h"

#define REMEMBERED 20

static void print_last(const struct op *last, uint64_t done)
{
	for (uint64_t i = done > REMEMBERED ? done - REMEMBERED : 0; i < done; i++) {
		printf("# %8" PRIu64 "  ", i + 1);
		op_print(stdout, &last[i % REMEMBERED]);
	}
}

bool run_all(struct run *run)
{
	struct random random = {run->seed * 1000003 + run->config->node_size + run->config->image_size};
	struct op last[REMEMBERED] = {{0}};
	struct world world;
	int ret;

	ret = world_open(&world, run->config, run->seed, run->check_every);
	for (run->done = 0; !ret && run->done < run->ops;) {
		struct op *op = &last[run->done++ % REMEMBERED];

		op_free(op);
		op_generate(op, run->config, world.model, world.before != NULL, &random);
		ret = world_step(&world, op);
	}
	if (!ret)
		ret = world_finish(&world);
	run->full = world.full;
	if (ret) {
		printf("# step %" PRIu64 ": %s\n", world.step, world.failure);
		print_last(last, run->done);
	}
	for (size_t i = 0; i < REMEMBERED; i++)
		op_free(&last[i]);
	world_close(&world);
	return ret == 0;
}
