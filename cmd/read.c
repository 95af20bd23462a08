/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-read: bytes of a file of the image to standard output, or to a file of the host. */
#include <errno.h>
#include <string.h>

#include "lib/change.h"
#include "lib/progress.h"
#include "lib/sparse_file.h"
#include "lib/streams.h"
#include "verbs.h"

struct arguments {
	struct cli_number offset, length;
	const char *output;		/* NULL: stdout */
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
	{ .name = "output", .kind = CLI_TEXT, .value = "FILE",
	  .field = offsetof(struct arguments, output),
	  .help = "Write to FILE, with holes where PATH has holes (default: standard output)" },
	{ 0 }
};

static uint64_t length_of(const struct arguments *args)
{
	return args->length.given ? args->length.value : COWDAX_TO_END;
}

static void count(void *arg, size_t length)
{
	struct arguments *args = arg;

	args->done += length;
	progress_update(&args->progress, args->done, 0);
}

static int to_stdout(void *arg, const void *bytes, size_t length)
{
	struct arguments *args = arg;

	args->output_error = streams_write_stdout(bytes, length);
	count(args, length);
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

/* How many bytes there are to read. */
static int find_length(struct cli *cli, struct cowdax *fs, uint64_t inode, uint64_t *length)
{
	const struct arguments *args = cli->arguments;
	struct cowdax_stat st;
	int ret = cowdax_stat(fs, inode, &st, &cli->error);

	if (ret)
		return ret;
	*length = args->offset.value < st.size ? st.size - args->offset.value : 0;
	if (*length > length_of(args))
		*length = length_of(args);
	return 0;
}

/* The maps that the range is read through. */
static int collect_report(struct cli *cli, uint64_t inode)
{
	struct cowdax_result *result = &cli->report.result;
	int ret;

	cli->report.path = cli->operands[0];
	result->inode = inode;
	result->offset = ((const struct arguments *)cli->arguments)->offset.value;
	ret = find_length(cli, cli->fs, inode, &result->length);
	if (ret || result->length == 0)
		return ret;
	return cowdax_map(cli->fs, inode, result->offset, result->length, add_step, &cli->report,
			  &cli->error);
}

static int copy_to_stdout(struct cli *cli, uint64_t inode)
{
	struct arguments *args = cli->arguments;
	int ret = cli_flush(cli);

	if (ret)
		return ret;
	if (!cli->batch_line)
		streams_die_of_sigpipe();	/* as cat: a reader that has enough is no failure to tell of */
	ret = cowdax_read_through(cli->fs, inode, args->offset.value, length_of(args), to_stdout, args,
				  &cli->error);
	/* Else it was the image that write(2) could not read from. */
	if (args->output_error && args->output_error == ret)
		ret = cli_fail_errno(cli, args->output_error, "standard output");
	return ret;
}

static int copy_to_file(struct cli *cli, struct cowdax *fs, uint64_t inode)
{
	struct arguments *args = cli->arguments;
	struct sparse_file file = { .progress = count, .progress_arg = args };
	uint64_t length;
	char nothing;
	int ret = find_length(cli, fs, inode, &length);

	if (!ret)	/* what cannot be read at all must not cost the file its contents */
		ret = cowdax_read(fs, inode, &nothing, 0, 0, &cli->error) < 0 ? cli->error.code : 0;
	if (!ret)
		ret = sparse_file_open(cli, &file, args->output);
	if (ret)
		return ret;
	return sparse_file_fill(cli, &file, fs, inode, args->offset.value,
				args->offset.value + length);
}

/* It is read piece by piece: through a handle that sees one commit, unless all is in a transaction. */
static int copy_of_one_commit(struct cli *cli, uint64_t inode)
{
	struct cowdax_open_options open = cli->open;
	struct cowdax *fs;
	int ret;

	if (!cli->batch_line || cli->in_transaction)
		return copy_to_file(cli, cli->fs, inode);
	open.flags |= COWDAX_RDONLY;
	ret = cowdax_open(cli->image, &open, &fs, &cli->error);
	if (ret)
		return ret;
	ret = copy_to_file(cli, fs, inode);
	cowdax_close(fs);
	return ret;
}

static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	bool to_file = args->output && strcmp(args->output, "-") != 0;
	uint64_t inode;
	int ret;

	ret = cowdax_lookup(cli->fs, cli->operands[0], &inode, &cli->error);
	if (!ret && cli_reports(cli))
		ret = collect_report(cli, inode);
	if (ret || cli->dry_run || (cli->json && !to_file))
		return ret;
	args->progress.off = cli->quiet;
	ret = to_file ? copy_of_one_commit(cli, inode) : copy_to_stdout(cli, inode);
	progress_end(&args->progress);
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
		   "\vWith --dry-run the report is printed instead of the data, and with --json, "
		   "unless they go to a file.",
	.min_operands = 1,
	.max_operands = 1,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
	.report = report,
};
