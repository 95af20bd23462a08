// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The funnel of every store to an image: mapping it, and the backends that make
 * stores durable, libpmem and the page cache.  Stores find backing store, or an
 * error, before they are made (R22); a failed fence is never tried again (R3).
 */
#include "pmem/pmem.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libpmem.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "pmem/fault.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14; older headers lack it */
#endif

#define ZEROS_LENGTH 4096	/* written through at a time */
#define PROBE_LENGTH 4096	/* bad media is told so exactly: the smallest page there is */

/* The one place where an image's bytes are writable. */
static unsigned char *writable(const struct cdx_pmem *pm, uint64_t offset)
{
	return (unsigned char *)(uintptr_t)pm->base + offset;
}

static uint64_t page_size(const struct cdx_pmem *pm)
{
	return UINT64_C(1) << pm->page_shift;
}

/* The address of the page that holds byte @offset: what the kernel takes. */
static uintptr_t page_of(const struct cdx_pmem *pm, uint64_t offset)
{
	return (uintptr_t)(pm->base + offset) & ~((uintptr_t)page_size(pm) - 1);
}

/* Bytes of the first page before the filesystem's first. */
static uint64_t skew_of(const struct cdx_pmem *pm)
{
	return (uint64_t)(pm->base - (const unsigned char *)pm->map);
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
	bool moves;	/* what is written back may go elsewhere: the next store needs room again */
	struct { uint64_t start, end; } range[MAX_RANGES];
	int ranges;
	int failed;	/* a failed msync is final: the kernel forgets which pages were dirty */
};

static void page_cache_note(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	struct page_cache *cache = pm->state;
	uint64_t start = offset, end = offset + length, page = page_size(pm);
	int last = cache->ranges - 1;

	for (int i = last; i >= 0; i--) {
		if (start > cache->range[i].end + page || end + page < cache->range[i].start)
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

/* Its pages are as if never populated. */
static void forget_populated(struct cdx_pmem *pm, uint64_t start, uint64_t end)
{
	uint64_t page = (start + skew_of(pm)) >> pm->page_shift;

	end = ((end + skew_of(pm) - 1) >> pm->page_shift) + 1;
	for (; pm->populated && page < end; page++)
		pm->populated[page / 64] &= ~(UINT64_C(1) << (page % 64));
}

static int page_cache_fence(struct cdx_pmem *pm)
{
	struct page_cache *cache = pm->state;

	for (int i = 0; i < cache->ranges && !cache->failed; i++) {
		uintptr_t start = page_of(pm, cache->range[i].start);
		uintptr_t end = (uintptr_t)(pm->base + cache->range[i].end);

		/* A wait that a signal ended is gone on with; a failure is not tried again. */
		while (!cache->failed && msync((void *)start, end - start, MS_SYNC))
			cache->failed = errno == EINTR ? 0 : -EIO;
		if (cache->moves)
			forget_populated(pm, cache->range[i].start, cache->range[i].end);
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

/*
 * Whether the file's filesystem may put elsewhere what it writes back, as those do
 * that copy on write, XFS with shared extents among them (they may come to be shared at
 * any time).  Then room that a page once had is good until the next writeback only.
 */
static bool may_move(int fd)
{
	struct statfs host;

	if (fstatfs(fd, &host))
		return true;
	switch ((unsigned long)host.f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case EXT4_SUPER_MAGIC:
		return false;
	default:
		return true;
	}
}

static int choose_backend(struct cdx_pmem *pm, int fd, struct cowdax_error *error)
{
	struct page_cache *cache;

	if (!pm->writable)
		return 0;
	if (pm->kind != COWDAX_MAPPING_PAGE_CACHE)
		return libpmem_load(pm, error);
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	cache->moves = may_move(fd);
	pm->state = cache;
	pm->ops = &page_cache_ops;
	return 0;
}

/* A bit a page, only touched where it is used: address space, not memory. */
static void track_population(struct cdx_pmem *pm)
{
	size_t length = ((pm->map_length >> pm->page_shift) / 64 + 1) * sizeof(uint64_t);
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
	int protection = PROT_READ;
	uint64_t skew;
	void *map;
	int ret;

	memset(pm, 0, sizeof(*pm));
	pm->page_shift = (unsigned int)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
	skew = offset % page_size(pm);
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

	ret = choose_backend(pm, fd, error);
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

/* Whether the file has got too short for the first @length bytes of the filesystem. */
static bool has_shrunk(const struct cdx_pmem *pm, uint64_t length)
{
	struct stat st;

	return pm->fd >= 0 && fstat(pm->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size < pm->fd_offset + length;
}

/* Bytes of the file that pages [first, end) of the mapping stand for, inside of the filesystem. */
static void file_range(const struct cdx_pmem *pm, uint64_t first, uint64_t end, uint64_t *start, uint64_t *stop)
{
	*start = (first << pm->page_shift) + pm->fd_offset - skew_of(pm);
	*stop = (end << pm->page_shift) + pm->fd_offset - skew_of(pm);
	if (*stop > pm->fd_offset + pm->length)
		*stop = pm->fd_offset + pm->length;
}

/* A store would be SIGBUS there: the file has no such bytes any more, or its filesystem no room. */
static int why_not_populated(const struct cdx_pmem *pm, uint64_t first, uint64_t end)
{
	uint64_t start, stop;

	file_range(pm, first, end, &start, &stop);
	return has_shrunk(pm, stop - pm->fd_offset) ? -EIO : -ENOSPC;
}

/* What kernels before 5.14 have instead; where a host has neither, a store may still be SIGBUS. */
static int allocate(const struct cdx_pmem *pm, uint64_t first, uint64_t end)
{
	uint64_t start, stop;
	int ret;

	file_range(pm, first, end, &start, &stop);
	do {
		ret = fallocate(pm->fd, FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)(stop - start)) ? -errno : 0;
	} while (ret == -EINTR);
	return ret == -ENOSPC || ret == -EDQUOT ? -ENOSPC : 0;
}

static int populate_pages(const struct cdx_pmem *pm, uint64_t first, uint64_t end)
{
	char *start = (char *)pm->map + (first << pm->page_shift);
	int ret;

	do {
		ret = madvise(start, (end - first) << pm->page_shift, MADV_POPULATE_WRITE) ? -errno : 0;
	} while (ret == -EINTR);
	switch (ret) {
	case -EFAULT:
		return why_not_populated(pm, first, end);
	case -EINVAL:
		return allocate(pm, first, end);
	default:
		return ret;
	}
}

/* Pages [first, end) of the mapping. */
static int populate(struct cdx_pmem *pm, uint64_t first, uint64_t end)
{
	int ret = populate_pages(pm, first, end);

	/* A bad page among them stops the kernel; a store over it is what heals it. */
	for (; ret == -EHWPOISON && first < end; first++) {
		int page = populate_pages(pm, first, first + 1);

		if (page && page != -EHWPOISON)
			return page;
	}
	return ret == -EHWPOISON ? 0 : ret;
}

static bool is_populated(const struct cdx_pmem *pm, uint64_t page)
{
	return pm->populated[page / 64] >> (page % 64) & 1;
}

/* Pages [first, end) of the mapping, those of them that are not known to be. */
static int populate_rest(struct cdx_pmem *pm, uint64_t first, uint64_t end)
{
	while (first < end) {
		uint64_t stop;
		int ret;

		if (pm->populated[first / 64] == UINT64_MAX) {
			first = (first / 64 + 1) * 64;
			continue;
		}
		if (is_populated(pm, first)) {
			first++;
			continue;
		}
		for (stop = first; stop < end && !is_populated(pm, stop); stop++)
			;
		ret = populate(pm, first, stop);
		pm->host_full = ret == -ENOSPC;
		pm->host_was_full |= pm->host_full;
		if (ret)
			return ret;
		for (; first < stop; first++)
			pm->populated[first / 64] |= UINT64_C(1) << (first % 64);
	}
	return 0;
}

int cdx_pmem_prepare(struct cdx_pmem *pm, uint64_t offset, uint64_t length)
{
	uint64_t first, end;

	/* Pages of the mapping, whose first the filesystem may start in the middle of. */
	offset += skew_of(pm);
	first = offset >> pm->page_shift;
	/* Most stores are within one page, and to where there have been others. */
	if (pm->populated && length && first == (offset + length - 1) >> pm->page_shift && is_populated(pm, first))
		return 0;
	if (!pm->writable || !pm->map || pm->kind == COWDAX_MAPPING_DEVDAX || length == 0)
		return 0;
	end = (offset + length + page_size(pm) - 1) >> pm->page_shift;
	return pm->populated ? populate_rest(pm, first, end) : populate(pm, first, end);
}

/* ---- giving back ---- */

void cdx_pmem_forget_backing(struct cdx_pmem *pm)
{
	if (pm->populated)
		madvise(pm->populated, pm->populated_length, MADV_DONTNEED);
}

static int punch(const struct cdx_pmem *pm, uint64_t start, uint64_t length)
{
	uint64_t range[2] = {start, length};
	struct stat st;
	int ret;

	if (fstat(pm->fd, &st))
		return -errno;
	do {
		if (S_ISBLK(st.st_mode))
			ret = ioctl(pm->fd, BLKDISCARD, range);
		else
			ret = fallocate(pm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
					(off_t)length);
	} while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

int cdx_pmem_give_back(struct cdx_pmem *pm, uint64_t offset, uint64_t length)
{
	uint64_t mask = page_size(pm) - 1;
	uint64_t start = (pm->fd_offset + offset + mask) & ~mask, end = (pm->fd_offset + offset + length) & ~mask;

	if (pm->discard || !pm->writable || start >= end)
		return 0;
	if (pm->fd < 0)
		return -EOPNOTSUPP;
	/* Even when it fails: part of it may be gone. */
	cdx_pmem_forget_backing(pm);
	return punch(pm, start, end - start);
}

bool cdx_pmem_next_data(const struct cdx_pmem *pm, uint64_t *offset, uint64_t *length)
{
	uint64_t end = *offset + *length;
	off_t data, hole;

	if (!*length || pm->fd < 0)
		return *length;
	data = lseek(pm->fd, (off_t)(pm->fd_offset + *offset), SEEK_DATA);
	if (data < 0)
		return errno != ENXIO;		/* a file system that cannot tell: all of it */
	hole = lseek(pm->fd, data, SEEK_HOLE);
	if ((uint64_t)data >= pm->fd_offset + end)
		return false;
	*offset = (uint64_t)data - pm->fd_offset;
	if (hole > data && (uint64_t)hole - pm->fd_offset < end)
		end = (uint64_t)hole - pm->fd_offset;
	*length = end - *offset;
	return true;
}

/* ---- bad media ---- */

/* The file's own write(2), all of it; NULL writes zeros. */
static int write_file(int fd, uint64_t offset, const unsigned char *bytes, uint64_t length)
{
	static const unsigned char zeros[ZEROS_LENGTH];

	while (length) {
		size_t part = !bytes && length > ZEROS_LENGTH ? ZEROS_LENGTH : length;
		ssize_t done = pwrite(fd, bytes ? bytes : zeros, part, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 && (errno == ENOSPC || errno == EDQUOT) ? -ENOSPC : -EIO;
		offset += (uint64_t)done;
		length -= (uint64_t)done;
		bytes = bytes ? bytes + done : NULL;
	}
	return 0;
}

/*
 * Write through the file what could not be stored.  Only to what the file has:
 * one that was truncated must not grow again around what it has lost.
 */
static int write_through(const struct cdx_pmem *pm, uint64_t offset, const unsigned char *bytes, uint64_t length)
{
	int ret;

	if (pm->fd < 0 || has_shrunk(pm, offset + length))
		return -EIO;
	ret = write_file(pm->fd, pm->fd_offset + offset, bytes, length);
	while (!ret && fdatasync(pm->fd))
		ret = errno == EINTR ? 0 : -EIO;
	return ret;
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

struct words {
	const struct cdx_pmem *pm;
	const uint64_t *offsets;
	le64 *words;
	size_t count;
};

static void do_read_words(void *arg)
{
	const struct words *these = arg;

	for (size_t i = 0; i < these->count; i++) {
		const le64 *word = (const void *)(these->pm->base + these->offsets[i]);

		these->words[i].raw = __atomic_load_n(&word->raw, __ATOMIC_ACQUIRE);
	}
}

static void store(struct access *access, cdx_access_fn *how)
{
	struct cdx_pmem *pm = access->pm;

	if (pm->discard || access->length == 0)
		return;
	if (cdx_guard(pm->base + access->offset, access->length, how, access)) {
		int ret = write_through(pm, access->offset, access->from, access->length);

		pm->host_full = ret == -ENOSPC;
		pm->fault = ret ? ret : pm->fault;
	}
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
	unsigned char page[PROBE_LENGTH];

	while (length) {
		uint64_t part = PROBE_LENGTH - (offset & (PROBE_LENGTH - 1));
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

int cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count)
{
	struct words these = {.pm = pm, .offsets = offsets, .words = words, .count = count};

	for (size_t i = 0; i < count; i++)
		if (offsets[i] > pm->length || sizeof(*words) > pm->length - offsets[i])
			return -EUCLEAN;
	return cdx_guard(pm->base, pm->length, do_read_words, &these);
}
