/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_RECOUNT_H
#define CDX_CHECK_RECOUNT_H

#include "check/context.h"
#include "check/refs.h"

/* Whether pointers to one grain exclude each other, whatever the counts say (FORMAT 4.1, 5). */
bool cdx_check_conflict(const uint64_t depth[CDX_REF_CLASSES], enum cdx_problem *problem);

/* How many pointers lead to the grains from @start to the next run's start. */
struct cdx_counted {
	uint64_t start, count;
	bool left;			/* nobody's but the space tree's own nodes, which a new one leaves */
};

/* What the space tree and the record's sums should say. */
struct cdx_recount {
	struct cdx_counted *run;	/* the caller frees it; they tile the image */
	size_t n, capacity;
	uint64_t unwritten_blocks, unwritten_extents;
};

/*
 * After pass 5: all counts anew, by the pointers, whatever the space tree says.  -EUCLEAN where one
 * grain is held in ways that exclude each other, which no count can mend.
 */
int cdx_check_recount(struct cdx_check *ck, struct cdx_recount *recount);

#endif
