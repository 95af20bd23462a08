/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_HELD_H
#define CDX_CHECK_HELD_H

#include "check/context.h"

/* Pass 4: reserves, limbo and staging. */
int cdx_check_held(struct cdx_check *ck);

#endif
