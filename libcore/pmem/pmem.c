// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pmem/pmem.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "pmem/fault.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14; older headers lack it */
#endif

#define PAGE_SHIFT 12
#define PAGE_SIZE ((uint64_t)1 << PAGE_SHIFT)

/* The one place where an image's bytes are writable. */
static unsigned char *writable(const struct cdx_pmem *pm, uint64_t offset)
{
	return (unsigned char *)(uintptr_t)pm->base + offset;
}

/* ---- persistent memory, by libpmem ------------------------------------- */

struct libpmem {
	void *(*memcpy)(void *, const void *, size_t, unsigned);
	void *(*memset)(void *, int, size_t, unsigned);
	void (*drain)(void);
};

#define STREAM (PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN)

static void libpmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	const struct libpmem *lib = pm->state;

	lib->memcpy(writable(pm, offset), bytes, length, STREAM);
}

static void libpmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	const struct libpmem *lib = pm->state;

	lib->memset(writable(pm, offset), 0, length, STREAM);
}

static int libpmem_fence(struct cdx_pmem *pm)
{
	const struct libpmem *lib = pm->state;

	lib->drain();
	return 0;
}

static void free_state(struct cdx_pmem *pm)
{
	free(pm->state);
}

static const struct cdx_pmem_ops libpmem_ops = {
	.copy = libpmem_copy,
	.zero = libpmem_zero,
	.fence = libpmem_fence,
	.release = free_state,
};

/* The library stays loaded once it is: unloading it would cost each handle its start-up again. */
static int libpmem_load(struct cdx_pmem *pm, struct cowdax_error *error)
{
	void *handle = dlopen("libpmem.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	struct libpmem *lib;

	if (!handle)
		return cdx_error(error, -ELIBACC, "persistent memory needs libpmem: %s", dlerror());
	lib = calloc(1, sizeof(*lib));
	if (!lib)
		return -ENOMEM;
	lib->memcpy = (void *(*)(void *, const void *, size_t, unsigned))dlsym(handle, "pmem_memcpy");
	lib->memset = (void *(*)(void *, int, size_t, unsigned))dlsym(handle, "pmem_memset");
	lib->drain = (void (*)(void))dlsym(handle, "pmem_drain");
	dlclose(handle);
	if (!lib->memcpy || !lib->memset || !lib->drain) {
		free(lib);
		return cdx_error(error, -ELIBACC, "persistent memory needs libpmem 1.5 or later");
	}
	pm->ops = &libpmem_ops;
	pm->state = lib;
	return 0;
}

/* ---- page cache, by msync ----------------------------------------------- */

#define MAX_RANGES 16

/* Pages stored to since the last fence, as ranges of bytes in the mapping. */
struct page_cache {
	struct { uint64_t start, end; } range[MAX_RANGES];
	int ranges;
	int failed;	/* a failed msync is final: the kernel forgets which pages were dirty */
};

static void page_cache_note(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	struct page_cache *cache = pm->state;
	uint64_t start = offset, end = offset + length;
	int last = cache->ranges - 1;

	for (int i = last; i >= 0; i--) {
		if (start > cache->range[i].end + PAGE_SIZE || end + PAGE_SIZE < cache->range[i].start)
			continue;
		last = i;
		goto out_extend;
	}
	if (cache->ranges < MAX_RANGES) {
		cache->range[cache->ranges].start = start;
		cache->range[cache->ranges].end = end;
		cache->ranges++;
		return;
	}
out_extend:
	if (start < cache->range[last].start)
		cache->range[last].start = start;
	if (end > cache->range[last].end)
		cache->range[last].end = end;
}

static void page_cache_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	memcpy(writable(pm, offset), bytes, length);
	page_cache_note(pm, offset, length);
}

static void page_cache_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	memset(writable(pm, offset), 0, length);
	page_cache_note(pm, offset, length);
}

static int page_cache_fence(struct cdx_pmem *pm)
{
	struct page_cache *cache = pm->state;

	for (int i = 0; i < cache->ranges && !cache->failed; i++) {
		uintptr_t start = (uintptr_t)(pm->base + cache->range[i].start) & ~(PAGE_SIZE - 1);
		uintptr_t end = (uintptr_t)(pm->base + cache->range[i].end);

		if (msync((void *)start, end - start, MS_SYNC))
			cache->failed = -EIO;
	}
	cache->ranges = 0;
	return cache->failed;
}

static const struct cdx_pmem_ops page_cache_ops = {
	.copy = page_cache_copy,
	.zero = page_cache_zero,
	.fence = page_cache_fence,
	.release = free_state,
};

/* ---- mapping -------------------------------------------------------------- */

static bool forced(void)
{
	const char *value = secure_getenv("PMEM_IS_PMEM_FORCE");

	return value && strcmp(value, "1") == 0;
}

static int choose_backend(struct cdx_pmem *pm, struct cowdax_error *error)
{
	if (!pm->writable)
		return 0;
	if (pm->kind != COWDAX_MAPPING_PAGE_CACHE)
		return libpmem_load(pm, error);
	pm->state = calloc(1, sizeof(struct page_cache));
	if (!pm->state)
		return -ENOMEM;
	pm->ops = &page_cache_ops;
	return 0;
}

/* A bit a page, only touched where it is used: address space, not memory. */
static void track_population(struct cdx_pmem *pm)
{
	size_t length = ((pm->length >> PAGE_SHIFT) / 64 + 1) * sizeof(uint64_t);
	void *bits = mmap(NULL, length, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (bits == MAP_FAILED)
		return;		/* every store prepares its pages, which is slower but right */
	pm->populated = bits;
	pm->populated_length = length;
}

int cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
		 unsigned int flags, struct cowdax_error *error)
{
	uint64_t skew = offset % (uint64_t)sysconf(_SC_PAGESIZE);
	int protection = PROT_READ;
	void *map;
	int ret;

	memset(pm, 0, sizeof(*pm));
	pm->discard = flags & CDX_PMEM_DISCARD;
	pm->writable = (flags & CDX_PMEM_WRITABLE) && !pm->discard;
	if (pm->writable)
		protection |= PROT_WRITE;
	pm->length = length;
	pm->map_length = length + skew;
	pm->kind = device_dax ? COWDAX_MAPPING_DEVDAX : COWDAX_MAPPING_SYNC;
	map = mmap(NULL, pm->map_length, protection,
		   device_dax ? MAP_SHARED : MAP_SHARED_VALIDATE | MAP_SYNC, fd, (off_t)(offset - skew));
	if (map == MAP_FAILED && !device_dax) {
		pm->kind = forced() ? COWDAX_MAPPING_FORCED : COWDAX_MAPPING_PAGE_CACHE;
		map = mmap(NULL, pm->map_length, protection, MAP_SHARED, fd, (off_t)(offset - skew));
	}
	if (map == MAP_FAILED)
		return -errno;
	pm->map = map;
	pm->base = (unsigned char *)map + skew;
	madvise(map, pm->map_length, MADV_DONTFORK);

	ret = choose_backend(pm, error);
	if (ret) {
		munmap(map, pm->map_length);
		memset(pm, 0, sizeof(*pm));
		return ret;
	}
	pm->fd = -1;
	if (pm->writable && !device_dax) {
		pm->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		pm->fd_offset = offset;
		track_population(pm);
	}
	return 0;
}

void cdx_pmem_wrap(struct cdx_pmem *pm, void *bytes, uint64_t length, const struct cdx_pmem_ops *ops,
		   void *state)
{
	*pm = (struct cdx_pmem){
		.ops = ops,
		.base = bytes,
		.length = length,
		.kind = COWDAX_MAPPING_FORCED,
		.writable = true,
		.fd = -1,
		.state = state,
	};
}

void cdx_pmem_disown(struct cdx_pmem *pm)
{
	pm->map = NULL;
}

void cdx_pmem_unmap(struct cdx_pmem *pm)
{
	if (pm->ops && pm->ops->release)
		pm->ops->release(pm);
	if (pm->populated)
		munmap(pm->populated, pm->populated_length);
	if (pm->map)
		munmap(pm->map, pm->map_length);
	if (pm->fd > 0)
		close(pm->fd);
	memset(pm, 0, sizeof(*pm));
}

/* ---- use ------------------------------------------------------------------- */

static int populate_pages(uintptr_t start, uintptr_t end)
{
	if (madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0)
		return 0;
	switch (errno) {
	case EFAULT:		/* what a store would have met as SIGBUS */
		return -ENOSPC;
	case EINVAL:		/* a kernel before 5.14 */
		return 0;
	default:
		return -errno;
	}
}

static int populate(struct cdx_pmem *pm, uint64_t offset, uint64_t length)
{
	uintptr_t start = (uintptr_t)(pm->base + offset) & ~(PAGE_SIZE - 1);
	uintptr_t end = ((uintptr_t)(pm->base + offset + length) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	int ret = populate_pages(start, end);

	/* A bad page among them stops the kernel; a store over it is what heals it. */
	for (; ret == -EHWPOISON && start < end; start += PAGE_SIZE) {
		int page = populate_pages(start, start + PAGE_SIZE);

		if (page && page != -EHWPOISON)
			return page;
	}
	return ret == -EHWPOISON ? 0 : ret;
}

int cdx_pmem_prepare(struct cdx_pmem *pm, uint64_t offset, uint64_t length)
{
	uint64_t first = offset >> PAGE_SHIFT;
	uint64_t end = (offset + length + PAGE_SIZE - 1) >> PAGE_SHIFT;
	int ret;

	if (!pm->writable || !pm->map || pm->kind == COWDAX_MAPPING_DEVDAX || length == 0)
		return 0;
	if (!pm->populated)
		return populate(pm, offset, length);

	while (first < end) {
		uint64_t stop;

		if (pm->populated[first / 64] == UINT64_MAX) {
			first = (first / 64 + 1) * 64;
			continue;
		}
		if (pm->populated[first / 64] >> (first % 64) & 1) {
			first++;
			continue;
		}
		for (stop = first; stop < end && !(pm->populated[stop / 64] >> (stop % 64) & 1); stop++)
			;
		ret = populate(pm, first << PAGE_SHIFT, (stop - first) << PAGE_SHIFT);
		if (ret)
			return ret;
		for (; first < stop; first++)
			pm->populated[first / 64] |= UINT64_C(1) << (first % 64);
	}
	return 0;
}

/* ---- bad media ---- */

/*
 * Write through the file what could not be stored.  Only to what the file has:
 * one that was truncated must not grow again around what it has lost.
 */
static int write_through(const struct cdx_pmem *pm, uint64_t offset, const unsigned char *bytes, uint64_t length)
{
	struct stat st;

	offset += pm->fd_offset;
	if (pm->fd < 0 || fstat(pm->fd, &st) ||
	    (S_ISREG(st.st_mode) && (uint64_t)st.st_size < offset + length))
		return -EIO;
	while (length) {
		static const unsigned char zeros[PAGE_SIZE];
		size_t part = !bytes && length > PAGE_SIZE ? PAGE_SIZE : length;
		ssize_t done = pwrite(pm->fd, bytes ? bytes : zeros, part, (off_t)offset);

		if (done <= 0)
			return -EIO;
		offset += (uint64_t)done;
		length -= (uint64_t)done;
		bytes = bytes ? bytes + done : NULL;
	}
	return fdatasync(pm->fd) ? -EIO : 0;
}

/* ---- accesses ---- */

/* An access to the mapping, put off so that a fault in it can be caught. */
struct access {
	struct cdx_pmem *pm;
	uint64_t offset;
	const void *from;
	void *to;
	size_t length;
};

static void do_copy(void *arg)
{
	const struct access *access = arg;

	access->pm->ops->copy(access->pm, access->offset, access->from, access->length);
}

static void do_zero(void *arg)
{
	const struct access *access = arg;

	access->pm->ops->zero(access->pm, access->offset, access->length);
}

static void do_read(void *arg)
{
	const struct access *access = arg;

	memcpy(access->to, access->from, access->length);
}

static void store(struct access *access, cdx_access_fn *how)
{
	struct cdx_pmem *pm = access->pm;

	if (pm->discard || access->length == 0)
		return;
	if (cdx_guard(pm->base + access->offset, access->length, how, access) &&
	    write_through(pm, access->offset, access->from, access->length))
		pm->fault = -EIO;
}

void cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	struct access access = {.pm = pm, .offset = offset, .from = bytes, .length = length};

	store(&access, do_copy);
}

void cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	struct access access = {.pm = pm, .offset = offset, .length = length};

	store(&access, do_zero);
}

/* Copying inside the mapping may fault at either end; what matters is which. */
static void do_move(void *arg)
{
	struct access *access = arg;

	store(access, do_copy);
}

int cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length)
{
	struct access access = {.pm = pm, .offset = to, .from = pm->base + from, .length = length};

	if (from > pm->length || length > pm->length - from)
		return -EUCLEAN;
	if (pm->discard || length == 0)
		return 0;
	return cdx_guard(access.from, length, do_move, &access);
}

int cdx_pmem_take_fault(struct cdx_pmem *pm)
{
	int fault = pm->fault;

	pm->fault = 0;
	return fault;
}

int cdx_pmem_fence(struct cdx_pmem *pm)
{
	int fault, ret;

	if (pm->discard)
		return 0;
	ret = pm->ops->fence(pm);
	fault = cdx_pmem_take_fault(pm);
	return ret ? ret : fault;
}

int cdx_pmem_fetch(void *bytes, const void *from, size_t length)
{
	struct access access = {.from = from, .to = bytes, .length = length};

	return cdx_guard(from, length, do_read, &access);
}

int cdx_pmem_probe(const struct cdx_pmem *pm, uint64_t offset, uint64_t length, uint64_t *bad)
{
	unsigned char page[PAGE_SIZE];

	while (length) {
		uint64_t part = PAGE_SIZE - (offset & (PAGE_SIZE - 1));
		int ret;

		if (part > length)
			part = length;
		ret = cdx_pmem_read(pm, offset, page, part);
		if (ret) {
			*bad = offset;
			return ret;
		}
		offset += part;
		length -= part;
	}
	return 0;
}

int cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length)
{
	if (offset > pm->length || length > pm->length - offset)
		return -EUCLEAN;
	return cdx_pmem_fetch(bytes, pm->base + offset, length);
}
