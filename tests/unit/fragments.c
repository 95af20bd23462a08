// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Free space in systematic fragments: ENOSPC only when it is really in use (L4).
 *
 * What is held back is what is kept for removals and commits, and, for a transaction
 * that needs N nodes, at most 2 N + 64 grains more: its own nodes, and those of the
 * space tree in which the fragments are taken.
 */
#include <inttypes.h>

#include "rig.h"
#include "txn/alloc.h"

/* Free and used grains by turns; the first free one at a block's start. */
struct pattern {
	const char *name;
	uint64_t free, used;
};
static const struct pattern patterns[] = {
	{"single grains", 1, 1},
	{"single grains among blocks", 1, 7},
	{"parts of blocks", 3, 1},
	{"single blocks", 4, 4},
	{"blocks and more", 7, 5},
};
static const struct pattern block_patterns[] = {
	{"single blocks", 4, 4},
	{"single blocks far apart", 4, 28},
	{"pairs of blocks", 8, 4},
};
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Take the free space from *at on but for the pattern's fragments, up to @left grains of those. */
static int punch_holes(struct cdx_txn *txn, const struct pattern *pattern, uint64_t *at, uint64_t *left)
{
	uint64_t references, end, stop, block = cdx_block_grains(txn), grain = *at;
	int steps = 0, ret;

	for (; grain < txn->super->grains - txn->super->head_grains && steps < 100; grain = stop) {
		ret = cdx_space_count(&txn->space, grain, &references, &end);
		if (ret)
			return ret;
		stop = end;
		if (references)
			continue;
		if (*left) {
			/* Fragments count from a block's start. */
			uint64_t start = (grain + block - 1) & ~(block - 1), phase;

			start = start > end ? end : start;
			phase = (start == grain) ? (pattern->free < *left ? pattern->free : *left) : 0;
			grain += phase;
			*left -= phase;
			stop = start == grain - phase ? grain + pattern->used : start;
			stop = stop > end ? end : stop;
		}
		if (grain < stop) {
			ret = cdx_space_take(&txn->space, grain, stop - grain);
			steps++;
		}
		if (ret)
			return ret;
	}
	*at = grain;
	return steps;
}

static struct cowdax *make_fragmented(const struct pattern *pattern, uint64_t left, uint64_t size)
{
	struct cowdax *fs = rig_new(size, 4096, 1024);
	uint64_t at = 0;
	int steps;

	rig_create(fs, "/file");
	do {
		steps = punch_holes(rig_begin(fs), pattern, &at, &left);
		CHECK(steps >= 0);
		rig_commit(fs);
	} while (steps);
	return fs;
}

static int create_hundred(struct cowdax *fs, int round)
{
	struct cowdax_error error;
	uint64_t inode;
	char path[32];
	int ret;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/%d-%d", round, i);
		ret = cowdax_create(fs, path, 0644, &inode, &error);
		if (ret) {
			cowdax_abort(fs);
			return ret;
		}
	}
	return cowdax_commit(fs, &error);
}

TEST("L4: creations of a hundred at once go on until free space is gone, whatever fragments it is in")
{
	for (size_t p = 0; p < LENGTH(patterns); p++) {
		for (uint64_t left = 2000; left <= 6000; left += 2000) {
			struct cowdax *fs = make_fragmented(&patterns[p], left, 64 * MIB);
			uint64_t after;
			int round = 0, ret;

			/* Some of it waits in limbo for what making the fragments took. */
			CHECK(cdx_budget(&fs->txn).held + 300 >= left);
			while ((ret = create_hundred(fs, round)) == 0)
				round++;
			after = cdx_budget(&fs->txn).available;
			unit_note("%s, %" PRIu64 " left: %d rounds, %" PRIu64 " grains in the end", patterns[p].name,
				  left, round, after);
			CHECK_EQUAL(ret, -ENOSPC);
			/* A hundred dirents, in as many leaves at worst. */
			CHECK(after <= 2 * 100 + 64);
			rig_check_but(fs->path, "refcount-high");
			cowdax_close(fs);
			remove(unit_path("image"));
		}
	}
}

TEST("L4: small writes go on until no whole block is free, whatever fragments they are in")
{
	static unsigned char bytes[4096];

	for (size_t p = 0; p < LENGTH(block_patterns); p++) {
		struct cowdax *fs = make_fragmented(&block_patterns[p], 4000, 64 * MIB);
		uint64_t inode = rig_lookup(fs, "/file"), done = 0, blocks = cdx_budget(&fs->txn).available / 4;
		struct cowdax_error error;

		while (cowdax_write(fs, inode, bytes, sizeof(bytes), 8192 * done, NULL, &error) == 0)
			done++;
		unit_note("%s: %" PRIu64 " of %" PRIu64 " blocks", block_patterns[p].name, done, blocks);
		CHECK_EQUAL(error.code, -ENOSPC);
		/* An extent each: 24 bytes in a leaf half full at worst. */
		CHECK(done + done * 48 / 4096 + 32 >= blocks);
		rig_check_but(fs->path, "refcount-high");
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}

TEST("L4: a long write takes all there is, whatever fragments it is in")
{
	for (size_t p = 0; p < LENGTH(block_patterns); p++) {
		struct cowdax *fs = make_fragmented(&block_patterns[p], 4000, 64 * MIB);
		uint64_t inode = rig_lookup(fs, "/file"), blocks = cdx_budget(&fs->txn).available / 4;
		uint64_t length = (blocks - blocks * 48 / 4096 - 48) * 4096;

		CHECK(length > 2 * MIB);
		rig_write(fs, inode, 0, length, 'x');
		rig_expect(fs, inode, 0, length, 'x');
		rig_check_but(fs->path, "refcount-high");
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}
