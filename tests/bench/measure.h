/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times, and what is said of them. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of a clock that only goes forward. */
uint64_t now(void);
/* What reading the clock twice costs; taken off what is timed one by one. */
void calibrate_clock(void);

/* Random numbers: the same in every run. */
uint64_t random_below(uint64_t limit);

struct series {
	double *value;
	size_t count, room;
};
void series_add(struct series *series, double value);
/* Linear between neighbours; @part is 0 to 1. */
double series_quantile(const struct series *series, double part);
double series_median(const struct series *series);
double series_mean(const struct series *series);
void series_clear(struct series *series);

/*
 * One subject of a comparison.  Every operation is timed alone; a batch's median
 * is one value, and its mean another, because a cost that comes only now and then
 * does not show in the median.  Of both, the median over the batches is reported:
 * a moment in which the machine did something else spoils one batch only.
 */
struct side {
	struct series batch;	/* of operations under way: nanoseconds */
	struct series medians;	/* of each batch */
};
void side_add(struct side *side, uint64_t started);
/* One that took @nanoseconds. */
void side_add_time(struct side *side, double nanoseconds);

/* Two subjects, measured in turn: A B A B ... */
struct pair {
	struct side a, b;
	struct series ratios;	/* a / b, of each batch's medians */
	struct series mean_ratios;	/* and of its means */
};
/* Both have had their turn. */
void pair_end_batch(struct pair *pair);
void pair_clear(struct pair *pair);

#endif
