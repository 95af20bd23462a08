// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams with holes (cowdax_hole_fn): the file has holes there, in whole blocks, whatever was there before. */
#include <errno.h>

#include "rig.h"

#define BLOCK 4096
#define TIB (UINT64_C(1) << 40)

/* Runs in turn of bytes and of a hole, until one is 0 twice. */
struct sparse {
	const char *path;
	const uint64_t *run;		/* ends with two 0; the first is of bytes */
	uint64_t left;
	bool in_hole, started;
	int fails;			/* at the end */
	int hole_fails;
	unsigned int calls;		/* of either */
	unsigned int hook_after;	/* calls */
	void (*hook)(const char *path);	/* once, when bytes are asked for */
};

static bool next_run(struct sparse *sparse)
{
	while (!sparse->left) {
		if (sparse->started && !sparse->run[0] && !sparse->run[1])
			return false;
		if (sparse->started) {
			sparse->run++;
			sparse->in_hole = !sparse->in_hole;
		}
		sparse->started = true;
		sparse->left = *sparse->run;
		if (!sparse->left && !sparse->run[1])
			return false;
	}
	return true;
}

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct sparse *sparse = arg;

	sparse->calls++;
	if (sparse->hook && sparse->calls > sparse->hook_after) {
		void (*hook)(const char *path) = sparse->hook;

		sparse->hook = NULL;
		hook(sparse->path);
	}
	if (!next_run(sparse))
		return sparse->fails;
	CHECK(!sparse->in_hole);
	if (length > sparse->left)
		length = (size_t)sparse->left;
	memset(buffer, 's', length);
	sparse->left -= length;
	return (ssize_t)length;
}

static int64_t pass(void *arg, uint64_t length)
{
	struct sparse *sparse = arg;

	sparse->calls++;
	if (sparse->hole_fails)
		return sparse->hole_fails;
	if (!next_run(sparse) || !sparse->in_hole)
		return 0;
	if (length > sparse->left)
		length = sparse->left;
	sparse->left -= length;
	return (int64_t)length;
}

static int write_sparse(struct cowdax *fs, struct sparse *sparse, struct cowdax_write_request request,
			struct cowdax_result *result)
{
	struct cowdax_error error;

	request.path = "/a";
	request.length = request.length ? request.length : COWDAX_TO_END;
	request.source = give;
	request.hole = pass;
	request.source_arg = sparse;
	return cowdax_write_stream(fs, &request, result, &error);
}

static uint64_t blocks_of(struct cowdax *fs, uint64_t inode)
{
	struct cowdax_error error;
	struct cowdax_stat st;

	CHECK_EQUAL(cowdax_stat_blocks(fs, inode, &st, &error), 0);
	return st.blocks;
}

static uint64_t size_of(struct cowdax *fs, uint64_t inode)
{
	struct cowdax_error error;
	struct cowdax_stat st;

	CHECK_EQUAL(cowdax_stat(fs, inode, &st, &error), 0);
	return st.size;
}

TEST("a hole of a TiB takes as many calls as one of a block, and the file has no blocks there")
{
	static const uint64_t run[] = {3 * BLOCK, TIB, 2 * BLOCK, TIB + 1, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run};
	struct cowdax_result result = {0};
	uint64_t inode;

	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){0}, &result), 0);
	CHECK(sparse.calls < 20);
	inode = rig_lookup(fs, "/a");
	CHECK_EQUAL(size_of(fs, inode), 2 * TIB + 5 * BLOCK + 1);
	CHECK_EQUAL(result.length, 2 * TIB + 5 * BLOCK + 1);
	CHECK_EQUAL(result.bytes_written, 5 * BLOCK);
	CHECK_EQUAL(blocks_of(fs, inode), 5);
	rig_expect(fs, inode, 0, 3 * BLOCK, 's');
	rig_expect(fs, inode, 3 * BLOCK, MIB, 0);
	rig_expect(fs, inode, TIB + 3 * BLOCK, 2 * BLOCK, 's');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a hole takes the place of what was there: whole blocks are given up, parts of blocks read zero")
{
	static const uint64_t run[] = {0, 3 * BLOCK, 100, 2 * BLOCK, 100, 5 * BLOCK, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run};
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 20 * BLOCK, 'o');
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.offset = 1000}, NULL), 0);
	rig_expect(fs, inode, 0, 1000, 'o');
	rig_expect(fs, inode, 1000, 3 * BLOCK, 0);
	rig_expect(fs, inode, 1000 + 3 * BLOCK, 100, 's');
	rig_expect(fs, inode, 1100 + 3 * BLOCK, 2 * BLOCK, 0);
	rig_expect(fs, inode, 1100 + 5 * BLOCK, 100, 's');
	rig_expect(fs, inode, 1200 + 5 * BLOCK, 5 * BLOCK, 0);
	rig_expect(fs, inode, 1200 + 10 * BLOCK, 10 * BLOCK - 1200, 'o');
	/* Blocks 1 and 2, 4, and 6 to 9 are covered by nothing else. */
	CHECK_EQUAL(blocks_of(fs, inode), 20 - 2 - 1 - 4);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a block that has any byte of the source is one write, and never shows what was between its bytes before")
{
	static const uint64_t run[] = {10, 20, 10, 30, 10, 4 * BLOCK, 10, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run};
	struct cowdax_result result = {0};
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 8 * BLOCK, 'o');
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.offset = 50}, &result), 0);
	rig_expect(fs, inode, 50, 10, 's');
	rig_expect(fs, inode, 60, 20, 0);
	rig_expect(fs, inode, 80, 10, 's');
	rig_expect(fs, inode, 120, 10, 's');
	rig_expect(fs, inode, 130, 4 * BLOCK, 0);
	rig_expect(fs, inode, 130 + 4 * BLOCK, 10, 's');
	rig_expect(fs, inode, 140 + 4 * BLOCK, 4 * BLOCK - 140, 'o');
	CHECK_EQUAL(blocks_of(fs, inode), 8 - 3);
	CHECK_EQUAL(result.length, 90 + 4 * BLOCK);
	rig_check(fs->path);
	cowdax_close(fs);
}

static const uint64_t long_run[] = {
	0, 5 * BLOCK + 7, 5 * MIB + 3, 3 * MIB, 11, 2 * MIB + 5, 6 * MIB, 77 * BLOCK + 1, 0, 0,
};
#define LONG_LENGTH (16 * MIB + 82 * BLOCK + 27)
#define LONG_BYTES (11 * MIB + 14)

static void expect_long(struct cowdax *fs, uint64_t inode, uint64_t offset)
{
	for (unsigned int i = 0; long_run[i] || long_run[i + 1]; i++) {
		rig_expect(fs, inode, offset, long_run[i], i % 2 ? 0 : 's');
		offset += long_run[i];
	}
}

TEST("a long write keeps holes over what was there, at an offset that is no multiple of a block")
{
	struct cowdax *fs = rig_new(128 * MIB, 0, 0);
	struct sparse sparse = {.run = long_run};
	struct cowdax_result result = {0};
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 20 * MIB, 'o');
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.offset = 100}, &result), 0);
	rig_expect(fs, inode, 0, 100, 'o');
	expect_long(fs, inode, 100);
	rig_expect(fs, inode, 100 + LONG_LENGTH, 20 * MIB - 100 - LONG_LENGTH, 'o');
	CHECK_EQUAL(result.length, LONG_LENGTH);
	CHECK(result.bytes_written >= LONG_BYTES && result.bytes_written < LONG_BYTES + 6 * BLOCK);
	CHECK(blocks_of(fs, inode) <= (20 * MIB - LONG_LENGTH + LONG_BYTES) / BLOCK + 8);
	rig_check(fs->path);
	cowdax_close(fs);
}

static bool staged;

static void check_staged(const char *path)
{
	struct cowdax *fs = rig_open(path, COWDAX_RDONLY);

	staged = fs->txn.record.staged_blocks > 0;
	cowdax_close(fs);
	rig_check(path);
}

TEST("the checker has nothing to say about a lane with holes in what is staged")
{
	struct cowdax *fs = rig_new(128 * MIB, 0, 0);
	struct sparse sparse = {.run = long_run, .path = fs->path, .hook = check_staged, .hook_after = 4};
	uint64_t inode = rig_create(fs, "/a");

	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){0}, NULL), 0);
	CHECK(staged);
	expect_long(fs, inode, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a clone that is written to with holes gives up its part of the blocks, and the original keeps them")
{
	struct cowdax *fs = rig_new(128 * MIB, 0, 0);
	struct sparse sparse = {.run = long_run};
	uint64_t original = rig_create(fs, "/original"), inode;
	struct cowdax_error error;

	rig_write(fs, original, 0, 20 * MIB, 'o');
	CHECK_EQUAL(cowdax_clone(fs, "/original", "/a", NULL, &error), 0);
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.truncate = true}, NULL), 0);
	inode = rig_lookup(fs, "/a");
	expect_long(fs, inode, 0);
	CHECK_EQUAL(size_of(fs, inode), LONG_LENGTH);
	CHECK(blocks_of(fs, inode) <= LONG_BYTES / BLOCK + 8);
	rig_expect(fs, original, 0, 20 * MIB, 'o');
	rig_check(fs->path);
	cowdax_close(fs);
}

static void grow_it(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);

	rig_write(fs, rig_lookup(fs, "/a"), 5000, 3333, '1');
	cowdax_close(fs);
}

TEST("a short append whose file grows while the source is read has its holes at the new end")
{
	static const uint64_t run[] = {100, 10 * BLOCK, 100, 9 * BLOCK, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run, .path = fs->path, .hook = grow_it};
	struct cowdax_result result = {0};
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 5000, '0');
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.append = true}, &result), 0);
	rig_expect(fs, inode, 5000, 3333, '1');
	rig_expect(fs, inode, 8333, 100, 's');
	rig_expect(fs, inode, 8433, 10 * BLOCK, 0);
	rig_expect(fs, inode, 8433 + 10 * BLOCK, 100, 's');
	CHECK_EQUAL(size_of(fs, inode), 8533 + 19 * BLOCK);
	CHECK_EQUAL(result.offset, 8333);
	CHECK_EQUAL(result.length, 200 + 19 * BLOCK);
	rig_check(fs->path);
	cowdax_close(fs);
}

static void remove_it(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);

	rig_remove(fs, "/a");
	cowdax_close(fs);
}

/* What was staged for one place is wanted at another. */
static void recreate_it(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);

	rig_write(fs, rig_create(fs, "/a"), 0, 12345, '1');
	cowdax_close(fs);
}

TEST("a long append that lands elsewhere than it was staged for keeps its holes")
{
	static const uint64_t run[] = {9 * MIB, 3 * MIB, 100, 2 * MIB, 0, 0};
	struct cowdax *fs = rig_new(128 * MIB, 0, 0);
	struct sparse sparse = {.run = run, .path = fs->path, .hook = recreate_it};
	struct cowdax_result result = {0};
	uint64_t inode;

	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.append = true}, &result), 0);
	inode = rig_lookup(fs, "/a");
	rig_expect(fs, inode, 0, 12345, '1');
	rig_expect(fs, inode, 12345, 9 * MIB, 's');
	rig_expect(fs, inode, 12345 + 9 * MIB, 3 * MIB, 0);
	rig_expect(fs, inode, 12345 + 12 * MIB, 100, 's');
	rig_expect(fs, inode, 12445 + 12 * MIB, 2 * MIB, 0);
	CHECK_EQUAL(size_of(fs, inode), 12445 + 14 * MIB);
	CHECK(blocks_of(fs, inode) <= 9 * MIB / BLOCK + 8);
	CHECK_EQUAL(result.offset, 12345);
	CHECK_EQUAL(result.length, 14 * MIB + 100);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a file that is removed while a stream with holes is read is made anew with them")
{
	static const uint64_t run[] = {9 * MIB, 3 * MIB, 100, 0, 0};
	struct cowdax *fs = rig_new(128 * MIB, 0, 0);
	struct sparse sparse = {.run = run, .path = fs->path, .hook = remove_it};
	uint64_t inode;

	rig_write(fs, rig_create(fs, "/a"), 0, 5000, '0');
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.append = true}, NULL), 0);
	inode = rig_lookup(fs, "/a");
	CHECK_EQUAL(size_of(fs, inode), 12 * MIB + 100);
	rig_expect(fs, inode, 9 * MIB, 3 * MIB, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a chunk is of the bytes that the source gives: a hole of a TiB is no million of transactions")
{
	static const uint64_t run[] = {5000, TIB, 5000, TIB, 7, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run};
	struct cowdax_result result = {0};
	uint64_t before = cowdax_transaction(fs), inode;

	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.chunk = 2000}, &result), 0);
	CHECK(cowdax_transaction(fs) - before <= 8);
	inode = rig_lookup(fs, "/a");
	CHECK_EQUAL(size_of(fs, inode), 2 * TIB + 10007);
	CHECK_EQUAL(result.bytes_committed, 2 * TIB + 10007);
	CHECK_EQUAL(result.length, 2 * TIB + 10007);
	rig_expect(fs, inode, 0, 5000, 's');
	rig_expect(fs, inode, 5000, BLOCK, 0);
	rig_expect(fs, inode, TIB + 5000, 5000, 's');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("the length that was asked for counts holes, and a source that ends in one before it changes nothing")
{
	static const uint64_t run[] = {100, 10 * BLOCK, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run};
	uint64_t inode = rig_create(fs, "/a"), before;

	rig_write(fs, inode, 0, 3 * BLOCK, 'o');
	before = cowdax_transaction(fs);
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.length = 101 + 10 * BLOCK}, NULL),
		    -ENODATA);
	CHECK_EQUAL(cowdax_transaction(fs), before);
	sparse = (struct sparse){.run = run};
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.length = BLOCK + 50}, NULL), 0);
	rig_expect(fs, inode, 0, 100, 's');
	rig_expect(fs, inode, 100, BLOCK - 50, 0);
	rig_expect(fs, inode, BLOCK + 50, 2 * BLOCK - 50, 'o');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a source that fails at a hole or behind one changes nothing, short or long")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a"), free;
	struct sparse sparse = {.run = long_run, .hole_fails = -EIO};

	rig_write(fs, inode, 0, 3 * BLOCK, 'o');
	rig_drain(fs);
	free = rig_free_blocks(fs);
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){0}, NULL), -EIO);
	sparse = (struct sparse){.run = long_run, .fails = -ECONNRESET};
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){0}, NULL), -ECONNRESET);
	sparse = (struct sparse){.run = long_run + 4, .fails = -ECONNRESET};
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){0}, NULL), -ECONNRESET);
	rig_expect(fs, inode, 0, 3 * BLOCK, 'o');
	CHECK_EQUAL(size_of(fs, inode), 3 * BLOCK);
	rig_drain(fs);
	CHECK_EQUAL(rig_free_blocks(fs), free);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a hole that reaches past the longest file is EFBIG")
{
	static const uint64_t run[] = {100, UINT64_C(1) << 62, 0, UINT64_C(1) << 62, 5, 0, 0};
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct sparse sparse = {.run = run};

	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.offset = BLOCK}, NULL), -EFBIG);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("in a transaction of the caller's a stream of many buffers keeps its holes, and goes with an abort")
{
	struct cowdax *fs = rig_new(128 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct sparse sparse = {.run = long_run};
	struct cowdax_error error;

	rig_write(fs, inode, 0, 20 * MIB, 'o');
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.offset = 4000}, NULL), 0);
	expect_long(fs, inode, 4000);
	cowdax_abort(fs);
	rig_expect(fs, inode, 0, 20 * MIB, 'o');
	sparse = (struct sparse){.run = long_run};
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){.offset = 4000}, NULL), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_expect(fs, inode, 0, 4000, 'o');
	expect_long(fs, inode, 4000);
	CHECK(blocks_of(fs, inode) <= (20 * MIB - LONG_LENGTH + LONG_BYTES) / BLOCK + 8);
	rig_check(fs->path);
	cowdax_close(fs);
}

#define MANY 3000

TEST("thousands of holes in one stream are kept, each of them")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	static uint64_t run[2 * MANY + 2];
	struct sparse sparse = {.run = run};
	uint64_t inode;

	for (unsigned int i = 0; i < 2 * MANY; i++)
		run[i] = BLOCK;
	CHECK_EQUAL(write_sparse(fs, &sparse, (struct cowdax_write_request){0}, NULL), 0);
	inode = rig_lookup(fs, "/a");
	CHECK_EQUAL(blocks_of(fs, inode), MANY);
	CHECK_EQUAL(size_of(fs, inode), 2 * MANY * BLOCK);
	for (uint64_t i = 0; i < 2 * MANY; i += 97)
		rig_expect(fs, inode, i * BLOCK, BLOCK, i % 2 ? 0 : 's');
	rig_check(fs->path);
	cowdax_close(fs);
}
