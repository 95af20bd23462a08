/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-stat: the attributes of files. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/inode_print.h"
#include "lib/json.h"
#include "lib/quote.h"
#include "lib/streams.h"
#include "verbs.h"

static const struct {
	const char *name;
	size_t offset;
} times[] = {
	{ "atime", offsetof(struct cowdax_stat, atime) },
	{ "mtime", offsetof(struct cowdax_stat, mtime) },
	{ "ctime", offsetof(struct cowdax_stat, ctime) },
	{ "btime", offsetof(struct cowdax_stat, btime) },
};

static const struct timespec *time_of(const struct cowdax_stat *st, size_t i)
{
	return (const struct timespec *)((const char *)st + times[i].offset);
}

static void print_json(const char *path, const struct cowdax_stat *st)
{
	struct json json = json_begin(stdout, "stat");
	size_t i;

	json_name(&json, "path", path, strlen(path));
	json_number(&json, "inode", st->inode);
	json_string(&json, "type", inode_type_name(st->mode));
	inode_json_attributes(&json, st);
	json_number(&json, "blocks", st->blocks);
	json_number(&json, "shared_blocks", st->shared_blocks);
	for (i = 0; i < sizeof(times) / sizeof(*times); i++)
		json_time(&json, times[i].name, time_of(st, i));
	json_end(&json);
}

static void print_text(const char *path, const struct cowdax_stat *st)
{
	char mode[11], time[INODE_TIME_TEXT_MAX];
	size_t i;

	printf("path:    ");
	quote_print(stdout, path);
	printf("\ninode:   %" PRIu64 "\n", st->inode);
	printf("type:    %s\n", inode_type_name(st->mode));
	printf("mode:    %04o (%s)\n", st->mode & 07777, inode_mode_text(st->mode, mode));
	printf("owner:   %" PRIu32 ":%" PRIu32 "\n", st->uid, st->gid);
	printf("links:   %" PRIu32 "\n", st->nlink);
	printf("size:    %" PRIu64 "\n", st->size);
	printf("blocks:  %" PRIu64 " (%" PRIu64 " shared)\n", st->blocks, st->shared_blocks);
	for (i = 0; i < sizeof(times) / sizeof(*times); i++)
		printf("%s:   %s\n", times[i].name, inode_time_text(time_of(st, i), time));
}

static int stat_one(struct cli *cli, const char *path)
{
	struct cowdax_stat st;
	uint64_t inode;
	int ret = cowdax_lookup(cli->fs, path, &inode, &cli->error);

	if (!ret)
		ret = cowdax_stat_blocks(cli->fs, inode, &st, &cli->error);
	if (ret)
		return ret;
	if (cli->json)
		print_json(path, &st);
	else
		print_text(path, &st);
	return 0;
}

/* As stat(1): what fails is told, and the rest is done. */
static int run(struct cli *cli)
{
	int i, status = 0;

	for (i = 0; i < cli->operand_count; i++) {
		if (stat_one(cli, cli->operands[i])) {
			streams_message(cli->prefix, cli->error.text);
			status = EXIT_FAILURE;
		}
		if (cli_flush(cli))
			return cli->error.code;
	}
	return status;
}

const struct cli_verb stat_verb = {
	.name = "stat",
	.program = "cowdax-stat",
	.operands = "IMAGE PATH...",
	.summary = "Print the attributes of each PATH of IMAGE."
		   "\vWith --json, one object a line for each PATH.",
	.min_operands = 1,
	.max_operands = INT_MAX,
	.run = run,
};
