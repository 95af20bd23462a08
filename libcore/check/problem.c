// SPDX-License-Identifier: LGPL-2.1-or-later
#include "check/problem.h"

#include <errno.h>
#include <stdlib.h>

#include "check/check.h"

#define MAX_HELD 4096

const struct cdx_problem_info cdx_problem_table[CDX_P_COUNT] = {
#define P(id, code, severity, message) [CDX_P_##id] = {code, message, COWDAX_##severity},
	CDX_PROBLEMS(P)
#undef P
};

const char *cowdax_problem_code(size_t index, const char **message)
{
	if (index >= CDX_P_COUNT)
		return NULL;
	if (message)
		*message = cdx_problem_table[index].message;
	return cdx_problem_table[index].code;
}

static void emit(struct cdx_check *ck, enum cdx_problem problem, const struct cdx_finding *finding,
		 bool with_path)
{
	const struct cdx_problem_info *info = &cdx_problem_table[problem];
	unsigned int shift = ck->super.grains_per_block_shift;
	char *path;

	if (info->severity > COWDAX_NOTE) {
		ck->summary.problems++;
		ck->summary.clean = false;
	}
	if (!ck->options->problem)
		return;
	path = finding->inode && with_path ? cdx_check_path(ck, finding->inode) : NULL;
	ck->options->problem(ck->options->problem_arg, &(struct cowdax_problem){
		.code = info->code,
		.severity = info->severity,
		.message = info->message,
		.inode = finding->inode ? finding->inode : UINT64_MAX,
		.path = path,
		.block = finding->grains ? finding->grain >> shift : UINT64_MAX,
		.count = finding->grains ? ((finding->grain + finding->grains - 1) >> shift) -
					   (finding->grain >> shift) + 1 : UINT64_MAX,
		.found = finding->compared ? finding->found : UINT64_MAX,
		.expected = finding->compared ? finding->expected : UINT64_MAX,
	});
	free(path);
}

void cdx_report(struct cdx_check *ck, enum cdx_problem problem, const struct cdx_finding *finding)
{
	if (ck->holding && ck->held_count < MAX_HELD) {
		ck->held[ck->held_count++] = (struct cdx_held_finding){problem, *finding};
		return;
	}
	/* Too many to keep: this one goes out at once, without its path. */
	emit(ck, problem, finding, !ck->holding);
}

int cdx_report_hold(struct cdx_check *ck)
{
	ck->held = malloc(MAX_HELD * sizeof(*ck->held));
	if (!ck->held)
		return -ENOMEM;
	ck->holding = true;
	return 0;
}

void cdx_report_release(struct cdx_check *ck)
{
	ck->holding = false;
	for (size_t i = 0; i < ck->held_count; i++)
		emit(ck, ck->held[i].problem, &ck->held[i].finding, true);
	free(ck->held);
	ck->held = NULL;
	ck->held_count = 0;
}

void cdx_check_progress(struct cdx_check *ck, int pass, uint64_t current, uint64_t maximum)
{
	if (!ck->options->progress)
		return;
	if (maximum == 0)
		maximum = 1;
	ck->options->progress(ck->options->progress_arg, pass,
			      current < maximum ? current : maximum, maximum);
}
