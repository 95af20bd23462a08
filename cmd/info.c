/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-info: what an image is and how full. */
#include <stdio.h>
#include <string.h>

#include "lib/geometry.h"
#include "lib/json.h"
#include "verbs.h"

struct arguments {
	bool hidden;
};

static const struct cli_option options[] = {
	{ .name = "hidden", .field = offsetof(struct arguments, hidden),
	  .help = "Count hidden blocks too: reads the extents of all files" },
	{ 0 }
};

static void print_json(const struct cli *cli, const struct cowdax_info *info)
{
	struct json json = json_begin(stdout, "info");

	json_name(&json, "image", cli->image, strlen(cli->image));
	geometry_print_json(&json, info);
	json_end(&json);
}

static int run(struct cli *cli)
{
	const struct arguments *args = cli->arguments;
	struct cowdax_info info;
	int ret = (args->hidden ? cowdax_info_hidden : cowdax_info)(cli->fs, &info, &cli->error);

	if (ret)
		return ret;
	if (cli->batch_transaction)
		info.transaction = 0;
	if (cli->json)
		print_json(cli, &info);
	else
		geometry_print(&info);
	return 0;
}

const struct cli_verb info_verb = {
	.name = "info",
	.program = "cowdax-info",
	.operands = "IMAGE",
	.summary = "Print what IMAGE is: identity, geometry, features, and how full it is.",
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
};
