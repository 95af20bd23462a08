/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines: the common options, the operands, and argp that takes them apart. */
#include "parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "streams.h"

enum { OPTION_JSON = 0x100, OPTION_FS_OFFSET, OPTION_NO_WAIT };
enum { GROUP_COMMON = 1 };

static const struct argp_option common_options[] = {
	{ NULL, 0, NULL, 0, "Common options:", GROUP_COMMON },
	{ "quiet", 'q', NULL, 0, "Print nothing but errors and data", 0 },
	{ "verbose", 'v', NULL, 0, "Say more: of a change, the iomaps of each step", 0 },
	{ "json", OPTION_JSON, NULL, 0, "Print the report as JSON", 0 },
	{ "fs-offset", OPTION_FS_OFFSET, "BYTES", 0, "Where the filesystem starts in IMAGE", 0 },
	{ "no-wait", OPTION_NO_WAIT, NULL, 0, "Fail at once where a lock is held elsewhere", 0 },
	{ 0 }
};

static const struct argp_option dry_run_options[] = {
	{ "dry-run", 'n', NULL, 0, "Compute and print, change nothing", GROUP_COMMON },
	{ 0 }
};

static error_t parse_fs_offset(struct argp_state *state, const char *text, uint64_t *offset)
{
	error_t ret = cli_parse_size(state, "--fs-offset", text, offset);

	if (!ret && *offset % 512)
		return cli_usage(state, "--fs-offset: '%s' is not a multiple of 512", text);
	return ret;
}

static error_t parse_common(int key, char *text, struct argp_state *state)
{
	struct cli *cli = state->input;

	if (cli->batch_line && (key == 'n' || key == OPTION_FS_OFFSET || key == OPTION_NO_WAIT))
		return cli_usage(state, "-n, --fs-offset and --no-wait are for the whole batch, "
				 "not for a line of it");
	switch (key) {
	case 'q':
		cli->quiet = true;
		return 0;
	case 'v':
		cli->verbose = true;
		return 0;
	case 'n':
		cli->dry_run = true;
		return 0;
	case OPTION_JSON:
		cli->json = true;
		return 0;
	case OPTION_FS_OFFSET:
		return parse_fs_offset(state, text, &cli->open.fs_offset);
	case OPTION_NO_WAIT:
		cli->open.flags |= COWDAX_NO_WAIT;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t check_operands(struct argp_state *state, const struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;

	if ((!cli->image && !cli->batch_line) || cli->operand_count < verb->min_operands)
		return cli_usage(state, "missing operand: %s", verb->operands);
	if (cli->operand_count > verb->max_operands)
		return cli_usage(state, "extra operand '%s': %s", cli->operands[verb->max_operands],
				 verb->operands);
	return 0;
}

static error_t parse_operands(int key, char *text, struct argp_state *state)
{
	struct cli *cli = state->input;
	size_t i;

	(void)text;
	switch (key) {
	case ARGP_KEY_INIT:
		for (i = 0; i < 3; i++)
			state->child_inputs[i] = cli;
		state->err_stream = cli->batch_line ? NULL : streams_raw_stderr();
		return 0;
	case ARGP_KEY_ARGS:
		cli->operands = state->argv + state->next;
		cli->operand_count = state->argc - state->next;
		if (cli->batch_line)
			return 0;
		cli->image = *cli->operands++;
		cli->operand_count--;
		return 0;
	case ARGP_KEY_END:
		return check_operands(state, cli);
	case ARGP_KEY_SUCCESS:
		return cli->verb->check ? cli->verb->check(state, cli) : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_version(FILE *out, struct argp_state *state)
{
	fprintf(out, "%s (cowdax) %s\n", state->name, cowdax_version());
}

static const struct argp common_argp = { common_options, parse_common, NULL, NULL, NULL, NULL, NULL };
static const struct argp dry_run_argp = { dry_run_options, parse_common, NULL, NULL, NULL,
					  NULL, NULL };
static const struct argp no_argp = { 0 };

int parse_command_line(struct cli *cli, int argc, char **argv)
{
	const struct cli_verb *verb = cli->verb;
	struct argp_option *options = options_for_argp(verb->options);
	const struct argp own_argp = { options, options_parse, NULL, NULL, NULL, NULL, NULL };
	const struct argp_child children[] = {
		{ &own_argp, 0, NULL, 0 },
		{ &common_argp, 0, NULL, 0 },
		{ verb->flags & CLI_OWN_DRY_RUN ? &no_argp : &dry_run_argp, 0, NULL, 0 },
		{ 0 }
	};
	const struct argp argp = { NULL, parse_operands, verb->operands, verb->summary,
				   children, NULL, NULL };
	unsigned int flags = cli->batch_line ? ARGP_NO_EXIT | ARGP_NO_HELP : 0;
	error_t ret = ENOMEM;

	cli->arguments = calloc(1, verb->arguments_size + 1);
	argv[0] = cli->prefix;
	argp_program_version_hook = print_version;
	if (options && cli->arguments)
		ret = argp_parse(&argp, argc, argv, flags, NULL, cli);
	free(options);
	return ret;
}
