// SPDX-License-Identifier: GPL-2.0-or-later
/* Two filesystems in one file: neither knows of the other's locks (FORMAT 11). */
#include <unistd.h>

#include "rig.h"

#define SIZE (8 * MIB)

static int make_at(uint64_t fs_offset, uint64_t size, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options = {
		.size = size, .fs_offset = fs_offset, .create = true, .seed = 7 + fs_offset, .uuid = {1},
	};

	return cowdax_mkfs(unit_path("image"), &options, NULL, error);
}

static struct cowdax *open_at(uint64_t fs_offset, unsigned int flags)
{
	struct cowdax_open_options options = {.fs_offset = fs_offset, .flags = flags};
	struct cowdax_error error = {0};
	struct cowdax *fs = NULL;

	if (cowdax_open(unit_path("image"), &options, &fs, &error))
		unit_fail(__FILE__, __LINE__, error.text);
	return fs;
}

static void check_at(uint64_t fs_offset)
{
	struct cowdax_check_options options = {.fs_offset = fs_offset, .check_data = true};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_check(unit_path("image"), &options, &summary, &error), 0);
	CHECK(summary.clean);
}

/* One after the other, at 0 and at SIZE. */
static void make_both(void)
{
	CHECK_EQUAL(make_at(0, SIZE, NULL), 0);
	CHECK_EQUAL(make_at(SIZE, SIZE, NULL), 0);
}

TEST("a reader of one holds nothing that the other frees")
{
	struct cowdax *fs, *reader;
	uint64_t inode;

	make_both();
	reader = open_at(SIZE, COWDAX_RDONLY);
	fs = open_at(0, COWDAX_NO_WAIT);
	inode = rig_create(fs, "/a");
	for (int i = 0; i < 10; i++)
		rig_write(fs, inode, 0, 3 * MIB, 'a' + i);
	rig_expect(fs, inode, 0, 3 * MIB, 'j');
	cowdax_close(reader);
	cowdax_close(fs);
	check_at(0);
	check_at(SIZE);
}

TEST("a transaction, a long write and an atomic batch of one keep nobody of the other waiting")
{
	struct cowdax_error error = {0};
	struct cdx_range range = {0};
	struct cowdax *one, *other;
	uint64_t a, b;

	make_both();
	one = open_at(0, COWDAX_NO_WAIT);
	other = open_at(SIZE, COWDAX_NO_WAIT);
	a = rig_create(one, "/a");
	b = rig_create(other, "/b");
	CHECK_EQUAL(a, b);
	CHECK_EQUAL(cowdax_begin(one, &error), 0);
	rig_write(one, a, 0, 5000, 'a');
	rig_write(other, b, 0, 2 * MIB, 'b');
	CHECK_EQUAL(cowdax_commit(one, &error), 0);
	CHECK_EQUAL(cdx_range_lock(&one->device, &range, a, 0, 10, false), 0);
	CHECK_EQUAL(cdx_stage_open(&one->stage, &one->txn, 0, 0, one->scratch, &error), 0);
	CHECK_EQUAL(cowdax_begin(other, &error), 0);
	rig_write(other, b, 0, 5000, 'c');
	CHECK_EQUAL(cowdax_commit(other, &error), 0);
	cdx_stage_close(&one->stage);
	cdx_range_unlock(&one->device, &range);
	cowdax_close(other);
	cowdax_close(one);
	check_at(0);
	check_at(SIZE);
}

TEST("a filesystem is made beside one that is open, before it and behind it")
{
	struct cowdax *fs;
	uint64_t inode;

	CHECK_EQUAL(make_at(SIZE, SIZE, NULL), 0);
	fs = open_at(SIZE, 0);
	inode = rig_create(fs, "/a");
	rig_write(fs, inode, 0, 4 * MIB, 'a');
	CHECK_EQUAL(make_at(0, SIZE, NULL), 0);
	CHECK_EQUAL(make_at(2 * SIZE, SIZE, NULL), 0);
	rig_expect(fs, inode, 0, 4 * MIB, 'a');
	cowdax_close(fs);
	for (uint64_t at = 0; at <= 2 * SIZE; at += SIZE)
		check_at(at);
}

TEST("none is made over any part of one that is open, wherever it starts")
{
	const struct { uint64_t start, size; } over[] = {
		{SIZE, SIZE}, {SIZE + 512, MIB}, {SIZE + SIZE / 2, SIZE / 2}, {2 * SIZE - 512, SIZE},
		{0, 2 * SIZE}, {SIZE / 2, SIZE}, {SIZE - MIB + 512, MIB}, {0, 3 * SIZE},
	};
	struct cowdax_error error;
	struct cowdax *fs;
	uint64_t inode;

	CHECK_EQUAL(make_at(2 * SIZE, SIZE, NULL), 0);
	CHECK_EQUAL(make_at(SIZE, SIZE, NULL), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		fs = open_at(SIZE, read_only ? COWDAX_RDONLY : 0);
		if (!read_only)
			rig_write(fs, rig_create(fs, "/a"), 0, 4 * MIB, 'a');
		inode = rig_lookup(fs, "/a");
		for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
			CHECK_EQUAL(make_at(over[i].start, over[i].size, &error), -EBUSY);
			CHECK(strstr(error.text, "image: in use by another process"));
		}
		rig_expect(fs, inode, 0, 4 * MIB, 'a');
		cowdax_close(fs);
		check_at(SIZE);
		check_at(2 * SIZE);
	}
	CHECK_EQUAL(make_at(SIZE / 2, SIZE, &error), 0);
}

/* ---- where locks are -------------------------------------------------------------------- */

TEST("FORMAT 11: two filesystems that do not overlap have no lock byte in common, up to 2 GiB and evenly spaced")
{
	static bool seen[8123];
	struct cdx_lock_places places;

	for (uint64_t start = 0; start < 8123 * MIB / 4; start += MIB / 4) {
		uint64_t slot;

		cdx_lock_place(&places, start);
		slot = (places.readers - CDX_LOCK_FIRST - (UINT64_C(1) << 55)) >> 49;
		CHECK(slot < 8123 && !seen[slot]);
		seen[slot] = true;
	}
	for (unsigned int shift = 18; shift < 50; shift++) {
		memset(seen, 0, sizeof(seen));
		for (uint64_t i = 0; i < 1000; i++) {
			uint64_t slot;

			cdx_lock_place(&places, i << shift);
			slot = (places.readers - CDX_LOCK_FIRST - (UINT64_C(1) << 55)) >> 49;
			CHECK(!seen[slot]);
			seen[slot] = true;
		}
	}
}

TEST("R11: every place is behind all data and before 2^63, and no area reaches into the next")
{
	uint64_t state = 3;

	for (int i = 0; i < 10000; i++) {
		uint64_t start = unit_below(&state, CDX_MAX_IMAGE) / 512 * 512;
		struct cdx_lock_places places;

		cdx_lock_place(&places, start);
		CHECK(places.open >= CDX_LOCK_FIRST);
		CHECK(places.open + cdx_lock_units(CDX_MAX_IMAGE) <= CDX_LOCK_FIRST + (UINT64_C(1) << 54));
		CHECK(places.commit >= CDX_LOCK_FIRST + (UINT64_C(1) << 54) && places.commit < places.readers);
		CHECK(places.readers + CDX_LAST_TRANSACTION < places.ranges);
		CHECK(places.ranges + 1023 * CDX_LOCK_COLUMN + cdx_lock_block((UINT64_C(1) << 50) - 1) < places.lanes);
		CHECK(places.lanes + CDX_MAX_LANE < places.turnstiles);
		CHECK(places.turnstiles + 1024 <= CDX_LOCK_END);
	}
}
