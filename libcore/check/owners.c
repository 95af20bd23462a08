// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whose it is, what the media has lost: nodes of extent trees, and data.  The
 * walk kept one owner of each node, but clones share whole subtrees.  So when
 * something is lost, all nodes that lead to it are marked, level by level from
 * the leaves up, and then each file is followed down through marked nodes only.
 */
#include "check/owners.h"

#include <errno.h>
#include <stdlib.h>

#include "check/item.h"

/* A million clones of a file may have a million bad blocks: past this, a file's first will do. */
#define MAX_STEPS (UINT32_C(1) << 22)

enum mark {
	LOSSY = 1,			/* it, or something below it, cannot be read */
	OWNED = 2,			/* lost, and reported of a file */
};

struct pass {
	struct cdx_bad_runs *bad;	/* data */
	uint8_t *marks;			/* of each node seen: enum mark */
	uint32_t steps;			/* taken to find owners: bounded */
	struct cdx_bad_runs loss;	/* of the file at hand, in any order */
};

/* ---- what leads to what ------------------------------------------------------------- */

/* The node one level down that @item leads to, if something is lost there; else CDX_NONE. */
static uint32_t lossy_child(struct cdx_check *ck, const struct pass *pass,
			    const struct cdx_disk_child *child, unsigned int level)
{
	uint32_t index = cdx_seen_find(ck, get64(child->address));

	if (index == CDX_NONE || !(pass->marks[index] & LOSSY) ||
	    ck->trees->seen.nodes[index].level != level)
		return CDX_NONE;
	return index;
}

/* The grains of @extent, if there is data in them. */
static bool data_grains(const struct cdx_check *ck, const struct cdx_disk_extent *extent,
			uint64_t *start, uint64_t *end)
{
	unsigned int shift = ck->super.grains_per_block_shift;
	uint64_t block = get64(extent->disk_block), count = get32(extent->count);

	if (get32(extent->flags) || block >= ck->super.blocks || count > ck->super.blocks - block)
		return false;
	*start = block << shift;
	*end = (block + count) << shift;
	return true;
}

/* The first bad run that ends after grain @at. */
static size_t first_bad(const struct cdx_bad_runs *bad, uint64_t at)
{
	size_t low = 0, high = bad->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bad->runs[middle].end <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- marking what leads to a loss ------------------------------------------------------ */

static bool extent_lossy(const struct cdx_check *ck, const struct cdx_bad_runs *bad,
			 const struct cdx_disk_extent *extent)
{
	uint64_t start, end;
	size_t first;

	if (!data_grains(ck, extent, &start, &end))
		return false;
	first = first_bad(bad, start);
	return first < bad->count && bad->runs[first].start < end;
}

static bool leads_to_loss(struct cdx_check *ck, const struct pass *pass,
			  const struct cdx_seen *seen)
{
	unsigned int count;
	const void *items = cdx_check_read_again(ck, seen, &count);
	const struct cdx_disk_extent *extents = items;
	const struct cdx_extent_child *inner = items;

	for (unsigned int i = 0; i < count; i++) {
		if (seen->level == 0 && extent_lossy(ck, pass->bad, &extents[i]))
			return true;
		if (seen->level &&
		    lossy_child(ck, pass, &inner[i].child, seen->level - 1u) != CDX_NONE)
			return true;
	}
	return false;
}

static void mark_lossy(struct cdx_check *ck, struct pass *pass)
{
	for (size_t i = 0; i < ck->trees->seen.count; i++) {
		if (ck->trees->seen.nodes[i].state == CDX_SEEN_LOST)
			pass->marks[i] = LOSSY;
	}
	for (unsigned int level = 0; level <= CDX_MAX_LEVEL; level++) {
		for (size_t i = 0; i < ck->trees->seen.count; i++) {
			const struct cdx_seen *seen = &ck->trees->seen.nodes[i];

			if (seen->level == level && seen->kind == CDX_KIND_EXTENT && seen->live &&
			    seen->state == CDX_SEEN_WALKED && leads_to_loss(ck, pass, seen))
				pass->marks[i] = LOSSY;
		}
	}
}

/* ---- one file's losses ------------------------------------------ */

static bool enough(const struct pass *pass)
{
	return pass->loss.count && pass->steps >= MAX_STEPS;
}

static int lose_data(struct cdx_check *ck, struct pass *pass,
		     const struct cdx_disk_extent *extent)
{
	struct cdx_bad_runs *bad = pass->bad;
	uint64_t start, end;
	int ret = 0;

	if (!data_grains(ck, extent, &start, &end))
		return 0;
	for (size_t i = first_bad(bad, start); i < bad->count && !ret && !enough(pass); i++) {
		struct cdx_bad_run *run = &bad->runs[i];

		if (run->start >= end)
			break;
		run->owned = true;
		pass->steps++;
		ret = cdx_bad_runs_add(&pass->loss, run->start > start ? run->start : start,
				       run->end < end ? run->end : end);
	}
	return ret;
}

/* Levels fall at each step, so this is at most 16 deep. */
static int lose_below(struct cdx_check *ck, struct pass *pass, uint32_t index)
{
	const struct cdx_seen *seen = &ck->trees->seen.nodes[index];
	const struct cdx_extent_child *inner;
	const void *items;
	unsigned int count;
	int ret = 0;

	pass->steps++;
	if (seen->state == CDX_SEEN_LOST) {
		pass->marks[index] |= OWNED;
		return cdx_bad_runs_add(&pass->loss, seen->grain, seen->grain + 1);
	}
	items = cdx_check_read_again(ck, seen, &count);
	inner = items;
	for (unsigned int i = 0; i < count && !ret && !enough(pass); i++) {
		uint32_t child;

		if (seen->level == 0) {
			ret = lose_data(ck, pass, (const struct cdx_disk_extent *)items + i);
			continue;
		}
		child = lossy_child(ck, pass, &inner[i].child, seen->level - 1u);
		if (child != CDX_NONE)
			ret = lose_below(ck, pass, child);
	}
	return ret;
}

static int compare_runs(const void *a, const void *b)
{
	const struct cdx_bad_run *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* A file may come upon one block several times, and in any order. */
static void report_loss(struct cdx_check *ck, struct pass *pass, uint64_t inode)
{
	struct cdx_bad_runs *loss = &pass->loss;

	if (loss->count)
		qsort(loss->runs, loss->count, sizeof(*loss->runs), compare_runs);
	for (size_t i = 0, next; i < loss->count; i = next) {
		uint64_t start = loss->runs[i].start, end = loss->runs[i].end;

		for (next = i + 1; next < loss->count && loss->runs[next].start <= end; next++) {
			if (loss->runs[next].end > end)
				end = loss->runs[next].end;
		}
		cdx_report(ck, CDX_P_MEDIA_ERROR, &(struct cdx_finding){
			.inode = inode, .grain = start, .grains = end - start});
	}
	loss->count = 0;
}

static int file_losses(struct cdx_check *ck, struct pass *pass,
		       const struct cdx_file_extents *file)
{
	const struct cdx_disk_extent *extents = file->value;
	const struct cdx_disk_ref *ref = file->value;
	uint32_t root;
	int ret = 0;

	if (file->disk->layout == CDX_LAYOUT_TREE) {
		root = cdx_seen_find(ck, get64(ref->address));
		if (root != CDX_NONE && (pass->marks[root] & LOSSY))
			ret = lose_below(ck, pass, root);
	} else {
		for (unsigned int i = 0; i < file->disk->n_inline && !ret; i++)
			ret = lose_data(ck, pass, &extents[i]);
	}
	if (!ret)
		report_loss(ck, pass, file->inode);
	return ret;
}

/* ---- all files --------------------------------------------------------------------------- */

static int leaf_losses(struct cdx_check *ck, struct pass *pass,
		       const struct cdx_seen *seen)
{
	size_t offset = sizeof(struct cdx_disk_node);
	const unsigned char *bytes = cdx_check_node_buffer(ck, seen->kind, seen->level);
	unsigned int count;
	int ret = 0;

	cdx_check_read_again(ck, seen, &count);
	for (; count && !ret; count--) {
		const struct cdx_disk_fs_item *item = cdx_check_next_item(ck, bytes, &offset);
		struct cdx_file_extents file;

		if (!item)
			break;
		if (cdx_check_item_extents(item, &file))
			ret = file_losses(ck, pass, &file);
	}
	return ret;
}

/* What was found in no file after all must not go unsaid. */
static void report_unowned(struct cdx_check *ck, const struct pass *pass)
{
	for (size_t i = 0; i < pass->bad->count; i++) {
		const struct cdx_bad_run *run = &pass->bad->runs[i];

		if (!run->owned)
			cdx_report(ck, CDX_P_MEDIA_ERROR, &(struct cdx_finding){
				.grain = run->start, .grains = run->end - run->start});
	}
	for (size_t i = 0; i < ck->trees->seen.count; i++) {
		const struct cdx_seen *seen = &ck->trees->seen.nodes[i];

		if (seen->state == CDX_SEEN_LOST && !(pass->marks[i] & OWNED))
			cdx_report(ck, CDX_P_MEDIA_ERROR, &(struct cdx_finding){
				.grain = seen->grain, .grains = 1});
	}
}

int cdx_check_owners(struct cdx_check *ck, struct cdx_bad_runs *bad)
{
	struct pass pass = {.bad = bad};
	int ret = 0;

	if (!bad->count && !ck->trees->lost)
		return 0;
	pass.marks = calloc(ck->trees->seen.count + 1, sizeof(*pass.marks));
	if (!pass.marks)
		return -ENOMEM;
	mark_lossy(ck, &pass);
	for (size_t i = 0; i < ck->trees->seen.count && !ret; i++) {
		const struct cdx_seen *seen = &ck->trees->seen.nodes[i];

		if (seen->kind == CDX_KIND_FS && seen->level == 0 && seen->state == CDX_SEEN_WALKED)
			ret = leaf_losses(ck, &pass, seen);
	}
	if (!ret)
		report_unowned(ck, &pass);
	free(pass.loss.runs);
	free(pass.marks);
	return ret;
}
