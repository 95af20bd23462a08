// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ranges of files as ranges of lock bytes (FORMAT 11), one of them for each handle
 * (R11), taken behind a turnstile (R13).
 */
#include "pmem/range.h"

#define BLOCKS (UINT64_C(1) << 50)	/* of the largest file, in the smallest blocks */

static uint64_t hash(uint64_t inode)
{
	return inode % CDX_LOCK_HASHES;
}

static void place(const struct cdx_device *device, struct cdx_range *range, uint64_t inode, uint64_t first,
		  uint64_t count)
{
	uint64_t low, high;

	if (inode == CDX_RANGE_ALL) {
		*range = (struct cdx_range){device->lock.ranges, CDX_LOCK_HASHES * CDX_LOCK_COLUMN};
		return;
	}
	if (count == 0 || count > BLOCKS - first)
		count = BLOCKS - first;
	low = cdx_lock_block(first);
	high = cdx_lock_block(first + count - 1);
	*range = (struct cdx_range){device->lock.ranges + hash(inode) * CDX_LOCK_COLUMN + low, high - low + 1};
}

int cdx_range_lock(struct cdx_device *device, struct cdx_range *range, uint64_t inode, uint64_t first,
		   uint64_t count, bool wait)
{
	uint64_t turnstile = device->lock.turnstiles, turnstiles = CDX_LOCK_HASHES;
	struct cdx_range wanted;
	int ret;

	if (inode != CDX_RANGE_ALL) {
		turnstile += hash(inode);
		turnstiles = 1;
	}
	place(device, &wanted, inode, first, count);
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

	place(device, &range, inode, first, count);
	return cdx_device_lock_test(device, range.start, range.length, &where);
}
