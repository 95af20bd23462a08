// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading the data itself.  It carries no checksums, so all there is to find is
 * media that fails.  Each block that a file has mapped is read once, however many
 * files share it; whose the bad ones are, owners.c finds out.
 */
#include "check/data.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE ((uint64_t)128 << 10)	/* bytes: it should stay in the processor's cache */
#define PROGRESS_STEP ((uint64_t)64 << 20)

struct reader {
	struct cdx_bad_runs *bad;
	unsigned char *buffer;		/* a piece, or a block where that is larger */
	uint64_t piece;			/* grains */
	uint64_t block;			/* grains */
	uint64_t done, all;		/* grains read, grains to read */
	uint64_t step;			/* grains between two words on progress */
};

static bool readable(struct cdx_check *ck, struct reader *reader, uint64_t start, uint64_t count)
{
	unsigned int shift = ck->super.grain_shift;

	return cdx_pmem_read(&ck->device.pm, start << shift, reader->buffer,
			     (size_t)(count << shift)) == 0;
}

/* A fault tells of a piece that it is bad, not where. */
static int read_blocks(struct cdx_check *ck, struct reader *reader, uint64_t start, uint64_t count)
{
	int ret = 0;

	for (uint64_t at = start; at < start + count && !ret; at += reader->block) {
		if (!readable(ck, reader, at, reader->block))
			ret = cdx_bad_runs_add(reader->bad, at, at + reader->block);
	}
	return ret;
}

static void count_read(struct cdx_check *ck, struct reader *reader, uint64_t count)
{
	uint64_t before = reader->done / reader->step;

	reader->done += count;
	if (reader->done / reader->step != before)
		cdx_check_progress(ck, 5, reader->done << ck->super.grain_shift,
				   reader->all << ck->super.grain_shift);
}

static int read_run(struct cdx_check *ck, struct reader *reader, uint64_t at, uint64_t end)
{
	int ret;

	for (; at < end; at += reader->piece) {
		uint64_t count = end - at < reader->piece ? end - at : reader->piece;

		if (!readable(ck, reader, at, count)) {
			ret = read_blocks(ck, reader, at, count);
			if (ret)
				return ret;
		}
		count_read(ck, reader, count);
	}
	return 0;
}

/* The next run of data, however many extents it is made of; false after the last. */
static bool next_run(const struct cdx_event_set *set, size_t *index, uint64_t *start, uint64_t *end)
{
	if (*index == set->count)
		return false;
	*start = set->events[*index].start;
	for (*end = *start; *index < set->count && set->events[*index].start <= *end; ++*index) {
		if (cdx_event_end(set, *index) > *end)
			*end = cdx_event_end(set, *index);
	}
	return true;
}

static uint64_t count_grains(const struct cdx_event_set *set)
{
	uint64_t start, end, grains = 0;
	size_t index = 0;

	while (next_run(set, &index, &start, &end))
		grains += end - start;
	return grains;
}

static int read_all(struct cdx_check *ck, struct reader *reader, const struct cdx_event_set *set)
{
	uint64_t start, end;
	size_t index = 0;
	int ret = 0;

	reader->all = count_grains(set);
	cdx_check_progress(ck, 5, 0, reader->all << ck->super.grain_shift);
	while (!ret && next_run(set, &index, &start, &end))
		ret = read_run(ck, reader, start, end);
	cdx_check_progress(ck, 5, UINT64_MAX, reader->all << ck->super.grain_shift);
	return ret;
}

int cdx_check_data(struct cdx_check *ck, struct cdx_event_set *mapped, struct cdx_bad_runs *bad)
{
	unsigned int shift = ck->super.grain_shift;
	uint64_t piece = ck->super.block_size > PIECE ? ck->super.block_size : PIECE;
	struct reader reader = {
		.bad = bad,
		.piece = piece >> shift,
		.block = (uint64_t)1 << ck->super.grains_per_block_shift,
		.step = PROGRESS_STEP >> shift,
	};
	int ret;

	ret = cdx_events_sort(mapped);
	if (ret)
		return ret;
	reader.buffer = malloc((size_t)piece);
	if (!reader.buffer)
		return -ENOMEM;
	ret = read_all(ck, &reader, mapped);
	free(reader.buffer);
	return ret;
}
