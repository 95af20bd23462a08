// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel with pages of 64 KiB, as arm64 and ppc64 have them: what it refuses is
 * refused here (linked with --wrap=sysconf, mmap, msync and madvise).
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

#define PAGE ((size_t)65536)

static int refused, advised, synced;

long __real_sysconf(int name);
long __wrap_sysconf(int name);
long __wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE ? (long)PAGE : __real_sysconf(name);
}

static int refuse(void)
{
	refused++;
	errno = EINVAL;
	return -1;
}

/* The file mapped last: where, and what of it. */
static struct { uintptr_t start; int fd; off_t offset; } mapped = {.fd = -1};

static void note_mapping(void *map, int fd, off_t offset)
{
	if (fd < 0)
		return;
	close(mapped.fd);
	mapped.start = (uintptr_t)map;
	mapped.fd = dup(fd);
	mapped.offset = offset;
}

/* Such a kernel's last page of a file is whole: what of it lies past the end here is not asked for. */
static size_t inside_file(uintptr_t start, size_t length)
{
	struct stat st;
	uint64_t end;

	if (mapped.fd < 0 || start < mapped.start || fstat(mapped.fd, &st))
		return length;
	end = mapped.start + ((uint64_t)(st.st_size - mapped.offset) + 4095) / 4096 * 4096;
	return start < end && start + length > end && start + length - end < PAGE ? end - start : length;
}

void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	uintptr_t low, start, end;
	void *map;

	if ((uintptr_t)address % PAGE || (size_t)offset % PAGE) {
		refuse();
		return MAP_FAILED;
	}
	if (address)
		return __real_mmap(address, length, protection, flags, fd, offset);
	/* Mappings start at a page of such a kernel. */
	length = (length + PAGE - 1) & ~(PAGE - 1);
	map = __real_mmap(NULL, length + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return map;
	low = (uintptr_t)map;
	start = (low + PAGE - 1) & ~(PAGE - 1);
	end = start + length;
	if (start > low)
		munmap(map, start - low);
	if (low + length + PAGE > end)
		munmap((void *)end, low + length + PAGE - end);
	map = __real_mmap((void *)start, length, protection, flags | MAP_FIXED, fd, offset);
	if (map == MAP_FAILED) {
		int error = errno;

		munmap((void *)start, length);
		errno = error;
	} else {
		note_mapping(map, fd, offset);
	}
	return map;
}

int __real_msync(void *start, size_t length, int flags);
int __wrap_msync(void *start, size_t length, int flags);
int __wrap_msync(void *start, size_t length, int flags)
{
	synced++;
	return (uintptr_t)start % PAGE ? refuse() : __real_msync(start, length, flags);
}

int __real_madvise(void *start, size_t length, int advice);
int __wrap_madvise(void *start, size_t length, int advice);
int __wrap_madvise(void *start, size_t length, int advice)
{
	advised++;
	if ((uintptr_t)start % PAGE)
		return refuse();
	return __real_madvise(start, inside_file((uintptr_t)start, length), advice);
}

/* Bytes of a pattern that tells where they belong. */
static void fill(unsigned char *bytes, size_t length, uint64_t offset)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)((offset + i) * 31 >> 3);
}

static void make(uint64_t fs_offset, uint64_t size)
{
	struct cowdax_mkfs_options options = {
		.size = size, .fs_offset = fs_offset, .create = true, .seed = 7, .uuid = {1},
	};
	struct cowdax_error error = {0};

	if (cowdax_mkfs(unit_path("image"), &options, NULL, &error))
		unit_fail(__FILE__, __LINE__, error.text);
}

static struct cowdax *open_at(uint64_t fs_offset)
{
	struct cowdax_open_options options = {.fs_offset = fs_offset};
	struct cowdax_error error = {0};
	struct cowdax *fs = NULL;

	if (cowdax_open(unit_path("image"), &options, &fs, &error))
		unit_fail(__FILE__, __LINE__, error.text);
	return fs;
}

static void expect_clean(uint64_t fs_offset)
{
	struct cowdax_check_options options = {.fs_offset = fs_offset, .check_data = true};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_check(unit_path("image"), &options, &summary, &error), 0);
	CHECK(summary.clean);
}

/* Small and long writes, a clone, a removal, and all read again by another handle. */
static void live_a_life(uint64_t fs_offset)
{
	static unsigned char bytes[2 * MIB + 777], again[2 * MIB + 777];
	struct cowdax_error error;
	struct cowdax *fs;
	uint64_t inode;

	make(fs_offset, 16 * MIB);
	fs = open_at(fs_offset);
	fill(bytes, sizeof(bytes), 0);
	inode = rig_create(fs, "/a");
	CHECK_EQUAL(cowdax_write(fs, inode, bytes, sizeof(bytes), 0, NULL, &error), 0);
	for (uint64_t at = 4001; at < 60000; at += 5003)
		CHECK_EQUAL(cowdax_write(fs, inode, bytes + at, 100, at, NULL, &error), 0);
	CHECK_EQUAL(cowdax_clone(fs, "/a", "/b", NULL, &error), 0);
	rig_create(fs, "/c");
	rig_remove(fs, "/c");
	cowdax_close(fs);
	fs = open_at(fs_offset);
	CHECK_EQUAL(cowdax_read(fs, rig_lookup(fs, "/b"), again, sizeof(again), 0, &error), (ssize_t)sizeof(again));
	CHECK(memcmp(bytes, again, sizeof(bytes)) == 0);
	cowdax_close(fs);
	expect_clean(fs_offset);
	CHECK_EQUAL(refused, 0);
	CHECK_EQUAL(unlink(unit_path("image")), 0);
}

TEST("with pages of 64 KiB all works, wherever the filesystem starts in its file")
{
	const uint64_t offsets[] = {0, 512, 3 * 4096, 65536 - 512, 65536, 3 * 65536 + 7 * 512};

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		live_a_life(offsets[i]);
	CHECK(synced > 0 && advised > 0);
}

TEST("with pages of 64 KiB a full disk under a sparse image is ENOSPC still")
{
	static unsigned char bytes[MIB];
	struct cowdax_error error = {0};
	struct cowdax *fs;
	uint64_t inode;
	int ret = 0;

	rig_small_host(4 * MIB);
	make(1536, 16 * MIB);
	fs = open_at(1536);
	inode = rig_create(fs, "/a");
	for (uint64_t at = 0; !ret && at < 12 * MIB; at += sizeof(bytes))
		ret = cowdax_write(fs, inode, bytes, sizeof(bytes), at, NULL, &error);
	CHECK_EQUAL(ret, -ENOSPC);
	cowdax_close(fs);
	expect_clean(1536);
	CHECK_EQUAL(refused, 0);
}

TEST("with pages of 64 KiB one that the file has lost is EIO, and the process lives")
{
	struct cowdax_error error = {0};
	unsigned char byte[4096];
	struct cowdax *fs;
	uint64_t inode;

	CHECK_EQUAL(cowdax_catch_faults(), 0);
	make(1536, 16 * MIB);
	fs = open_at(1536);
	inode = rig_create(fs, "/a");
	rig_write(fs, inode, 0, 2 * MIB, 'a');
	CHECK_EQUAL(truncate(unit_path("image"), 1536 + 65536), 0);
	CHECK_EQUAL(cowdax_read(fs, inode, byte, sizeof(byte), MIB, &error), -EIO);
	cowdax_close(fs);
}
