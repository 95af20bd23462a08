// SPDX-License-Identifier: LGPL-2.1-or-later
/* Takes a stream's bytes from the caller in pieces that end where blocks do (cowdax_source_fn). */
#include "api/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_LENGTH (UINT64_C(4) << 20)

int cdx_source_init(struct cdx_source *source, const struct cowdax_write_request *request)
{
	*source = (struct cdx_source){
		.fn = request->source,
		.arg = request->source_arg,
		.limit = request->length,
		.exact = request->length != COWDAX_TO_END,
		.buffer = malloc(BUFFER_LENGTH),
	};
	return source->buffer ? 0 : -ENOMEM;
}

void cdx_source_exit(struct cdx_source *source)
{
	free(source->buffer);
}

int cdx_source_fill(struct cdx_source *source, uint64_t position, uint32_t block_size,
		    struct cowdax_error *error)
{
	uint64_t room = BUFFER_LENGTH - (position & (block_size - 1)), before = source->filled;

	if (room > before + source->limit - source->taken)
		room = before + source->limit - source->taken;
	while (source->filled < room && !source->ended) {
		ssize_t got = source->fn(source->arg, source->buffer + source->filled,
					 (size_t)(room - source->filled));

		if (got < 0)
			return cdx_error_errno(error, (int)got, "input");
		source->ended = got == 0;
		source->filled += (uint64_t)got;
	}
	source->taken += source->filled - before;
	return cdx_file_check_range(position, source->filled);
}

void cdx_source_used(struct cdx_source *source, uint64_t length)
{
	source->filled -= length;
	memmove(source->buffer, source->buffer + length, source->filled);
}

bool cdx_source_has_more(const struct cdx_source *source)
{
	return !source->ended && source->taken < source->limit;
}

int cdx_source_check(const struct cdx_source *source, const char *path, struct cowdax_error *error)
{
	if (!source->ended || !source->exact || source->taken == source->limit)
		return 0;
	return cdx_error(error, -ENODATA, "%s: the input ended after %" PRIu64 " of %" PRIu64 " bytes", path,
			 source->taken, source->limit);
}
