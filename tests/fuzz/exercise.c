/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that a library user may do to an image that he did not make.
 * Calls may fail; they must come back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define MAX_DEPTH 8
#define MAX_ENTRIES 500
#define MAX_EXTENTS 2000
#define PIECE 20000

struct visit {
	struct cowdax *fs;
	unsigned int entries, extents, depth;
	uint64_t files[4];		/* some inodes to work on later */
	unsigned int file_count;
	char buffer[PIECE];
};

static void ignore_problem(void *arg, const struct cowdax_problem *problem)
{
	uint64_t *length = arg;

	*length += strlen(problem->code) + (problem->path ? strlen(problem->path) : 0);
}

static void run_check(const char *path, bool backup)
{
	uint64_t length = 0;
	struct cowdax_check_options options = {
		.backup_super = backup,
		.check_data = true,
		.problem = ignore_problem,
		.problem_arg = &length,
	};
	struct cowdax_check_summary summary;

	cowdax_check(path, &options, &summary, NULL);
}

static int visit_extent(void *arg, const struct cowdax_extent *extent)
{
	struct visit *visit = arg;

	(void)extent;
	return ++visit->extents % MAX_EXTENTS == 0;
}

static int visit_bytes(void *arg, const void *bytes, size_t length)
{
	struct visit *visit = arg;

	if (length)
		visit->buffer[0] ^= *(const char *)bytes;
	return visit->entries > MAX_ENTRIES;
}

static void visit_file(struct visit *visit, uint64_t inode)
{
	struct cowdax_stat st;

	if (cowdax_stat(visit->fs, inode, &st, NULL))
		return;
	cowdax_stat_blocks(visit->fs, inode, &st, NULL);
	cowdax_map(visit->fs, inode, 0, COWDAX_TO_END, visit_extent, visit, NULL);
	cowdax_read(visit->fs, inode, visit->buffer, PIECE, 0, NULL);
	if (st.size > PIECE)
		cowdax_read(visit->fs, inode, visit->buffer, PIECE, st.size - PIECE / 2, NULL);
	cowdax_read_to(visit->fs, inode, 0, 10 * PIECE, visit_bytes, visit, NULL);
	if (visit->file_count < sizeof(visit->files) / sizeof(visit->files[0]))
		visit->files[visit->file_count++] = inode;
}

static int visit_entry(void *arg, const struct cowdax_dirent *entry)
{
	struct visit *visit = arg;

	if (++visit->entries > MAX_ENTRIES)
		return 1;
	visit_file(visit, entry->inode);
	if (visit->depth < MAX_DEPTH) {
		visit->depth++;
		cowdax_list(visit->fs, entry->inode, visit_entry, visit, NULL);
		visit->depth--;
	}
	return 0;
}

static bool open_image(const char *path, unsigned int flags, struct cowdax **fs)
{
	struct cowdax_open_options options = {.flags = flags | COWDAX_NO_WAIT};

	return cowdax_open(path, &options, fs, NULL) == 0;
}

static void look(const char *path, struct visit *visit)
{
	struct cowdax_info info;

	if (!open_image(path, COWDAX_RDONLY, &visit->fs))
		return;
	cowdax_info(visit->fs, &info, NULL);
	cowdax_list(visit->fs, COWDAX_ROOT_INODE, visit_entry, visit, NULL);
	cowdax_close(visit->fs);
}

static void change_file(struct visit *visit, uint64_t inode)
{
	static const enum cowdax_fallocate_mode modes[] = {
		COWDAX_FALLOCATE_UNSHARE, COWDAX_FALLOCATE_ZERO, COWDAX_FALLOCATE_PUNCH,
		COWDAX_FALLOCATE_UNWRITTEN,
	};
	struct cowdax_result result = {0};

	cowdax_write(visit->fs, inode, visit->buffer, 100, 5000, &result, NULL);
	cowdax_write(visit->fs, inode, visit->buffer, PIECE, 0, &result, NULL);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		cowdax_fallocate(visit->fs, inode, modes[i], 3000 * i, PIECE, true, &result, NULL);
	cowdax_truncate(visit->fs, inode, 7777, &result, NULL);
}

static void change(const char *path, struct visit *visit, unsigned int flags)
{
	static const char *const names[] = {"/one",	"/clone", "/own",   "/dir",
					    "/islands", "/sieve", "/file-1"};
	struct cowdax_result result = {0};
	uint64_t inode;

	if (!open_image(path, flags, &visit->fs))
		return;
	cowdax_create(visit->fs, "/new", 0600, &inode, NULL);
	cowdax_mkdir(visit->fs, "/dir/sub/a/b", 0755, true, NULL);
	cowdax_clone(visit->fs, "/many", "/new", &result, NULL);
	cowdax_clone_range(visit->fs, "/islands", 0, "/new", 0, COWDAX_TO_END, &result, NULL);
	for (unsigned int i = 0; i < visit->file_count; i++)
		change_file(visit, visit->files[i]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cowdax_remove(visit->fs, names[i], true, NULL);
	if (cowdax_begin(visit->fs, NULL) == 0) {
		cowdax_create(visit->fs, "/never", 0600, &inode, NULL);
		cowdax_abort(visit->fs);
	}
	cowdax_create(visit->fs, "/last", 0600, &inode, NULL);
	cowdax_close(visit->fs);
}

void exercise(const char *path)
{
	struct visit *visit = calloc(1, sizeof(*visit));

	if (!visit)
		die("out of memory");
	run_check(path, false);
	run_check(path, true);
	look(path, visit);
	change(path, visit, COWDAX_DRY_RUN);
	change(path, visit, 0);
	visit->entries = visit->extents = visit->file_count = 0;
	look(path, visit);
	run_check(path, false);
	free(visit);
}
