// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams: where an append begins, what others may do meanwhile, and what is told when one fails. */
#include <errno.h>
#include <pthread.h>

#include "rig.h"

#define LONG (9 * MIB + 77)

static int written_under_lock;	/* calls that copy bytes inside a transaction */

int __real_cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
			  uint64_t offset, void *scratch, struct cowdax_result *result);
int __wrap_cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
			  uint64_t offset, void *scratch, struct cowdax_result *result);
int __wrap_cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
			  uint64_t offset, void *scratch, struct cowdax_result *result)
{
	written_under_lock++;
	return __real_cdx_file_write(txn, inode, bytes, length, offset, scratch, result);
}

struct stream {
	const char *path;
	uint64_t left;
	int byte;
	uint64_t hook_at;		/* bytes left when somebody else does something, once */
	void (*hook)(const char *path);
	int fails;			/* at the end */
	int calls;
};

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct stream *stream = arg;

	stream->calls++;
	if (stream->hook && stream->left <= stream->hook_at) {
		void (*hook)(const char *path) = stream->hook;

		stream->hook = NULL;
		hook(stream->path);
	}
	if (!stream->left && stream->fails)
		return stream->fails;
	if (length > MIB)
		length = MIB;
	if (length > stream->left)
		length = stream->left;
	memset(buffer, stream->byte, length);
	stream->left -= length;
	return (ssize_t)length;
}

static int append(struct cowdax *fs, struct stream *stream, struct cowdax_result *result,
		  struct cowdax_error *error)
{
	struct cowdax_write_request request = {
		.path = "/a", .append = true, .length = COWDAX_TO_END, .source = give, .source_arg = stream,
	};

	return cowdax_write_stream(fs, &request, result, error);
}

static void others_work(const char *path)
{
	struct cowdax *fs = rig_open(path, COWDAX_NO_WAIT);
	struct cowdax_error error;
	uint64_t inode = rig_lookup(fs, "/a");

	CHECK_EQUAL(cowdax_mkdir(fs, "/made-meanwhile", 0755, false, &error), 0);
	CHECK_EQUAL(cowdax_write(fs, inode, "before", 6, 0, NULL, &error), 0);
	CHECK_EQUAL(cowdax_write(fs, inode, "behind", 6, 5000, NULL, &error), -EAGAIN);
	CHECK_EQUAL(cowdax_truncate(fs, inode, 0, NULL, &error), -EAGAIN);
	cowdax_close(fs);
}

TEST("while a long append waits for its source, others make directories and write before its range at once")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.path = fs->path, .left = LONG, .byte = 'a', .hook_at = 2 * MIB, .hook = others_work};
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	rig_write(fs, inode, 0, 5000, '0');
	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	CHECK(!stream.hook);
	rig_expect(fs, inode, 6, 4994, '0');
	rig_expect(fs, inode, 5000, LONG, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

static void long_append(const char *path)
{
	struct stream stream = {.left = LONG, .byte = 'b'};
	struct cowdax *fs = rig_open(path, 0);
	struct cowdax_error error;

	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	cowdax_close(fs);
}

TEST("an append whose file grows before it has its range goes behind, and copies nothing under the commit lock")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.path = fs->path, .left = LONG, .byte = 'a', .hook_at = LONG, .hook = long_append};
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_result result = {0};
	struct cowdax_error error;

	written_under_lock = 0;
	CHECK_EQUAL(append(fs, &stream, &result, &error), 0);
	CHECK_EQUAL(written_under_lock, 0);
	CHECK_EQUAL(result.offset, LONG);
	CHECK_EQUAL(result.length, LONG);
	rig_expect(fs, inode, 0, LONG, 'b');
	rig_expect(fs, inode, LONG, LONG, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

static void write_behind(const char *path)
{
	struct cowdax *fs = rig_open(path, COWDAX_NO_WAIT);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_write(fs, rig_lookup(fs, "/a"), "behind", 6, 5000, NULL, &error), -EAGAIN);
	cowdax_close(fs);
}

static struct stream *cut_stream;

static void cut_short(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_truncate(fs, rig_lookup(fs, "/a"), 100, NULL, &error), 0);
	cowdax_close(fs);
	cut_stream->hook = write_behind;
	cut_stream->hook_at = MIB;
}

TEST("an append whose file is cut short before it has its range goes to the new end, and has the range from there on")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.path = fs->path, .left = LONG, .byte = 'a', .hook_at = LONG, .hook = cut_short};
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	cut_stream = &stream;
	rig_write(fs, inode, 0, 50000, '0');
	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	CHECK(!stream.hook);
	rig_expect(fs, inode, 0, 100, '0');
	rig_expect(fs, inode, 100, LONG, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

static void remove_it(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);

	rig_remove(fs, "/a");
	cowdax_close(fs);
}

TEST("an append whose file is removed before it has its range makes it anew")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.path = fs->path, .left = LONG, .byte = 'a', .hook_at = LONG, .hook = remove_it};
	struct cowdax_error error;

	rig_write(fs, rig_create(fs, "/a"), 0, 5000, '0');
	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	rig_expect(fs, rig_lookup(fs, "/a"), 0, LONG, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

static void make_it(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);

	rig_write(fs, rig_create(fs, "/a"), 0, 5000, '0');
	cowdax_close(fs);
}

TEST("R9: an append that must go elsewhere than it was staged, or nowhere, leaves nothing in its lane")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.path = fs->path, .left = LONG, .byte = 'a', .hook_at = MIB, .hook = make_it};
	struct cowdax_write_request request = {
		.path = "/a", .append = true, .no_create = true, .length = COWDAX_TO_END, .source = give,
		.source_arg = &stream,
	};
	struct cowdax_error error;

	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	CHECK_EQUAL(fs->txn.committed.staged_blocks, 0);
	CHECK_EQUAL(fs->txn.committed.staging.address, 0);
	rig_expect(fs, rig_lookup(fs, "/a"), 0, 5000, '0');
	rig_expect(fs, rig_lookup(fs, "/a"), 5000, LONG, 'a');
	stream = (struct stream){.path = fs->path, .left = LONG, .byte = 'b', .hook_at = MIB, .hook = remove_it};
	CHECK_EQUAL(cowdax_write_stream(fs, &request, NULL, &error), -ENOENT);
	CHECK_EQUAL(fs->txn.committed.staged_blocks, 0);
	CHECK_EQUAL(fs->txn.committed.staging.address, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

static pthread_t thread;

static void *second_append(void *arg)
{
	long_append(arg);
	return NULL;
}

static void start_second(const char *path)
{
	CHECK_EQUAL(pthread_create(&thread, NULL, second_append, (void *)(uintptr_t)path), 0);
}

TEST("two long appends at once land whole, one behind the other")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.path = fs->path, .left = LONG, .byte = 'a', .hook_at = 3 * MIB, .hook = start_second};
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	rig_write(fs, inode, 0, 10, '0');
	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	CHECK_EQUAL(pthread_join(thread, NULL), 0);
	rig_expect(fs, inode, 10, LONG, 'a');
	rig_expect(fs, inode, 10 + LONG, LONG, 'b');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a long write on an image open for reading is EROFS, before a byte of the source is taken")
{
	const char *path = rig_make("image", 64 * MIB, 0, 0);
	struct cowdax *fs = rig_open(path, 0);
	struct stream stream = {.left = LONG, .byte = 'a'};
	unsigned char *bytes = calloc(1, LONG);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	cowdax_close(fs);
	fs = rig_open(path, COWDAX_RDONLY);
	CHECK_EQUAL(append(fs, &stream, NULL, &error), -EROFS);
	CHECK(strstr(error.text, "open for reading only"));
	CHECK_EQUAL(stream.calls, 0);
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, LONG, 0, NULL, &error), -EROFS);
	CHECK(strstr(error.text, "open for reading only"));
	free(bytes);
	cowdax_close(fs);
}

TEST("a stream in chunks that fails tells how much of it is committed")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	struct stream stream = {.left = 5 * MIB + MIB / 2, .byte = 'a', .fails = -EIO};
	struct cowdax_write_request request = {
		.path = "/a", .offset = 100, .length = COWDAX_TO_END, .chunk = 2 * MIB, .source = give,
		.source_arg = &stream,
	};
	struct cowdax_result result = {0};
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_write_stream(fs, &request, &result, &error), -EIO);
	CHECK_EQUAL(result.bytes_committed, 4 * MIB);
	rig_expect(fs, rig_lookup(fs, "/a"), 100, 4 * MIB, 'a');
	/* All or nothing: it tells of nothing. */
	stream = (struct stream){.left = 5 * MIB, .byte = 'b', .fails = -EIO};
	request.chunk = 0;
	result = (struct cowdax_result){0};
	CHECK_EQUAL(cowdax_write_stream(fs, &request, &result, &error), -EIO);
	CHECK_EQUAL(result.bytes_committed, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a short stream that finds the image full at first has all its bytes when room has been made")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct stream stream = {.left = 3 * MIB, .byte = 'a'};
	struct cowdax_error error;
	uint64_t inode;

	rig_write(fs, rig_create(fs, "/gone"), 0, 13 * MIB, 'g');
	rig_remove(fs, "/gone");
	CHECK_EQUAL(append(fs, &stream, NULL, &error), 0);
	inode = rig_lookup(fs, "/a");
	rig_expect(fs, inode, 0, 3 * MIB, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("sharing from the very end of a file is nothing, as on Linux, wherever that end is")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	rig_write(fs, inode, 0, 5000, 'a');
	CHECK_EQUAL(cowdax_clone_range(fs, "/a", 5000, "/b", 0, COWDAX_TO_END, NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone_range(fs, "/a", 5000, "/b", 0, 0, NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone_range(fs, "/a", 5001, "/b", 0, 0, NULL, &error), -EINVAL);
	CHECK_EQUAL(cowdax_clone_range(fs, "/a", 4000, "/b", 0, 0, NULL, &error), -EINVAL);
	rig_check(fs->path);
	cowdax_close(fs);
}
