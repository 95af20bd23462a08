// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pass 5: the space tree (FORMAT 7), and every reference count against the pointers (I3). */
#include <errno.h>
#include <string.h>

#include "check/check.h"

#define LEVELS (CDX_MAX_LEVEL + 1)
#define PROGRESS_STEP 65536

/* ---- the tree -------------------------------------------------------------------- */

/* By level: what the nodes on the way down add, and the largest free run met so far. */
struct space_walk {
	uint64_t add[LEVELS];
	uint64_t largest[LEVELS];
	bool largest_known[LEVELS];
	uint64_t free_grains;
};

static void report_grains(struct cdx_check *ck, enum cdx_problem problem, uint64_t start,
			  uint64_t count)
{
	cdx_report(ck, problem, &(struct cdx_finding){.grain = start, .grains = count});
}

static uint64_t measure(const struct cdx_check *ck, uint64_t start, uint64_t end)
{
	uint64_t mask = ((uint64_t)1 << ck->super.grains_per_block_shift) - 1;
	uint64_t first = (start + mask) & ~mask, last = end & ~mask;

	if (last > first)
		return last - first;
	return end - start < mask ? end - start : mask;
}

static int note_run(struct cdx_check *ck, uint64_t start, uint64_t refcount)
{
	const struct cdx_space_run *last;
	int ret = cdx_array_grow(&ck->space, &ck->space_capacity, ck->space_count,
				 sizeof(*ck->space));

	if (ret)
		return ret;
	if (ck->space_count && !(start & CDX_SPACE_UNKNOWN)) {
		last = &ck->space[ck->space_count - 1];
		if (!(last->start & CDX_SPACE_UNKNOWN) && last->refcount == refcount)
			report_grains(ck, CDX_P_SPACE_MERGE, start, 1);
	}
	ck->space[ck->space_count++] = (struct cdx_space_run){start, refcount};
	return 0;
}

static int space_leaf(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view)
{
	const struct cdx_disk_space *items = view->items;
	struct space_walk *space = walk->arg;
	uint64_t bound = view->has_high ? view->high : ck->super.grains;

	for (unsigned int i = 0; i < view->count; i++) {
		uint64_t start = get64(items[i].start),
			 refcount = get64(items[i].refcount) + space->add[0];
		uint64_t end = i + 1u < view->count ? get64(items[i + 1].start) : bound;
		int ret;

		if (start >= ck->super.grains) {
			report_grains(ck, CDX_P_SPACE_TILING, start, 1);
			ck->space_incomplete = true;
			return note_run(ck, start | CDX_SPACE_UNKNOWN, 0);
		}
		if (end > ck->super.grains)
			end = ck->super.grains;
		ret = note_run(ck, start, refcount);
		if (ret)
			return ret;
		if (refcount)
			continue;
		space->free_grains += end - start;
		if (measure(ck, start, end) > space->largest[0])
			space->largest[0] = measure(ck, start, end);
	}
	return 0;
}

static void space_enter(struct cdx_walk *walk, const struct cdx_view *view, const void *item)
{
	const struct cdx_disk_space_child *child = (const void *)((const le64 *)item + 1);
	struct space_walk *space = walk->arg;
	unsigned int below = view->level - 1u;

	space->add[below] = space->add[view->level] + get64(child->add);
	space->largest[below] = 0;
	space->largest_known[below] = true;
}

static int space_leave(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view,
		       const void *item, uint32_t index)
{
	const struct cdx_disk_space_child *child = (const void *)((const le64 *)item + 1);
	struct space_walk *space = walk->arg;
	unsigned int below = view->level - 1u;
	uint64_t start = get64(*(const le64 *)item);

	if (index == CDX_NONE) {
		space->largest_known[view->level] = false;
		return note_run(ck, start | CDX_SPACE_UNKNOWN, 0);
	}
	if (!space->largest_known[below])
		space->largest_known[view->level] = false;
	else if (get64(child->largest) != space->largest[below])
		cdx_report(ck, CDX_P_SPACE_LARGEST,
			   &(struct cdx_finding){.grain = start,
						 .grains = 1,
						 .compared = true,
						 .found = get64(child->largest),
						 .expected = space->largest[below]});
	if (space->largest[below] > space->largest[view->level])
		space->largest[view->level] = space->largest[below];
	return 0;
}

static int walk_space(struct cdx_check *ck)
{
	static const struct cdx_walk_ops ops = {
		.leaf = space_leaf, .enter = space_enter, .leave = space_leave};
	struct space_walk space = {0};
	struct cdx_walk walk = {.ops = &ops, .arg = &space};
	uint64_t free_grains = get64(ck->record.free_grains);
	int ret;

	ret = cdx_check_tree(ck, &walk, &ck->record.space, CDX_KIND_SPACE, CDX_NONE, NULL);
	if (ret)
		return ret;
	ck->space_incomplete |= walk.broken;
	if (!walk.broken && (ck->space_count == 0 || ck->space[0].start != 0)) {
		report_grains(ck, CDX_P_SPACE_TILING, 0, 1);
		ck->space_incomplete = true;
	}
	if (!ck->space_incomplete && free_grains != space.free_grains)
		cdx_report(ck, CDX_P_FREE_GRAINS, &(struct cdx_finding){
			.compared = true, .found = free_grains, .expected = space.free_grains});
	return 0;
}

/* ---- the counts ------------------------------------------------------------------ */

/* Findings of one kind about neighbouring grains are reported as one. */
struct stretch {
	bool open;
	enum cdx_problem problem;
	struct cdx_finding finding;
};

static void close_stretch(struct cdx_check *ck, struct stretch *stretch)
{
	if (stretch->open)
		cdx_report(ck, stretch->problem, &stretch->finding);
	stretch->open = false;
}

static void extend_stretch(struct cdx_check *ck, struct stretch *stretch, enum cdx_problem problem,
			   const struct cdx_finding *finding)
{
	struct cdx_finding *last = &stretch->finding;

	if (stretch->open && stretch->problem == problem &&
	    last->grain + last->grains == finding->grain && last->inode == finding->inode &&
	    last->found == finding->found && last->expected == finding->expected) {
		last->grains += finding->grains;
		return;
	}
	close_stretch(ck, stretch);
	*stretch = (struct stretch){true, problem, *finding};
}

enum { STRETCH_COUNT, STRETCH_USE, STRETCHES };

/* What is held by one kind of pointer, whatever the counts say (FORMAT 4.1, 5). */
static bool find_conflict(const uint64_t depth[CDX_REF_CLASSES], enum cdx_problem *problem)
{
	uint64_t data = depth[CDX_REF_DATA] + depth[CDX_REF_DROP];
	uint64_t files = depth[CDX_REF_NODE] + depth[CDX_REF_DATA];

	if (depth[CDX_REF_LIMBO] > 1 || (depth[CDX_REF_LIMBO] && depth[CDX_REF_DROP]))
		*problem = CDX_P_LIMBO_OVERLAP;
	else if (depth[CDX_REF_LIMBO] && files + depth[CDX_REF_RESERVE])
		*problem = CDX_P_LIMBO_IN_USE;
	else if (depth[CDX_REF_RESERVE] > 1)
		*problem = CDX_P_RESERVE_OVERLAP;
	else if (depth[CDX_REF_RESERVE] && files + data)
		*problem = CDX_P_RESERVE_IN_USE;
	else if (depth[CDX_REF_NODE] && data)
		*problem = CDX_P_NODE_IN_DATA;
	else
		return false;
	return true;
}

static void judge_stretch(struct cdx_check *ck, struct stretch stretches[STRETCHES], uint64_t start,
			  uint64_t end, const uint64_t depth[CDX_REF_CLASSES], uint64_t refcount)
{
	struct cdx_finding finding = {
		.grain = start, .grains = end - start, .compared = true, .found = refcount};
	enum cdx_problem problem;
	bool conflict = find_conflict(depth, &problem);

	for (int class = 0; class < CDX_REF_CLASSES; class++)
		finding.expected += depth[class];
	if (refcount == finding.expected && !conflict)
		return;
	if (depth[CDX_REF_DATA])
		finding.inode =
			cdx_check_owner_inode(ck, cdx_refs_data_owner(&ck->refs, start), start);
	if (refcount < finding.expected)
		extend_stretch(ck, &stretches[STRETCH_COUNT], CDX_P_REFCOUNT_LOW, &finding);
	else if (refcount > finding.expected && !ck->pointers_incomplete)
		extend_stretch(ck, &stretches[STRETCH_COUNT], CDX_P_REFCOUNT_HIGH, &finding);
	finding.compared = false;
	if (conflict)
		extend_stretch(ck, &stretches[STRETCH_USE], problem, &finding);
}

/* Next to reading all data, which this pass then counts, the rest takes no time. */
static void progress(struct cdx_check *ck, uint64_t grains)
{
	if (!ck->options->check_data)
		cdx_check_progress(ck, 5, grains, ck->super.grains);
}

static void compare_counts(struct cdx_check *ck)
{
	struct stretch stretches[STRETCHES] = {0};
	uint64_t depth[CDX_REF_CLASSES], next;

	for (size_t i = 0; i < ck->space_count; i++) {
		const struct cdx_space_run *run = &ck->space[i];
		uint64_t at = run->start;
		uint64_t end = i + 1 < ck->space_count ? run[1].start & ~CDX_SPACE_UNKNOWN
						       : ck->super.grains;

		if (run->start & CDX_SPACE_UNKNOWN)
			continue;
		if (end > ck->super.grains)
			end = ck->super.grains;
		for (; at < end; at = next) {
			cdx_refs_sweep(&ck->refs, at, depth, &next);
			if (next > end)
				next = end;
			judge_stretch(ck, stretches, at, next, depth, run->refcount);
		}
		if (i % PROGRESS_STEP == 0)
			progress(ck, end);
	}
	for (int i = 0; i < STRETCHES; i++)
		close_stretch(ck, &stretches[i]);
}

int cdx_check_space(struct cdx_check *ck)
{
	uint64_t region = ck->super.head_grains;
	int ret;

	progress(ck, 0);
	ret = walk_space(ck);
	if (!ret)
		ret = cdx_refs_add(&ck->refs, CDX_REF_REGION, 0, region, CDX_NO_OWNER);
	if (!ret)
		ret = cdx_refs_add(&ck->refs, CDX_REF_REGION, ck->super.grains - region, region,
				   CDX_NO_OWNER);
	if (!ret)
		ret = cdx_refs_sort(&ck->refs);
	if (ret)
		return ret;
	cdx_check_count_shared(ck);
	compare_counts(ck);
	progress(ck, ck->super.grains);
	return 0;
}
