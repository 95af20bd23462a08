// SPDX-License-Identifier: GPL-2.0-or-later
/* The side that the kernel does: each operation is a system call, and what makes it durable. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../bench/measure.h"
#include "../model/memory.h"
#include "beside.h"

#define SETTLE_TIME 10000	/* milliseconds */
#define REST_TIME 100		/* milliseconds without a change */
#define XFS_MAGIC 0x58465342
#ifndef STATX_ATTR_DAX
#define STATX_ATTR_DAX 0x00200000
#endif

static const char *name_of(unsigned int file)
{
	static const char *const names[FILES] = {"a", "b", "c", "d", "e", "f"};

	return names[file];
}

static uint64_t inodes_in_use(const struct xfs *xfs)
{
	struct statfs st;

	if (fstatfs(xfs->directory, &st))
		die("XFS: statfs(): %s", strerror(errno));
	if (st.f_type != XFS_MAGIC || st.f_bsize != (long)BLOCK)
		die("this is no XFS with blocks of 4 KiB");
	return st.f_files - st.f_ffree;
}

/* What others have removed before may be under way yet. */
static uint64_t inodes_at_rest(const struct xfs *xfs)
{
	uint64_t inodes = inodes_in_use(xfs), now_in_use;

	for (int same = 0; same < REST_TIME; same++) {
		usleep(1000);
		now_in_use = inodes_in_use(xfs);
		if (now_in_use != inodes)
			same = 0;
		inodes = now_in_use;
	}
	return inodes;
}

void xfs_open(struct xfs *xfs, const char *directory)
{
	xfs->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (xfs->directory < 0)
		die("%s: %s", directory, strerror(errno));
	for (unsigned int i = 0; i < FILES; i++) {
		xfs->file[i] = -1;
		if (faccessat(xfs->directory, name_of(i), F_OK, 0) == 0)
			die("%s/%s is there already", directory, name_of(i));
	}
	xfs->inodes = inodes_at_rest(xfs);
	xfs->old_kernel = kernel_leaves_parts(xfs->directory);
	if (xfs->old_kernel)
		kernel_reserve_little(xfs->directory, true);
}

void xfs_close(struct xfs *xfs)
{
	for (unsigned int i = 0; i < FILES; i++)
		if (xfs->file[i] >= 0) {
			close(xfs->file[i]);
			unlinkat(xfs->directory, name_of(i), 0);
		}
	if (xfs->old_kernel)
		kernel_reserve_little(xfs->directory, false);
	close(xfs->directory);
}

const char *xfs_mapping(const struct xfs *xfs)
{
	struct statx st = {0};
	int fd = openat(xfs->directory, "probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st))
		die("a file on XFS: %s", strerror(errno));
	close(fd);
	unlinkat(xfs->directory, "probe", 0);
	return st.stx_attributes & STATX_ATTR_DAX ? "DAX" : "page cache";
}

/* ---- operations ---------------------------------------------------------------------- */

static int errno_of(int ret)
{
	return ret ? -errno : 0;
}

static int create(struct xfs *xfs, const struct op *op, int flags)
{
	int fd = openat(xfs->directory, name_of(op->file), O_RDWR | O_CREAT | O_CLOEXEC | flags,
			0644);

	if (fd < 0)
		return -errno;
	xfs->file[op->file] = fd;
	return 0;
}

static int remove_file(struct xfs *xfs, const struct op *op)
{
	if (unlinkat(xfs->directory, name_of(op->file), 0))
		return -errno;
	close(xfs->file[op->file]);
	xfs->file[op->file] = -1;
	return errno_of(fsync(xfs->directory));
}

static int write_bytes(int fd, const struct op *op, const void *bytes, bool dsync)
{
	const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = op->length};
	ssize_t done = dsync ? pwritev2(fd, &part, 1, (off_t)op->offset, RWF_DSYNC) :
			       pwrite(fd, bytes, op->length, (off_t)op->offset);

	if (done < 0)
		return -errno;
	return done == (ssize_t)op->length ? 0 : -EIO;
}

/*
 * cowdax_clone() makes the file a clone of all of the other, as cp --reflink
 * does; FICLONE alone would leave what the file has behind the other's end.
 */
static int clone_whole(int from, int to, bool itself)
{
	if (!itself && ftruncate(to, 0))
		return -errno;
	return errno_of(ioctl(to, FICLONE, from));
}

static int clone_range(int from, int to, const struct op *op)
{
	struct file_clone_range range = {
		.src_fd = from, .src_offset = op->from_offset, .src_length = op->length,
		.dest_offset = op->offset,
	};

	return errno_of(ioctl(to, FICLONERANGE, &range));
}

/* A file that is missing is created, and goes away again with the failure. */
static int clone(struct xfs *xfs, const struct op *op)
{
	bool is_new = xfs->file[op->file] < 0;
	int ret = 0, from = xfs->file[op->from];

	if (from < 0)
		return -ENOENT;
	if (is_new)
		ret = create(xfs, op, 0);
	if (ret)
		return ret;
	if (op->kind == OP_CLONE)
		ret = clone_whole(from, xfs->file[op->file], op->from == op->file);
	else
		ret = clone_range(from, xfs->file[op->file], op);
	if (ret && is_new)
		remove_file(xfs, op);
	return ret;
}

/* The blocks of a file that was removed are given back in the background: wait for it. */
static void settle(const struct xfs *xfs)
{
	uint64_t files = 0;

	for (unsigned int i = 0; i < FILES; i++)
		files += xfs->file[i] >= 0;
	for (int tries = 0; inodes_in_use(xfs) > xfs->inodes + files; tries++) {
		if (tries == SETTLE_TIME)
			die("XFS does not give back the blocks of a file that was removed");
		usleep(1000);
	}
}

/* KEEP_SIZE where cowdax always keeps it. */
static int fallocate_mode(const struct op *op)
{
	switch (op->kind) {
	case OP_PUNCH:
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	case OP_UNSHARE:
		return FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE;
	case OP_ZERO:
		return FALLOC_FL_ZERO_RANGE | (op->keep_size ? FALLOC_FL_KEEP_SIZE : 0);
	default:
		return op->keep_size ? FALLOC_FL_KEEP_SIZE : 0;
	}
}

static int unshare(struct xfs *xfs, const struct op *op)
{
	static struct layout layout;
	int fd = xfs->file[op->file], mode = fallocate_mode(op);

	if (xfs->old_kernel) {
		xfs_layout(xfs, op->file, &layout);
		xfs->helped += kernel_unshare(fd, &layout, op);
		mode &= ~FALLOC_FL_UNSHARE_RANGE; /* but for allocating, which XFS does too */
	}
	return errno_of(fallocate(fd, mode, (off_t)op->offset, (off_t)op->length));
}

static int perform(struct xfs *xfs, const struct op *op, const void *bytes, bool dsync)
{
	int fd = xfs->file[op->file];

	if (op->kind == OP_CREATE)
		return create(xfs, op, O_EXCL);
	if (op->kind == OP_CLONE || op->kind == OP_CLONE_RANGE)
		return clone(xfs, op);
	if (fd < 0)
		return -ENOENT;
	switch (op->kind) {
	case OP_REMOVE:
		return remove_file(xfs, op);
	case OP_WRITE:
		return write_bytes(fd, op, bytes, dsync);
	case OP_TRUNCATE:
		return errno_of(ftruncate(fd, (off_t)op->length));
	case OP_UNSHARE:
		return unshare(xfs, op);
	default:
		return errno_of(
			fallocate(fd, fallocate_mode(op), (off_t)op->offset, (off_t)op->length));
	}
}

/* Whether an operation that succeeded has made XFS zero the rest of what was the last block. */
static bool zeroes_end(const struct op *op, uint64_t old_size, uint64_t size)
{
	switch (op->kind) {
	case OP_WRITE:
	case OP_CLONE_RANGE:
		return size > old_size && op->offset > old_size;
	case OP_TRUNCATE:
		return size >= old_size;
	default:
		return size > old_size;
	}
}

static void help_afterwards(struct xfs *xfs, const struct op *op, const struct layout *before)
{
	static struct layout after;

	if (before->size == MAX_FILE || !before->block[before->size / BLOCK].shared)
		return;
	xfs_layout(xfs, op->file, &after);
	if (zeroes_end(op, before->size, after.size))
		xfs->helped += kernel_copy_end(xfs->file[op->file], before->size, &after);
}

static bool may_need_help(const struct xfs *xfs, const struct op *op)
{
	return xfs->old_kernel && op->kind != OP_CLONE && op->kind != OP_CREATE &&
	       op->kind != OP_REMOVE;
}

int xfs_apply(struct xfs *xfs, const struct op *op, const void *bytes, bool dsync,
	      uint64_t *nanoseconds)
{
	static struct layout before;
	uint64_t started;
	int ret;

	if (may_need_help(xfs, op)) {
		xfs_layout(xfs, op->file, &before);
		xfs->helped += kernel_copy_parts(xfs->file[op->file], &before, op);
	}
	started = now();
	ret = perform(xfs, op, bytes, dsync);
	dsync = dsync && op->kind == OP_WRITE;
	if (!ret && !dsync && xfs->file[op->file] >= 0)
		ret = errno_of(fdatasync(xfs->file[op->file]));
	*nanoseconds = now() - started;
	/* Through a page cache, RWF_DSYNC leaves the old last block, zeroed for the write, dirty. */
	if (!ret && dsync)
		ret = errno_of(fdatasync(xfs->file[op->file]));
	if (!ret && may_need_help(xfs, op))
		help_afterwards(xfs, op, &before);
	if (!ret && op->kind == OP_REMOVE)
		settle(xfs);
	return ret;
}

/* ---- looking ------------------------------------------------------------------------- */

static void add_extent(struct layout *layout, const struct fiemap_extent *extent)
{
	if (extent->fe_flags & (FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_DATA_INLINE) ||
	    extent->fe_logical % BLOCK || extent->fe_length % BLOCK)
		die("XFS: an extent of %llu bytes with flags %#x",
		    (unsigned long long)extent->fe_length, extent->fe_flags);
	for (uint64_t done = 0; done < extent->fe_length; done += BLOCK) {
		uint64_t index = (extent->fe_logical + done) / BLOCK;

		if (index >= BLOCKS)
			die("XFS: an extent past the longest file");
		layout->block[index] = (struct block){
			.type = extent->fe_flags & FIEMAP_EXTENT_UNWRITTEN ? COWDAX_UNWRITTEN
									   : COWDAX_MAPPED,
			.shared = extent->fe_flags & FIEMAP_EXTENT_SHARED,
			.address = extent->fe_physical + done,
		};
	}
}

void xfs_layout(const struct xfs *xfs, unsigned int file, struct layout *layout)
{
	static union {
		struct fiemap head;
		unsigned char room[sizeof(struct fiemap) + BLOCKS * sizeof(struct fiemap_extent)];
	} map;
	struct stat st;

	*layout = (struct layout){.exists = xfs->file[file] >= 0};
	if (!layout->exists)
		return;
	map.head = (struct fiemap){
		.fm_length = FIEMAP_MAX_OFFSET,
		.fm_flags = FIEMAP_FLAG_SYNC,
		.fm_extent_count = BLOCKS,
	};
	if (fstat(xfs->file[file], &st) || ioctl(xfs->file[file], FS_IOC_FIEMAP, &map))
		die("XFS: the map of %s: %s", name_of(file), strerror(errno));
	layout->size = (uint64_t)st.st_size;
	for (unsigned int i = 0; i < map.head.fm_mapped_extents; i++)
		add_extent(layout, &map.head.fm_extents[i]);
}

void xfs_read(const struct xfs *xfs, unsigned int file, void *bytes, uint64_t size)
{
	ssize_t got = size ? pread(xfs->file[file], bytes, size, 0) : 0;

	if (got != (ssize_t)size)
		die("XFS: %s: %zd bytes read of %llu: %s", name_of(file), got,
		    (unsigned long long)size, got < 0 ? strerror(errno) : "short");
}
