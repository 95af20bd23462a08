// SPDX-License-Identifier: GPL-2.0-or-later
/* Where a small write's time goes: what it looks up, copies, stores and asks the kernel, by count. */
#include "bench.h"

#include <string.h>

#include "base/crc32c.h"
#include "fixture.h"
#include "locks.h"
#include "tree/node.h"

#define EXTENTS 100000
#define WRITES 1000
#define KINDS 8

static struct counts {
	uint64_t looked_up, read;
	uint64_t shadowed[KINDS], taken[KINDS], made[KINDS], written[KINDS];
	uint64_t stores, bytes, fences, checksums, checksum_bytes;
} counts;

/* ---- instead of the library's ---------------------------------------------------------- */

int __real_cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level,
			struct cdx_node **node);
int __wrap_cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level,
			struct cdx_node **node);
int __real_cdx_node_new(struct cdx_nodes *nodes, uint8_t kind, uint8_t level, struct cdx_node **node);
int __wrap_cdx_node_new(struct cdx_nodes *nodes, uint8_t kind, uint8_t level, struct cdx_node **node);
int __real_cdx_node_copy(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **copy);
int __wrap_cdx_node_copy(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **copy);
int __real_cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node);
int __wrap_cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node);
int __real_cdx_node_write(struct cdx_nodes *nodes, struct cdx_node *node, uint64_t address,
			  uint64_t *new_address, uint32_t *new_crc);
int __wrap_cdx_node_write(struct cdx_nodes *nodes, struct cdx_node *node, uint64_t address,
			  uint64_t *new_address, uint32_t *new_crc);
int __real_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
void __real_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
int __real_cdx_pmem_fence(struct cdx_pmem *pm);
int __wrap_cdx_pmem_fence(struct cdx_pmem *pm);
uint32_t __real_cdx_crc32c(uint32_t crc, const void *bytes, size_t length);
uint32_t __wrap_cdx_crc32c(uint32_t crc, const void *bytes, size_t length);

int __wrap_cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level,
			struct cdx_node **node)
{
	counts.looked_up++;
	return __real_cdx_node_get(nodes, address, crc, kind, level, node);
}

int __wrap_cdx_node_new(struct cdx_nodes *nodes, uint8_t kind, uint8_t level, struct cdx_node **node)
{
	counts.made[kind % KINDS]++;
	return __real_cdx_node_new(nodes, kind, level, node);
}

int __wrap_cdx_node_copy(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **copy)
{
	counts.shadowed[node->disk.kind % KINDS]++;
	return __real_cdx_node_copy(nodes, node, copy);
}

int __wrap_cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node)
{
	counts.taken[node->disk.kind % KINDS]++;
	return __real_cdx_node_take(nodes, node);
}

int __wrap_cdx_node_write(struct cdx_nodes *nodes, struct cdx_node *node, uint64_t address,
			  uint64_t *new_address, uint32_t *new_crc)
{
	counts.written[node->disk.kind % KINDS]++;
	return __real_cdx_node_write(nodes, node, address, new_address, new_crc);
}

int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length)
{
	/* Whole nodes and data blocks: heads of slots are shorter. */
	counts.read += length >= 512;
	return __real_cdx_pmem_read(pm, offset, bytes, length);
}

void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	counts.stores++;
	counts.bytes += length;
	__real_cdx_pmem_copy(pm, offset, bytes, length);
}

int __wrap_cdx_pmem_fence(struct cdx_pmem *pm)
{
	counts.fences++;
	return __real_cdx_pmem_fence(pm);
}

uint32_t __wrap_cdx_crc32c(uint32_t crc, const void *bytes, size_t length)
{
	counts.checksums++;
	counts.checksum_bytes += length;
	return __real_cdx_crc32c(crc, bytes, length);
}

/* ---- counting ------------------------------------------------------------------------------ */

static double each(uint64_t count)
{
	return (double)count / WRITES;
}

static void report_kinds(const char *what, const uint64_t *of)
{
	report_note("%-10s fs %.2f, extent %.2f, space %.2f, limbo %.2f", what, each(of[CDX_KIND_FS]),
		    each(of[CDX_KIND_EXTENT]), each(of[CDX_KIND_SPACE]), each(of[CDX_KIND_LIMBO]));
}

static void count_writes(struct image *image, uint64_t inode, enum layout layout, const char *what)
{
	uint64_t locks;

	memset(&counts, 0, sizeof(counts));
	locks = lock_calls();
	for (int i = 0; i < WRITES; i++)
		image_write(image, inode, pattern, BLOCK, random_block(EXTENTS, layout) * BLOCK);
	locks = lock_calls() - locks;
	report_value(what, "", "", NULL, true);
	report_note("nodes looked up %.2f, read from the media %.2f", each(counts.looked_up), each(counts.read));
	report_kinds("copied", counts.shadowed);
	report_kinds("taken", counts.taken);
	report_kinds("new", counts.made);
	report_kinds("written", counts.written);
	report_note("stores %.2f, of %.0f bytes, its own 4096 included; fences %.2f", each(counts.stores),
		    each(counts.bytes), each(counts.fences));
	report_note("checksums %.2f, of %.0f bytes; calls of fcntl() %.2f", each(counts.checksums),
		    each(counts.checksum_bytes), each(locks));
}

static void run(enum layout layout, const char *private, const char *clone)
{
	struct image image = {0};
	uint64_t inode;

	image_make(&image, "parts", 2 * GIB, true);
	inode = image_fragmented_file(&image, "/original", EXTENTS, layout);
	if (private)
		count_writes(&image, inode, layout, private);
	inode = image_clone(&image, "/original", "/clone");
	count_writes(&image, inode, layout, clone);
	image_remove(&image);
}

void bench_parts(void)
{
	run(EVERY_OTHER, "a random 4 KiB write, 10^5 extents, nothing shared", "  into a clone, extents in order");
	run(SHUFFLED, NULL, "  into a clone, extents shuffled on the media");
}
