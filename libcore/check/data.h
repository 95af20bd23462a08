/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_DATA_H
#define CDX_CHECK_DATA_H

#include "check/context.h"
#include "check/losses.h"

/* Read what is @mapped; what fails goes to @bad, by ascending start, disjoint. */
int cdx_check_data(struct cdx_check *ck, struct cdx_event_set *mapped, struct cdx_bad_runs *bad);

#endif
