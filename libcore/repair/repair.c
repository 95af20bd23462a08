// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Repair: check, mend, check again.  That something is fixed is never claimed by who mends
 * it: the second check does not find it any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "check/check.h"
#include "check/recount.h"
#include "repair/media.h"

/* What is mended is found first, in pass 1: so many are kept, and the others told of at once. */
#define MOST_FINDINGS 4096

/* Findings of one check, in its order. */
struct findings {
	struct cowdax_problem *problem;
	size_t n;
	const struct cowdax_check_options *others;	/* who is told of those that are not kept, or NULL */
	uint64_t not_kept;
	bool failed;			/* for want of memory */
};

static void forget(struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++)
		free((char *)(uintptr_t)findings->problem[i].path);
	free(findings->problem);
}

static void keep(void *arg, const struct cowdax_problem *problem)
{
	struct findings *findings = arg;
	char *path;

	if (findings->n == MOST_FINDINGS) {
		findings->not_kept++;
		if (findings->others && findings->others->problem)
			findings->others->problem(findings->others->problem_arg, problem);
		return;
	}
	path = problem->path ? strdup(problem->path) : NULL;
	findings->failed |= problem->path && !path;
	findings->problem[findings->n] = *problem;
	findings->problem[findings->n++].path = path;
}

static const struct cdx_problem_info *info_of(const struct cowdax_problem *problem)
{
	const struct cdx_problem_info *info = cdx_problem_table;

	while (strcmp(info->code, problem->code) != 0)
		info++;
	return info;
}

/*
 * Whether there is anything that would be mended, in what is checked first or by a commit; and
 * whether there may be one: not where it would build on damage, nor give up what nobody chose to.
 */
static bool judge(const struct findings *findings, bool choose, bool beyond, bool *commit)
{
	bool any = false;

	*commit = !beyond;
	for (size_t i = 0; i < findings->n; i++) {
		enum cdx_mending mending = info_of(&findings->problem[i])->mending;

		if (findings->problem[i].severity == COWDAX_NOTE)
			continue;
		any = any || mending == CDX_SAFE || (mending == CDX_CHOICE && choose) ||
		      (mending == CDX_IN_SPACE && !beyond);
		*commit = *commit && (mending != CDX_CHOICE || choose);
	}
	return any;
}

/* What the check leaves for the repair. */
struct checked {
	bool beyond;
	struct cdx_recount recount;
};

static int take_counts(void *arg, struct cdx_check *ck)
{
	struct checked *checked = arg;
	int ret = 0;

	checked->beyond = ck->beyond;
	if (!ck->beyond && !ck->summary.clean)
		ret = cdx_check_recount(ck, &checked->recount);
	checked->beyond |= ret == -EUCLEAN;
	return ret == -EUCLEAN ? 0 : ret;
}

static bool same(const struct cowdax_problem *a, const struct cowdax_problem *b)
{
	return strcmp(a->code, b->code) == 0 && a->inode == b->inode && a->block == b->block &&
	       a->count == b->count && a->found == b->found && a->expected == b->expected;
}

static bool has(const struct findings *findings, const struct cowdax_problem *problem)
{
	for (size_t i = 0; i < findings->n; i++)
		if (same(&findings->problem[i], problem))
			return true;
	return false;
}

/* Tell of all that were found before, with what has become of them, and of what there is only now. */
static uint64_t tell(const struct cowdax_check_options *options, struct findings *before, const struct findings *now)
{
	uint64_t fixed = 0;

	for (size_t i = 0; i < before->n; i++) {
		struct cowdax_problem *problem = &before->problem[i];

		problem->fixed = now && !has(now, problem);
		fixed += problem->fixed && problem->severity > COWDAX_NOTE;
		if (options->problem)
			options->problem(options->problem_arg, problem);
	}
	for (size_t i = 0; now && options->problem && i < now->n; i++)
		if (!has(before, &now->problem[i]))
			options->problem(options->problem_arg, &now->problem[i]);
	return fixed;
}

/* @checked is NULL where nothing is going to be repaired after it. */
static int check(const char *path, const struct cowdax_check_options *options, struct findings *findings,
		 struct checked *checked, struct cowdax_check_summary *summary, struct cowdax_error *error)
{
	struct cowdax_check_options how = *options;
	int ret;

	findings->problem = malloc(MOST_FINDINGS * sizeof(*findings->problem));
	if (!findings->problem)
		return -ENOMEM;
	how.problem = keep;
	how.problem_arg = findings;
	ret = cdx_check_image(path, &how, checked ? take_counts : NULL, checked, summary, error);
	return ret || !findings->failed ? ret : -ENOMEM;
}

/* Whether any problem is one of the space tree's, which then is made anew. */
static bool wants_recount(const struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct cdx_problem_info *info = info_of(&findings->problem[i]);

		if (info->severity > COWDAX_NOTE && (info->pass == 5 || info->mending == CDX_IN_SPACE))
			return true;
	}
	return findings->not_kept;
}

static int mend(const char *path, const struct cowdax_repair_options *options, struct findings *before,
		struct checked *checked, struct cowdax_check_summary *summary, struct cowdax_error *error)
{
	struct cdx_repair_media what = {
		.fs_offset = options->check.fs_offset,
		.backup_super = options->check.backup_super,
		.choose = options->choose,
		.recount = wants_recount(before) ? &checked->recount : NULL,
		.transaction = summary->transaction,
	};
	struct findings now = {0};
	bool any = judge(before, options->choose, checked->beyond, &what.commit);
	int ret = any ? cdx_repair_media(path, &what, error) : 0;

	if (any && !ret)
		ret = check(path, &options->check, &now, NULL, summary, error);
	/* Of those that were found before it is told what has become of them, whatever else has happened. */
	summary->fixed = tell(&options->check, before, any && !ret ? &now : NULL);
	summary->problems += summary->fixed;
	forget(&now);
	return ret;
}

int cowdax_repair(const char *path, const struct cowdax_repair_options *options,
		  struct cowdax_check_summary *summary, struct cowdax_error *error)
{
	struct findings before = {.others = &options->check};
	struct checked checked = {.beyond = true};	/* as long as not all has been looked at */
	int ret;

	cdx_error_begin(error);
	ret = check(path, &options->check, &before, &checked, summary, error);
	if (!ret)
		ret = mend(path, options, &before, &checked, summary, error);
	free(checked.recount.run);
	forget(&before);
	return cdx_error_end(error, ret, path);
}
