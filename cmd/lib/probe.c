/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a new filesystem would overwrite: all of it is looked at, and who owns it (law L5). */
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli.h"
#include "io.h"
#include "probe.h"

/* What libblkid looks at in front, and what a partition table has at the end. */
#define HEAD_BYTES ((uint64_t)2 << 20)
#define TAIL_BYTES ((uint64_t)64 << 10)
#define TABLE_BYTES ((uint64_t)34 * 512)	/* of a partition table, at either end */
#define FIRST_PARTITION ((uint64_t)1 << 20)

/* The bytes that are to be overwritten. */
struct range {
	uint64_t start, end;
};

static int refuse(struct cli *cli, const char *kind, const char *name)
{
	return cli_fail(cli, -EEXIST, "%s: contains a %s%s; use --force to overwrite it", cli->image,
			name, kind);
}

/* What was found from byte @at on reaches into the range. */
static int refuse_at(struct cli *cli, uint64_t at, const char *kind, const char *name)
{
	if (at == cli->open.fs_offset)
		return refuse(cli, kind, name);
	return cli_fail(cli, -EEXIST, "%s: contains a %s%s, from byte %" PRIu64 " on, that would be "
			"overwritten; use --force for that", cli->image, name, kind, at);
}

/* The first line of the file @path, or an empty one. */
static void read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	*line = '\0';
	if (!file)
		return;
	if (!fgets(line, size, file))
		*line = '\0';
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
}

static bool is_same_file(const struct stat *st, const char *path)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

static int check_swap(struct cli *cli, const struct stat *st)
{
	FILE *swaps = fopen("/proc/swaps", "re");
	char line[4096];
	int ret = 0;

	while (swaps && !ret && fgets(line, sizeof(line), swaps)) {
		line[strcspn(line, " \t")] = '\0';
		if (is_same_file(st, line))
			ret = cli_fail(cli, -EBUSY, "%s: in use as swap space", cli->image);
	}
	if (swaps)
		fclose(swaps);
	return ret;
}

static uint64_t device_dax_size(dev_t rdev)
{
	char name[64], bytes[32];

	snprintf(name, sizeof(name), "/sys/dev/char/%u:%u/size", major(rdev), minor(rdev));
	read_line(name, bytes, sizeof(bytes));
	return strtoull(bytes, NULL, 10);
}

static int copy_bytes(int copy, const char *all, uint64_t at, uint64_t length)
{
	return io_write_at(copy, all + at, length, at);
}

/* A sparse file of @size bytes with what @all has in front, from @offset on and at the end; or -errno. */
static int copy_ends(const char *all, uint64_t size, uint64_t offset)
{
	uint64_t rest = size - offset, tail = size < TAIL_BYTES ? size : TAIL_BYTES;
	int copy = memfd_create("ends", MFD_CLOEXEC), ret;

	if (copy < 0)
		return -errno;
	ret = io_truncate(copy, size);
	if (!ret)
		ret = copy_bytes(copy, all, 0, size < HEAD_BYTES ? size : HEAD_BYTES);
	if (!ret)
		ret = copy_bytes(copy, all, offset, rest < HEAD_BYTES ? rest : HEAD_BYTES);
	if (!ret)
		ret = copy_bytes(copy, all, size - tail, tail);
	if (!ret)
		return copy;
	close(copy);
	return ret;
}

/*
 * A device DAX cannot be read(), so libblkid gets a copy.  It is mapped in
 * multiples of its alignment only, and all of it is one, whatever that is.
 */
static int open_copy(struct cli *cli, int device, dev_t rdev)
{
	uint64_t size = device_dax_size(rdev);
	void *all;
	int copy;

	if (size == 0)
		return cli_fail(cli, -ENODEV, "%s: not a regular file, block device or DAX device",
				cli->image);
	all = mmap(NULL, size, PROT_READ, MAP_SHARED, device, 0);
	if (all == MAP_FAILED)
		return cli_fail_errno(cli, -errno, cli->image);
	errno = 0;
	copy = copy_ends(all, size, cli->open.fs_offset < size ? cli->open.fs_offset : size);
	munmap(all, size);
	return copy < 0 ? cli_fail_errno(cli, copy, cli->image) : copy;
}

/* ---- what libblkid knows ---------------------------------------------------- */

/* A value lives only until the next question. */
static bool copy_value(blkid_probe probe, const char *name, char *text, size_t size)
{
	const char *value;

	if (blkid_probe_lookup_value(probe, name, &value, NULL))
		return false;
	snprintf(text, size, "%s", value);
	return true;
}

static uint64_t value_of(blkid_probe probe, const char *name)
{
	const char *text;

	return blkid_probe_lookup_value(probe, name, &text, NULL) ? 0 : strtoull(text, NULL, 10);
}

/* Where the filesystem found at @at ends; at the end of everything when it does not say. */
static uint64_t filesystem_end(blkid_probe probe, uint64_t at)
{
	uint64_t length = value_of(probe, "FSLASTBLOCK") * value_of(probe, "FSBLOCKSIZE");

	return length ? at + length : UINT64_MAX;
}

static int refuse_partition(struct cli *cli, blkid_partition partition, const char *table)
{
	return cli_fail(cli, -EEXIST, "%s: partition %d of a %s partition table would be overwritten; "
			"use --force for that", cli->image, blkid_partition_get_partno(partition), table);
}

/* The table itself, its copy at the end, and its partitions. */
static int check_table(struct cli *cli, blkid_probe probe, const char *table, const struct range *range,
		       uint64_t size)
{
	bool has_copy = strcmp(table, "gpt") == 0;
	blkid_partlist list = blkid_probe_get_partitions(probe);
	int i, count = list ? blkid_partlist_numof_partitions(list) : 0;

	if (range->start < TABLE_BYTES || (has_copy && range->end > size - TABLE_BYTES))
		return refuse_at(cli, 0, " partition table", table);
	for (i = 0; i < count; i++) {
		blkid_partition partition = blkid_partlist_get_partition(list, i);
		uint64_t start = (uint64_t)blkid_partition_get_start(partition) * 512;
		uint64_t length = (uint64_t)blkid_partition_get_size(partition) * 512;

		if (start < range->end && start + length > range->start)
			return refuse_partition(cli, partition, table);
	}
	return 0;
}

/* What libblkid finds in a probe that begins at byte @at. */
static int judge_probe(struct cli *cli, blkid_probe probe, uint64_t at, const struct range *range,
		       uint64_t size)
{
	char name[64];
	int ret;

	blkid_probe_enable_superblocks(probe, 1);
#ifdef BLKID_SUBLKS_FSINFO	/* util-linux 2.39; without it every filesystem goes to the end */
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_DEFAULT | BLKID_SUBLKS_FSINFO);
#endif
	blkid_probe_enable_partitions(probe, 1);
	ret = blkid_do_fullprobe(probe);
	if (ret < 0)
		return cli_fail(cli, -EIO, "%s: cannot look for filesystems: %s", cli->image,
				errno ? strerror(errno) : "libblkid failed");
	if (ret == 1)
		return 0;
	if (copy_value(probe, "TYPE", name, sizeof(name)) && filesystem_end(probe, at) > range->start)
		return refuse_at(cli, at, " filesystem or signature", name);
	if (copy_value(probe, "PTTYPE", name, sizeof(name)))
		return at ? refuse_at(cli, at, " partition table", name) :
			    check_table(cli, probe, name, range, size);
	return 0;
}

static int ask_blkid(struct cli *cli, int fd, uint64_t at, const struct range *range, uint64_t size)
{
	blkid_probe probe;
	int ret;

	if (at >= size || at >= range->end)
		return 0;
	probe = blkid_new_probe();
	if (!probe)
		return cli_fail_errno(cli, -ENOMEM, cli->image);
	errno = 0;
	if (blkid_probe_set_device(probe, fd, (blkid_loff_t)at, (blkid_loff_t)(size - at)))
		ret = cli_fail_errno(cli, errno ? -errno : -EIO, cli->image);
	else
		ret = judge_probe(cli, probe, at, range, size);
	blkid_free_probe(probe);
	return ret;
}

/* The copy of a GPT at the end, of which libblkid says nothing once the head is lost. */
static int check_last_sector(struct cli *cli, int fd, const struct range *range, uint64_t size)
{
	static const uint64_t sectors[] = { 512, 4096 };
	char magic[8];
	int i;

	for (i = 0; i < 2 && range->end > size - TABLE_BYTES && size > TABLE_BYTES; i++)
		if (io_read_at(fd, magic, sizeof(magic), size - sectors[i]) == (ssize_t)sizeof(magic) &&
		    memcmp(magic, "EFI PART", sizeof(magic)) == 0)
			return refuse(cli, " partition table at its end", "gpt");
	return 0;
}

/* ---- all of it ------------------------------------------------------------------ */

static int refuse_found(void *arg, const struct cowdax_found *found)
{
	return refuse_at(arg, found->fs_offset, " filesystem", "cowdax");
}

static int check_contents(struct cli *cli, int fd, uint64_t size, uint64_t length)
{
	struct range range = { cli->open.fs_offset, size };
	int ret;

	if (size <= range.start)
		return 0;
	if (length && length < size - range.start)
		range.end = range.start + length;
	/* What starts where the new one shall is the newest that was made there: it is named first. */
	ret = ask_blkid(cli, fd, range.start, &range, size);
	if (!ret)
		ret = cowdax_find(cli->image, range.start, range.end - range.start, refuse_found, cli,
				  &cli->error);
	if (!ret && range.start)
		ret = ask_blkid(cli, fd, 0, &range, size);
	if (!ret)
		ret = ask_blkid(cli, fd, range.start + FIRST_PARTITION, &range, size);
	return ret ? ret : check_last_sector(cli, fd, &range, size);
}

static int open_and_check(struct cli *cli, const struct stat *st, uint64_t length)
{
	int fd = io_open(cli->image, O_RDONLY, 0), copy, ret;
	off_t size;

	if (fd < 0)
		return cli_fail_errno(cli, fd, cli->image);
	if (S_ISCHR(st->st_mode)) {
		copy = open_copy(cli, fd, st->st_rdev);
		close(fd);
		if (copy < 0)
			return copy;
		fd = copy;
	}
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		ret = cli_fail_errno(cli, -errno, cli->image);
	else
		ret = check_contents(cli, fd, (uint64_t)size, length);
	close(fd);
	return ret;
}

int probe_target(struct cli *cli, uint64_t length, bool force)
{
	struct stat st;
	int ret;

	if (stat(cli->image, &st) < 0)
		return errno == ENOENT ? 0 : cli_fail_errno(cli, -errno, cli->image);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return cli_fail(cli, -EINVAL, "%s: neither a regular file nor a device", cli->image);
	ret = check_swap(cli, &st);
	return ret || force ? ret : open_and_check(cli, &st, length);
}

bool probe_can_dax(const char *path)
{
	char name[64], answer[8];
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/queue/dax", major(st.st_rdev),
		 minor(st.st_rdev));
	read_line(name, answer, sizeof(answer));
	return strcmp(answer, "1") == 0;
}

uint64_t probe_partition_start(const char *path)
{
	char name[64], sectors[32];
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/start", major(st.st_rdev),
		 minor(st.st_rdev));
	read_line(name, sectors, sizeof(sectors));
	return strtoull(sectors, NULL, 10) * 512;
}

int probe_wipe(struct cli *cli, uint64_t length)
{
	int fd = io_open(cli->image, O_RDWR, 0), ret = 0;
	struct stat st;
	blkid_probe probe;

	if (fd < 0 || fstat(fd, &st) || S_ISCHR(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? cli_fail_errno(cli, fd, cli->image) : 0;
	}
	probe = blkid_new_probe();
	if (!probe || blkid_probe_set_device(probe, fd, (blkid_loff_t)cli->open.fs_offset, (blkid_loff_t)length)) {
		ret = cli_fail(cli, -EIO, "%s: cannot be probed for old signatures", cli->image);
		goto out_close;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_MAGIC);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC);
	while (!ret && blkid_do_probe(probe) == 0) {
		if (blkid_do_wipe(probe, 0))
			ret = cli_fail(cli, -EIO, "%s: an old signature cannot be erased", cli->image);
	}
	if (!ret) {
		ret = io_sync(fd);
		if (ret)
			cli_fail_errno(cli, ret, cli->image);
	}
out_close:
	if (probe)
		blkid_free_probe(probe);
	close(fd);
	return ret;
}
