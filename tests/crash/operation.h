/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be interrupted, and on what images. */
#ifndef CRASH_OPERATION_H
#define CRASH_OPERATION_H

#include "crash.h"

#define BLOCK 4096
#define NODE 512
#define LONGEST_IMAGE (UINT64_C(8) << 20)

/* All or nothing, by itself. */
struct operation {
	const char *name;
	int (*run)(struct cowdax *fs);
	/* Instead of run, with no handle open: the image may have no filesystem meanwhile. */
	int (*remake)(struct cowdax_error *error);
	bool chained;			/* as the first of three; see sequence.c */
};
extern const struct operation operations[];
extern const unsigned int operation_count;

/* Of whatever was done last: the caller empties them first if it wants to know. */
extern struct cowdax_result operation_result;
extern struct cowdax_error operation_error;

/* An image that has everything in it, or next to everything. */
struct setup {
	const char *name;
	uint64_t length;		/* bytes */
	void (*make)(void);
	bool full;			/* there may be no space for anything new */
};
extern const struct setup setups[];
extern const unsigned int setup_count;

/* The options with which setups are made. */
void setup_options(struct cowdax_mkfs_options *options);

/* Whether an operation fails so for lack of space, or because another has changed or removed its files. */
bool operation_may_fail(int code);

/* Bytes that tell whose they are. */
void fill_pattern(void *bytes, size_t length, unsigned int salt);

#endif
