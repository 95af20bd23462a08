// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the locks of others cost a small write: each call about one walks all there
 * are, in the kernel.  The calls are counted (linked with --wrap=fcntl).
 */
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "rig.h"
#include "txn/drain.h"

#define BLOCK UINT64_C(4096)
#define FEW 8			/* calls of a small write, whatever others hold */
#define LANES 128
#define READERS 200

static unsigned int calls;

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK)
		calls++;
	return __real_fcntl(fd, command, arg);
}

static void write_in_few_calls(struct cowdax *fs, uint64_t inode)
{
	calls = 0;
	rig_write(fs, inode, 0, BLOCK, 'x');
	if (calls > FEW)
		unit_note("%u calls", calls);
	CHECK(calls > 0 && calls <= FEW);
}

/* ---- lanes ------------------------------------------------------------------------- */

/* A handle with one block staged. */
static struct cowdax *stager(const struct cowdax *fs)
{
	struct cowdax *other = rig_again(fs);
	struct cowdax_error error = {0};
	unsigned char block[BLOCK];

	memset(block, 's', sizeof(block));
	CHECK_EQUAL(cdx_stage_open(&other->stage, &other->txn, 0, 0, other->scratch, &error), 0);
	CHECK_EQUAL(cdx_stage_append(&other->stage, block, sizeof(block), &error), 0);
	return other;
}

/* As if its process had been killed. */
static void die(struct cowdax *fs)
{
	fs->stage.open = false;
	cowdax_close(fs);
}

static void close_all(struct cowdax **handles, int count)
{
	for (int i = 0; i < count; i++)
		cowdax_close(handles[i]);
}

static uint64_t count_staged(struct cowdax *fs)
{
	struct cdx_key key = {{0}};
	struct cdx_cursor cursor;
	uint64_t count = 0;
	int ret;

	CHECK_EQUAL(cdx_txn_view(&fs->txn, NULL), 0);
	ret = cdx_cursor_seek(&cursor, &fs->txn.staging, &key);
	if (ret > 0 && !cdx_cursor_at_item(&cursor))
		ret = cdx_cursor_next(&cursor);
	for (; ret > 0; ret = cdx_cursor_next(&cursor))
		count++;
	cdx_cursor_end(&cursor);
	cdx_txn_release_view(&fs->txn);
	CHECK_EQUAL(ret, 0);
	return count;
}

TEST("R9: lanes that many dead writers left are swept by small writes, a few by one in a few, in few calls")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0), *dead[LANES];
	uint64_t inode = rig_create(fs, "/a"), left = LANES;
	int sweeping = 0;

	for (int i = 0; i < LANES; i++)
		dead[i] = stager(fs);
	for (int i = 0; i < LANES; i++)
		die(dead[i]);
	CHECK_EQUAL(count_staged(fs), LANES);
	for (int i = 0; i < 2 * LANES && left; i++) {
		uint64_t before = left;

		write_in_few_calls(fs, inode);
		left = count_staged(fs);
		CHECK(left <= before && before - left <= 4);
		sweeping += left < before;
		/* It is not the next so many who pay for it all. */
		CHECK(i >= 40 || sweeping <= 10);
	}
	CHECK_EQUAL(left, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R9: the lanes of many who live cost a small write few calls, and one who dies among them is found")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0), *living[LANES];
	uint64_t inode = rig_create(fs, "/a");
	int died = 0;

	for (int i = 0; i < LANES; i++)
		living[i] = stager(fs);
	for (int i = 0; i < 3; i++)
		write_in_few_calls(fs, inode);
	CHECK_EQUAL(count_staged(fs), LANES);
	for (int i = 0; i < LANES; i += 50, died++) {
		die(living[i]);
		living[i] = NULL;
	}
	for (int i = 0; i < 2 * LANES; i++)
		write_in_few_calls(fs, inode);
	CHECK_EQUAL(count_staged(fs), LANES - died);
	for (int i = 0; i < LANES; i++)
		cowdax_close(living[i]);
	CHECK_EQUAL(count_staged(fs), 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R9: when space runs out all dead lanes are swept at once, those behind many living ones too")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0), *living[20], *dead[40];
	uint64_t inode = rig_create(fs, "/a"), before;
	unsigned char bytes[50 << 10] = "";
	struct cowdax_error error = {0};

	for (int i = 0; i < 20; i++)
		living[i] = stager(fs);
	for (int i = 0; i < 40; i++) {
		dead[i] = stager(fs);
		CHECK_EQUAL(cdx_stage_append(&dead[i]->stage, bytes, sizeof(bytes), &error), 0);
	}
	before = dead[39]->txn.committed.transaction;
	for (int i = 0; i < 40; i++)
		die(dead[i]);
	rig_write(fs, inode, 0, 2 * MIB + MIB / 4, 'a');
	CHECK_EQUAL(count_staged(fs), 20);
	/* One that sweeps, those that undo what that dropped, and the write's own. */
	unit_note("%u transactions", (unsigned int)(fs->txn.committed.transaction - before));
	CHECK(fs->txn.committed.transaction - before <= 16);
	close_all(living, 20);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R9: dead lanes are swept by who writes long only, whatever numbers its transactions have")
{
	static unsigned char bytes[MIB + MIB / 2];

	/* A long write is two transactions: those that ask have all one parity. */
	for (int odd = 0; odd < 2; odd++) {
		struct cowdax *fs = rig_new(64 * MIB, 0, 0), *dead[LANES];
		uint64_t inode = rig_create(fs, "/a");
		struct cowdax_error error;

		for (int i = 0; i < LANES; i++)
			dead[i] = stager(fs);
		for (int i = 0; i < LANES; i++)
			die(dead[i]);
		if (odd)
			rig_write(fs, inode, 0, BLOCK, 'x');
		for (int i = 0; i < 2 * LANES; i++)
			CHECK_EQUAL(cowdax_write(fs, inode, bytes, sizeof(bytes), 0, NULL, &error), 0);
		CHECK_EQUAL(count_staged(fs), 0);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

/* ---- readers ------------------------------------------------------------------------------ */

/* Handles that hold readers' bytes; the kernel tells of the one first that was opened first. */
static void hold(struct cowdax **readers, const struct cowdax *fs, const uint64_t *numbers, int count)
{
	for (int i = 0; i < count; i++) {
		readers[i] = rig_again(fs);
		CHECK_EQUAL(cdx_device_lock(&readers[i]->device, fs->device.lock.readers + numbers[i], 1, false,
					    false), 0);
	}
}

TEST("R6: readers of many old images, the oldest told of last, cost a small write few calls")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 0), *readers[READERS];
	uint64_t inode = rig_create(fs, "/a"), numbers[READERS], total = 0;

	while (fs->txn.committed.transaction < READERS + 10)
		rig_write(fs, inode, 0, BLOCK, 'a');
	for (int i = 0; i < READERS; i++)
		numbers[i] = READERS + 5 - (uint64_t)i;
	hold(readers, fs, numbers, READERS);
	for (int i = 0; i < 400; i++) {
		write_in_few_calls(fs, inode);
		total += calls;
	}
	CHECK(total <= 3 * 400);
	close_all(readers, READERS);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R6: how far limbo may be undone is the oldest number held, in whatever order readers came")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *readers[20];
	uint64_t inode = rig_create(fs, "/a"), state = 5;

	while (fs->txn.committed.transaction < 300)
		rig_write(fs, inode, 0, BLOCK, 'a');
	for (int turn = 0; turn < 50; turn++) {
		uint64_t numbers[20], oldest = UINT64_MAX, limit;
		int count = 1 + (int)unit_below(&state, 20);
		struct cdx_txn *txn;

		for (int i = 0; i < count; i++) {
			numbers[i] = 2 + unit_below(&state, 298);
			oldest = numbers[i] < oldest ? numbers[i] : oldest;
		}
		hold(readers, fs, numbers, count);
		txn = rig_begin(fs);
		txn->readers.limit = 0;
		calls = 0;
		CHECK_EQUAL(cdx_drain_limit(txn, &limit), 0);
		CHECK(calls <= 24);
		CHECK_EQUAL(limit, oldest < txn->record.transaction - 2 ? oldest : txn->record.transaction - 2);
		cdx_txn_abort(txn);
		close_all(readers, count);
	}
	cowdax_close(fs);
}

TEST("R6: one who locks an old number late reads the newest image, and takes nothing back that was known")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *reader;
	uint64_t inode = rig_create(fs, "/a"), limit, known;
	struct cdx_txn *txn;

	while (fs->txn.committed.transaction < 100)
		rig_write(fs, inode, 0, BLOCK, 'a');
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_drain_limit(txn, &known), 0);
	CHECK_EQUAL(known, txn->record.transaction - 2);
	cdx_txn_abort(txn);
	hold(&reader, fs, &(uint64_t){7}, 1);
	for (int i = 0; i < 5; i++)
		rig_write(fs, inode, 0, BLOCK, 'b');
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_drain_limit(txn, &limit), 0);
	/* Nor is anything given away that came after: it may be reading what was newest at any time since. */
	CHECK_EQUAL(limit, known);
	cdx_txn_abort(txn);
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("R6: what readers held up is used again soon after the last of them is gone")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *reader;
	uint64_t inode = rig_create(fs, "/a"), free_blocks, held;

	rig_drain(fs);
	free_blocks = rig_free_blocks(fs);
	hold(&reader, fs, &(uint64_t){2}, 1);
	for (int i = 0; i < 200; i++)
		rig_write(fs, inode, 0, BLOCK, 'a');
	held = rig_free_blocks(fs);
	CHECK(held < free_blocks - 100);
	cowdax_close(reader);
	for (int i = 0; i < 150; i++)
		rig_write(fs, inode, 0, BLOCK, 'b');
	/* More has come back than these wrote. */
	CHECK(rig_free_blocks(fs) > held);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R6: a view that is released holds no reader's byte: what it saw can be undone while the handle is open")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *reader = rig_again(fs);
	uint64_t number, where;

	CHECK_EQUAL(cdx_txn_view(&reader->txn, NULL), 0);
	number = reader->txn.epoch;
	CHECK(number != 0);
	CHECK_EQUAL(cdx_device_lock_test(&fs->device, fs->device.lock.readers, number + 1, &where), 1);
	cdx_txn_release_view(&reader->txn);
	CHECK_EQUAL(cdx_device_lock_test(&fs->device, fs->device.lock.readers, number + 1, &where), 0);
	cowdax_close(reader);
	cowdax_close(fs);
}
