// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The checker on bad media: every file that owns what cannot be read is named,
 * however it comes to own it, and no other.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/le.h"
#include "poison.h"
#include "rig.h"

#define BLOCK UINT64_C(4096)
#define ALL (UINT64_C(1) << 40)
#define MAX_FOUND 512

/* The allocation that fails, of those since counting began; 0: none does, nor is any counted. */
static unsigned int fail_at, allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
	return fail_at && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

struct found {
	struct place {
		uint64_t inode, block, count;
		char path[32];
	} at[MAX_FOUND];
	unsigned int count;
	unsigned int others; /* problems that are no media error */
	uint64_t progress;
};

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct found *found = arg;
	struct place *place = &found->at[found->count];

	if (strcmp(problem->code, "media-error") != 0) {
		unit_note("%s: %s", problem->code, problem->message);
		found->others++;
		return;
	}
	CHECK(found->count < MAX_FOUND);
	*place = (struct place){
		.inode = problem->inode, .block = problem->block, .count = problem->count};
	snprintf(place->path, sizeof(place->path), "%s", problem->path ? problem->path : "");
	found->count++;
}

static void note_progress(void *arg, int pass, uint64_t current, uint64_t maximum)
{
	struct found *found = arg;

	CHECK(pass >= 1 && pass <= 5 && current <= maximum);
	found->progress++;
}

static void check(const char *path, bool data, struct found *found)
{
	struct cowdax_check_options options = {
		.check_data = data,
		.problem = note_problem,
		.problem_arg = found,
		.progress = note_progress,
		.progress_arg = found,
	};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	memset(found, 0, sizeof(*found));
	CHECK_EQUAL(cowdax_catch_faults(), 0);
	CHECK_EQUAL(cowdax_check(path, &options, &summary, &error), 0);
	CHECK_EQUAL(found->others, 0);
	CHECK_EQUAL(summary.problems, found->count);
	CHECK_EQUAL(summary.clean, found->count == 0);
}

/* How often exactly this was reported. */
static unsigned int named(const struct found *found, const char *path, uint64_t block,
			  uint64_t count)
{
	unsigned int times = 0;

	for (unsigned int i = 0; i < found->count; i++)
		times += strcmp(found->at[i].path, path) == 0 && found->at[i].block == block &&
			 found->at[i].count == count;
	return times;
}

/* Check the image of @fs with its data, when @block and those after it have gone bad. */
static void check_bad(struct cowdax *fs, uint64_t block, uint64_t count, struct found *found)
{
	poison_heal();
	for (uint64_t i = 0; i < count; i++)
		poison_page((block + i) * BLOCK);
	check(fs->path, true, found);
}

/* ---- making files ------------------------------------------------------------------------ */

static int first_address(void *arg, const struct cowdax_extent *extent)
{
	CHECK(extent->map.type != COWDAX_HOLE);
	*(uint64_t *)arg = extent->map.address;
	return 1;
}

/* Where a file's block lies. */
static uint64_t block_of(struct cowdax *fs, const char *path, uint64_t file_block)
{
	struct cowdax_error error;
	uint64_t address;

	CHECK_EQUAL(cowdax_map(fs, rig_lookup(fs, path), file_block * BLOCK, BLOCK, first_address,
			       &address, &error),
		    1);
	return address / BLOCK;
}

/* Every other block written: each an extent of its own. */
static void make_islands(struct cowdax *fs, const char *path, unsigned int count)
{
	uint64_t inode = rig_create(fs, path);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (unsigned int i = 0; i < count; i++)
		rig_write(fs, inode, 2 * i * BLOCK, BLOCK, 'i');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
}

static void clone(struct cowdax *fs, const char *from, const char *to)
{
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_clone(fs, from, to, NULL, &error), 0);
}

static void clone_range(struct cowdax *fs, const char *from, uint64_t from_block, const char *to,
			uint64_t to_block, uint64_t count)
{
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_clone_range(fs, from, from_block * BLOCK, to, to_block * BLOCK,
				       count * BLOCK, NULL, &error),
		    0);
}

/* Files of all kinds, related in all ways; nodes of 512 bytes make the trees deep. */
static struct cowdax *make_family(uint32_t node_size, unsigned int islands)
{
	struct cowdax *fs = rig_new(16 * MIB, BLOCK, node_size);
	uint64_t late = rig_create(fs, "/late"); /* a low number, high blocks */
	struct cowdax_error error;

	rig_write(fs, rig_create(fs, "/short"), 0, 3 * BLOCK + 100, 's');
	make_islands(fs, "/deep", islands);
	clone(fs, "/deep", "/twin");
	clone(fs, "/twin", "/third");
	clone(fs, "/deep", "/diverged");
	rig_write(fs, rig_lookup(fs, "/diverged"), 0, BLOCK, 'd');
	clone(fs, "/short", "/copy");
	clone_range(fs, "/deep", 6, "/part", 1, 9);
	clone_range(fs, "/deep", 6, "/part", 30, 1);
	clone_range(fs, "/deep", 16, "/diverged", 2, 1);
	CHECK_EQUAL(cowdax_mkdir(fs, "/dir", 0755, false, &error), 0);
	clone(fs, "/part", "/dir/in");
	rig_splintered(fs, "/unwritten", islands);
	make_islands(fs, "/gone", islands / 2);
	rig_remove(fs, "/gone");
	rig_write(fs, late, 0, 3 * BLOCK, 'l');
	return fs;
}

/* ---- one case each ------------------------------------------------------------------------- */

TEST("a good image is clean, and its data is read")
{
	struct cowdax *fs = make_family(512, 60);
	struct found found;

	check(fs->path, false, &found);
	CHECK_EQUAL(found.count, 0);
	check(fs->path, true, &found);
	CHECK_EQUAL(found.count, 0);
	CHECK(found.progress);
	cowdax_close(fs);
}

TEST("an image without data is clean")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct found found;

	check(fs->path, true, &found);
	CHECK_EQUAL(found.count, 0);
	cowdax_close(fs);
}

TEST("bad data goes unseen when data is not asked for")
{
	struct cowdax *fs = make_family(512, 60);
	struct found found;

	poison_page(block_of(fs, "/short", 1) * BLOCK);
	poison_page(block_of(fs, "/deep", 8) * BLOCK);
	check(fs->path, false, &found);
	CHECK_EQUAL(found.count, 0);
	cowdax_close(fs);
}

TEST("a file that keeps its extents in the inode is named, with its clone")
{
	struct cowdax *fs = make_family(0, 10);
	uint64_t block = block_of(fs, "/short", 1);
	struct found found;

	check_bad(fs, block, 1, &found);
	CHECK_EQUAL(found.count, 2);
	CHECK_EQUAL(named(&found, "/short", block, 1), 1);
	CHECK_EQUAL(named(&found, "/copy", block, 1), 1);
	cowdax_close(fs);
}

TEST("neighbouring bad blocks are one problem")
{
	struct cowdax *fs = make_family(0, 10);
	uint64_t block = block_of(fs, "/short", 0);
	struct found found;

	check_bad(fs, block, 3, &found);
	CHECK_EQUAL(found.count, 2);
	CHECK_EQUAL(named(&found, "/short", block, 3), 1);
	cowdax_close(fs);
}

TEST("bad blocks of one extent with a good one between them are two problems of the file")
{
	struct cowdax *fs = rig_new(4 * MIB, BLOCK, 0);
	struct found found;
	uint64_t block;

	rig_write(fs, rig_create(fs, "/a"), 0, 5 * BLOCK, 'a');
	block = block_of(fs, "/a", 0);
	check_bad(fs, block + 1, 1, &found);
	poison_page((block + 3) * BLOCK);
	check(fs->path, true, &found);
	CHECK_EQUAL(found.count, 2);
	CHECK_EQUAL(named(&found, "/a", block + 1, 1), 1);
	CHECK_EQUAL(named(&found, "/a", block + 3, 1), 1);
	cowdax_close(fs);
}

TEST("bad data behind blocks that are only preallocated is the file's all the same")
{
	struct cowdax *fs = rig_new(4 * MIB, BLOCK, 0);
	uint64_t inode = rig_create(fs, "/a"), block;
	struct found found;

	CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 2 * BLOCK, false, NULL, NULL), 0);
	rig_write(fs, inode, 4 * BLOCK, BLOCK, 'a');
	block = block_of(fs, "/a", 4);
	check_bad(fs, block, 1, &found);
	CHECK_EQUAL(found.count, 1);
	CHECK_EQUAL(named(&found, "/a", block, 1), 1);
	cowdax_close(fs);
}

TEST("all clones that share a root are named, and who shares the one extent")
{
	struct cowdax *fs = make_family(512, 60);
	uint64_t block = block_of(fs, "/deep", 16);
	struct found found;

	check_bad(fs, block, 1, &found);
	CHECK_EQUAL(found.count, 4);
	CHECK_EQUAL(named(&found, "/deep", block, 1), 1);
	CHECK_EQUAL(named(&found, "/twin", block, 1), 1);
	CHECK_EQUAL(named(&found, "/third", block, 1), 1);
	CHECK_EQUAL(named(&found, "/diverged", block, 1), 1);
	cowdax_close(fs);
}

TEST("a clone that has diverged is named for the leaves it still shares, not for those it left")
{
	struct cowdax *fs = make_family(512, 60);
	uint64_t left = block_of(fs, "/deep", 0), kept = block_of(fs, "/deep", 100);
	struct found found;

	CHECK(block_of(fs, "/diverged", 0) != left && block_of(fs, "/diverged", 100) == kept);
	check_bad(fs, left, 1, &found);
	CHECK_EQUAL(found.count, 3);
	CHECK_EQUAL(named(&found, "/diverged", left, 1), 0);
	check_bad(fs, kept, 1, &found);
	CHECK_EQUAL(found.count, 4);
	CHECK_EQUAL(named(&found, "/diverged", kept, 1), 1);
	cowdax_close(fs);
}

TEST("files that share a range are named for what each has of it")
{
	struct cowdax *fs = rig_new(4 * MIB, BLOCK, 0);
	struct found found;
	uint64_t block;

	rig_write(fs, rig_create(fs, "/a"), 0, 8 * BLOCK, 'a');
	clone_range(fs, "/a", 2, "/b", 0, 2);
	clone_range(fs, "/a", 2, "/b", 5, 1);
	block = block_of(fs, "/a", 0);
	check_bad(fs, block + 1, 4, &found);
	CHECK_EQUAL(found.count, 2);
	CHECK_EQUAL(named(&found, "/a", block + 1, 4), 1);
	CHECK_EQUAL(named(&found, "/b", block + 2, 2), 1);
	cowdax_close(fs);
}

TEST("blocks that hold no data are not read: free, unwritten, in limbo")
{
	struct cowdax *fs = rig_new(4 * MIB, BLOCK, 0);
	uint64_t inode = rig_create(fs, "/a"), dropped, unwritten, removed;
	struct cowdax_error error;
	struct found found;

	make_islands(fs, "/gone", 10);
	removed = block_of(fs, "/gone", 0);
	rig_write(fs, inode, 0, 2 * BLOCK, 'a');
	dropped = block_of(fs, "/a", 0);
	rig_write(fs, inode, 0, 2 * BLOCK, 'b');
	CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 4 * BLOCK, 4 * BLOCK,
				     false, NULL, &error),
		    0);
	unwritten = block_of(fs, "/a", 5);
	rig_remove(fs, "/gone");
	poison_page(removed * BLOCK);
	poison_page(dropped * BLOCK);
	poison_page(unwritten * BLOCK);
	poison_page(4 * MIB - 8 * BLOCK);
	check(fs->path, true, &found);
	CHECK_EQUAL(found.count, 0);
	cowdax_close(fs);
}

TEST("the end of a file, which is always looked at, is reported once of each clone")
{
	struct cowdax *fs = make_family(0, 10);
	uint64_t block = block_of(fs, "/short", 3);
	struct found found;

	poison_page(block * BLOCK);
	for (int data = 0; data < 2; data++) {
		check(fs->path, data, &found);
		CHECK_EQUAL(found.count, 2);
		CHECK_EQUAL(named(&found, "/short", block, 1), 1);
		CHECK_EQUAL(named(&found, "/copy", block, 1), 1);
	}
	cowdax_close(fs);
}

/* ---- any block --------------------------------------------------------------------------- */

/* What data each file has, by its maps. */
struct owners {
	uint64_t inode;
	uint64_t bad; /* whether this block is its */
	bool yes;
};

static int owns(void *arg, const struct cowdax_extent *extent)
{
	struct owners *owners = arg;
	uint64_t first = extent->map.address / BLOCK,
		 blocks = (extent->map.length + BLOCK - 1) / BLOCK;

	if (extent->map.type == COWDAX_MAPPED && owners->bad >= first &&
	    owners->bad < first + blocks)
		owners->yes = true;
	return 0;
}

static bool reported(const struct found *found, uint64_t inode)
{
	for (unsigned int i = 0; i < found->count; i++) {
		if (found->at[i].inode == inode)
			return true;
	}
	return false;
}

static uint64_t inodes_in(struct cowdax *fs)
{
	struct cowdax_error error;
	struct cowdax_info info;

	CHECK_EQUAL(cowdax_info(fs, &info, &error), 0);
	return info.inodes + 1; /* one has been removed */
}

TEST("whatever block of data is bad, just those files are named whose maps have it")
{
	struct cowdax *fs = make_family(512, 40);
	uint64_t inodes = inodes_in(fs), named_in_all = 0;
	struct cowdax_error error;
	struct found found;

	for (uint64_t block = 3; block < 16 * MIB / BLOCK - 3; block++) {
		struct owners owners = {.bad = block};
		unsigned int expected = 0;

		for (owners.inode = 1; owners.inode <= inodes; owners.inode++) {
			owners.yes = false;
			cowdax_map(fs, owners.inode, 0, ALL, owns, &owners, &error);
			expected += owners.yes;
		}
		if (!expected)
			continue;
		check_bad(fs, block, 1, &found);
		CHECK_EQUAL(found.count, expected);
		for (unsigned int i = 0; i < found.count; i++) {
			owners = (struct owners){.bad = block, .inode = found.at[i].inode};
			CHECK_EQUAL(cowdax_map(fs, owners.inode, 0, ALL, owns, &owners, &error), 0);
			CHECK(owners.yes);
			CHECK_EQUAL(found.at[i].block, block);
			CHECK_EQUAL(found.at[i].count, 1);
			CHECK_EQUAL(rig_lookup(fs, found.at[i].path), owners.inode);
		}
		named_in_all += found.count;
	}
	CHECK(named_in_all > 4 * 40);
	cowdax_close(fs);
}

/* ---- any node ----------------------------------------------------------------------------- */

/* Whether the page at @block is a node, or was one: of extents, or any. */
static bool holds_node(const char *path, uint64_t block, bool extents)
{
	struct cdx_disk_node node;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pread(fd, &node, sizeof(node), (off_t)(block * BLOCK)) == (ssize_t)sizeof(node));
	close(fd);
	return get32(node.magic) == CDX_NODE_MAGIC && (node.kind == CDX_KIND_EXTENT || !extents);
}

static int pass_over(void *arg, const struct cowdax_extent *extent)
{
	(void)arg;
	(void)extent;
	return 0;
}

TEST("whatever node of extents is bad, just those files are named whose extents cannot be read")
{
	struct cowdax *fs = make_family(4096, 400), *bad;
	uint64_t inodes = inodes_in(fs), named_in_all = 0, in_limbo = 0;
	struct cowdax_error error;
	struct found found;

	for (uint64_t block = 3; block < 16 * MIB / BLOCK - 3; block++) {
		unsigned int expected = 0;

		if (!holds_node(fs->path, block, true))
			continue;
		poison_heal();
		poison_page(block * BLOCK);
		check(fs->path, block % 2, &found);
		bad = rig_open(fs->path, COWDAX_RDONLY);
		for (uint64_t inode = 1; inode <= inodes; inode++) {
			bool lost = cowdax_map(bad, inode, 0, ALL, pass_over, NULL, &error) == -EIO;

			CHECK_EQUAL(reported(&found, inode), lost);
			expected += lost;
		}
		cowdax_close(bad);
		in_limbo += !expected && found.count;
		CHECK_EQUAL(found.count, expected ? expected : reported(&found, UINT64_MAX));
		for (unsigned int i = 0; i < found.count; i++)
			CHECK(found.at[i].block == block && found.at[i].count == 1);
		named_in_all += expected;
	}
	CHECK(named_in_all > 4 * 3 && in_limbo);
	cowdax_close(fs);
}

TEST("whatever other node is bad, the check ends, and says so once or not at all")
{
	struct cowdax *fs = make_family(4096, 200);
	unsigned int reports = 0;
	struct found found;

	for (uint64_t block = 3; block < 16 * MIB / BLOCK - 3; block++) {
		if (holds_node(fs->path, block, true) || !holds_node(fs->path, block, false))
			continue;
		poison_heal();
		poison_page(block * BLOCK);
		check(fs->path, true, &found);
		CHECK(found.count <= 1);
		if (found.count) {
			CHECK_EQUAL(found.at[0].inode, UINT64_MAX);
			CHECK_EQUAL(found.at[0].block, block);
			reports++;
		}
	}
	CHECK(reports >= 2);
	cowdax_close(fs);
}

TEST("bad data beside a bad node is found, too")
{
	struct cowdax *fs = make_family(4096, 400);
	uint64_t kept = block_of(fs, "/deep", 0), block;
	struct found found = {0};

	/* Of the nodes, one that all four have: what they lost is it, and three of them this block.
	 */
	for (block = 3; block < 16 * MIB / BLOCK - 3; block++) {
		if (!holds_node(fs->path, block, true))
			continue;
		poison_heal();
		poison_page(block * BLOCK);
		poison_page(kept * BLOCK);
		check(fs->path, true, &found);
		if (found.count == 7 && named(&found, "/diverged", block, 1))
			break;
	}
	CHECK_EQUAL(found.count, 7);
	CHECK_EQUAL(named(&found, "/deep", block, 1) + named(&found, "/deep", kept, 1), 2);
	CHECK_EQUAL(named(&found, "/third", block, 1) + named(&found, "/third", kept, 1), 2);
	cowdax_close(fs);
}

/* Each allocation in turn: the verdict is that of enough memory, or none. */
static void check_short_of_memory(const char *path)
{
	struct cowdax_check_options options = {.check_data = true, .problem = note_problem};
	struct found whole, found;
	bool failed = true;

	check(path, true, &whole);
	CHECK(whole.count > 1);
	options.problem_arg = &found;
	for (unsigned int n = 1; failed; n++) {
		struct cowdax_check_summary summary;
		struct cowdax_error error;
		int ret;

		memset(&found, 0, sizeof(found));
		allocations = 0;
		fail_at = n;
		ret = cowdax_check(path, &options, &summary, &error);
		fail_at = 0;
		failed = allocations >= n;
		CHECK(ret == -ENOMEM || (ret == 0 && found.count == whole.count));
		CHECK(failed || ret == 0);
	}
}

TEST("where memory runs out the checker says so: never that less is lost")
{
	struct cowdax *fs = make_family(4096, 400);
	uint64_t kept = block_of(fs, "/deep", 0), block = 3;

	poison_page(kept * BLOCK);
	check_short_of_memory(fs->path);
	while (!holds_node(fs->path, block, true))
		block++;
	poison_page(block * BLOCK);
	check_short_of_memory(fs->path);
	cowdax_close(fs);
}
