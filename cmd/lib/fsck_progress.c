/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Progress as fsck(8) wants it of its checkers. */
#include "fsck_progress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quote.h"
#include "streams.h"

int fsck_progress_start(struct fsck_progress *progress, const char *image, bool quiet)
{
	size_t length = strlen(image);

	progress->image = malloc(QUOTE_ROOM(length));
	if (!progress->image)
		return -ENOMEM;
	quote_copy(progress->image, image, length);
	progress->bar_off = quiet || !isatty(STDERR_FILENO);
	return 0;
}

void fsck_progress_update(struct fsck_progress *progress, int pass, uint64_t current,
			  uint64_t maximum)
{
	if (progress->fd) {
		dprintf(progress->fd, "%d %" PRIu64 " %" PRIu64 " %s\n", pass, current, maximum,
			progress->image);
		return;
	}
	if (progress->bar_off)
		return;
	progress->bar_shown = true;
	fprintf(streams_raw_stderr(), "\rpass %d of 5: %3.0f%%\033[K", pass,
		maximum ? 100.0 * (double)current / (double)maximum : 100.0);
}

void fsck_progress_wipe(struct fsck_progress *progress)
{
	if (progress->bar_shown)
		fprintf(streams_raw_stderr(), "\r\033[K");
	progress->bar_shown = false;
}

void fsck_progress_release(struct fsck_progress *progress)
{
	free(progress->image);
}
