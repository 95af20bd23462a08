// SPDX-License-Identifier: GPL-2.0-or-later
/* A handle as its user has it: whose it is, and what happens when the ground gives way. */
#include "api/image.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

/* Run @fn in a forked child; it returns whether all was well. */
static void in_child(bool (*fn)(struct cowdax *fs), struct cowdax *fs)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(fn(fs) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
}

/* ---- R10 ------------------------------------------------------------------------------- */

static bool refuses_everything(struct cowdax *fs)
{
	struct cowdax_error error;
	struct cowdax_info info;
	struct cowdax_stat st;
	uint64_t inode;
	char byte = 'x';

	return cowdax_lookup(fs, "/a", &inode, &error) == -EPERM && strstr(error.text, "process that opened it") &&
	       cowdax_create(fs, "/b", 0644, &inode, &error) == -EPERM &&
	       cowdax_mkdir(fs, "/d", 0755, false, &error) == -EPERM &&
	       cowdax_remove(fs, "/a", false, &error) == -EPERM && cowdax_stat(fs, 1, &st, &error) == -EPERM &&
	       cowdax_read(fs, 2, &byte, 1, 0, &error) == -EPERM &&
	       cowdax_write(fs, 2, &byte, 1, 0, NULL, &error) == -EPERM &&
	       cowdax_truncate(fs, 2, 0, NULL, &error) == -EPERM &&
	       cowdax_clone(fs, "/a", "/b", NULL, &error) == -EPERM && cowdax_begin(fs, &error) == -EPERM &&
	       cowdax_commit(fs, &error) == -EPERM && cowdax_info(fs, &info, &error) == -EPERM;
}

TEST("R10: a forked child cannot use the handle, not for anything")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 5000, 'a');
	in_child(refuses_everything, fs);
	rig_expect(fs, inode, 0, 5000, 'a');
	rig_write(fs, inode, 0, 5000, 'b');
	rig_check(fs->path);
	cowdax_close(fs);
}

static bool long_write_refused(struct cowdax *fs)
{
	unsigned char *bytes = calloc(1, 4 * MIB);
	struct cowdax_error error;
	int ret = cowdax_write(fs, 2, bytes, 4 * MIB, 0, NULL, &error);

	free(bytes);
	return ret == -EPERM;
}

static ssize_t endless(void *arg, void *buffer, size_t length)
{
	(void)arg;
	memset(buffer, 'e', length);
	return (ssize_t)length;
}

static bool stream_refused(struct cowdax *fs)
{
	struct cowdax_write_request request = {.path = "/a", .length = 8 * MIB, .source = endless};
	struct cowdax_error error;

	return cowdax_write_stream(fs, &request, NULL, &error) == -EPERM;
}

TEST("R10: nor for a long write or a stream")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 0);

	rig_create(fs, "/a");
	in_child(long_write_refused, fs);
	in_child(stream_refused, fs);
	rig_check(fs->path);
	cowdax_close(fs);
}

static bool closes(struct cowdax *fs)
{
	cowdax_close(fs);
	return true;
}

static bool aborts(struct cowdax *fs)
{
	cowdax_abort(fs);
	return true;
}

TEST("R10: what a forked child closes or aborts is its own copy: the parent keeps its locks")
{
	bool (*const ends[])(struct cowdax *) = {aborts, closes};

	for (int i = 0; i < 2; i++) {
		struct cowdax *fs = rig_new(4 * MIB, 0, 0), *other = rig_again(fs);
		uint64_t inode = rig_create(fs, "/a"), where;
		struct cowdax_error error;

		CHECK_EQUAL(cowdax_begin(fs, &error), 0);
		rig_write(fs, inode, 0, 5000, 'a');
		in_child(ends[i], fs);
		CHECK_EQUAL(cdx_device_lock_test(&other->device, other->device.lock.commit, 1, &where), 1);
		CHECK_EQUAL(cowdax_commit(fs, &error), 0);
		CHECK_EQUAL(cdx_txn_view(&fs->txn, &error), 0);
		in_child(ends[i], fs);
		CHECK_EQUAL(cdx_device_lock_test(&other->device, other->device.lock.readers, UINT64_C(1) << 40, &where), 1);
		cdx_txn_release_view(&fs->txn);
		CHECK_EQUAL(cdx_device_lock_test(&other->device, other->device.lock.open, 1, &where), 1);
		rig_check(fs->path);
		cowdax_close(other);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

/* ---- R22 -------------------------------------------------------------------------------- */

TEST("R22: an image that is cut short under a writer or a reader is no want of space: it says so")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *reader = rig_open(fs->path, COWDAX_RDONLY);
	static unsigned char bytes[4 * MIB];
	struct cowdax_error error = {0};
	uint64_t inode = rig_create(fs, "/a");

	CHECK_EQUAL(cowdax_catch_faults(), 0);
	rig_write(fs, inode, 0, 4 * MIB, 'a');
	cowdax_close(reader);
	reader = rig_open(fs->path, COWDAX_RDONLY);
	CHECK_EQUAL(truncate(fs->path, 2 * MIB), 0);
	for (uint64_t length = 4096; length <= sizeof(bytes); length += sizeof(bytes) - 4096) {
		CHECK_EQUAL(cowdax_write(fs, inode, bytes, length, 0, NULL, &error), -EIO);
		CHECK(strstr(error.text, "image: was cut short while in use: Input/output error"));
	}
	CHECK_EQUAL(cowdax_read(reader, inode, bytes, sizeof(bytes), 0, &error), -EIO);
	CHECK(strstr(error.text, "image: was cut short while in use: Input/output error"));
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("R22: a full disk under a sparse image is ENOSPC: the image is as before, and works again with room")
{
	uint64_t inode, again, done = 0;
	unsigned char bytes[50000];
	struct cowdax_error error;
	struct cowdax *fs;
	FILE *ballast;
	int ret;

	rig_small_host(4 * MIB);
	ballast = fopen(unit_path("ballast"), "we");
	CHECK(ballast);
	for (int i = 0; i < 2048; i++)
		CHECK(fwrite("0123456789abcdef", 1, 16, ballast) == 16 && fseek(ballast, 1008, SEEK_CUR) == 0);
	CHECK_EQUAL(fclose(ballast), 0);
	fs = rig_new(64 * MIB, 0, 0);
	inode = rig_create(fs, "/a");
	memset(bytes, 'a', sizeof(bytes));
	while ((ret = cowdax_write(fs, inode, bytes, sizeof(bytes), done, NULL, &error)) == 0)
		done += sizeof(bytes);
	CHECK_EQUAL(ret, -ENOSPC);
	CHECK(strstr(error.text, "image: the filesystem that holds the image is full: No space left"));
	CHECK(done >= MIB / 2 && done < 4 * MIB);
	rig_expect(fs, inode, 0, done, 'a');
	rig_check(fs->path);
	CHECK_EQUAL(unlink(unit_path("ballast")), 0);
	again = done;
	while (cowdax_write(fs, inode, bytes, sizeof(bytes), done, NULL, &error) == 0)
		done += sizeof(bytes);
	CHECK(done > again + MIB);
	rig_expect(fs, inode, 0, done, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R22: a long write onto a full disk leaves nothing staged")
{
	unsigned char *bytes = calloc(1, 8 * MIB);
	struct cowdax_error error;
	struct cowdax *fs;
	uint64_t inode;

	CHECK(bytes);
	rig_small_host(4 * MIB);
	fs = rig_new(64 * MIB, 0, 0);
	inode = rig_create(fs, "/a");
	rig_write(fs, inode, 0, 10000, 'a');
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, 8 * MIB, 0, NULL, &error), -ENOSPC);
	rig_expect(fs, inode, 0, 10000, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
	free(bytes);
}

static const struct cdx_pmem_ops *sound;

/* A bulk copy meets bad memory: what the guard around it leaves behind. */
static void copy_to_bad_memory(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	sound->copy(pm, offset, bytes, length);
	if (length > 65536)
		pm->fault = -EIO;
}

TEST("R22: a fault in a long write's bulk copy fails the write, though no fence follows it at once")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error = {0};
	unsigned char *bytes = calloc(1, 2 * MIB);
	struct cdx_pmem_ops bad;
	struct cowdax_stat st;

	CHECK(bytes);
	sound = fs->device.pm.ops;
	bad = *sound;
	bad.copy = copy_to_bad_memory;
	fs->device.pm.ops = &bad;
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, 2 * MIB, 0, NULL, &error), -EIO);
	fs->device.pm.ops = sound;
	CHECK_EQUAL(cowdax_stat(fs, inode, &st, &error), 0);
	CHECK_EQUAL(st.size, 0);
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, 2 * MIB, 0, NULL, &error), 0);
	rig_check(fs->path);
	cowdax_close(fs);
	free(bytes);
}

TEST("R22: with faults caught, an image truncated under its mapping is EIO, and the process lives")
{
	const char *path = rig_make("image", 4 * MIB, 0, 0);
	struct cowdax *fs = rig_open(path, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;
	unsigned char bytes[5000];
	struct stat st;

	rig_write(fs, inode, 0, 500000, 'a');
	CHECK_EQUAL(cowdax_catch_faults(), 0);
	CHECK_EQUAL(truncate(fs->path, 65536), 0);
	CHECK(cowdax_read(fs, inode, bytes, sizeof(bytes), 400000, &error) == -EIO);
	CHECK(cowdax_write(fs, inode, "x", 1, 400001, NULL, &error) < 0);
	cowdax_close(fs);
	/* Nor does it grow again around what it has lost. */
	CHECK_EQUAL(stat(path, &st), 0);
	CHECK_EQUAL(st.st_size, 65536);
}

/* ---- second chances ------------------------------------------------------------------------- */

struct counted { unsigned int steps, restarts; };

static void count_step(void *arg, const struct cowdax_step *step)
{
	struct counted *counted = arg;

	if (step) {
		counted->steps++;
		return;
	}
	counted->steps = 0;
	counted->restarts++;
}

TEST("an operation that starts anew after room was made counts, and tells, nothing twice")
{
	struct cowdax *fs = rig_new(6 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a"), done = 0;
	unsigned char *bytes = calloc(1, MIB);
	struct counted counted = {0};
	struct cowdax_result result = {.step = count_step, .step_arg = &counted};
	struct cowdax_error error;

	CHECK(bytes);
	while (cowdax_write(fs, inode, bytes, 50000, done, NULL, &error) == 0)
		done += 50000;
	rig_remove(fs, "/a");
	inode = rig_create(fs, "/b");
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, MIB, 100, &result, &error), 0);
	CHECK_EQUAL(counted.restarts, 1);
	CHECK_EQUAL(result.bytes_written, MIB);
	CHECK(counted.steps >= 3);
	free(bytes);
	rig_check(fs->path);
	cowdax_close(fs);
}

static void expect_result(const struct cowdax_result *result, uint64_t inode, uint64_t offset, uint64_t length)
{
	CHECK_EQUAL(result->inode, inode);
	CHECK_EQUAL(result->offset, offset);
	CHECK_EQUAL(result->length, length);
}

static ssize_t give_all(void *arg, void *buffer, size_t length)
{
	uint64_t *left = arg, part = *left < length ? *left : length;

	memset(buffer, 's', part);
	*left -= part;
	return (ssize_t)part;
}

/* Append @length bytes to /a, as one stream. */
static void append_stream(struct cowdax *fs, uint64_t length, struct cowdax_result *result)
{
	struct cowdax_write_request request = {
		.path = "/a", .append = true, .length = COWDAX_TO_END, .source = give_all, .source_arg = &length,
	};

	*result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_write_stream(fs, &request, result, NULL), 0);
}

TEST("a long stream that ends before the length it was to have is ENODATA, and nothing has changed")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 0);
	uint64_t a = rig_create(fs, "/a"), left = 5 * MIB, free_blocks = rig_free_blocks(fs);
	struct cowdax_write_request request = {
		.path = "/a", .truncate = true, .length = 6 * MIB, .source = give_all, .source_arg = &left,
	};
	struct cowdax_stat st;

	CHECK_EQUAL(cowdax_write_stream(fs, &request, NULL, NULL), -ENODATA);
	CHECK_EQUAL(left, 0);
	CHECK_EQUAL(cowdax_stat(fs, a, &st, NULL), 0);
	CHECK_EQUAL(st.size, 0);
	rig_drain(fs);
	CHECK_EQUAL(rig_free_blocks(fs), free_blocks);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a result says what was changed: whose, from where, and how much")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 0);
	uint64_t a = rig_create(fs, "/a"), b = rig_create(fs, "/b");
	struct cowdax_result result = {0};
	char *bytes = calloc(1, 2 * MIB);

	CHECK(bytes);
	CHECK_EQUAL(cowdax_write(fs, b, "bytes", 5, 70, &result, NULL), 0);
	expect_result(&result, b, 70, 5);
	result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_write(fs, a, bytes, 2 * MIB, 99, &result, NULL), 0);
	expect_result(&result, a, 99, 2 * MIB);
	append_stream(fs, 10, &result);
	expect_result(&result, a, 99 + 2 * MIB, 10);
	append_stream(fs, 6 * MIB, &result);
	expect_result(&result, a, 109 + 2 * MIB, 6 * MIB);
	result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_fallocate(fs, a, COWDAX_FALLOCATE_PUNCH, 5000, 100, true, &result, NULL), 0);
	expect_result(&result, a, 5000, 100);
	result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_clone_range(fs, "/a", 4096, "/b", 8192, 4096, &result, NULL), 0);
	expect_result(&result, b, 8192, 4096);
	result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_truncate(fs, a, 77, &result, NULL), 0);
	expect_result(&result, a, 0, 77);
	result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_clone(fs, "/b", "/a", &result, NULL), 0);
	expect_result(&result, a, 0, 12288);
	free(bytes);
	cowdax_close(fs);
}

TEST("a transaction in which something failed cannot be committed")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	uint64_t inode;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	rig_create(fs, "/a");
	CHECK_EQUAL(cowdax_create(fs, "/a", 0644, &inode, &error), -EEXIST);
	CHECK_EQUAL(cowdax_commit(fs, &error), -ECANCELED);
	CHECK_EQUAL(cowdax_lookup(fs, "/a", &inode, &error), -ENOENT);
	rig_create(fs, "/a");
	rig_check(fs->path);
	cowdax_close(fs);
}

static int count_ready(void *arg, const struct cowdax_result *result)
{
	(void)result;
	(*(int *)arg)++;
	return 0;
}

TEST("what is about to be committed is announced once; what has failed is not, and is not committed")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a"), transaction = fs->txn.committed.transaction;
	struct cowdax_error error;
	int ready = 0;
	struct cowdax_result result = {.ready = count_ready, .step_arg = &ready};

	CHECK_EQUAL(cowdax_write(fs, COWDAX_ROOT_INODE, "x", 1, 0, &result, &error), -EISDIR);
	CHECK_EQUAL(cowdax_truncate(fs, inode + 1, 5, &result, &error), -ENOENT);
	CHECK_EQUAL(ready, 0);
	CHECK_EQUAL(fs->txn.committed.transaction, transaction);
	CHECK_EQUAL(cowdax_write(fs, inode, "x", 1, 0, &result, &error), 0);
	CHECK_EQUAL(ready, 1);
	CHECK_EQUAL(fs->txn.committed.transaction, transaction + 1);
	rig_check(fs->path);
	cowdax_close(fs);
}
