// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linux before 6.2 writes into shared blocks of a DAX file as it should, but
 * does nothing when it is to zero a part of one (punch, zero, truncate), leaves
 * old bytes of the media around a write when the block it reserved for a copy
 * meets a hole, and unshares through the page cache.  See the series "fsdax,xfs:
 * fix warning messages" of December 2022.  A peer that is wrong is no peer: on such
 * a kernel shared blocks are copied by writes, their own bytes, where it would
 * zero or unshare them, and it reserves no more for a copy than the copy takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../model/memory.h"
#include "beside.h"

/* ---- which kernel it is -------------------------------------------------------------- */

static int probe_file(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s on XFS: %s", name, strerror(errno));
	unlinkat(directory, name, 0);
	return fd;
}

bool kernel_leaves_parts(int directory)
{
	int from = probe_file(directory, "probe"), to = probe_file(directory, "probe clone");
	unsigned char bytes[BLOCK];

	memset(bytes, 1, sizeof(bytes));
	if (pwrite(from, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes) ||
	    ioctl(to, FICLONE, from))
		die("XFS: a clone: %s", strerror(errno));
	if (fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 1) ||
	    pread(to, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		die("XFS: a hole: %s", strerror(errno));
	close(from);
	close(to);
	return bytes[100] != 0;
}

void kernel_reserve_little(int directory, bool little)
{
	struct fsxattr attributes;

	if (ioctl(directory, FS_IOC_FSGETXATTR, &attributes))
		die("XFS: attributes: %s", strerror(errno));
	attributes.fsx_xflags &= ~(unsigned int)FS_XFLAG_COWEXTSIZE;
	attributes.fsx_cowextsize = 0;
	if (little) {
		attributes.fsx_xflags |= FS_XFLAG_COWEXTSIZE;
		attributes.fsx_cowextsize = (unsigned int)BLOCK;
	}
	if (ioctl(directory, FS_IOC_FSSETXATTR, &attributes))
		die("XFS: attributes: %s", strerror(errno));
}

/* ---- what it needs ------------------------------------------------------------------- */

static bool copy_block(int fd, const struct layout *layout, uint64_t index)
{
	unsigned char bytes[BLOCK];
	uint64_t offset = index * BLOCK;
	size_t length = layout->size - offset < BLOCK ? (size_t)(layout->size - offset) : BLOCK;

	if (offset >= layout->size || layout->block[index].type != COWDAX_MAPPED ||
	    !layout->block[index].shared)
		return false;
	if (pread(fd, bytes, length, (off_t)offset) != (ssize_t)length ||
	    pwrite(fd, bytes, length, (off_t)offset) != (ssize_t)length)
		die("XFS: a shared block: %s", strerror(errno));
	return true;
}

unsigned int kernel_copy_parts(int fd, const struct layout *layout, const struct op *op)
{
	uint64_t end = op->kind == OP_TRUNCATE ? op->length : op->offset + op->length;
	bool starts = op->kind == OP_PUNCH || op->kind == OP_ZERO;
	unsigned int copied = 0;

	if (starts && op->offset % BLOCK)
		copied += copy_block(fd, layout, op->offset / BLOCK);
	if ((starts || op->kind == OP_TRUNCATE) && end % BLOCK && end < MAX_FILE)
		copied += copy_block(fd, layout, end / BLOCK);
	return copied;
}

unsigned int kernel_copy_end(int fd, uint64_t old_size, const struct layout *layout)
{
	return old_size % BLOCK ? copy_block(fd, layout, old_size / BLOCK) : 0;
}

unsigned int kernel_unshare(int fd, const struct layout *layout, const struct op *op)
{
	uint64_t last = round_up(op->offset + op->length) / BLOCK;
	unsigned int copied = 0;

	for (uint64_t i = op->offset / BLOCK; i < last && i < BLOCKS; i++)
		copied += copy_block(fd, layout, i);
	return copied;
}
