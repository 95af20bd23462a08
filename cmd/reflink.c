/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-reflink: let two files share their blocks. */
#include "lib/change.h"
#include "verbs.h"

struct arguments {
	struct cli_number src_offset, dst_offset, length;
};

#define FIELD(name) offsetof(struct arguments, name)

static const struct cli_option options[] = {
	{ .name = "src-offset", .kind = CLI_SIZE, .value = "N", .field = FIELD(src_offset),
	  .help = "Share from byte N of SRC (default 0)" },
	{ .name = "dst-offset", .kind = CLI_SIZE, .value = "N", .field = FIELD(dst_offset),
	  .help = "Share into DST at byte N (default 0)" },
	{ .name = "length", .kind = CLI_SIZE, .value = "N", .field = FIELD(length),
	  .help = "Share N bytes (default: to the end of SRC)" },
	{ 0 }
};

static int run(struct cli *cli)
{
	const struct arguments *args = cli->arguments;
	const char *src = cli->operands[0], *dst = cli->operands[1];

	change_start(cli, dst);
	if (!args->src_offset.given && !args->dst_offset.given && !args->length.given)
		return cowdax_clone(cli->fs, src, dst, &cli->report.result, &cli->error);
	return cowdax_clone_range(cli->fs, src, args->src_offset.value, dst, args->dst_offset.value,
				  args->length.given ? args->length.value : COWDAX_TO_END,
				  &cli->report.result, &cli->error);
}

const struct cli_verb reflink_verb = {
	.name = "reflink",
	.program = "cowdax-reflink",
	.operands = "IMAGE SRC DST",
	.summary = "Make DST a clone of SRC: both share their blocks until one is written to."
		   "\vWith an offset or a length only that range of DST is replaced.  It follows "
		   "the rules of the FICLONERANGE ioctl: all of it block-aligned, but for a length "
		   "that ends at the end of SRC, at or past the end of DST.",
	.min_operands = 2,
	.max_operands = 2,
	.flags = CLI_CHANGES,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
	.report = change_report_data,
};
