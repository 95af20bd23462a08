// SPDX-License-Identifier: LGPL-2.1-or-later
/* Errors as sentences in a structure of the caller: "WHAT: reason". */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cdx_error(struct cowdax_error *error, int code, const char *format, ...)
{
	va_list args;

	if (!error)
		return code;
	error->code = code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}

void cdx_error_begin(struct cowdax_error *error)
{
	if (!error)
		return;
	error->code = 0;
	error->text[0] = '\0';
}

int cdx_error_end(struct cowdax_error *error, int code, const char *what)
{
	if (code < 0)
		return cdx_error_errno(error, code, what);
	cdx_error_begin(error);
	return code;
}

int cdx_error_errno(struct cowdax_error *error, int code, const char *what)
{
	char reason[128];

	if (!error || (error->code == code && error->text[0]))
		return code;
	if (code == -EOVERFLOW)
		return cdx_error(error, code, "%s: the image has used up its numbers, of inodes, long writes or transactions",
				 what);
	return cdx_error(error, code, "%s: %s", what,
			 strerror_r(-code, reason, sizeof(reason)));
}
