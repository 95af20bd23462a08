/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli.h"
#include "probe.h"

/* What libblkid looks at in front. */
#define HEAD_BYTES ((size_t)2 << 20)

static const char cowdax_magic[8] = { '\xc0', 'c', 'o', 'w', 'd', 'a', 'x', '\n' };

static int refuse(struct cli *cli, const char *kind, const char *name)
{
	return cli_fail(cli, -EEXIST, "%s: contains a %s%s; use --force to overwrite it", cli->image,
			name, kind);
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

/* A regular file can be in use through a loop device, which takes no lock. */
static int check_loop_devices(struct cli *cli, const struct stat *st)
{
	glob_t devices = { 0 };
	char backing[4096];
	size_t i;
	int ret = 0;

	glob("/sys/block/loop*/loop/backing_file", 0, NULL, &devices);
	for (i = 0; i < devices.gl_pathc && !ret; i++) {
		const char *name = devices.gl_pathv[i] + strlen("/sys/block/");

		read_line(devices.gl_pathv[i], backing, sizeof(backing));
		if (is_same_file(st, backing))
			ret = cli_fail(cli, -EBUSY, "%s: in use by /dev/%.*s", cli->image,
				       (int)strcspn(name, "/"), name);
	}
	globfree(&devices);
	return ret;
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

/* A sparse file of @size bytes with what @all has in front, from @offset on; or -errno. */
static int copy_head(const char *all, uint64_t size, uint64_t offset)
{
	size_t length = size - offset < HEAD_BYTES ? size - offset : HEAD_BYTES;
	int copy = memfd_create("head", MFD_CLOEXEC), ret = 0;

	if (copy < 0)
		return -errno;
	if (ftruncate(copy, (off_t)size))
		ret = -errno;
	else if (pwrite(copy, all + offset, length, (off_t)offset) != (ssize_t)length)
		ret = errno ? -errno : -EIO;
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
	copy = copy_head(all, size, cli->open.fs_offset < size ? cli->open.fs_offset : size);
	munmap(all, size);
	return copy < 0 ? cli_fail_errno(cli, copy, cli->image) : copy;
}

static int ask_blkid(struct cli *cli, blkid_probe probe)
{
	const char *name;
	int ret;

	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_enable_partitions(probe, 1);
	ret = blkid_do_fullprobe(probe);
	if (ret < 0)
		return cli_fail(cli, -EIO, "%s: cannot look for filesystems: %s", cli->image,
				errno ? strerror(errno) : "libblkid failed");
	if (ret == 1)
		return 0;
	if (blkid_probe_lookup_value(probe, "TYPE", &name, NULL) == 0)
		return refuse(cli, " filesystem or signature", name);
	if (blkid_probe_lookup_value(probe, "PTTYPE", &name, NULL) == 0)
		return refuse(cli, " partition table", name);
	return 0;
}

static int check_contents(struct cli *cli, int fd, uint64_t size)
{
	uint64_t offset = cli->open.fs_offset;
	char magic[sizeof(cowdax_magic)];
	blkid_probe probe;
	int ret;

	if (size <= offset)
		return 0;
	if (pread(fd, magic, sizeof(magic), (off_t)offset) == (ssize_t)sizeof(magic) &&
	    memcmp(magic, cowdax_magic, sizeof(magic)) == 0)
		return refuse(cli, " filesystem", "cowdax");
	probe = blkid_new_probe();
	if (!probe)
		return cli_fail_errno(cli, -ENOMEM, cli->image);
	errno = 0;
	if (blkid_probe_set_device(probe, fd, (blkid_loff_t)offset, (blkid_loff_t)(size - offset)))
		ret = cli_fail_errno(cli, errno ? -errno : -EIO, cli->image);
	else
		ret = ask_blkid(cli, probe);
	blkid_free_probe(probe);
	return ret;
}

static int open_and_check(struct cli *cli, const struct stat *st)
{
	int fd = open(cli->image, O_RDONLY | O_CLOEXEC), copy, ret;
	off_t size;

	if (fd < 0)
		return cli_fail_errno(cli, -errno, cli->image);
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
		ret = check_contents(cli, fd, (uint64_t)size);
	close(fd);
	return ret;
}

int probe_target(struct cli *cli, bool force)
{
	struct stat st;
	int ret = 0;

	if (stat(cli->image, &st) < 0)
		return errno == ENOENT ? 0 : cli_fail_errno(cli, -errno, cli->image);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return cli_fail(cli, -EINVAL, "%s: neither a regular file nor a device", cli->image);
	if (S_ISREG(st.st_mode))
		ret = check_loop_devices(cli, &st);
	if (!ret)
		ret = check_swap(cli, &st);
	if (ret || force)
		return ret;
	return open_and_check(cli, &st);
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

int probe_wipe(struct cli *cli)
{
	int fd = open(cli->image, O_RDWR | O_CLOEXEC), ret = 0;
	struct stat st;
	blkid_probe probe;

	if (fd < 0 || fstat(fd, &st) || S_ISCHR(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? cli_fail(cli, -errno, "%s: %s", cli->image, strerror(errno)) : 0;
	}
	probe = blkid_new_probe();
	if (!probe || blkid_probe_set_device(probe, fd, (blkid_loff_t)cli->open.fs_offset, 0)) {
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
	if (!ret && fsync(fd))
		ret = cli_fail(cli, -errno, "%s: %s", cli->image, strerror(errno));
out_close:
	if (probe)
		blkid_free_probe(probe);
	close(fd);
	return ret;
}
