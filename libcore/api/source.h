/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the bytes of a streamed write come from: a buffer, filled again and again, and
 * the holes between what is in it.  A hole here is of whole blocks of the file, but at
 * the ends of the stream: a block of which the source gives any byte is all bytes.
 */
#ifndef CDX_SOURCE_H
#define CDX_SOURCE_H

#include "api/image.h"

#define CDX_SOURCE_RUNS 512

struct cdx_source_run {
	uint64_t length;
	bool hole;			/* else the next so many bytes of the buffer */
};

struct cdx_source {
	cowdax_source_fn *fn;
	cowdax_hole_fn *hole;		/* NULL: there are none */
	void *arg;
	uint64_t limit;			/* most bytes to take, holes included */
	uint64_t quota;			/* most to take now, holes not counted */
	uint64_t taken;			/* so far, of limit */
	uint64_t given;			/* so far, of quota */
	bool exact;			/* the limit is a promise: to end before it is an error */
	bool ended;			/* there is no more */
	unsigned char *buffer;
	uint64_t filled;		/* bytes in the buffer */
	uint64_t pending;		/* bytes in the runs */
	unsigned int runs;
	struct cdx_source_run *run;	/* CDX_SOURCE_RUNS, behind the buffer */
};

int cdx_source_init(struct cdx_source *source, const struct cowdax_write_request *request);
void cdx_source_exit(struct cdx_source *source);
/* Forget what is in the buffer. */
void cdx_source_empty(struct cdx_source *source);
/* Fill up the buffer, whose first run is for @position of a file, to a boundary of its blocks. */
int cdx_source_fill(struct cdx_source *source, uint64_t position, uint32_t block_size,
		    struct cowdax_error *error);
/* All has been used but for the last @left bytes, which are of one run. */
void cdx_source_used(struct cdx_source *source, uint64_t left);
bool cdx_source_has_more(const struct cdx_source *source);
/* -ENODATA when it has ended before the length it was promised to have. */
int cdx_source_check(const struct cdx_source *source, const char *path, struct cowdax_error *error);

#endif
