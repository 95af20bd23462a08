/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The progress line; it is not for logs, so only a terminal gets one. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "number.h"
#include "streams.h"

static double seconds_between(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

static void show(const struct progress *progress, uint64_t done, uint64_t total)
{
	char done_text[NUMBER_TEXT_MAX], total_text[NUMBER_TEXT_MAX], rate_text[NUMBER_TEXT_MAX];
	double seconds = seconds_between(&progress->start, &progress->last);

	number_human(done, done_text);
	number_human((uint64_t)((double)done / seconds), rate_text);
	if (total)
		fprintf(streams_raw_stderr(), "\r%3.0f%%  %s of %s  %s/s\033[K", 100.0 * (double)done / (double)total,
			done_text, number_human(total, total_text), rate_text);
	else
		fprintf(streams_raw_stderr(), "\r%s  %s/s\033[K", done_text, rate_text);
}

void progress_update(struct progress *progress, uint64_t done, uint64_t total)
{
	struct timespec now;

	if (progress->off)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (progress->start.tv_sec == 0 && progress->start.tv_nsec == 0)
		progress->start = progress->last = now;
	if (seconds_between(&progress->start, &now) < 1 ||
	    seconds_between(&progress->last, &now) < 0.2)
		return;
	if (!progress->shown && !isatty(STDERR_FILENO)) {
		progress->off = true;
		return;
	}
	progress->last = now;
	progress->shown = true;
	show(progress, done, total);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fprintf(streams_raw_stderr(), "\r\033[K");
	progress->shown = false;
}
