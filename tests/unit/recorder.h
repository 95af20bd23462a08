/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A persistence backend that remembers: every store, who made it, and which
 * fence made it durable, so that a test can look at their order, or at the image
 * that a power cut would have left.  Handles of one process share a recorder;
 * a fence orders its own handle's stores only.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include "pmem/pmem.h"

#define NEVER UINT64_MAX

struct store {
	const struct cdx_pmem *by;
	uint64_t offset;
	size_t length;
	unsigned char *bytes;		/* NULL: zeros */
	uint64_t made;			/* fences passed when it was made */
	uint64_t fence;			/* the number of the fence that made it durable, or NEVER */
};

struct recorder {
	unsigned char *start;		/* the image when recording began */
	uint64_t length;
	struct store *stores;
	size_t count, room;
	uint64_t fences;		/* passed so far: the first has number 0 */
	uint64_t fail_from;		/* fences from this number on fail, or NEVER */
};

/* Take the place of @pm's backend. */
void recorder_attach(struct recorder *recorder, struct cdx_pmem *pm);
/* Forget all stores: the image as it is now counts as durable. */
void recorder_restart(struct recorder *recorder, const struct cdx_pmem *pm);
void recorder_free(struct recorder *recorder);

/* Whether a store that was made, but not fenced, reached the media before the lights went out. */
typedef bool recorder_reached_fn(void *arg, const struct recorder *recorder, size_t store);
/*
 * Write to the file @path what the media hold when the power goes between the
 * fence that is the @fences-th and the next.  Of the stores made and not fenced by
 * then, those that @reached says; NULL: none.
 */
void recorder_crash(const struct recorder *recorder, uint64_t fences, recorder_reached_fn *reached, void *arg,
		    const char *path);
bool recorder_all_reached(void *arg, const struct recorder *recorder, size_t store);

#endif
