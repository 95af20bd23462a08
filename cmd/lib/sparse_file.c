/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Only what is mapped is read and written: a hole of the image costs nothing in the host. */
#include "sparse_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

static bool is_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) || S_ISCHR(a->st_mode))
		return (a->st_mode & S_IFMT) == (b->st_mode & S_IFMT) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int sparse_file_open(struct cli *cli, struct sparse_file *file, const char *name)
{
	struct stat st, image;
	int ret = 0;

	file->name = name;
	file->fd = io_open(name, O_WRONLY | O_CREAT | O_NOCTTY, 0666);
	if (file->fd < 0)
		return cli_fail_errno(cli, file->fd, name);
	if (fstat(file->fd, &st))
		ret = cli_fail_errno(cli, -errno, name);
	else if (stat(cli->image, &image) == 0 && is_same(&st, &image))
		ret = cli_fail(cli, -EINVAL, "%s: is the image itself", name);
	file->regular = !ret && S_ISREG(st.st_mode);
	if (file->regular)
		ret = io_truncate(file->fd, 0);
	if (!ret)
		return 0;
	if (file->regular)
		cli_fail_errno(cli, ret, name);
	io_close(file->fd);
	return ret;
}

static int write_all(void *arg, const void *bytes, size_t length)
{
	struct sparse_file *file = arg;

	file->error = io_write(file->fd, bytes, length);
	if (file->error)
		return file->error;
	if (file->progress)
		file->progress(file->progress_arg, length);
	return 0;
}

static int take_mapped(void *arg, const struct cowdax_extent *extent)
{
	if (extent->map.type != COWDAX_MAPPED)
		return 0;
	*(struct cowdax_iomap *)arg = extent->map;
	return 1;
}

/* From one mapped extent to the next. */
static int fill_sparsely(struct cli *cli, struct sparse_file *file, struct cowdax *fs,
			 uint64_t inode, uint64_t offset, uint64_t end)
{
	const uint64_t start = offset;
	struct cowdax_iomap map;
	int ret;

	while (offset < end) {
		ret = cowdax_map(fs, inode, offset, end - offset, take_mapped, &map, &cli->error);
		if (ret < 0)
			return ret;
		if (ret == 0)
			break;
		if (lseek(file->fd, (off_t)(map.offset - start), SEEK_SET) < 0) {
			file->error = -errno;
			return file->error;
		}
		ret = cowdax_read_through(fs, inode, map.offset, map.length, write_all, file, &cli->error);
		if (ret)
			return ret;
		offset = map.offset + map.length;
	}
	file->error = io_truncate(file->fd, end - start);
	return file->error;
}

int sparse_file_fill(struct cli *cli, struct sparse_file *file, struct cowdax *fs, uint64_t inode,
		     uint64_t offset, uint64_t end)
{
	int ret = 0, closed;

	if (file->regular)
		ret = fill_sparsely(cli, file, fs, inode, offset, end);
	else if (offset < end)
		ret = cowdax_read_through(fs, inode, offset, end - offset, write_all, file, &cli->error);
	closed = io_close(file->fd);
	if (closed && !ret)
		ret = file->error = closed;
	/* Else it was the image that could not be read from. */
	return ret && ret == file->error ? cli_fail_errno(cli, ret, file->name) : ret;
}
