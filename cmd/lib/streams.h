/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard output that fails loudly, and a standard error that is quoted. */
#ifndef STREAMS_H
#define STREAMS_H

#include <stddef.h>
#include <stdio.h>

/**
 * First thing in main(): makes descriptors, signals and the closing of stdout
 * safe, and has all that is printed to stderr quoted.  The statuses are those of
 * the exit after wrong usage, and when stdout turns out at the end to have failed.
 */
void streams_start(const char *program, int usage_status, int failure_status);
/** One line on stderr: "PREFIX: TEXT". */
void streams_message(const char *prefix, const char *text);
/** stderr unquoted, for what moves the cursor on purpose, and argp's long texts. */
FILE *streams_raw_stderr(void);
/** From here on a reader of stdout that goes away ends the process, unless the caller ignores SIGPIPE. */
void streams_die_of_sigpipe(void);
/** Write out stdout; 0 or -errno. */
int streams_flush(void);
/** Write all of it to stdout, past the stdio buffer; 0 or -errno. */
int streams_write_stdout(const void *bytes, size_t length);

#endif
