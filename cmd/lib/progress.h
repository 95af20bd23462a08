/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A progress line on stderr, for long work only, and only on a terminal. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct progress {
	bool off;			/* set it for --quiet */
	bool shown;
	struct timespec start, last;
};

/** So much is @done of @total bytes (0: unknown). */
void progress_update(struct progress *progress, uint64_t done, uint64_t total);
/** Wipe the line, before anything else is printed. */
void progress_end(struct progress *progress);

#endif
