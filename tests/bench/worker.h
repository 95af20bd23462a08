/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that work at the same time as others, in turns that they are told to begin. */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Shared by the worker's process and the one that started it. */
struct worker {
	void (*prepare)(void *subject);	/* in the worker's process, before its first turn; may be NULL */
	void (*operate)(void *subject);	/* again and again in a turn */
	void *subject;			/* whose copy the worker's process has */
	uint64_t most;			/* operations in a turn; 0: until it is told to stop */
	uint64_t pace;			/* nanoseconds that an operation takes at least; 0: as fast as it can */
	/* Of the turn under way, or the last. */
	_Atomic uint64_t operations;
	uint64_t started, ended;	/* set at its end */
	_Atomic bool stop, quit;
	int go, done;			/* the starter's ends of two pipes */
	pid_t pid;
};

/*
 * Start one, with what it does as in @how.  It is bound to a core, the
 * @core-th that may be used, counted round: two on one core are no two at once.
 */
struct worker *worker_start(const struct worker *how, int core);
/* The same for the calling process. */
void use_core(int core);
/* Begin a turn.  One without an end is surely under way when this returns. */
void worker_go(struct worker *worker);
/* Wait for its end, having told a turn without one to end. */
void worker_wait(struct worker *worker);
/* Let the process end. */
void worker_end(struct worker *worker);

#endif
