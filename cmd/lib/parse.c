/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines: the common options, the operands, usage errors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "number.h"

enum { OPTION_JSON = 0x100, OPTION_FS_OFFSET, OPTION_NO_WAIT, OPTION_OWN };
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

/* A line of a batch gets the message without the hint to try --help. */
error_t cli_usage(struct argp_state *state, const char *format, ...)
{
	const struct cli *cli = state->input;
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (cli->batch_line)
		cli_message(cli->prefix, text);
	else
		argp_error(state, "%s", text);
	return EINVAL;
}

error_t cli_parse_size(struct argp_state *state, const char *what, const char *text, uint64_t *value)
{
	switch (number_parse(text, value)) {
	case 0:
		return 0;
	case -ERANGE:
		return cli_usage(state, "%s: '%s' is larger than 2^63 - 1", what, text);
	default:
		return cli_usage(state, "%s: '%s' is not a number of bytes", what, text);
	}
}

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

/* What argp calls the option at @index: its letter, or a number beyond characters. */
static int option_key(const struct cli_option *options, int index)
{
	return options[index].letter ? options[index].letter : OPTION_OWN + index;
}

static bool is_last(const struct cli_option *option)
{
	return !option->name && !option->letter;
}

static error_t set_option(const struct cli_option *option, char *text, struct argp_state *state)
{
	struct cli *cli = state->input;
	char *field = (char *)cli->arguments + option->field;
	char what[32];

	if (option->set)
		return option->set(state, cli, text);
	switch (option->kind) {
	case CLI_FLAG:
		*(bool *)field = true;
		return 0;
	case CLI_SIZE:
		snprintf(what, sizeof(what), "--%s", option->name);
		((struct cli_number *)field)->given = true;
		return cli_parse_size(state, what, text, &((struct cli_number *)field)->value);
	case CLI_TEXT:
		*(const char **)field = text;
		return 0;
	case CLI_IGNORED:
		break;
	}
	return 0;
}

static error_t parse_own(int key, char *text, struct argp_state *state)
{
	const struct cli *cli = state->input;
	const struct cli_option *options = cli->verb->options;
	int i;

	for (i = 0; options && !is_last(&options[i]); i++)
		if (option_key(options, i) == key)
			return set_option(&options[i], text, state);
	return ARGP_ERR_UNKNOWN;
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
		if (cli->batch_line)
			state->err_stream = NULL;
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

/* The verb's options as argp wants them, or NULL. */
static struct argp_option *own_options(const struct cli_option *options)
{
	struct argp_option *list;
	int i, count = 0;

	while (options && !is_last(&options[count]))
		count++;
	list = calloc((size_t)count + 1, sizeof(*list));
	if (!list)
		return NULL;
	for (i = 0; i < count; i++)
		list[i] = (struct argp_option){
			.name = options[i].name,
			.key = option_key(options, i),
			.arg = options[i].value,
			.flags = options[i].alias ? OPTION_ALIAS : 0,
			.doc = options[i].help,
		};
	return list;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
	const struct cli_verb *verb = cli->verb;
	struct argp_option *options = own_options(verb->options);
	const struct argp own_argp = { options, parse_own, NULL, NULL, NULL, NULL, NULL };
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
