// SPDX-License-Identifier: GPL-2.0-or-later
/* Long writes: space with an owner, that is nobody's when its owner is gone. */
#include "iomap/stage.h"

#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define BLOCK 4096

static void open_stage(struct cdx_stage *stage, struct cowdax *fs, uint64_t start)
{
	struct cowdax_error error = {0};

	CHECK_EQUAL(cdx_stage_open(stage, &fs->txn, 0, start, fs->scratch, &error), 0);
}

static int append(struct cdx_stage *stage, uint64_t length, int byte)
{
	unsigned char *bytes = malloc(length);
	struct cowdax_error error = {0};
	int ret;

	CHECK(bytes);
	memset(bytes, byte, length);
	ret = cdx_stage_append(stage, bytes, length, &error);
	free(bytes);
	return ret;
}

static int finish(struct cdx_stage *stage, uint64_t number)
{
	struct cowdax_result result = {0};
	struct cdx_inode inode;
	int ret;

	CHECK_EQUAL(cdx_txn_begin(stage->txn, NULL), 0);
	ret = cdx_inode_load(stage->txn, number, &inode);
	if (!ret)
		ret = cdx_stage_finish(stage, &inode, &result);
	if (!ret)
		ret = cdx_inode_store(stage->txn, &inode);
	if (ret) {
		cdx_txn_abort(stage->txn);
		return ret;
	}
	return cdx_txn_commit(stage->txn, NULL);
}

static void sweep(struct cowdax *fs, const struct cdx_stage *own)
{
	CHECK(cdx_stage_sweep(rig_begin(fs), own, true) >= 0);
	rig_commit(fs);
}

static bool anything_staged(struct cowdax *fs)
{
	bool staged;

	rig_begin(fs);
	staged = fs->txn.record.staging.address != 0;
	cdx_txn_abort(&fs->txn);
	return staged;
}

/* Stage @length bytes in a process that then dies without a word. */
static void die_staging(const char *path, uint64_t length)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct cowdax *fs = rig_open(path, 0);
		struct cdx_stage stage;

		open_stage(&stage, fs, 0);
		CHECK_EQUAL(append(&stage, length, 'd'), 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
}

TEST("what is staged is not seen until it is finished, then all at once, and nothing stays staged")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a");
	struct cdx_stage stage;

	open_stage(&stage, fs, 0);
	for (int i = 0; i < 10; i++) {
		CHECK_EQUAL(append(&stage, 50 * BLOCK, 'a' + i), 0);
		rig_check(fs->path);
		rig_expect(other, inode, 0, 0, 0);
	}
	CHECK(anything_staged(other));
	CHECK_EQUAL(finish(&stage, inode), 0);
	CHECK(!anything_staged(other));
	for (uint64_t i = 0; i < 10; i++)
		rig_expect(other, inode, i * 50 * BLOCK, 50 * BLOCK, 'a' + (int)i);
	stage.nonce = 0;
	cdx_stage_close(&stage);
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("others write while one stages, the same file too")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_open(fs->path, COWDAX_NO_WAIT);
	uint64_t inode = rig_create(fs, "/a");
	struct cdx_stage stage;

	rig_write(fs, inode, 0, 100 * BLOCK, 'a');
	open_stage(&stage, fs, 10 * BLOCK + 100);
	CHECK_EQUAL(append(&stage, 20 * BLOCK - 100, 's'), 0);
	rig_write(other, inode, 5 * BLOCK, 20 * BLOCK, 'o');
	CHECK_EQUAL(append(&stage, 20 * BLOCK + 7, 's'), 0);
	CHECK_EQUAL(finish(&stage, inode), 0);
	stage.nonce = 0;
	cdx_stage_close(&stage);
	rig_expect(fs, inode, 0, 5 * BLOCK, 'a');
	/* The edge's other bytes are those of when it was finished. */
	rig_expect(fs, inode, 5 * BLOCK, 5 * BLOCK + 100, 'o');
	rig_expect(fs, inode, 10 * BLOCK + 100, 40 * BLOCK - 93, 's');
	rig_expect(fs, inode, 50 * BLOCK + 7, 50 * BLOCK - 7, 'a');
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R9: what a dead owner had staged is swept by the next writer, to the last block")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cowdax_error error = {0};
	uint64_t before, inode;

	rig_create(fs, "/a");
	rig_drain(fs);
	before = rig_free_blocks(fs);
	die_staging(fs->path, 5 * MIB);
	CHECK(anything_staged(fs));
	rig_check(fs->path);
	CHECK(rig_free_blocks(fs) + 1280 <= before + 64);
	CHECK_EQUAL(cowdax_create(fs, "/b", 0644, &inode, &error), 0);
	CHECK(!anything_staged(fs));
	rig_drain(fs);
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 2 >= before);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R6: what is staged by a living owner, another handle or this one, is not swept")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a");
	struct cdx_stage mine, theirs;

	open_stage(&mine, fs, 0);
	CHECK_EQUAL(append(&mine, 10 * BLOCK, 'm'), 0);
	open_stage(&theirs, other, 20 * BLOCK);
	CHECK(theirs.lane != mine.lane);
	CHECK_EQUAL(append(&theirs, 10 * BLOCK, 't'), 0);
	sweep(fs, &mine);
	sweep(other, &theirs);
	CHECK_EQUAL(finish(&mine, inode), 0);
	CHECK_EQUAL(finish(&theirs, inode), 0);
	rig_expect(fs, inode, 0, 10 * BLOCK, 'm');
	rig_expect(fs, inode, 10 * BLOCK, 10 * BLOCK, 0);
	rig_expect(fs, inode, 20 * BLOCK, 10 * BLOCK, 't');
	mine.nonce = theirs.nonce = 0;
	cdx_stage_close(&mine);
	cdx_stage_close(&theirs);
	CHECK(!anything_staged(fs));
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R9: who takes a lane drops what its last owner left there, and maps none of it")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct cdx_stage stage;

	die_staging(fs->path, 100 * BLOCK);
	open_stage(&stage, fs, 0);
	CHECK_EQUAL(stage.lane, 0);
	CHECK_EQUAL(append(&stage, 10 * BLOCK, 's'), 0);
	CHECK_EQUAL(finish(&stage, inode), 0);
	stage.nonce = 0;
	cdx_stage_close(&stage);
	rig_expect(fs, inode, 0, 10 * BLOCK, 's');
	rig_check(fs->path);
	rig_begin(fs);
	CHECK_EQUAL(fs->txn.record.staging.address, 0);
	cdx_txn_abort(&fs->txn);
	cowdax_close(fs);
}

TEST("R9: who has lost a lane to another finds out before it maps what is no longer its own")
{
	for (int taken_again = 0; taken_again < 2; taken_again++) {
		struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_again(fs);
		uint64_t inode = rig_create(fs, "/a");
		struct cdx_stage lost, next;

		open_stage(&lost, fs, 0);
		CHECK_EQUAL(append(&lost, 10 * BLOCK, 'l'), 0);
		/* As if this process had been stopped for so long that its lock was gone. */
		cdx_device_unlock(&fs->device, fs->device.lock.lanes + lost.lane, 1);
		sweep(other, NULL);
		if (taken_again) {
			open_stage(&next, other, 0);
			CHECK_EQUAL(next.lane, lost.lane);
			CHECK_EQUAL(append(&next, 10 * BLOCK, 'n'), 0);
			CHECK(next.nonce != lost.nonce);
		}
		CHECK_EQUAL(finish(&lost, inode), -ESTALE);
		CHECK_EQUAL(append(&lost, 10 * BLOCK, 'l'), -ESTALE);
		if (taken_again) {
			CHECK_EQUAL(finish(&next, inode), 0);
			next.nonce = 0;
			cdx_stage_close(&next);
			rig_expect(fs, inode, 0, 10 * BLOCK, 'n');
		}
		cdx_stage_close(&lost);
		rig_check(fs->path);
		cowdax_close(other);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("R9: a nonce is never given twice")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t last = 0;

	for (int i = 0; i < 5; i++) {
		struct cdx_stage stage;

		open_stage(&stage, fs, 0);
		CHECK_EQUAL(append(&stage, BLOCK, 'x'), 0);
		CHECK(stage.nonce > last);
		last = stage.nonce;
		cdx_stage_close(&stage);
		cowdax_close(fs);
		fs = rig_open(unit_path("image"), 0);
	}
	CHECK(!anything_staged(fs));
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a stage that is closed unfinished gives back what it holds, at once")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cdx_stage stage;
	uint64_t before;

	rig_drain(fs);
	before = rig_free_blocks(fs);
	open_stage(&stage, fs, 0);
	CHECK_EQUAL(append(&stage, 5 * MIB, 'x'), 0);
	cdx_stage_close(&stage);
	CHECK(!anything_staged(fs));
	rig_drain(fs);
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 2 >= before);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a long write that does not fit leaves nothing behind")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 0);
	unsigned char *bytes = calloc(1, 16 * MIB);
	uint64_t inode = rig_create(fs, "/a"), before;
	struct cowdax_error error;

	CHECK(bytes);
	rig_write(fs, inode, 0, 10 * BLOCK, 'a');
	rig_drain(fs);
	before = rig_free_blocks(fs);
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, 16 * MIB, 0, NULL, &error), -ENOSPC);
	free(bytes);
	rig_expect(fs, inode, 0, 10 * BLOCK, 'a');
	CHECK(!anything_staged(fs));
	rig_check(fs->path);
	rig_drain(fs);
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 2 >= before);
	cowdax_close(fs);
}

TEST("R12: inside an explicit transaction nothing is staged, however long it is")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a"), where;
	struct cowdax *other = rig_again(fs);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	rig_write(fs, inode, 100, 4 * MIB, 'a');
	CHECK_EQUAL(fs->txn.record.staging.address, 0);
	CHECK_EQUAL(cdx_device_lock_test(&other->device, other->device.lock.lanes, CDX_MAX_LANE + 1, &where), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_expect(other, inode, 100, 4 * MIB, 'a');
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R18: 10,000 staged extents are spliced in with a bounded number of dirty nodes")
{
	struct cowdax *fs = rig_new(256 * MIB, 0, 512);
	uint64_t filler = rig_splintered(fs, "/filler", 60000), inode = rig_create(fs, "/a");
	struct cowdax_error error;
	struct cdx_stage stage;

	/* Free space in single blocks only. */
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 10000; i < 50000; i += 2)
		CHECK_EQUAL(cowdax_fallocate(fs, filler, COWDAX_FALLOCATE_PUNCH, 2 * i * BLOCK, BLOCK, true, NULL,
					     &error), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_drain(fs);
	rig_drain(fs);
	open_stage(&stage, fs, 0);
	CHECK_EQUAL(append(&stage, 10000ull * BLOCK, 's'), 0);
	CHECK_EQUAL(finish(&stage, inode), 0);
	CHECK(fs->txn.nodes.dirty_room <= 16384);
	stage.nonce = 0;
	cdx_stage_close(&stage);
	rig_expect(fs, inode, 0, 10000ull * BLOCK, 's');
	rig_check(fs->path);
	cowdax_close(fs);
}
