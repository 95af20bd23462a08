// SPDX-License-Identifier: GPL-2.0-or-later
/* A worker's process: some commands, unless it is killed before, by others or by itself. */
#include "storm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "pmem/pmem.h"

#define TURNS 20

/* ---- killed by itself, at a call of the funnel ------------------------------------------ */

static uint64_t calls_left;	/* 0: it lives */

void __real_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void __real_cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length);
void __wrap_cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length);
int __real_cdx_pmem_fence(struct cdx_pmem *pm);
int __wrap_cdx_pmem_fence(struct cdx_pmem *pm);

static void count_call(void)
{
	if (calls_left && --calls_left == 0)
		raise(SIGKILL);
}

void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	count_call();
	__real_cdx_pmem_copy(pm, offset, bytes, length);
}

void __wrap_cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	count_call();
	__real_cdx_pmem_zero(pm, offset, length);
}

int __wrap_cdx_pmem_fence(struct cdx_pmem *pm)
{
	count_call();
	return __real_cdx_pmem_fence(pm);
}

/* ---- its life ------------------------------------------------------------------------------- */

static void change_own(struct storm *storm, unsigned int number, struct cowdax *fs, struct random *random)
{
	struct worker *worker = &storm->journal->worker[number];

	intend(worker, random, 256 + random_below(random, 1 << 30));
	atomic_store(&worker->state, perform(worker, number, fs) ? REFUSED : DONE);
	resolve(storm, number, fs);
}

/* The same image read twice, with others at work between: one commit. */
static void read_twice(struct storm *storm)
{
	uint64_t seen = tick(storm);
	struct cowdax *fs = open_image(storm, COWDAX_RDONLY);

	judge_shared(storm, fs, seen);
	judge_shared(storm, fs, seen);
	cowdax_close(fs);
}

static void take_turns(struct storm *storm, unsigned int number, struct cowdax *fs, struct random *random)
{
	for (int turn = 0; turn < TURNS && !atomic_load(&storm->journal->stop); turn++) {
		switch (random_below(random, 8)) {
		case 0:
			judge_shared(storm, fs, 0);
			break;
		case 1:
			read_twice(storm);
			break;
		case 2:
		case 3:
			write_shared(storm, &storm->journal->worker[number], fs, random);
			break;
		default:
			change_own(storm, number, fs, random);
			break;
		}
	}
}

_Noreturn void run_child(struct storm *storm, unsigned int number, uint64_t seed)
{
	struct worker *worker = &storm->journal->worker[number];
	struct random random = {seed};
	struct cowdax *fs;

	alarm(300);
	if (random_one_in(&random, 3))
		setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	fs = open_image(storm, random_one_in(&random, 8) ? COWDAX_NO_WAIT : 0);
	resolve(storm, number, fs);
	if (storm->programs && random_one_in(&random, 3)) {
		cowdax_close(fs);
		intend(worker, &random, random_below(&random, 256));
		become_program(storm, number);
	}
	if (random_one_in(&random, 2))
		calls_left = 1 + random_below(&random, 1 + random_below(&random, 400));
	take_turns(storm, number, fs, &random);
	cowdax_close(fs);
	exit(EXIT_SUCCESS);
}
