// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether all of the image's space is where it should be. */
#include <inttypes.h>
#include <stdio.h>

#include "world.h"

#define REGION 12288	/* superblocks and commit slots at either end, FORMAT 1 */

struct problems {
	char first[512];
};

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct problems *problems = arg;

	if (!problems->first[0])
		snprintf(problems->first, sizeof(problems->first),
			 "%s: %s (inode %" PRIu64 ", %s, block %" PRIu64 " count %" PRIu64 ", found %" PRIu64
			 ", expected %" PRIu64 ")", problem->code, problem->message, problem->inode,
			 problem->path ? problem->path : "-", problem->block, problem->count, problem->found,
			 problem->expected);
}

/* @summary may be NULL. */
int verify_fsck(struct world *world, struct cowdax_check_summary *summary)
{
	struct problems problems = {{0}};
	struct cowdax_check_options options = {
		.fs_offset = world->config->fs_offset, .problem = note_problem, .problem_arg = &problems,
	};
	struct cowdax_check_summary own;
	struct cowdax_error error = {0};

	if (!summary)
		summary = &own;
	if (cowdax_check(world->image, &options, summary, &error))
		return world_fail(world, "fsck: %s", error.text);
	if (!summary->clean || problems.first[0])
		return world_fail(world, "fsck: %s", problems.first);
	/* Where a reader holds what would pay for it, what was removed waits to be taken apart. */
	if (summary->inodes - summary->removed_inodes != world_committed(world)->entries)
		return world_fail(world, "fsck: %" PRIu64 " inodes, should be %zu",
				  summary->inodes - summary->removed_inodes, world_committed(world)->entries);
	return 0;
}

/* With limbo drained, what is not free is in a file, in a node, or at the ends. */
int verify_space(struct world *world)
{
	const struct config *config = world->config;
	uint64_t region = (REGION + config->block_size - 1) / config->block_size, used, nodes, free;
	uint64_t blocks = config->image_size / config->block_size;
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};
	struct cowdax_info info;

	if (verify_fsck(world, &summary))
		return -1;
	if (cowdax_info_hidden(world->handle[0], &info, &error))
		return world_fail(world, "info: %s", error.text);
	if (info.hidden_blocks != summary.hidden_blocks)
		return world_fail(world, "%" PRIu64 " blocks are hidden; the checker finds %" PRIu64,
				  info.hidden_blocks, summary.hidden_blocks);
	used = model_blocks_used(world->model) + summary.hidden_blocks;
	nodes = summary.nodes * config->node_size / config->block_size;
	free = info.free_blocks + info.limbo_blocks;
	if (info.blocks != blocks || info.inodes != world->model->entries)
		return world_fail(world, "info: %" PRIu64 " blocks, %" PRIu64 " inodes; should be %" PRIu64 ", %zu",
				  info.blocks, info.inodes, blocks, world->model->entries);
	/* Each of free, limbo and nodes is rounded to blocks. */
	if (used + nodes + 2 * region + free + 3 < blocks || used + nodes + 2 * region + free > blocks + 1)
		return world_fail(world, "of %" PRIu64 " blocks %" PRIu64 " are free or in limbo, %" PRIu64
				  " in files, %" PRIu64 " in %" PRIu64 " nodes", blocks, free, used, nodes,
				  summary.nodes);
	return 0;
}
