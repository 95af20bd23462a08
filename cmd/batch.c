/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-batch: many commands on an image that is opened once. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/parse.h"
#include "lib/run.h"
#include "lib/script.h"
#include "verbs.h"

struct arguments {
	bool atomic;
	struct script *script;
	unsigned long commands;		/* run so far */
};

static const struct cli_verb *const verbs[] = {
	&fallocate_verb, &info_verb, &ls_verb,	 &map_verb,  &mkdir_verb,    &read_verb,
	&reflink_verb,	 &rm_verb,   &stat_verb, &truncate_verb, &write_verb,
};

static const struct cli_option options[] = {
	{ .name = "atomic", .field = offsetof(struct arguments, atomic),
	  .help = "Make all lines one transaction" },
	{ 0 }
};

static const struct cli_verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int run_parsed(struct cli *cli, struct cli *line)
{
	if (cli->cannot_change && (line->verb->flags & CLI_CHANGES)) {
		line->error = cli->error;
		return cli->error.code;
	}
	return run_command(line);
}

static int run_verb(struct cli *cli, const struct script *script, int count,
		    char **words)
{
	struct cli line = {
		.verb = find_verb(words[0]),
		.batch_line = true,
		.batch_is_stdin = script_is_stdin(script),
		.quiet = cli->quiet,
		.verbose = cli->verbose,
		.json = cli->json,
		.dry_run = cli->dry_run,
		.in_transaction = cli->in_transaction,
		.batch_transaction = cli->in_transaction,
		.open = cli->open,
		.image = cli->image,
		.fs = cli->fs,
	};
	int ret;

	if (!line.verb)
		return cli_fail(cli, -EINVAL, "line %lu: %s: no such command", script_line(script),
				words[0]);
	snprintf(line.prefix, sizeof(line.prefix), "%s: line %lu: %s", cli->verb->program,
		 script_line(script), line.verb->name);
	ret = parse_command_line(&line, count, words);
	if (ret == EINVAL) {
		run_release(&line);
		return EXIT_FAILURE;
	}
	ret = ret ? cli_fail_errno(&line, -ret, "command line") : run_parsed(cli, &line);
	if (ret < 0)
		cli_fail(cli, ret, "line %lu: %s: %s", script_line(script), line.verb->name,
			 line.error.text);
	run_release(&line);
	return ret;
}

/* 0, the positive status of a line that explained itself, or -errno. */
static int run_lines(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	char **words;
	int count, ret;

	while ((count = script_next(cli, args->script, &words)) > 0) {
		args->commands++;
		ret = run_verb(cli, args->script, count, words);
		if (ret)
			return ret;
	}
	return count;
}

/* Only now is it known that nothing of it is undone, but for what the commit finds. */
static int run_atomic(struct cli *cli)
{
	int ret = run_lines(cli);

	return ret ? ret : cli_report(cli);
}

static void report(struct cli *cli)
{
	const struct arguments *args = cli->arguments;
	uint64_t transaction = cli->dry_run ? 0 : cowdax_transaction(cli->fs);

	if (!cli->in_transaction || !args->atomic)
		return;
	if (cli->json) {
		struct json json = json_begin(stdout, "batch");

		json_number(&json, "lines", args->commands);
		json_transaction(&json, transaction);
		json_bool(&json, "dry_run", cli->dry_run);
		json_end(&json);
	} else if (transaction) {
		printf("batch: %lu lines, transaction %" PRIu64 "\n", args->commands, transaction);
	}
}

/*
 * In a dry run all lines share a transaction too, so that each sees what came
 * before.  What can only look needs none: all of it is of one commit.
 */
static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	int ret;

	args->script = script_open(cli, cli->operand_count ? cli->operands[0] : NULL);
	if (!args->script)
		return cli->error.code;
	if ((args->atomic || cli->dry_run) && !cli->cannot_change)
		ret = run_in_transaction(cli, run_atomic);
	else
		ret = run_lines(cli);
	script_close(args->script);
	return ret;
}

const struct cli_verb batch_verb = {
	.name = "batch",
	.program = "cowdax-batch",
	.operands = "IMAGE [FILE]",
	.summary = "Run the commands in FILE (default: standard input) on IMAGE, one a line, without "
		   "'cowdax-' and IMAGE."
		   "\vWords are quoted as for a shell, and # begins a comment.  Each line is its own "
		   "transaction, unless --atomic.  The first error ends it.",
	.max_operands = 1,
	.flags = CLI_CHANGES | CLI_MAY_LOOK,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
	.report = report,
};
