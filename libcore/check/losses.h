/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs of grains that cannot be read: found by data.c, laid to their owners by owners.c. */
#ifndef CDX_CHECK_LOSSES_H
#define CDX_CHECK_LOSSES_H

#include "check/refs.h"

struct cdx_bad_run {
	uint64_t start, end;		/* grains */
	bool owned;			/* reported of a file */
};

struct cdx_bad_runs {
	struct cdx_bad_run *runs;
	size_t count, capacity;
};

/* One more at the end, or what extends the last one. */
static inline int cdx_bad_runs_add(struct cdx_bad_runs *bad, uint64_t start, uint64_t end)
{
	int ret;

	if (bad->count && bad->runs[bad->count - 1].end == start) {
		bad->runs[bad->count - 1].end = end;
		return 0;
	}
	ret = cdx_array_grow(&bad->runs, &bad->capacity, bad->count, sizeof(*bad->runs));
	if (!ret)
		bad->runs[bad->count++] = (struct cdx_bad_run){.start = start, .end = end};
	return ret;
}

#endif
