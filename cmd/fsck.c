/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fsck.cowdax: check an image. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/fsck_progress.h"
#include "lib/fsck_report.h"
#include "lib/number.h"
#include "lib/streams.h"
#include "verbs.h"

/* Exit bits of fsck(8) that are used here. */
enum { CORRECTED = 1, UNCORRECTED = 4, OPERATIONAL_ERROR = 8, USAGE_ERROR = 16, CANCELLED = 32 };

struct arguments {
	bool check_only, safe_repairs, all_repairs;
	bool backup, check_data;
	struct fsck_progress progress;
};

#define FIELD(name) offsetof(struct arguments, name)

static error_t set_progress(struct argp_state *state, struct cli *cli, char *text)
{
	struct arguments *args = cli->arguments;
	uint64_t fd;

	if (number_parse(text, &fd) || fd > INT32_MAX)
		return cli_usage(state, "-C: '%s' is not a file descriptor", text);
	if (fd && fcntl((int)fd, F_GETFD) < 0)
		return cli_usage(state, "-C: descriptor %s is not open", text);
	args->progress.wanted = true;
	args->progress.fd = (int)fd;
	return 0;
}

/* One thread does it all as yet. */
static error_t set_threads(struct argp_state *state, struct cli *cli, char *text)
{
	uint64_t threads;

	(void)cli;
	if (number_parse(text, &threads) || threads == 0)
		return cli_usage(state, "--threads: '%s' is not a number of threads", text);
	return 0;
}

static const struct cli_option options[] = {
	{ .name = "dry-run", .letter = 'n', .field = FIELD(check_only),
	  .help = "Only check: map the image read-only" },
	{ .letter = 'p', .field = FIELD(safe_repairs),
	  .help = "Mend what nothing is lost by, and give back what clones keep for nothing" },
	{ .letter = 'a', .alias = true, .field = FIELD(safe_repairs) },
	{ .letter = 'y', .field = FIELD(all_repairs),
	  .help = "Mend all that can be mended" },
	{ .letter = 'f', .kind = CLI_IGNORED, .help = "Check even if clean, as is always done" },
	{ .letter = 'C', .value = "FD", .set = set_progress,
	  .help = "Write progress to this descriptor; 0: as a bar" },
	{ .name = "threads", .letter = 'j', .value = "N", .set = set_threads,
	  .help = "Use up to N threads (one is used as yet)" },
	{ .name = "backup", .letter = 'b', .field = FIELD(backup),
	  .help = "Use the backup superblock" },
	{ .name = "check-data", .field = FIELD(check_data),
	  .help = "Also read all data, to name the files on bad media" },
	{ .letter = 'r', .kind = CLI_IGNORED, .help = "Accepted, and do nothing" },
	{ .letter = 's', .alias = true, .kind = CLI_IGNORED },
	{ .letter = 't', .alias = true, .kind = CLI_IGNORED },
	{ .letter = 'T', .alias = true, .kind = CLI_IGNORED },
	{ .letter = 'l', .alias = true, .kind = CLI_IGNORED },
	{ .letter = 'M', .alias = true, .kind = CLI_IGNORED },
	{ 0 }
};

static error_t check(struct argp_state *state, struct cli *cli)
{
	const struct arguments *args = cli->arguments;

	if (args->check_only + args->safe_repairs + args->all_repairs > 1)
		return cli_usage(state, "-n, -p (or -a) and -y exclude each other");
	return 0;
}

static void print_problem(void *arg, const struct cowdax_problem *problem)
{
	struct cli *cli = arg;

	fsck_progress_wipe(&((struct arguments *)cli->arguments)->progress);
	fsck_report_problem(cli->image, problem, cli->json);
}

static void print_progress(void *arg, int pass, uint64_t current, uint64_t maximum)
{
	fsck_progress_update(arg, pass, current, maximum);
}

/* What is being changed is so by transactions: there is nothing to wind up. */
static void cancel(int signal_number)
{
	static const char message[] = "fsck.cowdax: cancelled\n";

	(void)signal_number;
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(CANCELLED | OPERATIONAL_ERROR);
	_exit(CANCELLED);
}

/* What clones keep for nothing is no problem, but safe to give back. */
static int give_back(struct cli *cli)
{
	const struct cowdax_open_options how = {.fs_offset = cli->open.fs_offset};
	struct cowdax *fs;
	int ret = cowdax_open(cli->image, &how, &fs, &cli->error);

	if (ret)
		return ret;
	ret = cowdax_unhide(fs, &cli->error);
	cowdax_close(fs);
	return ret;
}

static int finish(struct cli *cli, const struct arguments *args,
		  const struct cowdax_check_summary *summary)
{
	int status = summary->fixed ? CORRECTED : EXIT_SUCCESS;

	if (cli->json || !cli->quiet)
		fsck_report_summary(cli->image, summary, cli->json);
	if (summary->clean)
		return status;
	if (args->safe_repairs || args->all_repairs)
		streams_message(cli->prefix, "problems are left uncorrected");
	return status | UNCORRECTED;
}

/* Checked, and mended as far as was asked for. */
static int check_or_repair(struct cli *cli, const struct cowdax_check_options *checking,
			   struct cowdax_check_summary *summary)
{
	const struct arguments *args = cli->arguments;
	const struct cowdax_repair_options how = {.check = *checking, .choose = args->all_repairs};
	uint64_t fixed;
	int ret;

	if (!args->safe_repairs && !args->all_repairs)
		return cowdax_check(cli->image, checking, summary, &cli->error);
	ret = cowdax_repair(cli->image, &how, summary, &cli->error);
	if (ret || !summary->clean || !summary->hidden_blocks)
		return ret;
	fixed = summary->fixed;
	ret = give_back(cli);
	if (!ret)
		ret = cowdax_check(cli->image, checking, summary, &cli->error);
	summary->fixed = fixed;
	summary->problems += fixed;
	return ret;
}

static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	const struct cowdax_check_options check_options = {
		.fs_offset = cli->open.fs_offset,
		.backup_super = args->backup,
		.check_data = args->check_data,
		.problem = print_problem,
		.problem_arg = cli,
		.progress = args->progress.wanted ? print_progress : NULL,
		.progress_arg = &args->progress,
	};
	struct cowdax_check_summary summary;
	int ret = fsck_progress_start(&args->progress, cli->image, cli->quiet);

	if (ret)
		return cli_fail_errno(cli, ret, "the progress");
	signal(SIGINT, cancel);
	signal(SIGTERM, cancel);
	ret = check_or_repair(cli, &check_options, &summary);
	fsck_progress_wipe(&args->progress);
	fsck_progress_release(&args->progress);
	return ret ? ret : finish(cli, args, &summary);
}

const struct cli_verb fsck_verb = {
	.name = "fsck",
	.program = "fsck.cowdax",
	.operands = "IMAGE",
	.summary = "Check IMAGE, all of it, and with -p or -y mend it.  Exit status as fsck(8): 0 "
		   "clean, 1 all problems fixed, 4 problems left, 8 could not check or mend, 16 "
		   "wrong usage, 32 cancelled.",
	.flags = CLI_OWN_OPEN | CLI_OWN_DRY_RUN,
	.usage_status = USAGE_ERROR,
	.failure_status = OPERATIONAL_ERROR,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.check = check,
	.run = run,
};
