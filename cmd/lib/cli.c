/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frame around every command: parse, open, run, report, commit. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_reports(const struct cli *cli)
{
	return cli->json || (!cli->quiet && (cli->verbose || cli->dry_run));
}

int cli_in_transaction(struct cli *cli, int (*run)(struct cli *cli))
{
	int ret = cowdax_begin(cli->fs, &cli->error);

	if (ret)
		return ret;
	cli->in_transaction = true;
	ret = run(cli);
	cli->in_transaction = false;
	if (!ret && !cli->dry_run)
		return cowdax_commit(cli->fs, &cli->error);
	cowdax_abort(cli->fs);
	return ret;
}

/*
 * A report that cannot be printed fails the command, and a command that fails
 * changes nothing: so what is reported is committed after it is printed.
 */
int cli_report(struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;

	if (cli->report.no_memory)
		return cli_fail_errno(cli, -ENOMEM, "the report");
	if (verb->report && cli_reports(cli) && !cli->report.printed)
		verb->report(cli);
	cli->report.printed = true;
	return cli_flush(cli);
}

static int run_and_report(struct cli *cli)
{
	int ret = cli->verb->run(cli);

	return ret ? ret : cli_report(cli);
}

int cli_execute(struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;

	if (!cli->in_transaction && verb->wants_transaction && verb->wants_transaction(cli))
		return cli_in_transaction(cli, run_and_report);
	return run_and_report(cli);
}

void cli_release(struct cli *cli)
{
	report_release(&cli->report);
	free(cli->arguments);
}

bool cli_changes_names(struct cli *cli)
{
	return cli->operand_count > 1 || cli_reports(cli);
}

bool cli_creates_file(struct cli *cli)
{
	uint64_t inode;

	return cowdax_lookup(cli->fs, cli->operands[0], &inode, &cli->error) == -ENOENT;
}

int cli_lookup_or_create(struct cli *cli, const char *path, uint64_t *inode)
{
	int ret = cowdax_lookup(cli->fs, path, inode, &cli->error);

	if (ret == -ENOENT && cli->in_transaction)
		ret = cowdax_create(cli->fs, path, 0644, inode, &cli->error);
	return ret;
}

static int open_image(struct cli *cli)
{
	int ret = cowdax_catch_faults();

	if (ret)
		return cli_fail_errno(cli, ret, "the handler of memory faults");
	if (cli->verb->flags & CLI_OWN_OPEN)
		return 0;
	if (!(cli->verb->flags & CLI_CHANGES))
		cli->open.flags |= COWDAX_RDONLY;
	else if (cli->dry_run)
		cli->open.flags |= COWDAX_DRY_RUN;
	return cowdax_open(cli->image, &cli->open, &cli->fs, &cli->error);
}

int cli_main(const struct cli_verb *verb, int argc, char **argv)
{
	int failure_status = verb->failure_status ? verb->failure_status : EXIT_FAILURE;
	struct cli cli = { .verb = verb };
	int ret;

	snprintf(cli.prefix, sizeof(cli.prefix), "%s", verb->program);
	cli_start(verb->program, verb->usage_status ? verb->usage_status : 2, failure_status);
	ret = cli_parse(&cli, argc, argv);
	if (ret == ENOMEM)
		ret = cli_fail_errno(&cli, -ENOMEM, "the command line");
	if (!ret)
		ret = open_image(&cli);
	if (!ret)
		ret = cli_execute(&cli);
	if (ret < 0) {
		cli_message(cli.prefix, cli.error.text);
		ret = failure_status;
	}
	cowdax_close(cli.fs);
	cli_release(&cli);
	return ret;
}
