/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which cowdax filesystems lie in a file or device. */
#ifndef CDX_FIND_H
#define CDX_FIND_H

#include "tree/super.h"

/* cowdax_find() on a device that has been opened at the file's first byte. */
int cdx_find(const struct cdx_device *device, uint64_t offset, uint64_t length, cowdax_found_fn *fn, void *arg);

#endif
