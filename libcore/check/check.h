/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_CHECK_H
#define CDX_CHECK_CHECK_H

#include "check/context.h"

/* Called when the passes have run to their end, while all that they know is there: 0 or -errno. */
typedef int cdx_checked_fn(void *arg, struct cdx_check *ck);
/* As cowdax_check(); @checked may be NULL, and is called only where all trees have been walked. */
int cdx_check_image(const char *path, const struct cowdax_check_options *options, cdx_checked_fn *checked,
		    void *arg, struct cowdax_check_summary *summary, struct cowdax_error *error);

#endif
