/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls on files of the host that a signal can interrupt: made again until they are
 * done.  All of cmd/ goes through here, so that EINTR never surfaces.  0 or a count, or -errno.
 */
#ifndef IO_H
#define IO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/** A descriptor, O_CLOEXEC. */
int io_open(const char *path, int flags, mode_t mode);
/** As read(2): bytes, 0 at the end. */
ssize_t io_read(int fd, void *buffer, size_t length);
/** Bytes, fewer than @length only at the end. */
ssize_t io_read_at(int fd, void *buffer, size_t length, uint64_t offset);
/** All of it. */
int io_write(int fd, const void *bytes, size_t length);
int io_write_at(int fd, const void *bytes, size_t length, uint64_t offset);
int io_truncate(int fd, uint64_t size);
int io_sync(int fd);
/** An interrupted close has closed. */
int io_close(int fd);
/** @fd for reading, a byte at a time; fclose() leaves it open.  NULL: no memory. */
FILE *io_reader(int fd);

#endif
