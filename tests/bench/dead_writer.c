// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first write after another process was killed that had staged a gigabyte:
 * it finds the lane without an owner, and drops what is in it.  Against the first
 * write after one was killed that had as much of the image mapped, and nothing
 * staged: taking a gigabyte of mappings down leaves caches cold.  Both follow a
 * commit by a third handle, which the one that writes has to read and settle.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "api/image.h"
#include "worker.h"

#define KIB ((uint64_t)1 << 10)
#define PIECE (64 * KIB)	/* of free space, where it is in pieces */
#define FOLLOWING 100		/* writes */

struct scene {
	struct image image;		/* the handle that is measured */
	struct cowdax *third;		/* another, so that it is not the one that committed last */
	uint64_t inode;
	struct pair death;		/* a: the write after it; b: after the other's, who had nothing staged */
	struct series alive;		/* the same write while both live */
	struct series following, runs;	/* the longest of the next writes; staged runs */
};

/* ---- who dies --------------------------------------------------------------------------------- */

struct source {
	uint64_t left;
	int ready;		/* where to say that all is staged */
};

static _Noreturn void wait_for_death(int ready)
{
	if (write(ready, "", 1) != 1)
		die("nobody listens");
	for (;;)
		pause();
}

/* A gigabyte, and then nothing, for ever. */
static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;

	if (source->left == 0)
		wait_for_death(source->ready);
	if (length > source->left)
		length = source->left;
	memset(buffer, 0x5a, length);
	source->left -= length;
	return (ssize_t)length;
}

static void stage(const char *path, int ready)
{
	struct source source = {GIB, ready};
	struct cowdax_write_request request = {
		.path = "/stream", .length = COWDAX_TO_END, .source = give, .source_arg = &source,
	};
	struct cowdax_error error = {0};
	struct cowdax *fs = NULL;

	must(cowdax_open(path, NULL, &fs, &error), &error);
	must(cowdax_write_stream(fs, &request, NULL, &error), &error);
}

static void only_map(const char *path, int ready)
{
	struct cowdax_error error = {0};
	struct cowdax *fs = NULL;

	must(cowdax_open(path, NULL, &fs, &error), &error);
	must(cdx_pmem_prepare(&fs->device.pm, 0, GIB), &error);
	wait_for_death(ready);
}

/* Returns once it waits. */
static pid_t start_victim(void (*what)(const char *path, int ready), const char *path)
{
	int ends[2];
	char byte;
	pid_t pid;

	if (pipe(ends))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		use_core(1);
		what(path, ends[1]);
		die("the stream has ended");
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 1)
		die("the process to be killed has failed");
	close(ends[0]);
	return pid;
}

/* ---- who goes on ---------------------------------------------------------------------------------- */

static double write_small(struct cowdax *fs, uint64_t inode)
{
	struct cowdax_error error;
	uint64_t offset = random_below(16) * BLOCK, started = now();

	must(cowdax_write(fs, inode, pattern, BLOCK, offset, NULL, &error), &error);
	return (double)(now() - started);
}

static double write_after_another(struct scene *scene)
{
	write_small(scene->third, scene->inode);
	return write_small(scene->image.fs, scene->inode);
}

/* The write after a death. */
static double write_after_killing(struct scene *scene, pid_t pid)
{
	for (int i = 0; i < 10; i++)
		write_after_another(scene);
	write_small(scene->third, scene->inode);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return write_small(scene->image.fs, scene->inode);
}

/* How many runs of blocks all lanes hold. */
static uint64_t count_staged(struct cowdax *fs)
{
	struct cdx_key key = {{0}};
	struct cdx_cursor cursor;
	uint64_t runs = 0;
	int ret;

	must(cdx_txn_view(&fs->txn, NULL), NULL);
	ret = cdx_cursor_seek(&cursor, &fs->txn.staging, &key);
	if (ret > 0 && !cdx_cursor_at_item(&cursor))
		ret = cdx_cursor_next(&cursor);
	for (; ret > 0; ret = cdx_cursor_next(&cursor)) {
		const struct cdx_disk_staging *entry = cdx_cursor_item(&cursor);
		struct cdx_extents map = {
			.layout = CDX_LAYOUT_TREE, .root = cdx_ref_decode(&entry->extents),
		};
		struct cdx_extent extent;

		for (uint64_t at = 0; cdx_extents_find(&fs->txn, &map, at, &extent, NULL, NULL) > 0; runs++)
			at = extent.file_block + extent.count;
	}
	cdx_cursor_end(&cursor);
	cdx_txn_release_view(&fs->txn);
	return runs;
}

static void take_turn(struct scene *scene)
{
	pid_t writer = start_victim(stage, scene->image.path);
	pid_t bystander = start_victim(only_map, scene->image.path);
	double longest = 0;

	series_add(&scene->runs, (double)count_staged(scene->third));
	for (int i = 0; i < 10; i++)
		series_add(&scene->alive, write_after_another(scene));
	side_add_time(&scene->death.b, write_after_killing(scene, bystander));
	side_add_time(&scene->death.a, write_after_killing(scene, writer));
	pair_end_batch(&scene->death);
	for (int i = 0; i < FOLLOWING; i++) {
		double taken = write_small(scene->image.fs, scene->inode);

		longest = taken > longest ? taken : longest;
	}
	series_add(&scene->following, longest);
	/* Every turn begins with the same free space. */
	image_drain(&scene->image);
}

static void report(struct scene *scene, const char *what)
{
	struct line line = {what, "nothing staged", AT_MOST, 2};

	report_pair(&line, &scene->death);
	report_note("%.0f runs staged; %.1f us while both live; the longest of the next %d writes takes %.1f us",
		    series_median(&scene->runs), series_median(&scene->alive) / 1000, FOLLOWING,
		    series_median(&scene->following) / 1000);
}

/* Leave a gigabyte and little more free, every second piece of all there is. */
static void cut_free_space(struct image *image)
{
	uint64_t inode = image_create(image, "/pieces"), length = 2 * GIB + 64 * MIB;
	struct cowdax_error error = {0};
	unsigned char *piece = calloc(1, PIECE);

	if (!piece)
		die("out of memory");
	for (uint64_t at = 0; at < length; at += PIECE) {
		if (at % (64 * MIB) == 0)
			image_begin(image);
		image_write(image, inode, piece, PIECE, at);
		if ((at + PIECE) % (64 * MIB) == 0)
			image_commit(image);
	}
	for (uint64_t at = 0; at < length; at += 2 * PIECE) {
		if (at % (64 * MIB) == 0)
			image_begin(image);
		must(cowdax_fallocate(image->fs, inode, COWDAX_FALLOCATE_PUNCH, at, PIECE, true, NULL, &error),
		     &error);
		if ((at + 2 * PIECE) % (64 * MIB) == 0)
			image_commit(image);
	}
	free(piece);
}

static void run(const char *what, bool pieces)
{
	struct scene scene = {0};
	struct cowdax_error error = {0};

	image_make(&scene.image, "dead", 2 * GIB + 192 * MIB, true);
	must(cowdax_open(scene.image.path, NULL, &scene.third, &error), &error);
	if (pieces)
		cut_free_space(&scene.image);
	scene.inode = image_create(&scene.image, "/small");
	image_write(&scene.image, scene.inode, pattern, BLOCK, 15 * BLOCK);
	image_drain(&scene.image);
	for (int turn = 0; turn < repeat(20, 5); turn++)
		take_turn(&scene);
	report(&scene, what);
	pair_clear(&scene.death);
	series_clear(&scene.alive);
	series_clear(&scene.following);
	series_clear(&scene.runs);
	cowdax_close(scene.third);
	image_remove(&scene.image);
}

void bench_dead_writer(void)
{
	use_core(0);
	run("a write after a peer died with 1 GiB staged", false);
	run("  the same, free space in pieces of 64 KiB", true);
}
