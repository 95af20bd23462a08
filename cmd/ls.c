/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax-ls: what is in a directory, with the habits of ls(1). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/entry_print.h"
#include "lib/inode_print.h"
#include "lib/json.h"
#include "lib/listing.h"
#include "lib/walk.h"
#include "verbs.h"

struct arguments {
	bool all, directory, recursive, zero;
	struct entry_style style;
};

#define FIELD(name) offsetof(struct arguments, name)

static const struct cli_option options[] = {
	{ .name = "all", .letter = 'a', .field = FIELD(all),
	  .help = "Also names that begin with a dot, and . and .." },
	{ .name = "directory", .letter = 'd', .field = FIELD(directory),
	  .help = "PATH itself, not what is in it" },
	{ .name = "human-readable", .letter = 'h', .field = FIELD(style.human),
	  .help = "With -l: sizes like 1.5K and 2.0G" },
	{ .name = "inode", .letter = 'i', .field = FIELD(style.inodes),
	  .help = "Also inode numbers" },
	{ .name = "long", .letter = 'l', .field = FIELD(style.details),
	  .help = "Also mode, links, owner, group, size and time" },
	{ .name = "recursive", .letter = 'R', .field = FIELD(recursive),
	  .help = "Also the directories below" },
	{ .name = "zero", .letter = '0', .field = FIELD(zero),
	  .help = "End each line with a NUL byte" },
	{ .letter = '1', .kind = CLI_IGNORED, .help = "A name a line, as is always done" },
	{ 0 }
};

static int print_entry(struct cli *cli, const struct entry *entry)
{
	const struct entry_style *style = &((const struct arguments *)cli->arguments)->style;
	struct cowdax_stat st;
	int ret = 0;

	if (style->details)
		ret = cowdax_stat(cli->fs, entry->inode, &st, &cli->error);
	if (!ret)
		entry_print(style, entry, &st);
	return ret;
}

static int print_in(struct cli *cli, const char *parent, const char *name, uint64_t inode,
		    uint32_t type)
{
	char *path = walk_join(parent, name);
	const struct entry entry = { .path = path, .name = name, .inode = inode, .type = type };
	int ret = path ? print_entry(cli, &entry) : cli_fail_errno(cli, -ENOMEM, parent);

	free(path);
	return ret;
}

/* They are no entries of a directory here: the path tells where they lead, ino:N does not. */
static int print_dots(struct cli *cli, const struct walk_directory *directory)
{
	char *above = walk_join(directory->path, "..");
	uint64_t parent;
	int ret;

	if (!above)
		return cli_fail_errno(cli, -ENOMEM, directory->path);
	ret = print_in(cli, directory->path, ".", directory->inode, S_IFDIR);
	if (!ret && strncmp(above, "ino:", 4) != 0) {
		ret = cowdax_lookup(cli->fs, above, &parent, &cli->error);
		if (!ret)
			ret = print_in(cli, directory->path, "..", parent, S_IFDIR);
	}
	free(above);
	return ret;
}

static int push(struct cli *cli, struct walk *walk, const char *parent, const char *name,
		uint64_t inode)
{
	int ret = walk_push(walk, parent, name, inode);

	if (ret == -EUCLEAN)
		return cli_fail(cli, ret, "%s: directory %llu was met before: the image is damaged",
				parent, (unsigned long long)inode);
	return ret ? cli_fail_errno(cli, ret, parent) : 0;
}

/* JSON leaves nothing out: it is not for people. */
static bool is_hidden(const struct cli *cli, const char *name)
{
	return *name == '.' && !cli->json && !((const struct arguments *)cli->arguments)->all;
}

static int print_listing(struct cli *cli, struct walk *walk, const struct walk_directory *directory,
			 const struct listing *listing)
{
	const struct arguments *args = cli->arguments;
	const struct listing_entry *entry;
	size_t i;
	int ret = args->all && !cli->json ? print_dots(cli, directory) : 0;

	for (i = 0; i < listing->count && !ret; i++) {
		entry = &listing->entries[i];
		if (!is_hidden(cli, entry->name))
			ret = print_in(cli, directory->path, entry->name, entry->inode, entry->type);
	}
	while (args->recursive && i-- > 0 && !ret) {
		entry = &listing->entries[i];
		if (S_ISDIR(entry->type) && !is_hidden(cli, entry->name))
			ret = push(cli, walk, directory->path, entry->name, entry->inode);
	}
	return ret;
}

static int list_directory(struct cli *cli, struct walk *walk, const struct walk_directory *directory)
{
	struct listing listing = { 0 };
	int ret = listing_read(cli->fs, directory->inode, &listing, &cli->error);

	if (ret == -ENOMEM)
		cli_fail_errno(cli, ret, directory->path);
	if (!ret)
		ret = print_listing(cli, walk, directory, &listing);
	listing_release(&listing);
	return ret;
}

static int list_directories(struct cli *cli, const char *path, uint64_t inode)
{
	const struct arguments *args = cli->arguments;
	const struct walk_directory *directory;
	struct walk walk = { 0 };
	int ret = push(cli, &walk, path, "", inode);
	bool first = true;

	while (!ret && (directory = walk_pop(&walk))) {
		if (args->recursive && !cli->json) {
			if (!first)
				putchar(args->style.end);
			inode_print_name(directory->path);
			printf(":%c", args->style.end);
		}
		first = false;
		ret = list_directory(cli, &walk, directory);
	}
	walk_release(&walk);
	return ret;
}

static int list(struct cli *cli, const struct entry *entry)
{
	const struct arguments *args = cli->arguments;

	if (S_ISDIR(entry->type) && !args->directory)
		return list_directories(cli, entry->path, entry->inode);
	return print_entry(cli, entry);
}

static int list_as_json(struct cli *cli, const struct entry *entry)
{
	struct arguments *args = cli->arguments;
	struct json json = json_begin(stdout, "ls");
	int ret;

	args->style.json = &json;
	json_name(&json, "path", entry->path, strlen(entry->path));
	json_open(&json, "entries", '[');
	ret = list(cli, entry);
	json_close(&json, ']');
	json_end(&json);
	return ret;
}

static int run(struct cli *cli)
{
	const char *path = cli->operand_count ? cli->operands[0] : "/";
	struct arguments *args = cli->arguments;
	struct entry entry = { .path = path, .name = path };
	struct cowdax_stat st;
	int ret = cowdax_lookup(cli->fs, path, &entry.inode, &cli->error);

	if (!ret)
		ret = cowdax_stat(cli->fs, entry.inode, &st, &cli->error);
	if (ret)
		return ret;
	entry.type = st.mode & S_IFMT;
	args->style.end = args->zero ? '\0' : '\n';
	return cli->json ? list_as_json(cli, &entry) : list(cli, &entry);
}

const struct cli_verb ls_verb = {
	.name = "ls",
	.program = "cowdax-ls",
	.operands = "IMAGE [PATH]",
	.summary = "List the directory PATH of IMAGE (default: /), a name a line, sorted by bytes."
		   "\vNames that begin with a dot are left out, but not of JSON.",
	.max_operands = 1,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.run = run,
};
