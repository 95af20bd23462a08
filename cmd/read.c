/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-read: bytes of a file of the image to standard output. */
#include <errno.h>

#include "lib/change.h"
#include "lib/progress.h"
#include "lib/streams.h"
#include "verbs.h"

struct arguments {
	struct cli_number offset, length;
	struct progress progress;
	uint64_t done;
	int output_error;		/* 0 or -errno of the last write */
};

static const struct cli_option options[] = {
	{ .name = "offset", .kind = CLI_SIZE, .value = "N",
	  .field = offsetof(struct arguments, offset),
	  .help = "Start at byte N of PATH (default 0)" },
	{ .name = "length", .kind = CLI_SIZE, .value = "N",
	  .field = offsetof(struct arguments, length),
	  .help = "Stop after N bytes (default: at the end of PATH)" },
	{ 0 }
};

static uint64_t length_of(const struct arguments *args)
{
	return args->length.given ? args->length.value : COWDAX_TO_END;
}

static int to_stdout(void *arg, const void *bytes, size_t length)
{
	struct arguments *args = arg;

	args->output_error = streams_write_stdout(bytes, length);
	args->done += length;
	progress_update(&args->progress, args->done, 0);
	return args->output_error;
}

static int add_step(void *arg, const struct cowdax_extent *extent)
{
	struct report *report = arg;
	struct cowdax_step step = {
		.offset = extent->map.offset,
		.length = extent->map.length,
		.has_source = true,
		.source = extent->map,
	};

	report_step(report, &step);
	report->result.source_lookups++;
	if (extent->map.type == COWDAX_MAPPED)
		report->result.bytes_copied += extent->map.length;
	return 0;
}

/* The maps that the range is read through. */
static int collect_report(struct cli *cli, uint64_t inode)
{
	const struct arguments *args = cli->arguments;
	struct cowdax_result *result = &cli->report.result;
	struct cowdax_stat st;
	int ret = cowdax_stat(cli->fs, inode, &st, &cli->error);

	if (ret)
		return ret;
	cli->report.path = cli->operands[0];
	result->inode = inode;
	result->offset = args->offset.value;
	if (args->offset.value >= st.size)
		return 0;
	result->length = st.size - args->offset.value;
	if (result->length > length_of(args))
		result->length = length_of(args);
	return cowdax_map(cli->fs, inode, args->offset.value, result->length, add_step, &cli->report,
			  &cli->error);
}

static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	uint64_t inode;
	int ret;

	ret = cowdax_lookup(cli->fs, cli->operands[0], &inode, &cli->error);
	if (!ret && cli_reports(cli))
		ret = collect_report(cli, inode);
	if (ret || cli->json || cli->dry_run)
		return ret;
	ret = cli_flush(cli);
	if (ret)
		return ret;
	args->progress.off = cli->quiet;
	if (!cli->batch_line)
		streams_die_of_sigpipe();	/* as cat: a reader that has enough is no failure to tell of */
	ret = cowdax_read_through(cli->fs, inode, args->offset.value, length_of(args), to_stdout, args,
				  &cli->error);
	progress_end(&args->progress);
	/* Else it was the image that write(2) could not read from. */
	if (args->output_error && args->output_error == ret)
		ret = cli_fail_errno(cli, args->output_error, "standard output");
	return ret;
}

/* The table keeps out of the data's way; JSON and a dry run come instead of it. */
static void report(struct cli *cli)
{
	change_report_data_to(cli, cli->dry_run ? stdout : stderr);
}

const struct cli_verb read_verb = {
	.name = "read",
	.program = "cowdax-read",
	.operands = "IMAGE PATH",
	.summary = "Write bytes of the file PATH of IMAGE to standard output; holes read as zeros."
		   "\vWith --json or --dry-run the report is printed instead of the data.",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
	.report = report,
};
