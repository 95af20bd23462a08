// SPDX-License-Identifier: GPL-2.0-or-later
/* What preallocation promises: blocks of one's own that are unwritten can always be written, where they are. */
#include "txn/promise.h"

#include <errno.h>

#include "rig.h"

#define PIECE 100

struct lab {
	struct cowdax *fs;
	uint64_t inode, block, blocks;
	uint64_t seed;
};

struct places { struct lab *lab; uint64_t hash; uint64_t unwritten; };

/* Which block lies where, whatever the extents are. */
static int note_place(void *arg, const struct cowdax_extent *extent)
{
	struct places *places = arg;

	CHECK(extent->map.type != COWDAX_HOLE);
	for (uint64_t at = 0; at < extent->map.length; at += places->lab->block)
		places->hash += (extent->map.offset + at + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
				(extent->map.address + at);
	if (extent->map.type == COWDAX_UNWRITTEN)
		places->unwritten += extent->map.length;
	return 0;
}

static struct places places_of(struct lab *lab)
{
	struct places places = {.lab = lab};
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_map(lab->fs, lab->inode, 0, COWDAX_TO_END, note_place, &places, &error), 0);
	return places;
}

/* Until not one more name, nor one more byte, goes in. */
static void fill_image(struct cowdax *fs)
{
	uint64_t filler = rig_create(fs, "/filler"), at = 0, length = 4 * MIB, small = 0;
	unsigned char *bytes = calloc(1, length);
	struct cowdax_error error;
	char path[64];
	int ret = 0;

	CHECK(bytes);
	while (length) {
		ret = cowdax_write(fs, filler, bytes, length, at, NULL, &error);
		CHECK(!ret || ret == -ENOSPC);
		at += ret ? 0 : length;
		length = ret ? length / 2 : length;
		if (length < 4096)
			length = 0;
	}
	for (ret = 0; !ret; small++) {
		uint64_t inode;

		snprintf(path, sizeof(path), "/small-%llu", (unsigned long long)small);
		ret = cowdax_create(fs, path, 0644, &inode, &error);
		CHECK(!ret || ret == -ENOSPC);
	}
	free(bytes);
}

static struct lab *make_lab(uint32_t block_size, uint32_t node_size, uint64_t image, uint64_t length)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct cowdax_error error;

	CHECK(lab);
	lab->fs = rig_new(image, block_size, node_size);
	lab->block = cowdax_block_size(lab->fs);
	lab->blocks = length / lab->block;
	lab->inode = rig_create(lab->fs, "/a");
	CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_UNWRITTEN, 0, length, false, NULL,
				     &error), 0);
	return lab;
}

static void free_lab(struct lab *lab)
{
	rig_check(lab->fs->path);
	CHECK_EQUAL(lab->fs->txn.record.unwritten_blocks, 0);
	CHECK_EQUAL(lab->fs->txn.record.unwritten_extents, 0);
	cowdax_close(lab->fs);
	free(lab);
}

static void must_write(struct lab *lab, uint64_t offset, const void *bytes, uint64_t length)
{
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};
	int ret = cowdax_write(lab->fs, lab->inode, bytes, length, offset, &result, &error);

	if (ret)
		unit_note("%s, at block %llu", error.text, (unsigned long long)(offset / lab->block));
	CHECK_EQUAL(ret, 0);
	CHECK_EQUAL(result.bytes_copied, 0);
}

/*
 * Each block once: whole, or 100 bytes somewhere in it.  Every other block first, in
 * random order: that makes the most extents.
 */
static void write_shuffled(struct lab *lab, bool whole)
{
	uint64_t *order = malloc(lab->blocks * sizeof(*order));
	unsigned char *bytes = malloc(lab->block);

	CHECK(order && bytes);
	for (uint64_t i = 0; i < lab->blocks; i++) {
		uint64_t half = i < lab->blocks / 2 ? 0 : lab->blocks / 2;
		uint64_t other = half + unit_below(&lab->seed, i + 1 - half);

		order[i] = order[other];
		order[other] = i < lab->blocks / 2 ? 2 * i + 1 : 2 * (i - lab->blocks / 2);
	}
	for (uint64_t i = 0; i < lab->blocks; i++) {
		uint64_t skew = whole ? 0 : order[i] * 37 % (lab->block - PIECE);

		memset(bytes, 1 + (int)(order[i] % 250), lab->block);
		must_write(lab, order[i] * lab->block + skew, bytes, whole ? lab->block : PIECE);
	}
	for (uint64_t i = 0; i < lab->blocks; i++) {
		uint64_t skew = whole ? 0 : i * 37 % (lab->block - PIECE), length = whole ? lab->block : PIECE;

		if (skew)
			rig_expect(lab->fs, lab->inode, i * lab->block, skew, 0);
		rig_expect(lab->fs, lab->inode, i * lab->block + skew, length, 1 + (int)(i % 250));
		if (skew + length < lab->block)
			rig_expect(lab->fs, lab->inode, i * lab->block + skew + length,
				   lab->block - skew - length, 0);
	}
	free(order);
	free(bytes);
}

static void write_on_full(uint32_t block_size, uint32_t node_size, bool whole)
{
	struct lab *lab = make_lab(block_size, node_size, 48 * MIB, 16 * MIB);
	struct places before = places_of(lab), after;

	fill_image(lab->fs);
	write_shuffled(lab, whole);
	after = places_of(lab);
	CHECK(after.hash == before.hash);
	CHECK_EQUAL(after.unwritten, 0);
	free_lab(lab);
}

TEST("preallocated blocks can be written on a full image in any order, where they are: 512-byte nodes")
{
	write_on_full(0, 512, true);
}

TEST("the same with 1,024-byte nodes, 100 bytes a block")
{
	write_on_full(0, 1024, false);
}

TEST("the same with 4,096-byte nodes")
{
	write_on_full(0, 4096, true);
}

TEST("the same with blocks of 64 KiB and 512-byte nodes, 100 bytes a block")
{
	write_on_full(65536, 512, false);
}

TEST("the same with blocks of 64 KiB and 4,096-byte nodes")
{
	write_on_full(65536, 4096, true);
}

TEST("one long write into preallocated blocks goes in place on a full image")
{
	static const struct { uint32_t block, node; } sizes[] = {{4096, 512}, {4096, 4096}, {65536, 512}, {65536, 4096}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct lab *lab = make_lab(sizes[i].block, sizes[i].node, 32 * MIB, 8 * MIB);
		struct places before = places_of(lab), after;
		unsigned char *bytes = malloc(8 * MIB);

		CHECK(bytes);
		memset(bytes, 'L', 8 * MIB);
		fill_image(lab->fs);
		for (uint64_t at = 0; at < 2 * MIB; at += 2 * lab->block)
			must_write(lab, at, "x", 1);
		must_write(lab, 2 * MIB + 100, bytes, 6 * MIB - 200);
		rig_expect(lab->fs, lab->inode, 2 * MIB, 100, 0);
		rig_expect(lab->fs, lab->inode, 2 * MIB + 100, 6 * MIB - 200, 'L');
		rig_expect(lab->fs, lab->inode, 8 * MIB - 100, 100, 0);
		for (uint64_t at = lab->block; at < 2 * MIB; at += 2 * lab->block)
			must_write(lab, at, bytes, lab->block);
		free(bytes);
		after = places_of(lab);
		CHECK(after.hash == before.hash);
		free_lab(lab);
	}
}

TEST("a long write over blocks half of which are written already fills the rest in place")
{
	struct lab *lab = make_lab(0, 512, 32 * MIB, 8 * MIB);
	unsigned char *bytes = malloc(8 * MIB);
	struct places before, after;

	CHECK(bytes);
	memset(bytes, 'L', 8 * MIB);
	for (uint64_t i = 0; i < lab->blocks; i += 2)
		must_write(lab, i * lab->block, bytes, 10);
	before = places_of(lab);
	must_write(lab, 0, bytes, 8 * MIB);
	after = places_of(lab);
	CHECK_EQUAL(after.unwritten, 0);
	CHECK(before.unwritten == 4 * MIB && after.hash != before.hash);
	rig_expect(lab->fs, lab->inode, 0, 8 * MIB, 'L');
	free(bytes);
	free_lab(lab);
}

TEST("1,000 small files, 4 blocks of each preallocated, are written every other block first on a full image")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 4096);
	unsigned char bytes[4096];
	struct cowdax_error error;
	uint64_t inode[1000];
	char path[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/file-%d", i);
		inode[i] = rig_create(fs, path);
		CHECK_EQUAL(cowdax_fallocate(fs, inode[i], COWDAX_FALLOCATE_UNWRITTEN, 0, 5 * 4096, i & 1, NULL,
					     &error), 0);
	}
	fill_image(fs);
	memset(bytes, 'x', sizeof(bytes));
	for (uint64_t j = 1; j < 10; j += 2)
		for (int i = 0; i < 1000; i++)
			CHECK_EQUAL(cowdax_write(fs, inode[i], bytes, 4096, j * 3 % 5 * 4096, NULL, &error), 0);
	rig_check(fs->path);
	CHECK_EQUAL(fs->txn.record.unwritten_blocks, 0);
	cowdax_close(fs);
}

TEST("a write that is not in preallocated blocks of its own leaves what is promised to others")
{
	struct lab *lab = make_lab(0, 512, 32 * MIB, 8 * MIB);
	struct cowdax_error error;

	/* Shared: the promise is for blocks of one's own. */
	CHECK_EQUAL(cowdax_clone(lab->fs, "/a", "/b", NULL, &error), 0);
	fill_image(lab->fs);
	CHECK_EQUAL(cowdax_write(lab->fs, lab->inode, "x", 1, 0, NULL, &error), -ENOSPC);
	rig_remove(lab->fs, "/b");
	write_shuffled(lab, true);
	free_lab(lab);
}

TEST("preallocation that could not be kept fails: its space for nodes is set aside with it")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	uint64_t inode = rig_create(fs, "/a"), length = 16 * MIB;
	struct lab lab = {.fs = fs, .inode = inode, .block = 4096};
	struct cowdax_error error;
	int ret;

	do {
		length -= 64 * 1024;
		ret = cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, length, false, NULL, &error);
		CHECK(!ret || ret == -ENOSPC);
	} while (ret);
	CHECK(length > 14 * MIB);
	lab.blocks = length / 4096;
	write_shuffled(&lab, false);
	rig_check(fs->path);
	cowdax_close(fs);
}

static void keep_step(void *arg, const struct cowdax_step *step)
{
	if (step)
		*(struct cowdax_step *)arg = *step;
}

TEST("a step in place has the block itself as its destination, not new, and zeros around the bytes")
{
	struct lab *lab = make_lab(0, 512, 32 * MIB, 8 * MIB);
	uint64_t free_before = rig_free_blocks(lab->fs);
	struct cowdax_step step = {0};
	struct cowdax_result result = {.step = keep_step, .step_arg = &step};
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_write(lab->fs, lab->inode, "abc", 3, 5 * 4096 + 10, &result, &error), 0);
	CHECK_EQUAL(step.destination.flags, 0);
	CHECK_EQUAL(step.destination.type, COWDAX_MAPPED);
	CHECK_EQUAL(step.destination.offset, 5 * 4096);
	CHECK_EQUAL(step.destination.length, 4096);
	CHECK(step.has_source);
	CHECK_EQUAL(step.source.type, COWDAX_UNWRITTEN);
	CHECK_EQUAL(step.source.address, step.destination.address);
	CHECK_EQUAL(result.bytes_zeroed, 4093);
	CHECK_EQUAL(result.bytes_copied, 0);
	CHECK_EQUAL(result.source_lookups, 1);
	CHECK(rig_free_blocks(lab->fs) + 1 >= free_before);
	write_shuffled(lab, true);
	free_lab(lab);
}

TEST("--zero keeps unwritten blocks of one's own, and a full image does not matter")
{
	struct lab *lab = make_lab(0, 512, 32 * MIB, 8 * MIB);
	struct places before = places_of(lab), after;
	struct cowdax_error error;

	fill_image(lab->fs);
	CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->inode, COWDAX_FALLOCATE_ZERO, 100, 8 * MIB - 200, false, NULL,
				     &error), 0);
	after = places_of(lab);
	CHECK(after.hash == before.hash);
	CHECK_EQUAL(after.unwritten, 8 * MIB);
	write_shuffled(lab, true);
	free_lab(lab);
}

TEST("what --zero has made of written blocks can be written on a full image")
{
	struct cowdax *fs = rig_new(32 * MIB, 0, 512);
	struct lab lab = {.fs = fs, .inode = rig_create(fs, "/a"), .block = 4096, .blocks = 1024};
	struct cowdax_error error;

	rig_write(fs, lab.inode, 0, 4 * MIB, 'a');
	CHECK_EQUAL(cowdax_fallocate(fs, lab.inode, COWDAX_FALLOCATE_ZERO, 0, 4 * MIB, false, NULL, &error), 0);
	rig_drain(fs);
	fill_image(fs);
	write_shuffled(&lab, false);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("a clone made during a long write in place reads zeros, and the write goes elsewhere")
{
	struct lab *lab = make_lab(0, 512, 64 * MIB, 8 * MIB);
	struct cowdax *other = rig_again(lab->fs), *reader;
	struct cdx_stage *stage = &lab->fs->stage;
	unsigned char *bytes = malloc(2 * MIB);
	struct cowdax_result result = {0};
	struct cowdax_error error;
	struct cdx_inode inode;
	struct cdx_txn *txn;

	CHECK(bytes);
	memset(bytes, 'L', 2 * MIB);
	CHECK_EQUAL(cdx_stage_open(stage, &lab->fs->txn, lab->inode, 0, lab->fs->scratch, &error), 0);
	CHECK_EQUAL(cdx_stage_append(stage, bytes, 2 * MIB, &error), 0);
	rig_check(lab->fs->path);
	rig_expect(other, lab->inode, 0, 8 * MIB, 0);
	CHECK_EQUAL(cowdax_clone(other, "/a", "/b", NULL, &error), 0);
	txn = rig_begin(lab->fs);
	CHECK_EQUAL(cdx_inode_load(txn, lab->inode, &inode), 0);
	CHECK_EQUAL(cdx_stage_finish(stage, &inode, &result), 0);
	CHECK_EQUAL(cdx_inode_store(txn, &inode), 0);
	rig_commit(lab->fs);
	stage->nonce = 0;
	cdx_stage_close(stage);
	rig_expect(lab->fs, lab->inode, 0, 2 * MIB, 'L');
	rig_expect(lab->fs, rig_lookup(lab->fs, "/b"), 0, 2 * MIB, 0);
	rig_check(lab->fs->path);
	/* Few extents, in the inode: with it their pointers go at once.  The clone's blocks are its own when the file is gone, and not what a reader still sees of it. */
	reader = rig_open(lab->fs->path, COWDAX_RDONLY);
	rig_remove(lab->fs, "/a");
	rig_write(lab->fs, rig_lookup(lab->fs, "/b"), 0, MIB, 'W');
	rig_expect(reader, lab->inode, 0, 2 * MIB, 'L');
	cowdax_close(reader);
	CHECK_EQUAL(cowdax_fallocate(lab->fs, rig_lookup(lab->fs, "/b"), COWDAX_FALLOCATE_ZERO, 0, 2 * MIB, true,
				     NULL, &error), 0);
	for (int i = 0; i < 3; i++)
		rig_drain(lab->fs);
	lab->inode = rig_lookup(lab->fs, "/b");
	lab->blocks = 512;
	write_shuffled(lab, false);
	rig_check(lab->fs->path);
	cowdax_close(other);
	cowdax_close(lab->fs);
	free(bytes);
	free(lab);
}

TEST("a long write in place that is given up leaves the blocks unwritten and the file's own")
{
	struct lab *lab = make_lab(0, 512, 32 * MIB, 8 * MIB);
	struct places before = places_of(lab), after;
	struct cdx_stage *stage = &lab->fs->stage;
	unsigned char *bytes = malloc(2 * MIB);
	struct cowdax_error error;

	CHECK(bytes);
	memset(bytes, 'L', 2 * MIB);
	CHECK_EQUAL(cdx_stage_open(stage, &lab->fs->txn, lab->inode, 0, lab->fs->scratch, &error), 0);
	CHECK_EQUAL(cdx_stage_append(stage, bytes, 2 * MIB, &error), 0);
	cdx_stage_close(stage);
	free(bytes);
	rig_expect(lab->fs, lab->inode, 0, 8 * MIB, 0);
	fill_image(lab->fs);
	write_shuffled(lab, false);
	after = places_of(lab);
	CHECK(after.hash == before.hash);
	free_lab(lab);
}

TEST("the record's counts of unwritten blocks and extents follow every change")
{
	struct cowdax *fs = rig_new(64 * MIB, 0, 512);
	uint64_t seed = 7, file[3] = {rig_create(fs, "/0"), rig_create(fs, "/1"), rig_create(fs, "/2")};
	struct cowdax_error error;
	char from[16], to[16];

	for (int i = 0; i < 3000; i++) {
		uint64_t f = unit_below(&seed, 3), at = unit_below(&seed, 300), n = 1 + unit_below(&seed, 40);
		int ret = 0;

		switch (unit_below(&seed, 8)) {
		case 0:
		case 1:
			ret = cowdax_fallocate(fs, file[f], COWDAX_FALLOCATE_UNWRITTEN, at * 4096, n * 4096, true,
					       NULL, &error);
			break;
		case 2:
			ret = cowdax_fallocate(fs, file[f], COWDAX_FALLOCATE_ZERO, at * 4096, n * 4096, true, NULL,
					       &error);
			break;
		case 3:
			ret = cowdax_fallocate(fs, file[f], COWDAX_FALLOCATE_PUNCH, at * 4096, n * 4096, true, NULL,
					       &error);
			break;
		case 4:
			if (n == 1)
				ret = cowdax_truncate(fs, file[f], at * 4096, NULL, &error);
			break;
		case 5:
			snprintf(from, sizeof(from), "/%d", (int)f);
			snprintf(to, sizeof(to), "/%d", (int)(f + 1) % 3);
			if (n < 4)
				ret = cowdax_clone(fs, from, to, NULL, &error);
			break;
		default:
			rig_write(fs, file[f], at * 4096 + n, n * 100, 'w');
		}
		CHECK_EQUAL(ret, 0);
		if (i % 100 == 0)
			rig_check(fs->path);
	}
	for (int i = 0; i < 3; i++) {
		snprintf(from, sizeof(from), "/%d", i);
		rig_remove(fs, from);
	}
	for (int i = 0; i < 4; i++)
		rig_drain(fs);
	CHECK_EQUAL(fs->txn.record.unwritten_blocks, 0);
	CHECK_EQUAL(fs->txn.record.unwritten_extents, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}
