/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"

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

/* The library starts an operation anew where another writer got ahead of it. */
static void keep_step(void *arg, const struct cowdax_step *step)
{
	struct cli *cli = arg;

	if (step)
		report_step(&cli->report, step);
	else
		cli->report.step_count = 0;
}

/* A code of its own: the library would make room after -ENOSPC and try again. */
static int print_before_commit(void *arg, const struct cowdax_result *result)
{
	struct cli *cli = arg;

	(void)result;
	if (cli_report(cli) == 0)
		return 0;
	cli->error.code = -ECANCELED;
	return -ECANCELED;
}

void report_start(struct cli *cli, const char *path)
{
	cli->report.path = path;
	if (!cli_reports(cli))
		return;
	cli->report.result.step = keep_step;
	cli->report.result.step_arg = cli;
	if (!cli->commits_early)
		cli->report.result.ready = print_before_commit;
}

void report_release(struct report *report)
{
	free(report->steps);
}

const char *report_type_name(enum cowdax_iomap_type type)
{
	switch (type) {
	case COWDAX_HOLE:
		return "hole";
	case COWDAX_MAPPED:
		return "mapped";
	case COWDAX_UNWRITTEN:
		return "unwritten";
	}
	return "unknown";
}

static void json_flags(struct json *json, unsigned int flags)
{
	json_open(json, "flags", '[');
	if (flags & COWDAX_IOMAP_NEW)
		json_string(json, NULL, "new");
	if (flags & COWDAX_IOMAP_SHARED)
		json_string(json, NULL, "shared");
	json_close(json, ']');
}

const char *report_flags_text(unsigned int flags)
{
	static const char *const texts[] = { "-", "new", "shared", "new,shared" };

	return texts[flags & (COWDAX_IOMAP_NEW | COWDAX_IOMAP_SHARED)];
}

void report_json_iomap(struct json *json, const struct cowdax_iomap *map)
{
	json_number(json, "offset", map->offset);
	json_number(json, "length", map->length);
	if (map->type == COWDAX_HOLE)
		json_null(json, "address");
	else
		json_number(json, "address", map->address);
	json_string(json, "type", report_type_name(map->type));
	json_flags(json, map->flags);
}

static void json_member(struct json *json, const char *key, const struct cowdax_iomap *map)
{
	json_open(json, key, '{');
	report_json_iomap(json, map);
	json_close(json, '}');
}

/* A read has no destination: its steps carry an empty one. */
static void json_step(struct json *json, const struct cowdax_step *step)
{
	json_open(json, NULL, '{');
	json_number(json, "offset", step->offset);
	json_number(json, "length", step->length);
	if (step->destination.length)
		json_member(json, "destination", &step->destination);
	else
		json_null(json, "destination");
	if (step->has_source)
		json_member(json, "source", &step->source);
	else
		json_null(json, "source");
	json_close(json, '}');
}

static uint64_t transaction(const struct cli *cli)
{
	uint64_t number = cli->report.result.transaction;

	return number ? number : cowdax_transaction(cli->fs);
}

static void print_json(struct cli *cli)
{
	const struct report *report = &cli->report;
	const struct cowdax_result *result = &report->result;
	struct json json = json_begin(stdout, cli->verb->name);
	size_t i;

	json_name(&json, "path", report->path, strlen(report->path));
	json_number(&json, "inode", result->inode);
	json_number(&json, "transaction", transaction(cli));
	json_number(&json, "offset", result->offset);
	json_number(&json, "length", result->length);
	json_number(&json, "bytes_written", result->bytes_written);
	json_number(&json, "bytes_copied", result->bytes_copied);
	json_number(&json, "bytes_zeroed", result->bytes_zeroed);
	json_number(&json, "bytes_shared", result->bytes_shared);
	json_number(&json, "source_lookups", result->source_lookups);
	json_open(&json, "steps", '[');
	for (i = 0; i < report->step_count; i++)
		json_step(&json, &report->steps[i]);
	json_close(&json, ']');
	json_end(&json);
}

static void table_iomap(FILE *out, const char *role, const struct cowdax_iomap *map)
{
	char address[24] = "-";

	if (map->type != COWDAX_HOLE)
		snprintf(address, sizeof(address), "%" PRIu64, map->address);
	fprintf(out, "  %-11s %14" PRIu64 " %14" PRIu64 " %14s  %-9s  %s\n", role, map->offset,
		map->length, address, report_type_name(map->type), report_flags_text(map->flags));
}

static void table_step(FILE *out, const struct cowdax_step *step)
{
	fprintf(out, "%14" PRIu64 " %14" PRIu64, step->offset, step->length);
	if (step->destination.length)
		table_iomap(out, "destination", &step->destination);
	if (step->destination.length && step->has_source)
		fprintf(out, "%29s", "");
	if (step->has_source)
		table_iomap(out, "source", &step->source);
	if (!step->destination.length && !step->has_source)
		putc('\n', out);
}

static void print_table(struct cli *cli, FILE *out)
{
	const struct report *report = &cli->report;
	const struct cowdax_result *result = &report->result;
	size_t i;

	if (report->step_count)
		fprintf(out, "%14s %14s  %-11s %14s %14s %14s  %-9s  %s\n", "OFFSET", "LENGTH", "MAP",
			"OFFSET", "LENGTH", "ADDRESS", "TYPE", "FLAGS");
	for (i = 0; i < report->step_count; i++)
		table_step(out, &report->steps[i]);
	fprintf(out,
		"%s: inode %" PRIu64 ", transaction %" PRIu64 "%s: %" PRIu64
		" bytes written, %" PRIu64 " copied, %" PRIu64 " zeroed, %" PRIu64
		" shared; %" PRIu64 " source lookups\n",
		report->path, result->inode, transaction(cli),
		cli->dry_run ? " (dry run, nothing changed)" : "", result->bytes_written,
		result->bytes_copied, result->bytes_zeroed, result->bytes_shared,
		result->source_lookups);
}

void report_print(struct cli *cli, FILE *out)
{
	if (cli->json)
		print_json(cli);
	else
		print_table(cli, out);
}

void report_data(struct cli *cli)
{
	report_print(cli, stdout);
}

void report_names(struct cli *cli)
{
	struct json json;
	int i;

	if (!cli->json) {
		for (i = 0; i < cli->operand_count; i++)
			printf("%s: %s%s\n", cli->verb->name, cli->operands[i],
			       cli->dry_run ? " (dry run, nothing changed)" : "");
		return;
	}
	json = json_begin(stdout, cli->verb->name);
	json_open(&json, "paths", '[');
	for (i = 0; i < cli->operand_count; i++)
		json_name(&json, NULL, cli->operands[i], strlen(cli->operands[i]));
	json_close(&json, ']');
	json_number(&json, "transaction", transaction(cli));
	json_end(&json);
}
