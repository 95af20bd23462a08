// SPDX-License-Identifier: GPL-2.0-or-later
/* What is left after a cut, against the journal; the same on the host and in the guest. */
#include "power.h"

#include <inttypes.h>
#include <stdio.h>

#define HUGE_PAGE (UINT64_C(2) << 20)

static size_t journal_size(void)
{
	return (sizeof(struct journal) + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

struct journal *journal_of(void *journals, unsigned int index)
{
	return (struct journal *)((char *)journals + index * journal_size());
}

size_t journals_size(void)
{
	return IMAGES * journal_size();
}

/* ---- counting ----------------------------------------------------------------------------- */

struct tally tally_of(const struct storm *storm)
{
	const struct journal *journal = storm->journal;
	struct tally tally = {0};

	for (unsigned int number = 0; number < WORKERS; number++) {
		const struct worker *worker = &journal->worker[number];

		tally.done += worker->done + (worker->state == DONE);
		tally.refused += worker->refused + (worker->state == REFUSED);
		tally.whole += worker->kept;
		tally.absent += worker->dropped;
		tally.shared_in_flight += worker->version != 0;
	}
	for (uint64_t version = 1; version <= journal->versions; version++)
		tally.shared += journal->shared[version].acknowledged;
	return tally;
}

/* ---- judging ------------------------------------------------------------------------------ */

static void print_problem(void *arg, const struct cowdax_problem *problem)
{
	const struct storm *storm = arg;

	printf("# %s: %s: %s (block %" PRIu64 ", count %" PRIu64 ", found %" PRIu64
	       ", expected %" PRIu64 ")\n", storm->image, problem->code, problem->message,
	       problem->block, problem->count, problem->found, problem->expected);
}

static void check_clean(struct storm *storm, uint64_t fs_offset)
{
	struct cowdax_check_options options = {
		.fs_offset = fs_offset, .check_data = true,
		.problem = print_problem, .problem_arg = storm,
	};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	if (cowdax_check(storm->image, &options, &summary, &error))
		fail("%s", error.text);
	if (!summary.clean)
		fail("%s is not clean", storm->image);
}

static int count_name(void *arg, const struct cowdax_dirent *entry)
{
	unsigned int *names = arg;

	(void)entry;
	(*names)++;
	return 0;
}

/* Each name that should be there has been found: there must be no other. */
static void judge_names(struct storm *storm, struct cowdax *fs)
{
	unsigned int names = 0, expected = 1;	/* the shared file */
	struct cowdax_error error;

	for (unsigned int number = 0; number < WORKERS; number++)
		for (unsigned int file = 0; file < FILES; file++)
			expected += storm->journal->worker[number].now[file].exists;
	if (cowdax_list(fs, COWDAX_ROOT_INODE, count_name, &names, &error))
		fail("%s", error.text);
	if (names != expected)
		fail("%s has %u files, not %u", storm->image, names, expected);
}

void judge_image(struct storm *storm, uint64_t fs_offset)
{
	struct cowdax_open_options options = {.flags = COWDAX_RDONLY, .fs_offset = fs_offset};
	struct cowdax_error error;
	struct cowdax *fs;

	check_clean(storm, fs_offset);
	if (cowdax_open(storm->image, &options, &fs, &error))
		fail("%s", error.text);
	for (unsigned int number = 0; number < ACTIVE; number++) {
		end_shared(storm, &storm->journal->worker[number]);
		judge_files(storm, number, fs);
	}
	judge_shared(storm, fs, 0);
	judge_names(storm, fs);
	cowdax_close(fs);
}
