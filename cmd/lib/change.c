/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change and its report.  A report that cannot be printed fails the command,
 * and a command that fails changes nothing: so all is printed before the commit.
 */
#include "change.h"

#include <errno.h>
#include <stdio.h>

bool change_of_names(struct cli *cli)
{
	return cli->operand_count > 1 || cli_reports(cli);
}

bool change_creates_file(struct cli *cli)
{
	uint64_t inode;

	return cowdax_lookup(cli->fs, cli->operands[0], &inode, &cli->error) == -ENOENT;
}

int change_lookup_or_create(struct cli *cli, const char *path, uint64_t *inode)
{
	int ret = cowdax_lookup(cli->fs, path, inode, &cli->error);

	if (ret == -ENOENT && cli->in_transaction)
		ret = cowdax_create(cli->fs, path, 0644, inode, &cli->error);
	return ret;
}


/* The library starts an operation anew where another writer got ahead of it. */
static void keep_step(void *arg, const struct cowdax_step *step)
{
	struct cli *cli = arg;

	if (step)
		report_step(&cli->report, step);
	else
		cli->report.step_count = 0;
}

/* A code of its own: the library would make room after -ENOSPC and try again. */
static int print_before_commit(void *arg, const struct cowdax_result *result)
{
	struct cli *cli = arg;

	(void)result;
	if (cli_report(cli) == 0)
		return 0;
	cli->error.code = -ECANCELED;
	return -ECANCELED;
}

void change_start(struct cli *cli, const char *path)
{
	cli->report.path = path;
	if (!cli_reports(cli))
		return;
	cli->report.result.step = keep_step;
	cli->report.result.step_arg = cli;
	if (!cli->commits_early)
		cli->report.result.ready = print_before_commit;
}

/* What was not committed, or may still be undone with the batch, has no number. */
static uint64_t transaction(const struct cli *cli)
{
	bool changes = cli->verb->flags & CLI_CHANGES;

	if (cli->batch_transaction || (changes && cli->dry_run))
		return 0;
	if (cli->report.result.transaction)
		return cli->report.result.transaction;
	return cowdax_transaction(cli->fs);
}

static struct report_about about(const struct cli *cli)
{
	return (struct report_about){
		.command = cli->verb->name,
		.transaction = transaction(cli),
		.changes = cli->verb->flags & CLI_CHANGES,
		.dry_run = cli->dry_run,
		.json = cli->json,
	};
}

void change_report_data_to(struct cli *cli, FILE *out)
{
	const struct report_about facts = about(cli);

	report_data(&cli->report, &facts, out);
}

void change_report_data(struct cli *cli)
{
	change_report_data_to(cli, stdout);
}

void change_report_names(struct cli *cli)
{
	const struct report_about facts = about(cli);

	report_names(cli->operands, cli->operand_count, &facts);
}
