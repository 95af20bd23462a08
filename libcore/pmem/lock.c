// SPDX-License-Identifier: LGPL-2.1-or-later
/* The places of FORMAT 11: which bytes of a file stand for which lock. */
#include "pmem/lock.h"

#include <assert.h>

#include "base/limits.h"

#define UNIT 512				/* filesystems start and end at multiples of it */
#define UNITS (UINT64_C(1) << 54)		/* of all bytes that a file can have */
#define SMALLEST (UINT64_C(1) << 18)		/* filesystem: two that do not overlap start so far apart */
#define SLOTS UINT64_C(8123)			/* a prime: evenly spaced filesystems do not meet */
#define SLOT (UINT64_C(1) << 49)
#define FINE (UINT64_C(1) << 36)		/* blocks with a byte of their own */
#define COARSE_SHIFT 14				/* and how many of the others share one */

static_assert(CDX_LOCK_FIRST + 2 * UNITS + SLOTS * SLOT <= CDX_LOCK_END, "lock offsets are positive");
static_assert(UNITS * UNIT == CDX_LOCK_END, "each byte of a file is in a unit");
static_assert(CDX_LAST_TRANSACTION + 1 + CDX_LOCK_HASHES * CDX_LOCK_COLUMN + CDX_MAX_LANE + 1 + CDX_LOCK_HASHES <= SLOT,
	      "a slot holds its areas");
static_assert(FINE + ((CDX_MAX_IMAGE / CDX_MIN_BLOCK_SIZE) >> COARSE_SHIFT) <= CDX_LOCK_COLUMN,
	      "a column holds the blocks of the largest file");

void cdx_lock_place(struct cdx_lock_places *places, uint64_t fs_offset)
{
	uint64_t slot = CDX_LOCK_FIRST + 2 * UNITS + fs_offset / SMALLEST % SLOTS * SLOT;

	places->open = CDX_LOCK_FIRST + fs_offset / UNIT;
	places->commit = CDX_LOCK_FIRST + UNITS + fs_offset / UNIT;
	places->readers = slot;
	places->ranges = places->readers + CDX_LAST_TRANSACTION + 1;
	places->lanes = places->ranges + CDX_LOCK_HASHES * CDX_LOCK_COLUMN;
	places->turnstiles = places->lanes + CDX_MAX_LANE + 1;
}

uint64_t cdx_lock_units(uint64_t length)
{
	return length <= UNIT ? 1 : (length - 1) / UNIT + 1;
}

uint64_t cdx_lock_block(uint64_t block)
{
	return block < FINE ? block : FINE + (block >> COARSE_SHIFT);
}
