/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_SPACE_H
#define CDX_CHECK_SPACE_H

#include "check/context.h"

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

/* Pass 5: the space tree, and all counts against the pointers, which are sorted here. */
int cdx_check_space(struct cdx_check *ck);

/*
 * After it: all counts anew, by the pointers, whatever the space tree says.  -EUCLEAN where one
 * grain is held in ways that exclude each other, which no count can mend.
 */
int cdx_check_recount(struct cdx_check *ck, struct cdx_recount *recount);

#endif
