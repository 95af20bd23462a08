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
#include "lib/shell_words.h"
#include "verbs.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define WORDS_MAX 4096

/* What the lines are read from. */
struct script {
	FILE *file;
	const char *name;
	unsigned long number, commands;
	char *words[WORDS_MAX + 1];
	char line[LINE_MAX_BYTES + 1];
};

struct arguments {
	bool atomic;
	struct script *script;
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

/* 1 and the next line in script->line, 0 at the end. */
static int read_line(struct cli *cli, struct script *script)
{
	size_t length = 0;
	int byte;

	script->number++;
	while ((byte = getc(script->file)) != EOF && byte != '\n') {
		if (length == LINE_MAX_BYTES || byte == '\0')
			return cli_fail(cli, -EINVAL, "line %lu: %s", script->number,
					byte ? "longer than 1 MiB" : "contains a NUL byte");
		script->line[length++] = (char)byte;
	}
	if (ferror(script->file))
		return cli_fail_errno(cli, -errno, script->name);
	if (length > 0 && script->line[length - 1] == '\r')
		length--;
	script->line[length] = '\0';
	return byte != EOF || length > 0;
}

static int run_parsed(struct cli *cli, struct cli *line)
{
	if (cli->cannot_change && (line->verb->flags & CLI_CHANGES)) {
		line->error = cli->error;
		return cli->error.code;
	}
	return run_command(line);
}

static int run_verb(struct cli *cli, struct script *script, int word_count)
{
	struct cli line = {
		.verb = find_verb(script->words[0]),
		.batch_line = true,
		.batch_is_stdin = script->file == stdin,
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
		return cli_fail(cli, -EINVAL, "line %lu: %s: no such command", script->number,
				script->words[0]);
	snprintf(line.prefix, sizeof(line.prefix), "%s: line %lu: %s", cli->verb->program,
		 script->number, line.verb->name);
	ret = parse_command_line(&line, word_count, script->words);
	if (ret == EINVAL) {
		run_release(&line);
		return EXIT_FAILURE;
	}
	ret = ret ? cli_fail_errno(&line, -ret, "command line") : run_parsed(cli, &line);
	if (ret < 0)
		cli_fail(cli, ret, "line %lu: %s: %s", script->number, line.verb->name,
			 line.error.text);
	run_release(&line);
	return ret;
}

static int run_line(struct cli *cli, struct script *script)
{
	int count = shell_words_split(script->line, script->words, WORDS_MAX);

	if (count < 0)
		return cli_fail(cli, count, "line %lu: %s", script->number,
				count == -E2BIG ? "too many words" : "a quote is not closed");
	script->commands += count > 0;
	return count ? run_verb(cli, script, count) : 0;
}

/* 0, the positive status of a line that explained itself, or -errno. */
static int run_lines(struct cli *cli)
{
	struct script *script = ((struct arguments *)cli->arguments)->script;
	int ret;

	while ((ret = read_line(cli, script)) > 0) {
		ret = run_line(cli, script);
		if (ret)
			break;
	}
	return ret;
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

		json_number(&json, "lines", args->script->commands);
		json_transaction(&json, transaction);
		json_bool(&json, "dry_run", cli->dry_run);
		json_end(&json);
	} else if (transaction) {
		printf("batch: %lu lines, transaction %" PRIu64 "\n", args->script->commands, transaction);
	}
}

static int open_script(struct cli *cli, struct script *script)
{
	script->file = stdin;
	script->name = "standard input";
	if (cli->operand_count && strcmp(cli->operands[0], "-") != 0) {
		script->name = cli->operands[0];
		script->file = fopen(script->name, "re");
	}
	if (!script->file)
		return cli_fail_errno(cli, -errno, script->name);
	return 0;
}

/*
 * In a dry run all lines share a transaction too, so that each sees what came
 * before.  What can only look needs none: all of it is of one commit.
 */
static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	struct script *script = calloc(1, sizeof(*script));
	int ret;

	args->script = script;
	if (!script)
		return cli_fail_errno(cli, -ENOMEM, "the script");
	ret = open_script(cli, script);
	if (!ret)
		ret = (args->atomic || cli->dry_run) && !cli->cannot_change ?
			      run_in_transaction(cli, run_atomic) : run_lines(cli);
	if (script->file && script->file != stdin)
		fclose(script->file);
	free(script);
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
