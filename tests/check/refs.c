/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counting pointers by sorting and sweeping gives what counting them grain by
 * grain gives; an extent overlaps another when any grain says so.
 */
#undef NDEBUG
#include "check/refs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

#define GRAINS 512
#define SHIFT 2
#define ROUNDS 2000

static uint64_t draw(uint64_t limit)
{
	static uint64_t turn;

	turn++;
	return cdx_siphash(1, 2, &turn, sizeof(turn)) % limit;
}

static void add_random(struct cdx_refs *refs, unsigned int plain[CDX_REF_CLASSES][GRAINS])
{
	enum cdx_ref_class class = (enum cdx_ref_class)draw(CDX_REF_CLASSES);
	unsigned int shift = class == CDX_REF_DATA ? SHIFT : 0;
	uint64_t units = GRAINS >> shift, start = draw(units), count = 1 + draw(units - start);

	if (count > 20)
		count = 1 + count % 20;
	assert(cdx_refs_add(refs, class, start << shift, count, (uint32_t)start) == 0);
	for (uint64_t grain = start << shift; grain < (start + count) << shift; grain++)
		plain[class][grain]++;
}

static void compare_sweep(struct cdx_refs *refs, unsigned int plain[CDX_REF_CLASSES][GRAINS])
{
	uint64_t depth[CDX_REF_CLASSES], next;

	for (uint64_t at = 0; at < GRAINS; at = next) {
		uint32_t owner;

		cdx_refs_sweep(refs, at, depth, &next);
		assert(next > at);
		for (int class = 0; class < CDX_REF_CLASSES; class++) {
			for (uint64_t grain = at; grain < next && grain < GRAINS; grain++)
				assert(depth[class] == plain[class][grain]);
		}
		owner = cdx_refs_data_owner(refs, at);
		assert(owner == CDX_NO_OWNER || (depth[CDX_REF_DATA] && owner <= at >> SHIFT));
	}
}

static void compare_overlaps(struct cdx_refs *refs, unsigned int plain[CDX_REF_CLASSES][GRAINS])
{
	const struct cdx_event_set *set = &refs->set[CDX_REF_DATA];
	uint64_t furthest = 0;

	for (size_t i = 0; i < set->count; i++) {
		uint64_t start = set->events[i].start,
			 end = start + ((uint64_t)set->events[i].count << SHIFT);
		bool overlaps = false;

		for (uint64_t grain = start; grain < end; grain++)
			overlaps = overlaps || plain[CDX_REF_DATA][grain] > 1;
		assert(cdx_refs_data_overlaps(refs, i, &furthest) == overlaps);
	}
}

int main(void)
{
	static const unsigned char bytes[15] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

	/* The test vector of the SipHash paper. */
	assert(cdx_siphash(UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908), bytes,
			   sizeof(bytes)) == UINT64_C(0xa129ca6149be45e5));
	for (int round = 0; round < ROUNDS; round++) {
		unsigned int plain[CDX_REF_CLASSES][GRAINS] = {{0}};
		struct cdx_refs refs;

		cdx_refs_init(&refs, SHIFT);
		for (uint64_t left = draw(100); left; left--)
			add_random(&refs, plain);
		assert(cdx_refs_sort(&refs) == 0);
		compare_overlaps(&refs, plain);
		compare_sweep(&refs, plain);
		cdx_refs_exit(&refs);
	}
	printf("%d rounds\n", ROUNDS);
	return 0;
}
