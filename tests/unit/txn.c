// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One root, one commit point: what a commit promises, in what order it stores, and
 * what is there after a power cut.  mkfs is recorded through --wrap=cdx_pmem_map.
 */
#include "txn/txn.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder.h"
#include "rig.h"

/* ---- recording mkfs ---------------------------------------------------------------- */

static struct recorder *mkfs_recorder;

int __real_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error);
int __wrap_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error);
int __wrap_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error)
{
	int ret = __real_cdx_pmem_map(pm, fd, offset, length, device_dax, flags, error);

	if (!ret && mkfs_recorder && pm->writable)
		recorder_attach(mkfs_recorder, pm);
	return ret;
}

/* ---- helpers ------------------------------------------------------------------------- */

static int try_open(const char *path, struct cowdax **fs)
{
	struct cowdax_error error;

	return cowdax_open(path, NULL, fs, &error);
}

static int try_write(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, int byte)
{
	unsigned char *bytes = malloc(length);
	struct cowdax_error error;
	int ret;

	CHECK(bytes);
	memset(bytes, byte, length);
	ret = cowdax_write(fs, inode, bytes, length, offset, NULL, &error);
	free(bytes);
	return ret;
}

static uint64_t slot_of(const struct cowdax *fs, uint64_t transaction, bool mirror)
{
	return cdx_slot_offset(&fs->super, (int)(transaction & 1), mirror);
}

static bool is_slot_store(const struct cowdax *fs, const struct store *store)
{
	for (int i = 0; i < 4; i++)
		if (store->offset == cdx_slot_offset(&fs->super, i / 2, i % 2))
			return true;
	return false;
}

/* A recorded image with a file /a of 'a's, written by a handle that owns the newest commit. */
static struct cowdax *make_recorded(struct recorder *recorder, uint64_t *inode)
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 512);

	*inode = rig_create(fs, "/a");
	rig_write(fs, *inode, 0, 10000, 'a');
	memset(recorder, 0, sizeof(*recorder));
	recorder_attach(recorder, &fs->device.pm);
	return fs;
}

static void finish(struct cowdax *fs, struct recorder *recorder)
{
	cowdax_close(fs);
	recorder_free(recorder);
}

/* ---- the commit's order ------------------------------------------------------------------ */

TEST("I1: all that a record reaches is durable before its slot is stored, and the mirror comes last")
{
	struct recorder recorder;
	struct cowdax *fs;
	uint64_t inode, transaction, trees, primary = NEVER, mirror = NEVER;

	fs = make_recorded(&recorder, &inode);
	rig_write(fs, inode, 5000, 100, 'b');
	transaction = fs->txn.committed.transaction;
	CHECK(recorder.count >= 4);
	for (size_t i = 0; i < recorder.count; i++) {
		if (recorder.stores[i].offset == slot_of(fs, transaction, false))
			primary = i;
		else if (recorder.stores[i].offset == slot_of(fs, transaction, true))
			mirror = i;
		else
			CHECK(!is_slot_store(fs, &recorder.stores[i]));
	}
	CHECK_EQUAL(primary, recorder.count - 2);
	CHECK_EQUAL(mirror, recorder.count - 1);
	trees = recorder.stores[primary - 1].fence;
	for (size_t i = 0; i < primary; i++)
		CHECK(recorder.stores[i].fence <= trees);
	CHECK(trees < recorder.stores[primary].fence);
	CHECK(recorder.stores[primary].fence < recorder.stores[mirror].made);
	finish(fs, &recorder);
}

TEST("(c): a mirror is durable before a slot is stored to again, and when the handle is closed")
{
	for (int more = 0; more < 2; more++) {
		struct recorder recorder;
		struct cowdax *fs;
		uint64_t inode, transaction, count, fences;

		fs = make_recorded(&recorder, &inode);
		rig_write(fs, inode, 5000, 100, 'b');
		transaction = fs->txn.committed.transaction;
		count = recorder.count;
		fences = recorder.fences;
		CHECK_EQUAL(recorder.stores[count - 1].offset, slot_of(fs, transaction, true));
		if (more) {
			/* An abort changes nothing about it. */
			rig_begin(fs);
			cdx_txn_abort(&fs->txn);
			CHECK_EQUAL(recorder.stores[count - 1].fence, NEVER);
			rig_write(fs, inode, 5000, 100, 'c');
			CHECK_EQUAL(recorder.stores[count - 1].fence, fences);
			for (size_t i = count; i < recorder.count; i++)
				CHECK(!is_slot_store(fs, &recorder.stores[i]) || recorder.stores[i].made > fences);
			fences = recorder.fences;
			count = recorder.count;
		}
		cowdax_close(fs);
		CHECK_EQUAL(recorder.stores[count - 1].fence, fences);
		CHECK_EQUAL(recorder.fences, fences + 1);
		recorder_free(&recorder);
	}
}

TEST("I1: a commit stores only to what was free, and to the slot that is not the newest")
{
	struct recorder recorder;
	struct cowdax *fs, *old;
	uint64_t inode, newest, count, end;

	fs = make_recorded(&recorder, &inode);
	old = rig_open(fs->path, COWDAX_RDONLY);
	CHECK_EQUAL(cdx_view_lists(&old->txn), 0);
	newest = fs->txn.committed.transaction;
	rig_write(fs, inode, 5000, 100, 'b');
	for (size_t i = 0; i < recorder.count; i++) {
		uint64_t grain = recorder.stores[i].offset >> fs->super.grain_shift;
		bool reserved = false;

		CHECK(recorder.stores[i].offset != slot_of(fs, newest, false));
		CHECK(recorder.stores[i].offset != slot_of(fs, newest, true));
		if (is_slot_store(fs, &recorder.stores[i]))
			continue;
		for (int which = 0; which < 2; which++) {
			const struct cdx_runs *runs =
				which ? &old->txn.committed.window : &old->txn.committed.pool;

			for (size_t r = 0; r < runs->n; r++)
				reserved |= grain >= runs->run[r].start &&
					    grain < runs->run[r].start + runs->run[r].count;
		}
		CHECK_EQUAL(cdx_space_count(&old->txn.space, grain, &count, &end), 0);
		CHECK(reserved || count == 0);
	}
	cowdax_close(old);
	finish(fs, &recorder);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

struct dice { uint64_t seed; };

static bool by_chance(void *arg, const struct recorder *recorder, size_t store)
{
	struct dice *dice = arg;

	(void)recorder;
	(void)store;
	return unit_below(&dice->seed, 2);
}

/* The image opens, is sound, and /a is all 'a's, or has all of what was written over it. */
static void expect_whole(const char *path, bool committed)
{
	unsigned char bytes[10000];
	struct cowdax_error error;
	struct cowdax *fs;
	bool new;

	rig_check_but(path, "slot-");
	CHECK_EQUAL(try_open(path, &fs), 0);
	CHECK_EQUAL(cowdax_read(fs, rig_lookup(fs, "/a"), bytes, sizeof(bytes), 0, &error), sizeof(bytes));
	new = bytes[5000] == 'b';
	CHECK(new || !committed);
	for (int i = 0; i < 10000; i++)
		CHECK_EQUAL(bytes[i], new && i >= 3000 && i < 9000 ? 'b' : 'a');
	cowdax_close(fs);
}

TEST("I1: after a power cut anywhere in a commit the image is what it was before, or after")
{
	const char *path = unit_path("crash");
	struct dice dice = {3};
	struct recorder recorder;
	struct cowdax *fs;
	uint64_t inode;

	fs = make_recorded(&recorder, &inode);
	rig_write(fs, inode, 3000, 6000, 'b');
	for (uint64_t fences = 0; fences <= recorder.fences; fences++) {
		/* The primary's fence is the last. */
		bool committed = fences >= recorder.fences;

		recorder_crash(&recorder, fences, NULL, NULL, path);
		expect_whole(path, committed);
		recorder_crash(&recorder, fences, recorder_all_reached, NULL, path);
		expect_whole(path, committed);
		for (int i = 0; i < 10; i++) {
			recorder_crash(&recorder, fences, by_chance, &dice, path);
			expect_whole(path, committed);
		}
	}
	finish(fs, &recorder);
}

TEST("R3: a slot that is torn at any of its words is not believed")
{
	const char *path = unit_path("crash");
	struct recorder recorder;
	struct cowdax *fs;
	uint64_t inode;

	fs = make_recorded(&recorder, &inode);
	rig_write(fs, inode, 3000, 6000, 'b');
	for (uint64_t which = 1; which <= 2; which++) {
		const struct store *slot = &recorder.stores[recorder.count - which];

		for (size_t length = 8; length < slot->length; length += 8) {
			FILE *file;

			recorder_crash(&recorder, slot->fence, NULL, NULL, path);
			file = fopen(path, "r+be");
			CHECK(file && fseek(file, (long)slot->offset, SEEK_SET) == 0);
			CHECK(fwrite(slot->bytes, 1, length, file) == length);
			CHECK_EQUAL(fclose(file), 0);
			expect_whole(path, which == 1);
		}
	}
	finish(fs, &recorder);
}

/* ---- visible is not durable --------------------------------------------------------------------- */

TEST("R1: a slot that is visible and not durable is stored again, and fenced, before anything else")
{
	const char *path = unit_path("crash");
	struct recorder recorder;
	struct cowdax *fs, *next;
	uint64_t inode, lost, first;

	fs = make_recorded(&recorder, &inode);
	next = rig_again(fs);
	recorder_attach(&recorder, &next->device.pm);
	/* A writer dies between storing its slot and the fence. */
	recorder.fail_from = recorder.fences + 1;
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'b'), -EIO);
	recorder.fail_from = NEVER;
	lost = fs->txn.committed.transaction + 1;
	CHECK_EQUAL(recorder.stores[recorder.count - 1].fence, NEVER);
	first = recorder.count;
	rig_begin(next);
	CHECK_EQUAL(next->txn.record.transaction, lost + 1);
	CHECK(recorder.count > first);
	CHECK_EQUAL(recorder.stores[first].offset, slot_of(next, lost, false));
	CHECK(recorder.stores[first].fence != NEVER);
	CHECK(recorder.count == first + 1 || recorder.stores[first + 1].fence > recorder.stores[first].fence);
	/* What it built on is there now, whatever became of the first writer's store. */
	recorder_crash(&recorder, recorder.fences, NULL, NULL, path);
	expect_whole(path, true);
	cdx_txn_abort(&next->txn);
	rig_write(next, inode, 3000, 6000, 'b');
	for (uint64_t fences = recorder.stores[first].fence + 1; fences <= recorder.fences; fences++) {
		recorder_crash(&recorder, fences, NULL, NULL, path);
		expect_whole(path, true);
	}
	cowdax_close(next);
	finish(fs, &recorder);
}

TEST("R1: a handle that committed the newest itself stores it only once")
{
	struct recorder recorder;
	struct cowdax *fs;
	uint64_t inode;

	fs = make_recorded(&recorder, &inode);
	rig_begin(fs);
	CHECK_EQUAL(recorder.count, 0);
	CHECK_EQUAL(recorder.fences, 0);
	cdx_txn_abort(&fs->txn);
	finish(fs, &recorder);
}

TEST("R1: a handle whose commit is no longer the newest, by one or by two, notices")
{
	for (int others = 1; others <= 2; others++) {
		struct cowdax *fs = rig_new(2 * MIB, 0, 0), *other = rig_again(fs);
		uint64_t inode = rig_create(fs, "/a");

		for (int i = 0; i < others; i++)
			rig_write(other, inode, 0, 100, 'b' + i);
		rig_begin(fs);
		CHECK_EQUAL(fs->txn.record.transaction, other->txn.committed.transaction + 1);
		cdx_txn_abort(&fs->txn);
		rig_expect(fs, inode, 0, 100, 'b' + others - 1);
		cowdax_close(other);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

/* ---- failing ----------------------------------------------------------------------------------------- */

TEST("R3: when the fence before the slot fails, nothing has changed and the handle lives")
{
	struct recorder recorder;
	struct cowdax *fs;
	uint64_t inode;

	fs = make_recorded(&recorder, &inode);
	recorder.fail_from = recorder.fences;
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'b'), -EIO);
	for (size_t i = 0; i < recorder.count; i++)
		CHECK(!is_slot_store(fs, &recorder.stores[i]));
	recorder.fail_from = NEVER;
	rig_expect(fs, inode, 0, 10000, 'a');
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'b'), 0);
	rig_expect(fs, inode, 3000, 6000, 'b');
	rig_check(fs->path);
	finish(fs, &recorder);
}

TEST("R3: when the primary's fence fails the outcome is unknown, and the handle does nothing more")
{
	struct recorder recorder;
	struct cowdax_error error;
	struct cowdax *fs;
	uint64_t inode;

	fs = make_recorded(&recorder, &inode);
	recorder.fail_from = recorder.fences + 1;
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'b'), -EIO);
	recorder.fail_from = NEVER;
	CHECK_EQUAL(cowdax_write(fs, inode, "x", 1, 0, NULL, &error), -EIO);
	CHECK(strstr(error.text, "open the image again"));
	CHECK_EQUAL(cowdax_begin(fs, &error), -EIO);
	cowdax_close(fs);
	fs = rig_open(unit_path("image"), 0);
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'b'), 0);
	rig_check(fs->path);
	cowdax_close(fs);
	recorder_free(&recorder);
}

TEST("R3: when the fence that the mirror waits for fails, its commit stands, and the slot is stored again first")
{
	struct recorder recorder;
	struct cowdax *fs;
	uint64_t inode, committed;

	fs = make_recorded(&recorder, &inode);
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'b'), 0);
	committed = fs->txn.committed.transaction;
	recorder.fail_from = recorder.fences;
	CHECK_EQUAL(try_write(fs, inode, 3000, 6000, 'c'), -EIO);
	recorder.fail_from = NEVER;
	rig_expect(fs, inode, 3000, 6000, 'b');
	recorder_restart(&recorder, &fs->device.pm);
	rig_begin(fs);
	CHECK_EQUAL(fs->txn.committed.transaction, committed);
	CHECK(recorder.count >= 2);
	CHECK_EQUAL(recorder.stores[0].offset, slot_of(fs, committed, false));
	CHECK_EQUAL(recorder.stores[1].offset, slot_of(fs, committed, true));
	CHECK(recorder.stores[0].fence < recorder.stores[1].made);
	cdx_txn_abort(&fs->txn);
	rig_expect(fs, inode, 3000, 6000, 'b');
	finish(fs, &recorder);
}

/* ---- four copies ------------------------------------------------------------------------------------------ */

static void damage(struct cowdax *fs, int copy, int how)
{
	unsigned char *at = (unsigned char *)(uintptr_t)fs->device.pm.base +
			    cdx_slot_offset(&fs->super, copy / 2, copy % 2);

	if (how == 1)
		memset(at, 0, CDX_SLOT_SIZE);
	else if (how == 2)
		at[100] ^= 1;
}

TEST("R3: whichever copies are torn or gone, the newest that is left is the image; a writer mends them all")
{
	const char *path = rig_make("image", 2 * MIB, 0, 512), *copy = unit_path("copy");
	struct cowdax *fs = rig_open(path, 0);
	uint64_t inode = rig_create(fs, "/a"), newest;
	struct recorder recorder = {0};
	struct cdx_slots slots;

	rig_write(fs, inode, 0, 10000, 'a');
	rig_write(fs, inode, 0, 10000, 'b');
	newest = fs->txn.committed.transaction;
	recorder_attach(&recorder, &fs->device.pm);
	for (int state = 0; state < 81; state++) {
		int how[4] = {state % 3, state / 3 % 3, state / 9 % 3, state / 27};
		int now = 2 * (int)(newest & 1), old = 2 - now, ret, expected;
		struct cowdax *mended;

		recorder_crash(&recorder, 0, NULL, NULL, copy);
		mended = rig_open(copy, 0);
		for (int i = 0; i < 4; i++)
			damage(mended, i, how[i]);
		cowdax_close(mended);
		expected = !how[now] || !how[now + 1] ? 'b' : !how[old] || !how[old + 1] ? 'a' : 0;
		if (!expected) {
			CHECK_EQUAL(try_open(copy, &mended), 0);
			CHECK_EQUAL(try_write(mended, inode, 0, 1, 'x'), -EUCLEAN);
			cowdax_close(mended);
			continue;
		}
		mended = rig_open(copy, 0);
		rig_expect(mended, inode, 0, 10000, expected);
		rig_begin(mended);
		ret = cdx_slots_read(&mended->device.pm, &mended->super, &slots);
		CHECK_EQUAL(ret, 0);
		for (int parity = 0; parity < 2; parity++) {
			CHECK_EQUAL(slots.valid[parity][0], slots.valid[parity][1]);
			if (slots.valid[parity][0])
				CHECK_EQUAL(get64(slots.copy[parity][0].commit.transaction),
					    get64(slots.copy[parity][1].commit.transaction));
		}
		rig_commit(mended);
		rig_commit((rig_begin(mended), mended));
		rig_expect(mended, inode, 0, 10000, expected);
		rig_check(copy);
		cowdax_close(mended);
	}
	finish(fs, &recorder);
}

/* ---- mkfs ------------------------------------------------------------------------------------------------------ */

/* The step of mkfs that a store belongs to. */
static int order_of(const struct cdx_super *super, const struct store *store)
{
	uint64_t end = store->offset + store->length, tail = super->size - 3 * 4096;

	if (!store->bytes && store->length > 4096)
		return 1;		/* superblock and slots, voided together */
	if (store->offset == 0 || store->offset == super->size - 4096)
		return store->bytes ? (store->offset ? 3 : 4) : 0;
	if ((store->offset >= 4096 && end <= 3 * 4096) || (store->offset >= tail && end <= super->size - 4096))
		return store->bytes ? 2 : 1;
	CHECK(store->offset >= 3 * 4096 && end <= tail);
	return 1;
}

TEST("R4: mkfs voids the old superblocks first and writes the new primary last, a fence between all steps")
{
	struct recorder recorder = {0};
	struct cdx_super super;
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	uint64_t last_fence[5] = {0}, first_fence[5] = {NEVER, NEVER, NEVER, NEVER, NEVER};

	rig_write(fs, rig_create(fs, "/old"), 0, 10000, 'o');
	super = fs->super;
	cowdax_close(fs);
	mkfs_recorder = &recorder;
	rig_make("image", 2 * MIB, 0, 0);
	mkfs_recorder = NULL;
	for (size_t i = 0; i < recorder.count; i++) {
		int step = order_of(&super, &recorder.stores[i]);
		uint64_t fence = recorder.stores[i].fence;

		CHECK(fence != NEVER);
		if (fence < first_fence[step])
			first_fence[step] = fence;
		if (fence > last_fence[step])
			last_fence[step] = fence;
	}
	/* Superblocks voided; slots voided and trees; slots; backup; primary. */
	for (int step = 1; step < 5; step++)
		CHECK(last_fence[step - 1] < first_fence[step]);
	recorder_free(&recorder);
}

TEST("R4: after a power cut in mkfs there is the new filesystem, or none; never the old one's remains")
{
	const char *path = unit_path("crash");
	struct recorder recorder = {0};
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	struct dice dice = {5};
	int none = 0, new = 0;

	rig_write(fs, rig_create(fs, "/old"), 0, 10000, 'o');
	cowdax_close(fs);
	mkfs_recorder = &recorder;
	rig_make("image", 2 * MIB, 0, 0);
	mkfs_recorder = NULL;
	for (uint64_t fences = 1; fences <= recorder.fences; fences++) {
		for (int how = 0; how < 6; how++) {
			struct cowdax_error error;
			uint64_t inode;

			recorder_crash(&recorder, fences,
				       how == 0 ? NULL : how == 1 ? recorder_all_reached : by_chance, &dice,
				       path);
			if (try_open(path, &fs)) {
				none++;
				continue;
			}
			CHECK_EQUAL(cowdax_lookup(fs, "/old", &inode, &error), -ENOENT);
			rig_check_but(path, cowdax_uses_backup(fs) ? "super-primary" : NULL);
			cowdax_close(fs);
			new++;
		}
	}
	CHECK(none > 0 && new > 0);
	recorder_free(&recorder);
}

TEST("R4: slots and nodes of a former life do not count, not even under the same UUID")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	struct cowdax_mkfs_options options = {.size = 2 * MIB, .seed = 4711};
	unsigned char *life = malloc(2 * MIB);
	struct cowdax_error error;
	uint64_t inode;

	CHECK(life);
	for (int i = 0; i < 20; i++)
		rig_write(fs, i ? rig_lookup(fs, "/old") : rig_create(fs, "/old"), 0, 10000, 'o');
	memcpy(options.uuid, fs->super.uuid, sizeof(options.uuid));
	memcpy(life, fs->device.pm.base, 2 * MIB);
	cowdax_close(fs);
	CHECK_EQUAL(cowdax_mkfs(unit_path("image"), &options, NULL, &error), 0);
	fs = rig_open(unit_path("image"), 0);
	rig_create(fs, "/new");
	/* Its slots have far higher numbers. */
	memcpy((unsigned char *)(uintptr_t)fs->device.pm.base + 4096, life + 4096, 4096);
	memcpy((unsigned char *)(uintptr_t)fs->device.pm.base + 2 * MIB - 12288, life + 2 * MIB - 12288, 4096);
	cowdax_close(fs);
	fs = rig_open(unit_path("image"), 0);
	CHECK_EQUAL(cowdax_lookup(fs, "/old", &inode, &error), -ENOENT);
	CHECK(fs->txn.committed.transaction < 6);
	cowdax_close(fs);
	free(life);
}

/* ---- numbers -------------------------------------------------------------------------------------------------------- */

TEST("R7: an inode number is never given twice, in this handle or another")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	uint64_t last = COWDAX_ROOT_INODE, inode;

	for (int i = 0; i < 50; i++) {
		inode = rig_create(fs, "/a");
		CHECK(inode > last);
		last = inode;
		if (i % 2)
			rig_write(fs, inode, 0, 5000, i);
		rig_remove(fs, "/a");
		if (i % 10 == 9) {
			cowdax_close(fs);
			fs = rig_open(unit_path("image"), 0);
		}
	}
	cowdax_close(fs);
}

TEST("R7: who holds the number of a removed file gets an error, not the file that came after")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 0), *other = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 5000, 'a');
	rig_remove(other, "/a");
	rig_create(other, "/a");
	CHECK(try_write(fs, inode, 0, 5000, 'x') < 0);
	CHECK(try_write(fs, inode, 0, 2 * MIB, 'x') < 0);	/* staged */
	rig_expect(fs, rig_lookup(fs, "/a"), 0, 0, 0);
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R8: an aborted transaction's number and grains are used again, and its nodes are not found")
{
	struct recorder recorder;
	struct cowdax_error error;
	uint64_t inode, number;
	struct cowdax *fs;

	fs = make_recorded(&recorder, &inode);
	for (int round = 0; round < 20; round++) {
		uint64_t found;
		char path[32];

		number = fs->txn.committed.transaction + 1;
		/* Nodes reach the media, and the cache, and then it fails. */
		recorder.fail_from = recorder.fences;
		snprintf(path, sizeof(path), "/bad-%d", round);
		CHECK_EQUAL(cowdax_create(fs, path, 0644, &found, &error), -EIO);
		recorder.fail_from = NEVER;
		snprintf(path, sizeof(path), "/new-%d", round);
		rig_create(fs, path);
		CHECK_EQUAL(fs->txn.committed.transaction, number);
		CHECK(rig_lookup(fs, path) > 0);
		snprintf(path, sizeof(path), "/bad-%d", round);
		CHECK_EQUAL(cowdax_lookup(fs, path, &found, &error), -ENOENT);
	}
	rig_expect(fs, inode, 0, 10000, 'a');
	rig_check(fs->path);
	finish(fs, &recorder);
}

/* ---- seeing ------------------------------------------------------------------------------------------------------------ */

TEST("a reader sees one commit from first to last, and the newest when it looks again")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 512), *reader = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a");

	rig_write(fs, inode, 0, 50000, 'a');
	CHECK_EQUAL(cdx_txn_view(&reader->txn, NULL), 0);
	for (int i = 0; i < 100; i++) {
		rig_write(fs, inode, (uint64_t)i * 400, 5000, 'b');
		rig_expect(reader, inode, 0, 50000, 'a');
	}
	cdx_txn_release_view(&reader->txn);
	rig_expect(reader, inode, 0, 40000, 'b');
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("R2: a reader that looks while slots change takes what is whole, or says there is nothing")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0), *reader = rig_again(fs);
	struct cowdax_error error = {0};

	rig_create(fs, "/a");
	for (int copy = 0; copy < 4; copy++)
		damage(fs, copy, 2);
	CHECK_EQUAL(cdx_txn_view(&reader->txn, &error), -EUCLEAN);
	CHECK(strstr(error.text, "no valid commit record"));
	CHECK_EQUAL(reader->txn.epoch, 0);
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("an abort leaves everything as it was, in memory and on the media")
{
	struct recorder recorder;
	struct cowdax_error error;
	struct cowdax *fs;
	uint64_t inode, free_grains, transaction;

	fs = make_recorded(&recorder, &inode);
	free_grains = fs->txn.record.free_grains;
	transaction = fs->txn.committed.transaction;
	for (int i = 0; i < 10; i++) {
		CHECK_EQUAL(cowdax_begin(fs, &error), 0);
		rig_write(fs, inode, 0, 50000, 'x');
		rig_create(fs, "/b");
		rig_remove(fs, "/a");
		cowdax_abort(fs);
	}
	CHECK_EQUAL(fs->txn.committed.transaction, transaction);
	CHECK_EQUAL(fs->txn.record.free_grains, free_grains);
	rig_expect(fs, inode, 0, 10000, 'a');
	for (size_t i = 0; i < recorder.count; i++)
		CHECK(!is_slot_store(fs, &recorder.stores[i]));
	rig_check(fs->path);
	finish(fs, &recorder);
}

TEST("one transaction at a time: who does not wait is told, and a reader may not write")
{
	const char *path = rig_make("image", 2 * MIB, 0, 0);
	struct cowdax *fs = rig_open(path, 0), *busy = rig_open(path, COWDAX_NO_WAIT);
	struct cowdax *reader = rig_open(path, COWDAX_RDONLY);
	struct cowdax_error error;

	rig_begin(fs);
	CHECK_EQUAL(cdx_txn_begin(&fs->txn, &error), -EBUSY);
	CHECK_EQUAL(cdx_txn_begin(&busy->txn, &error), -EAGAIN);
	CHECK(strstr(error.text, "another process is writing"));
	cdx_txn_abort(&fs->txn);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(cowdax_begin(busy, &error), -EAGAIN);
	CHECK_EQUAL(cowdax_begin(reader, &error), -EROFS);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	CHECK_EQUAL(cowdax_begin(busy, &error), 0);
	CHECK_EQUAL(cowdax_commit(busy, &error), 0);
	cowdax_close(reader);
	cowdax_close(busy);
	cowdax_close(fs);
}

TEST("a dry run computes and stores nothing")
{
	const char *path = rig_make("image", 2 * MIB, 0, 0);
	struct cowdax *fs = rig_open(path, 0), *dry;
	uint64_t inode = rig_create(fs, "/a");
	unsigned char *before = malloc(2 * MIB);

	CHECK(before);
	rig_write(fs, inode, 0, 10000, 'a');
	memcpy(before, fs->device.pm.base, 2 * MIB);
	dry = rig_open(path, COWDAX_DRY_RUN);
	rig_write(dry, inode, 100, 5000, 'b');
	rig_create(dry, "/b");
	cowdax_close(dry);
	CHECK(memcmp(before, fs->device.pm.base, 2 * MIB) == 0);
	free(before);
	cowdax_close(fs);
}

/* ---- bounded ------------------------------------------------------------------------------------------------------------- */

TEST("R15: small overwrites do not change the space tree")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a"), seed = 6;
	uint64_t before = 0;
	int changes = 0;

	for (int i = 0; i < 16; i++)
		rig_write(fs, inode, (uint64_t)i * 200000, 200000, 'a');
	for (int i = 0; i < 1000; i++) {
		rig_write(fs, inode, unit_below(&seed, 3000000), 100, i);
		if (i < 200)
			continue;
		changes += fs->txn.committed.space.address != before && i > 200;
		before = fs->txn.committed.space.address;
	}
	CHECK(changes <= 8);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R18: removing, truncating or punching 100,000 extents takes a handful of nodes")
{
	for (int how = 0; how < 3; how++) {
		struct cowdax *fs = rig_new(1024 * MIB, 0, 0);
		uint64_t number = rig_splintered(fs, "/a", 100000);
		struct cowdax_result result = {0};
		struct cdx_inode inode;
		struct cdx_txn *txn = rig_begin(fs);

		CHECK_EQUAL(cdx_inode_load(txn, number, &inode), 0);
		if (how == 0) {
			CHECK_EQUAL(cdx_path_remove(txn, "/a", false, NULL), 0);
		} else {
			if (how == 1)
				CHECK_EQUAL(cdx_file_truncate(txn, &inode, 4097, fs->scratch, &result), 0);
			else
				CHECK_EQUAL(cdx_file_fallocate(txn, &inode, COWDAX_FALLOCATE_PUNCH, 5000,
							       inode.size - 10000, true, fs->scratch, &result),
					    0);
			CHECK_EQUAL(cdx_inode_store(txn, &inode), 0);
		}
		CHECK(txn->nodes.dirty_count <= 40);
		rig_commit(fs);
		rig_check(fs->path);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("R18: one operation over 100,000 extents never holds more than a bounded number of dirty nodes")
{
	struct cowdax *fs = rig_new(1024 * MIB, 0, 512);
	uint64_t number = rig_splintered(fs, "/a", 100000);
	struct cowdax_result result = {0};
	struct cowdax_error error;

	/* Each hole becomes an extent of its own: 200,000 in the end, in one transaction. */
	CHECK_EQUAL(cowdax_fallocate(fs, number, COWDAX_FALLOCATE_UNWRITTEN, 0, 200000 * 4096ull, true, &result,
				     &error), 0);
	CHECK(fs->txn.nodes.dirty_room <= 16384);
	rig_check(fs->path);
	cowdax_close(fs);
}

static uint64_t private_memory(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t kib = 0;
	char line[128];

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1)
			break;
	fclose(file);
	CHECK(kib > 0);
	return kib;
}

/* What one transaction of @count operations of a kind has taken of memory by its end, KiB. */
static uint64_t memory_for(int kind, int count)
{
	uint64_t before = private_memory(), after, island;
	struct cowdax *fs = rig_new(512 * MIB, 0, 512);
	uint64_t inode = rig_splintered(fs, "/islands", 30000);
	struct cowdax_error error;
	char path[32];

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		if (kind == 0)
			rig_create(fs, path);
		island = (uint64_t)i * 7919 % 30000 * 8192;
		if (kind == 1)
			rig_write(fs, inode, island, 100, i);
		if (kind == 2)
			CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, island, 4096, true, NULL,
						     &error), 0);
	}
	after = private_memory();
	CHECK(fs->txn.nodes.dirty_room <= 16384);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_check(fs->path);
	cowdax_close(fs);
	remove(unit_path("image"));
	return after - before;
}

#ifdef __SANITIZE_ADDRESS__
/* What has been freed is to be given back: it would be counted with what is in use. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}
#endif

/* The same in a process of its own, whose heap nobody has used before. */
static uint64_t memory_for_alone(int kind, int count)
{
	uint64_t kib = 0;
	int ends[2], status;
	pid_t child;

	CHECK_EQUAL(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		kib = memory_for(kind, count);
		_exit(write(ends[1], &kib, sizeof(kib)) != sizeof(kib));
	}
	CHECK_EQUAL(waitpid(child, &status, 0), child);
	CHECK_EQUAL(status, 0);
	CHECK(read(ends[0], &kib, sizeof(kib)) == sizeof(kib));
	close(ends[0]);
	close(ends[1]);
	return kib;
}

TEST("R18: a transaction of 40,000 operations takes no more memory than one of 10,000, but for a little")
{
	for (int kind = 0; kind < 3; kind++) {
		uint64_t few, many;

		few = memory_for_alone(kind, 10000);
		many = memory_for_alone(kind, 40000);
		unit_note("kind %d: %" PRIu64 " and %" PRIu64 " KiB", kind, few, many);
		CHECK(many <= few + few / 2 + 1024);
	}
}

TEST("R8: what an aborted transaction wrote out early is not taken for what the next of its number writes")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	struct cowdax_error error;
	uint64_t number = 0;
	char path[32];

	for (int round = 0; round < 3; round++) {
		CHECK_EQUAL(cowdax_begin(fs, &error), 0);
		CHECK(!number || number == fs->txn.record.transaction);
		number = fs->txn.record.transaction;
		for (int i = 0; i < 20000; i++) {
			snprintf(path, sizeof(path), "/%d-%d", round, i);
			rig_create(fs, path);
		}
		if (round < 2)
			cowdax_abort(fs);
		else
			CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "/2-%d", i);
		CHECK(rig_lookup(fs, path) > 0);
	}
	rig_check(fs->path);
	cowdax_close(fs);
}

/* ---- full ---------------------------------------------------------------------------------------------------------------------- */

static uint64_t fill(struct cowdax *fs, const char *path, uint64_t piece)
{
	uint64_t inode = rig_create(fs, path), done = 0;

	while (try_write(fs, inode, done, piece, 'f') == 0)
		done += piece;
	return done;
}

TEST("R17: on a full image a write fails cleanly, a removal works, and what it frees can be written")
{
	static const uint32_t node_sizes[] = {512, 1024, 4096};

	for (int i = 0; i < 3; i++) {
		struct cowdax *fs = rig_new(6 * MIB, 0, node_sizes[i]);
		uint64_t inode = rig_create(fs, "/a"), done, other;

		rig_write(fs, inode, 0, 100000, 'a');
		done = fill(fs, "/big", 50000);
		CHECK(done > 4 * MIB);
		rig_check(fs->path);
		other = rig_free_blocks(fs);
		CHECK_EQUAL(try_write(fs, inode, 0, 300000, 'x'), -ENOSPC);
		rig_expect(fs, inode, 0, 100000, 'a');
		CHECK_EQUAL(rig_free_blocks(fs) / 16, other / 16);
		rig_remove(fs, "/big");
		rig_check(fs->path);
		CHECK_EQUAL(try_write(fs, rig_create(fs, "/again"), 0, 300000, 'y'), 0);
		other = fill(fs, "/again2", 50000);
		CHECK(other + 400000 > done);
		rig_check(fs->path);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("R17: a removal works on an image full of names, even while a reader holds all that is freed")
{
	static const uint32_t node_sizes[] = {512, 1024, 4096};

	for (int n = 0; n < 3; n++) {
		struct cowdax *fs = rig_new(3 * MIB, 0, node_sizes[n]), *reader;
		struct cowdax_error error;
		uint64_t inode;
		char path[300];
		int files = 0;

		do {
			snprintf(path, sizeof(path), "/%0200d", files++);
		} while (cowdax_create(fs, path, 0644, &inode, &error) == 0);
		CHECK(files > 100);
		reader = rig_open(fs->path, COWDAX_RDONLY);
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "/%0200d", files / 2 + i);
			rig_remove(fs, path);
		}
		rig_check(fs->path);
		cowdax_close(reader);
		for (int i = 0; i < files - 1; i++) {
			snprintf(path, sizeof(path), "/%0200d", i);
			if (i != files / 2 && i != files / 2 + 1)
				rig_remove(fs, path);
		}
		rig_check(fs->path);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("R17: a full image of shared and splintered files can be emptied again")
{
	struct cowdax *fs = rig_new(6 * MIB, 0, 512);
	struct cowdax_error error;
	uint64_t before = rig_free_blocks(fs), seed = 9;
	char path[32];

	rig_write(fs, rig_create(fs, "/0"), 0, 2 * MIB, '0');
	for (int i = 1; i < 12; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		if (cowdax_clone(fs, "/0", path, NULL, &error))
			break;
	}
	for (int failed = 0; failed < 50;) {
		uint64_t inode;

		snprintf(path, sizeof(path), "/%u", (unsigned int)unit_below(&seed, 12));
		inode = rig_lookup(fs, path);
		failed += try_write(fs, inode, unit_below(&seed, 2 * MIB), 100, 'x') != 0;
	}
	rig_check(fs->path);
	for (int i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		rig_remove(fs, path);
		rig_check(fs->path);
	}
	rig_drain(fs);
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 8 >= before);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R17: a reader that holds some of what was freed fails nothing that there is room for")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 0), *reader = NULL;
	uint64_t inode = rig_create(fs, "/a"), seed = 5;
	unsigned char *bytes = calloc(1, 2 * MIB);
	struct cowdax_error error;

	CHECK(bytes);
	for (int i = 0; i < 300; i++) {
		if (i % 3 == 0) {
			cowdax_close(reader);
			reader = rig_open(fs->path, COWDAX_RDONLY);
		}
		/* The file, what the reader sees, what is dropped and what is new: 20 of the 32 MiB. */
		CHECK_EQUAL(cowdax_write(fs, inode, bytes, 2 * MIB, unit_below(&seed, 3) * 2 * MIB, NULL, &error), 0);
	}
	cowdax_close(reader);
	rig_check(fs->path);
	cowdax_close(fs);
	free(bytes);
}

TEST("R17: one that fails for a reader's sake says so, and works when the reader is gone")
{
	struct cowdax *fs = rig_new(6 * MIB, 0, 0), *reader;
	struct cowdax_error error;
	unsigned char *bytes = calloc(1, 2 * MIB);
	uint64_t inode;

	CHECK(bytes);
	fill(fs, "/big", 50000);
	reader = rig_open(fs->path, COWDAX_RDONLY);
	rig_remove(fs, "/big");
	inode = rig_create(fs, "/a");
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, MIB, 0, NULL, &error), -ENOSPC);
	CHECK(strstr(error.text, "/a: No space left on device: a reader still holds"));
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, 2 * MIB, 0, NULL, &error), -ENOSPC);
	CHECK(strstr(error.text, "/a: No space left on device: a reader still holds"));
	cowdax_close(reader);
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, MIB, 0, NULL, &error), 0);
	free(bytes);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("L4: a transaction of several operations is not refused space that is free for the sake of limbo's")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t inode = rig_splintered(fs, "/a", 2000), left;
	struct cowdax_error error;

	/* Many pieces in limbo, and the rest of the image full but for 5 %. */
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < 2000; i += 3)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 8192 * i, 4096, true, NULL, &error), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	CHECK(fs->txn.record.limbo.address != 0);
	rig_begin(fs);
	left = fs->txn.record.free_grains / 4 - fs->super.blocks / 14;
	cdx_txn_abort(&fs->txn);
	CHECK_EQUAL(try_write(fs, rig_create(fs, "/b"), 0, left * 4096, 'b'), 0);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK(fs->txn.record.limbo.address != 0);
	inode = rig_create(fs, "/c");
	rig_write(fs, inode, 0, (cdx_budget(&fs->txn).available / 4 - 8) * 4096, 'c');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R17: a file of many small extents that fills the image is all there for use after one removal")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	uint64_t done = 0;

	CHECK(rig_splintered(fs, "/a", 3600) > 0);
	while (try_write(fs, done ? rig_lookup(fs, "/b") : rig_create(fs, "/b"), done, 4096, 'b') == 0)
		done += 4096;
	rig_remove(fs, "/a");
	CHECK_EQUAL(try_write(fs, rig_create(fs, "/c"), 0, 3500 * 4096, 'c'), 0);
	rig_check(fs->path);
	cowdax_close(fs);
}
