/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of a configuration from a seed, and what to do when it fails. */
#ifndef MODEL_RUN_H
#define MODEL_RUN_H

#include "op.h"

/* Operations of each configuration when nothing else is asked for; sanitizers are slow. */
#if defined(__SANITIZE_ADDRESS__)
#define RUN_OPS 1000
#else
#define RUN_OPS 8000
#endif

struct run {
	const struct config *config;
	uint64_t seed, ops, check_every;
	/* results */
	uint64_t done;			/* operations, the one that failed included */
	uint64_t full;			/* of these, refused for want of space */
};

/* Prints what is wrong and the last operations, if anything is. */
bool run_all(struct run *run);
/* Look for fewer operations that fail, too; prints them. */
void run_shrink(const struct run *run);

#endif
