/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_ERR_H
#define CDX_ERR_H

#include <errno.h>

#include "cowdax.h"

/*
 * Note why a call failed and return @code (a negative errno), so that a caller
 * can write: return cdx_error(error, -EINVAL, "...").  @error may be NULL.
 */
int cdx_error(struct cowdax_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The border: a public function begins with an empty *error, so that nothing is taken
 * for its own that another has left there, and ends with this, whatever happened below.
 * A failure has a sentence, "@what: strerror(@code)" if nobody had a better one; a success
 * has none, though something may have failed on the way to it.  Returns @code.
 */
void cdx_error_begin(struct cowdax_error *error);
int cdx_error_end(struct cowdax_error *error, int code, const char *what);

/* "@what: strerror(@code)", unless @error already holds a sentence for @code. */
int cdx_error_errno(struct cowdax_error *error, int code, const char *what);

#endif
