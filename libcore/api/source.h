/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the bytes of a streamed write come from: a buffer, filled again and again. */
#ifndef CDX_SOURCE_H
#define CDX_SOURCE_H

#include "api/image.h"

struct cdx_source {
	cowdax_source_fn *fn;
	void *arg;
	uint64_t limit;			/* most bytes to take now */
	uint64_t taken;			/* so far, of limit */
	bool exact;			/* the limit is a promise: to end before it is an error */
	bool ended;			/* there is no more */
	unsigned char *buffer;
	uint64_t filled;		/* bytes in the buffer */
};

int cdx_source_init(struct cdx_source *source, const struct cowdax_write_request *request);
void cdx_source_exit(struct cdx_source *source);
/* Fill up the buffer, whose first byte is for @position of a file, to a boundary of its blocks. */
int cdx_source_fill(struct cdx_source *source, uint64_t position, uint32_t block_size,
		    struct cowdax_error *error);
/* The first @length bytes of the buffer have been used. */
void cdx_source_used(struct cdx_source *source, uint64_t length);
bool cdx_source_has_more(const struct cdx_source *source);
/* -ENODATA when it has ended before the length it was promised to have. */
int cdx_source_check(const struct cdx_source *source, const char *path, struct cowdax_error *error);

#endif
