// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The persistence funnel.  The page-cache backend's system calls are watched
 * (linked with --wrap=msync, --wrap=madvise), and what libpmem is asked for
 * (--wrap=dlsym).
 */
#include "pmem/pmem.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder.h"
#include "rig.h"

#define PAGE 4096
#define ADVICE 23		/* MADV_POPULATE_WRITE, which older headers lack */

/* ---- watching ------------------------------------------------------------------- */

#define MAX_CALLS 256

static struct { uintptr_t start, end; } synced[MAX_CALLS];
static int sync_calls, sync_error, sync_interrupts, advise_calls, advise_error, advise_interrupts;

int __real_msync(void *start, size_t length, int flags);
int __wrap_msync(void *start, size_t length, int flags);
int __wrap_msync(void *start, size_t length, int flags)
{
	if (sync_interrupts) {
		sync_interrupts--;
		errno = EINTR;
		return -1;
	}
	CHECK(sync_calls < MAX_CALLS);
	CHECK_EQUAL((uintptr_t)start % PAGE, 0);
	CHECK(flags & MS_SYNC);
	synced[sync_calls].start = (uintptr_t)start;
	synced[sync_calls++].end = (uintptr_t)start + length;
	if (sync_error) {
		errno = sync_error;
		return -1;
	}
	return __real_msync(start, length, flags);
}

int __real_madvise(void *start, size_t length, int advice);
int __wrap_madvise(void *start, size_t length, int advice);
int __wrap_madvise(void *start, size_t length, int advice)
{
	advise_calls++;
	if (advice == ADVICE && (advise_error || advise_interrupts)) {
		errno = advise_interrupts ? EINTR : advise_error;
		advise_interrupts -= advise_interrupts > 0;
		return -1;
	}
	return __real_madvise(start, length, advice);
}

static unsigned long host_type;

int __real_fstatfs(int fd, struct statfs *host);
int __wrap_fstatfs(int fd, struct statfs *host);
int __wrap_fstatfs(int fd, struct statfs *host)
{
	int ret = __real_fstatfs(fd, host);

	if (host_type)
		host->f_type = (__typeof__(host->f_type))host_type;
	return ret;
}

static int drains;

static void count_drain(void)
{
	drains++;
}

void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
	return strcmp(name, "pmem_drain") == 0 ? (void *)(uintptr_t)count_drain : __real_dlsym(handle, name);
}

static bool was_synced(const struct cdx_pmem *pm, uint64_t from, uint64_t to)
{
	uintptr_t start = (uintptr_t)pm->base + from, end = (uintptr_t)pm->base + to;

	for (int i = 0; i < sync_calls; i++) {
		if (synced[i].start <= start && end <= synced[i].end)
			return true;
	}
	return false;
}

/* ---- a file ---------------------------------------------------------------------- */

static int make_file(const char *name, uint64_t size)
{
	int fd = open(unit_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_EQUAL(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void map_file(struct cdx_pmem *pm, uint64_t size, unsigned int flags)
{
	int fd = make_file("file", size);

	CHECK_EQUAL(cdx_pmem_map(pm, fd, 0, size, false, flags, NULL), 0);
	close(fd);
}

static void expect_in_file(const char *name, uint64_t offset, const char *text)
{
	char have[64] = "";
	int fd = open(unit_path(name), O_RDONLY | O_CLOEXEC);

	CHECK(pread(fd, have, strlen(text), (off_t)offset) == (ssize_t)strlen(text));
	CHECK(memcmp(have, text, strlen(text)) == 0);
	close(fd);
}

/* ---- page cache -------------------------------------------------------------------- */

TEST("page cache: a fence syncs the pages of every store before it, and nothing else")
{
	struct cdx_pmem pm;

	map_file(&pm, 16 * MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(pm.kind, COWDAX_MAPPING_PAGE_CACHE);
	cdx_pmem_copy(&pm, 100, "first", 5);
	cdx_pmem_copy(&pm, 5 * MIB + PAGE - 2, "over two pages", 14);
	cdx_pmem_zero(&pm, 9 * MIB, 3 * PAGE);
	CHECK_EQUAL(sync_calls, 0);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK(was_synced(&pm, 100, 105));
	CHECK(was_synced(&pm, 5 * MIB + PAGE - 2, 5 * MIB + PAGE + 12));
	CHECK(was_synced(&pm, 9 * MIB, 9 * MIB + 3 * PAGE));
	CHECK_EQUAL(sync_calls, 3);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK_EQUAL(sync_calls, 3);
	expect_in_file("file", 100, "first");
	cdx_pmem_unmap(&pm);
}

TEST("page cache: however many places were stored to, all are synced, in a few calls")
{
	uint64_t seed = 7, at[300];
	struct cdx_pmem pm;

	map_file(&pm, 64 * MIB, CDX_PMEM_WRITABLE);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 300; i++) {
			at[i] = unit_below(&seed, 64 * MIB - 200);
			cdx_pmem_copy(&pm, at[i], "0123456789", 10);
		}
		sync_calls = 0;
		CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
		for (int i = 0; i < 300; i++)
			CHECK(was_synced(&pm, at[i], at[i] + 10));
		CHECK(sync_calls <= 16);
	}
	cdx_pmem_unmap(&pm);
}

TEST("page cache: neighbouring stores are synced together")
{
	struct cdx_pmem pm;

	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	for (uint64_t page = 20; page > 0; page--)
		cdx_pmem_copy(&pm, page * PAGE, "x", 1);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK_EQUAL(sync_calls, 1);
	CHECK(was_synced(&pm, PAGE, 20 * PAGE + 1));
	cdx_pmem_unmap(&pm);
}

TEST("R3: a msync that failed is never tried again: from then on every fence fails")
{
	struct cdx_pmem pm;

	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	cdx_pmem_copy(&pm, 0, "lost", 4);
	sync_error = EIO;
	CHECK_EQUAL(cdx_pmem_fence(&pm), -EIO);
	CHECK_EQUAL(sync_calls, 1);
	sync_error = 0;
	CHECK_EQUAL(cdx_pmem_fence(&pm), -EIO);
	cdx_pmem_copy(&pm, 0, "more", 4);
	CHECK_EQUAL(cdx_pmem_fence(&pm), -EIO);
	CHECK_EQUAL(sync_calls, 1);
	cdx_pmem_unmap(&pm);
}

TEST("a signal that ends the wait of msync or madvise is nobody's error: it is gone on with")
{
	struct cdx_pmem pm;

	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	advise_interrupts = 3;
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, PAGE), 0);
	CHECK_EQUAL(advise_interrupts, 0);
	cdx_pmem_copy(&pm, 0, "kept", 4);
	sync_interrupts = 3;
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK_EQUAL(sync_interrupts, 0);
	CHECK(was_synced(&pm, 0, 4));
	cdx_pmem_unmap(&pm);
}

/* ---- persistent memory --------------------------------------------------------------- */

TEST("PMEM_IS_PMEM_FORCE=1 takes libpmem's way: a fence drains once, and without msync")
{
	struct cdx_pmem pm;

	CHECK_EQUAL(setenv("PMEM_IS_PMEM_FORCE", "1", 1), 0);
	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	if (pm.kind == COWDAX_MAPPING_SYNC)
		unit_note("the folder is on a DAX filesystem");
	else
		CHECK_EQUAL(pm.kind, COWDAX_MAPPING_FORCED);
	cdx_pmem_copy(&pm, 10, "streamed", 8);
	cdx_pmem_zero(&pm, 14, 2);
	CHECK_EQUAL(drains, 0);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK_EQUAL(drains, 1);
	CHECK_EQUAL(sync_calls, 0);
	expect_in_file("file", 10, "stre");
	expect_in_file("file", 16, "ed");
	cdx_pmem_unmap(&pm);
}

TEST("R22: the fence after a store that met a fault fails; the one after that does not")
{
	struct cdx_pmem pm;

	CHECK_EQUAL(cowdax_catch_faults(), 0);
	CHECK_EQUAL(setenv("PMEM_IS_PMEM_FORCE", "1", 1), 0);
	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(truncate(unit_path("file"), PAGE), 0);
	cdx_pmem_copy(&pm, 2 * PAGE, "lost", 4);
	CHECK_EQUAL(cdx_pmem_fence(&pm), -EIO);
	cdx_pmem_copy(&pm, 0, "kept", 4);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	cdx_pmem_unmap(&pm);
}

/* ---- the mapping ------------------------------------------------------------------------ */

TEST("a filesystem that starts in the middle of a page has its byte 0 there")
{
	struct cdx_pmem pm;
	int fd = make_file("file", MIB);

	CHECK_EQUAL(cdx_pmem_map(&pm, fd, 3 * 512, MIB - 3 * 512, false, CDX_PMEM_WRITABLE, NULL), 0);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, 10), 0);
	cdx_pmem_copy(&pm, 0, "here", 4);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	expect_in_file("file", 1536, "here");
	cdx_pmem_unmap(&pm);
	close(fd);
}

TEST("stores of a dry run go nowhere, and its fences succeed")
{
	struct cdx_pmem pm;
	char bytes[4];

	map_file(&pm, MIB, CDX_PMEM_WRITABLE | CDX_PMEM_DISCARD);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, PAGE), 0);
	cdx_pmem_copy(&pm, 0, "text", 4);
	cdx_pmem_zero(&pm, 0, PAGE);
	CHECK_EQUAL(cdx_pmem_move(&pm, 0, PAGE, 8), 0);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK_EQUAL(sync_calls, 0);
	CHECK_EQUAL(cdx_pmem_read(&pm, 0, bytes, 4), 0);
	CHECK(memcmp(bytes, "\0\0\0\0", 4) == 0);
	cdx_pmem_unmap(&pm);
}

TEST("what lies outside of the mapping is damage, not a crash")
{
	struct cdx_pmem pm;
	char bytes[16];

	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(cdx_pmem_read(&pm, MIB - 16, bytes, 16), 0);
	CHECK_EQUAL(cdx_pmem_read(&pm, MIB - 15, bytes, 16), -EUCLEAN);
	CHECK_EQUAL(cdx_pmem_read(&pm, MIB + 1, bytes, 0), -EUCLEAN);
	CHECK_EQUAL(cdx_pmem_read(&pm, UINT64_MAX - 7, bytes, 16), -EUCLEAN);
	CHECK_EQUAL(cdx_pmem_move(&pm, 0, MIB - 15, 16), -EUCLEAN);
	CHECK_EQUAL(cdx_pmem_move(&pm, 0, UINT64_MAX - 7, 16), -EUCLEAN);
	cdx_pmem_unmap(&pm);
}

TEST("R10: a forked child does not inherit the mapping")
{
	unsigned char resident[1];
	struct cdx_pmem pm;
	pid_t child;
	int status;

	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(mincore(pm.map, PAGE, resident), 0);
	child = fork();
	if (child == 0)
		_exit(mincore(pm.map, PAGE, resident) == -1 && errno == ENOMEM ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	cdx_pmem_unmap(&pm);
}

/* ---- preparing ----------------------------------------------------------------------------- */

TEST("R22: preparing a hole gives it backing store, just there")
{
	struct cdx_pmem pm;
	struct stat st;

	map_file(&pm, 16 * MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 3 * PAGE + 5, 2 * PAGE), 0);
	CHECK_EQUAL(stat(unit_path("file"), &st), 0);
	CHECK(st.st_blocks * 512 >= 3 * PAGE);
	CHECK(st.st_blocks * 512 <= 32 * PAGE);
	cdx_pmem_unmap(&pm);
}

TEST("preparing what is known to be backed costs no system call")
{
	struct cdx_pmem pm;

	map_file(&pm, 16 * MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 100 * PAGE, 200 * PAGE), 0);
	advise_calls = 0;
	for (uint64_t page = 100; page < 300; page++)
		CHECK_EQUAL(cdx_pmem_prepare(&pm, page * PAGE + 1, PAGE - 1), 0);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 100 * PAGE, 200 * PAGE), 0);
	CHECK_EQUAL(advise_calls, 0);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 99 * PAGE, 202 * PAGE), 0);
	CHECK_EQUAL(advise_calls, 2);
	cdx_pmem_unmap(&pm);
}

TEST("R22: preparing what the file has lost is EIO, not a want of space, where a store would be SIGBUS")
{
	struct cdx_pmem pm;

	map_file(&pm, MIB, CDX_PMEM_WRITABLE);
	CHECK_EQUAL(truncate(unit_path("file"), MIB / 2), 0);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, MIB / 2), 0);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, MIB / 2, PAGE), -EIO);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, MIB), -EIO);
	cdx_pmem_unmap(&pm);
}

TEST("R22: on a host that copies on write, what has been written back needs room again; elsewhere not")
{
	const unsigned long types[] = {BTRFS_SUPER_MAGIC, 0x58465342 /* XFS */, TMPFS_MAGIC, EXT4_SUPER_MAGIC};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		bool moves = i < 2;
		struct cdx_pmem pm;

		host_type = types[i];
		map_file(&pm, MIB, CDX_PMEM_WRITABLE);
		CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, 20 * PAGE), 0);
		cdx_pmem_copy(&pm, 3 * PAGE + 5, "x", 1);
		cdx_pmem_copy(&pm, 10 * PAGE - 1, "xx", 2);
		CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
		/* As if there were none. */
		advise_error = EFAULT;
		CHECK_EQUAL(cdx_pmem_prepare(&pm, 3 * PAGE, 1), moves ? -ENOSPC : 0);
		CHECK_EQUAL(cdx_pmem_prepare(&pm, 10 * PAGE, 1), moves ? -ENOSPC : 0);
		CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, 3 * PAGE), 0);
		CHECK_EQUAL(cdx_pmem_prepare(&pm, 11 * PAGE, 9 * PAGE), 0);
		advise_error = 0;
		CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, 20 * PAGE), 0);
		cdx_pmem_unmap(&pm);
	}
}

TEST("R22: a sparse file on a full filesystem is ENOSPC, and what was prepared before stays usable")
{
	uint64_t page = 0;
	struct cdx_pmem pm;
	int ret = 0;

	rig_small_host(MIB);
	map_file(&pm, 4 * MIB, CDX_PMEM_WRITABLE);
	while (!ret && page < 1024) {
		ret = cdx_pmem_prepare(&pm, page * PAGE, PAGE);
		page += !ret;
	}
	CHECK_EQUAL(ret, -ENOSPC);
	CHECK(page > 128 && page <= 256);
	for (uint64_t i = 0; i < page; i++)
		cdx_pmem_copy(&pm, i * PAGE, "still here", 10);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	cdx_pmem_unmap(&pm);
}

TEST("R22: with a kernel that has no MADV_POPULATE_WRITE the file is asked for room instead")
{
	struct cdx_pmem pm;
	struct stat st;
	uint64_t page;

	rig_small_host(MIB);
	map_file(&pm, 4 * MIB, CDX_PMEM_WRITABLE);
	advise_error = EINVAL;
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 3 * PAGE + 5, 2 * PAGE), 0);
	CHECK_EQUAL(stat(unit_path("file"), &st), 0);
	CHECK_EQUAL(st.st_blocks * 512, 3 * PAGE);
	CHECK_EQUAL(st.st_size, 4 * MIB);
	for (page = 0; page < 1024 && !cdx_pmem_prepare(&pm, page * PAGE, PAGE); page++)
		cdx_pmem_copy(&pm, page * PAGE, "x", 1);
	CHECK(page > 128 && page <= 256);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, page * PAGE, PAGE), -ENOSPC);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	cdx_pmem_unmap(&pm);
}

/* ---- a backend of the caller's --------------------------------------------------------------- */

TEST("a test's backend sees every store and fence, in order")
{
	static unsigned char memory[2 * PAGE];
	struct recorder recorder = {0};
	struct cdx_pmem pm;

	cdx_pmem_wrap(&pm, memory, sizeof(memory), NULL, NULL);
	recorder_attach(&recorder, &pm);
	CHECK_EQUAL(cdx_pmem_prepare(&pm, 0, PAGE), 0);
	cdx_pmem_copy(&pm, 8, "one", 3);
	CHECK_EQUAL(cdx_pmem_fence(&pm), 0);
	CHECK_EQUAL(cdx_pmem_move(&pm, 100, 8, 3), 0);
	cdx_pmem_zero(&pm, 8, 1);
	cdx_pmem_copy(&pm, 8, "", 0);
	CHECK_EQUAL(recorder.count, 3);
	CHECK_EQUAL(recorder.stores[0].offset, 8);
	CHECK_EQUAL(recorder.stores[0].fence, 0);
	CHECK_EQUAL(recorder.stores[1].offset, 100);
	CHECK_EQUAL(recorder.stores[1].fence, NEVER);
	CHECK(memcmp(memory + 100, "one", 3) == 0);
	CHECK(memory[8] == 0);
	cdx_pmem_unmap(&pm);
	recorder_free(&recorder);
}
