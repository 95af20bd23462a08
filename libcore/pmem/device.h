/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file or device that an image lies in: opening, size, locks, mapping. */
#ifndef CDX_DEVICE_H
#define CDX_DEVICE_H

#include "base/limits.h"
#include "pmem/fork.h"
#include "pmem/lock.h"
#include "pmem/pmem.h"

/* Stays where it is while it is open: see fork_guard. */
struct cdx_device {
	const char *path;	/* the caller's, for messages */
	int fd;			/* the open file description that owns all locks; -1 in a forked child */
	struct cdx_fork_guard fork_guard;
	struct cdx_lock_places lock;
	int flags;		/* enum cdx_device_flags */
	pid_t owner;		/* the process that opened it */
	uint64_t fs_offset;	/* bytes */
	uint64_t size;		/* bytes from fs_offset to the end of the file or device */
	bool regular, device_dax, block;
	bool read_only;		/* a block device that takes no writes, whoever asks */
	uint64_t alignment;	/* bytes: what a device DAX is mapped in multiples of */
	bool mapped;
	struct cdx_pmem pm;	/* once mapped: byte 0 is the filesystem's */
};

enum cdx_device_flags {
	CDX_DEVICE_WRITABLE = 1,
	CDX_DEVICE_DISCARD = 2,		/* dry run */
	CDX_DEVICE_NO_WAIT = 4,
	CDX_DEVICE_EXCLUSIVE = 8,	/* nobody else may have it open, mounted or in use */
	CDX_DEVICE_NO_LOCK = 16,	/* checker: do not even take the open lock */
};

/* There is no such file, or it cannot be looked at: the error says so of what a symbolic link leads to, too. */
int cdx_device_no_file(const char *path, int code, struct cowdax_error *error);
/*
 * Open @path, find its size, take the open lock (shared, or exclusive with EXCLUSIVE:
 * -EBUSY) of the filesystem's first bytes: how long it is is yet to be found out.
 */
int cdx_device_open(struct cdx_device *device, const char *path, uint64_t fs_offset, unsigned int flags,
		    struct cowdax_error *error);
/*
 * Map the first @length bytes of the filesystem, under the open lock of all of
 * them: who has it for himself shares them with no other filesystem that is open.
 */
int cdx_device_map(struct cdx_device *device, const char *path, uint64_t length,
		   struct cowdax_error *error);
/* Whether somebody has cut the file short under the mapping: accesses may be -EIO from then on. */
bool cdx_device_has_shrunk(const struct cdx_device *device);
void cdx_device_close(struct cdx_device *device);
/* Make the file so many bytes long, those before the filesystem included. */
int cdx_device_resize(const struct cdx_device *device, uint64_t bytes);
/* Read bytes before mapping (the superblock): 0 or -errno; -ENODATA past the end. */
int cdx_device_pread(const struct cdx_device *device, uint64_t offset, void *bytes, size_t length);

/* Lock bytes, by device->lock (FORMAT 11).  Each returns 0 or -errno: -EAGAIN when it is
 * held by another and waiting was not asked for.  A signal ends no wait. */
int cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);
void cdx_device_unlock(struct cdx_device *device, uint64_t start, uint64_t length);
/*
 * Whether somebody else holds a lock in the range (-errno when that cannot be
 * told); *where is then a byte that is held.  Own locks are never reported.
 */
int cdx_device_lock_test(const struct cdx_device *device, uint64_t start, uint64_t length, uint64_t *where);

#endif
