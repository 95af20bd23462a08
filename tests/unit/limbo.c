// SPDX-License-Identifier: GPL-2.0-or-later
/* Freed is not free until nobody can see it. */
#include "txn/limbo.h"

#include <unistd.h>

#include "rig.h"

/* ---- helpers ------------------------------------------------------------------------ */

struct census {
	uint64_t run, drop, tree;	/* entries of each type */
	uint64_t oldest, newest;	/* transactions */
	uint64_t grains;
};

static int count_entry(void *arg, const struct cdx_limbo_entry *entry)
{
	struct census *census = arg;

	census->run += entry->type == CDX_LIMBO_RUN;
	census->drop += entry->type == CDX_LIMBO_DROP;
	census->tree += entry->type == CDX_LIMBO_TREE;
	census->grains += entry->count;
	if (!census->oldest || entry->transaction < census->oldest)
		census->oldest = entry->transaction;
	if (entry->transaction > census->newest)
		census->newest = entry->transaction;
	return 0;
}

static struct census take_census(struct cdx_txn *txn)
{
	struct census census = {0};

	CHECK_EQUAL(cdx_limbo_walk(txn, count_entry, &census), 0);
	return census;
}

/* A transaction of its own that changes nothing. */
static void pass(struct cowdax *fs)
{
	rig_begin(fs);
	rig_commit(fs);
}

/* A file of @count blocks, each an extent of its own because every other one is a hole. */
static uint64_t islands(struct cowdax *fs, const char *path, uint64_t count)
{
	uint64_t inode = rig_create(fs, path);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < count; i++)
		rig_write(fs, inode, 8192 * i, 4096, (int)i);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	return inode;
}

static void expect_islands(struct cowdax *fs, uint64_t inode, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		rig_expect(fs, inode, 8192 * i, 4096, (int)i);
}

/* ---- how long it waits ------------------------------------------------------------------- */

TEST("R2: what is dropped at T waits through T+1 and is there for use at T+2")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t inode = islands(fs, "/a", 80), dropped_at;
	struct cowdax_error error;

	rig_drain(fs);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < 60; i += 2)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 8192 * i, 4096, true, NULL,
					     &error), 0);
	dropped_at = fs->txn.record.transaction;
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_begin(fs);				/* T + 1 */
	CHECK_EQUAL(take_census(&fs->txn).newest, dropped_at);
	CHECK(take_census(&fs->txn).run >= 30);
	rig_commit(fs);
	rig_begin(fs);				/* T + 2 */
	CHECK(take_census(&fs->txn).oldest != dropped_at);
	cdx_txn_abort(&fs->txn);
	rig_check(fs->path);
	cowdax_close(fs);
}

/* Make the newest commit unreadable in a copy of the image. */
static void lose_newest(const struct cowdax *fs, const char *copy)
{
	uint64_t newest = fs->txn.committed.transaction;
	unsigned char *bytes = malloc(fs->super.size);
	FILE *file = fopen(copy, "wbe");

	CHECK(bytes && file);
	memcpy(bytes, fs->device.pm.base, fs->super.size);
	for (int mirror = 0; mirror < 2; mirror++)
		memset(bytes + cdx_slot_offset(&fs->super, (int)(newest & 1), mirror), 0, CDX_SLOT_SIZE);
	CHECK(fwrite(bytes, 1, fs->super.size, file) == fs->super.size);
	CHECK_EQUAL(fclose(file), 0);
	free(bytes);
}

TEST("R2: after every commit the one before it is a whole image still")
{
	struct cowdax *fs = rig_new(3 * MIB, 0, 512);
	const char *copy = unit_path("copy");
	struct cowdax_error error;
	uint64_t seed = 8;

	for (int i = 0; i < 150; i++) {
		uint64_t choice = unit_below(&seed, 10), inode;
		char path[32], other[32];

		snprintf(path, sizeof(path), "/%u", (unsigned int)unit_below(&seed, 5));
		snprintf(other, sizeof(other), "/%u", (unsigned int)unit_below(&seed, 5));
		if (cowdax_lookup(fs, path, &inode, &error))
			inode = rig_create(fs, path);
		if (choice < 6)
			rig_write(fs, inode, unit_below(&seed, 60) * 4000, 1 + unit_below(&seed, 20000), i);
		else if (choice < 8 && strcmp(path, other) != 0)
			CHECK_EQUAL(cowdax_clone(fs, path, other, NULL, &error), 0);
		else
			rig_remove(fs, path);
		if (i % 3 == 0) {
			lose_newest(fs, copy);
			rig_check_but(copy, "slot-");
		}
	}
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R6: a reader, of this handle or another, keeps everything dropped after its image")
{
	for (int own = 0; own < 2; own++) {
		struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other = rig_again(fs);
		struct cdx_txn *reader = own ? &fs->txn : &other->txn;
		struct census before, after;
		uint64_t inode = islands(fs, "/a", 60);

		rig_drain(fs);
		CHECK_EQUAL(cdx_txn_view(reader, NULL), 0);
		for (uint64_t i = 0; i < 60; i++)
			rig_write(fs, inode, 8192 * i, 4096, 0xee);
		before = take_census(&fs->txn);
		CHECK(before.grains >= 60 * 4);
		rig_drain(fs);
		after = take_census(&fs->txn);
		CHECK(after.grains >= before.grains);
		CHECK(after.oldest > reader->epoch);
		cdx_txn_release_view(reader);
		rig_drain(fs);
		after = take_census(&fs->txn);
		CHECK(after.grains < 60 * 4);
		rig_check(fs->path);
		cowdax_close(other);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("R6: a reader sees its image to the end, whatever is written, removed and drained meanwhile")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 512), *reader;
	uint64_t inode = islands(fs, "/a", 100), next = 0;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_clone(fs, "/a", "/b", NULL, &error), 0);
	reader = rig_open(fs->path, COWDAX_RDONLY);
	rig_remove(fs, "/a");
	for (int round = 0; round < 5; round++) {
		next = rig_create(fs, "/c");
		rig_write(fs, next, 0, 300000, 0xcc);
		rig_write(fs, rig_lookup(fs, "/b"), 8192 * (uint64_t)round, 4096, 0xbb);
		rig_remove(fs, "/c");
		rig_drain(fs);
		expect_islands(reader, inode, 100);
	}
	cowdax_close(reader);
	rig_drain(fs);
	rig_check(fs->path);
	cowdax_close(fs);
}

/* ---- taking trees apart ----------------------------------------------------------------------- */

struct entries {
	struct cdx_limbo_entry entry[8192];
	size_t n;
};

static int note_entry(void *arg, const struct cdx_limbo_entry *entry)
{
	struct entries *entries = arg;

	CHECK(entries->n < sizeof(entries->entry) / sizeof(entries->entry[0]));
	entries->entry[entries->n++] = *entry;
	return 0;
}

TEST("R5: what a drained tree pointed to is dated by the drainer, not by the tree")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 512);
	struct entries *before = calloc(1, sizeof(*before)), *after = calloc(1, sizeof(*after));
	size_t expanded = 0;

	CHECK(before && after);
	islands(fs, "/a", 1000);
	rig_drain(fs);
	rig_remove(fs, "/a");
	CHECK_EQUAL(take_census(&fs->txn).tree, 1);
	for (int i = 0; i < 30; i++) {
		uint64_t number;

		CHECK_EQUAL(cdx_txn_begin_undrained(&fs->txn, NULL), 0);
		number = fs->txn.record.transaction;
		before->n = after->n = 0;
		CHECK_EQUAL(cdx_limbo_walk(&fs->txn, note_entry, before), 0);
		CHECK(cdx_limbo_drain_hard(&fs->txn, number - 2, 50) >= 0);
		CHECK_EQUAL(cdx_limbo_walk(&fs->txn, note_entry, after), 0);
		for (size_t a = 0; a < after->n; a++) {
			const struct cdx_limbo_entry *entry = &after->entry[a];
			bool old = false;

			for (size_t b = 0; b < before->n && !old; b++)
				old = before->entry[b].address == entry->address &&
				      before->entry[b].transaction == entry->transaction;
			CHECK(old || entry->transaction == number);
			expanded += !old && entry->type == CDX_LIMBO_TREE;
		}
		rig_commit(fs);
	}
	CHECK(expanded >= 50);
	free(before);
	free(after);
	rig_check(fs->path);
	cowdax_close(fs);
}

/*
 * A and B share a tree.  A is removed: its root, now B's no more, waits in limbo
 * with a pointer to a leaf that B still has.  B then writes into that leaf and
 * leaves the old one to the limbo entry alone.  A reader from between the two
 * sees B as it was: draining A's root must not make the leaf free for it.
 */
TEST("R5: a shared leaf that lost its other parent later stays while its readers do")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 512), *reader;
	uint64_t a = islands(fs, "/a", 200), b, fill;
	struct cowdax_error error;

	(void)a;
	CHECK_EQUAL(cowdax_clone(fs, "/a", "/b", NULL, &error), 0);
	b = rig_lookup(fs, "/b");
	rig_write(fs, b, 0, 4096, 0);		/* B's root is its own now, the leaves are shared */
	rig_remove(fs, "/a");
	pass(fs);
	reader = rig_open(fs->path, COWDAX_RDONLY);
	expect_islands(reader, b, 200);
	for (uint64_t i = 0; i < 200; i += 10)
		rig_write(fs, b, 8192 * i, 4096, 0xee);
	rig_drain(fs);
	/* Whatever came free is written over. */
	fill = rig_create(fs, "/fill");
	for (uint64_t i = 0; i < 900; i++) {
		unsigned char block[4096];

		memset(block, 0xff, sizeof(block));
		if (cowdax_write(fs, fill, block, sizeof(block), i * 4096, NULL, &error))
			break;
	}
	expect_islands(reader, b, 200);
	cowdax_close(reader);
	rig_drain(fs);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("removing a file of any size takes one small transaction, and draining gives all its space back")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	uint64_t before;

	rig_drain(fs);
	before = rig_free_blocks(fs);
	islands(fs, "/a", 3000);
	rig_begin(fs);
	CHECK_EQUAL(cdx_path_remove(&fs->txn, "/a", false, NULL), 0);
	CHECK(fs->txn.nodes.dirty_count < 10);
	rig_commit(fs);
	rig_drain(fs);
	CHECK_EQUAL(take_census(&fs->txn).tree, 0);
	CHECK(rig_free_blocks(fs) + 2 >= before);
	rig_check(fs->path);
	cowdax_close(fs);
}

/* ---- lists and trees ------------------------------------------------------------------------------ */

TEST("R16: more entries than the record holds spill into a tree, and come back from there")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	uint64_t inode = islands(fs, "/a", 600), before;
	struct cowdax_error error;
	struct census census;

	rig_drain(fs);
	before = rig_free_blocks(fs);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	/* Every third island, so that the runs do not join. */
	for (uint64_t i = 0; i < 600; i += 3)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 8192 * i, 4096, true, NULL,
					     &error), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	CHECK(fs->txn.record.limbo.address != 0);
	CHECK(fs->txn.record.list.n <= CDX_MAX_RECORD_LIMBO);
	census = take_census(&fs->txn);
	CHECK(census.grains >= 200 * 8);
	rig_check(fs->path);
	rig_drain(fs);
	CHECK_EQUAL(fs->txn.record.limbo.address, 0);
	CHECK(rig_free_blocks(fs) >= before + 195);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R16: what spilled waits for readers like the rest")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512), *reader;
	uint64_t inode = islands(fs, "/a", 600);
	struct cowdax_error error;

	rig_drain(fs);
	reader = rig_open(fs->path, COWDAX_RDONLY);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < 600; i += 3)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 8192 * i, 4096, true, NULL,
					     &error), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_drain(fs);
	CHECK(fs->txn.record.limbo.address != 0);
	expect_islands(reader, inode, 600);
	rig_check(fs->path);
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("R18: a dropped range with splintered counts is put off whole, and undone piece by piece")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	uint64_t inode = rig_create(fs, "/a"), before;
	struct cowdax_error error;
	bool dropped = false;

	rig_create(fs, "/b");
	rig_drain(fs);
	before = rig_free_blocks(fs);
	rig_write(fs, inode, 0, 400 * 4096, 'a');	/* one extent */
	for (uint64_t i = 0; i < 400; i += 2)
		CHECK_EQUAL(cowdax_clone_range(fs, "/a", i * 4096, "/b", i * 4096, 4096, NULL, &error), 0);
	rig_remove(fs, "/a");
	dropped = take_census(&fs->txn).drop > 0;
	rig_check(fs->path);
	for (int i = 0; i < 30; i++) {
		rig_begin(fs);
		CHECK(cdx_limbo_drain_hard(&fs->txn, fs->txn.record.transaction - 2, 64) >= 0);
		rig_commit(fs);
		rig_check(fs->path);
	}
	CHECK(dropped);
	CHECK_EQUAL(take_census(&fs->txn).drop, 0);
	for (uint64_t i = 0; i < 400; i += 2)
		rig_expect(fs, rig_lookup(fs, "/b"), i * 4096, 4096, 'a');
	rig_remove(fs, "/b");
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 4 >= before);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R18: one transaction may drop several pointers to one splintered range, and many other things")
{
	for (int islands_too = 0; islands_too < 2; islands_too++) {
		struct cowdax *fs = rig_new(64 * MIB, 0, 512);
		uint64_t inode = rig_create(fs, "/a"), other, before;
		struct cowdax_error error;
		char path[32];

		rig_create(fs, "/b");
		other = islands(fs, "/islands", 600);
		rig_drain(fs);
		before = rig_free_blocks(fs);
		rig_write(fs, inode, 0, 100 * 4096, 'a');	/* one extent, inline */
		for (uint64_t i = 0; i < 100; i += 2)
			CHECK_EQUAL(cowdax_clone_range(fs, "/a", i * 4096, "/b", i * 4096, 4096, NULL, &error), 0);
		for (int i = 0; i < 4; i++) {
			snprintf(path, sizeof(path), "/clone-%d", i);
			CHECK_EQUAL(cowdax_clone(fs, "/a", path, NULL, &error), 0);
		}
		CHECK_EQUAL(cowdax_begin(fs, &error), 0);
		for (int i = 0; i < 4; i++) {
			snprintf(path, sizeof(path), "/clone-%d", i);
			rig_remove(fs, path);
		}
		for (uint64_t i = 0; islands_too && i < 600; i += 3)
			CHECK_EQUAL(cowdax_fallocate(fs, other, COWDAX_FALLOCATE_PUNCH, 8192 * i, 4096, true,
						     NULL, &error), 0);
		CHECK_EQUAL(cowdax_commit(fs, &error), 0);
		rig_check(fs->path);
		rig_drain(fs);
		rig_check(fs->path);
		rig_remove(fs, "/a");
		rig_remove(fs, "/b");
		rig_drain(fs);
		CHECK(rig_free_blocks(fs) + 4 >= before);
		rig_check(fs->path);
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("runs that touch become one entry")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t start, count;
	bool found = false;

	CHECK_EQUAL(cdx_alloc_data(txn, 12, &start, &count), 0);
	CHECK_EQUAL(count, 12);
	CHECK_EQUAL(cdx_limbo_add_run(txn, start * 4, 4), 0);
	CHECK_EQUAL(cdx_limbo_add_run(txn, start * 4 + 4, 4), 0);
	CHECK_EQUAL(cdx_limbo_add_run(txn, start * 4 + 12, 4), 0);
	CHECK_EQUAL(cdx_limbo_add_run(txn, start * 4 + 16, 4), 0);
	for (size_t i = 0; i < txn->record.list.n; i++) {
		const struct cdx_limbo_entry *entry = &txn->record.list.entry[i];

		found |= entry->address == start * 4 + 12 && entry->count == 8;
		CHECK(entry->address != start * 4 || entry->count == 8);
	}
	CHECK(found);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R20: an entry for a tree that is none costs its space, not the transactions that follow")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other;
	struct cdx_limbo_entry entry = {.type = CDX_LIMBO_TREE, .kind = CDX_KIND_EXTENT, .count = 1};
	struct cdx_txn *txn = rig_begin(fs);

	CHECK_EQUAL(cdx_alloc_node(txn, &entry.address), 0);
	cdx_alloc_settle(txn);
	entry.transaction = txn->record.transaction;
	for (int i = 0; i < 2; i++) {
		CHECK_EQUAL(cdx_limbo_list_add(&txn->record.list, &entry), 0);
		entry.address += 1000;		/* in free space */
	}
	rig_commit(fs);
	for (int i = 0; i < 40; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/%d", i);
		rig_write(fs, rig_create(fs, path), 0, 5000, i);
	}
	other = rig_again(fs);
	for (int i = 0; i < 40; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/%d", i);
		rig_expect(other, rig_lookup(other, path), 0, 5000, i);
	}
	CHECK(take_census(&fs->txn).tree >= 1);
	cowdax_close(other);
	cowdax_close(fs);
}
