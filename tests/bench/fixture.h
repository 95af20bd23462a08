/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images to measure on, and the floor to measure against. */
#ifndef BENCH_FIXTURE_H
#define BENCH_FIXTURE_H

#include "cowdax.h"

#define BLOCK 4096
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* An image in the bench's folder, open. */
struct image {
	char path[256];
	unsigned int flags;		/* that image_open() opens it with */
	struct cowdax *fs;
};
/*
 * Make one of @size bytes.  @populated: its file has all its pages, so that what
 * is measured is not the host filesystem's work of finding and zeroing them.
 */
void image_make(struct image *image, const char *name, uint64_t size, bool populated);
/* Open one that another process has made, with all of its pages mapped: no access to any is a page fault. */
void image_open(struct image *image);
void image_remove(struct image *image);
/* The library's calls; what fails ends the bench. */
uint64_t image_create(struct image *image, const char *path);
uint64_t image_clone(struct image *image, const char *from, const char *to);
/* What was removed is given back, all of it: whoever comes next does not pay for it. */
void image_drain(struct image *image);
void image_write(struct image *image, uint64_t inode, const void *bytes, size_t length, uint64_t offset);
void image_begin(struct image *image);
void image_commit(struct image *image);
/* Look what @ret is: dies with the library's words when it is an error. */
void must(int ret, const struct cowdax_error *error);

/*
 * How a file comes to have many extents of one block each: every other block is
 * written, in order, and lies behind the one before on the media; or all are, in
 * random order, so that neighbours in the file are none on the media.
 */
enum layout { EVERY_OTHER, SHUFFLED };
uint64_t image_fragmented_file(struct image *image, const char *path, uint64_t extents, enum layout layout);
/* The file's blocks in the order in which they are written; free() it. */
uint64_t *write_order(uint64_t extents, enum layout layout);
/* One of its blocks. */
uint64_t random_block(uint64_t extents, enum layout layout);

/*
 * The floor: pmem_memcpy(), non-temporal, of 4 KiB and a drain, to a random block
 * of a mapping like the library's (a file beside the image, every page there).
 */
struct floor {
	unsigned char *map;
	uint64_t blocks;
	char path[256];
};
void floor_make(struct floor *floor, uint64_t size);
void floor_batch(struct floor *floor, struct side *side, int operations);
void floor_remove(struct floor *floor);

/* 4 KiB that are not all alike. */
extern unsigned char pattern[BLOCK];

/* @length bytes of memory, all touched, to be written. */
unsigned char *make_source(uint64_t length);

#endif
