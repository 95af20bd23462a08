// SPDX-License-Identifier: GPL-2.0-or-later
/* Repair of the space tree: whatever is lost or wrong of it is made anew from the pointers. */
#include "rig.h"

#include <fcntl.h>
#include <unistd.h>

#include "api/image.h"

#define BLOCK 4096
#define ISLANDS 1500

static struct cowdax_check_summary repair(const char *path)
{
	const struct cowdax_repair_options options = {.choose = false};
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};

	if (cowdax_repair(path, &options, &summary, &error))
		unit_note("%s", error.text);
	CHECK_EQUAL(error.code, 0);
	return summary;
}

static bool is_clean(const char *path)
{
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_check(path, NULL, &summary, &error), 0);
	return summary.clean;
}

static void drain(struct cowdax *fs)
{
	for (int i = 0; i < 20; i++)
		rig_drain(fs);
}

/* Two files of many extents, one shared in part, and what lies between them free. */
static struct cowdax *make(uint32_t node_size)
{
	struct cowdax *fs = rig_new(64 * MIB, BLOCK, node_size);
	struct cowdax_error error;

	rig_islands(fs, "/a", ISLANDS);
	rig_islands(fs, "/gone", ISLANDS);
	CHECK_EQUAL(cowdax_clone(fs, "/a", "/b", NULL, &error), 0);
	for (uint64_t i = 0; i < ISLANDS; i += 3)
		rig_write(fs, rig_lookup(fs, "/b"), 2 * i * BLOCK, BLOCK, 'b');
	for (uint64_t i = 0; i < ISLANDS; i += 2)
		CHECK_EQUAL(cowdax_fallocate(fs, rig_lookup(fs, "/gone"), COWDAX_FALLOCATE_PUNCH, 2 * i * BLOCK,
					     BLOCK, true, NULL, &error), 0);
	drain(fs);
	return fs;
}

/* All of it is there, and something can be changed. */
static void expect_whole(const char *path)
{
	struct cowdax *fs = rig_open(path, 0);

	for (uint64_t i = 0; i < ISLANDS; i++) {
		rig_expect(fs, rig_lookup(fs, "/a"), 2 * i * BLOCK, BLOCK, 'a');
		rig_expect(fs, rig_lookup(fs, "/b"), 2 * i * BLOCK, BLOCK, i % 3 ? 'a' : 'b');
		rig_expect(fs, rig_lookup(fs, "/gone"), 2 * i * BLOCK, BLOCK, i % 2 ? 'a' : 0);
	}
	rig_islands(fs, "/new", ISLANDS);
	rig_remove(fs, "/b");
	drain(fs);
	rig_check(path);
	cowdax_close(fs);
}

/* What is damaged is mended: no block is lost to it, but for some in the pool, and no file. */
static void expect_repaired(const char *path, uint64_t free)
{
	struct cowdax_check_summary summary;
	struct cowdax *fs;

	CHECK(!is_clean(path));
	summary = repair(path);
	CHECK(summary.clean && summary.fixed && summary.fixed == summary.problems);
	fs = rig_open(path, 0);
	drain(fs);
	CHECK(rig_free_blocks(fs) + 40 >= free);
	cowdax_close(fs);
	expect_whole(path);
}

static void copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(in >= 0 && out >= 0);
	while (copy_file_range(in, NULL, out, NULL, 64 * MIB, 0) > 0)
		;
	CHECK_EQUAL(lseek(out, 0, SEEK_END), 64 * MIB);
	close(in);
	close(out);
}

/* ---- nodes that are lost -------------------------------------------------------------------- */

struct nodes {
	uint64_t grain[512];
	size_t n;
};

static void collect(struct cowdax *fs, const struct cdx_ref *ref, struct nodes *nodes)
{
	struct cdx_node *node;

	CHECK_EQUAL(cdx_node_get(&fs->txn.nodes, ref->address, ref->crc, CDX_KIND_SPACE, ref->level, &node), 0);
	CHECK(nodes->n < sizeof(nodes->grain) / sizeof(nodes->grain[0]));
	nodes->grain[nodes->n++] = ref->address;
	for (unsigned int i = 0; ref->level && i < cdx_node_count(node); i++) {
		struct cdx_ref child = {
			get64(cdx_node_child(node, i)->address), get32(cdx_node_child(node, i)->crc),
			(uint8_t)(ref->level - 1),
		};

		collect(fs, &child, nodes);
	}
	cdx_node_put(&fs->txn.nodes, node);
}

static void overwrite(const char *path, uint64_t offset, size_t length)
{
	static unsigned char garbage[4096];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	memset(garbage, 0xa5, sizeof(garbage));
	CHECK(fd >= 0 && length <= sizeof(garbage));
	CHECK_EQUAL(pwrite(fd, garbage, length, (off_t)offset), (ssize_t)length);
	close(fd);
}

TEST("whichever node of the space tree is lost, root and inner nodes too, all of it is made anew")
{
	for (uint32_t node_size = 512; node_size <= 4096; node_size *= 8) {
		struct cowdax *fs = make(node_size);
		struct nodes nodes = {0};
		char path[256], broken[256];
		uint64_t free;

		snprintf(path, sizeof(path), "%s", fs->path);
		snprintf(broken, sizeof(broken), "%s", unit_path("broken"));
		CHECK_EQUAL(cdx_txn_view(&fs->txn, NULL), 0);
		collect(fs, &fs->txn.committed.space, &nodes);
		CHECK(nodes.n > (node_size == 512 ? 20 : 1));
		cdx_txn_release_view(&fs->txn);
		free = rig_free_blocks(fs);
		cowdax_close(fs);
		for (size_t i = 0; i < nodes.n; i += i < 4 ? 1 : 9) {
			copy(path, broken);
			overwrite(broken, nodes.grain[i] * node_size + 8, 100);
			expect_repaired(broken, free);
		}
	}
}

/* ---- counts that are wrong --------------------------------------------------------------------- */

TEST("counts that are wrong all over are counted anew, and what was lost to them is free again")
{
	uint64_t seed = 7;

	for (int round = 0; round < 8; round++) {
		struct cowdax *fs = make(round % 2 ? 512 : 1024);
		uint64_t free = rig_free_blocks(fs), grains = fs->super.grains;
		struct cdx_txn *txn = rig_begin(fs);
		char path[256];

		for (int i = 0; i < 100; i++) {
			uint64_t start = unit_below(&seed, grains), count, end;
			uint64_t length = 1 + unit_below(&seed, 64);

			CHECK_EQUAL(cdx_space_count(&txn->space, start, &count, &end), 0);
			length = end - start < length ? end - start : length;
			/* Never what the writer itself stands on. */
			if (!cdx_super_allocatable(&fs->super, start, length) || count > 2)
				continue;
			if (count)
				CHECK_EQUAL(cdx_space_share(&txn->space, start, length), 0);
			else
				CHECK_EQUAL(cdx_space_take(&txn->space, start, length), 0);
		}
		txn->record.unwritten_blocks += 5;
		rig_commit(fs);
		snprintf(path, sizeof(path), "%s", fs->path);
		cowdax_close(fs);
		expect_repaired(path, free);
	}
}

/* ---- what is refused ------------------------------------------------------------------------------ */

TEST("a full image is repaired with what its pool has, or left as it is")
{
	struct cowdax *fs = rig_new(16 * MIB, BLOCK, 512);
	uint64_t inode = rig_create(fs, "/a"), root, at = 0;
	const struct cowdax_repair_options options = {.choose = false};
	struct cowdax_check_summary summary;
	struct cowdax_error error;
	char path[256];
	int ret;

	while (cowdax_write(fs, inode, "x", 1, at, NULL, &error) >= 0)
		at += 2 * BLOCK;
	CHECK(at > 100 * BLOCK);
	root = fs->txn.committed.space.address;
	snprintf(path, sizeof(path), "%s", fs->path);
	cowdax_close(fs);
	overwrite(path, root * 512 + 8, 100);
	ret = cowdax_repair(path, &options, &summary, &error);
	unit_note("%s", ret ? error.text : "repaired");
	if (ret) {
		CHECK_EQUAL(ret, -ENOSPC);
		CHECK(!is_clean(path));
	} else {
		rig_check(path);
	}
	/* What is there can be read either way. */
	fs = rig_open(path, COWDAX_RDONLY);
	for (uint64_t i = 0; i < at; i += 2 * BLOCK)
		rig_expect(fs, inode, i, 1, 'x');
	cowdax_close(fs);
}

TEST("it is alone with the image when it mends, and needs nobody's leave when there is nothing to mend")
{
	struct cowdax *fs = make(512), *other = rig_again(fs);
	const struct cowdax_repair_options options = {.choose = true};
	struct cowdax_check_summary summary;
	struct cowdax_error error;
	uint64_t transaction = cowdax_transaction(fs);

	CHECK_EQUAL(cowdax_repair(fs->path, &options, &summary, &error), 0);
	CHECK(summary.clean && !summary.problems && !summary.fixed);
	CHECK_EQUAL(summary.transaction, transaction);
	rig_begin(fs)->record.free_grains++;
	rig_commit(fs);
	CHECK_EQUAL(cowdax_repair(fs->path, &options, &summary, &error), -EBUSY);
	cowdax_close(other);
	CHECK(!is_clean(fs->path));
	cowdax_close(fs);
	summary = repair(unit_path("image"));
	CHECK(summary.clean && summary.fixed == 1);
}

static bool changed;

static void change_meanwhile(void *arg, int pass, uint64_t current, uint64_t maximum)
{
	struct cowdax *fs;

	if (pass < 5 || current < maximum || changed)
		return;
	changed = true;
	fs = rig_open(arg, 0);
	rig_write(fs, rig_lookup(fs, "/a"), 0, BLOCK, 'a');
	cowdax_close(fs);
}

TEST("what was counted before another commit is not used after it")
{
	struct cowdax *fs = make(512);
	char path[256];
	struct cowdax_repair_options options = {.check = {.progress = change_meanwhile, .progress_arg = path}};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	snprintf(path, sizeof(path), "%s", fs->path);
	rig_begin(fs)->record.free_grains++;
	rig_commit(fs);
	cowdax_close(fs);
	CHECK_EQUAL(cowdax_repair(path, &options, &summary, &error), -EBUSY);
	CHECK(changed && strstr(error.text, "since it was checked"));
	CHECK(repair(path).clean);
	expect_whole(path);
}
