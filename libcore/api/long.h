/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Long writes: bytes go into staged blocks without the commit lock, under a lock
 * on the range, and one transaction makes the file map them.
 */
#ifndef CDX_LONG_H
#define CDX_LONG_H

#include "api/target.h"

/* The range of the file, then a lane, for @length bytes or COWDAX_TO_END; ended in any case by cdx_long_end(). */
int cdx_long_begin(struct cowdax *fs, struct cdx_target *target, uint64_t length, struct cowdax_error *error);
/* Stage the next bytes; makes room once when there is none. */
int cdx_long_append(struct cowdax *fs, const void *bytes, uint64_t length, struct cowdax_error *error);
/* The transaction that makes the file map what was staged. */
int cdx_long_finish(struct cowdax *fs, struct cdx_target *target, struct cowdax_result *result,
		    struct cowdax_error *error);
void cdx_long_end(struct cowdax *fs);

#endif
