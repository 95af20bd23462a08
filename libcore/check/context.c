// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Findings on their way to whoever asked for the check.  Those about an inode
 * are told with its path, which is known when all names have been read: until
 * then they are held back.
 */
#include "check/context.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_HELD 4096

struct cdx_held_finding {
	enum cdx_problem problem;
	struct cdx_finding finding;
};

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
	path = finding->inode && with_path ? ck->path(ck->path_arg, finding->inode) : NULL;
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
	const struct cdx_problem_info *info = &cdx_problem_table[problem];

	if (info->severity > COWDAX_NOTE &&
	    (info->mending == CDX_LEFT || (info->mending == CDX_IN_SPACE && !ck->in_space)))
		ck->beyond = true;
	if (ck->held && ck->held_count < MAX_HELD) {
		ck->held[ck->held_count++] = (struct cdx_held_finding){problem, *finding};
		return;
	}
	/* Too many to keep: this one goes out at once, without its path. */
	emit(ck, problem, finding, !ck->held);
}

int cdx_report_hold(struct cdx_check *ck)
{
	ck->held = malloc(MAX_HELD * sizeof(*ck->held));
	return ck->held ? 0 : -ENOMEM;
}

void cdx_report_release(struct cdx_check *ck)
{
	struct cdx_held_finding *held = ck->held;

	ck->held = NULL;
	for (size_t i = 0; i < ck->held_count; i++)
		emit(ck, held[i].problem, &held[i].finding, true);
	free(held);
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

bool cdx_all_zero(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	while (length--) {
		if (*at++)
			return false;
	}
	return true;
}
