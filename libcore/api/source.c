// SPDX-License-Identifier: LGPL-2.1-or-later
/* Takes a stream's bytes and holes from the caller in pieces that end where blocks do (cowdax_source_fn, cowdax_hole_fn). */
#include "api/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_LENGTH (UINT64_C(4) << 20)

int cdx_source_init(struct cdx_source *source, const struct cowdax_write_request *request)
{
	*source = (struct cdx_source){
		.fn = request->source,
		.hole = request->hole,
		.arg = request->source_arg,
		.limit = request->length,
		.quota = request->chunk ? request->chunk : COWDAX_TO_END,
		.exact = request->length != COWDAX_TO_END,
		.buffer = malloc(BUFFER_LENGTH + CDX_SOURCE_RUNS * sizeof(*source->run)),
	};
	if (!source->buffer)
		return -ENOMEM;
	source->run = (struct cdx_source_run *)(void *)(source->buffer + BUFFER_LENGTH);
	return 0;
}

void cdx_source_exit(struct cdx_source *source)
{
	free(source->buffer);
}

void cdx_source_empty(struct cdx_source *source)
{
	source->filled = source->pending = 0;
	source->runs = 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool ends_with(const struct cdx_source *source, bool hole)
{
	return source->runs && source->run[source->runs - 1].hole == hole;
}

static void add_run(struct cdx_source *source, uint64_t length, bool hole)
{
	if (!length)
		return;
	if (!ends_with(source, hole))
		source->run[source->runs++] = (struct cdx_source_run){.hole = hole};
	source->run[source->runs - 1].length += length;
	source->pending += length;
	if (!hole)
		source->filled += length;
}

/* What the last block has of a hole, as bytes, once it is known that it has others behind it. */
static void fill_tail(struct cdx_source *source, uint64_t tail)
{
	if (!tail)
		return;
	source->run[source->runs - 1].length -= tail;
	source->pending -= tail;
	if (!source->run[source->runs - 1].length)
		source->runs--;
	memset(source->buffer + source->filled, 0, tail);
	add_run(source, tail, false);
}

/* Pass over a hole: 1, or 0 when bytes come next, or the end.  Without the rest of the block it begins in. */
static int take_hole(struct cdx_source *source, uint64_t position, uint64_t mask)
{
	uint64_t begun = 0;
	int64_t got;

	if (!source->hole)
		return 0;
	got = source->hole(source->arg, source->limit - source->taken);
	if (got <= 0)
		return (int)got;
	source->taken += (uint64_t)got;
	if (ends_with(source, false))
		begun = least((uint64_t)got, -(position + source->pending) & mask);
	memset(source->buffer + source->filled, 0, begun);
	add_run(source, begun, false);
	add_run(source, (uint64_t)got - begun, true);
	return 1;
}

/* Bytes up to @room of the buffer, after @tail of zeros. */
static int take_bytes(struct cdx_source *source, uint64_t room, uint64_t tail)
{
	uint64_t most = least(room - source->filled - tail, source->limit - source->taken);
	ssize_t got;

	most = least(most, source->quota - source->given);
	got = source->fn(source->arg, source->buffer + source->filled + tail, (size_t)most);
	if (got < 0)
		return (int)got;
	source->ended = got == 0;
	if (!got)
		return 0;
	fill_tail(source, tail);
	add_run(source, (uint64_t)got, false);
	source->taken += (uint64_t)got;
	source->given += (uint64_t)got;
	return 0;
}

/* A hole, or bytes: 1, or 0 when the buffer is full. */
static int take(struct cdx_source *source, uint64_t position, uint64_t mask)
{
	uint64_t room = BUFFER_LENGTH - (position & mask), tail = 0;
	int ret;

	if (source->filled >= room || source->runs + 2 > CDX_SOURCE_RUNS)
		return 0;
	ret = take_hole(source, position, mask);
	if (ret)
		return ret < 0 ? ret : 1;
	if (ends_with(source, true))
		tail = least((position + source->pending) & mask, source->run[source->runs - 1].length);
	if (source->filled + tail >= room)
		return 0;
	ret = take_bytes(source, room, tail);
	return ret < 0 ? ret : 1;
}

int cdx_source_fill(struct cdx_source *source, uint64_t position, uint32_t block_size,
		    struct cowdax_error *error)
{
	int ret = 1;

	while (ret > 0 && cdx_source_has_more(source)) {
		ret = take(source, position, block_size - 1);
		if (ret < 0)
			return cdx_error_errno(error, ret, "input");
		if (cdx_file_check_range(position, source->pending))
			return -EFBIG;
	}
	return 0;
}

void cdx_source_used(struct cdx_source *source, uint64_t left)
{
	bool hole = ends_with(source, true);
	uint64_t bytes = hole ? 0 : left;

	memmove(source->buffer, source->buffer + source->filled - bytes, bytes);
	cdx_source_empty(source);
	add_run(source, left, hole);
}

bool cdx_source_has_more(const struct cdx_source *source)
{
	return !source->ended && source->taken < source->limit && source->given < source->quota;
}

int cdx_source_check(const struct cdx_source *source, const char *path, struct cowdax_error *error)
{
	if (!source->ended || !source->exact || source->taken == source->limit)
		return 0;
	return cdx_error(error, -ENODATA, "%s: the input ended after %" PRIu64 " of %" PRIu64 " bytes", path,
			 source->taken, source->limit);
}
