// SPDX-License-Identifier: GPL-2.0-or-later
/* Superblocks that are lost, and those of former lives (FORMAT 2.1, R4). */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

static uint64_t seed = 1000;

static struct cowdax_mkfs_options options_for(uint64_t size, uint32_t block_size, uint64_t fs_offset)
{
	uint64_t own_seed = seed++;

	return (struct cowdax_mkfs_options){
		.block_size = block_size,
		.size = size,
		.fs_offset = fs_offset,
		.uuid = {1},
		.seed = own_seed,
		.create = true,
	};
}

static const char *make(uint64_t size, uint32_t block_size, uint64_t fs_offset)
{
	struct cowdax_mkfs_options options = options_for(size, block_size, fs_offset);
	const char *path = unit_path("image");
	struct cowdax_error error = {0};
	int ret = cowdax_mkfs(path, &options, NULL, &error);

	if (ret)
		unit_note("%s", error.text);
	CHECK_EQUAL(ret, 0);
	return path;
}

static int try_open(const char *path, unsigned int flags, uint64_t fs_offset, struct cowdax **fs)
{
	struct cowdax_open_options options = {.flags = flags, .fs_offset = fs_offset};

	return cowdax_open(path, &options, fs, NULL);
}

static void put(const char *path, uint64_t offset, const void *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pwrite(fd, bytes, length, (off_t)offset) == (ssize_t)length);
	close(fd);
}

static void get(const char *path, uint64_t offset, void *bytes, size_t length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pread(fd, bytes, length, (off_t)offset) == (ssize_t)length);
	close(fd);
}

static void lose(const char *path, uint64_t offset, size_t length)
{
	void *garbage = calloc(1, length);

	CHECK(garbage);
	memset(garbage, 'g', length);
	put(path, offset, garbage, length);
	free(garbage);
}

static uint64_t length_of(const char *path)
{
	struct stat st;

	CHECK_EQUAL(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

/* What has /a with one byte in it can be looked at and written to, by the backup. */
static void works_by_backup(const char *path, uint64_t fs_offset)
{
	struct cowdax_check_options check = {.fs_offset = fs_offset};
	struct cowdax_check_summary summary;
	struct cowdax_error error;
	struct cowdax *fs;

	CHECK_EQUAL(try_open(path, COWDAX_RDONLY, fs_offset, &fs), 0);
	CHECK(cowdax_uses_backup(fs));
	rig_expect(fs, rig_lookup(fs, "/a"), 0, 1, 'a');
	cowdax_close(fs);
	CHECK_EQUAL(try_open(path, 0, fs_offset, &fs), 0);
	CHECK(cowdax_uses_backup(fs));
	rig_write(fs, rig_lookup(fs, "/a"), 1, 1, 'b');
	cowdax_close(fs);
	CHECK_EQUAL(cowdax_check(path, &check, &summary, &error), 0);
	CHECK_EQUAL(summary.transaction > 0 && summary.inodes == 2, 1);
}

static void fill(const char *path, uint64_t fs_offset)
{
	struct cowdax *fs;

	CHECK_EQUAL(try_open(path, 0, fs_offset, &fs), 0);
	CHECK(!cowdax_uses_backup(fs));
	rig_write(fs, rig_create(fs, "/a"), 0, 1, 'a');
	cowdax_close(fs);
}

/* ---- the superblock is lost ------------------------------------------------------------ */

TEST("a lost superblock: the backup is found with every block size, at any start, in a longer or an odd file")
{
	static const uint64_t offsets[] = {0, 512, 1 << 20, (1 << 20) + 3 * 4096 + 512};
	static const uint64_t extra[] = {0, 1, 4096, 70001, 5 << 20};

	for (uint32_t block = 4096; block <= 65536; block *= 2) {
		for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
			for (size_t j = 0; j < sizeof(extra) / sizeof(*extra); j++) {
				const char *path = make(6 << 20, block, offsets[i]);

				CHECK_EQUAL(truncate(path, (off_t)(length_of(path) + extra[j])), 0);
				fill(path, offsets[i]);
				lose(path, offsets[i], 4096);
				works_by_backup(path, offsets[i]);
				CHECK_EQUAL(unlink(path), 0);
			}
		}
	}
}

TEST("a lost head: the backup at the file's end and the mirrors serve, whatever the block size")
{
	for (uint32_t block = 4096; block <= 65536; block *= 2) {
		const char *path = make(6 << 20, block, 512);

		CHECK_EQUAL(truncate(path, (off_t)(length_of(path) + block - 1)), 0);
		fill(path, 512);
		lose(path, 512, 12288);
		works_by_backup(path, 512);
		CHECK_EQUAL(unlink(path), 0);
	}
}

TEST("a superblock with one bit wrong is as good as lost; one that is whole and not understood is not")
{
	const char *path = make(6 << 20, 0, 0);
	struct cdx_disk_super disk;
	struct cdx_super super;
	struct cowdax *fs;

	fill(path, 0);
	get(path, 0, &disk, sizeof(disk));
	CHECK_EQUAL(cdx_super_decode(&super, &disk, path, NULL), 0);
	super.incompat = 1;
	cdx_super_encode(&super, &disk);
	put(path, 0, &disk, sizeof(disk));
	CHECK_EQUAL(try_open(path, COWDAX_RDONLY, 0, &fs), -ENOTSUP);
	disk.label[3] ^= 4;
	put(path, 0, &disk, sizeof(disk));
	works_by_backup(path, 0);
}

TEST("asked for, the backup is used though the superblock is whole")
{
	const char *path = make(6 << 20, 0, 0);
	struct cowdax *fs;

	fill(path, 0);
	CHECK_EQUAL(try_open(path, COWDAX_RDONLY | COWDAX_BACKUP_SUPER, 0, &fs), 0);
	CHECK(cowdax_uses_backup(fs));
	cowdax_close(fs);
	lose(path, (6 << 20) - 4096, 4096);
	CHECK_EQUAL(try_open(path, COWDAX_RDONLY | COWDAX_BACKUP_SUPER, 0, &fs), -EINVAL);
	CHECK_EQUAL(try_open(path, COWDAX_RDONLY, 0, &fs), 0);
	cowdax_close(fs);
}

TEST("a file that is short, empty or full of zeros has neither superblock nor backup")
{
	static const off_t lengths[] = {0, 100, 4096, 8191, 12288, 1 << 20};
	const char *path = unit_path("file");
	struct cowdax *fs;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		CHECK(fd >= 0);
		CHECK_EQUAL(ftruncate(fd, lengths[i]), 0);
		close(fd);
		CHECK_EQUAL(try_open(path, COWDAX_RDONLY, 0, &fs), -EINVAL);
		CHECK_EQUAL(try_open(path, COWDAX_RDONLY | COWDAX_BACKUP_SUPER, 0, &fs), -EINVAL);
	}
}

TEST("a superblock is not believed about more than there is")
{
	const char *path = make(6 << 20, 0, 0);
	struct cowdax_error error;
	struct cowdax *fs;

	CHECK_EQUAL(truncate(path, (6 << 20) - 4096), 0);
	CHECK_EQUAL(cowdax_open(path, NULL, &fs, &error), -EUCLEAN);
	CHECK(strstr(error.text, "truncated"));
}

static int check(const char *path, bool backup_super, bool *clean)
{
	struct cowdax_check_options options = {.backup_super = backup_super};
	struct cowdax_check_summary summary;
	int ret = cowdax_check(path, &options, &summary, NULL);

	*clean = !ret && summary.clean;
	return ret;
}

TEST("the checker believes the superblock; the backup where that is lost, or where it is asked to")
{
	const char *path = make(6 << 20, 0, 0);
	struct cdx_disk_super disk, whole;
	struct cdx_super super;
	bool clean;

	get(path, 0, &whole, sizeof(whole));
	CHECK_EQUAL(check(path, false, &clean), 0);
	CHECK(clean);
	CHECK_EQUAL(check(path, true, &clean), 0);
	CHECK(clean);
	/* The backup is of another life. */
	CHECK_EQUAL(cdx_super_decode(&super, &whole, path, NULL), 0);
	super.seed++;
	cdx_super_encode(&super, &disk);
	put(path, (6 << 20) - 4096, &disk, sizeof(disk));
	CHECK_EQUAL(check(path, false, &clean), 0);
	CHECK(!clean);
	CHECK_EQUAL(check(path, true, &clean), -EUCLEAN);
	put(path, (6 << 20) - 4096, &whole, sizeof(whole));
	/* The superblock is of a version to come: not lost. */
	super.seed--;
	super.incompat = 1;
	cdx_super_encode(&super, &disk);
	put(path, 0, &disk, sizeof(disk));
	CHECK_EQUAL(check(path, false, &clean), -ENOTSUP);
	CHECK_EQUAL(check(path, true, &clean), 0);
	lose(path, 0, 4096);
	CHECK_EQUAL(check(path, false, &clean), 0);
	CHECK(!clean);
}

/* ---- a superblock that is not the slots' ----------------------------------------------------- */

/* Nothing at all is stored by who opens @path to write, and fails. */
static void refuses_to_write(const char *path, unsigned int flags)
{
	uint64_t length = length_of(path), inode;
	unsigned char *before = malloc(length), *after = malloc(length);
	struct cowdax_error error;
	struct cowdax *fs;
	int ret;

	CHECK(before && after);
	get(path, 0, before, length);
	ret = try_open(path, flags, 0, &fs);
	if (!ret) {
		ret = cowdax_create(fs, "/new", 0644, &inode, &error);
		cowdax_close(fs);
	}
	CHECK(ret < 0);
	get(path, 0, after, length);
	CHECK(memcmp(before, after, length) == 0);
	free(before);
	free(after);
}

TEST("L5: an old superblock copied over a new filesystem of another size is not written by")
{
	const char *path = make(8 << 20, 0, 0);
	unsigned char old[4096], end[12288];

	get(path, 0, old, sizeof(old));
	get(path, (8 << 20) - sizeof(end), end, sizeof(end));
	make(4 << 20, 0, 0);
	put(path, 0, old, sizeof(old));
	put(path, (8 << 20) - sizeof(end), end, sizeof(end));
	refuses_to_write(path, 0);
}

TEST("L5: an old backup with its mirrors, copied back, is not written by, asked for or not")
{
	const char *path = make(8 << 20, 0, 0);
	unsigned char end[12288];
	struct cowdax *fs;

	get(path, (8 << 20) - sizeof(end), end, sizeof(end));
	make(4 << 20, 0, 0);
	fill(path, 0);
	put(path, (8 << 20) - sizeof(end), end, sizeof(end));
	CHECK_EQUAL(try_open(path, COWDAX_BACKUP_SUPER, 0, &fs), 0);
	CHECK_EQUAL(fs->super.size, 4 << 20);
	cowdax_close(fs);
	lose(path, 0, 4096);
	works_by_backup(path, 0);
	lose(path, (4 << 20) - 4096, 4096);
	refuses_to_write(path, 0);
	refuses_to_write(path, COWDAX_BACKUP_SUPER);
}

TEST("L5: an old backup behind the filesystem's own is passed over when the head is lost, for one whose slots there are")
{
	const char *path = make((6 << 20) + 4096, 4096, 0);
	unsigned char super[4096];

	get(path, 6 << 20, super, sizeof(super));
	CHECK_EQUAL(unlink(path), 0);
	make(6 << 20, 65536, 0);
	CHECK_EQUAL(truncate(path, (6 << 20) + 4096), 0);
	fill(path, 0);
	put(path, 6 << 20, super, sizeof(super));
	lose(path, 0, 12288);
	works_by_backup(path, 0);
}

TEST("mirrors serve when both slots at the head are damaged, but are not another filesystem's")
{
	const char *path = make(4 << 20, 0, 0);
	struct cowdax *fs;

	fill(path, 0);
	lose(path, 4096 + 100, 10);
	lose(path, 8192 + 100, 10);
	CHECK_EQUAL(try_open(path, COWDAX_RDONLY, 0, &fs), 0);
	rig_expect(fs, rig_lookup(fs, "/a"), 0, 1, 'a');
	cowdax_close(fs);
}

/* ---- mkfs over former lives --------------------------------------------------------------------- */

/* No magic is left of what ended at @size. */
static bool has_super(const char *path, uint64_t offset)
{
	unsigned char magic[8];

	get(path, offset, magic, sizeof(magic));
	return memcmp(magic, CDX_SUPER_MAGIC, sizeof(magic)) == 0;
}

static void expect_only(const char *path, uint64_t fs_offset, uint64_t size)
{
	for (uint64_t at = 0; at + 4096 <= length_of(path) - fs_offset; at += 4096)
		CHECK_EQUAL(has_super(path, fs_offset + at), at == 0 || at == size - 4096);
}

TEST("R4: mkfs voids the backup of a larger filesystem, and of a smaller one, of any block size")
{
	static const uint64_t offsets[] = {0, (1 << 20) + 512};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		for (uint32_t block = 4096; block <= 65536; block *= 4) {
			const char *path = make(12 << 20, block, offsets[i]);

			make(6 << 20, 4096, offsets[i]);
			expect_only(path, offsets[i], 6 << 20);
			make(9 << 20, block, offsets[i]);
			expect_only(path, offsets[i], 9 << 20);
			make(12 << 20, 65536, offsets[i]);
			expect_only(path, offsets[i], 12 << 20);
			CHECK_EQUAL(unlink(path), 0);
		}
	}
}

TEST("R4: mkfs voids a former backup of which only it is left: known by a slot, or at an end of any block size")
{
	for (uint32_t block = 4096; block <= 65536; block *= 2) {
		const char *path = make(12 << 20, block, 0);

		CHECK_EQUAL(truncate(path, (12 << 20) + block - 1), 0);
		lose(path, 0, 12288);
		make(6 << 20, 4096, 0);
		expect_only(path, 0, 6 << 20);
		CHECK_EQUAL(truncate(path, 30 << 20), 0);
		lose(path, 0, 4096);
		make(7 << 20, 4096, 0);
		expect_only(path, 0, 7 << 20);
		CHECK_EQUAL(unlink(path), 0);
	}
}

TEST("R4: mkfs voids backups of which one slot only, or a damaged superblock, still tells")
{
	for (int parity = 0; parity < 2; parity++) {
		const char *path = make(12 << 20, 0, 0);

		fill(path, 0);
		CHECK_EQUAL(truncate(path, 30 << 20), 0);
		lose(path, 0, 4096);
		lose(path, 4096 + 4096 * (uint64_t)parity, 4096);
		make(6 << 20, 0, 0);
		expect_only(path, 0, 6 << 20);
		CHECK_EQUAL(unlink(path), 0);
	}
}

/* ---- failing ------------------------------------------------------------------------------------- */

static int give_up(void *arg, const struct cowdax_info *info)
{
	*(uint64_t *)arg = info->size;
	return -ECANCELED;
}

TEST("a mkfs that is given up when it is ready has grown, created and stored nothing")
{
	struct cowdax_mkfs_options options = options_for(8 << 20, 0, 4096);
	unsigned char before[10000], after[10000];
	const char *path = unit_path("image");
	uint64_t seen = 0;

	options.ready = give_up;
	options.ready_arg = &seen;
	CHECK_EQUAL(cowdax_mkfs(path, &options, NULL, NULL), -ECANCELED);
	CHECK_EQUAL(seen, 8 << 20);
	CHECK(access(path, F_OK) != 0);
	CHECK_EQUAL(close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)), 0);
	memset(before, 'b', sizeof(before));
	put(path, 0, before, sizeof(before));
	CHECK_EQUAL(cowdax_mkfs(path, &options, NULL, NULL), -ECANCELED);
	CHECK_EQUAL(length_of(path), sizeof(before));
	get(path, 0, after, sizeof(after));
	CHECK(memcmp(before, after, sizeof(before)) == 0);
}

TEST("a mkfs of what is in use fails before the file has grown")
{
	struct cowdax_mkfs_options options = options_for(8 << 20, 0, 0);
	const char *path = make(4 << 20, 0, 0);
	struct cowdax *fs = rig_open(path, COWDAX_RDONLY);

	CHECK_EQUAL(cowdax_mkfs(path, &options, NULL, NULL), -EBUSY);
	CHECK_EQUAL(length_of(path), 4 << 20);
	options.dry_run = true;
	CHECK_EQUAL(cowdax_mkfs(path, &options, NULL, NULL), -EBUSY);
	cowdax_close(fs);
	CHECK_EQUAL(cowdax_mkfs(path, &options, NULL, NULL), 0);
	CHECK_EQUAL(length_of(path), 4 << 20);
}
