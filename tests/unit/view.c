// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I5: seeing an image while others commit.  What a reader does of its own look is counted in
 * steps, by standing in for cdx_pmem_read(), cdx_pmem_read_words() and cdx_device_lock(); and
 * at each of them something is made to happen.
 */
#include <errno.h>

#include "rig.h"

#define LENGTH 20000
#define MANY 4096			/* transactions */

static struct play {
	struct cowdax *fs, *reader;
	uint64_t inode;
	unsigned char bytes[MANY];	/* what the file has, by transaction */
	void (*happen)(struct play *play);
	int step;			/* of the reader's */
	int from, to;			/* steps that it happens at; or, at the second, ends */
	uint64_t at_lock;		/* what was the newest when the reader had its lock */
	unsigned int locks;		/* that the reader has taken */
	union cdx_slot slot;		/* what has been put aside */
} *play;

static void take_step(const struct cdx_pmem *pm)
{
	struct play *now = play;

	if (!now || !now->reader || pm != &now->reader->device.pm || !now->happen)
		return;
	play = NULL;			/* what happens takes none */
	now->happen(now);
	play = now;
	now->step++;
}

int __real_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length)
{
	take_step(pm);
	return __real_cdx_pmem_read(pm, offset, bytes, length);
}

int __real_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
int __wrap_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
int __wrap_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count)
{
	take_step(pm);
	return __real_cdx_pmem_read_words(pm, offsets, words, count);
}

int __real_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);
int __wrap_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);
int __wrap_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait)
{
	int ret;

	/* What may be waited for is not waited for with a reader's byte held. */
	if (play && play->reader && device == &play->reader->device && exclusive)
		CHECK_EQUAL(play->reader->txn.epoch, 0);
	take_step(&device->pm);
	ret = __real_cdx_device_lock(device, start, length, exclusive, wait);
	if (play && play->reader && device == &play->reader->device) {
		play->at_lock = play->fs->txn.committed.transaction;
		play->locks++;
	}
	return ret;
}

/* ---- what happens ------------------------------------------------------------------------------- */

static void commit_once(struct play *now)
{
	uint64_t next = now->fs->txn.committed.transaction + 1;

	CHECK(next < MANY);
	now->bytes[next] = (unsigned char)(1 + next % 250);
	rig_write(now->fs, now->inode, 0, LENGTH, now->bytes[next]);
	CHECK_EQUAL(now->fs->txn.committed.transaction, next);
}

static void commit_between(struct play *now)
{
	if (now->step >= now->from && now->step < now->to)
		commit_once(now);
}

static void commit_thrice(struct play *now)
{
	for (int i = 0; i < 3 && now->step == now->from; i++)
		commit_once(now);
}

static unsigned char *slot_at(const struct play *now, uint64_t transaction, bool mirror)
{
	return (unsigned char *)(uintptr_t)now->fs->device.pm.base +
	       cdx_slot_offset(&now->fs->super, (int)(transaction & 1), mirror);
}

/* Its number is the new one's, the rest is still the old one's. */
static void store_halfway(struct play *now)
{
	uint64_t newest;
	unsigned char *at;

	if (now->step == now->from) {
		union cdx_slot old;

		at = slot_at(now, now->fs->txn.committed.transaction + 1, false);
		memcpy(&old, at, sizeof(old));
		commit_once(now);
		newest = now->fs->txn.committed.transaction;
		memcpy(&now->slot, at, sizeof(now->slot));
		old.commit.transaction = now->slot.commit.transaction;
		memcpy(at, &old, sizeof(old));
		memcpy(slot_at(now, newest, true), at, sizeof(old));
		now->at_lock = newest - 1;
	} else if (now->step == now->to) {
		newest = now->fs->txn.committed.transaction;
		for (int mirror = 0; mirror < 2; mirror++)
			memcpy(slot_at(now, newest, mirror), &now->slot, sizeof(now->slot));
	}
}

/* Another has begun to store a record, and died; the next has put back what was there. */
static void store_and_die(struct play *now)
{
	uint64_t next = now->fs->txn.committed.transaction + 1;
	unsigned char *at = slot_at(now, next, false);

	if (now->step == now->from) {
		memcpy(&now->slot, at, sizeof(now->slot));
		((struct cdx_disk_commit *)at)->transaction = put64(next);
	} else if (now->step == now->to) {
		memcpy(at, &now->slot, sizeof(now->slot));
	}
}

/* ---- looking ----------------------------------------------------------------------------------- */

static void prepare(struct play *now)
{
	memset(now, 0, sizeof(*now));
	now->fs = rig_new(2 * MIB, 0, 512);
	now->inode = rig_create(now->fs, "/a");
	for (int i = 0; i < 3; i++)
		commit_once(now);
}

static struct cowdax *reader_of(const struct play *now, bool fresh)
{
	struct cowdax *reader = rig_again(now->fs);

	if (!fresh)
		CHECK_EQUAL(rig_lookup(reader, "/a"), now->inode);
	return reader;
}

/* The reader looks, and what happens does so in between. */
static void look_amid(struct play *now)
{
	play = now;
	now->step = 0;
	CHECK_EQUAL(cdx_txn_view(&now->reader->txn, NULL), 0);
	play = NULL;
}

/* One commit is seen, no older than it may be, and stays whole whatever is committed later. */
static void expect_view(struct play *now, uint64_t oldest)
{
	struct cdx_txn *txn = &now->reader->txn;
	uint64_t number;

	look_amid(now);
	number = txn->record.transaction;
	CHECK(number >= oldest && number <= now->fs->txn.committed.transaction);
	CHECK(number >= now->at_lock);
	CHECK(txn->epoch && txn->epoch <= number);
	for (int i = 0; i < 6; i++) {
		rig_expect(now->reader, now->inode, 0, LENGTH, now->bytes[number]);
		commit_once(now);
	}
	CHECK_EQUAL(txn->record.transaction, number);
	cdx_txn_release_view(txn);
}

/* The same from each step on, for as many as the look has. */
static void expect_views(void (*happen)(struct play *now), int length)
{
	for (int fresh = 0; fresh < 2; fresh++) {
		struct play now;
		int steps = 0;

		prepare(&now);
		now.happen = happen;
		for (now.from = 0; now.from <= steps; now.from++) {
			now.to = now.from + length;
			now.reader = reader_of(&now, fresh);
			commit_once(&now);
			expect_view(&now, now.fs->txn.committed.transaction);
			steps = now.step;
			cowdax_close(now.reader);
		}
		CHECK(steps > 2);
		rig_check(now.fs->path);
		cowdax_close(now.fs);
	}
}

TEST("I5: whenever others commit during a look, it sees what was the newest when it had its lock, or later")
{
	for (int length = 1; length < 12; length++)
		expect_views(commit_between, length);
	expect_views(commit_thrice, 1);
}

TEST("R3: a record that is being stored while a reader looks is seen when it is whole, or not at all")
{
	for (int fresh = 0; fresh < 2; fresh++) {
		for (int length = 1; length < 40; length += length < 8 ? 1 : 16) {
			struct play now;
			int steps = 0;

			prepare(&now);
			now.happen = store_halfway;
			for (now.from = 0; now.from <= steps && now.from < 12; now.from++) {
				uint64_t oldest = now.fs->txn.committed.transaction;

				now.to = now.from + length;
				now.reader = reader_of(&now, fresh);
				look_amid(&now);
				CHECK(now.reader->txn.record.transaction >= oldest);
				CHECK(now.reader->txn.epoch <= now.reader->txn.record.transaction);
				rig_expect(now.reader, now.inode, 0, LENGTH,
					   now.bytes[now.reader->txn.record.transaction]);
				cdx_txn_release_view(&now.reader->txn);
				steps = now.step;
				for (; now.step <= now.to; now.step++)
					store_halfway(&now);
				cowdax_close(now.reader);
			}
			cowdax_close(now.fs);
		}
	}
}

TEST("I5: a number that was never committed is not what a reader holds")
{
	for (int fresh = 0; fresh < 2; fresh++) {
		for (int length = 1; length < 8; length++) {
			struct play now;
			int steps = 0;

			prepare(&now);
			now.happen = store_and_die;
			for (now.from = 0; now.from <= steps && now.from < 12; now.from++) {
				now.to = now.from + length;
				now.reader = reader_of(&now, fresh);
				look_amid(&now);
				CHECK_EQUAL(now.reader->txn.record.transaction, now.fs->txn.committed.transaction);
				CHECK(now.reader->txn.epoch <= now.reader->txn.record.transaction);
				CHECK_EQUAL(cdx_view_lists(&now.reader->txn), 0);
				CHECK_EQUAL(now.reader->txn.record.pool.grains, now.fs->txn.committed.pool.grains);
				cdx_txn_release_view(&now.reader->txn);
				steps = now.step;
				for (; now.step <= now.to && now.from < steps; now.step++)
					store_and_die(&now);
				cowdax_close(now.reader);
				commit_once(&now);
			}
			cowdax_close(now.fs);
		}
	}
}

TEST("a look reads one record and no other, and none that has been seen before")
{
	struct play now;
	int known;

	prepare(&now);
	now.happen = commit_between;	/* never */
	now.reader = reader_of(&now, true);
	play = &now;
	CHECK_EQUAL(cdx_txn_view(&now.reader->txn, NULL), 0);
	CHECK(now.step <= 5);		/* a lock, two looks at the numbers, a record in two parts */
	cdx_txn_release_view(&now.reader->txn);
	known = now.step;
	CHECK_EQUAL(cdx_txn_view(&now.reader->txn, NULL), 0);
	CHECK(now.step - known <= 3);
	play = NULL;
	cowdax_close(now.reader);
	cowdax_close(now.fs);
}

/* ---- lingering ------------------------------------------------------------------------------------- */

static void look(struct play *now)
{
	play = now;
	CHECK_EQUAL(cdx_txn_view(&now->reader->txn, NULL), 0);
	play = NULL;
	CHECK_EQUAL(now->reader->txn.record.transaction, now->fs->txn.committed.transaction);
	CHECK(now->reader->txn.epoch <= now->fs->txn.committed.transaction);
}

/* The oldest number that anybody but @fs reads; 0: nobody does. */
static uint64_t oldest_held(const struct cowdax *fs)
{
	uint64_t where = 0, readers = fs->device.lock.readers;

	return cdx_device_lock_test(&fs->device, readers, CDX_LAST_TRANSACTION + 1, &where) ? where - readers : 0;
}

TEST("I5: a handle that lingers sees what is newest each time, and nothing of it goes while it looks")
{
	for (int commits = 0; commits < 12; commits++) {
		struct play now;
		int steps = 0;

		prepare(&now);
		now.happen = commit_between;
		now.reader = rig_open(now.fs->path, COWDAX_LINGER);
		for (now.from = 0; now.from <= steps + 3; now.from++) {
			now.to = now.from + 1;
			for (int i = 0; i < commits; i++)
				commit_once(&now);
			now.at_lock = 0;
			expect_view(&now, now.fs->txn.committed.transaction);
			steps = now.step;
		}
		cowdax_close(now.reader);
		rig_check(now.fs->path);
		cowdax_close(now.fs);
	}
}

TEST("a handle that lingers takes one lock for many looks, but not for ever when there is a newer commit")
{
	struct play now;
	uint64_t held;

	prepare(&now);
	now.reader = rig_open(now.fs->path, COWDAX_LINGER);
	for (int i = 0; i < 1000; i++) {
		look(&now);
		cdx_txn_release_view(&now.reader->txn);
	}
	CHECK_EQUAL(now.locks, 1);
	held = oldest_held(now.fs);
	CHECK_EQUAL(held, now.fs->txn.committed.transaction);
	/* One more: looked at often, it comes to be what is held. */
	commit_once(&now);
	for (int i = 0; i < 100; i++) {
		look(&now);
		cdx_txn_release_view(&now.reader->txn);
	}
	CHECK_EQUAL(now.locks, 2);
	CHECK_EQUAL(oldest_held(now.fs), held + 1);
	/* Many: looked at rarely, what is held follows. */
	for (int i = 0; i < 100; i++) {
		commit_once(&now);
		look(&now);
		cdx_txn_release_view(&now.reader->txn);
		CHECK(now.fs->txn.committed.transaction - oldest_held(now.fs) <= 8);
	}
	CHECK(now.locks <= 2 + 100 / 8);
	cowdax_close(now.reader);
	CHECK_EQUAL(oldest_held(now.fs), 0);
	cowdax_close(now.fs);
}

TEST("a handle that lingers lets go before it changes anything, and one that does not, at once")
{
	unsigned char *bytes = calloc(1, 2 * MIB);
	struct play now;

	CHECK(bytes);
	prepare(&now);
	for (int lingers = 0; lingers < 2; lingers++) {
		struct cowdax *reader = rig_open(now.fs->path, lingers ? COWDAX_LINGER : 0);

		for (int change = 0; change < 4; change++) {
			now.reader = reader;
			look(&now);
			cdx_txn_release_view(&reader->txn);
			CHECK_EQUAL(oldest_held(now.fs), lingers ? now.fs->txn.committed.transaction : 0);
			play = &now;
			if (change == 0)
				rig_write(reader, now.inode, 0, 10, 'x');
			else if (change == 1)
				CHECK_EQUAL(cowdax_write(reader, now.inode, bytes, 2 * MIB, 0, NULL, NULL), -ENOSPC);
			else if (change == 2)
				CHECK_EQUAL(cowdax_begin(reader, NULL), 0);
			play = NULL;
			CHECK_EQUAL(oldest_held(now.fs),
				    change == 3 && lingers ? now.fs->txn.committed.transaction : 0);
			cowdax_abort(reader);
			rig_lookup(now.fs, "/a");	/* to see what the reader has committed */
			commit_once(&now);
		}
		cowdax_close(reader);
	}
	free(bytes);
	cowdax_close(now.fs);
}

/* ---- the lists ---------------------------------------------------------------------------------- */

TEST("what a reader tells of space, and what a transaction after it has, is what the record lists")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 512), *reader = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a");

	for (int i = 0; i < 20; i++) {
		struct cowdax_space space, expected;
		struct cowdax_info info, other;

		rig_write(fs, inode, (uint64_t)i * 5000, 9000, 'a' + i);
		rig_expect(reader, inode, (uint64_t)i * 5000, 9000, 'a' + i);
		CHECK(reader->txn.unlisted && !reader->txn.record.pool.grains);
		CHECK_EQUAL(cowdax_space(fs, &expected, NULL), 0);
		CHECK_EQUAL(cowdax_space(reader, &space, NULL), 0);
		CHECK(space.free_blocks == expected.free_blocks && space.inodes == expected.inodes &&
		      space.available_blocks == expected.available_blocks);
		CHECK(reader->txn.record.pool.grains > 0);
		CHECK_EQUAL(cowdax_info(fs, &other, NULL), 0);
		CHECK_EQUAL(cowdax_info(reader, &info, NULL), 0);
		CHECK(info.reserved_blocks == other.reserved_blocks && info.limbo_blocks == other.limbo_blocks &&
		      info.free_blocks == other.free_blocks && info.available_blocks == other.available_blocks);
		rig_write(fs, inode, 0, 100, 'a' + i);
		rig_expect(reader, inode, 0, 100, 'a' + i);
		if (i % 2)
			rig_write(reader, inode, 200000, 9000, 'z');
	}
	rig_check(fs->path);
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("a dry run has the lists of what it looks at, whatever is committed since")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 512), *dry;
	uint64_t inode = rig_create(fs, "/a");
	struct cdx_record *record;

	rig_write(fs, inode, 0, 50000, 'a');
	dry = rig_open(fs->path, COWDAX_DRY_RUN);
	CHECK(dry->txn.unlisted);
	for (int i = 0; i < 10; i++)
		rig_write(fs, inode, 0, 50000, 'b');
	rig_write(dry, inode, 0, 50000, 'c');
	record = &dry->txn.committed;
	CHECK(!dry->txn.unlisted && record->pool.grains && record->window.grains);
	for (size_t i = 0; i < record->pool.n; i++) {
		uint64_t count, end;

		CHECK_EQUAL(cdx_space_count(&dry->txn.space, record->pool.run[i].start, &count, &end), 0);
		CHECK_EQUAL(count, 1);
	}
	rig_expect(dry, inode, 0, 50000, 'a');
	cowdax_close(dry);
	cowdax_close(fs);
}

TEST("R20: lists that cannot be are no reader's business; a writer, and who asks for space, refuses them")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 512), *other, *dry;
	uint64_t inode = rig_create(fs, "/a"), newest;
	union cdx_slot slot;
	struct cdx_disk_run *runs = (struct cdx_disk_run *)(&slot.commit + 1);
	struct cowdax_space space;
	struct cowdax_info info;

	rig_write(fs, inode, 0, 50000, 'a');
	newest = fs->txn.committed.transaction;
	for (int mirror = 0; mirror < 2; mirror++) {
		uint64_t place = cdx_slot_offset(&fs->super, (int)(newest & 1), mirror);

		memcpy(&slot, fs->device.pm.base + place, sizeof(slot));
		CHECK(get16(slot.commit.n_pool) > 0);
		runs[0].start = put64(0);
		cdx_slot_seal(&fs->super, &slot.commit, get32(slot.commit.length));
		memcpy((unsigned char *)(uintptr_t)fs->device.pm.base + place, &slot, sizeof(slot));
	}
	other = rig_again(fs);
	dry = rig_open(fs->path, COWDAX_DRY_RUN);
	for (int i = 0; i < 2; i++) {
		rig_expect(other, inode, 0, 50000, 'a');
		CHECK_EQUAL(cowdax_space(other, &space, NULL), -EUCLEAN);
		CHECK_EQUAL(cowdax_info(other, &info, NULL), -EUCLEAN);
		CHECK_EQUAL(cowdax_write(other, inode, "x", 1, 0, NULL, NULL), -EUCLEAN);
		CHECK_EQUAL(cowdax_write(dry, inode, "x", 1, 0, NULL, NULL), -EUCLEAN);
	}
	cowdax_close(dry);
	cowdax_close(other);
	cowdax_close(fs);
}
