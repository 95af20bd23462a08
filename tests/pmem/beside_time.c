// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the same operation costs on both sides, each durable when its time ends,
 * measured in turn in one run.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../bench/measure.h"
#include "../model/memory.h"
#include "beside.h"

#define WARM_UP 2		/* rounds that do not count */
#define WRITES 40		/* of each way and round, all into different blocks */
#define STRIDE 37		/* blocks from one write to the next: odd, so that all have their turn */

enum way { WAY_PWRITE, WAY_FDATASYNC, WAY_DSYNC, WAY_COWDAX, WAYS };
static const char *const way_names[WAYS] = {
	"pwrite, not durable", "pwrite + fdatasync", "pwritev2 RWF_DSYNC", "cowdax_write",
};

enum size { SIZE_SMALL, SIZE_BLOCK, SIZES };
static const size_t lengths[SIZES] = {100, BLOCK};

struct times {
	struct series xfs[OP_KINDS], cowdax[OP_KINDS];	/* of random operations */
	struct series small[SIZES][WAYS];
};

struct times *times_new(void)
{
	return get_memory(sizeof(struct times));
}

void times_free(struct times *times)
{
	for (int i = 0; i < OP_KINDS; i++) {
		series_clear(&times->xfs[i]);
		series_clear(&times->cowdax[i]);
	}
	for (int i = 0; i < SIZES * WAYS; i++)
		series_clear(&times->small[i / WAYS][i % WAYS]);
	free(times);
}

void times_add(struct times *times, enum op_kind kind, uint64_t xfs, uint64_t cowdax)
{
	series_add(&times->xfs[kind], (double)xfs);
	series_add(&times->cowdax[kind], (double)cowdax);
}

/* ---- small writes into a clone ------------------------------------------------------- */

static const unsigned char pattern[MAX_FILE] = "bytes";

static void both(struct setting *setting, const struct op *op)
{
	struct cowdax_error error;
	uint64_t time;

	if (xfs_apply(&setting->xfs, op, pattern, false, &time))
		die("%s on XFS", op_name(op->kind));
	if (image_apply(&setting->image, op, pattern, &time, &error))
		die("%s", error.text);
}

/* Files a and b are whatever the tests before have left. */
static void make_original(struct setting *setting)
{
	struct cowdax_error error;
	uint64_t time;

	for (unsigned int file = 0; file < FILES; file++) {
		const struct op gone = {.kind = OP_REMOVE, .file = file};

		xfs_apply(&setting->xfs, &gone, NULL, false, &time);
		image_apply(&setting->image, &gone, NULL, &time, &error);
	}
	/* A fair peer: nothing here meets what the restriction is for. */
	if (setting->xfs.old_kernel)
		kernel_reserve_little(setting->xfs.directory, false);
	both(setting, &(struct op){.kind = OP_CREATE, .file = 0});
	both(setting, &(struct op){.kind = OP_WRITE, .file = 0, .length = MAX_FILE});
}

static void write_one(struct setting *setting, uint64_t inode, enum way way, size_t length,
		      uint64_t offset)
{
	const struct iovec part = {.iov_base = (void *)(uintptr_t)pattern, .iov_len = length};
	int fd = setting->xfs.file[1];
	struct cowdax_error error;

	if (way == WAY_COWDAX) {
		if (cowdax_write(setting->image.fs, inode, pattern, length, offset, NULL, &error))
			die("%s", error.text);
		return;
	}
	if (way == WAY_DSYNC ? pwritev2(fd, &part, 1, (off_t)offset, RWF_DSYNC) != (ssize_t)length :
			       pwrite(fd, pattern, length, (off_t)offset) != (ssize_t)length)
		die("a write on XFS: %s", strerror(errno));
	if (way == WAY_FDATASYNC && fdatasync(fd))
		die("fdatasync() on XFS: %s", strerror(errno));
}

/* All ways in turn into a fresh clone, no block written twice. */
static void one_round(struct setting *setting, enum size size, bool counts)
{
	struct cowdax_error error;
	uint64_t inode, block = 0;

	both(setting, &(struct op){.kind = OP_CLONE, .from = 0, .file = 1});
	if (cowdax_lookup(setting->image.fs, "/b", &inode, &error))
		die("%s", error.text);
	for (int i = 0; i < WRITES; i++)
		for (enum way way = 0; way < WAYS; way++) {
			/* Unaligned, when it is less than a block. */
			uint64_t offset = block * BLOCK + (lengths[size] < BLOCK ? 1001 : 0),
				 started = now();

			write_one(setting, inode, way, lengths[size], offset);
			if (counts)
				series_add(&setting->times->small[size][way],
					   (double)(now() - started));
			block = (block + STRIDE) % BLOCKS;
		}
	both(setting, &(struct op){.kind = OP_REMOVE, .file = 1});
}

void times_small_writes(struct setting *setting, unsigned int rounds)
{
	make_original(setting);
	for (unsigned int round = 0; round < rounds + WARM_UP; round++)
		for (enum size size = 0; size < SIZES; size++)
			one_round(setting, size, round >= WARM_UP);
	tap(setting, true, "small writes into clones: measured");
}

/* ---- the tables ---------------------------------------------------------------------- */

static void print_row(const char *what, struct series *xfs, struct series *cowdax)
{
	double median = series_median(xfs) / series_median(cowdax),
	       mean = series_mean(xfs) / series_mean(cowdax);

	printf("# %-34s %10.1f %10.1f %8.2f %10.1f %10.1f %8.2f\n", what, series_median(xfs) / 1000,
	       series_median(cowdax) / 1000, median, series_mean(xfs) / 1000,
	       series_mean(cowdax) / 1000, mean);
}

static void print_small(struct times *times, enum size size)
{
	struct series *cowdax = &times->small[size][WAY_COWDAX];
	bool met = true;
	char what[64];

	for (enum way way = 0; way < WAY_COWDAX; way++) {
		struct series *xfs = &times->small[size][way];

		snprintf(what, sizeof(what), "%zu bytes, %s", lengths[size], way_names[way]);
		print_row(what, xfs, cowdax);
		if (way != WAY_PWRITE)
			met = met && series_median(xfs) > series_median(cowdax);
	}
	printf("# %zu durable bytes into a clone take less time in cowdax: %s\n", lengths[size],
	       met ? "met" : "MISSED");
}

void times_report(struct times *times)
{
	printf("# %-34s %21s %8s %21s %8s\n", "microseconds, each durable", "median", "", "mean",
	       "");
	printf("# %-34s %10s %10s %8s %10s %10s %8s\n", "", "XFS", "cowdax", "ratio", "XFS",
	       "cowdax", "ratio");
	for (enum op_kind kind = 0; kind < OP_KINDS; kind++)
		if (times->xfs[kind].count)
			print_row(op_name(kind), &times->xfs[kind], &times->cowdax[kind]);
	for (enum size size = 0; size < SIZES; size++)
		if (times->small[size][WAY_COWDAX].count)
			print_small(times, size);
}
