// SPDX-License-Identifier: GPL-2.0-or-later
/* Range locks of files: who waits for whom, and for how long. */
#include "pmem/range.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define MANY 5		/* an inode; 6 has another hash, 5 + 1024 the same */

static void open_devices(struct cdx_device *devices, int count)
{
	int fd = open(unit_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	close(fd);
	for (int i = 0; i < count; i++)
		CHECK_EQUAL(cdx_device_open(&devices[i], unit_path("file"), 0, CDX_DEVICE_WRITABLE, NULL), 0);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

TEST("disjoint ranges of a file are held at once, overlapping ones are not")
{
	struct cdx_range one = {0}, two = {0};
	struct cdx_device device[2];

	open_devices(device, 2);
	CHECK_EQUAL(cdx_range_lock(&device[0], &one, MANY, 10, 10, false), 0);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, MANY, 19, 1, false), -EAGAIN);
	CHECK_EQUAL(two.length, 0);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, MANY, 5, 0, false), -EAGAIN);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, CDX_RANGE_ALL, 0, 0, false), -EAGAIN);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, MANY, 20, 0, false), 0);
	cdx_range_unlock(&device[1], &two);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, MANY, 0, 10, false), 0);
	cdx_range_unlock(&device[1], &two);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, MANY + 1, 0, 0, false), 0);
	cdx_range_unlock(&device[1], &two);
	cdx_range_unlock(&device[0], &one);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, CDX_RANGE_ALL, 0, 0, false), 0);
	CHECK_EQUAL(cdx_range_lock(&device[0], &one, MANY, 10, 10, false), -EAGAIN);
	cdx_device_close(&device[0]);
	cdx_device_close(&device[1]);
}

TEST("R6: whether a range is busy is about others, never about oneself")
{
	struct cdx_range range = {0};
	struct cdx_device device[2];

	open_devices(device, 2);
	CHECK_EQUAL(cdx_range_lock(&device[0], &range, MANY, 10, 10, false), 0);
	CHECK_EQUAL(cdx_range_busy(&device[0], MANY, 0, 0), 0);
	CHECK_EQUAL(cdx_range_busy(&device[1], MANY, 0, 0), 1);
	CHECK_EQUAL(cdx_range_busy(&device[1], MANY, 0, 10), 0);
	CHECK_EQUAL(cdx_range_busy(&device[1], MANY, 19, 1), 1);
	CHECK_EQUAL(cdx_range_busy(&device[1], MANY + 1, 0, 0), 0);
	cdx_device_close(&device[0]);
	cdx_device_close(&device[1]);
}

TEST("R11: ranges at the far end of the largest file, whatever its number, are locks like others")
{
	const uint64_t last = (UINT64_C(1) << 50) - 1;
	struct cdx_range one = {0}, two = {0};
	struct cdx_device device[2];

	open_devices(device, 2);
	for (uint64_t inode = 1; inode; inode <<= 1) {
		CHECK_EQUAL(cdx_range_lock(&device[0], &one, inode - 1, last, 1, false), 0);
		CHECK(one.start >= device[0].lock.ranges && one.start + one.length <= device[0].lock.lanes);
		cdx_range_unlock(&device[0], &one);
	}
	CHECK_EQUAL(cdx_range_lock(&device[0], &one, 1023, last, 1, false), 0);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, 1023, last, 0, false), -EAGAIN);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, 1023, last, UINT64_MAX, false), -EAGAIN);
	/* So far out, blocks have a byte together: who wants the one before waits as well. */
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, 1023, last - 1, 1, false), -EAGAIN);
	CHECK_EQUAL(cdx_range_lock(&device[1], &two, 1023, 0, last - 16383, false), 0);
	cdx_device_close(&device[0]);
	cdx_device_close(&device[1]);
}

/* Hold block @first .. for 3 ms at a time, again and again, until killed. */
_Noreturn static void hold_again_and_again(uint64_t first)
{
	struct cdx_range range = {0};
	struct cdx_device device;

	open_devices(&device, 1);
	for (;;) {
		if (cdx_range_lock(&device, &range, MANY, first, 10, true))
			_exit(1);
		usleep(3000);
		cdx_range_unlock(&device, &range);
	}
}

TEST("R13: narrow ranges that are held by turns do not starve one that wants them all")
{
	struct cdx_range range = {0};
	struct cdx_device device;
	double worst = 0;
	pid_t child[4];

	open_devices(&device, 1);
	for (int i = 0; i < 4; i++) {
		child[i] = fork();
		if (child[i] == 0)
			hold_again_and_again(100 * (uint64_t)i);
	}
	usleep(20000);
	alarm(20);		/* starved: the test is killed */
	for (int i = 0; i < 20; i++) {
		double start = now();

		CHECK_EQUAL(cdx_range_lock(&device, &range, MANY, 0, 0, true), 0);
		worst = now() - start > worst ? now() - start : worst;
		cdx_range_unlock(&device, &range);
	}
	for (int i = 0; i < 4; i++) {
		CHECK_EQUAL(kill(child[i], SIGKILL), 0);
		CHECK(waitpid(child[i], NULL, 0) == child[i]);
	}
	unit_note("the longest wait was %.1f ms", worst * 1e3);
	cdx_device_close(&device);
}

/* ---- through the library ------------------------------------------------------------------- */

TEST("a change of what a long write has locked is kept out, one beside it is not")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_open(fs->path, COWDAX_NO_WAIT);
	uint64_t a = rig_create(fs, "/a"), b = rig_create(fs, "/b");
	struct cdx_range range = {0};
	struct cowdax_error error;
	char byte = 'x';

	rig_write(fs, a, 0, 100 * 4096, 'a');
	CHECK_EQUAL(cdx_range_lock(&fs->device, &range, a, 10, 10, false), 0);
	/* While nobody has anything staged a change comes before the long write, as it does in time. */
	CHECK_EQUAL(cowdax_write(other, a, "a", 1, 15 * 4096, NULL, &error), 0);
	CHECK_EQUAL(cdx_stage_open(&fs->stage, &fs->txn, 0, 10 * 4096, fs->scratch, &error), 0);
	CHECK_EQUAL(cdx_stage_append(&fs->stage, &byte, 1, &error), 0);
	CHECK_EQUAL(cowdax_write(other, a, &byte, 1, 15 * 4096, NULL, &error), -EAGAIN);
	CHECK_EQUAL(cowdax_truncate(other, a, 0, NULL, &error), -EAGAIN);
	CHECK_EQUAL(cowdax_fallocate(other, a, COWDAX_FALLOCATE_PUNCH, 19 * 4096, 4096, true, NULL, &error),
		    -EAGAIN);
	CHECK_EQUAL(cowdax_clone(other, "/b", "/a", NULL, &error), -EAGAIN);
	CHECK_EQUAL(cowdax_begin(other, &error), -EAGAIN);
	CHECK_EQUAL(cowdax_write(other, a, &byte, 1, 20 * 4096, NULL, &error), 0);
	CHECK_EQUAL(cowdax_write(other, b, &byte, 1, 15 * 4096, NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone(other, "/a", "/c", NULL, &error), 0);
	rig_expect(other, a, 10 * 4096, 10 * 4096, 'a');
	cdx_range_unlock(&fs->device, &range);
	CHECK_EQUAL(cowdax_write(other, a, &byte, 1, 15 * 4096, NULL, &error), 0);
	cdx_stage_close(&fs->stage);
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

/* Whether a transaction of @fs holds every range; it ends with an abort or a commit. */
static void expect_all_ranges(struct cowdax *fs, struct cowdax *other, uint64_t inode, bool held, bool commit)
{
	int expected = held ? -EAGAIN : 0;
	struct cdx_device *device = &other->device;
	struct cdx_range range = {0};
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(cdx_range_lock(device, &range, inode, 0, 1, false), expected);
	cdx_range_unlock(device, &range);
	CHECK_EQUAL(cdx_range_lock(device, &range, 999, 0, 1, false), expected);
	cdx_range_unlock(device, &range);
	rig_write(fs, inode, 0, 5000, 'a');
	if (commit)
		CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	else
		cowdax_abort(fs);
	CHECK_EQUAL(cdx_range_busy(device, CDX_RANGE_ALL, 0, 0), 0);
}

TEST("R12: a transaction of many operations holds all ranges while anything is staged, so that it never waits for one")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_again(fs);
	uint64_t a = rig_create(fs, "/a");
	struct cowdax_error error;

	for (int commit = 0; commit < 2; commit++) {
		/* Who has staged nothing yet cannot before the transaction ends. */
		expect_all_ranges(fs, other, a, false, commit);
		CHECK_EQUAL(cdx_stage_open(&other->stage, &other->txn, 0, 10 * 4096, other->scratch, &error), 0);
		CHECK_EQUAL(cdx_stage_append(&other->stage, "x", 1, &error), 0);
		expect_all_ranges(fs, other, a, true, commit);
		cdx_stage_close(&other->stage);
		CHECK_EQUAL(cowdax_fallocate(other, a, COWDAX_FALLOCATE_PUNCH, 0, 4096, true, NULL, &error), 0);
	}
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R12: a transaction waits for a long write's range before it starts, or hears that it is held")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_open(fs->path, COWDAX_NO_WAIT);
	uint64_t a = rig_create(fs, "/a");
	struct cdx_range range = {0};
	struct cowdax_error error;

	CHECK_EQUAL(cdx_range_lock(&fs->device, &range, a, 0, 10, false), 0);
	CHECK_EQUAL(cowdax_begin(other, &error), 0);
	cowdax_abort(other);
	CHECK_EQUAL(cdx_stage_open(&fs->stage, &fs->txn, 0, 10 * 4096, fs->scratch, &error), 0);
	CHECK_EQUAL(cdx_stage_append(&fs->stage, "x", 1, &error), 0);
	CHECK_EQUAL(cowdax_begin(other, &error), -EAGAIN);
	/* And has let go of all: others are not kept out by it. */
	CHECK_EQUAL(cowdax_write(fs, a, "b", 1, 20 * 4096, NULL, &error), 0);
	cdx_range_unlock(&fs->device, &range);
	CHECK_EQUAL(cowdax_begin(other, &error), 0);
	cowdax_abort(other);
	cdx_stage_close(&fs->stage);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R11: after any operation, good or bad, a handle holds no range")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 0), *other = rig_again(fs);
	unsigned char *bytes = calloc(1, 16 * MIB);
	uint64_t a = rig_create(fs, "/a");
	struct cowdax_error error;

	CHECK(bytes);
	CHECK_EQUAL(cowdax_write(fs, a, bytes, 3 * MIB, 5, NULL, &error), 0);
	CHECK_EQUAL(cdx_range_busy(&other->device, CDX_RANGE_ALL, 0, 0), 0);
	CHECK_EQUAL(cowdax_write(fs, a, bytes, 16 * MIB, 5, NULL, &error), -ENOSPC);
	CHECK_EQUAL(cdx_range_busy(&other->device, CDX_RANGE_ALL, 0, 0), 0);
	CHECK(cowdax_write(fs, 4711, bytes, 3 * MIB, 5, NULL, &error) < 0);
	CHECK_EQUAL(cdx_range_busy(&other->device, CDX_RANGE_ALL, 0, 0), 0);
	CHECK_EQUAL(cowdax_clone(fs, "/a", "/b", NULL, &error), 0);
	CHECK_EQUAL(cdx_range_busy(&other->device, CDX_RANGE_ALL, 0, 0), 0);
	free(bytes);
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}
