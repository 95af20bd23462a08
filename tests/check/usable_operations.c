/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the law is tried with: the operations that commands are made of. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "usable.h"

#define LONG (3 << 20)
#define MAX_DEPTH 20

/* A file with one extent, one that is shared, one with a tree, and a tree of names. */
static const char *const names[2][4] = {
	[PLAIN] = {"/one", "/clone", "/own", "/dir"},
	[DEEP] = {"/file-1", "/islands", "/sieve", "/file-2"},
};
enum { SMALL, SHARED, TREE, REMOVED };

static int lookup(struct cowdax *fs, const char *path, uint64_t *inode, struct cowdax_error *error)
{
	return cowdax_lookup(fs, path, inode, error);
}

static int create(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	uint64_t inode;

	(void)base;
	return cowdax_create(fs, "/new", 0600, &inode, error);
}

static int make_directories(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	(void)base;
	return cowdax_mkdir(fs, "/new/and/newer", 0755, true, error);
}

static int write_at(struct cowdax *fs, const char *path, uint64_t offset,
		    struct cowdax_error *error)
{
	uint64_t inode;
	int ret = lookup(fs, path, &inode, error);

	return ret ? ret : cowdax_write(fs, inode, "bytes", 5, offset, NULL, error);
}

static int write_into(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	return write_at(fs, names[base][SMALL], 100, error);
}

static int write_shared(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	return write_at(fs, names[base][SHARED], 20000, error);
}

struct source { size_t left; };

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;

	if (length > source->left)
		length = source->left;
	memset(buffer, 'x', length);
	source->left -= length;
	return (ssize_t)length;
}

static int stream(struct cowdax *fs, const char *path, size_t length, struct cowdax_error *error)
{
	struct source source = {length};
	struct cowdax_write_request request = {
		.path = path,
		.append = true,
		.length = COWDAX_TO_END,
		.source = give,
		.source_arg = &source,
	};

	return cowdax_write_stream(fs, &request, NULL, error);
}

static int append(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	return stream(fs, names[base][SMALL], 5000, error);
}

static int write_long(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	(void)base;
	return stream(fs, "/long", LONG, error);
}

static int cut_short(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	uint64_t inode;
	int ret = lookup(fs, names[base][TREE], &inode, error);

	return ret ? ret : cowdax_truncate(fs, inode, 5000, NULL, error);
}

static int punch(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	uint64_t inode;
	int ret = lookup(fs, names[base][TREE], &inode, error);

	if (ret)
		return ret;
	return cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 10000, 30000, true, NULL, error);
}

static int unlink_tree(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	return cowdax_remove(fs, names[base][TREE], false, error);
}

static int remove_all(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	return cowdax_remove(fs, names[base][REMOVED], true, error);
}

static int reflink(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	return cowdax_clone(fs, names[base][SHARED], "/copy", NULL, error);
}

static int info(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	struct cowdax_info facts;

	(void)base;
	return cowdax_info(fs, &facts, error);
}

struct visit {
	struct cowdax *fs;
	struct cowdax_error *error;
	unsigned int depth;
};

static int visit(void *arg, const struct cowdax_dirent *entry)
{
	struct visit *visiting = arg;
	int ret;

	if ((entry->type & S_IFMT) != S_IFDIR || visiting->depth == MAX_DEPTH)
		return 0;
	visiting->depth++;
	ret = cowdax_list(visiting->fs, entry->inode, visit, visiting, visiting->error);
	visiting->depth--;
	return ret;
}

static int list(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	struct visit visiting = {fs, error, 0};

	(void)base;
	return cowdax_list(fs, COWDAX_ROOT_INODE, visit, &visiting, error);
}

/* Several changes as one, and enough commits behind it that limbo is undone. */
static int batch(struct cowdax *fs, enum base base, struct cowdax_error *error)
{
	char path[16];
	int ret = cowdax_begin(fs, error);

	if (ret)
		return ret;
	ret = write_into(fs, base, error);
	if (!ret)
		ret = create(fs, base, error);
	if (ret) {
		cowdax_abort(fs);
		return ret;
	}
	ret = cowdax_commit(fs, error);
	for (char name = 'a'; name < 'i' && !ret; name++) {
		path[0] = '/';
		path[1] = name;
		path[2] = '\0';
		ret = cowdax_mkdir(fs, path, 0755, false, error);
	}
	return ret;
}

const struct operation operations[] = {
	{"create", create, false},
	{"mkdir -p", make_directories, false},
	{"write", write_into, false},
	{"write into a shared file", write_shared, false},
	{"append", append, false},
	{"write long", write_long, true},
	{"truncate", cut_short, false},
	{"punch", punch, false},
	{"rm", unlink_tree, false},
	{"rm -r", remove_all, true},
	{"reflink", reflink, false},
	{"info", info, false},
	{"ls -R", list, false},
	{"batch --atomic", batch, true},
	{0},
};
