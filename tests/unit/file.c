// SPDX-License-Identifier: GPL-2.0-or-later
/* What can be done to a file's data, against plain bytes, at every kind of misalignment. */
#include "iomap/file.h"

#include <sys/stat.h>

#include "rig.h"

#define BLOCK 4096
#define SIZE (9 * BLOCK + 1000)
#define ROOM (24 * BLOCK)

/*
 * A file with a private, a shared, a hole and an unwritten block next to each
 * other in every order that matters, over media that were full of 0xdd, and a
 * second file that shares some of it.
 */
struct lab {
	struct cowdax *fs;
	uint64_t file, other;
	uint64_t size;
	unsigned char bytes[ROOM];	/* what the file should hold */
	unsigned char shared[SIZE];	/* what the other does, always */
};

static void make_lab(struct lab *lab)
{
	static const char kinds[] = "pshupuhsps";	/* a letter a block */
	struct cowdax_error error;
	uint64_t dirt;

	memset(lab, 0, sizeof(*lab));
	lab->fs = rig_new(16 * MIB, 0, 0);
	dirt = rig_create(lab->fs, "/dirt");
	rig_write(lab->fs, dirt, 0, 14 * MIB, 0xdd);
	rig_remove(lab->fs, "/dirt");
	for (int i = 0; i < 3; i++)
		rig_drain(lab->fs);
	lab->file = rig_create(lab->fs, "/file");
	lab->other = rig_create(lab->fs, "/other");
	lab->size = SIZE;
	for (uint64_t b = 0; b < 10; b++) {
		uint64_t length = b == 9 ? 1000 : BLOCK;

		if (kinds[b] == 'p' || kinds[b] == 's') {
			rig_write(lab->fs, lab->file, b * BLOCK, length, 'A' + (int)b);
			memset(lab->bytes + b * BLOCK, 'A' + (int)b, length);
		} else if (kinds[b] == 'u') {
			CHECK_EQUAL(cowdax_fallocate(lab->fs, lab->file, COWDAX_FALLOCATE_UNWRITTEN, b * BLOCK,
						     BLOCK, false, NULL, &error), 0);
		}
		if (kinds[b] == 's') {
			CHECK_EQUAL(cowdax_clone_range(lab->fs, "/file", b * BLOCK, "/other", b * BLOCK, length,
						       NULL, &error), 0);
			memset(lab->shared + b * BLOCK, 'A' + (int)b, length);
		}
	}
}

static void expect_bytes(struct cowdax *fs, uint64_t inode, const unsigned char *expected, uint64_t size)
{
	unsigned char *have = malloc(size + 1);
	struct cowdax_error error;
	struct cowdax_stat st;

	CHECK(have);
	CHECK_EQUAL(cowdax_stat(fs, inode, &st, &error), 0);
	CHECK_EQUAL(st.size, size);
	CHECK_EQUAL(cowdax_read(fs, inode, have, size + 1, 0, &error), size);
	for (uint64_t i = 0; i < size; i++) {
		if (have[i] == expected[i])
			continue;
		unit_note("byte %llu is %02x, not %02x", (unsigned long long)i, have[i], expected[i]);
		unit_fail(__FILE__, __LINE__, "not the bytes of the array");
	}
	free(have);
}

static int past_end(void *arg, const struct cowdax_extent *extent)
{
	struct lab *lab = arg;
	uint64_t end = extent->map.offset + extent->map.length;

	if (extent->map.type != COWDAX_MAPPED)
		return 0;
	CHECK(end < lab->size + BLOCK);
	for (uint64_t at = lab->size; at < end; at++)
		CHECK_EQUAL(lab->fs->device.pm.base[extent->map.address + (at - extent->map.offset)], 0);
	return 0;
}

static void expect_all(struct lab *lab)
{
	struct cowdax_error error;

	expect_bytes(lab->fs, lab->file, lab->bytes, lab->size);
	expect_bytes(lab->fs, lab->other, lab->shared, SIZE);
	CHECK_EQUAL(cowdax_map(lab->fs, lab->file, 0, COWDAX_TO_END, past_end, lab, &error), 0);
}

/* ---- operations, on the image and on the array ------------------------------------------- */

enum operation { WRITE, PUNCH, ZERO, ZERO_KEEP, UNSHARE, ALLOCATE, TRUNCATE, CLONE, OPERATIONS };

static int grow(struct lab *lab, uint64_t end)
{
	if (end > lab->size)
		lab->size = end;
	return 0;
}

static int operate(struct lab *lab, enum operation operation, uint64_t offset, uint64_t length)
{
	static const enum cowdax_fallocate_mode modes[] = {
		[PUNCH] = COWDAX_FALLOCATE_PUNCH, [ZERO] = COWDAX_FALLOCATE_ZERO,
		[ZERO_KEEP] = COWDAX_FALLOCATE_ZERO, [UNSHARE] = COWDAX_FALLOCATE_UNSHARE,
		[ALLOCATE] = COWDAX_FALLOCATE_UNWRITTEN,
	};
	uint64_t end = offset + length, stop = end < lab->size ? end : lab->size;
	unsigned char bytes[ROOM];
	struct cowdax_error error;

	switch (operation) {
	case WRITE:
		memset(bytes, 'w', length);
		memset(lab->bytes + offset, 'w', length);
		grow(lab, end);
		return cowdax_write(lab->fs, lab->file, bytes, length, offset, NULL, &error);
	case TRUNCATE:
		if (offset < lab->size)
			memset(lab->bytes + offset, 0, lab->size - offset);
		lab->size = offset;
		return cowdax_truncate(lab->fs, lab->file, offset, NULL, &error);
	case CLONE:
		/* Two whole blocks of the other file to a block boundary. */
		offset &= ~UINT64_C(4095);
		memcpy(lab->bytes + offset, lab->shared + BLOCK, 2 * BLOCK);
		grow(lab, offset + 2 * BLOCK);
		return cowdax_clone_range(lab->fs, "/other", BLOCK, "/file", offset, 2 * BLOCK, NULL, &error);
	case PUNCH:
	case ZERO_KEEP:
		if (offset < stop)
			memset(lab->bytes + offset, 0, stop - offset);
		break;
	case ZERO:
		memset(lab->bytes + offset, 0, length);
		grow(lab, end);
		break;
	case ALLOCATE:
		grow(lab, end);
		break;
	default:
		break;
	}
	return cowdax_fallocate(lab->fs, lab->file, modes[operation], offset, length,
				operation != ZERO && operation != ALLOCATE, NULL, &error);
}

static const uint64_t offsets[] = {0, 1, 100, 4095, 4096, 4097, 8192 + 7, 5 * 4096 - 1, 6 * 4096, 9 * 4096 + 1,
				   SIZE, SIZE + 1, 11 * 4096 + 5};
static const uint64_t lengths[] = {1, 100, 4095, 4096, 4097, 3 * 4096 - 1, 5 * 4096 + 2};

TEST("every operation, at every misalignment over every mix of blocks, does to the file what it does to bytes")
{
	struct lab base, lab;
	struct cowdax_error error;

	make_lab(&base);
	expect_all(&base);
	for (int operation = 0; operation < OPERATIONS; operation++) {
		for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++) {
			for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
				lab = base;
				CHECK_EQUAL(cowdax_begin(lab.fs, &error), 0);
				CHECK_EQUAL(operate(&lab, (enum operation)operation, offsets[o], lengths[l]), 0);
				expect_all(&lab);
				/* What comes back when the file grows is zeros. */
				CHECK_EQUAL(operate(&lab, TRUNCATE, lab.size / 2 + 3, 0), 0);
				CHECK_EQUAL(operate(&lab, TRUNCATE, 20 * BLOCK + 1, 0), 0);
				expect_all(&lab);
				cowdax_abort(lab.fs);
			}
		}
	}
	expect_all(&base);
	rig_check(base.fs->path);
	cowdax_close(base.fs);
}

TEST("any sequence of operations keeps the file equal to bytes, and the image sound")
{
	struct lab lab;
	uint64_t seed = 21;

	make_lab(&lab);
	for (int i = 0; i < 600; i++) {
		enum operation operation = (enum operation)unit_below(&seed, OPERATIONS);
		uint64_t offset = offsets[unit_below(&seed, sizeof(offsets) / sizeof(offsets[0]))];
		uint64_t length = lengths[unit_below(&seed, sizeof(lengths) / sizeof(lengths[0]))];

		CHECK_EQUAL(operate(&lab, operation, offset + unit_below(&seed, 3), length), 0);
		expect_all(&lab);
		if (i % 5 == 0)
			rig_check(lab.fs->path);
	}
	cowdax_close(lab.fs);
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST("ranges that no file can have are refused before anything is done")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_error error;

	CHECK_EQUAL(cdx_file_check_range(0, 0), 0);
	CHECK_EQUAL(cdx_file_check_range(CDX_MAX_FILE + 1, 0), -EFBIG);
	CHECK_EQUAL(cdx_file_check_range(0, CDX_MAX_FILE + 1), -EFBIG);
	CHECK_EQUAL(cdx_file_check_range(UINT64_MAX, 1), -EFBIG);
	CHECK_EQUAL(cdx_file_check_range(UINT64_MAX - 10, UINT64_MAX), -EFBIG);
	CHECK_EQUAL(cowdax_write(fs, inode, "x", 1, UINT64_MAX, NULL, &error), -EFBIG);
	CHECK_EQUAL(cowdax_truncate(fs, inode, CDX_MAX_FILE + 1, NULL, &error), -EFBIG);
	CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 1, UINT64_MAX, true, NULL, &error), -EFBIG);
	CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 1, 0, true, NULL, &error), -EINVAL);
	CHECK_EQUAL(cowdax_truncate(fs, inode, CDX_MAX_FILE, NULL, &error), 0);
	CHECK_EQUAL(cowdax_truncate(fs, inode, 0, NULL, &error), 0);
	/* The last byte that may be. */
	CHECK_EQUAL(cowdax_write(fs, inode, "x", 1, CDX_MAX_FILE - 1, NULL, &error), 0);
	rig_expect(fs, inode, CDX_MAX_FILE - 1, 1, 'x');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("writing nothing changes nothing, wherever it is written")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	uint64_t inode = rig_create(fs, "/a");
	struct cowdax_result result = {0};
	struct cowdax_error error;
	struct cowdax_stat st;

	CHECK_EQUAL(cowdax_write(fs, inode, NULL, 0, 123456, &result, &error), 0);
	CHECK_EQUAL(cowdax_stat_blocks(fs, inode, &st, &error), 0);
	CHECK_EQUAL(st.size, 0);
	CHECK_EQUAL(st.blocks, 0);
	CHECK_EQUAL(result.source_lookups, 0);
	cowdax_close(fs);
}

/* ---- sharing ------------------------------------------------------------------------------------ */

static int clone(struct cowdax *fs, uint64_t from, const char *to_path, uint64_t to, uint64_t length)
{
	struct cowdax_error error;

	return cowdax_clone_range(fs, "/a", from, to_path, to, length, NULL, &error);
}

TEST("a range is shared only by the rules of FICLONERANGE")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);

	rig_write(fs, rig_create(fs, "/a"), 0, 3 * BLOCK + 100, 'a');
	rig_write(fs, rig_create(fs, "/b"), 0, 10 * BLOCK, 'b');
	CHECK_EQUAL(clone(fs, 1, "/b", 0, BLOCK), -EINVAL);
	CHECK_EQUAL(clone(fs, 0, "/b", 1, BLOCK), -EINVAL);
	CHECK_EQUAL(clone(fs, 0, "/b", 0, BLOCK + 1), -EINVAL);
	CHECK_EQUAL(clone(fs, 0, "/b", 0, 4 * BLOCK), -EINVAL);
	CHECK_EQUAL(clone(fs, 4 * BLOCK, "/b", 0, BLOCK), -EINVAL);
	/* A partial last block would land in the middle of the other file. */
	CHECK_EQUAL(clone(fs, 3 * BLOCK, "/b", 0, 100), -EINVAL);
	CHECK_EQUAL(clone(fs, 3 * BLOCK, "/b", 9 * BLOCK, 100), -EINVAL);
	CHECK_EQUAL(clone(fs, 3 * BLOCK, "/b", 10 * BLOCK, 100), 0);
	/* Onto itself: not where it overlaps. */
	CHECK_EQUAL(clone(fs, 0, "/a", BLOCK, 2 * BLOCK), -EINVAL);
	CHECK_EQUAL(clone(fs, 0, "/a", 0, BLOCK), -EINVAL);
	CHECK_EQUAL(clone(fs, 0, "/a", 2 * BLOCK, 2 * BLOCK), 0);
	rig_expect(fs, rig_lookup(fs, "/b"), 0, 10 * BLOCK, 'b');
	rig_expect(fs, rig_lookup(fs, "/b"), 10 * BLOCK, 100, 'a');
	rig_expect(fs, rig_lookup(fs, "/a"), 0, 4 * BLOCK, 'a');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("unsharing allocates what was shared and no more, leaves holes, and stops at the end of file")
{
	struct cowdax_result result = {0};
	struct cowdax_error error;
	struct cowdax_stat before, after;
	struct lab lab;

	make_lab(&lab);
	CHECK_EQUAL(cowdax_fallocate(lab.fs, lab.file, COWDAX_FALLOCATE_UNWRITTEN, 12 * BLOCK, BLOCK, true, NULL,
				     &error), 0);
	CHECK_EQUAL(cowdax_stat_blocks(lab.fs, lab.file, &before, &error), 0);
	CHECK_EQUAL(before.shared_blocks, 3);
	CHECK_EQUAL(cowdax_fallocate(lab.fs, lab.file, COWDAX_FALLOCATE_UNSHARE, 0, 100 * BLOCK, true, &result,
				     &error), 0);
	CHECK_EQUAL(result.bytes_copied, 3 * BLOCK);
	CHECK_EQUAL(cowdax_stat_blocks(lab.fs, lab.file, &after, &error), 0);
	CHECK_EQUAL(after.blocks, before.blocks);
	CHECK_EQUAL(after.shared_blocks, 0);
	expect_all(&lab);
	rig_check(lab.fs->path);
	cowdax_close(lab.fs);
}

TEST("a whole clone costs the same for 2 extents and for 50,000")
{
	struct cowdax *fs = rig_new(1024 * MIB, 0, 0);
	struct cowdax_error error;
	uint64_t dirty[2];

	rig_splintered(fs, "/small", 5);
	rig_splintered(fs, "/large", 50000);
	for (int i = 0; i < 2; i++) {
		struct cdx_inode from, to;
		struct cowdax_result result = {0};

		rig_create(fs, i ? "/b" : "/a");
		rig_begin(fs);
		CHECK_EQUAL(cdx_path_inode(&fs->txn, i ? "/large" : "/small", &from, &error), 0);
		CHECK_EQUAL(cdx_path_inode(&fs->txn, i ? "/b" : "/a", &to, &error), 0);
		CHECK_EQUAL(cdx_file_clone(&fs->txn, &to, &from, &result), 0);
		CHECK_EQUAL(cdx_inode_store(&fs->txn, &to), 0);
		CHECK_EQUAL(result.bytes_shared, from.size);
		dirty[i] = fs->txn.nodes.dirty_count;
		rig_commit(fs);
	}
	CHECK(dirty[1] <= dirty[0] + 2);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("one transaction that writes, clones and writes again counts every pointer")
{
	struct cowdax *fs = rig_new(16 * MIB, 0, 512);
	uint64_t a = rig_create(fs, "/a"), b;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < 100; i++)
		rig_write(fs, a, 2 * i * BLOCK, BLOCK, 'a');
	CHECK_EQUAL(cowdax_clone(fs, "/a", "/b", NULL, &error), 0);
	b = rig_lookup(fs, "/b");
	for (uint64_t i = 0; i < 100; i += 3)
		rig_write(fs, i % 2 ? a : b, 2 * i * BLOCK + 10, 100, 'w');
	CHECK_EQUAL(cowdax_clone(fs, "/b", "/c", NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone(fs, "/c", "/a", NULL, &error), 0);
	rig_write(fs, rig_lookup(fs, "/c"), 0, 5, 'c');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_check(fs->path);
	rig_expect(fs, a, 0, 10, 'a');
	rig_expect(fs, a, 10, 100, 'w');
	rig_expect(fs, rig_lookup(fs, "/c"), 0, 5, 'c');
	rig_expect(fs, b, 6 * BLOCK + 10, 100, 'a');
	cowdax_close(fs);
}
