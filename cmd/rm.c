/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-rm: remove files and directories. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/change.h"
#include "verbs.h"

struct arguments {
	bool recursive, force;
};

static const struct cli_option options[] = {
	{ .name = "recursive", .letter = 'r', .field = offsetof(struct arguments, recursive),
	  .help = "Remove directories and all that is in them" },
	{ .name = "force", .letter = 'f', .field = offsetof(struct arguments, force),
	  .help = "Ignore what does not exist" },
	{ 0 }
};

static error_t check(struct argp_state *state, struct cli *cli)
{
	const struct arguments *args = cli->arguments;

	if (cli->operand_count == 0 && !args->force)
		return cli_usage(state, "missing operand: %s", cli->verb->operands);
	return 0;
}

/* Whether the last component of @path is "." or "..". */
static bool names_dot(const char *path)
{
	size_t length = strlen(path);

	while (length > 0 && path[length - 1] == '/')
		length--;
	if (length == 0 || path[length - 1] != '.')
		return false;
	length--;
	if (length > 0 && path[length - 1] == '.')
		length--;
	return length == 0 || path[length - 1] == '/';
}

static int remove_one(struct cli *cli, const char *path)
{
	const struct arguments *args = cli->arguments;
	uint64_t inode;
	int ret;

	if (names_dot(path))
		return cli_fail(cli, -EINVAL, "%s: refusing to remove '.' or '..'", path);
	ret = cowdax_lookup(cli->fs, path, &inode, &cli->error);
	if (args->force && (ret == -ENOENT || ret == -ENOTDIR))
		return 0;
	if (ret)
		return ret;
	if (inode == COWDAX_ROOT_INODE)
		return cli_fail(cli, -EBUSY, "%s: refusing to remove the root directory", path);
	ret = cowdax_remove(cli->fs, path, args->recursive, &cli->error);
	/* Somebody else removed it since the lookup. */
	return args->force && ret == -ENOENT && !cli->in_transaction ? 0 : ret;
}

static int run(struct cli *cli)
{
	int i, ret = 0;

	for (i = 0; i < cli->operand_count && !ret; i++)
		ret = remove_one(cli, cli->operands[i]);
	return ret;
}

const struct cli_verb rm_verb = {
	.name = "rm",
	.program = "cowdax-rm",
	.operands = "IMAGE PATH...",
	.summary = "Remove the files PATH from IMAGE, and with -r directories: all of them or none.",
	.max_operands = INT_MAX,
	.flags = CLI_CHANGES,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.check = check,
	.wants_transaction = change_of_names,
	.run = run,
	.report = change_report_names,
};
