// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Small writes where many others are, or were: readers that hold as many transactions, and
 * lanes that writers left who died.  In turn with the same writes to an image that nobody
 * else uses.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/image.h"
#include "fixture.h"
#include "iomap/stage.h"

#define EXTENTS 1000
#define STAGED (16 * BLOCK)	/* in a lane */
#define WRITES 500
#define SWEEPING 100		/* writes: now and then one drops a few lanes that nobody has any more */

struct subject {
	struct image image;
	uint64_t inode;
	int *fd, fds;		/* who holds locks */
};

static void prepare(struct subject *subject, const char *name)
{
	image_make(&subject->image, name, 512 * MIB, true);
	subject->inode = image_fragmented_file(&subject->image, "/file", EXTENTS, SHUFFLED);
}

static double write_one(const struct subject *subject)
{
	struct cowdax_error error;
	uint64_t offset = random_below(EXTENTS) * BLOCK, started = now();

	must(cowdax_write(subject->image.fs, subject->inode, pattern, BLOCK, offset, NULL, &error), &error);
	return (double)(now() - started);
}

/* A lock of its own open file description: as good as a process. */
static int hold(const struct subject *subject, uint64_t start, uint64_t length, short type)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)length,
	};
	int fd = open(subject->image.path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock))
		die("%s: %s", subject->image.path, strerror(errno));
	return fd;
}

static void compare(struct subject *many, struct subject *none, int batches, struct pair *pair)
{
	for (int batch = -2; batch < batches; batch++) {
		for (int i = 0; i < WRITES; i++) {
			side_add_time(&pair->a, write_one(many));
			side_add_time(&pair->b, write_one(none));
		}
		if (batch < 0)
			pair_clear(pair);
		else
			pair_end_batch(pair);
	}
}

/* ---- readers ----------------------------------------------------------------------------------- */

/* What the kernel takes for two locks and their release where so many are held, and where none is. */
static void lock_floor(const struct subject *many, const struct subject *none)
{
	const struct subject *subject[2] = {many, none};
	struct series series[2] = {{0}};

	for (int i = 0; i < 200; i++) {
		for (int which = 0; which < 2; which++) {
			struct cdx_device *device = &subject[which]->image.fs->device;
			uint64_t started = now();

			for (int j = 0; j < 2; j++) {
				cdx_device_lock(device, device->lock.turnstiles + (uint64_t)j, 1, true, false);
				cdx_device_unlock(device, device->lock.turnstiles + (uint64_t)j, 1);
			}
			series_add(&series[which], (double)(now() - started));
		}
	}
	report_note("of that, two locks and their release: %.1f us, %.1f us without",
		    series_median(&series[0]) / 1000, series_median(&series[1]) / 1000);
	series_clear(&series[0]);
	series_clear(&series[1]);
}

static void readers(int count)
{
	struct subject many = {0}, none = {0};
	struct pair pair = {0};
	char what[64];
	struct line line = {.what = what, .against = "no reader", .goal = AT_MOST, .bound = 2};
	struct cdx_device *device;

	prepare(&many, "many");
	prepare(&none, "none");
	/* Each has looked at another transaction; the image has not gone on since. */
	for (int i = 0; i < count; i++)
		write_one(&many);
	device = &many.image.fs->device;
	for (int i = 0; i < count; i++)
		hold(&many, device->lock.readers + cowdax_transaction(many.image.fs) - (uint64_t)i, 1, F_RDLCK);
	compare(&many, &none, repeat(20, 5), &pair);
	snprintf(what, sizeof(what), "4 KiB write, %d readers, each of another commit", count);
	report_pair(&line, &pair);
	lock_floor(&many, &none);
	pair_clear(&pair);
	image_remove(&many.image);
	image_remove(&none.image);
	closefrom(3);
}

/* ---- lanes ---------------------------------------------------------------------------------------- */

/* As a writer that stages and never ends: the lane's lock is another's. */
static void stage(struct subject *subject, uint64_t lane)
{
	static unsigned char scratch[BLOCK], bytes[STAGED];
	struct cdx_stage stage = {
		.txn = &subject->image.fs->txn, .open = true, .lane = lane, .scratch = scratch,
	};
	struct cowdax_error error = {0};

	must(cdx_stage_append(&stage, bytes, sizeof(bytes), &error), &error);
}

static void lanes(int count)
{
	struct subject many = {0}, none = {0};
	struct pair alive = {0}, dead = {0};
	struct series longest = {0};
	char what[64];
	struct line line = {.what = what, .against = "no lane", .goal = AT_MOST, .bound = 2};

	prepare(&many, "many");
	prepare(&none, "none");
	for (int turn = 0; turn < repeat(10, 3); turn++) {
		struct cdx_device *device = &many.image.fs->device;
		int owner = hold(&many, device->lock.lanes, CDX_MAX_LANE + 1, F_WRLCK);
		double most = 0;

		for (int i = 0; i < count; i++)
			stage(&many, (uint64_t)i);
		for (int i = 0; i < WRITES; i++) {
			side_add_time(&alive.a, write_one(&many));
			side_add_time(&alive.b, write_one(&none));
		}
		close(owner);
		for (int i = 0; i < SWEEPING; i++) {
			double time = write_one(&many);

			most = time > most ? time : most;
			side_add_time(&dead.a, time);
			side_add_time(&dead.b, write_one(&none));
		}
		series_add(&longest, most);
		while (many.image.fs->txn.record.staging.address)
			write_one(&many);
		pair_end_batch(&alive);
		pair_end_batch(&dead);
	}
	snprintf(what, sizeof(what), "4 KiB write, %d writers stage", count);
	report_pair(&line, &alive);
	snprintf(what, sizeof(what), "  the %d writes after they all died", SWEEPING);
	report_pair(&line, &dead);
	report_note("the longest of them takes %.1f us", series_median(&longest) / 1000);
	pair_clear(&alive);
	pair_clear(&dead);
	series_clear(&longest);
	image_remove(&many.image);
	image_remove(&none.image);
}

void bench_crowd(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	readers(128);
	if (files.rlim_max >= 4100)
		readers(4000);
	else
		report_skipped("4 KiB write, 4000 readers", "not so many files may be open");
	lanes(128);
	lanes(1000);
}
