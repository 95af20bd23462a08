/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-map: where the bytes of a file lie. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/iomap_print.h"
#include "lib/json.h"
#include "verbs.h"

static int print_row(void *arg, const struct cowdax_extent *extent)
{
	const struct cowdax_iomap *map = &extent->map;
	char address[24] = "-";

	(void)arg;
	if (map->type != COWDAX_HOLE)
		snprintf(address, sizeof(address), "%" PRIu64, map->address);
	printf("%14" PRIu64 " %14" PRIu64 " %14s  %-9s  %-6s %10" PRIu64 "\n", map->offset,
	       map->length, address, iomap_type_name(map->type), iomap_flags_text(map->flags),
	       extent->references);
	return 0;
}

static int print_json(void *arg, const struct cowdax_extent *extent)
{
	struct json *json = arg;

	json_open(json, NULL, '{');
	iomap_json(json, &extent->map);
	json_number(json, "references", extent->references);
	json_close(json, '}');
	return 0;
}

static int map_as_table(struct cli *cli, uint64_t inode)
{
	if (!cli->quiet)
		printf("%14s %14s %14s  %-9s  %-6s %10s\n", "OFFSET", "LENGTH", "ADDRESS", "TYPE",
		       "FLAGS", "REFERENCES");
	return cowdax_map(cli->fs, inode, 0, COWDAX_TO_END, print_row, NULL, &cli->error);
}

static int map_as_json(struct cli *cli, uint64_t inode)
{
	struct json json = json_begin(stdout, "map");
	int ret;

	json_name(&json, "path", cli->operands[0], strlen(cli->operands[0]));
	json_number(&json, "inode", inode);
	json_open(&json, "extents", '[');
	ret = cowdax_map(cli->fs, inode, 0, COWDAX_TO_END, print_json, &json, &cli->error);
	json_close(&json, ']');
	json_end(&json);
	return ret;
}

static int run(struct cli *cli)
{
	uint64_t inode;
	int ret = cowdax_lookup(cli->fs, cli->operands[0], &inode, &cli->error);

	if (ret)
		return ret;
	return cli->json ? map_as_json(cli, inode) : map_as_table(cli, inode);
}

const struct cli_verb map_verb = {
	.name = "map",
	.program = "cowdax-map",
	.operands = "IMAGE PATH",
	.summary = "List the extents of the file PATH of IMAGE in file order, holes included."
		   "\vAddresses are bytes from the filesystem's start.",
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
