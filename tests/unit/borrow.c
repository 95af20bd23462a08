// SPDX-License-Identifier: GPL-2.0-or-later
/* Borrowing (FORMAT 6.4): when a copy has a base, what that counts, and when it gives it up. */
#include "rig.h"

#define BLOCK 4096
#define ISLANDS 400		/* extents: with nodes of 512 bytes a tree of three levels */
#define FITS(node_size) (((node_size) - 48) / 24)	/* so many items into a node, 19 into one of 512 bytes */
#define HALF(node_size) ((uint64_t)FITS(node_size) / 2)

/* What the checker, which must have nothing to say, sums up; the library counts the same in its own way. */
static struct cowdax_check_summary look(struct cowdax *fs)
{
	struct cowdax_check_summary summary;
	struct cowdax_info info;
	struct cowdax_error error;

	rig_check(fs->path);
	CHECK_EQUAL(cowdax_check(fs->path, NULL, &summary, &error), 0);
	CHECK_EQUAL(cowdax_info_hidden(fs, &info, &error), 0);
	CHECK_EQUAL(info.hidden_blocks, summary.hidden_blocks);
	return summary;
}

static uint64_t clone_to(struct cowdax *fs, const char *from, const char *to)
{
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_clone(fs, from, to, NULL, &error), 0);
	return rig_lookup(fs, to);
}

static struct cowdax *make_pair(uint32_t node_size, uint64_t count, uint64_t *original, uint64_t *clone)
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, node_size);

	*original = rig_islands(fs, "/original", count);
	*clone = clone_to(fs, "/original", "/clone");
	return fs;
}

static void drain(struct cowdax *fs)
{
	for (int i = 0; i < 50; i++)
		rig_drain(fs);
}

TEST("the first small write into a clone counts a pointer for each node that it copies, and no extent")
{
	uint64_t original, clone, shared;
	struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone);
	struct cowdax_check_summary before = look(fs), after;
	struct cowdax_info info;
	struct cowdax_error error;

	CHECK_EQUAL(before.borrowing_nodes, 0);
	CHECK_EQUAL(cowdax_info(fs, &info, &error), 0);
	shared = info.shared_blocks;
	rig_write(fs, clone, 100 * BLOCK, BLOCK, 'b');
	after = look(fs);
	CHECK_EQUAL(after.borrowing_nodes, 3);
	/* The record, nodes of the fs tree, and the three copies, but no count of any extent. */
	CHECK_EQUAL(cowdax_info(fs, &info, &error), 0);
	CHECK(info.shared_blocks <= shared + 3);
	CHECK_EQUAL(after.hidden_blocks, 0);
	rig_expect(fs, clone, 100 * BLOCK, BLOCK, 'b');
	rig_expect(fs, original, 100 * BLOCK, BLOCK, 'a');
	cowdax_close(fs);
}

TEST("a leaf that has got half of what fits of its own gives its base up, and those above it do")
{
	uint64_t original, clone;
	struct cowdax *fs = make_pair(4096, 150, &original, &clone);

	for (uint64_t i = 0; i < HALF(4096) - 1; i++)
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 1);
	/* The same again is nothing more of its own. */
	for (uint64_t i = 0; i < HALF(4096) - 1; i++)
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'c');
	CHECK_EQUAL(look(fs).borrowing_nodes, 1);
	rig_write(fs, clone, 2 * (HALF(4096) - 1) * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	cowdax_close(fs);
	fs = make_pair(512, ISLANDS, &original, &clone);
	for (uint64_t i = 0; i < HALF(512); i++)
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	cowdax_close(fs);
}

TEST("so it does where many writes are one transaction")
{
	uint64_t original, clone;
	struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < ISLANDS; i++)
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	rig_remove(fs, "/original");
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	cowdax_close(fs);
}

TEST("an inner node that has half of what fits of its own gives its base up at the next write")
{
	uint64_t original, clone, i;
	struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone);

	/* Full leaves, all under one inner node. */
	for (i = 0; i < HALF(512); i++)
		rig_write(fs, clone, 2 * FITS(512) * i * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 2 + HALF(512));
	rig_write(fs, clone, 2 * FITS(512) * i * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, HALF(512) + 1);
	cowdax_close(fs);
}

TEST("what only a base has is hidden until the next write takes it over")
{
	uint64_t original, clone, free;
	struct cowdax *fs = make_pair(4096, 100, &original, &clone);

	for (uint64_t i = 0; i < 5; i++)
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'b');
	rig_remove(fs, "/original");
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 5);
	CHECK_EQUAL(look(fs).borrowing_nodes, 1);
	free = rig_free_blocks(fs);
	rig_write(fs, clone, 2 * 50 * BLOCK, BLOCK, 'c');
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	CHECK(rig_free_blocks(fs) >= free + 5);
	for (uint64_t i = 0; i < 100; i++)
		rig_expect(fs, clone, 2 * i * BLOCK, BLOCK, i < 5 ? 'b' : i == 50 ? 'c' : 'a');
	cowdax_close(fs);
}

TEST("removing a file gives back what its nodes borrow as well")
{
	uint64_t original, clone, free;
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, 512);

	drain(fs);
	free = rig_free_blocks(fs);
	cowdax_close(fs);
	fs = make_pair(512, ISLANDS, &original, &clone);
	rig_write(fs, clone, 100 * BLOCK, BLOCK, 'b');
	rig_write(fs, original, 300 * BLOCK, BLOCK, 'c');
	rig_remove(fs, "/original");
	rig_remove(fs, "/clone");
	drain(fs);
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	CHECK(rig_free_blocks(fs) + 8 >= free);
	cowdax_close(fs);
}

TEST("a long write counts what it copies, and gives up the bases that it meets")
{
	uint64_t original, clone;
	struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone);

	rig_write(fs, clone, 100 * BLOCK, 17 * BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	cowdax_close(fs);
	fs = make_pair(512, ISLANDS, &original, &clone);
	rig_write(fs, clone, 100 * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 3);
	rig_write(fs, clone, 80 * BLOCK, 40 * BLOCK, 'c');
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	rig_expect(fs, clone, 80 * BLOCK, 40 * BLOCK, 'c');
	cowdax_close(fs);
}

TEST("a block that comes back to where the base has it is borrowed again")
{
	uint64_t original, clone;
	struct cowdax *fs = make_pair(4096, 100, &original, &clone);
	struct cowdax_error error;

	rig_write(fs, clone, 40 * BLOCK, BLOCK, 'b');
	CHECK_EQUAL(cowdax_clone_range(fs, "/original", 40 * BLOCK, "/clone", 40 * BLOCK, BLOCK, NULL, &error), 0);
	CHECK_EQUAL(look(fs).borrowing_nodes, 1);
	rig_expect(fs, clone, 40 * BLOCK, BLOCK, 'a');
	/* The original's are its own alone, but for what is borrowed. */
	rig_remove(fs, "/original");
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	cowdax_close(fs);
}

TEST("what another handle has shared, or this one and has aborted, is not taken for one's own")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512), *other = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	for (uint64_t i = 0; i < 600; i++)
		rig_write(fs, inode, i * 8192, 4096, 'a');
	for (int turn = 0; turn < 6; turn++) {
		/* Nodes that this handle has just written ... */
		rig_write(fs, inode, 8192, 4096, 'b');
		/* ... get another pointer: from another handle, from this, from both, from nobody. */
		if (turn & 1)
			CHECK_EQUAL(cowdax_clone(other, "/a", turn < 3 ? "/b" : "/c", NULL, &error), 0);
		if (turn & 2)
			CHECK_EQUAL(cowdax_clone(fs, "/a", "/d", NULL, &error), 0);
		if (turn >= 4) {
			CHECK_EQUAL(cowdax_begin(fs, &error), 0);
			CHECK_EQUAL(cowdax_clone(fs, "/a", "/e", NULL, &error), 0);
			cowdax_abort(fs);
		}
		rig_write(fs, inode, 8192, 4096, 'c');
		rig_check(fs->path);
	}
	rig_expect(fs, rig_lookup(fs, "/b"), 8192, 4096, 'b');
	rig_expect(fs, rig_lookup(fs, "/d"), 8192, 4096, 'b');
	cowdax_close(other);
	cowdax_close(fs);
}

TEST("clones of clones, each written to: no base has a base, and both sides of each may change")
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, 512);
	char from[16] = "/0", to[16];
	uint64_t inode = rig_islands(fs, from, ISLANDS);

	for (int i = 1; i < 12; i++) {
		snprintf(to, sizeof(to), "/%d", i);
		inode = clone_to(fs, from, to);
		rig_write(fs, inode, (uint64_t)i * 30 * BLOCK, BLOCK, 'a' + i);
		rig_write(fs, rig_lookup(fs, from), (uint64_t)i * 30 * BLOCK, BLOCK, 'A' + i);
		look(fs);
		memcpy(from, to, sizeof(from));
	}
	for (int i = 1; i < 12; i++)
		rig_expect(fs, inode, (uint64_t)i * 30 * BLOCK, BLOCK, i < 11 ? 'a' + i : 'a' + 11);
	for (int i = 0; i < 12; i += 2) {
		snprintf(to, sizeof(to), "/%d", i);
		rig_remove(fs, to);
		drain(fs);
		look(fs);
	}
	cowdax_close(fs);
}

TEST("small writes inside long extents cut pieces out of what is borrowed; a leaf that splits shares its base")
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, 512);
	uint64_t original = rig_create(fs, "/original"), clone, nodes = 0;

	/* Some extents of 20 blocks, apart on the media as in the file. */
	for (uint64_t i = 0; i < 19; i++)
		rig_write(fs, original, 40 * i * BLOCK, 20 * BLOCK, 'a');
	clone = clone_to(fs, "/original", "/clone");
	for (uint64_t i = 0; i < 7; i++) {
		rig_write(fs, clone, (40 * i + 7) * BLOCK + 100, BLOCK, 'b');
		if (look(fs).borrowing_nodes > nodes)
			nodes = look(fs).borrowing_nodes;
	}
	CHECK(nodes >= 2);
	for (uint64_t i = 0; i < 19; i++) {
		rig_expect(fs, clone, 40 * i * BLOCK, 7 * BLOCK + 100, 'a');
		rig_expect(fs, clone, (40 * i + 7) * BLOCK + 100, BLOCK, i < 7 ? 'b' : 'a');
		rig_expect(fs, original, 40 * i * BLOCK, 20 * BLOCK, 'a');
	}
	rig_remove(fs, "/original");
	drain(fs);
	look(fs);
	cowdax_close(fs);
}

TEST("unwritten extents that are borrowed promise nothing twice, and are written elsewhere")
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, 4096);
	struct cowdax_error error;
	uint64_t original, clone;

	original = rig_islands(fs, "/original", 50);
	CHECK_EQUAL(cowdax_fallocate(fs, original, COWDAX_FALLOCATE_UNWRITTEN, 200 * BLOCK, 30 * BLOCK, false, NULL,
				     &error), 0);
	clone = clone_to(fs, "/original", "/clone");
	rig_write(fs, clone, 0, BLOCK, 'b');
	CHECK_EQUAL(look(fs).borrowing_nodes, 1);
	rig_write(fs, clone, 210 * BLOCK, BLOCK, 'c');
	look(fs);
	rig_expect(fs, original, 200 * BLOCK, 30 * BLOCK, 0);
	rig_write(fs, original, 220 * BLOCK, BLOCK, 'd');
	look(fs);
	rig_expect(fs, clone, 210 * BLOCK, BLOCK, 'c');
	rig_expect(fs, clone, 220 * BLOCK, BLOCK, 0);
	rig_remove(fs, "/original");
	drain(fs);
	rig_write(fs, clone, 225 * BLOCK, BLOCK, 'e');
	look(fs);
	cowdax_close(fs);
}

/* The clone is overwritten block by block until nothing of it is shared. */
static void overwrite_all(struct cowdax *fs, uint64_t clone, bool random)
{
	uint64_t order[ISLANDS], seed = 7;

	for (uint64_t i = 0; i < ISLANDS; i++) {
		uint64_t other = random ? unit_below(&seed, i + 1) : i;

		order[i] = order[other];
		order[other] = i;
	}
	for (uint64_t i = 0; i < ISLANDS; i++)
		rig_write(fs, clone, 2 * order[i] * BLOCK, BLOCK, 'z');
}

TEST("where all of a clone has been written to, nothing borrows and nothing is hidden, whatever the order")
{
	for (int random = 0; random < 2; random++) {
		uint64_t original, clone;
		struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone);
		struct cowdax_check_summary summary;

		overwrite_all(fs, clone, random);
		summary = look(fs);
		CHECK_EQUAL(summary.borrowing_nodes, 0);
		CHECK_EQUAL(summary.hidden_blocks, 0);
		rig_remove(fs, "/original");
		drain(fs);
		summary = look(fs);
		CHECK_EQUAL(summary.shared_extents, 0);
		CHECK_EQUAL(summary.hidden_blocks, 0);
		for (uint64_t i = 0; i < ISLANDS; i++)
			rig_expect(fs, clone, 2 * i * BLOCK, BLOCK, 'z');
		cowdax_close(fs);
	}
}

TEST("whatever is written to whichever of many clones, a base hides no more than a few small changes")
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, 512);
	uint64_t inode[4], seed = 11, most = 0;
	char path[16];

	inode[0] = rig_islands(fs, "/0", ISLANDS);
	for (int i = 1; i < 4; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		inode[i] = clone_to(fs, "/0", path);
	}
	for (int i = 0; i < 600; i++) {
		uint64_t which = 1 + unit_below(&seed, 3);

		if (i == 200)
			rig_remove(fs, "/0");
		rig_write(fs, inode[which], unit_below(&seed, 2 * ISLANDS) * BLOCK, BLOCK, 'b');
		if (i % 20)
			continue;
		drain(fs);
		most = look(fs).hidden_blocks > most ? look(fs).hidden_blocks : most;
	}
	unit_note("most hidden: %llu", (unsigned long long)most);
	CHECK(most <= 100);
	cowdax_close(fs);
}

TEST("trimming takes over what only bases have, so that nothing is hidden from it")
{
	for (uint32_t node_size = 512; node_size <= 4096; node_size *= 8) {
		uint64_t original, clone, free;
		struct cowdax *fs = make_pair(node_size, ISLANDS, &original, &clone);
		struct cowdax_trimmed trimmed = {0};
		struct cowdax_error error;

		for (uint64_t i = 0; i < (node_size == 512 ? 60 : 6); i++)
			rig_write(fs, clone, 2 * (i * 37 % ISLANDS) * BLOCK, BLOCK, 'b');
		rig_remove(fs, "/original");
		drain(fs);
		CHECK(look(fs).hidden_blocks > 0);
		free = rig_free_blocks(fs) + look(fs).hidden_blocks;
		CHECK_EQUAL(cowdax_trim(fs, true, NULL, NULL, &trimmed, &error), 0);
		CHECK_EQUAL(look(fs).hidden_blocks, 0);
		CHECK_EQUAL(look(fs).borrowing_nodes, 0);
		CHECK(rig_free_blocks(fs) >= free);
		cowdax_close(fs);
	}
}

TEST("what is hidden is given back when that is asked for, from bases of one or of several, and nothing else happens")
{
	uint64_t original, clone, other, free, transaction;
	struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone), *reader;
	struct cowdax_error error;

	/* What hides nothing goes on borrowing. */
	rig_write(fs, clone, 0, BLOCK, 'b');
	transaction = cowdax_transaction(fs);
	CHECK_EQUAL(cowdax_unhide(fs, &error), 0);
	CHECK_EQUAL(cowdax_transaction(fs), transaction);
	CHECK_EQUAL(look(fs).borrowing_nodes, 3);
	rig_remove(fs, "/original");
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 1);
	free = rig_free_blocks(fs);
	CHECK_EQUAL(cowdax_unhide(fs, &error), 0);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	CHECK(rig_free_blocks(fs) > free);
	/* Of several: both have replaced what the third had. */
	other = clone_to(fs, "/clone", "/other");
	clone_to(fs, "/clone", "/third");
	for (uint64_t i = 0; i < 5; i++) {
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'c');
		rig_write(fs, other, 2 * i * BLOCK, BLOCK, 'd');
	}
	rig_remove(fs, "/third");
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 5);
	reader = rig_open(fs->path, COWDAX_RDONLY);
	CHECK_EQUAL(cowdax_unhide(reader, &error), -EROFS);
	cowdax_close(reader);
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(cowdax_unhide(fs, &error), -EINVAL);
	cowdax_abort(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 5);
	CHECK_EQUAL(cowdax_unhide(fs, &error), 0);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	for (uint64_t i = 0; i < ISLANDS; i++) {
		rig_expect(fs, clone, 2 * i * BLOCK, BLOCK, i < 5 ? 'c' : 'a');
		rig_expect(fs, other, 2 * i * BLOCK, BLOCK, i < 5 ? 'd' : 'a');
	}
	cowdax_close(fs);
}

TEST("overwriting reaches what only bases have that several clones share")
{
	uint64_t original, clone, other;
	struct cowdax *fs = make_pair(512, ISLANDS, &original, &clone);
	struct cowdax_trimmed trimmed = {0};
	struct cowdax_error error;

	other = clone_to(fs, "/original", "/other");
	for (uint64_t i = 0; i < 5; i++) {
		rig_write(fs, clone, 2 * i * BLOCK, BLOCK, 'b');
		rig_write(fs, other, 2 * i * BLOCK, BLOCK, 'c');
	}
	/* A clone of what borrows shares that. */
	clone_to(fs, "/other", "/third");
	rig_remove(fs, "/original");
	drain(fs);
	CHECK_EQUAL(look(fs).hidden_blocks, 5);
	CHECK_EQUAL(cowdax_trim(fs, true, NULL, NULL, &trimmed, &error), 0);
	CHECK_EQUAL(look(fs).hidden_blocks, 0);
	CHECK_EQUAL(look(fs).borrowing_nodes, 0);
	for (uint64_t i = 0; i < 6; i++) {
		rig_expect(fs, clone, 2 * i * BLOCK, BLOCK, i < 5 ? 'b' : 'a');
		rig_expect(fs, other, 2 * i * BLOCK, BLOCK, i < 5 ? 'c' : 'a');
	}
	cowdax_close(fs);
}

TEST("a child that has split is two of its parent's own, which gives its base up the sooner")
{
	uint64_t original, clone, i, before;
	struct cowdax *fs = make_pair(512, 200, &original, &clone);

	/* One extent more, and a full leaf splits. */
	for (i = 0; i < HALF(512) / 2 + 1; i++)
		rig_write(fs, clone, (2 * FITS(512) * i + 1) * BLOCK, BLOCK, 'b');
	before = look(fs).borrowing_nodes;
	CHECK_EQUAL(before, 2 * i + 1);
	rig_write(fs, clone, 2 * FITS(512) * i * BLOCK, BLOCK, 'b');
	/* Another leaf borrows, and the one above it no more. */
	CHECK_EQUAL(look(fs).borrowing_nodes, before);
	cowdax_close(fs);
}

/* Writes all over two files, clones among them, in one transaction that is written out early again and again. */
static void write_and_clone(struct cowdax *fs, uint64_t blocks, int round, uint64_t *files, uint64_t *seed)
{
	struct cowdax_error error;
	char name[] = "/c0";

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (int i = 0; i < 6000; i++) {
		rig_write(fs, files[unit_below(seed, 2)], unit_below(seed, blocks) * BLOCK, BLOCK, 'b' + round);
		if (i % 2500 != 1500)
			continue;
		name[2] = (char)('0' + round % 3);
		CHECK_EQUAL(cowdax_clone(fs, "/a", name, NULL, &error), 0);
		if (round % 4 != 2)
			files[1] = rig_lookup(fs, name);
	}
	if (round % 4 == 2)
		cowdax_abort(fs);
	else
		CHECK_EQUAL(cowdax_commit(fs, &error), 0);
}

TEST("nodes written out early, cloned, aborted, by two handles in turn: every count is the number of pointers")
{
	struct cowdax *fs = rig_new(512 * MIB, BLOCK, 512), *other = rig_again(fs);
	uint64_t inode = rig_create(fs, "/a"), files[2] = {inode, inode}, blocks = 60000, seed = 9;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t block = 0; block < blocks; block += 2)
		rig_write(fs, inode, block * BLOCK, BLOCK, 'a');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	for (int round = 0; round < 6; round++) {
		write_and_clone(round & 1 ? other : fs, blocks, round, files, &seed);
		rig_check(fs->path);
		for (int i = 0; i < 100; i++)
			rig_write(unit_below(&seed, 4) ? fs : other, files[i & 1], unit_below(&seed, blocks) * BLOCK,
				  BLOCK, 'z');
		rig_check(fs->path);
	}
	cowdax_close(other);
	cowdax_close(fs);
}
