/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of a command: the two maps of every step (ARCHITECTURE 1), and the sums. */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "iomap_print.h"
#include "json.h"
#include "quote.h"

void report_step(struct report *report, const struct cowdax_step *step)
{
	if (report->step_count == report->step_room) {
		size_t room = report->step_room ? 2 * report->step_room : 16;
		void *steps = reallocarray(report->steps, room, sizeof(*report->steps));

		if (!steps) {
			report->no_memory = true;
			return;
		}
		report->steps = steps;
		report->step_room = room;
	}
	report->steps[report->step_count++] = *step;
}

void report_release(struct report *report)
{
	free(report->steps);
}

static void about_json(struct json *json, const struct report_about *about)
{
	json_transaction(json, about->transaction);
	if (about->changes)
		json_bool(json, "dry_run", about->dry_run);
}

static void data_json(const struct report *report, const struct report_about *about)
{
	const struct cowdax_result *result = &report->result;
	struct json json = json_begin(stdout, about->command);
	size_t i;

	json_name(&json, "path", report->path, strlen(report->path));
	json_number(&json, "inode", result->inode);
	about_json(&json, about);
	json_number(&json, "offset", result->offset);
	json_number(&json, "length", result->length);
	json_number(&json, "bytes_written", result->bytes_written);
	json_number(&json, "bytes_copied", result->bytes_copied);
	json_number(&json, "bytes_zeroed", result->bytes_zeroed);
	json_number(&json, "bytes_shared", result->bytes_shared);
	json_number(&json, "source_lookups", result->source_lookups);
	json_open(&json, "steps", '[');
	for (i = 0; i < report->step_count; i++)
		iomap_json_step(&json, &report->steps[i]);
	json_close(&json, ']');
	json_end(&json);
}

static const char *dry_run_remark(const struct report_about *about)
{
	return about->dry_run ? " (dry run, nothing changed)" : "";
}

static void data_table(const struct report *report, const struct report_about *about, FILE *out)
{
	const struct cowdax_result *result = &report->result;
	size_t i;

	if (report->step_count)
		iomap_table_head(out);
	for (i = 0; i < report->step_count; i++)
		iomap_table_step(out, &report->steps[i]);
	quote_print(out, report->path);
	fprintf(out, ": inode %" PRIu64, result->inode);
	if (about->transaction)
		fprintf(out, ", transaction %" PRIu64, about->transaction);
	fprintf(out,
		"%s: %" PRIu64 " bytes written, %" PRIu64 " copied, %" PRIu64 " zeroed, %" PRIu64
		" shared; %" PRIu64 " source lookups\n",
		dry_run_remark(about), result->bytes_written, result->bytes_copied,
		result->bytes_zeroed, result->bytes_shared, result->source_lookups);
}

void report_data(const struct report *report, const struct report_about *about, FILE *out)
{
	if (about->json)
		data_json(report, about);
	else
		data_table(report, about, out);
}

static void names_json(char *const *names, int count, const struct report_about *about)
{
	struct json json = json_begin(stdout, about->command);

	json_names(&json, "paths", names, count);
	about_json(&json, about);
	json_end(&json);
}

void report_names(char *const *names, int count, const struct report_about *about)
{
	int i;

	if (about->json) {
		names_json(names, count, about);
		return;
	}
	for (i = 0; i < count; i++) {
		printf("%s: ", about->command);
		quote_print(stdout, names[i]);
		printf("%s\n", dry_run_remark(about));
	}
}
