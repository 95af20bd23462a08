/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that cannot be read or written (R22): bad media, an image truncated
 * under its mapping, a full host disk.  The processor says SIGBUS; programs that
 * opted in with cowdax_catch_faults() get -EIO instead.
 */
#ifndef CDX_FAULT_H
#define CDX_FAULT_H

#include <stddef.h>

typedef void cdx_access_fn(void *arg);

/*
 * Run @access, which touches [low, low + length) and nothing else that may
 * fault, holds no lock and owns no memory: 0, or -EIO when it met a fault there,
 * having been left in the middle.  Nests; one thread's faults are its own.
 */
int cdx_guard(const void *low, size_t length, cdx_access_fn *access, void *arg);

#endif
