// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pass 5: the space tree (FORMAT 7), and every reference count against the pointers (I3). */
#include "check/space.h"

#include <stdlib.h>

#include "check/item.h"
#include "check/recount.h"

#define LEVELS (CDX_MAX_LEVEL + 1)
#define PROGRESS_STEP 65536

/* ---- the tree -------------------------------------------------------------------- */

#define UNKNOWN (UINT64_C(1) << 63)	/* in start: a stretch that could not be read */
struct run {
	uint64_t start;			/* grains; it reaches to the next one's start */
	uint64_t refcount;
};

struct runs {
	struct run *run;
	size_t count, capacity;
	bool incomplete;
};

/* By level: what the nodes on the way down add, and the largest free run met so far. */
struct space_walk {
	uint64_t add[LEVELS];
	uint64_t largest[LEVELS];
	bool largest_known[LEVELS];
	uint64_t free_grains;
	struct runs *runs;
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

static int note_run(struct cdx_check *ck, struct runs *runs, uint64_t start, uint64_t refcount)
{
	const struct run *last;
	int ret = cdx_array_grow(&runs->run, &runs->capacity, runs->count, sizeof(*runs->run));

	if (ret)
		return ret;
	if (runs->count && !(start & UNKNOWN)) {
		last = &runs->run[runs->count - 1];
		if (!(last->start & UNKNOWN) && last->refcount == refcount)
			report_grains(ck, CDX_P_SPACE_MERGE, start, 1);
	}
	runs->run[runs->count++] = (struct run){start, refcount};
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
			space->runs->incomplete = true;
			return note_run(ck, space->runs, start | UNKNOWN, 0);
		}
		if (end > ck->super.grains)
			end = ck->super.grains;
		ret = note_run(ck, space->runs, start, refcount);
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
		return note_run(ck, space->runs, start | UNKNOWN, 0);
	}
	if (space->largest[below] && get64(child->add))
		report_grains(ck, CDX_P_SPACE_ADD, start, 1);
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

static int walk_space(struct cdx_check *ck, struct runs *runs)
{
	static const struct cdx_walk_ops ops = {
		.leaf = space_leaf, .enter = space_enter, .leave = space_leave};
	struct space_walk space = {.runs = runs};
	struct cdx_walk walk = {.ops = &ops, .arg = &space};
	uint64_t free_grains = get64(ck->record.free_grains);
	int ret;

	ret = cdx_check_tree(ck, &walk, &ck->record.space, CDX_KIND_SPACE, CDX_NONE, NULL);
	if (ret)
		return ret;
	runs->incomplete |= walk.broken;
	if (!walk.broken && (runs->count == 0 || runs->run[0].start != 0)) {
		report_grains(ck, CDX_P_SPACE_TILING, 0, 1);
		runs->incomplete = true;
	}
	if (!runs->incomplete && free_grains != space.free_grains)
		cdx_report(ck, CDX_P_FREE_GRAINS, &(struct cdx_finding){
			.compared = true, .found = free_grains, .expected = space.free_grains});
	return 0;
}

/* What writing to preallocated blocks is promised hangs on these. */
static void judge_unwritten(struct cdx_check *ck)
{
	const struct { uint64_t found, expected; } counts[] = {
		{get64(ck->record.unwritten_blocks), ck->trees->unwritten_blocks},
		{get64(ck->record.unwritten_extents), ck->trees->unwritten_extents},
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (ck->trees->pointers_incomplete || counts[i].found == counts[i].expected)
			continue;
		cdx_report(ck, CDX_P_UNWRITTEN_COUNT, &(struct cdx_finding){
			.compared = true, .found = counts[i].found, .expected = counts[i].expected});
		return;
	}
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

static uint64_t data_owner(struct cdx_check *ck, uint64_t grain)
{
	return cdx_check_owner_inode(ck, cdx_refs_data_owner(&ck->trees->refs, grain), grain);
}

static void judge_stretch(struct cdx_check *ck, struct stretch stretches[STRETCHES], uint64_t start,
			  uint64_t end, const uint64_t depth[CDX_REF_CLASSES], uint64_t refcount)
{
	struct cdx_finding finding = {
		.grain = start, .grains = end - start, .compared = true, .found = refcount};
	enum cdx_problem problem;
	bool conflict = cdx_check_conflict(depth, &problem);

	for (int class = 0; class < CDX_REF_CLASSES; class++)
		finding.expected += depth[class];
	if (refcount == finding.expected && !conflict)
		return;
	if (depth[CDX_REF_DATA])
		finding.inode = data_owner(ck, start);
	if (refcount < finding.expected)
		extend_stretch(ck, &stretches[STRETCH_COUNT], CDX_P_REFCOUNT_LOW, &finding);
	else if (refcount > finding.expected && !ck->trees->pointers_incomplete)
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

static void compare_counts(struct cdx_check *ck, const struct runs *runs)
{
	struct stretch stretches[STRETCHES] = {0};
	uint64_t depth[CDX_REF_CLASSES], next;

	for (size_t i = 0; i < runs->count; i++) {
		const struct run *run = &runs->run[i];
		uint64_t at = run->start;
		uint64_t end = i + 1 < runs->count ? run[1].start & ~UNKNOWN
						       : ck->super.grains;

		if (run->start & UNKNOWN)
			continue;
		if (end > ck->super.grains)
			end = ck->super.grains;
		for (; at < end; at = next) {
			cdx_refs_sweep(&ck->trees->refs, at, depth, &next);
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

/* The superblock's pointers, the last to be counted. */
static int count_regions(const struct cdx_super *super, struct cdx_refs *refs)
{
	uint64_t region = super->head_grains;
	int ret;

	ret = cdx_refs_add(refs, CDX_REF_REGION, 0, region, CDX_NO_OWNER);
	if (!ret)
		ret = cdx_refs_add(refs, CDX_REF_REGION, super->grains - region, region,
				   CDX_NO_OWNER);
	return ret;
}

int cdx_check_space(struct cdx_check *ck)
{
	struct runs runs = {0};
	int ret;

	ck->in_space = true;
	progress(ck, 0);
	ret = walk_space(ck, &runs);
	if (!ret)
		ret = count_regions(&ck->super, &ck->trees->refs);
	if (!ret)
		ret = cdx_refs_sort(&ck->trees->refs);
	if (!ret) {
		judge_unwritten(ck);
		compare_counts(ck, &runs);
		progress(ck, ck->super.grains);
	}
	free(runs.run);
	ck->in_space = false;
	return ret;
}
