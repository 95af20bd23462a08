/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image in a file to try things on, and what tests ask of it again and again. */
#ifndef RIG_H
#define RIG_H

#include "api/image.h"
#include "unit.h"

#define MIB (UINT64_C(1) << 20)

/* Make an image; sizes of 0 are the defaults.  Returns its path. */
const char *rig_make(const char *name, uint64_t size, uint32_t block_size, uint32_t node_size);
struct cowdax *rig_open(const char *path, unsigned int flags);
/* rig_make() and rig_open() in one. */
struct cowdax *rig_new(uint64_t size, uint32_t block_size, uint32_t node_size);
/* A second handle on the image of @fs. */
struct cowdax *rig_again(const struct cowdax *fs);
/* The checker has nothing to say about the image; or nothing but of codes that start so. */
void rig_check(const char *path);
void rig_check_but(const char *path, const char *codes);

uint64_t rig_create(struct cowdax *fs, const char *path);
uint64_t rig_lookup(struct cowdax *fs, const char *path);
void rig_remove(struct cowdax *fs, const char *path);
/* Write @length bytes of @byte. */
void rig_write(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, int byte);
/* The range reads as @length bytes of @byte. */
void rig_expect(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, int byte);
/* A file of @count extents of 4 KiB, written in one transaction, every other block full of 'a'. */
uint64_t rig_islands(struct cowdax *fs, const char *path, uint64_t count);
/* A file of @count extents, every other block mapped: unwritten ones, so that no data is stored. */
uint64_t rig_splintered(struct cowdax *fs, const char *path, uint64_t count);
/* What nobody points to, wherever it waits. */
uint64_t rig_free_blocks(struct cowdax *fs);
/* Commits that change nothing but what limbo may undo meanwhile. */
void rig_drain(struct cowdax *fs);
/*
 * Let the test's folder be a filesystem of @bytes, gone with the test.  Skips the
 * test where neither root nor a user namespace may mount one.
 */
void rig_small_host(uint64_t bytes);
/* Begin and commit the layer's own transactions, which must succeed. */
struct cdx_txn *rig_begin(struct cowdax *fs);
void rig_commit(struct cowdax *fs);

#endif
