/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first use of an image after a crash. */
#ifndef CRASH_USE_H
#define CRASH_USE_H

#include "content.h"
#include "media.h"

/* Called after each operation, when what can be seen may have changed. */
typedef void use_step_fn(void *arg);

struct use {
	const char *file, *clone;	/* to be made */
	bool full;			/* the first things may fail for lack of space */
	use_step_fn *step;		/* may be NULL */
	void *step_arg;
	char *why;			/* what went wrong */
	size_t why_room;
};

/*
 * Create, write, clone, remove everything, and see that all space has come back.
 * False when something does not work.
 */
bool use_image(struct use *use);
/* The checker has nothing to say; but for notes, which a crash explains, if @crashed. */
bool check_image(bool crashed, uint64_t *nodes, char *why, size_t why_room);

#endif
