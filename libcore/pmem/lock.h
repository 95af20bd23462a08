/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the lock bytes of a filesystem are (FORMAT 11).  What tells two filesystems
 * in one file apart is where they start.
 */
#ifndef CDX_LOCK_H
#define CDX_LOCK_H

#include <stdint.h>

#define CDX_LOCK_HASHES UINT64_C(1024)		/* of files: ranges and turnstiles */
#define CDX_LOCK_COLUMN (UINT64_C(1) << 37)	/* bytes for the ranges of files of one hash */
#define CDX_LOCK_FIRST (UINT64_C(1) << 62)	/* all locks are between here and there */
#define CDX_LOCK_END (UINT64_C(1) << 63)	/* no lock ends behind it (R11) */

/* The first byte of each area. */
struct cdx_lock_places {
	uint64_t open;		/* one byte for each 512 of the filesystem */
	uint64_t commit;	/* one */
	uint64_t readers;	/* + transaction */
	uint64_t ranges;	/* + hash * CDX_LOCK_COLUMN + cdx_lock_block() */
	uint64_t lanes;		/* + lane */
	uint64_t turnstiles;	/* + hash */
};

void cdx_lock_place(struct cdx_lock_places *places, uint64_t fs_offset);
/* How many bytes of the open area stand for the first @length of a filesystem: at least one. */
uint64_t cdx_lock_units(uint64_t length);
/* The byte of a file's block in its column: its own, or, far out, one shared with its neighbours. */
uint64_t cdx_lock_block(uint64_t block);

#endif
