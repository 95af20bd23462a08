/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a data operation did, as a table or as JSON. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cowdax.h"

struct cli;
struct json;

struct report {
	const char *path;		/* the file changed, or read */
	struct cowdax_result result;	/* hand it to the library */
	struct cowdax_step *steps;	/* kept until the end: the totals come first */
	size_t step_count, step_room;
	bool no_memory;			/* steps were lost */
	bool printed;
};

/** When it is going to be printed: have the steps kept, and all printed before the commit. */
void report_start(struct cli *cli, const char *path);
/** Keep one step. */
void report_step(struct report *report, const struct cowdax_step *step);
/** Print the report; to @out as a table, to stdout as JSON. */
void report_print(struct cli *cli, FILE *out);
/** The same to stdout: a verb's report(). */
void report_data(struct cli *cli);
/** The names that a verb made or removed, to stdout: a verb's report(). */
void report_names(struct cli *cli);
void report_release(struct report *report);

/** "hole", "mapped" or "unwritten". */
const char *report_type_name(enum cowdax_iomap_type type);
/** The members of an iomap, into an object that is open. */
void report_json_iomap(struct json *json, const struct cowdax_iomap *map);
/** The flags of an iomap, for people: "new,shared", or "-". */
const char *report_flags_text(unsigned int flags);

#endif
