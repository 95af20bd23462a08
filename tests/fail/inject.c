// SPDX-License-Identifier: GPL-2.0-or-later
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pmem/device.h"
#include "tree/node.h"

const char *const fault_names[FAULTS] = {
	"allocation", "read", "prepare", "lock", "unlock", "fence", "mapping",
};
const int fault_codes[FAULTS] = {ENOMEM, EIO, ENOSPC, ENOLCK, 0, EIO, ENOMEM};

uint64_t inject_calls[FAULTS];
int64_t inject_memory, inject_pins;
struct inject_bad inject_bad[2];
uint64_t inject_unbacked_stores;

static struct injection injected;
static bool counting, reached;

/* Ranges of the media whose preparing has failed, and not been made up for. */
static struct { uint64_t start, end; } unbacked[64];
static unsigned int unbacked_count;

void inject_start(const struct injection *injection)
{
	memset(inject_calls, 0, sizeof(inject_calls));
	injected = *injection;
	reached = false;
	unbacked_count = 0;
	inject_unbacked_stores = 0;
	counting = true;
}

bool inject_end(void)
{
	counting = false;
	return reached;
}

/* A call of this kind is made: whether it fails. */
static bool fails(enum fault fault)
{
	uint64_t number;

	if (!counting)
		return false;
	number = ++inject_calls[fault];
	if (!injected.n || injected.fault != fault || number < injected.n)
		return false;
	reached = true;
	return number == injected.n || injected.for_good;
}

/* ---- memory -------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *string);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *string);
void __wrap_free(void *memory);

static void *allocated(void *memory)
{
	if (memory)
		inject_memory++;
	return memory;
}

void *__wrap_malloc(size_t size)
{
	if (fails(FAULT_ALLOCATION)) {
		errno = ENOMEM;
		return NULL;
	}
	return allocated(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	if (fails(FAULT_ALLOCATION)) {
		errno = ENOMEM;
		return NULL;
	}
	return allocated(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (fails(FAULT_ALLOCATION)) {
		errno = ENOMEM;
		return NULL;
	}
	return old ? __real_realloc(old, size) : allocated(__real_realloc(NULL, size));
}

char *__wrap_strdup(const char *string)
{
	if (fails(FAULT_ALLOCATION)) {
		errno = ENOMEM;
		return NULL;
	}
	return allocated(__real_strdup(string));
}

void __wrap_free(void *memory)
{
	if (memory)
		inject_memory--;
	__real_free(memory);
}

void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (fails(FAULT_MAPPING)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap(address, length, protection, flags, fd, offset);
}

/* ---- the media ------------------------------------------------------------------------- */

static void lack_backing(uint64_t start, uint64_t end)
{
	if (unbacked_count == sizeof(unbacked) / sizeof(*unbacked))
		return;
	unbacked[unbacked_count].start = start;
	unbacked[unbacked_count++].end = end;
}

/* Whatever touches this range is backed now. */
static void have_backing(uint64_t start, uint64_t end)
{
	for (unsigned int i = unbacked_count; i-- > 0;)
		if (start < unbacked[i].end && unbacked[i].start < end)
			unbacked[i] = unbacked[--unbacked_count];
}

static void note_store(uint64_t start, size_t length)
{
	for (unsigned int i = 0; counting && i < unbacked_count; i++)
		inject_unbacked_stores += start < unbacked[i].end && unbacked[i].start < start + length;
}

int __real_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length)
{
	for (int i = 0; i < 2; i++)
		if (offset < inject_bad[i].end && inject_bad[i].start < offset + length)
			return -EIO;
	return fails(FAULT_READ) ? -EIO : __real_cdx_pmem_read(pm, offset, bytes, length);
}

int __real_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
int __wrap_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
int __wrap_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count)
{
	for (size_t i = 0; i < 2 * count; i++)
		if (offsets[i / 2] < inject_bad[i % 2].end && inject_bad[i % 2].start < offsets[i / 2] + sizeof(*words))
			return -EIO;
	return fails(FAULT_READ) ? -EIO : __real_cdx_pmem_read_words(pm, offsets, words, count);
}

int __real_cdx_pmem_fetch(void *bytes, const void *from, size_t length);
int __wrap_cdx_pmem_fetch(void *bytes, const void *from, size_t length);
int __wrap_cdx_pmem_fetch(void *bytes, const void *from, size_t length)
{
	return fails(FAULT_READ) ? -EIO : __real_cdx_pmem_fetch(bytes, from, length);
}

int __real_cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length);
int __wrap_cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length);
int __wrap_cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length)
{
	if (fails(FAULT_READ))
		return -EIO;
	note_store(to, length);
	return __real_cdx_pmem_move(pm, to, from, length);
}

int __real_cdx_pmem_probe(const struct cdx_pmem *pm, uint64_t offset, uint64_t length, uint64_t *bad);
int __wrap_cdx_pmem_probe(const struct cdx_pmem *pm, uint64_t offset, uint64_t length, uint64_t *bad);
int __wrap_cdx_pmem_probe(const struct cdx_pmem *pm, uint64_t offset, uint64_t length, uint64_t *bad)
{
	if (fails(FAULT_READ)) {
		*bad = offset;
		return -EIO;
	}
	return __real_cdx_pmem_probe(pm, offset, length, bad);
}

int __real_cdx_device_pread(const struct cdx_device *device, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_device_pread(const struct cdx_device *device, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_device_pread(const struct cdx_device *device, uint64_t offset, void *bytes, size_t length)
{
	return fails(FAULT_READ) ? -EIO : __real_cdx_device_pread(device, offset, bytes, length);
}

int __real_cdx_pmem_prepare(struct cdx_pmem *pm, uint64_t offset, uint64_t length);
int __wrap_cdx_pmem_prepare(struct cdx_pmem *pm, uint64_t offset, uint64_t length);
int __wrap_cdx_pmem_prepare(struct cdx_pmem *pm, uint64_t offset, uint64_t length)
{
	if (fails(FAULT_PREPARE)) {
		lack_backing(offset, offset + length);
		return -ENOSPC;
	}
	have_backing(offset, offset + length);
	return __real_cdx_pmem_prepare(pm, offset, length);
}

void __real_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	note_store(offset, length);
	__real_cdx_pmem_copy(pm, offset, bytes, length);
}

void __real_cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length);
void __wrap_cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length);
void __wrap_cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	note_store(offset, length);
	__real_cdx_pmem_zero(pm, offset, length);
}

int __real_cdx_pmem_fence(struct cdx_pmem *pm);
int __wrap_cdx_pmem_fence(struct cdx_pmem *pm);
int __wrap_cdx_pmem_fence(struct cdx_pmem *pm)
{
	return fails(FAULT_FENCE) ? -EIO : __real_cdx_pmem_fence(pm);
}

/* ---- locks ------------------------------------------------------------------------------- */

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	const struct flock *lock;
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	lock = arg;
	if (command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK) {
		if (fails(lock->l_type == F_UNLCK ? FAULT_UNLOCK : FAULT_LOCK)) {
			errno = ENOLCK;
			return -1;
		}
	}
	return __real_fcntl(fd, command, arg);
}

/* ---- nodes --------------------------------------------------------------------------------- */

int __real_cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind,
			uint8_t level, struct cdx_node **node);
int __wrap_cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind,
			uint8_t level, struct cdx_node **node);
int __wrap_cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind,
			uint8_t level, struct cdx_node **node)
{
	int ret = __real_cdx_node_get(nodes, address, crc, kind, level, node);

	if (!ret)
		inject_pins++;
	return ret;
}

void __real_cdx_node_put(struct cdx_nodes *nodes, struct cdx_node *node);
void __wrap_cdx_node_put(struct cdx_nodes *nodes, struct cdx_node *node);
void __wrap_cdx_node_put(struct cdx_nodes *nodes, struct cdx_node *node)
{
	inject_pins--;
	__real_cdx_node_put(nodes, node);
}

/* With the node goes the pin of whoever takes it. */
int __real_cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node);
int __wrap_cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node);
int __wrap_cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node)
{
	int ret = __real_cdx_node_take(nodes, node);

	if (!ret)
		inject_pins--;
	return ret;
}
