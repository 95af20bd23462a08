// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two-map iterator: when a source is looked up, when it is read, and how a
 * turn is cut.  Reads of the media are watched through --wrap=cdx_pmem_read and
 * --wrap=cdx_pmem_move.
 */
#include "iomap/iomap.h"

#include "iomap/file.h"
#include "rig.h"

#define BLOCK 4096

/* ---- watching the media -------------------------------------------------------------- */

static struct {
	uint64_t start, end;		/* bytes in the image that are watched */
	uint64_t bytes;			/* read from there */
	bool broken;			/* and they cannot be read */
} watched;

static int watch(uint64_t offset, size_t length)
{
	uint64_t low = offset > watched.start ? offset : watched.start;
	uint64_t high = offset + length < watched.end ? offset + length : watched.end;

	if (low >= high)
		return 0;
	watched.bytes += high - low;
	return watched.broken ? -EIO : 0;
}

int __real_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length)
{
	int ret = watch(offset, length);

	return ret ? ret : __real_cdx_pmem_read(pm, offset, bytes, length);
}

int __real_cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length);
int __wrap_cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length);
int __wrap_cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length)
{
	int ret = watch(from, length);

	return ret ? ret : __real_cdx_pmem_move(pm, to, from, length);
}

/* ---- steps ------------------------------------------------------------------------------ */

#define MAX_STEPS 4096

struct steps {
	struct cowdax_step step[MAX_STEPS];
	unsigned int count;
};

static void note_step(void *arg, const struct cowdax_step *step)
{
	struct steps *steps = arg;

	if (!step) {
		steps->count = 0;
		return;
	}
	CHECK(steps->count < MAX_STEPS);
	steps->step[steps->count++] = *step;
}

/* Steps follow each other without a gap, each inside both of its maps. */
static void expect_chain(const struct steps *steps, uint64_t from, uint64_t to)
{
	for (unsigned int i = 0; i < steps->count; i++) {
		const struct cowdax_step *step = &steps->step[i];

		CHECK_EQUAL(step->offset, from);
		CHECK(step->length > 0);
		from += step->length;
		CHECK(step->destination.offset <= step->offset);
		CHECK(from <= cdx_iomap_end(&step->destination));
		if (!step->has_source)
			continue;
		CHECK(step->source.offset <= step->offset);
		CHECK(from <= cdx_iomap_end(&step->source));
	}
	CHECK_EQUAL(from, to);
}

struct lab {
	struct cowdax *fs;
	uint64_t inode;
	struct steps steps;
	struct cowdax_result result;
};

static struct lab *make_lab(void)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	CHECK(lab);
	lab->fs = rig_new(64 * MIB, 0, 0);
	lab->inode = rig_create(lab->fs, "/a");
	return lab;
}

static void free_lab(struct lab *lab)
{
	rig_check(lab->fs->path);
	cowdax_close(lab->fs);
	free(lab);
}

static void watch_steps(struct lab *lab)
{
	lab->steps.count = 0;
	lab->result = (struct cowdax_result){.step = note_step, .step_arg = &lab->steps};
}

static int write_bytes(struct lab *lab, uint64_t offset, uint64_t length, int byte)
{
	unsigned char *bytes = malloc(length);
	struct cowdax_error error;
	int ret;

	CHECK(bytes);
	memset(bytes, byte, length);
	watch_steps(lab);
	ret = cowdax_write(lab->fs, lab->inode, bytes, length, offset, &lab->result, &error);
	free(bytes);
	return ret;
}

static int find_address(void *arg, const struct cowdax_extent *extent)
{
	if (extent->map.type == COWDAX_HOLE)
		return 0;
	watched.start = extent->map.address;
	watched.end = extent->map.address + extent->map.length;
	(void)arg;
	return 1;
}

/* Watch what one extent of the file lies on. */
static void watch_extent(struct lab *lab, uint64_t offset, uint64_t length, bool broken)
{
	struct cowdax_error error;

	memset(&watched, 0, sizeof(watched));
	CHECK_EQUAL(cowdax_map(lab->fs, lab->inode, offset, length, find_address, NULL, &error), 1);
	CHECK_EQUAL(watched.end - watched.start, length);
	watched.broken = broken;
}

/* ---- writing ---------------------------------------------------------------------------------- */

TEST("an aligned write looks no source up and reads none, so one that cannot be read does not matter")
{
	struct lab *lab = make_lab();

	CHECK_EQUAL(write_bytes(lab, 0, 10 * BLOCK, 'a'), 0);
	watch_extent(lab, 2 * BLOCK, 5 * BLOCK, true);
	CHECK_EQUAL(write_bytes(lab, 2 * BLOCK, 5 * BLOCK, 'b'), 0);
	CHECK_EQUAL(lab->result.source_lookups, 0);
	CHECK_EQUAL(lab->result.bytes_copied, 0);
	CHECK_EQUAL(lab->result.bytes_written, 5 * BLOCK);
	CHECK_EQUAL(watched.bytes, 0);
	CHECK_EQUAL(lab->steps.count, 1);
	CHECK(!lab->steps.step[0].has_source);
	CHECK_EQUAL(lab->steps.step[0].destination.flags, COWDAX_IOMAP_NEW);
	memset(&watched, 0, sizeof(watched));
	rig_expect(lab->fs, lab->inode, 2 * BLOCK, 5 * BLOCK, 'b');
	rig_expect(lab->fs, lab->inode, 0, 2 * BLOCK, 'a');
	free_lab(lab);
}

TEST("an unaligned write over many blocks looks up the source of the first and the last only")
{
	static const struct { uint64_t offset, length, lookups, copied; } cases[] = {
		{100, 9 * BLOCK, 2, 100 + BLOCK - 100},
		{100, 9 * BLOCK - 100, 1, 100},
		{0, 8 * BLOCK + 1, 1, BLOCK - 1},
		{BLOCK - 1, 2, 2, 2 * BLOCK - 2},
		{BLOCK + 10, 20, 1, BLOCK - 20},
		{5 * BLOCK, 1, 1, BLOCK - 1},
		{6 * BLOCK - 1, 1, 1, BLOCK - 1},
	};
	struct lab *lab = make_lab();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_EQUAL(write_bytes(lab, 0, 10 * BLOCK, 'a'), 0);
		watch_extent(lab, 0, 10 * BLOCK, false);
		CHECK_EQUAL(write_bytes(lab, cases[i].offset, cases[i].length, 'b'), 0);
		CHECK_EQUAL(lab->result.source_lookups, cases[i].lookups);
		CHECK_EQUAL(lab->result.bytes_copied, cases[i].copied);
		CHECK_EQUAL(lab->result.bytes_zeroed, 0);
		CHECK_EQUAL(watched.bytes, cases[i].copied);
		expect_chain(&lab->steps, cases[i].offset, cases[i].offset + cases[i].length);
		rig_expect(lab->fs, lab->inode, cases[i].offset, cases[i].length, 'b');
		if (cases[i].offset)
			rig_expect(lab->fs, lab->inode, 0, cases[i].offset, 'a');
		rig_expect(lab->fs, lab->inode, cases[i].offset + cases[i].length,
			   10 * BLOCK - cases[i].offset - cases[i].length, 'a');
	}
	free_lab(lab);
}

TEST("a partial block is a turn of its own: first, middle, last, each with its maps")
{
	struct lab *lab = make_lab();
	const struct cowdax_step *step = lab->steps.step;

	CHECK_EQUAL(write_bytes(lab, 0, 3 * BLOCK, 'a'), 0);
	/* Block 3 is a hole still. */
	CHECK_EQUAL(write_bytes(lab, 100, 3 * BLOCK, 'b'), 0);
	CHECK_EQUAL(lab->steps.count, 3);
	expect_chain(&lab->steps, 100, 100 + 3 * BLOCK);
	CHECK(step[0].length == BLOCK - 100 && step[1].length == 2 * BLOCK && step[2].length == 100);
	CHECK(step[0].has_source && !step[1].has_source && step[2].has_source);
	CHECK_EQUAL(step[0].source.type, COWDAX_MAPPED);
	CHECK_EQUAL(step[0].source.length, BLOCK);
	CHECK_EQUAL(step[2].source.type, COWDAX_HOLE);
	for (int i = 0; i < 3; i++) {
		CHECK_EQUAL(step[i].destination.type, COWDAX_MAPPED);
		CHECK_EQUAL(step[i].destination.flags, COWDAX_IOMAP_NEW);
		CHECK(step[i].source.address != step[i].destination.address || !step[i].has_source);
	}
	CHECK_EQUAL(lab->result.bytes_copied, 100);
	CHECK_EQUAL(lab->result.bytes_zeroed, BLOCK - 100);
	free_lab(lab);
}

TEST("a hole or an unwritten range is never read: what the media hold there does not show")
{
	struct lab *lab = make_lab();
	struct cowdax_error error;
	uint64_t dirt = rig_create(lab->fs, "/dirt");

	/* Blocks full of dirt, free again. */
	rig_write(lab->fs, dirt, 0, 32 * MIB, 0xdd);
	rig_remove(lab->fs, "/dirt");
	rig_drain(lab->fs);
	rig_drain(lab->fs);
	CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 4 * BLOCK, false, NULL,
				     &error), 0);
	watch_extent(lab, 0, 4 * BLOCK, true);
	CHECK_EQUAL(write_bytes(lab, BLOCK + 100, 10, 'b'), 0);
	CHECK_EQUAL(lab->result.source_lookups, 1);
	CHECK_EQUAL(lab->result.bytes_copied, 0);
	CHECK_EQUAL(lab->result.bytes_zeroed, BLOCK - 10);
	CHECK_EQUAL(lab->steps.step[0].source.type, COWDAX_UNWRITTEN);
	CHECK_EQUAL(write_bytes(lab, 8 * BLOCK + 100, 10, 'c'), 0);
	CHECK_EQUAL(lab->result.bytes_zeroed, BLOCK - 10);
	CHECK_EQUAL(lab->steps.step[0].source.type, COWDAX_HOLE);
	CHECK_EQUAL(watched.bytes, 0);
	rig_expect(lab->fs, lab->inode, 0, BLOCK + 100, 0);
	rig_expect(lab->fs, lab->inode, BLOCK + 100, 10, 'b');
	rig_expect(lab->fs, lab->inode, BLOCK + 110, 7 * BLOCK - 10, 0);
	rig_expect(lab->fs, lab->inode, 8 * BLOCK + 100, 10, 'c');
	CHECK_EQUAL(cowdax_truncate(lab->fs, lab->inode, 9 * BLOCK, NULL, &error), 0);
	rig_expect(lab->fs, lab->inode, 8 * BLOCK + 110, BLOCK - 110, 0);
	free_lab(lab);
}

TEST("an edge that cannot be read fails the write, and the file is as it was")
{
	struct lab *lab = make_lab();

	CHECK_EQUAL(write_bytes(lab, 0, 3 * BLOCK, 'a'), 0);
	watch_extent(lab, 0, 3 * BLOCK, true);
	CHECK_EQUAL(write_bytes(lab, 100, 2 * BLOCK, 'b'), -EIO);
	memset(&watched, 0, sizeof(watched));
	rig_expect(lab->fs, lab->inode, 0, 3 * BLOCK, 'a');
	free_lab(lab);
}

/* ---- the shorter map --------------------------------------------------------------------------- */

/* Leave free space in single blocks only, among those of a file that stays. */
static void splinter_space(struct cowdax *fs)
{
	uint64_t inode = rig_create(fs, "/filler"), done = 0;
	unsigned char block[BLOCK] = {0};
	struct cowdax_error error;

	while (cowdax_write(fs, inode, block, BLOCK, done, NULL, &error) == 0)
		done += BLOCK;
	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t at = done / 4 / BLOCK * BLOCK; at + BLOCK < done * 3 / 4; at += 2 * BLOCK)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, at, BLOCK, true, NULL, &error), 0);
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_drain(fs);
	rig_drain(fs);
}

TEST("a turn is cut to the shorter map: long source, short destinations")
{
	struct cowdax_error error;
	struct lab *lab = calloc(1, sizeof(*lab));
	unsigned int new = 0;

	CHECK(lab);
	lab->fs = rig_new(8 * MIB, 0, 0);
	lab->inode = rig_create(lab->fs, "/a");
	for (int i = 0; i < 100; i++)
		rig_write(lab->fs, lab->inode, (uint64_t)i * BLOCK, BLOCK, i);
	CHECK_EQUAL(cowdax_clone(lab->fs, "/a", "/b", NULL, &error), 0);
	splinter_space(lab->fs);
	watch_steps(lab);
	CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_UNSHARE, 0, 100 * BLOCK, true,
				     &lab->result, &error), 0);
	expect_chain(&lab->steps, 0, 100 * BLOCK);
	for (unsigned int i = 0; i < lab->steps.count; i++)
		new += lab->steps.step[i].destination.flags == COWDAX_IOMAP_NEW;
	CHECK(new > 20);
	CHECK_EQUAL(lab->result.bytes_copied, 100 * BLOCK);
	for (int i = 0; i < 100; i++) {
		rig_expect(lab->fs, lab->inode, (uint64_t)i * BLOCK, BLOCK, i);
		rig_expect(lab->fs, rig_lookup(lab->fs, "/b"), (uint64_t)i * BLOCK, BLOCK, i);
	}
	free_lab(lab);
}

TEST("a turn is cut to the shorter map: short sources, long destination, holes and unwritten between")
{
	struct cowdax_error error;
	struct lab *lab = make_lab();
	unsigned int mapped = 0;

	/* Written backwards, so that no two neighbours lie together. */
	for (int i = 59; i >= 0; i--) {
		if (i % 5 == 3)
			CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_UNWRITTEN,
						     (uint64_t)i * BLOCK, BLOCK, false, NULL, &error), 0);
		else if (i % 5 != 4)
			rig_write(lab->fs, lab->inode, (uint64_t)i * BLOCK, BLOCK, i + 1);
	}
	CHECK_EQUAL(cowdax_truncate(lab->fs, lab->inode, 60 * BLOCK, NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone(lab->fs, "/a", "/b", NULL, &error), 0);
	watch_steps(lab);
	CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_UNSHARE, 0, 60 * BLOCK, true,
				     &lab->result, &error), 0);
	expect_chain(&lab->steps, 0, 60 * BLOCK);
	for (unsigned int i = 0; i < lab->steps.count; i++) {
		const struct cowdax_step *step = &lab->steps.step[i];

		CHECK_EQUAL(step->destination.type, step->source.type);
		CHECK_EQUAL(step->destination.flags == COWDAX_IOMAP_NEW, step->source.type == COWDAX_MAPPED);
		mapped += step->source.type == COWDAX_MAPPED;
	}
	CHECK(mapped >= 36 && mapped <= 36 * 2);
	CHECK_EQUAL(lab->result.bytes_copied, 36 * BLOCK);
	for (int i = 0; i < 60; i++) {
		rig_expect(lab->fs, lab->inode, (uint64_t)i * BLOCK, BLOCK, i % 5 < 3 ? i + 1 : 0);
		rig_expect(lab->fs, rig_lookup(lab->fs, "/b"), (uint64_t)i * BLOCK, BLOCK, i % 5 < 3 ? i + 1 : 0);
	}
	free_lab(lab);
}

/* An operation whose maps are made up: destinations of three blocks, sources of two. */
static int begin_made_up(struct cdx_iter *it)
{
	uint64_t at = it->position & ~UINT64_C(4095);

	it->step.destination = (struct cowdax_iomap){.offset = at, .length = 3 * BLOCK, .type = COWDAX_MAPPED};
	it->step.has_source = it->position < 10 * BLOCK;
	it->step.source = (struct cowdax_iomap){.offset = at, .length = 2 * BLOCK, .type = COWDAX_MAPPED};
	return 0;
}

static int end_made_up(struct cdx_iter *it)
{
	(void)it;
	return 0;
}

TEST("it is the iterator that cuts a turn, whatever maps an operation comes up with")
{
	static const struct cdx_iomap_ops made_up = {begin_made_up, end_made_up};
	struct lab *lab = make_lab();
	struct cdx_inode inode;
	struct cdx_iter it;
	int ret;

	watch_steps(lab);
	CHECK_EQUAL(cdx_inode_load(rig_begin(lab->fs), lab->inode, &inode), 0);
	cdx_iter_start(&it, &lab->fs->txn, &inode, &made_up, 100, 20 * BLOCK, &lab->result);
	while ((ret = cdx_iter_next(&it)) > 0)
		;
	CHECK_EQUAL(ret, 0);
	expect_chain(&lab->steps, 100, 100 + 20 * BLOCK);
	CHECK_EQUAL(lab->steps.step[0].length, 2 * BLOCK - 100);
	CHECK_EQUAL(lab->steps.step[1].length, 2 * BLOCK);
	CHECK_EQUAL(lab->steps.step[lab->steps.count - 2].length, 3 * BLOCK);
	cdx_txn_abort(&lab->fs->txn);
	free_lab(lab);
}

/* ---- sharing -------------------------------------------------------------------------------------- */

TEST("a range that is shared copies and writes nothing, and both maps of a step are the same blocks")
{
	struct cowdax_error error;
	struct lab *lab = make_lab();

	for (int i = 9; i >= 0; i--)
		rig_write(lab->fs, lab->inode, (uint64_t)i * 2 * BLOCK, BLOCK, i);
	watch_steps(lab);
	CHECK_EQUAL(cowdax_clone_range(lab->fs, "/a", 2 * BLOCK, "/b", 50 * BLOCK, 10 * BLOCK, &lab->result,
				       &error), 0);
	CHECK_EQUAL(lab->result.bytes_shared, 5 * BLOCK);
	CHECK_EQUAL(lab->result.bytes_copied + lab->result.bytes_written + lab->result.bytes_zeroed, 0);
	CHECK_EQUAL(lab->result.source_lookups, 10);
	CHECK_EQUAL(lab->steps.count, 10);
	for (unsigned int i = 0; i < 10; i++) {
		const struct cowdax_step *step = &lab->steps.step[i];

		CHECK(step->has_source);
		CHECK_EQUAL(step->offset, (50 + i) * BLOCK);
		CHECK_EQUAL(step->source.length, BLOCK);
		CHECK_EQUAL(step->source.offset, (2 + i) * BLOCK);
		CHECK_EQUAL(step->source.type, i % 2 ? COWDAX_HOLE : COWDAX_MAPPED);
		CHECK_EQUAL(step->source.address, step->destination.address);
		CHECK_EQUAL(step->source.flags, i % 2 ? 0 : COWDAX_IOMAP_SHARED);
	}
	/* The source map ends where the range does, though the extent goes on. */
	rig_write(lab->fs, lab->inode, 100 * BLOCK, 10 * BLOCK, 1);
	watch_steps(lab);
	CHECK_EQUAL(cowdax_clone_range(lab->fs, "/a", 101 * BLOCK, "/b", 7 * BLOCK, 3 * BLOCK, &lab->result,
				       &error), 0);
	CHECK_EQUAL(lab->steps.count, 1);
	CHECK_EQUAL(lab->steps.step[0].source.offset, 101 * BLOCK);
	CHECK_EQUAL(lab->steps.step[0].source.length, 3 * BLOCK);
	free_lab(lab);
}

TEST("a lookup tells holes, unwritten and shared ranges apart, and where each ends")
{
	struct cowdax_error error;
	struct lab *lab = make_lab();
	struct cowdax_iomap map;
	struct cdx_inode inode;
	struct cdx_txn *txn;

	rig_write(lab->fs, lab->inode, BLOCK, 4 * BLOCK, 'a');
	CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_UNWRITTEN, 7 * BLOCK, 2 * BLOCK, false,
				     NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone_range(lab->fs, "/a", 2 * BLOCK, "/b", 0, BLOCK, NULL, &error), 0);
	txn = rig_begin(lab->fs);
	CHECK_EQUAL(cdx_inode_load(txn, lab->inode, &inode), 0);
#define EXPECT(at, type_, shared, from, to)                                                        \
	do {                                                                                       \
		CHECK_EQUAL(cdx_iomap_lookup(txn, &inode, at, 20 * BLOCK, true, &map), 0);         \
		CHECK_EQUAL(map.type, type_);                                                      \
		CHECK_EQUAL(map.flags, (shared) ? COWDAX_IOMAP_SHARED : 0);                        \
		CHECK_EQUAL(map.offset, (from) * BLOCK);                                           \
		CHECK_EQUAL(cdx_iomap_end(&map), (to) * BLOCK);                                    \
	} while (0)
	EXPECT(0, COWDAX_HOLE, false, 0, 1);
	EXPECT(BLOCK + 5, COWDAX_MAPPED, false, 1, 2);
	EXPECT(2 * BLOCK, COWDAX_MAPPED, true, 2, 3);
	EXPECT(3 * BLOCK, COWDAX_MAPPED, false, 3, 5);
	EXPECT(6 * BLOCK - 1, COWDAX_HOLE, false, 5, 7);
	EXPECT(7 * BLOCK, COWDAX_UNWRITTEN, false, 7, 9);
	EXPECT(9 * BLOCK, COWDAX_HOLE, false, 9, 20);
#undef EXPECT
	/* Cut at the end that was asked for. */
	CHECK_EQUAL(cdx_iomap_lookup(txn, &inode, 3 * BLOCK, 3 * BLOCK + 1, false, &map), 0);
	CHECK_EQUAL(cdx_iomap_end(&map), 4 * BLOCK);
	cdx_txn_abort(txn);
	free_lab(lab);
}
