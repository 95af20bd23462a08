/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One operation after the other, and a crash at every fence of the last. */
#ifndef CRASH_SEQUENCE_H
#define CRASH_SEQUENCE_H

#include "judge.h"
#include "operation.h"

#define MAX_STEPS 4

struct step {
	const struct operation *operation;
	bool same_handle;		/* goes on with the handle of the step before */
	bool peer;			/* by a second handle, open since before the first step */
	size_t kill;			/* event at which its process dies, or NEVER */
	unsigned int eighths;		/* of that event, if it is a store */
};

struct sequence {
	const struct setup *setup;
	struct step step[MAX_STEPS];
	unsigned int steps;
};

/* As "mixed:drain@3.4,create+stage|punch": ',' is another process, '+' the same, '|' the peer, '@' where it dies. */
void sequence_print(FILE *file, const struct sequence *sequence);
bool sequence_parse(struct sequence *sequence, const char *text);

/* What to look at. */
struct view {
	unsigned int exhaustive;	/* lines in flight whose every subset is tried */
	uint64_t random;		/* random states at each fence */
	uint64_t most;			/* states at each fence; 0: no bound */
	uint64_t seed;
	int64_t only_fence, only_state;	/* -1: all */
};

/* What became of a step that nothing but its own death cut short. */
struct outcome {
	struct content content;		/* what can be seen after it */
	bool durable;			/* and must be seen from then on */
};

/* A setup, made once. */
struct base {
	unsigned char *bytes;
	struct content content;
	uint64_t older;			/* what the image before the newest shows */
};

struct runner {
	struct judge judge;
	struct view view;
	struct base *base;		/* for each setup */
	struct journal journal;
	struct outcome outcome[MAX_STEPS];
	struct flight flight;
	struct states states;
	uint64_t explored, fences;	/* states built; fences looked at */
	double deadline;		/* when to stop, by seconds(); 0: never */
};

void runner_init(struct runner *runner);
void runner_exit(struct runner *runner);
/* Run a sequence and judge every state of its last step; false, and told, when one is bad. */
bool run_sequence(struct runner *runner, const struct sequence *sequence);
/* Run without a crash: runner->journal then holds what happened. */
bool run_plainly(struct runner *runner, const struct sequence *sequence);
double seconds(void);

#endif
