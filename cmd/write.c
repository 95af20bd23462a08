/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-write: bytes from a stream, a file or a pattern into a file of the image. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/change.h"
#include "lib/input.h"
#include "lib/number.h"
#include "lib/progress.h"
#include "verbs.h"

struct arguments {
	struct cli_number offset, length, chunk;
	bool append, truncate, no_create;
	const char *input_name;		/* NULL: stdin */
	struct input input;
	struct cli_number pattern;
	struct progress progress;
	uint64_t done, total;
};

#define FIELD(name) offsetof(struct arguments, name)

static error_t set_pattern(struct argp_state *state, struct cli *cli, char *text)
{
	struct arguments *args = cli->arguments;

	args->pattern.given = true;
	if (number_parse(text, &args->pattern.value) || args->pattern.value > 255)
		return cli_usage(state, "--pattern: '%s' is not a byte, 0 to 255", text);
	return 0;
}

static const struct cli_option options[] = {
	{ .name = "offset", .kind = CLI_SIZE, .value = "N", .field = FIELD(offset),
	  .help = "Start at byte N of PATH (default 0)" },
	{ .name = "append", .field = FIELD(append), .help = "Start at the end of PATH" },
	{ .name = "length", .kind = CLI_SIZE, .value = "N", .field = FIELD(length),
	  .help = "Write exactly N bytes; a shorter source is an error" },
	{ .name = "input", .kind = CLI_TEXT, .value = "FILE", .field = FIELD(input_name),
	  .help = "Take the bytes and holes from FILE (default: standard input)" },
	{ .name = "pattern", .value = "BYTE", .set = set_pattern,
	  .help = "Write BYTE over and over, as often as the length says" },
	{ .name = "truncate", .field = FIELD(truncate),
	  .help = "Leave nothing in PATH but what is written" },
	{ .name = "no-create", .field = FIELD(no_create), .help = "Fail when PATH does not exist" },
	{ .name = "chunk", .kind = CLI_SIZE, .value = "SIZE", .field = FIELD(chunk),
	  .help = "Commit every SIZE bytes, rather than all at once" },
	{ 0 }
};

static error_t check(struct argp_state *state, struct cli *cli)
{
	const struct arguments *args = cli->arguments;

	if (args->offset.given && args->append)
		return cli_usage(state, "--offset and --append exclude each other");
	if (args->pattern.given && args->input_name)
		return cli_usage(state, "--pattern and --input exclude each other");
	if (args->pattern.given && !args->length.given)
		return cli_usage(state, "--pattern needs --length");
	if (args->chunk.given && args->chunk.value == 0)
		return cli_usage(state, "--chunk: must not be 0");
	if (args->chunk.given && cli->in_transaction)
		return cli_usage(state, "--chunk commits early, but the batch is one transaction");
	cli->commits_early = args->chunk.given;
	return 0;
}

static ssize_t pattern_source(void *arg, void *buffer, size_t length)
{
	struct arguments *args = arg;

	memset(buffer, (int)args->pattern.value, length);
	args->done += length;
	progress_update(&args->progress, args->done, args->total);
	return (ssize_t)length;
}

static ssize_t file_source(void *arg, void *buffer, size_t length)
{
	struct arguments *args = arg;
	ssize_t done = input_read(&args->input, buffer, length);

	if (done > 0)
		args->done += (size_t)done;
	progress_update(&args->progress, args->done, args->total);
	return done;
}

static int64_t file_hole(void *arg, uint64_t length)
{
	struct arguments *args = arg;
	int64_t passed = input_pass_hole(&args->input, length);

	if (passed > 0)
		args->done += (uint64_t)passed;
	return passed;
}

static struct cowdax_write_request make_request(const char *path, struct arguments *args)
{
	return (struct cowdax_write_request){
		.path = path,
		.offset = args->offset.value,
		.append = args->append,
		.truncate = args->truncate,
		.no_create = args->no_create,
		.length = args->length.given ? args->length.value : COWDAX_TO_END,
		.chunk = args->chunk.value,
		.source = args->pattern.given ? pattern_source : file_source,
		.hole = args->pattern.given ? NULL : file_hole,
		.source_arg = args,
	};
}

/* What a write in chunks has done by then stays, and so has to be told. */
static int tell_committed(struct cli *cli, int ret)
{
	const struct arguments *args = cli->arguments;
	struct cowdax_error reason = cli->error;

	if (!args->chunk.given)
		return ret;
	return cli_fail(cli, ret, "%.*s; %" PRIu64 " bytes were committed before",
			(int)sizeof(reason.text) - 64, reason.text,
			cli->report.result.bytes_committed);
}

static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	const struct cowdax_write_request request = make_request(cli->operands[0], args);
	int ret;

	args->progress.off = cli->quiet;
	args->total = args->length.value;
	if (!args->pattern.given) {
		ret = input_open(cli, &args->input, args->input_name);
		if (ret)
			return ret;
		if (!args->length.given)
			args->total = args->input.size;
	}
	change_start(cli, cli->operands[0]);
	ret = cowdax_write_stream(cli->fs, &request, &cli->report.result, &cli->error);
	progress_end(&args->progress);
	if (ret && args->input.error)
		ret = cli_fail_errno(cli, args->input.error, args->input.name);
	input_close(&args->input);
	return ret ? tell_committed(cli, ret) : 0;
}

static void report(struct cli *cli)
{
	struct arguments *args = cli->arguments;

	progress_end(&args->progress);
	change_report_data(cli);
}

const struct cli_verb write_verb = {
	.name = "write",
	.program = "cowdax-write",
	.operands = "IMAGE PATH",
	.summary = "Write bytes into the file PATH of IMAGE: all of them or none, durable on "
		   "success.",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CLI_CHANGES,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.check = check,
	.run = run,
	.report = report,
};
