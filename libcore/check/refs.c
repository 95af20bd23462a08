// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Counting pointers (FORMAT 7: a count is the number of them) by sorting their
 * ends and sweeping along the grains, in memory that grows with the pointers.
 */
#include "check/refs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGIT_BITS 11
#define DIGITS ((size_t)1 << DIGIT_BITS)
#define OWNER_STEPS 64

int cdx_array_grow(void *array, size_t *capacity, size_t count, size_t size)
{
	size_t larger = *capacity ? *capacity * 2 : 64;
	void *old, *new;

	if (count < *capacity)
		return 0;
	if (larger > SIZE_MAX / size)
		return -ENOMEM;
	memcpy(&old, array, sizeof(old));
	new = realloc(old, larger * size);
	if (!new)
		return -ENOMEM;
	memcpy(array, &new, sizeof(new));
	*capacity = larger;
	return 0;
}

void cdx_refs_init(struct cdx_refs *refs, unsigned int grains_per_block_shift)
{
	memset(refs, 0, sizeof(*refs));
	refs->set[CDX_REF_DATA].shift = grains_per_block_shift;
}

void cdx_refs_exit(struct cdx_refs *refs)
{
	for (int class = 0; class < CDX_REF_CLASSES; class++) {
		free(refs->set[class].events);
		free(refs->set[class].ends);
	}
	memset(refs, 0, sizeof(*refs));
}

int cdx_events_add(struct cdx_event_set *set, uint64_t start, uint64_t count, uint32_t owner)
{
	int ret;

	while (count) {
		uint32_t piece = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;

		ret = cdx_array_grow(&set->events, &set->capacity, set->count,
				     sizeof(*set->events));
		if (ret)
			return ret;
		set->events[set->count++] = (struct cdx_event){start, piece, owner};
		start += (uint64_t)piece << set->shift;
		count -= piece;
	}
	return 0;
}

int cdx_refs_add(struct cdx_refs *refs, enum cdx_ref_class class, uint64_t start, uint64_t count,
		 uint32_t owner)
{
	return cdx_events_add(&refs->set[class], start, count, owner);
}

/* ---- sorting -------------------------------------------------------------- */

uint64_t cdx_event_end(const struct cdx_event_set *set, size_t index)
{
	const struct cdx_event *event = &set->events[index];

	return event->start + ((uint64_t)event->count << set->shift);
}

/* Where each digit's records begin; false when all have the same digit. */
static bool digit_places(const unsigned char *records, size_t count, size_t size,
			 unsigned int shift, size_t places[DIGITS])
{
	size_t at = 0;

	memset(places, 0, DIGITS * sizeof(*places));
	for (size_t i = 0; i < count; i++) {
		uint64_t key;

		memcpy(&key, records + i * size, sizeof(key));
		places[key >> shift & (DIGITS - 1)]++;
	}
	for (size_t digit = 0; digit < DIGITS; digit++) {
		size_t here = places[digit];

		if (here == count)
			return false;
		places[digit] = at;
		at += here;
	}
	return true;
}

/*
 * Least significant digit first.  Records of @size bytes begin with their key,
 * a uint64_t.  Returns which of @from and @to (room for as many) holds the result.
 */
static unsigned char *radix_sort(unsigned char *from, unsigned char *to, size_t count, size_t size)
{
	size_t places[DIGITS];

	for (unsigned int shift = 0; shift < 64 && count; shift += DIGIT_BITS) {
		unsigned char *swap = from;

		if (!digit_places(from, count, size, shift, places))
			continue;
		for (size_t i = 0; i < count; i++) {
			uint64_t key;

			memcpy(&key, from + i * size, sizeof(key));
			memcpy(to + places[key >> shift & (DIGITS - 1)]++ * size, from + i * size,
			       size);
		}
		from = to;
		to = swap;
	}
	return from;
}

/* Sort *@records in place or in a copy that takes its place. */
static int sort_records(void *records, size_t count, size_t size)
{
	unsigned char *from, *room, *sorted;

	memcpy(&from, records, sizeof(from));
	room = malloc(count * size + 1);
	if (!room)
		return -ENOMEM;
	/* Constant sizes, so that the copies in the loops are single moves. */
	if (size == sizeof(uint64_t))
		sorted = radix_sort(from, room, count, sizeof(uint64_t));
	else
		sorted = radix_sort(from, room, count, sizeof(struct cdx_event));
	free(sorted == from ? room : from);
	memcpy(records, &sorted, sizeof(sorted));
	return 0;
}

int cdx_events_sort(struct cdx_event_set *set)
{
	int ret = sort_records(&set->events, set->count, sizeof(*set->events));

	if (!ret)
		set->capacity = set->count;
	return ret;
}

static int sort_set(struct cdx_event_set *set)
{
	int ret = cdx_events_sort(set);

	if (ret)
		return ret;
	set->ends = malloc((set->count + 1) * sizeof(*set->ends));
	if (!set->ends)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++)
		set->ends[i] = cdx_event_end(set, i);
	return sort_records(&set->ends, set->count, sizeof(*set->ends));
}

int cdx_refs_sort(struct cdx_refs *refs)
{
	int ret = 0;

	for (int class = 0; class < CDX_REF_CLASSES && !ret; class++)
		ret = sort_set(&refs->set[class]);
	return ret;
}

/* ---- sweeping ------------------------------------------------------------- */

void cdx_refs_sweep(struct cdx_refs *refs, uint64_t at, uint64_t depth[CDX_REF_CLASSES],
		    uint64_t *next)
{
	*next = UINT64_MAX;
	for (int class = 0; class < CDX_REF_CLASSES; class++) {
		struct cdx_event_set *set = &refs->set[class];

		while (set->started < set->count && set->events[set->started].start <= at)
			set->started++;
		while (set->ended < set->count && set->ends[set->ended] <= at)
			set->ended++;
		depth[class] = set->started - set->ended;
		if (set->started < set->count && set->events[set->started].start < *next)
			*next = set->events[set->started].start;
		if (set->ended < set->count && set->ends[set->ended] < *next)
			*next = set->ends[set->ended];
	}
}

uint32_t cdx_refs_data_owner(const struct cdx_refs *refs, uint64_t at)
{
	const struct cdx_event_set *set = &refs->set[CDX_REF_DATA];

	for (size_t i = set->started; i > 0 && set->started - i < OWNER_STEPS; i--) {
		if (set->events[i - 1].start <= at && cdx_event_end(set, i - 1) > at)
			return set->events[i - 1].owner;
	}
	return CDX_NO_OWNER;
}

bool cdx_refs_data_overlaps(const struct cdx_refs *refs, size_t index, uint64_t *furthest)
{
	const struct cdx_event_set *set = &refs->set[CDX_REF_DATA];
	uint64_t start = set->events[index].start, end = cdx_event_end(set, index);
	bool overlaps = start < *furthest;

	if (end > *furthest)
		*furthest = end;
	return overlaps || (index + 1 < set->count && set->events[index + 1].start < end);
}
