/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-ls: what is in a directory. */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/inode_print.h"
#include "lib/json.h"
#include "lib/listing.h"
#include "verbs.h"

struct arguments {
	bool details, recursive, inodes;
	struct json json;
};

/* A directory to be listed.  It stays in the set for good: no directory is seen twice. */
struct directory {
	struct directory *next;		/* on the stack */
	uint64_t inode;
	char path[];
};

struct walk {
	struct directory *stack;
	void *seen;			/* a tree of all that were ever on the stack */
};

static const struct cli_option options[] = {
	{ .name = "long", .letter = 'l', .field = offsetof(struct arguments, details),
	  .help = "Also mode, links, owner, group, size and time" },
	{ .name = "recursive", .letter = 'R', .field = offsetof(struct arguments, recursive),
	  .help = "Also the directories below" },
	{ .name = "inode", .letter = 'i', .field = offsetof(struct arguments, inodes),
	  .help = "Also inode numbers" },
	{ 0 }
};

static void print_details(const struct cowdax_stat *st)
{
	char mode[11], time[INODE_TIME_TEXT_MAX];

	inode_time_text(&st->mtime, time);
	time[strlen("YYYY-MM-DD hh:mm")] = '\0';
	printf("%s %3" PRIu32 " %5" PRIu32 " %5" PRIu32 " %12" PRIu64 " %s ",
	       inode_mode_text(st->mode, mode), st->nlink, st->uid, st->gid, st->size, time);
}

static void print_json(struct json *json, const char *path, const struct listing_entry *entry,
		       const struct cowdax_stat *st)
{
	json_open(json, NULL, '{');
	json_name(json, "path", path, strlen(path));
	json_name(json, "name", entry->name, strlen(entry->name));
	json_number(json, "inode", entry->inode);
	json_string(json, "type", inode_type_name(entry->type));
	if (st) {
		inode_json_attributes(json, st);
		json_time(json, "mtime", &st->mtime);
	}
	json_close(json, '}');
}

static int print_entry(struct cli *cli, const char *path, const struct listing_entry *entry)
{
	struct arguments *args = cli->arguments;
	struct cowdax_stat st;
	int ret;

	if (args->details) {
		ret = cowdax_stat(cli->fs, entry->inode, &st, &cli->error);
		if (ret)
			return ret;
	}
	if (cli->json) {
		print_json(&args->json, path, entry, args->details ? &st : NULL);
		return 0;
	}
	if (args->inodes)
		printf("%10" PRIu64 " ", entry->inode);
	if (args->details)
		print_details(&st);
	inode_print_name(entry->name);
	putchar('\n');
	return 0;
}

static int compare_inodes(const void *left, const void *right)
{
	const struct directory *a = left, *b = right;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

/* Its path is @parent with @name behind it. */
static int push(struct cli *cli, struct walk *walk, const char *parent, const char *name,
		uint64_t inode)
{
	size_t length = strlen(parent);
	const char *slash = *name && !(length > 0 && parent[length - 1] == '/') ? "/" : "";
	struct directory *directory, **found;

	directory = malloc(sizeof(*directory) + length + strlen(slash) + strlen(name) + 1);
	if (!directory)
		return cli_fail_errno(cli, -ENOMEM, parent);
	stpcpy(stpcpy(stpcpy(directory->path, parent), slash), name);
	directory->inode = inode;
	directory->next = walk->stack;
	found = tsearch(directory, &walk->seen, compare_inodes);
	if (found && *found == directory) {
		walk->stack = directory;
		return 0;
	}
	free(directory);
	if (!found)
		return cli_fail_errno(cli, -ENOMEM, parent);
	return cli_fail(cli, -EUCLEAN, "%s: directory %" PRIu64 " was met before: "
			"the image is damaged", parent, inode);
}

static int print_path(struct cli *cli, const char *parent, const struct listing_entry *entry)
{
	size_t length = strlen(parent);
	const char *slash = length > 0 && parent[length - 1] == '/' ? "" : "/";
	char *path;
	int ret;

	if (asprintf(&path, "%s%s%s", parent, slash, entry->name) < 0)
		return cli_fail_errno(cli, -ENOMEM, parent);
	ret = print_entry(cli, path, entry);
	free(path);
	return ret;
}

static int list_directory(struct cli *cli, struct walk *walk)
{
	const struct arguments *args = cli->arguments;
	const struct directory *directory = walk->stack;
	struct listing listing = { 0 };
	size_t i;
	int ret;

	walk->stack = directory->next;
	ret = listing_read(cli->fs, directory->inode, &listing, &cli->error);
	if (ret == -ENOMEM)
		cli_fail_errno(cli, ret, directory->path);
	for (i = 0; i < listing.count && !ret; i++)
		ret = print_path(cli, directory->path, &listing.entries[i]);
	while (args->recursive && i-- > 0 && !ret)
		if (S_ISDIR(listing.entries[i].type))
			ret = push(cli, walk, directory->path, listing.entries[i].name,
				   listing.entries[i].inode);
	listing_release(&listing);
	return ret;
}

static int list_directories(struct cli *cli, const char *path, uint64_t inode)
{
	const struct arguments *args = cli->arguments;
	struct walk walk = { 0 };
	int ret = push(cli, &walk, path, "", inode);
	bool first = true;

	while (walk.stack && !ret) {
		if (args->recursive && !cli->json) {
			fputs(first ? "" : "\n", stdout);
			inode_print_name(walk.stack->path);
			puts(":");
		}
		first = false;
		ret = list_directory(cli, &walk);
	}
	tdestroy(walk.seen, free);
	return ret;
}

static int run(struct cli *cli)
{
	char *path = cli->operand_count ? cli->operands[0] : (char[]){ "/" };
	struct arguments *args = cli->arguments;
	struct listing_entry entry = { .name = path };
	struct cowdax_stat st;
	int ret = cowdax_lookup(cli->fs, path, &entry.inode, &cli->error);

	if (!ret)
		ret = cowdax_stat(cli->fs, entry.inode, &st, &cli->error);
	if (ret)
		return ret;
	entry.type = st.mode & S_IFMT;
	if (cli->json) {
		args->json = json_begin(stdout, "ls");
		json_name(&args->json, "path", path, strlen(path));
		json_open(&args->json, "entries", '[');
	}
	if (S_ISDIR(entry.type))
		ret = list_directories(cli, path, entry.inode);
	else
		ret = print_entry(cli, path, &entry);
	if (cli->json) {
		json_close(&args->json, ']');
		json_end(&args->json);
	}
	return ret;
}

const struct cli_verb ls_verb = {
	.name = "ls",
	.program = "cowdax-ls",
	.operands = "IMAGE [PATH]",
	.summary = "List the directory PATH of IMAGE (default: /), a name a line, sorted by bytes.",
	.max_operands = 1,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
};
