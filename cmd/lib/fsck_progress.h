/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far the checker is: lines for a program that asked with -C FD, or a bar. */
#ifndef FSCK_PROGRESS_H
#define FSCK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct fsck_progress {
	bool wanted;
	int fd;			/* 0: a bar on stderr, if that is a terminal */
	bool bar_off, bar_shown;
	char *image;		/* quoted: a name must not forge a line */
};

/** Before the rest; 0 or -ENOMEM. */
int fsck_progress_start(struct fsck_progress *progress, const char *image, bool quiet);
void fsck_progress_update(struct fsck_progress *progress, int pass, uint64_t current,
			  uint64_t maximum);
/** Wipe the bar, before anything else is printed. */
void fsck_progress_wipe(struct fsck_progress *progress);
void fsck_progress_release(struct fsck_progress *progress);

#endif
