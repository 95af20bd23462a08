// SPDX-License-Identifier: GPL-2.0-or-later
/* Makes a command one that signals interrupt: every other call of each kind is EINTR, and does nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *buffer, size_t length);
ssize_t __wrap_read(int fd, void *buffer, size_t length);
ssize_t __real_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __real_pwrite(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t offset);
int __real_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length);
int __real_fallocate(int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);

static bool interrupts(bool *interrupted)
{
	*interrupted = !*interrupted;
	if (*interrupted)
		errno = EINTR;
	return *interrupted;
}

int __wrap_open(const char *path, int flags, ...)
{
	static bool interrupted;
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return interrupts(&interrupted) ? -1 : __real_open(path, flags, mode);
}

ssize_t __wrap_read(int fd, void *buffer, size_t length)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_read(fd, buffer, length);
}

ssize_t __wrap_pread(int fd, void *buffer, size_t length, off_t offset)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_pread(fd, buffer, length, offset);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_write(fd, bytes, length);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_pwrite(fd, bytes, length, offset);
}

int __wrap_ftruncate(int fd, off_t length)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_ftruncate(fd, length);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_fallocate(fd, mode, offset, length);
}

int __wrap_fsync(int fd)
{
	static bool interrupted;

	return interrupts(&interrupted) ? -1 : __real_fsync(fd);
}

/* On Linux it has closed. */
int __wrap_close(int fd)
{
	static bool interrupted;
	int ret = __real_close(fd);

	return !ret && interrupts(&interrupted) ? -1 : ret;
}
