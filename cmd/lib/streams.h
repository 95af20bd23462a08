/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard output that fails loudly, and messages on standard error. */
#ifndef STREAMS_H
#define STREAMS_H

#include <stddef.h>

/**
 * Make descriptors, signals and the closing of stdout safe; first thing in
 * main().  The statuses are those of the exit after wrong usage, and when
 * stdout turns out at the end to have failed.
 */
void streams_start(const char *program, int usage_status, int failure_status);
/** One line on stderr: "PREFIX: TEXT", control characters as "?". */
void streams_message(const char *prefix, const char *text);
/** Write out stdout; 0 or -errno. */
int streams_flush(void);
/** Write all of it to stdout, past the stdio buffer; 0 or -errno. */
int streams_write_stdout(const void *bytes, size_t length);

#endif
