// SPDX-License-Identifier: GPL-2.0-or-later
/* Amendments (FORMAT 4.3): nodes that stay where they are while the record says what has changed of them. */
#include "rig.h"

#define BLOCK 4096
#define ISLANDS 8000		/* extents: with nodes of 512 bytes a tree of four levels */
#define SEVERAL 400		/* and of two or three */

static struct cowdax *make_of(uint32_t node_size, uint64_t islands, uint64_t *inode)
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, node_size);

	*inode = rig_islands(fs, "/file", islands);
	return fs;
}

static struct cowdax *make(uint64_t islands, uint64_t *inode)
{
	return make_of(512, islands, inode);
}

static struct cdx_ref root_of(struct cowdax *fs, uint64_t number)
{
	struct cdx_inode inode;

	CHECK_EQUAL(cdx_inode_load(&fs->txn, number, &inode), 0);
	return inode.extents.root;
}

static unsigned int amends(const struct cowdax *fs)
{
	return fs->txn.amends.n;
}

/* Of these, of inodes. */
static unsigned int times(const struct cowdax *fs)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < amends(fs); i++)
		n += !fs->txn.amends.entry[i].level;
	return n;
}

static uint64_t size_of(const struct cowdax *fs)
{
	return fs->txn.record.pool.grains + fs->txn.record.window.grains + fs->txn.record.free_grains;
}

TEST("a small write takes a block and a leaf: the nodes above stay, and so does the leaf with the inode")
{
	uint64_t inode, before;
	struct cowdax *fs = make(ISLANDS, &inode);
	struct cdx_ref root = root_of(fs, inode), files = fs->txn.record.fs, now;

	CHECK_EQUAL(root.level, 3);
	rig_write(fs, inode, 0, BLOCK, 'b');
	before = size_of(fs);
	for (int i = 0; i < 2; i++) {
		rig_write(fs, inode, (uint64_t)(2000 + 100 * i) * BLOCK, BLOCK, 'c');
		now = root_of(fs, inode);
		CHECK_EQUAL(now.address, root.address);
		CHECK_EQUAL(now.crc, root.crc);
		CHECK_EQUAL(fs->txn.record.fs.address, files.address);
	}
	CHECK_EQUAL(before - size_of(fs), 2 * (8 + 1));
	/* A leaf each, and the times of the one inode. */
	CHECK_EQUAL(amends(fs), 4);
	rig_check(fs->path);
	rig_expect(fs, inode, 2000 * BLOCK, BLOCK, 'c');
	rig_expect(fs, inode, 2002 * BLOCK, BLOCK, 'a');
	cowdax_close(fs);
}

TEST("the same child that moves again is the same amendment")
{
	uint64_t inode;
	struct cowdax *fs = make(ISLANDS, &inode);

	for (int i = 0; i < 20; i++) {
		rig_write(fs, inode, 0, BLOCK, 'b' + i);
		CHECK_EQUAL(amends(fs), 2);
	}
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a handle that comes later, and one that looks while others write, see what was amended")
{
	uint64_t inode, seed = 1;
	struct cowdax *fs = make(ISLANDS, &inode), *reader = rig_again(fs);
	struct cowdax_stat st, seen;
	struct cowdax_error error;

	for (int i = 0; i < 300; i++) {
		uint64_t island = unit_below(&seed, ISLANDS);

		rig_write(fs, inode, 2 * island * BLOCK, BLOCK, i);
		rig_expect(reader, inode, 2 * island * BLOCK, BLOCK, i);
		CHECK_EQUAL(cowdax_stat(fs, inode, &st, &error), 0);
		CHECK_EQUAL(cowdax_stat(reader, inode, &seen, &error), 0);
		CHECK(memcmp(&st, &seen, sizeof(st)) == 0);
		if (i % 50)
			continue;
		rig_check(fs->path);
		cowdax_close(fs);
		fs = rig_again(reader);
		rig_expect(fs, inode, 2 * island * BLOCK, BLOCK, i);
	}
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("there are never more amendments than the record has room for, and room is left for those near the root")
{
	uint64_t inode, seed = 7, most = 0;
	struct cowdax *fs = make(ISLANDS, &inode);

	for (int i = 0; i < 1000; i++) {
		unsigned int low = 0;

		rig_write(fs, inode, 2 * unit_below(&seed, ISLANDS) * BLOCK, BLOCK, 'b');
		for (unsigned int k = 0; k < amends(fs); k++)
			low += fs->txn.amends.entry[k].level == 1;
		CHECK(low <= CDX_MAX_AMENDS / 2);
		CHECK(amends(fs) <= CDX_MAX_AMENDS);
		most = amends(fs) > most ? amends(fs) : most;
	}
	CHECK(most > CDX_MAX_AMENDS / 2);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("what is shared is amended by nothing: a clone finds its nodes as they lie on media")
{
	uint64_t inode, other, clone, seed = 3;
	struct cowdax *fs = make(ISLANDS, &inode);
	struct cowdax_error error;

	other = rig_islands(fs, "/other", SEVERAL);
	for (int i = 0; i < 6; i++) {
		rig_write(fs, inode, 2 * unit_below(&seed, ISLANDS) * BLOCK, BLOCK, 'b');
		rig_write(fs, other, 2 * unit_below(&seed, SEVERAL) * BLOCK, BLOCK, 'b');
	}
	rig_write(fs, inode, 0, BLOCK, 'c');
	CHECK(amends(fs) > 6);
	CHECK_EQUAL(cowdax_clone(fs, "/file", "/clone", NULL, &error), 0);
	rig_check(fs->path);
	/* The other file's have stayed. */
	CHECK(amends(fs) >= 4);
	for (unsigned int i = 0; i < amends(fs); i++)
		CHECK(fs->txn.amends.entry[i].kind != CDX_KIND_EXTENT || fs->txn.amends.entry[i].level < 3);
	clone = rig_lookup(fs, "/clone");
	rig_expect(fs, clone, 0, BLOCK, 'c');
	rig_write(fs, inode, 0, BLOCK, 'd');
	rig_expect(fs, clone, 0, BLOCK, 'c');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a transaction that is given up leaves no amendment behind, in memory neither")
{
	uint64_t inode;
	struct cowdax *fs = make(ISLANDS, &inode);
	struct cdx_amends before;
	struct cowdax_error error;

	rig_write(fs, inode, 0, BLOCK, 'b');
	before = fs->txn.amends;
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	rig_write(fs, inode, 0, BLOCK, 'c');
	rig_write(fs, inode, 1000 * BLOCK, BLOCK, 'c');
	/* Written out and amended already, as far as the handle goes. */
	CHECK_EQUAL(cdx_txn_prepare(&fs->txn), 0);
	CHECK(fs->txn.nodes.amends.n > before.n);
	cowdax_abort(fs);
	CHECK_EQUAL(fs->txn.nodes.amends.n, before.n);
	CHECK(memcmp(fs->txn.nodes.amends.entry, before.entry, before.n * sizeof(before.entry[0])) == 0);
	rig_expect(fs, inode, 0, BLOCK, 'b');
	rig_expect(fs, inode, 1000 * BLOCK, BLOCK, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("what a removed file's nodes are amended by goes with them, and not before")
{
	uint64_t inode, seed = 5;
	struct cowdax *fs = make(ISLANDS, &inode), *reader = rig_again(fs);
	struct cowdax_error error;
	struct cowdax_info info;

	for (int i = 0; i < 10; i++)
		rig_write(fs, inode, 2 * unit_below(&seed, ISLANDS) * BLOCK, BLOCK, 'b');
	rig_write(fs, inode, 0, BLOCK, 'c');
	CHECK_EQUAL(cowdax_info(reader, &info, &error), 0);
	CHECK(amends(fs) > 5);
	rig_remove(fs, "/file");
	rig_check(fs->path);
	for (int i = 0; i < 200; i++) {
		rig_drain(fs);
		if (i % 20 == 0)
			rig_check(fs->path);
	}
	rig_check(fs->path);
	for (unsigned int i = 0; i < amends(fs); i++)
		CHECK(fs->txn.amends.entry[i].kind != CDX_KIND_EXTENT);
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("a size that changes, a name, a second inode: what is not a time of one inode is written")
{
	uint64_t inode, second;
	struct cowdax *fs = make_of(4096, SEVERAL, &inode);
	struct cowdax_error error;

	second = rig_islands(fs, "/second", 10);
	rig_write(fs, inode, 0, BLOCK, 'b');
	CHECK_EQUAL(times(fs), 1);
	rig_write(fs, inode, 2 * SEVERAL * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(times(fs), 0);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	rig_write(fs, inode, 0, BLOCK, 'c');
	rig_write(fs, second, 0, BLOCK, 'y');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	CHECK_EQUAL(times(fs), 0);
	rig_check(fs->path);
	rig_expect(fs, inode, 0, BLOCK, 'c');
	rig_expect(fs, second, 0, BLOCK, 'y');
	cowdax_close(fs);
}

TEST("nodes that a transaction has changed and then cuts off go with their homes, where space is short too")
{
	uint64_t inode;
	struct cowdax_error error;

	for (int sparing = 0; sparing < 2; sparing++) {
		struct cowdax *fs = make(ISLANDS, &inode);

		rig_write(fs, inode, 0, BLOCK, 'b');
		CHECK_EQUAL(cowdax_begin(fs, &error), 0);
		rig_write(fs, inode, 0, BLOCK, 'c');
		rig_write(fs, inode, 4000 * BLOCK, BLOCK, 'c');
		fs->txn.sparing = sparing;
		CHECK_EQUAL(cowdax_truncate(fs, inode, 2 * BLOCK, NULL, &error), 0);
		CHECK_EQUAL(cowdax_commit(fs, &error), 0);
		rig_check(fs->path);
		CHECK_EQUAL(cowdax_begin(fs, &error), 0);
		rig_write(fs, inode, 0, BLOCK, 'd');
		fs->txn.sparing = sparing;
		CHECK_EQUAL(cowdax_truncate(fs, inode, 0, NULL, &error), 0);
		CHECK_EQUAL(cowdax_commit(fs, &error), 0);
		rig_check(fs->path);
		for (int i = 0; i < 50; i++)
			rig_drain(fs);
		rig_check(fs->path);
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}

TEST("places that nodes leave as they are written have room in the record, however long a reader keeps limbo")
{
	uint64_t inode, seed = 11;
	struct cowdax *fs = make(ISLANDS, &inode), *reader = rig_again(fs);
	struct cowdax_error error;
	size_t most = 0;

	CHECK_EQUAL(cdx_txn_view(&reader->txn, &error), 0);
	for (int i = 0; i < 300; i++) {
		rig_write(fs, inode, 2 * unit_below(&seed, ISLANDS) * BLOCK, BLOCK, 'b');
		CHECK(fs->txn.committed.list.n <= CDX_MAX_RECORD_LIMBO);
		most = fs->txn.committed.list.n > most ? fs->txn.committed.list.n : most;
	}
	CHECK(most + 4 > CDX_MAX_RECORD_LIMBO);
	rig_check(fs->path);
	cowdax_close(reader);
	cowdax_close(fs);
}

TEST("what an inner item of the space tree adds below moves down, and that is no amendment")
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, 512);
	uint64_t sieve = rig_create(fs, "/sieve"), copy;
	struct cowdax_error error;

	rig_write(fs, sieve, 0, 400 * BLOCK, 'a');
	for (uint64_t block = 0; block < 400; block += 2)
		CHECK_EQUAL(cowdax_clone_range(fs, "/sieve", block * BLOCK, "/pieces", block * BLOCK, BLOCK, NULL,
					       &error), 0);
	CHECK_EQUAL(cowdax_clone(fs, "/sieve", "/copy", NULL, &error), 0);
	copy = rig_lookup(fs, "/copy");
	for (uint64_t block = 3; block < 400; block += 40) {
		rig_write(fs, copy, block * BLOCK, BLOCK, 'b');
		rig_check(fs->path);
	}
	cowdax_close(fs);
}

TEST("a node that is looked at while it is changed is copied, and what amended it goes")
{
	uint64_t number;
	struct cowdax *fs = make(ISLANDS, &number);
	struct cdx_key key = {{0}};
	struct cdx_cursor cursor;
	struct cdx_inode inode;
	struct cdx_path path;
	struct cdx_tree tree;
	struct cdx_txn *txn;

	rig_write(fs, number, 0, BLOCK, 'b');
	CHECK_EQUAL(amends(fs), 2);
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_inode_load(txn, number, &inode), 0);
	tree = cdx_txn_extents(txn, &inode.extents.root);
	CHECK_EQUAL(cdx_cursor_seek(&cursor, &tree, &key), 1);
	CHECK_EQUAL(cdx_path_seek(&path, &tree, &key), 0);
	cdx_cursor_end(&cursor);
	CHECK_EQUAL(cdx_inode_store(txn, &inode), 0);
	rig_commit(fs);
	CHECK_EQUAL(amends(fs), 0);
	rig_check(fs->path);
	rig_expect(fs, number, 0, BLOCK, 'b');
	rig_expect(fs, number, 2 * BLOCK, BLOCK, 'a');
	cowdax_close(fs);
}

TEST("times of two inodes, whose roots are one, are not the times of one")
{
	uint64_t inode, clone;
	struct cowdax *fs = make_of(4096, SEVERAL, &inode), *reader = rig_again(fs);
	const uint64_t size = (2 * SEVERAL - 1) * BLOCK;
	struct cowdax_stat st, seen;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_clone(fs, "/file", "/clone", NULL, &error), 0);
	clone = rig_lookup(fs, "/clone");
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	/* They are as long already. */
	CHECK_EQUAL(cowdax_truncate(fs, inode, size, NULL, &error), 0);
	CHECK_EQUAL(cowdax_truncate(fs, clone, size, NULL, &error), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	CHECK_EQUAL(times(fs), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQUAL(cowdax_stat(fs, i ? clone : inode, &st, &error), 0);
		CHECK_EQUAL(cowdax_stat(reader, i ? clone : inode, &seen, &error), 0);
		CHECK(memcmp(&st, &seen, sizeof(st)) == 0);
	}
	rig_check(fs->path);
	cowdax_close(reader);
	cowdax_close(fs);
}

/* Let the newest record say something else: what a hostile one might. */
static void forge(struct cowdax *fs, void (*change)(struct cdx_disk_amend *amend))
{
	const struct cdx_super *super = &fs->super;
	struct cdx_pmem *pm = &fs->device.pm;
	struct cdx_slots slots;
	union cdx_slot slot;
	size_t length;

	CHECK_EQUAL(cdx_slots_read(pm, super, &slots), 0);
	slot = *cdx_slots_newest(&slots);
	length = get32(slot.commit.length);
	change((struct cdx_disk_amend *)(slot.bytes + length) - 1);
	cdx_slot_seal(super, &slot.commit, length);
	for (int mirror = 0; mirror < 2; mirror++)
		cdx_pmem_copy(pm, cdx_slot_offset(super, get64(slot.commit.transaction) & 1, mirror), &slot, length);
	CHECK_EQUAL(cdx_pmem_fence(pm), 0);
}

static void far_item(struct cdx_disk_amend *amend) { amend->index = put16(500); }
static void other_kind(struct cdx_disk_amend *amend) { amend->kind = CDX_KIND_SPACE; }
static void other_level(struct cdx_disk_amend *amend) { amend->level++; }
static void no_kind(struct cdx_disk_amend *amend) { amend->kind = 77; }
static void leaf_of_extents(struct cdx_disk_amend *amend) { amend->kind = CDX_KIND_EXTENT, amend->level = 0; }
static void nowhere(struct cdx_disk_amend *amend) { amend->node = put64(UINT64_MAX / 2); }
static void child_nowhere(struct cdx_disk_amend *amend) { amend->value = put64(3); }
static void another_child(struct cdx_disk_amend *amend) { amend->more.raw ^= 1; }

TEST("R20: amendments that fit nothing are refused where they are read, or where their node is")
{
	static void (*const changes[])(struct cdx_disk_amend *amend) = {
		far_item, other_kind, other_level, no_kind, leaf_of_extents, nowhere, child_nowhere, another_child,
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		unsigned char byte;
		uint64_t inode;
		struct cowdax *fs = make(ISLANDS, &inode), *other;
		struct cowdax_error error = {0};
		ssize_t got;

		rig_write(fs, inode, 0, BLOCK, 'b');
		rig_write(fs, inode, 3000 * BLOCK, BLOCK, 'b');
		/* The last is the leaf that was written last. */
		CHECK_EQUAL(fs->txn.amends.entry[amends(fs) - 1].level, 1);
		forge(fs, changes[i]);
		if (cowdax_open(fs->path, NULL, &other, &error) == 0) {
			got = cowdax_read(other, inode, &byte, 1, 3000 * BLOCK, &error);
			CHECK_EQUAL(got, -EUCLEAN);
			cowdax_close(other);
		}
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}
