// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What can be had is shown as such, and comes back by itself (L4).
 *
 * The bound: a commit that writes no data undoes up to 256 limbo entries, 64 runs
 * and two dozen nodes' worth of work.  So E entries and nodes are undone within E / 8
 * such commits, and 3 for each level of a tree, since what one undoes can be undone
 * further from the second commit after it on.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "txn/share.h"

/* Grains that may lie in the record's limbo list: of the last commits' own nodes, and a few blocks. */
#define AT_REST (CDX_MAX_RECORD_LIMBO + 64)

static struct cowdax_info info_of(struct cowdax *fs)
{
	struct cowdax_error error;
	struct cowdax_info info;

	CHECK_EQUAL(cowdax_info(fs, &info, &error), 0);
	return info;
}

static struct cowdax_space space_of(struct cowdax *fs)
{
	struct cowdax_error error;
	struct cowdax_space space;

	CHECK_EQUAL(cowdax_space(fs, &space, &error), 0);
	return space;
}

/* One that changes a name and no data. */
static void idle_commit(struct cowdax *fs)
{
	struct cowdax_error error;
	uint64_t inode;

	if (cowdax_create(fs, "/touched", 0644, &inode, &error))
		CHECK_EQUAL(cowdax_remove(fs, "/touched", false, &error), 0);
}

/* Commits until nothing but the last ones' own nodes waits: how many it took. */
static unsigned int come_to_rest(struct cowdax *fs, unsigned int most)
{
	unsigned int commits = 0;

	while (cdx_limbo_has_work(&fs->txn)) {
		CHECK(commits < most);
		idle_commit(fs);
		commits++;
	}
	return commits;
}

static void expect_like_new(struct cowdax *fs, uint64_t free_blocks)
{
	struct cowdax_info info = info_of(fs);
	uint64_t slack = AT_REST * info.node_size / info.block_size + 8;

	unit_note("free %" PRIu64 " of %" PRIu64 ", available %" PRIu64 ", limbo %" PRIu64 ", shared %" PRIu64,
		  info.free_blocks, free_blocks, info.available_blocks, info.limbo_blocks, info.shared_blocks);
	CHECK_EQUAL(info.shared_blocks, 0);
	CHECK(info.limbo_blocks <= slack);
	CHECK(info.free_blocks + slack >= free_blocks);
	CHECK(info.available_blocks + slack + cdx_budget_kept(&fs->txn) * info.node_size / info.block_size >=
	      free_blocks);
}

/* 300 clones of a splintered file, each written to, and removed. */
static void make_clones(struct cowdax *fs, int clones)
{
	struct cowdax_error error;
	uint64_t seed = 3;
	char path[32];

	rig_splintered(fs, "/0", 200);
	for (int i = 1; i <= clones; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		CHECK_EQUAL(cowdax_clone(fs, "/0", path, NULL, &error), 0);
		rig_write(fs, rig_lookup(fs, path), unit_below(&seed, 200) * 8192, 4096, i);
	}
	for (int i = 0; i <= clones; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		rig_remove(fs, path);
	}
}

TEST("L4: clones written to and removed are all there again after a bounded number of idle commits")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t free_blocks = rig_free_blocks(fs);
	unsigned int commits;

	make_clones(fs, 300);
	rig_check(fs->path);
	/* 300 trees of two levels, whose nodes and extents are entries at worst. */
	commits = come_to_rest(fs, 300 * 20 / 8 + 6);
	unit_note("%u commits", commits);
	expect_like_new(fs, free_blocks);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("L4: a splintered file that is removed is all there again after a bounded number of idle commits")
{
	static const uint64_t counts[] = {100, 1000, 6000};
	static const uint32_t node_sizes[] = {512, 1024, 4096};

	for (int i = 0; i < 9; i++) {
		struct cowdax *fs = rig_new(64 * MIB, 0, node_sizes[i % 3]);
		uint64_t free_blocks = rig_free_blocks(fs), count = counts[i / 3];
		unsigned int commits;

		rig_splintered(fs, "/a", count);
		rig_remove(fs, "/a");
		commits = come_to_rest(fs, (unsigned int)(2 * count / 8 + 16));
		unit_note("%" PRIu64 " extents, nodes of %" PRIu32 ": %u commits", count, node_sizes[i % 3], commits);
		expect_like_new(fs, free_blocks);
		rig_check(fs->path);
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}

/* Two files whose blocks lie by turns. */
static void make_interleaved(struct cowdax *fs, uint64_t count)
{
	uint64_t a = rig_create(fs, "/a"), b = rig_create(fs, "/b");
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < count; i++) {
		rig_write(fs, a, 8192 * i, 4096, 'a');
		rig_write(fs, b, 8192 * i, 4096, 'b');
	}
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
}

TEST("L4: so is one whose blocks lie among another's")
{
	static const uint32_t node_sizes[] = {512, 1024, 4096};

	for (int i = 0; i < 3; i++) {
		struct cowdax *fs = rig_new(64 * MIB, 0, node_sizes[i]);
		uint64_t free_blocks = rig_free_blocks(fs);
		unsigned int commits;

		make_interleaved(fs, 3000);
		rig_remove(fs, "/a");
		commits = come_to_rest(fs, 2 * 3000 / 8 + 16);
		unit_note("nodes of %" PRIu32 ": %u commits", node_sizes[i], commits);
		expect_like_new(fs, free_blocks - 3000 - 3000 / 8);
		rig_check(fs->path);
		rig_remove(fs, "/b");
		commits = come_to_rest(fs, 2 * 3000 / 8 + 16);
		unit_note("then %u commits", commits);
		expect_like_new(fs, free_blocks);
		rig_check(fs->path);
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}

TEST("L4: at rest an idle commit gives nothing back, and so costs nothing: it does not feed on itself")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 0);
	uint64_t space, last = 0, changes = 0;

	make_clones(fs, 100);
	come_to_rest(fs, 300);
	for (int i = 0; i < 300; i++) {
		rig_begin(fs);
		CHECK(!cdx_limbo_has_work(&fs->txn));
		CHECK(fs->txn.nodes.dirty_count == 0);
		rig_commit(fs);
		idle_commit(fs);
		space = fs->txn.committed.space.address;
		changes += i && space != last;
		last = space;
	}
	CHECK(changes <= 8);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("L4: who writes data is not kept from it by what waits in limbo")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/b");

	rig_splintered(fs, "/a", 3000);
	rig_write(fs, inode, 0, 100 * 4096, 'b');
	rig_remove(fs, "/a");
	for (int i = 0; i < 5; i++)
		rig_write(fs, inode, (uint64_t)i * 4096, 4096, 'c');
	CHECK(cdx_limbo_has_work(&fs->txn));
	rig_begin(fs);
	CHECK_EQUAL(fs->txn.nodes.dirty_count, 0);
	cdx_txn_abort(&fs->txn);
	cowdax_close(fs);
}

/* Twelve writers that die with all that they have staged. */
static void kill_writers(struct cowdax *fs, int writers, uint64_t bytes)
{
	int ready[2], status;
	pid_t child[16];
	char byte;

	CHECK_EQUAL(pipe(ready), 0);
	for (int i = 0; i < writers; i++) {
		child[i] = fork();
		CHECK(child[i] >= 0);
		if (!child[i]) {
			struct cowdax *own = rig_again(fs);
			unsigned char *content = calloc(1, bytes);
			struct cdx_stage stage;
			struct cowdax_error error;

			CHECK(content);
			CHECK_EQUAL(cdx_stage_open(&stage, &own->txn, 0, 0, own->scratch, &error), 0);
			CHECK_EQUAL(cdx_stage_append(&stage, content, bytes, &error), 0);
			CHECK(write(ready[1], "", 1) == 1);
			pause();
		}
		CHECK(read(ready[0], &byte, 1) == 1);
	}
	for (int i = 0; i < writers; i++)
		kill(child[i], SIGKILL);
	for (int i = 0; i < writers; i++)
		CHECK_EQUAL(waitpid(child[i], &status, 0), child[i]);
	close(ready[0]);
	close(ready[1]);
}

TEST("L4: what dead writers staged is available at once, and free after a bounded number of idle commits")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0);
	uint64_t free_blocks = rig_free_blocks(fs), available = space_of(fs).available_blocks;
	struct cowdax_space space;

	kill_writers(fs, 12, 2 * MIB + 300000);
	space = space_of(fs);
	CHECK(space.free_blocks + 6900 < free_blocks);
	CHECK(space.available_blocks + 64 >= available);
	CHECK(space.available_blocks <= available);
	rig_check(fs->path);
	idle_commit(fs);
	CHECK(space_of(fs).available_blocks + 64 >= available);
	for (int i = 0; i < 12; i++)
		idle_commit(fs);
	come_to_rest(fs, 16);
	for (int i = 0; i < 12; i++)
		idle_commit(fs);
	expect_like_new(fs, free_blocks);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("what a long write that is under way has staged is not available")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0), *other = rig_again(fs);
	struct cowdax_error error;
	unsigned char *bytes = calloc(1, 4 * MIB);
	uint64_t before = space_of(fs).available_blocks;

	CHECK(bytes);
	CHECK_EQUAL(cdx_stage_open(&other->stage, &other->txn, 0, 0, other->scratch, &error), 0);
	CHECK_EQUAL(cdx_stage_append(&other->stage, bytes, 4 * MIB, &error), 0);
	CHECK(space_of(fs).available_blocks + 1024 <= before);
	CHECK(space_of(other).available_blocks + 1024 <= before);
	free(bytes);
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("what an older image's reader holds is not available until it is gone")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 0), *reader;
	uint64_t before = space_of(fs).available_blocks;

	rig_write(fs, rig_create(fs, "/a"), 0, 8 * MIB, 'a');
	reader = rig_open(fs->path, COWDAX_RDONLY);
	rig_remove(fs, "/a");
	CHECK(space_of(fs).available_blocks + 2048 <= before);
	cowdax_close(reader);
	CHECK(space_of(fs).available_blocks + 16 >= before);
	cowdax_close(fs);
}

/* Write until ENOSPC: blocks. */
static uint64_t fill_up(struct cowdax *fs)
{
	unsigned char *bytes = calloc(1, 16 * 4096);
	struct cowdax_error error;
	uint64_t inode, done = 0;

	CHECK(bytes);
	if (cowdax_create(fs, "/fill", 0644, &inode, &error))
		inode = rig_lookup(fs, "/fill");
	for (uint64_t blocks = 16; blocks; blocks /= 4)
		while (cowdax_write(fs, inode, bytes, blocks * 4096, done * 4096, NULL, &error) == 0)
			done += blocks;
	free(bytes);
	return done;
}

TEST("what is shown as available is what a writer gets, whatever has happened before, but for its own nodes")
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct cowdax *fs = rig_new(16 * MIB, 0, 512 << seed % 3);
		struct cowdax_space space;
		struct cowdax_error error;
		struct cowdax_info info;
		uint64_t state = seed, got;
		char path[32], other[32];

		for (int i = 0; i < 200; i++) {
			uint64_t inode, choice = unit_below(&state, 10);

			snprintf(path, sizeof(path), "/%u", (unsigned int)unit_below(&state, 12));
			snprintf(other, sizeof(other), "/%u", (unsigned int)unit_below(&state, 12));
			if (cowdax_lookup(fs, path, &inode, &error))
				inode = rig_create(fs, path);
			if (choice < 6)
				rig_write(fs, inode, unit_below(&state, 90) * 8192, 1 + unit_below(&state, 9000), i);
			else if (choice < 8 && strcmp(path, other) != 0)
				cowdax_clone(fs, path, other, NULL, &error);
			else
				rig_remove(fs, path);
			space = space_of(fs);
			info = info_of(fs);
			CHECK_EQUAL(space.available_blocks, info.available_blocks);
			CHECK_EQUAL(space.free_blocks, info.free_blocks);
			CHECK(space.available_blocks <= info.free_blocks + info.limbo_blocks + 1);
		}
		got = fill_up(fs);
		unit_note("%" PRIu64 " available, %" PRIu64 " written", space.available_blocks, got);
		CHECK(got + got / 256 + 8 >= space.available_blocks);
		rig_check(fs->path);
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}

TEST("what is set aside for writing to preallocated blocks is not available to others")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	uint64_t inode = rig_create(fs, "/a"), promised, got;
	struct cowdax_error error;
	struct cowdax_space space;

	/* Two of every three blocks: as many extents as can be. */
	for (uint64_t at = 0; at < 3000; at += 3)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, at * 4096, 2 * 4096, true,
					     NULL, &error), 0);
	promised = cdx_promise_grains(&fs->txn) / 8;
	space = space_of(fs);
	CHECK_EQUAL(space.available_blocks, info_of(fs).available_blocks);
	got = fill_up(fs);
	unit_note("%" PRIu64 " available, %" PRIu64 " promised, %" PRIu64 " written", space.available_blocks,
		  promised, got);
	CHECK(promised > 64);
	CHECK(got + got / 256 + 8 >= space.available_blocks);
	rig_check(fs->path);
	cowdax_close(fs);
}

/* A node of each level, all of whose children are the one of the level below. */
static struct cdx_ref make_lattice(struct cdx_txn *txn, int levels)
{
	struct cdx_ref below = {0};

	for (int level = 0; level < levels; level++) {
		struct cdx_node *node;
		uint64_t address;

		CHECK_EQUAL(cdx_node_new(&txn->nodes, CDX_KIND_EXTENT, (uint8_t)level, &node), 0);
		for (uint64_t i = 0; i < 10; i++) {
			struct cdx_disk_extent extent = {put64(i), put64(100 + 2 * i), put32(1), put32(0)};
			struct { le64 key; struct cdx_disk_child child; } item = {
				put64(i), {put64(below.address), put32(below.crc), put32(0)},
			};

			if (level)
				cdx_node_insert(node, (unsigned int)i, &item, sizeof(item));
			else
				cdx_node_insert(node, (unsigned int)i, &extent, sizeof(extent));
		}
		CHECK_EQUAL(cdx_alloc_node(txn, &address), 0);
		CHECK_EQUAL(cdx_node_write(&txn->nodes, node, address, &below.address, &below.crc), 0);
		below.level = (uint8_t)level;
	}
	cdx_alloc_settle(txn);
	return below;
}

/* An image in whose limbo such a tree is. */
static struct cowdax *with_lattice(void)
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_ref top = make_lattice(txn, CDX_LEVELS);
	struct cdx_limbo_entry entry = {
		.transaction = txn->record.transaction, .address = top.address, .count = 1, .crc = top.crc,
		.type = CDX_LIMBO_TREE, .kind = CDX_KIND_EXTENT, .level = top.level,
	};

	CHECK_EQUAL(cdx_limbo_list_add(&txn->record.list, &entry), 0);
	rig_commit(fs);
	return fs;
}

TEST("R20: a tree in limbo with 10^15 paths and 16 nodes is summed up by its nodes")
{
	struct cowdax *fs = with_lattice();

	alarm(60);
	CHECK(info_of(fs).limbo_blocks < 16);
	alarm(0);
	cowdax_close(fs);
}

static int count_tree(void *arg, const struct cdx_limbo_entry *entry)
{
	*(uint64_t *)arg += entry->type == CDX_LIMBO_TREE;
	return 0;
}

TEST("R20: what takes such a tree apart meets the damage at once, and writers go on")
{
	struct cowdax *fs = with_lattice();

	cowdax_close(fs);
	for (int i = 0; i < 100; i++) {
		uint64_t trees = 0;
		char path[32];

		fs = rig_open(unit_path("image"), 0);
		snprintf(path, sizeof(path), "/%d", i);
		rig_write(fs, rig_create(fs, path), 0, 5000, i);
		CHECK_EQUAL(cdx_limbo_walk(&fs->txn, count_tree, &trees), 0);
		CHECK_EQUAL(trees, 1);
		cowdax_close(fs);
	}
}
