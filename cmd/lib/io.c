/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls made again when a signal interrupts them: a handler or a stop is no reason to fail. */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

static bool was_interrupted(ssize_t ret)
{
	return ret < 0 && errno == EINTR;
}

static ssize_t or_errno(ssize_t ret)
{
	return ret < 0 ? -errno : ret;
}

int io_open(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (was_interrupted(fd));
	return (int)or_errno(fd);
}

ssize_t io_read(int fd, void *buffer, size_t length)
{
	ssize_t got;

	do
		got = read(fd, buffer, length);
	while (was_interrupted(got));
	return or_errno(got);
}

ssize_t io_read_at(int fd, void *buffer, size_t length, uint64_t offset)
{
	size_t done = 0;
	ssize_t got = 1;

	while (done < length && got != 0) {
		got = pread(fd, (char *)buffer + done, length - done, (off_t)(offset + done));
		if (got < 0 && errno != EINTR)
			return -errno;
		done += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)done;
}

int io_write(int fd, const void *bytes, size_t length)
{
	while (length > 0) {
		ssize_t done = write(fd, bytes, length);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			bytes = (const char *)bytes + done;
			length -= (size_t)done;
		}
	}
	return 0;
}

int io_write_at(int fd, const void *bytes, size_t length, uint64_t offset)
{
	while (length > 0) {
		ssize_t done = pwrite(fd, bytes, length, (off_t)offset);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			bytes = (const char *)bytes + done;
			length -= (size_t)done;
			offset += (uint64_t)done;
		}
	}
	return 0;
}

int io_truncate(int fd, uint64_t size)
{
	int ret;

	do
		ret = ftruncate(fd, (off_t)size);
	while (was_interrupted(ret));
	return (int)or_errno(ret);
}

int io_sync(int fd)
{
	int ret;

	do
		ret = fsync(fd);
	while (was_interrupted(ret));
	return (int)or_errno(ret);
}

int io_close(int fd)
{
	int ret = close(fd);

	return was_interrupted(ret) ? 0 : (int)or_errno(ret);
}

static ssize_t read_cookie(void *cookie, char *buffer, size_t length)
{
	ssize_t got = io_read((int)(intptr_t)cookie, buffer, length);

	if (got >= 0)
		return got;
	errno = (int)-got;
	return -1;
}

FILE *io_reader(int fd)
{
	static const cookie_io_functions_t functions = { .read = read_cookie };

	return fopencookie((void *)(intptr_t)fd, "r", functions);
}
