/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-truncate: set the size of a file. */
#include "lib/change.h"
#include "verbs.h"

struct arguments {
	uint64_t size;
};

static error_t check(struct argp_state *state, struct cli *cli)
{
	struct arguments *args = cli->arguments;

	return cli_parse_size(state, "SIZE", cli->operands[1], &args->size);
}

static int run(struct cli *cli)
{
	const struct arguments *args = cli->arguments;
	uint64_t inode;
	int ret;

	change_start(cli, cli->operands[0]);
	ret = change_lookup_or_create(cli, cli->operands[0], &inode);
	if (ret)
		return ret;
	return cowdax_truncate(cli->fs, inode, args->size, &cli->report.result, &cli->error);
}

const struct cli_verb truncate_verb = {
	.name = "truncate",
	.program = "cowdax-truncate",
	.operands = "IMAGE PATH SIZE",
	.summary = "Cut the file PATH of IMAGE to SIZE bytes, or extend it with zeros; create it "
		   "when it does not exist.",
	.min_operands = 2,
	.max_operands = 2,
	.flags = CLI_CHANGES,
	.arguments_size = sizeof(struct arguments),
	.check = check,
	.wants_transaction = change_creates_file,
	.run = run,
	.report = change_report_data,
};
