// SPDX-License-Identifier: LGPL-2.1-or-later
/* What counts should be, by the pointers alone, and what no count can make good. */
#include "check/recount.h"

#include <errno.h>

#include "check/tree.h"

bool cdx_check_conflict(const uint64_t depth[CDX_REF_CLASSES], enum cdx_problem *problem)
{
	uint64_t data = depth[CDX_REF_DATA] + depth[CDX_REF_DROP];
	uint64_t nodes = depth[CDX_REF_NODE] + depth[CDX_REF_SPACE], files = nodes + depth[CDX_REF_DATA];

	if (depth[CDX_REF_LIMBO] > 1 || (depth[CDX_REF_LIMBO] && depth[CDX_REF_DROP]))
		*problem = CDX_P_LIMBO_OVERLAP;
	else if (depth[CDX_REF_LIMBO] && files + depth[CDX_REF_RESERVE])
		*problem = CDX_P_LIMBO_IN_USE;
	else if (depth[CDX_REF_RESERVE] > 1)
		*problem = CDX_P_RESERVE_OVERLAP;
	else if (depth[CDX_REF_RESERVE] && files + data)
		*problem = CDX_P_RESERVE_IN_USE;
	else if (nodes && data)
		*problem = CDX_P_NODE_IN_DATA;
	else
		return false;
	return true;
}

static int note_counted(struct cdx_recount *recount, uint64_t start, uint64_t count, bool left)
{
	struct cdx_counted *last = recount->n ? &recount->run[recount->n - 1] : NULL;
	int ret;

	if (last && last->count == count && last->left == left)
		return 0;
	ret = cdx_array_grow(&recount->run, &recount->capacity, recount->n, sizeof(*recount->run));
	if (!ret)
		recount->run[recount->n++] = (struct cdx_counted){start, count, left};
	return ret;
}

int cdx_check_recount(struct cdx_check *ck, struct cdx_recount *recount)
{
	struct cdx_refs *refs = &ck->trees->refs;
	uint64_t depth[CDX_REF_CLASSES], next;
	int ret = 0;

	for (int class = 0; class < CDX_REF_CLASSES; class++)
		refs->set[class].started = refs->set[class].ended = 0;
	for (uint64_t at = 0; at < ck->super.grains && !ret; at = next) {
		enum cdx_problem problem;
		uint64_t count = 0;

		cdx_refs_sweep(refs, at, depth, &next);
		/* What the tree has had, and nothing else has, is left with it. */
		for (int class = 0; class < CDX_REF_CLASSES; class++)
			count += class == CDX_REF_SPACE ? 0 : depth[class];
		if (count)
			depth[CDX_REF_SPACE] = 0;
		if (cdx_check_conflict(depth, &problem))
			return -EUCLEAN;
		ret = note_counted(recount, at, count ? count : depth[CDX_REF_SPACE] != 0,
				   !count && depth[CDX_REF_SPACE]);
	}
	recount->unwritten_blocks = ck->trees->unwritten_blocks;
	recount->unwritten_extents = ck->trees->unwritten_extents;
	return ret;
}
