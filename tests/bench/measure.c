// SPDX-License-Identifier: GPL-2.0-or-later
#include "measure.h"

#include <stdlib.h>
#include <time.h>

#include "bench.h"

static double clock_cost;

uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void calibrate_clock(void)
{
	struct series series = {0};

	for (int i = 0; i < 10000; i++) {
		uint64_t started = now();

		series_add(&series, (double)(now() - started));
	}
	clock_cost = series_median(&series);
	series_clear(&series);
}

uint64_t random_below(uint64_t limit)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % limit;
}

void series_add(struct series *series, double value)
{
	if (series->count == series->room) {
		series->room = series->room ? 2 * series->room : 64;
		series->value = realloc(series->value, series->room * sizeof(double));
		if (!series->value)
			die("out of memory");
	}
	series->value[series->count++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double series_quantile(const struct series *series, double part)
{
	double at = part * (double)(series->count - 1);
	size_t below = (size_t)at;

	if (series->count == 0)
		return 0;
	qsort(series->value, series->count, sizeof(double), compare);
	if (below + 1 >= series->count)
		return series->value[series->count - 1];
	return series->value[below] + (at - (double)below) * (series->value[below + 1] - series->value[below]);
}

double series_median(const struct series *series)
{
	return series_quantile(series, 0.5);
}

double series_mean(const struct series *series)
{
	double sum = 0;

	for (size_t i = 0; i < series->count; i++)
		sum += series->value[i];
	return series->count ? sum / (double)series->count : 0;
}

void series_clear(struct series *series)
{
	free(series->value);
	*series = (struct series){0};
}

void side_add_time(struct side *side, double nanoseconds)
{
	series_add(&side->batch, nanoseconds);
}

void side_add(struct side *side, uint64_t started)
{
	double taken = (double)(now() - started) - clock_cost;

	side_add_time(side, taken < 1 ? 1 : taken);
}

void pair_end_batch(struct pair *pair)
{
	double a = series_median(&pair->a.batch), b = series_median(&pair->b.batch);

	series_add(&pair->a.medians, a);
	series_add(&pair->b.medians, b);
	series_add(&pair->ratios, a / b);
	series_add(&pair->mean_ratios, series_mean(&pair->a.batch) / series_mean(&pair->b.batch));
	pair->a.batch.count = 0;
	pair->b.batch.count = 0;
}

static void side_clear(struct side *side)
{
	series_clear(&side->batch);
	series_clear(&side->medians);
}

void pair_clear(struct pair *pair)
{
	side_clear(&pair->a);
	side_clear(&pair->b);
	series_clear(&pair->ratios);
	series_clear(&pair->mean_ratios);
}
