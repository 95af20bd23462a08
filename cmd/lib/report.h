/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command did to data or names, as a table or as JSON. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cowdax.h"

struct report {
	const char *path;		/* the file changed, or read */
	struct cowdax_result result;	/* hand it to the library */
	struct cowdax_step *steps;	/* kept until the end: the totals come first */
	size_t step_count, step_room;
	bool no_memory;			/* steps were lost */
	bool printed;
};

/** What a report says of the command that it is about. */
struct report_about {
	const char *command;
	uint64_t transaction;		/* 0: none that can be told yet */
	bool changes;			/* not only looks */
	bool dry_run;
	bool json;
};

/** Keep one step. */
void report_step(struct report *report, const struct cowdax_step *step);
/** What was done to the data of report->path; to @out as a table, to stdout as JSON. */
void report_data(const struct report *report, const struct report_about *about, FILE *out);
/** The names that were made or removed, to stdout. */
void report_names(char *const *names, int count, const struct report_about *about);
void report_release(struct report *report);

#endif
