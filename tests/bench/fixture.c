// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench.h"

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/image.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

unsigned char pattern[BLOCK];

void must(int ret, const struct cowdax_error *error)
{
	if (ret < 0)
		die("%s", error->text[0] ? error->text : strerror(-ret));
}

/* ---- images ----------------------------------------------------------------------- */

static void make_file(const char *path, uint64_t size, bool populated)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int failure = 0;

	if (fd < 0 || ftruncate(fd, (off_t)size))
		die("%s: %s", path, strerror(errno));
	if (populated)
		failure = posix_fallocate(fd, 0, (off_t)size);
	close(fd);
	if (failure)
		die("%s: %s", path, strerror(failure));
}

void image_open(struct image *image)
{
	struct cowdax_open_options how = {.flags = image->flags};
	struct cowdax_error error = {0};

	must(cowdax_open(image->path, &how, &image->fs, &error), &error);
	must(cdx_pmem_prepare(&image->fs->device.pm, 0, image->fs->device.pm.length), &error);
}

void image_make(struct image *image, const char *name, uint64_t size, bool populated)
{
	struct cowdax_mkfs_options how = {.seed = 1, .uuid = "a bench's image"};
	struct cowdax_error error = {0};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (unsigned char)(i * 31 + 7);
	snprintf(image->path, sizeof(image->path), "%s/%s", options.directory, name);
	make_file(image->path, size, populated);
	must(cowdax_mkfs(image->path, &how, NULL, &error), &error);
	if (populated)
		image_open(image);
	else
		must(cowdax_open(image->path, NULL, &image->fs, &error), &error);
}

void image_remove(struct image *image)
{
	cowdax_close(image->fs);
	image->fs = NULL;
	unlink(image->path);
}

uint64_t image_create(struct image *image, const char *path)
{
	struct cowdax_error error = {0};
	uint64_t inode = 0;

	must(cowdax_create(image->fs, path, 0644, &inode, &error), &error);
	return inode;
}

uint64_t image_clone(struct image *image, const char *from, const char *to)
{
	struct cowdax_error error = {0};
	uint64_t inode = 0;

	must(cowdax_clone(image->fs, from, to, NULL, &error), &error);
	must(cowdax_lookup(image->fs, to, &inode, &error), &error);
	return inode;
}

void image_drain(struct image *image)
{
	struct cowdax_error error = {0};
	bool blocked;

	must(cdx_txn_drain_all(&image->fs->txn, &blocked, &error), &error);
}

void image_write(struct image *image, uint64_t inode, const void *bytes, size_t length, uint64_t offset)
{
	struct cowdax_error error;
	int ret = cowdax_write(image->fs, inode, bytes, length, offset, NULL, &error);

	if (ret)
		must(ret, &error);
}

void image_begin(struct image *image)
{
	struct cowdax_error error;

	must(cowdax_begin(image->fs, &error), &error);
}

void image_commit(struct image *image)
{
	struct cowdax_error error;

	must(cowdax_commit(image->fs, &error), &error);
}

uint64_t *write_order(uint64_t extents, enum layout layout)
{
	uint64_t *order = malloc(extents * sizeof(*order));

	if (!order)
		die("out of memory");
	for (uint64_t i = 0; i < extents; i++) {
		uint64_t other = layout == SHUFFLED ? random_below(i + 1) : i;

		if (other != i)
			order[i] = order[other];
		order[other] = layout == SHUFFLED ? i : 2 * i;
	}
	return order;
}

uint64_t random_block(uint64_t extents, enum layout layout)
{
	return random_below(extents) * (layout == SHUFFLED ? 1 : 2);
}

uint64_t image_fragmented_file(struct image *image, const char *path, uint64_t extents, enum layout layout)
{
	uint64_t *order = write_order(extents, layout);
	uint64_t inode = image_create(image, path), per_transaction = extents / 100 + 1;

	for (uint64_t i = 0; i < extents; i++) {
		if (i % per_transaction == 0)
			image_begin(image);
		image_write(image, inode, pattern, BLOCK, order[i] * BLOCK);
		if (i % per_transaction == per_transaction - 1 || i == extents - 1)
			image_commit(image);
	}
	free(order);
	return inode;
}

/* ---- the floor ----------------------------------------------------------------------- */

void floor_make(struct floor *floor, uint64_t size)
{
	int fd;

	/* Processes that work at once have one each. */
	snprintf(floor->path, sizeof(floor->path), "%s/floor-%d", options.directory, (int)getpid());
	make_file(floor->path, size, true);
	fd = open(floor->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", floor->path, strerror(errno));
	floor->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (floor->map == MAP_FAILED)
		die("%s: %s", floor->path, strerror(errno));
	if (madvise(floor->map, size, MADV_POPULATE_WRITE))
		memset(floor->map, 0, size);	/* a kernel before 5.14 */
	floor->blocks = size / BLOCK;
}

void floor_batch(struct floor *floor, struct side *side, int operations)
{
	for (int i = 0; i < operations; i++) {
		unsigned char *block = floor->map + random_below(floor->blocks) * BLOCK;
		uint64_t started = now();

		pmem_memcpy(block, pattern, BLOCK, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
		pmem_drain();
		side_add(side, started);
	}
}

void floor_remove(struct floor *floor)
{
	munmap(floor->map, floor->blocks * BLOCK);
	unlink(floor->path);
}

unsigned char *make_source(uint64_t length)
{
	unsigned char *source = mmap(NULL, length, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (source == MAP_FAILED)
		die("no memory for %" PRIu64 " MiB", length >> 20);
	for (uint64_t at = 0; at < length; at += BLOCK)
		memcpy(source + at, pattern, BLOCK);
	return source;
}
