/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-mkdir: create directories. */
#include <limits.h>

#include "lib/change.h"
#include "verbs.h"

struct arguments {
	bool parents;
};

static const struct cli_option options[] = {
	{ .name = "parents", .letter = 'p', .field = offsetof(struct arguments, parents),
	  .help = "Create parents as needed; an existing directory is fine" },
	{ 0 }
};

static int run(struct cli *cli)
{
	const struct arguments *args = cli->arguments;
	int i, ret = 0;

	for (i = 0; i < cli->operand_count && !ret; i++)
		ret = cowdax_mkdir(cli->fs, cli->operands[i], 0755, args->parents, &cli->error);
	return ret;
}

const struct cli_verb mkdir_verb = {
	.name = "mkdir",
	.program = "cowdax-mkdir",
	.operands = "IMAGE PATH...",
	.summary = "Create the directories PATH in IMAGE, mode 0755: all of them or none.",
	.min_operands = 1,
	.max_operands = INT_MAX,
	.flags = CLI_CHANGES,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.wants_transaction = change_of_names,
	.run = run,
	.report = change_report_names,
};
