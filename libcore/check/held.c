// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pass 4: what the commit record itself keeps: reserves, limbo, staging (FORMAT 4.1, 5, 10). */
#include "check/held.h"

#include <stdlib.h>

#include "check/extent.h"

/* DROP entries of limbo: these may overlap. */
struct seen_drop { uint64_t address, transaction; };
struct limbo_pass {
	struct seen_drop *drops;
	size_t count, capacity;
	uint64_t grains;		/* of the tree's entries, as the record has them */
};

static void report_run(struct cdx_check *ck, enum cdx_problem problem, uint64_t start,
		       uint64_t count)
{
	cdx_report(ck, problem, &(struct cdx_finding){.grain = start, .grains = count ? count : 1});
}

static void report_values(struct cdx_check *ck, enum cdx_problem problem, uint64_t grain,
			  uint64_t found, uint64_t expected)
{
	cdx_report(ck, problem, &(struct cdx_finding){
		.grain = grain, .grains = grain != 0,
		.compared = true, .found = found, .expected = expected});
}

/* ---- reserves ---------------------------------------------------------------------- */

static int reserve(struct cdx_check *ck, const struct cdx_disk_run *run, bool window)
{
	uint64_t start = get64(run->start), count = get64(run->count);
	uint64_t mask = ((uint64_t)1 << ck->super.grains_per_block_shift) - 1;

	if (!cdx_super_allocatable(&ck->super, start, count)) {
		report_run(ck, CDX_P_RESERVE_BOUNDS, start, count);
		ck->trees->pointers_incomplete = true;
		return 0;
	}
	if (window && ((start | count) & mask))
		report_run(ck, CDX_P_RESERVE_BLOCKS, start, count);
	return cdx_refs_add(&ck->trees->refs, CDX_REF_RESERVE, start, count, CDX_NO_OWNER);
}

static int check_reserves(struct cdx_check *ck)
{
	const struct cdx_disk_run *runs = (const struct cdx_disk_run *)(&ck->record + 1);
	unsigned int pool = get16(ck->record.n_pool), all = pool + get16(ck->record.n_window);
	int ret = 0;

	for (unsigned int i = 0; i < all && !ret; i++)
		ret = reserve(ck, &runs[i], i >= pool);
	return ret;
}

/* ---- limbo --------------------------------------------------------------------------- */

static int limbo_drop(struct cdx_check *ck, struct limbo_pass *pass,
		      const struct cdx_disk_limbo *limbo)
{
	struct seen_drop drop = {get64(limbo->address), get64(limbo->transaction)};
	int ret = cdx_array_grow(&pass->drops, &pass->capacity, pass->count, sizeof(*pass->drops));

	if (ret)
		return ret;
	pass->drops[pass->count++] = drop;
	return cdx_refs_add(&ck->trees->refs, CDX_REF_DROP, drop.address,
			    get32(limbo->count_or_crc), CDX_NO_OWNER);
}

static int limbo_pointer(struct cdx_check *ck, struct limbo_pass *pass,
			 const struct cdx_disk_limbo *limbo)
{
	struct cdx_walk walk = {.ops = &cdx_extent_walk_ops};

	switch (limbo->type) {
	case CDX_LIMBO_TREE:
		return cdx_check_limbo_tree(ck, &walk, limbo);
	case CDX_LIMBO_DROP:
		return limbo_drop(ck, pass, limbo);
	default:
		return cdx_refs_add(&ck->trees->refs, CDX_REF_LIMBO, get64(limbo->address),
				    get32(limbo->count_or_crc), CDX_NO_OWNER);
	}
}

static int limbo_entry(struct cdx_check *ck, struct limbo_pass *pass,
		       const struct cdx_disk_limbo *limbo)
{
	uint64_t start = get64(limbo->address), transaction = get64(limbo->transaction);
	uint64_t count = limbo->type == CDX_LIMBO_TREE ? 1 : get32(limbo->count_or_crc);

	if (!cdx_limbo_possible(limbo) || !cdx_super_limbo_whole(&ck->super, limbo)) {
		report_run(ck, CDX_P_LIMBO_FORMAT, start, 1);
		ck->trees->pointers_incomplete = true;
		return 0;
	}
	if (!cdx_super_allocatable(&ck->super, start, count)) {
		report_run(ck, CDX_P_LIMBO_BOUNDS, start, count);
		ck->trees->pointers_incomplete = true;
		return 0;
	}
	if (limbo->reserved)
		report_run(ck, CDX_P_RESERVED_FIELD, start, count);
	if (transaction > ck->transaction)
		report_values(ck, CDX_P_LIMBO_FUTURE, start, transaction, ck->transaction);
	return limbo_pointer(ck, pass, limbo);
}

static int limbo_leaf(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view)
{
	const struct cdx_disk_limbo *limbo = view->items;
	struct limbo_pass *pass = walk->arg;
	int ret = 0;

	for (unsigned int i = 0; i < view->count && !ret; i++) {
		if (limbo[i].type == CDX_LIMBO_RUN)
			pass->grains += get32(limbo[i].count_or_crc);
		else if (limbo[i].type == CDX_LIMBO_TREE)
			pass->grains++;
		ret = limbo_entry(ck, pass, &limbo[i]);
	}
	return ret;
}

static int compare_drops(const void *a, const void *b)
{
	const struct seen_drop *left = a, *right = b;

	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	if (left->transaction != right->transaction)
		return left->transaction < right->transaction ? -1 : 1;
	return 0;
}

/* DROPs may overlap, but no two entries have the same transaction and address. */
static void find_equal_drops(struct cdx_check *ck, struct limbo_pass *pass)
{
	if (pass->count)
		qsort(pass->drops, pass->count, sizeof(*pass->drops), compare_drops);
	for (size_t i = 1; i < pass->count; i++) {
		if (compare_drops(&pass->drops[i - 1], &pass->drops[i]) == 0)
			report_run(ck, CDX_P_LIMBO_OVERLAP, pass->drops[i].address, 1);
	}
}

static int check_limbo(struct cdx_check *ck)
{
	static const struct cdx_walk_ops ops = {.leaf = limbo_leaf};
	unsigned int runs = get16(ck->record.n_pool) + (unsigned int)get16(ck->record.n_window);
	const struct cdx_disk_limbo *list =
		(const struct cdx_disk_limbo *)((const struct cdx_disk_run *)(&ck->record + 1) +
						runs);
	struct limbo_pass pass = {0};
	struct cdx_walk walk = {.ops = &ops, .arg = &pass};
	int ret = 0;

	for (unsigned int i = 0; i < get16(ck->record.n_limbo) && !ret; i++)
		ret = limbo_entry(ck, &pass, &list[i]);
	if (!ret)
		ret = cdx_check_tree(ck, &walk, &ck->record.limbo, CDX_KIND_LIMBO, CDX_NONE, NULL);
	if (!ret)
		find_equal_drops(ck, &pass);
	if (!ret && !ck->trees->pointers_incomplete && pass.grains != get64(ck->record.limbo_grains))
		report_values(ck, CDX_P_LIMBO_GRAINS, 0, get64(ck->record.limbo_grains), pass.grains);
	free(pass.drops);
	return ret;
}

/* ---- staging ------------------------------------------------------------------------- */

/* What the extents of an entry map is what it says. */
static int staged_extents(struct cdx_check *ck, const struct cdx_view *view,
			  const struct cdx_disk_staging *staging)
{
	struct cdx_event_set mapped = {.shift = ck->super.grains_per_block_shift};
	struct cdx_walk walk = {.ops = &cdx_extent_walk_ops, .arg = &mapped};
	uint64_t blocks = 0;
	int ret;

	ret = cdx_check_tree(ck, &walk, &staging->extents, CDX_KIND_EXTENT, view->index, NULL);
	for (size_t i = 0; i < mapped.count; i++)
		blocks += mapped.events[i].count;
	if (!ret && !ck->trees->pointers_incomplete && blocks != get64(staging->blocks))
		report_values(ck, CDX_P_STAGING_BLOCKS, view->grain, get64(staging->blocks), blocks);
	free(mapped.events);
	return ret;
}

static int staging_item(struct cdx_check *ck, const struct cdx_view *view,
			const struct cdx_disk_staging *staging)
{
	uint64_t lane = get64(staging->lane), nonce = get64(staging->nonce);

	if (!cdx_lane_possible(lane))
		report_values(ck, CDX_P_STAGING_LANE, view->grain, lane, CDX_MAX_LANE);
	if (nonce == 0 || nonce >= get64(ck->record.next_nonce))
		report_values(ck, CDX_P_STAGING_NONCE, view->grain, nonce,
			      get64(ck->record.next_nonce));
	return staged_extents(ck, view, staging);
}

static int staging_leaf(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view)
{
	const struct cdx_disk_staging *staging = view->items;
	uint64_t *blocks = walk->arg;
	int ret = 0;

	for (unsigned int i = 0; i < view->count && !ret; i++) {
		*blocks += get64(staging[i].blocks);
		ret = staging_item(ck, view, &staging[i]);
	}
	return ret;
}

static int check_staging(struct cdx_check *ck)
{
	static const struct cdx_walk_ops ops = {.leaf = staging_leaf};
	uint64_t next = get64(ck->record.next_nonce), blocks = 0;
	struct cdx_walk walk = {.ops = &ops, .arg = &blocks};
	int ret;

	if (!cdx_next_nonce_possible(next))
		report_values(ck, CDX_P_NEXT_NONCE, 0, next, CDX_LAST_NONCE + 1);
	ret = cdx_check_tree(ck, &walk, &ck->record.staging, CDX_KIND_STAGING, CDX_NONE, NULL);
	if (!ret && !ck->trees->pointers_incomplete && blocks != get64(ck->record.staged_blocks))
		report_values(ck, CDX_P_STAGING_BLOCKS, 0, get64(ck->record.staged_blocks), blocks);
	return ret;
}

int cdx_check_held(struct cdx_check *ck)
{
	int ret;

	cdx_check_progress(ck, 4, 0, 3);
	ret = check_reserves(ck);
	if (ret)
		return ret;
	cdx_check_progress(ck, 4, 1, 3);
	ret = check_limbo(ck);
	if (ret)
		return ret;
	cdx_check_progress(ck, 4, 2, 3);
	ret = check_staging(ck);
	cdx_check_progress(ck, 4, 3, 3);
	return ret;
}
