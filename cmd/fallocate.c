/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-fallocate: preallocate, punch, zero and unshare ranges of a file. */
#include "lib/change.h"
#include "verbs.h"

struct arguments {
	struct cli_number offset, length;
	bool punch, zero, unshare, keep_size;
};

#define FIELD(name) offsetof(struct arguments, name)

static const struct cli_option options[] = {
	{ .name = "offset", .kind = CLI_SIZE, .value = "N", .field = FIELD(offset),
	  .help = "Start at byte N of PATH (required)" },
	{ .name = "length", .kind = CLI_SIZE, .value = "N", .field = FIELD(length),
	  .help = "Work on N bytes (required)" },
	{ .name = "punch", .field = FIELD(punch),
	  .help = "Make a hole, rather than preallocate" },
	{ .name = "zero", .field = FIELD(zero),
	  .help = "Make it read as zeros, allocated" },
	{ .name = "unshare", .field = FIELD(unshare),
	  .help = "Give PATH its own copy of blocks that it shares" },
	{ .name = "keep-size", .field = FIELD(keep_size), .help = "Never extend the file" },
	{ 0 }
};

static error_t check(struct argp_state *state, struct cli *cli)
{
	const struct arguments *args = cli->arguments;

	if (args->punch + args->zero + args->unshare > 1)
		return cli_usage(state, "--punch, --zero and --unshare exclude each other");
	if (!args->offset.given || !args->length.given)
		return cli_usage(state, "--offset and --length are required");
	if (args->length.value == 0)
		return cli_usage(state, "--length: must not be 0");
	return 0;
}

static enum cowdax_fallocate_mode chosen_mode(const struct arguments *args)
{
	if (args->punch)
		return COWDAX_FALLOCATE_PUNCH;
	if (args->zero)
		return COWDAX_FALLOCATE_ZERO;
	return args->unshare ? COWDAX_FALLOCATE_UNSHARE : COWDAX_FALLOCATE_UNWRITTEN;
}

static bool wants_transaction(struct cli *cli)
{
	return chosen_mode(cli->arguments) == COWDAX_FALLOCATE_UNWRITTEN && change_creates_file(cli);
}

static int run(struct cli *cli)
{
	const struct arguments *args = cli->arguments;
	enum cowdax_fallocate_mode mode = chosen_mode(args);
	const char *path = cli->operands[0];
	uint64_t inode;
	int ret;

	change_start(cli, path);
	if (mode == COWDAX_FALLOCATE_UNWRITTEN)
		ret = change_lookup_or_create(cli, path, &inode);
	else
		ret = cowdax_lookup(cli->fs, path, &inode, &cli->error);
	if (ret)
		return ret;
	return cowdax_fallocate(cli->fs, inode, mode, args->offset.value, args->length.value,
				args->keep_size, &cli->report.result, &cli->error);
}

const struct cli_verb fallocate_verb = {
	.name = "fallocate",
	.program = "cowdax-fallocate",
	.operands = "IMAGE PATH",
	.summary = "Preallocate a range of the file PATH of IMAGE, unwritten: it reads as zeros.  "
		   "PATH is created when it does not exist.",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CLI_CHANGES,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.check = check,
	.wants_transaction = wants_transaction,
	.run = run,
	.report = change_report_data,
};
