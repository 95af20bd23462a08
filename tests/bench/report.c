// SPDX-License-Identifier: GPL-2.0-or-later
/* The table. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define WHAT 53		/* columns */

static const char *time_text(char *text, size_t room, double nanoseconds)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	int unit = 0;

	for (; nanoseconds >= 1000 && unit < 3; unit++)
		nanoseconds /= 1000;
	snprintf(text, room, "%.*f %s", nanoseconds < 10 ? 2 : nanoseconds < 100 ? 1 : 0, nanoseconds,
		 units[unit]);
	return text;
}

static const char *ratio_text(char *text, size_t room, double ratio)
{
	snprintf(text, room, "%.*f", ratio < 100 ? 2 : 0, ratio);
	return text;
}

static void print_row(const char *what, const char *measured, const char *against, const char *ratio,
		      const char *spread, const char *mean, const char *goal)
{
	printf("%-*s %-15s %-32s %7s %18s %8s  %s\n", WHAT, what, measured, against, ratio, spread, mean,
	       goal);
	fflush(stdout);
}

void report_head(void)
{
	print_row("what", "measured", "against", "ratio", "p25 .. p75", "by mean", "goal");
}

static bool meets(enum goal goal, double bound, double value)
{
	return goal == AT_MOST ? value <= bound : value >= bound;
}

/* Goals are held against medians; a mean that is more than a tenth off has to meet them too. */
static void print_pair(const struct line *line, const struct pair *pair, const char *measured,
		       const char *against)
{
	char ratio[16], low[16], high[16], spread[40], mean[16] = "", goal[48] = "";
	double median = series_median(&pair->ratios), by_mean = series_median(&pair->mean_ratios);
	bool mean_differs = by_mean > 1.1 * median || by_mean < 0.9 * median;
	const char *verdict = "met";

	ratio_text(ratio, sizeof(ratio), median);
	snprintf(spread, sizeof(spread), "%s .. %s",
		 ratio_text(low, sizeof(low), series_quantile(&pair->ratios, 0.25)),
		 ratio_text(high, sizeof(high), series_quantile(&pair->ratios, 0.75)));
	if (mean_differs)
		ratio_text(mean, sizeof(mean), by_mean);
	if (line->goal) {
		if (!meets(line->goal, line->bound, median))
			verdict = "MISSED";
		else if (mean_differs && !meets(line->goal, line->bound, by_mean))
			verdict = "met, MISSED by mean";
		snprintf(goal, sizeof(goal), "%s %g: %s", line->goal == AT_MOST ? "<=" : ">=", line->bound,
			 verdict);
	}
	print_row(line->what, measured, against, ratio, spread, mean, goal);
}

void report_pair(const struct line *line, const struct pair *pair)
{
	char measured[32], against[64], time[32];

	time_text(measured, sizeof(measured), series_median(&pair->a.medians));
	snprintf(against, sizeof(against), "%s (%s)",
		 time_text(time, sizeof(time), series_median(&pair->b.medians)), line->against);
	print_pair(line, pair, measured, against);
}

void report_bandwidth(const struct line *line, const struct pair *pair)
{
	char measured[32], against[64];

	snprintf(measured, sizeof(measured), "%.1f GiB/s", 1e9 / series_median(&pair->b.medians));
	snprintf(against, sizeof(against), "%.1f GiB/s (%s)", 1e9 / series_median(&pair->a.medians),
		 line->against);
	print_pair(line, pair, measured, against);
}

void report_time_goal(const char *what, const struct series *series, double most)
{
	char measured[32], low[32], high[32], spread[72], limit[32], goal[64];
	double median = series_median(series);

	time_text(measured, sizeof(measured), median);
	snprintf(spread, sizeof(spread), "%s .. %s", time_text(low, sizeof(low), series_quantile(series, 0.25)),
		 time_text(high, sizeof(high), series_quantile(series, 0.75)));
	snprintf(goal, sizeof(goal), "<= %s: %s", time_text(limit, sizeof(limit), most),
		 median <= most ? "met" : "MISSED");
	print_row(what, measured, "", "", spread, "", goal);
}

void report_value(const char *what, const char *value, const char *against, const char *goal, bool met)
{
	char text[64] = "";

	if (goal)
		snprintf(text, sizeof(text), "%s: %s", goal, met ? "met" : "MISSED");
	print_row(what, value, against, "", "", "", text);
}

void report_skipped(const char *what, const char *why)
{
	printf("%-*s skipped: %s\n", WHAT, what, why);
	fflush(stdout);
}

void report_note(const char *format, ...)
{
	va_list args;

	printf("    ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}
