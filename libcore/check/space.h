/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_SPACE_H
#define CDX_CHECK_SPACE_H

#include "check/context.h"

/* Pass 5: the space tree, and all counts against the pointers, which are sorted here. */
int cdx_check_space(struct cdx_check *ck);

#endif
