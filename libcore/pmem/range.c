// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pmem/range.h"

#include <assert.h>

#define HASHES UINT64_C(1024)
#define BLOCKS (UINT64_C(1) << 50)	/* of the largest file, in the smallest blocks */

static_assert(BLOCKS * CDX_MIN_BLOCK_SIZE >= CDX_MAX_FILE, "each block has a byte");
static_assert(CDX_LOCK_RANGES + HASHES * BLOCKS <= UINT64_C(1) << 63, "lock offsets are positive");

static uint64_t hash(uint64_t inode)
{
	return inode % HASHES;
}

static void place(struct cdx_range *range, uint64_t inode, uint64_t first, uint64_t count)
{
	if (inode == CDX_RANGE_ALL) {
		*range = (struct cdx_range){CDX_LOCK_RANGES, HASHES * BLOCKS};
		return;
	}
	if (count == 0 || count > BLOCKS - first)
		count = BLOCKS - first;
	*range = (struct cdx_range){CDX_LOCK_RANGES + hash(inode) * BLOCKS + first, count};
}

int cdx_range_lock(struct cdx_device *device, struct cdx_range *range, uint64_t inode, uint64_t first,
		   uint64_t count, bool wait)
{
	uint64_t turnstile = CDX_LOCK_TURNSTILES, turnstiles = HASHES;
	struct cdx_range wanted;
	int ret;

	if (inode != CDX_RANGE_ALL) {
		turnstile += hash(inode);
		turnstiles = 1;
	}
	place(&wanted, inode, first, count);
	ret = cdx_device_lock(device, turnstile, turnstiles, true, wait);
	if (ret)
		return ret;
	ret = cdx_device_lock(device, wanted.start, wanted.length, true, wait);
	cdx_device_unlock(device, turnstile, turnstiles);
	if (!ret)
		*range = wanted;
	return ret;
}

void cdx_range_unlock(struct cdx_device *device, struct cdx_range *range)
{
	if (range->length)
		cdx_device_unlock(device, range->start, range->length);
	range->length = 0;
}

int cdx_range_busy(const struct cdx_device *device, uint64_t inode, uint64_t first, uint64_t count)
{
	struct cdx_range range;
	uint64_t where;

	place(&range, inode, first, count);
	return cdx_device_lock_test(device, range.start, range.length, &where);
}
