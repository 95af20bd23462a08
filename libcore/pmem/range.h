/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Range locks of files (FORMAT 11): held by long writes across their bulk copy,
 * respected by every other change of the file's data.  They order writers; what
 * makes a write whole is its commit.
 */
#ifndef CDX_RANGE_H
#define CDX_RANGE_H

#include "pmem/device.h"

#define CDX_RANGE_ALL UINT64_MAX	/* as inode: every file */

/* What a handle holds: at most one range, since one owner's locks merge (R11). */
struct cdx_range { uint64_t start, length; };

/*
 * Lock blocks [first, first + count) of @inode, count 0 for "to the end".  Whoever
 * waits holds the turnstile, so that a wide range is not starved by narrow ones
 * (R13).  -EAGAIN when it is held by another and @wait is false.  Taken before the
 * commit lock, never inside it.
 */
int cdx_range_lock(struct cdx_device *device, struct cdx_range *range, uint64_t inode, uint64_t first,
		   uint64_t count, bool wait);
void cdx_range_unlock(struct cdx_device *device, struct cdx_range *range);
/* Whether another handle holds any of the range: 1, 0 or -errno. */
int cdx_range_busy(const struct cdx_device *device, uint64_t inode, uint64_t first, uint64_t count);

#endif
