/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the checker found, for people or as JSON Lines: stable codes, one line a problem. */
#include "fsck_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "quote.h"

static void json_number_or_null(struct json *json, const char *key, uint64_t number)
{
	if (number == UINT64_MAX)
		json_null(json, key);
	else
		json_number(json, key, number);
}

static void problem_json(const struct cowdax_problem *problem)
{
	static const char *const severities[] = { "note", "warning", "error" };
	struct json json = json_begin(stdout, "fsck");

	json_string(&json, "code", problem->code);
	json_string(&json, "severity", severities[problem->severity]);
	json_number_or_null(&json, "inode", problem->inode);
	if (problem->path)
		json_name(&json, "path", problem->path, strlen(problem->path));
	else
		json_null(&json, "path");
	json_number_or_null(&json, "block", problem->block);
	json_number_or_null(&json, "count", problem->count);
	json_number_or_null(&json, "found", problem->found);
	json_number_or_null(&json, "expected", problem->expected);
	json_string(&json, "action", problem->fixed ? "fixed" : "none");
	json_end(&json);
}

static void print_fact(const char *name, uint64_t number)
{
	if (number != UINT64_MAX)
		printf(", %s %" PRIu64, name, number);
}

static void problem_text(const char *image, const struct cowdax_problem *problem)
{
	quote_print(stdout, image);
	printf(": %s: %s", problem->code, problem->message);
	print_fact("inode", problem->inode);
	if (problem->path) {
		printf(", path ");
		quote_print(stdout, problem->path);
	}
	print_fact("block", problem->block);
	print_fact("count", problem->count);
	print_fact("found", problem->found);
	print_fact("expected", problem->expected);
	puts(problem->fixed ? ": fixed" : "");
}

void fsck_report_problem(const char *image, const struct cowdax_problem *problem, bool json)
{
	if (json)
		problem_json(problem);
	else
		problem_text(image, problem);
}

static void summary_json(const char *image, const struct cowdax_check_summary *summary)
{
	struct json json = json_begin(stdout, "fsck");

	json_name(&json, "image", image, strlen(image));
	json_bool(&json, "clean", summary->clean);
	json_number(&json, "transaction", summary->transaction);
	json_number(&json, "blocks", summary->blocks);
	json_number(&json, "inodes", summary->inodes);
	json_number(&json, "extents", summary->extents);
	json_number(&json, "shared_extents", summary->shared_extents);
	json_number(&json, "borrowing_nodes", summary->borrowing_nodes);
	json_number(&json, "hidden_blocks", summary->hidden_blocks);
	json_number(&json, "nodes", summary->nodes);
	json_number(&json, "problems", summary->problems);
	json_number(&json, "fixed", summary->fixed);
	json_end(&json);
}

static void summary_text(const char *image, const struct cowdax_check_summary *summary)
{
	if (summary->problems) {
		quote_print(stdout, image);
		printf(": %" PRIu64 " problems, %" PRIu64 " of them fixed\n", summary->problems, summary->fixed);
	}
	quote_print(stdout, image);
	printf(": %s: transaction %" PRIu64 ", %" PRIu64 " blocks, %" PRIu64 " inodes, %" PRIu64
	       " extents (%" PRIu64 " shared), %" PRIu64 " nodes\n",
	       summary->clean ? "clean" : "damaged", summary->transaction, summary->blocks,
	       summary->inodes, summary->extents, summary->shared_extents, summary->nodes);
}

void fsck_report_summary(const char *image, const struct cowdax_check_summary *summary, bool json)
{
	if (json)
		summary_json(image, summary);
	else
		summary_text(image, summary);
}
