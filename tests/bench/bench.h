/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rows of the bench share; each subject is one file. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>

#include "measure.h"

struct options {
	bool quick;		/* fewer repetitions, the same sizes */
	char directory[64];	/* for images, on tmpfs; removed at the end */
	const char *programs;	/* where the commands were built */
};
extern struct options options;

/* The smaller number with --quick. */
static inline int repeat(int normal, int quick)
{
	return options.quick ? quick : normal;
}

/* Say why the bench cannot go on, and end it: whatever was made goes away. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

enum goal { NO_GOAL, AT_MOST, AT_LEAST };

void report_head(void);
/* A line of the table: two subjects' times as a ratio. */
struct line {
	const char *what, *against;
	enum goal goal;
	double bound;		/* of the ratio a / b */
};
void report_pair(const struct line *line, const struct pair *pair);
/* For a gigabyte copied (a) and written (b): their bandwidths' ratio b / a is that of the times a / b. */
void report_bandwidth(const struct line *line, const struct pair *pair);
/* Times alone, whose median has to be below @most nanoseconds. */
void report_time_goal(const char *what, const struct series *series, double most);
/* A value as text with a verdict. */
void report_value(const char *what, const char *value, const char *against, const char *goal, bool met);
/* A row that cannot be measured here. */
void report_skipped(const char *what, const char *why);
/* A remark below a row. */
__attribute__((format(printf, 1, 2))) void report_note(const char *format, ...);

/* The rows. */
void bench_components(void);
void bench_small_write(void);
void bench_aligned_write(void);
void bench_peers(void);
void bench_stream(void);
void bench_open(void);
void bench_mkfs(void);
void bench_fragmented(void);
void bench_start(void);
void bench_clone(void);
void bench_many_extents(void);
void bench_check(void);
void bench_writers(void);
void bench_readers(void);
void bench_locks(void);
void bench_overwrite(void);
void bench_parts(void);
void bench_crowd(void);
void bench_dead_writer(void);
void bench_memory(void);
void bench_instructions(void);
/* In a process of its own, which callgrind looks at: the operations @name on the image @path. */
void instructions_operate(const char *name, const char *path);

#endif
