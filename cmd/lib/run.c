/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frame around every command: parse, open, run, report, commit. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "parse.h"
#include "source_date.h"
#include "streams.h"

int run_in_transaction(struct cli *cli, int (*run)(struct cli *cli))
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

static int execute_and_report(struct cli *cli)
{
	int ret = cli->verb->run(cli);

	return ret ? ret : cli_report(cli);
}

int run_command(struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;

	if (!cli->in_transaction && verb->wants_transaction && verb->wants_transaction(cli))
		return run_in_transaction(cli, execute_and_report);
	return execute_and_report(cli);
}

void run_release(struct cli *cli)
{
	report_release(&cli->report);
	free(cli->arguments);
}

static bool forbids_writing(int code)
{
	return code == -EACCES || code == -EPERM || code == -EROFS;
}

/* Where it may only be read, that is enough for a verb that may only look. */
static int open_as_allowed(struct cli *cli)
{
	int ret = cowdax_open(cli->image, &cli->open, &cli->fs, &cli->error);
	struct cowdax_error looking;

	if (!forbids_writing(ret) || !(cli->verb->flags & CLI_MAY_LOOK))
		return ret;
	cli->open.flags = (cli->open.flags & ~COWDAX_DRY_RUN) | COWDAX_RDONLY;
	if (cowdax_open(cli->image, &cli->open, &cli->fs, &looking))
		return ret;
	cli->cannot_change = true;
	return 0;
}

/* As the verb needs it, and with the time that SOURCE_DATE_EPOCH tells. */
static int open_for_verb(struct cli *cli)
{
	int ret;

	if (!(cli->verb->flags & CLI_CHANGES)) {
		cli->open.flags |= COWDAX_RDONLY;
		return cowdax_open(cli->image, &cli->open, &cli->fs, &cli->error);
	}
	if (cli->dry_run)
		cli->open.flags |= COWDAX_DRY_RUN;
	ret = source_date(cli, &cli->now);
	if (ret < 0)
		return ret;
	cli->open.time = ret ? &cli->now : NULL;
	return open_as_allowed(cli);
}

static int open_image(struct cli *cli)
{
	int ret = cowdax_catch_faults();

	if (ret)
		return cli_fail_errno(cli, ret, "the handler of memory faults");
	if (cli->verb->flags & CLI_OWN_OPEN)
		return 0;
	ret = open_for_verb(cli);
	if (!ret && cowdax_uses_backup(cli->fs))
		cli_warn(cli, "%s: the superblock is lost, its backup is used: run fsck.cowdax",
			 cli->image);
	return ret;
}

int run_main(const struct cli_verb *verb, int argc, char **argv)
{
	int failure_status = verb->failure_status ? verb->failure_status : EXIT_FAILURE;
	struct cli cli = { .verb = verb };
	int ret;

	snprintf(cli.prefix, sizeof(cli.prefix), "%s", verb->program);
	streams_start(verb->program, verb->usage_status ? verb->usage_status : 2, failure_status);
	ret = parse_command_line(&cli, argc, argv);
	if (ret == ENOMEM)
		ret = cli_fail_errno(&cli, -ENOMEM, "the command line");
	if (!ret)
		ret = open_image(&cli);
	if (!ret)
		ret = run_command(&cli);
	if (ret < 0) {
		streams_message(cli.prefix, cli.error.text);
		ret = failure_status;
	}
	cowdax_close(cli.fs);
	run_release(&cli);
	return ret;
}
