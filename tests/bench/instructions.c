// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many instructions an operation takes, counted by callgrind: the same each time, so that
 * what a change saves shows where times would drown it.  The bench itself runs under callgrind
 * then, and does nothing but the operations, of which it counts what counted_operations() does.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "process.h"

#define EXTENTS 100000
#define SMALL 100
#define OPERATIONS 1000		/* counted */
#define WARMING 5000		/* writes before, as in every row of times: most nodes are in memory then */

struct counted {
	struct image image;
	enum layout layout;
	size_t length;
	uint64_t inode;
	void (*operate)(struct counted *counted);
};

static void empty_commit(struct counted *counted)
{
	image_begin(&counted->image);
	image_commit(&counted->image);
}

static uint64_t some_offset(const struct counted *counted)
{
	uint64_t offset = random_block(EXTENTS, counted->layout) * BLOCK;

	return counted->length == BLOCK ? offset : offset + 1 + random_below(BLOCK - counted->length - 1);
}

static void one_write(struct counted *counted)
{
	image_write(&counted->image, counted->inode, pattern, counted->length, some_offset(counted));
}

static void one_read(struct counted *counted)
{
	static unsigned char bytes[BLOCK];
	struct cowdax_error error = {0};
	ssize_t got = cowdax_read(counted->image.fs, counted->inode, bytes, counted->length,
				  some_offset(counted), &error);

	must(got < 0 ? (int)got : 0, &error);
}

static const struct kind {
	const char *name, *what;
	enum layout layout;
	bool clone;		/* into a fresh one, from its first write on */
	bool cold;		/* the first that a handle does */
	size_t length;
	void (*operate)(struct counted *counted);
	double most;		/* instructions; 0: there is no goal */
	unsigned int flags;	/* to open with */
} kinds[] = {
	{"empty", "instructions: empty commit", EVERY_OTHER, false, false, 0, empty_commit, 2500, 0},
	{"private", "  4 KiB into a file that shares nothing", EVERY_OTHER, false, false, BLOCK, one_write, 15000, 0},
	{"private-100", "  100 bytes into it", EVERY_OTHER, false, false, SMALL, one_write, 0, 0},
	{"private-cold", "  4 KiB, the first writes of a handle", EVERY_OTHER, false, true, BLOCK, one_write, 0, 0},
	{"clone", "  4 KiB into a clone, in order", EVERY_OTHER, true, false, BLOCK, one_write, 22000, 0},
	{"clone-100", "  100 bytes into it", EVERY_OTHER, true, false, SMALL, one_write, 0, 0},
	{"scattered", "  4 KiB into a clone, scattered", SHUFFLED, true, false, BLOCK, one_write, 25000, 0},
	{"scattered-100", "  100 bytes into it", SHUFFLED, true, false, SMALL, one_write, 0, 0},
	{"read", "  4 KiB read", EVERY_OTHER, false, false, BLOCK, one_read, 0, 0},
	{"read-linger", "  the same, lingering", EVERY_OTHER, false, false, BLOCK, one_read, 0, COWDAX_LINGER},
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

/* ---- under callgrind ------------------------------------------------------------------------ */

/* Known to callgrind by its name. */
__attribute__((noinline)) void counted_operations(struct counted *counted);

void counted_operations(struct counted *counted)
{
	for (int i = 0; i < OPERATIONS; i++)
		counted->operate(counted);
}

void instructions_operate(const char *name, const char *path)
{
	struct counted counted = {0};
	struct cowdax_error error = {0};
	const struct kind *kind = kinds;

	while (kind < kinds + KINDS && strcmp(kind->name, name) != 0)
		kind++;
	if (kind == kinds + KINDS)
		die("no operation '%s'", name);
	counted.layout = kind->layout;
	counted.length = kind->length;
	counted.operate = kind->operate;
	snprintf(counted.image.path, sizeof(counted.image.path), "%s", path);
	counted.image.flags = kind->flags;
	image_open(&counted.image);
	must(cowdax_lookup(counted.image.fs, "/original", &counted.inode, &error), &error);
	for (int i = 0; i < WARMING && !kind->cold; i++)
		(kind->length ? one_write : kind->operate)(&counted);
	if (kind->clone) {
		image_clone(&counted.image, "/original", "/clone");
		must(cowdax_lookup(counted.image.fs, "/clone", &counted.inode, &error), &error);
	}
	counted_operations(&counted);
	cowdax_close(counted.image.fs);
}

/* ---- the row ------------------------------------------------------------------------------------ */

/* What callgrind has written to @path: instructions. */
static uint64_t sum_of(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	uint64_t sum = 0;

	if (!file)
		die("callgrind has written nothing");
	while (!sum && fgets(line, sizeof(line), file))
		sscanf(line, "totals: %" SCNu64, &sum);
	fclose(file);
	unlink(path);
	return sum;
}

static void count(const struct kind *kind, const char *image)
{
	char output[128], argument[160], self[512], measured[32], goal[32];
	const char *command[] = {
		"valgrind", "--quiet", "--tool=callgrind", "--collect-atstart=no",
		"--toggle-collect=counted_operations", argument, self, "--operations", kind->name,
		image, NULL,
	};
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	double each;

	if (length < 0)
		die("/proc/self/exe cannot be read");
	self[length] = '\0';
	snprintf(output, sizeof(output), "%s/callgrind", options.directory);
	snprintf(argument, sizeof(argument), "--callgrind-out-file=%s", output);
	run_program(command, NULL);
	each = (double)sum_of(output) / OPERATIONS;
	snprintf(measured, sizeof(measured), "%.0f", each);
	snprintf(goal, sizeof(goal), "<= %.0f", kind->most);
	report_value(kind->what, measured, "", kind->most ? goal : NULL, each <= kind->most);
}

/* An image each: what one kind leaves behind is not the next one's. */
static void count_alone(const struct kind *kind)
{
	struct image image = {0};

	image_make(&image, "counted", 4 * GIB, true);
	image_fragmented_file(&image, "/original", EXTENTS, kind->layout);
	/* The other process has a handle of its own. */
	cowdax_close(image.fs);
	image.fs = NULL;
	count(kind, image.path);
	image_remove(&image);
}

void bench_instructions(void)
{
	if (!has_program("valgrind")) {
		report_skipped("instructions", "there is no valgrind");
		return;
	}
	for (size_t i = 0; i < KINDS; i++)
		count_alone(&kinds[i]);
}
