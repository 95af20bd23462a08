/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_OWNERS_H
#define CDX_CHECK_OWNERS_H

#include "check/context.h"
#include "check/losses.h"

/* Report the @bad data, and nodes that could not be read, of every file that owns some. */
int cdx_check_owners(struct cdx_check *ck, struct cdx_bad_runs *bad);

#endif
