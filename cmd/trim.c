/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-trim: give free space back to the host, or overwrite it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/quote.h"
#include "verbs.h"

struct arguments {
	bool zero;
	struct cowdax_trimmed trimmed;
};

static const struct cli_option options[] = {
	{ .name = "zero", .field = offsetof(struct arguments, zero),
	  .help = "Overwrite it with zeros instead" },
	{ 0 }
};

static void print_run(void *arg, uint64_t address, uint64_t length)
{
	(void)arg;
	printf("%16" PRIu64 " %16" PRIu64 "\n", address, length);
}

static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	bool each = cli->verbose && !cli->json && !cli->quiet;

	if (each)
		printf("%16s %16s\n", "address", "length");
	return cowdax_trim(cli->fs, args->zero, each ? print_run : NULL, NULL, &args->trimmed,
			   &cli->error);
}

static void print_json(const struct cli *cli, const struct arguments *args)
{
	struct json json = json_begin(stdout, "trim");

	json_name(&json, "image", cli->image, strlen(cli->image));
	json_bool(&json, "dry_run", cli->dry_run);
	json_bool(&json, "zero", args->zero);
	if (cli->dry_run)
		json_null(&json, "transaction");
	else
		json_number(&json, "transaction", args->trimmed.transaction);
	json_number(&json, "bytes", args->trimmed.bytes);
	json_number(&json, "runs", args->trimmed.runs);
	json_end(&json);
}

static void report(struct cli *cli)
{
	const struct arguments *args = cli->arguments;

	if (cli->json) {
		print_json(cli, args);
		return;
	}
	quote_print(stdout, cli->image);
	printf(": %" PRIu64 " bytes in %" PRIu64 " runs %s%s\n", args->trimmed.bytes,
	       args->trimmed.runs, args->zero ? "overwritten" : "given back",
	       cli->dry_run ? " (dry run, nothing done)" : "");
}

const struct cli_verb trim_verb = {
	.name = "trim",
	.program = "cowdax-trim",
	.operands = "IMAGE",
	.summary = "Give the free space of IMAGE back to the host: holes in a file, a discard on a "
		   "block device.",
	.flags = CLI_CHANGES,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
	.report = report,
};
