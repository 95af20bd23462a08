// SPDX-License-Identifier: GPL-2.0-or-later
/* R17, L4: on a full image removing, truncating and punching work, and give back what they say. */
#include <errno.h>
#include <inttypes.h>

#include "rig.h"

#define DISTANCE 7919	/* a prime: a walk of blocks that are not neighbours */

static struct cowdax_error error;

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	unit_note("%s: %s", what, error.text);
	unit_fail(__FILE__, __LINE__, what);
}

static void remove_all(struct cowdax *fs, const char *path)
{
	must(cowdax_remove(fs, path, true, &error), path);
}

/* ---- filling ---------------------------------------------------------------------------- */

static bool try_write(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length)
{
	unsigned char *bytes = malloc(length);
	int ret;

	CHECK(bytes);
	memset(bytes, 7, length);
	ret = cowdax_write(fs, inode, bytes, length, offset, NULL, &error);
	free(bytes);
	if (ret && ret != -ENOSPC)
		must(ret, "write");
	return ret == 0;
}

/* Append to a file until nothing fits, by ever smaller pieces. */
static void fill_bytes(struct cowdax *fs, const char *path)
{
	uint64_t inode, offset = 0;

	if (cowdax_create(fs, path, 0644, &inode, &error))
		return;
	for (uint64_t length = 4 * MIB; length >= fs->super.block_size;) {
		if (try_write(fs, inode, offset, length))
			offset += length;
		else
			length /= 2;
	}
}

/* Create empty files and directories until not even that can be had. */
static void fill_names(struct cowdax *fs)
{
	for (int failures = 0, i = 0; failures < 3; i++) {
		char path[64];
		uint64_t inode;
		int ret;

		snprintf(path, sizeof(path), "/name%d", i);
		ret = i % 3 ? cowdax_create(fs, path, 0644, &inode, &error) :
			      cowdax_mkdir(fs, path, 0755, false, &error);
		if (ret && ret != -ENOSPC)
			must(ret, path);
		failures += ret != 0;
	}
}

static void fill(struct cowdax *fs)
{
	fill_bytes(fs, "/filler");
	fill_names(fs);
}

/* Files of @bytes each in @directory, one transaction for twenty. */
static void make_files(struct cowdax *fs, const char *directory, int count, uint64_t bytes)
{
	char buffer[8192];

	memset(buffer, 3, sizeof(buffer));
	for (int i = 0; i < count; i++) {
		char path[128];
		uint64_t inode;

		if (i % 20 == 0)
			must(cowdax_begin(fs, &error), "begin");
		snprintf(path, sizeof(path), "%s/file%d", directory, i);
		must(cowdax_create(fs, path, 0644, &inode, &error), path);
		if (bytes)
			must(cowdax_write(fs, inode, buffer, bytes, 0, NULL, &error), path);
		if (i % 20 == 19 || i == count - 1)
			must(cowdax_commit(fs, &error), "commit");
	}
}

/* What was given back can be had: one file of nearly that. */
static void expect_room(struct cowdax *fs, uint64_t bytes)
{
	uint64_t inode, offset = 0, piece = 64 * fs->super.block_size;

	must(cowdax_create(fs, "/again", 0644, &inode, &error), "create again");
	for (; offset + piece <= bytes; offset += piece)
		if (!try_write(fs, inode, offset, piece))
			break;
	if (offset + piece <= bytes)
		unit_note("%" PRIu64 " of %" PRIu64 " bytes could be written", offset, bytes);
	CHECK(offset + piece > bytes);
}

static void expect_gone(struct cowdax *fs, const char *path)
{
	uint64_t inode;

	CHECK_EQUAL(cowdax_lookup(fs, path, &inode, &error), -ENOENT);
	CHECK_EQUAL(fs->txn.record.orphans, 0);
	rig_check(fs->path);
}

/* ---- trees of names --------------------------------------------------------------------------- */

static void remove_wide(uint64_t size, uint32_t node_size, int count, uint64_t bytes)
{
	struct cowdax *fs = rig_new(size, 0, node_size);

	must(cowdax_mkdir(fs, "/wide", 0755, false, &error), "mkdir");
	make_files(fs, "/wide", count, bytes);
	fill(fs);
	rig_check(fs->path);
	remove_all(fs, "/wide");
	expect_gone(fs, "/wide");
	expect_room(fs, bytes ? (uint64_t)count * fs->super.block_size * 9 / 10 : 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R17: a directory of 4,000 files is removed from a full image, whatever its nodes' size")
{
	static const uint32_t sizes[] = {512, 1024, 2048, 4096};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		remove_wide(24 * MIB, sizes[i], 4000, 100);
}

TEST("R17: a directory of 8,000 files is removed from a full image")
{
	remove_wide(48 * MIB, 1024, 8000, 4096);
	remove_wide(16 * MIB, 512, 8000, 0);
}

TEST("R17: a directory of 20,000 files is removed from a full image")
{
	remove_wide(128 * MIB, 0, 20000, 100);
	remove_wide(32 * MIB, 4096, 20000, 0);
}

TEST("R17: directories 10,000 deep are removed from a full image")
{
	static const uint32_t sizes[] = {512, 1024, 4096};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct cowdax *fs = rig_new(24 * MIB, 0, sizes[i]);
		char path[20004] = "";

		for (size_t depth = 0; depth < 10000; depth++)
			memcpy(path + 2 * depth, "/d", 3);
		must(cowdax_mkdir(fs, path, 0755, true, &error), "mkdir -p");
		fill(fs);
		remove_all(fs, "/d");
		expect_gone(fs, "/d");
		cowdax_close(fs);
	}
}

TEST("R17: a tree of many directories with files in each is removed from a full image")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 512);

	for (int i = 0; i < 150; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/top/%d/%d", i / 12, i);
		must(cowdax_mkdir(fs, path, 0755, true, &error), path);
		make_files(fs, path, 25, i % 2 ? 300 : 0);
	}
	fill(fs);
	remove_all(fs, "/top");
	expect_gone(fs, "/top");
	expect_room(fs, 75u * 25 * 4096 * 9 / 10);
	cowdax_close(fs);
}

/* ---- many at once -------------------------------------------------------------------------- */

/* Files of a full image, removed in one transaction, in an order that is none; what the commit says. */
static int remove_in_one(struct cowdax *fs, int count, int removed)
{
	must(cowdax_begin(fs, &error), "begin");
	for (int i = 0; i < removed; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/wide/file%d", i * DISTANCE % count);
		must(cowdax_remove(fs, path, false, &error), path);
	}
	return cowdax_commit(fs, &error);
}

static struct cowdax *full_of_files(uint32_t node_size, int count, uint64_t bytes)
{
	struct cowdax *fs = rig_new(48 * MIB, 0, node_size);

	must(cowdax_mkdir(fs, "/wide", 0755, false, &error), "mkdir");
	make_files(fs, "/wide", count, bytes);
	fill(fs);
	return fs;
}

TEST("R17: thousands of files are removed from a full image in one transaction, whatever it has to remember meanwhile")
{
	static const struct { uint32_t node_size; int count; uint64_t bytes; } cases[] = {
		{4096, 8000, 0}, {4096, 8000, 4096}, {1024, 8000, 0}, {2048, 44000, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int count = cases[i].count;
		struct cowdax *fs = full_of_files(cases[i].node_size, count, cases[i].bytes);

		must(remove_in_one(fs, count, count), "commit");
		rig_check(fs->path);
		expect_room(fs, cases[i].bytes * 7000);
		rig_check(fs->path);
		cowdax_close(fs);
	}
}

TEST("R17: where many removals at once have no room they say how much they would need, and nothing has changed")
{
	struct cowdax *fs = full_of_files(1024, 8000, 0);
	uint64_t inodes = fs->txn.committed.inodes;

	CHECK_EQUAL(remove_in_one(fs, 8000, 1000), -ENOSPC);
	CHECK(strstr(error.text, fs->path) && strstr(error.text, "KiB before they give any back"));
	CHECK_EQUAL(fs->txn.committed.inodes, inodes);
	rig_check(fs->path);
	remove_all(fs, "/wide");
	expect_gone(fs, "/wide");
	cowdax_close(fs);
}

/* ---- data ------------------------------------------------------------------------------------- */

/* A file of @count blocks in which no two neighbours lie together on disk: written in steps of a prime. */
static uint64_t make_scattered(struct cowdax *fs, const char *path, uint64_t count)
{
	unsigned char block[4096];
	uint64_t inode = rig_create(fs, path);

	memset(block, 5, sizeof(block));
	for (uint64_t i = 0; i < count; i++) {
		if (i % 200 == 0)
			must(cowdax_begin(fs, &error), "begin");
		must(cowdax_write(fs, inode, block, sizeof(block), i * DISTANCE % count * sizeof(block), NULL,
				  &error), path);
		if (i % 200 == 199 || i == count - 1)
			must(cowdax_commit(fs, &error), "commit");
	}
	return inode;
}

/* Clone it, then write every third block of the clone anew: counts that splinter. */
static uint64_t make_clone(struct cowdax *fs, const char *from, const char *to, uint64_t count)
{
	unsigned char block[4096];
	uint64_t inode;

	memset(block, 6, sizeof(block));
	must(cowdax_clone(fs, from, to, NULL, &error), to);
	inode = rig_lookup(fs, to);
	for (uint64_t i = 0; i < count; i += 3)
		must(cowdax_write(fs, inode, block, sizeof(block), i * sizeof(block), NULL, &error), to);
	return inode;
}

enum less { TO_ZERO, TO_ONE, TO_HALF, PUNCH_ALL, PUNCH_MIDDLE, PUNCH_MANY, REMOVED, LESS_COUNT };

static void take_away(struct cowdax *fs, uint64_t inode, const char *path, uint64_t count, enum less less)
{
	uint64_t size = count * 4096;

	switch (less) {
	case TO_ZERO:
	case TO_ONE:
	case TO_HALF:
		must(cowdax_truncate(fs, inode, less == TO_HALF ? size / 2 + 77 : less == TO_ONE, NULL, &error),
		     "truncate");
		break;
	case PUNCH_ALL:
	case PUNCH_MIDDLE:
		must(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, less == PUNCH_ALL ? 0 : size / 4 + 99,
				      less == PUNCH_ALL ? size : size / 2, true, NULL, &error), "punch");
		break;
	case PUNCH_MANY:
		for (uint64_t i = 0; i < count; i += 2)
			must(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, i * 4096, 4096, true, NULL,
					      &error), "punch");
		break;
	default:
		remove_all(fs, path);
	}
}

/* @shared: of the file's blocks other files have all, so that nothing comes free. */
static void take_away_from_full(uint32_t node_size, uint64_t count, bool shared, enum less less)
{
	struct cowdax *fs = rig_new(20 * MIB, 0, node_size);
	uint64_t inode = make_scattered(fs, "/a", count);

	if (shared) {
		make_clone(fs, "/a", "/b", count);
		inode = make_clone(fs, "/b", "/c", count);
	}
	fill(fs);
	take_away(fs, inode, shared ? "/c" : "/a", count, less);
	rig_check(fs->path);
	if (!shared)
		expect_room(fs, less == TO_ZERO || less == PUNCH_ALL || less == REMOVED ? count * 4096 * 9 / 10 :
			    count * 4096 * 4 / 10);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R17: what is scattered is truncated, punched and removed on a full image, and its space is there again")
{
	static const uint32_t sizes[] = {512, 1024, 2048, 4096};

	for (int i = 0; i < 4; i++)
		for (enum less less = 0; less < LESS_COUNT; less++)
			take_away_from_full(sizes[i], 1500, false, less);
}

TEST("R17: so is what is shared, with counts that splinter")
{
	static const uint32_t sizes[] = {512, 1024, 2048, 4096};

	for (int i = 0; i < 4; i++)
		for (enum less less = 0; less < LESS_COUNT; less++)
			take_away_from_full(sizes[i], 900, true, less);
}

/* Cut a file at @block in a transaction, sparing or not; the nodes that it makes dirty. */
static size_t cut_at(struct cowdax *fs, uint64_t number, uint64_t block, bool sparing)
{
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_inode inode;
	size_t before = txn->nodes.dirty_count, dirty;

	txn->claim = CDX_CLAIM_KEPT;
	txn->sparing = sparing;
	CHECK_EQUAL(cdx_inode_load(txn, number, &inode), 0);
	CHECK_EQUAL(cdx_extents_cut(txn, &inode.extents, block, CDX_MAX_FILE >> fs->super.block_shift), 0);
	inode.size = block * fs->super.block_size;
	CHECK_EQUAL(cdx_inode_store(txn, &inode), 0);
	dirty = txn->nodes.dirty_count - before;
	rig_commit(fs);
	rig_check(fs->path);
	return dirty;
}

TEST("R17: where space is short a cut puts off what hangs on its edges, and a file gets its own way there first")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 512);
	uint64_t a, c, d, empty;
	size_t spared;

	rig_drain(fs);
	empty = rig_free_blocks(fs);
	a = make_scattered(fs, "/a", 2400);
	make_clone(fs, "/a", "/b", 2400);
	must(cowdax_clone(fs, "/b", "/c", NULL, &error), "clone");
	must(cowdax_clone(fs, "/b", "/d", NULL, &error), "clone");
	c = rig_lookup(fs, "/c");
	d = rig_lookup(fs, "/d");
	CHECK_EQUAL(cdx_image_own(fs, c, 1205, 1205, &error), 1);
	CHECK_EQUAL(cdx_image_own(fs, c, 1205, 1205, &error), 0);
	rig_expect(fs, c, 1201 * 4096, 4096, 5);
	rig_expect(fs, c, 1200 * 4096, 4096, 6);
	rig_check(fs->path);
	spared = cut_at(fs, c, 1205, true);
	CHECK(3 * spared <= 2 * cut_at(fs, d, 1205, false));
	rig_expect(fs, c, 0, 4096, 6);
	rig_expect(fs, a, 2399 * 4096, 4096, 5);
	remove_all(fs, "/a");
	remove_all(fs, "/b");
	remove_all(fs, "/c");
	remove_all(fs, "/d");
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 4 >= empty);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R17: where space is short a file of few extents goes to limbo without a look at its counts")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 512);
	uint64_t inode, empty, changes;
	struct cdx_txn *txn;

	rig_drain(fs);
	empty = rig_free_blocks(fs);
	inode = rig_create(fs, "/a");
	rig_write(fs, inode, 0, 400 * 4096, 1);
	make_clone(fs, "/a", "/b", 400);
	for (int pass = 0; pass < 2; pass++) {
		char path[] = {'/', (char)('a' + pass), 0};

		txn = rig_begin(fs);
		txn->sparing = true;
		changes = txn->record.space.address;
		CHECK_EQUAL(cdx_path_remove(txn, path, false, &error), 0);
		CHECK_EQUAL(txn->record.space.address, changes);
		rig_commit(fs);
		rig_check(fs->path);
	}
	rig_drain(fs);
	CHECK(rig_free_blocks(fs) + 4 >= empty);
	rig_check(fs->path);
	cowdax_close(fs);
}

/* ---- half taken apart --------------------------------------------------------------------------- */

/* A tree that is not gone with its first transaction; whose taking apart is cut short after that. */
static struct cowdax *half_removed(int count)
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	struct cdx_txn *txn;

	must(cowdax_mkdir(fs, "/top/deep", 0755, true, &error), "mkdir");
	make_files(fs, "/top", count, 100);
	make_files(fs, "/top/deep", 20, 5000);
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_path_remove(txn, "/top", true, &error), 0);
	rig_commit(fs);
	CHECK(fs->txn.record.orphans > 0);
	rig_check(fs->path);
	return fs;
}

TEST("L4: what a removal that was cut short leaves is taken apart by whoever writes next, piece by piece")
{
	struct cowdax *fs = half_removed(2000), *other = rig_again(fs);
	uint64_t inode, before;

	CHECK_EQUAL(cowdax_lookup(other, "/top", &inode, &error), -ENOENT);
	before = fs->txn.record.inodes;
	must(cowdax_mkdir(other, "/a", 0755, false, &error), "mkdir");
	CHECK(other->txn.record.inodes < before);
	CHECK(other->txn.record.inodes > 1000);
	rig_check(fs->path);
	for (int i = 0; i < 10; i++) {
		must(cowdax_begin(other, &error), "begin");
		must(cowdax_commit(other, &error), "commit");
	}
	CHECK_EQUAL(other->txn.record.orphans, 0);
	CHECK_EQUAL(other->txn.record.inodes, 2);
	rig_check(fs->path);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("an inode of a removed tree is found by its number until it has been taken apart")
{
	struct cowdax *fs = half_removed(1000), *other = rig_again(fs);
	struct cowdax_stat st;
	uint64_t number = 0, inode, found = 0;
	char path[32];

	for (number = 2; number < 1010; number++) {
		snprintf(path, sizeof(path), "ino:%" PRIu64, number);
		found += cowdax_lookup(other, path, &inode, &error) == 0;
	}
	CHECK(found > 500 && found < 1000);
	for (int i = 0; i < 10; i++) {
		must(cowdax_begin(other, &error), "begin");
		must(cowdax_commit(other, &error), "commit");
	}
	for (number = 2; number < 1030; number++)
		CHECK_EQUAL(cowdax_stat(other, number, &st, &error), -ENOENT);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("in a transaction a removal is part of it: rolled back nothing is gone, committed all is")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t inode;

	must(cowdax_mkdir(fs, "/top", 0755, false, &error), "mkdir");
	make_files(fs, "/top", 1500, 100);
	must(cowdax_begin(fs, &error), "begin");
	remove_all(fs, "/top");
	CHECK_EQUAL(cowdax_lookup(fs, "/top", &inode, &error), -ENOENT);
	cowdax_abort(fs);
	must(cowdax_lookup(fs, "/top/file1499", &inode, &error), "lookup");
	CHECK_EQUAL(fs->txn.record.inodes, 1502);
	rig_check(fs->path);
	must(cowdax_begin(fs, &error), "begin");
	remove_all(fs, "/top");
	must(cowdax_mkdir(fs, "/top", 0755, false, &error), "mkdir");
	must(cowdax_commit(fs, &error), "commit");
	CHECK_EQUAL(fs->txn.record.inodes, 2);
	CHECK_EQUAL(fs->txn.record.orphans, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

/* ---- damage ------------------------------------------------------------------------------------------ */

/* In directory @path, let @name stand for @target, whatever that is. */
static void plant(struct cowdax *fs, const char *path, const char *name, uint64_t target)
{
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_inode dir, inode;

	CHECK_EQUAL(cdx_path_inode(txn, path, &dir, &error), 0);
	CHECK_EQUAL(cdx_inode_load(txn, target, &inode), 0);
	CHECK_EQUAL(cdx_dir_add(txn, &dir, name, strlen(name), &inode), 0);
	CHECK_EQUAL(cdx_inode_store(txn, &dir), 0);
	rig_commit(fs);
}

TEST("R20: a name for the root directory is damage: removing it, or what holds it, ends")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	uint64_t inode;

	must(cowdax_mkdir(fs, "/a/b", 0755, true, &error), "mkdir");
	plant(fs, "/a", "root", COWDAX_ROOT_INODE);
	plant(fs, "/", "self", COWDAX_ROOT_INODE);
	CHECK_EQUAL(cowdax_remove(fs, "/self", true, &error), -EUCLEAN);
	CHECK_EQUAL(cowdax_remove(fs, "/a/root", true, &error), -EUCLEAN);
	CHECK_EQUAL(cowdax_remove(fs, "/a", true, &error), -EUCLEAN);
	must(cowdax_lookup(fs, "/a/b", &inode, &error), "lookup");
	cowdax_close(fs);
}

TEST("R20: directories that contain each other end a removal, what was found is said, and later writers go on")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0), *other;
	uint64_t a, orphans;

	must(cowdax_mkdir(fs, "/a/b", 0755, true, &error), "mkdir");
	a = rig_lookup(fs, "/a");
	plant(fs, "/a/b", "loop", a);
	CHECK_EQUAL(cowdax_remove(fs, "/a", true, &error), -EUCLEAN);
	CHECK_EQUAL(cowdax_remove(fs, "/a/b/loop", true, &error), -EUCLEAN);
	must(cowdax_lookup(fs, "/a/b", &a, &error), "lookup");
	/* The same too far down for the first transaction. */
	make_files(fs, "/a/b", 3000, 0);
	CHECK_EQUAL(cowdax_remove(fs, "/a", true, &error), -EUCLEAN);
	CHECK(strstr(error.text, "removed, but") != NULL);
	CHECK_EQUAL(cowdax_lookup(fs, "/a", &a, &error), -ENOENT);
	orphans = fs->txn.record.orphans;
	CHECK(orphans > 0);
	other = rig_again(fs);
	for (int i = 0; i < 20; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/new%d", i);
		must(cowdax_mkdir(other, path, 0755, false, &error), path);
	}
	CHECK_EQUAL(other->txn.record.orphans, orphans);
	must(cowdax_mkdir(other, "/more", 0755, false, &error), "mkdir");
	make_files(other, "/more", 1000, 0);
	remove_all(other, "/more");
	CHECK_EQUAL(other->txn.record.orphans, orphans);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("R18: what is said to be an orphan and is somewhere all the same is damage: nothing of it is taken apart")
{
	struct cdx_disk_fs_item item = {.item = put64(CDX_ITEM_ORPHAN)};
	struct cowdax *fs = rig_new(4 * MIB, 0, 0), *other;
	struct cdx_txn *txn;
	uint64_t a, inode;

	must(cowdax_mkdir(fs, "/a/b", 0755, true, &error), "mkdir");
	make_files(fs, "/a/b", 3, 100);
	a = rig_lookup(fs, "/a");
	txn = rig_begin(fs);
	item.hash = put64(a);
	CHECK_EQUAL(cdx_tree_insert(&txn->fs, &item, sizeof(item)), 0);
	txn->record.orphans++;
	rig_commit(fs);
	other = rig_again(fs);
	must(cowdax_mkdir(other, "/new", 0755, false, &error), "mkdir");
	must(cowdax_mkdir(other, "/newer", 0755, false, &error), "mkdir");
	must(cowdax_lookup(other, "/a/b/file2", &inode, &error), "lookup");
	CHECK_EQUAL(other->txn.record.orphans, 1);
	cowdax_close(other);
	cowdax_close(fs);
}
