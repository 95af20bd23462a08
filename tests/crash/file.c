// SPDX-License-Identifier: GPL-2.0-or-later
#include "file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "crash.h"
#include "media.h"
#include "operation.h"

static struct {
	int fd;
	char path[64];
	unsigned char *bytes;
	uint64_t length;
	const struct file_watch *watch;
} file;

/* ---- the file ------------------------------------------------------------------------ */

/* Named for a moment only: nothing stays behind, however the test ends. */
static int open_nameless(const char *folder)
{
	char name[256];
	int fd;

	snprintf(name, sizeof(name), "%s/pagecache-XXXXXX", folder);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static bool in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
}

void file_make(void)
{
	static const char *const folders[] = {".", "/var/tmp", "/tmp"};

	file.fd = -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		file.fd = open_nameless(folders[i]);
		if (file.fd >= 0 && !in_memory(file.fd))
			break;
		if (file.fd >= 0)
			close(file.fd);
		file.fd = -1;
	}
	if (file.fd < 0) {
		printf("# no filesystem here but in memory: msync() has nothing to write to\n");
		file.fd = open_nameless(".");
	}
	if (file.fd < 0)
		die("cannot make a file");
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	file.bytes = mmap(NULL, LONGEST_IMAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	if (file.bytes == MAP_FAILED)
		die("cannot map a file");
}

bool file_is_dax(void)
{
	void *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, file.fd, 0);

	if (map == MAP_FAILED)
		return false;
	munmap(map, PAGE);
	return true;
}

void file_load(void)
{
	file.length = media_length();
	if (ftruncate(file.fd, (off_t)file.length))
		die("cannot resize a file");
	for (uint64_t at = 0; at < file.length; at += PAGE) {
		if (memcmp(file.bytes + at, media_bytes() + at, PAGE) != 0)
			memcpy(file.bytes + at, media_bytes() + at, PAGE);
	}
}

const char *file_path(void)
{
	return file.path;
}

const unsigned char *file_bytes(void)
{
	return file.bytes;
}

/* ---- the trace ------------------------------------------------------------------------- */

void file_trace(const struct file_watch *watch)
{
	file.watch = watch;
}

/* Where in the file the mapping has this address, as the kernel tells it. */
static uint64_t offset_of(uintptr_t address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, offset, inode;
	uint64_t found = UINT64_MAX;
	struct stat st;
	char line[512];

	if (fstat(file.fd, &st))
		die("cannot tell which file it is");
	if (!maps)
		die("cannot tell what is mapped where");
	while (found == UINT64_MAX && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx %*s %lu", &start, &end, &offset, &inode) == 4 &&
		    start <= address && address < end && inode == st.st_ino)
			found = offset + (address - start);
	}
	fclose(maps);
	return found;
}

int __real_msync(void *start, size_t length, int flags);
int __wrap_msync(void *start, size_t length, int flags);
int __wrap_msync(void *start, size_t length, int flags)
{
	const struct file_watch *watch = file.watch;
	uint64_t offset = offset_of((uintptr_t)start);
	int ret;

	if (!watch)
		return __real_msync(start, length, flags);
	if (offset == UINT64_MAX || offset % PAGE)
		die("msync() of what is not the image, or of no whole pages");
	watch->before(watch->arg);
	ret = __real_msync(start, length, flags);
	/* Nothing else is a promise. */
	if (ret == 0 && flags == MS_SYNC)
		watch->after(watch->arg, offset / PAGE, (offset + length + PAGE - 1) / PAGE);
	return ret;
}
