/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A walk that ends on hostile images too: a loop of directories is met and told (R20). */
#include "walk.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_inodes(const void *left, const void *right)
{
	const struct walk_directory *a = left, *b = right;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

char *walk_join(const char *parent, const char *name)
{
	size_t length = strlen(parent);
	bool slash = *name && !(length > 0 && parent[length - 1] == '/');
	char *path;

	return asprintf(&path, "%s%s%s", parent, slash ? "/" : "", name) < 0 ? NULL : path;
}

static struct walk_directory *new_directory(const char *parent, const char *name, uint64_t inode)
{
	char *path = walk_join(parent, name);
	struct walk_directory *directory = NULL;
	size_t size = path ? strlen(path) + 1 : 0;

	if (path)
		directory = malloc(sizeof(*directory) + size);
	if (directory) {
		memcpy(directory->path, path, size);
		directory->inode = inode;
	}
	free(path);
	return directory;
}

int walk_push(struct walk *walk, const char *parent, const char *name, uint64_t inode)
{
	struct walk_directory *directory = new_directory(parent, name, inode);
	struct walk_directory *const *found = NULL;

	if (directory)
		found = tsearch(directory, &walk->seen, compare_inodes);
	if (found && *found == directory) {
		directory->next = walk->stack;
		walk->stack = directory;
		return 0;
	}
	free(directory);
	return found ? -EUCLEAN : -ENOMEM;
}

const struct walk_directory *walk_pop(struct walk *walk)
{
	const struct walk_directory *top = walk->stack;

	if (top)
		walk->stack = top->next;
	return top;
}

void walk_release(struct walk *walk)
{
	tdestroy(walk->seen, free);
}
