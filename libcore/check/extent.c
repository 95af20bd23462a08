// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Extents (FORMAT 8).  What a file's check needs to know of an extent tree, its
 * last mapped block, is kept with each node, so that a shared tree is walked
 * once and each clone of a file costs the same as an empty file.
 */
#include "check/extent.h"

#include <string.h>

/* What an inode needs to know of its extents. */
struct mapped {
	uint64_t end;			/* file block after the last mapped one */
	uint64_t last;			/* disk block of that one */
};

static struct cdx_seen_extent decode(const struct cdx_disk_extent *disk)
{
	return (struct cdx_seen_extent){
		.file_block = get64(disk->file_block),
		.disk_block = get64(disk->disk_block),
		.count = get32(disk->count),
		.flags = get32(disk->flags),
	};
}

static void report_extent(struct cdx_check *ck, enum cdx_problem problem, uint64_t inode,
			  const struct cdx_seen_extent *extent)
{
	unsigned int shift = ck->super.grains_per_block_shift;

	cdx_report(ck, problem, &(struct cdx_finding){
		.inode = inode,
		.grain = extent->disk_block << shift,
		.grains = (uint64_t)extent->count << shift});
}

/* One whose numbers may be anything. */
static void report_values(struct cdx_check *ck, enum cdx_problem problem, uint64_t inode,
			  uint64_t found, uint64_t expected)
{
	cdx_report(ck, problem, &(struct cdx_finding){
		.inode = inode, .compared = true, .found = found, .expected = expected});
}

/* Whose extents are judged, and what is to be remembered of them. */
struct holder {
	uint64_t inode;			/* or 0 */
	uint32_t owner;			/* index of the node that they are in */
	struct cdx_event_set *mapped;	/* takes in those with data; or NULL */
	const struct cdx_disk_extent *base;	/* of what the node borrows from, or NULL */
	unsigned int base_count;
	bool base_lost;			/* count nothing: it is not known what is borrowed */
};

static int note_data(const struct cdx_check *ck, const struct holder *holder,
		     const struct cdx_seen_extent *extent)
{
	if (!holder->mapped || (extent->flags & CDX_EXTENT_UNWRITTEN))
		return 0;
	return cdx_events_add(holder->mapped,
			      extent->disk_block << ck->super.grains_per_block_shift, extent->count,
			      holder->owner);
}

/* [from, to) of the extent is a pointer of the holder's own. */
static int count_part(struct cdx_check *ck, const struct holder *holder,
		      const struct cdx_seen_extent *extent, uint64_t from, uint64_t to)
{
	struct cdx_seen_extent part = *extent;
	int ret;

	part.disk_block += from - extent->file_block;
	part.file_block = from;
	part.count = (uint32_t)(to - from);
	if (extent->flags & CDX_EXTENT_UNWRITTEN) {
		ck->trees->unwritten_blocks += part.count;
		ck->trees->unwritten_extents++;
	}
	ret = cdx_refs_add(&ck->trees->refs, CDX_REF_DATA,
			   part.disk_block << ck->super.grains_per_block_shift, part.count,
			   holder->owner);
	return ret ? ret : note_data(ck, holder, &part);
}

/* What the base says too, in the same way, is borrowed (FORMAT 6.4); the rest is counted. */
static int count_pointers(struct cdx_check *ck, const struct holder *holder,
			  const struct cdx_seen_extent *extent)
{
	uint64_t block = extent->file_block, end = block + extent->count;
	int ret = 0;

	if (holder->base_lost)
		return 0;
	for (unsigned int i = 0; holder->base && i < holder->base_count && !ret; i++) {
		struct cdx_seen_extent base = decode(&holder->base[i]);
		uint64_t base_end = base.file_block + base.count;

		if (base_end <= block || base.file_block >= end || base.flags != extent->flags ||
		    base.disk_block - base.file_block != extent->disk_block - extent->file_block)
			continue;
		if (base.file_block > block)
			ret = count_part(ck, holder, extent, block, base.file_block);
		block = base_end < end ? base_end : end;
	}
	return ret || block >= end ? ret : count_part(ck, holder, extent, block, end);
}

/* Whether the extent makes sense by itself; if so, counts its pointers. */
static int judge_extent(struct cdx_check *ck, const struct holder *holder,
			const struct cdx_disk_extent *disk, const struct cdx_seen_extent *extent,
			bool *good)
{
	unsigned int shift = ck->super.grains_per_block_shift;

	*good = false;
	if (!cdx_extent_possible(disk)) {
		report_values(ck, CDX_P_EXTENT_FORMAT, holder->inode,
			      extent->count ? extent->flags : 0,
			      extent->count ? CDX_EXTENT_UNWRITTEN : 1);
	} else if (!cdx_extent_in_range(disk, ck->super.block_shift)) {
		report_values(ck, CDX_P_EXTENT_RANGE, holder->inode, extent->file_block,
			      CDX_MAX_FILE >> ck->super.block_shift);
	} else if (extent->disk_block >= ck->super.blocks ||
		   !cdx_super_allocatable(&ck->super, extent->disk_block << shift,
					  (uint64_t)extent->count << shift)) {
		report_values(ck, CDX_P_EXTENT_BOUNDS, holder->inode, extent->disk_block,
			      ck->super.blocks);
	} else {
		*good = true;
		return count_pointers(ck, holder, extent);
	}
	ck->trees->pointers_incomplete = true;
	return 0;
}

/* Two extents, one after the other; count 0 stands for one that is not known. */
static void judge_neighbours(struct cdx_check *ck, uint64_t inode,
			     const struct cdx_seen_extent *left,
			     const struct cdx_seen_extent *right)
{
	if (left->count == 0 || right->count == 0)
		return;
	if (right->file_block < left->file_block + left->count)
		report_extent(ck, CDX_P_EXTENT_OVERLAP, inode, right);
	else if (right->file_block == left->file_block + left->count &&
		 right->disk_block == left->disk_block + left->count &&
		 right->flags == left->flags &&
		 (uint64_t)left->count + right->count <= CDX_MAX_EXTENT_BLOCKS)
		report_extent(ck, CDX_P_EXTENT_MERGE, inode, right);
}

static void note_mapped(struct mapped *mapped, const struct cdx_seen_extent *extent)
{
	uint64_t end = extent->file_block + extent->count;

	if ((extent->flags & CDX_EXTENT_UNWRITTEN) || end <= mapped->end)
		return;
	mapped->end = end;
	mapped->last = extent->disk_block + extent->count - 1;
}

/* An array of extents, in a leaf or an inode; *@first and *@last have count 0 if not known. */
static int judge_extents(struct cdx_check *ck, const struct holder *holder,
			 const struct cdx_disk_extent *disk, unsigned int count,
			 struct cdx_seen_extent *first, struct cdx_seen_extent *last,
			 struct mapped *mapped)
{
	struct cdx_seen_extent previous = {0};

	memset(first, 0, sizeof(*first));
	for (unsigned int i = 0; i < count; i++) {
		struct cdx_seen_extent extent = decode(&disk[i]);
		bool good;
		int ret = judge_extent(ck, holder, &disk[i], &extent, &good);

		if (ret)
			return ret;
		if (good) {
			judge_neighbours(ck, holder->inode, &previous, &extent);
			note_mapped(mapped, &extent);
		} else {
			extent.count = 0;
		}
		if (i == 0)
			*first = extent;
		previous = extent;
	}
	*last = previous;
	return 0;
}

/* ---- trees ---------------------------------------------------------------------- */

static int extent_leaf(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view)
{
	struct cdx_seen *seen = &ck->trees->seen.nodes[view->index];
	struct holder holder = {
		walk->inode, view->index, walk->arg, view->base_items, view->base_count, view->base_lost,
	};
	struct mapped mapped = {0};
	int ret;

	ret = judge_extents(ck, &holder, view->items, view->count, &seen->first_extent,
			    &seen->last_extent, &mapped);
	seen->mapped_end = mapped.end;
	seen->mapped_last = mapped.last;
	return ret;
}

/* Join what is known of @child to what is known of the children before it. */
static int extent_leave(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view,
			const void *item, uint32_t child)
{
	static const struct cdx_seen unknown;
	struct cdx_seen *seen = &ck->trees->seen.nodes[view->index];
	const struct cdx_seen *below = child == CDX_NONE ? &unknown : &ck->trees->seen.nodes[child];

	if (item == view->items)
		seen->first_extent = below->first_extent;
	else
		judge_neighbours(ck, walk->inode, &seen->last_extent, &below->first_extent);
	seen->last_extent = below->last_extent;
	if (below->mapped_end > seen->mapped_end) {
		seen->mapped_end = below->mapped_end;
		seen->mapped_last = below->mapped_last;
	}
	return 0;
}

const struct cdx_walk_ops cdx_extent_walk_ops = {
	.leaf = extent_leaf,
	.leave = extent_leave,
};

/* ---- files ---------------------------------------------------------------------- */

/* The bytes of disk block @block from @offset on. */
static void judge_tail(struct cdx_check *ck, uint64_t inode, uint64_t block, uint32_t offset)
{
	unsigned int shift = ck->super.grains_per_block_shift;
	struct cdx_finding finding = {
		.inode = inode, .grain = block << shift, .grains = (uint64_t)1 << shift};
	unsigned char bytes[4096];

	while (offset < ck->super.block_size) {
		uint32_t length = ck->super.block_size - offset;

		if (length > sizeof(bytes))
			length = sizeof(bytes);
		if (cdx_pmem_read(&ck->device.pm, (block << ck->super.block_shift) + offset, bytes,
				  length)) {
			/* Where all data is read, this comes to light there. */
			if (!ck->options->check_data)
				cdx_report(ck, CDX_P_MEDIA_ERROR, &finding);
			return;
		}
		for (uint32_t i = 0; i < length; i++) {
			if (bytes[i]) {
				cdx_report(ck, CDX_P_EOF_NOT_ZERO, &finding);
				return;
			}
		}
		offset += length;
	}
}

static void judge_end_of_file(struct cdx_check *ck, uint64_t inode, uint64_t size,
			      const struct mapped *mapped)
{
	uint32_t tail = (uint32_t)(size & (ck->super.block_size - 1));
	uint64_t end = (size >> ck->super.block_shift) + (tail != 0);
	unsigned int shift = ck->super.grains_per_block_shift;

	if (mapped->end > end)
		cdx_report(ck, CDX_P_EXTENT_PAST_EOF,
			   &(struct cdx_finding){.inode = inode,
						 .grain = mapped->last << shift,
						 .grains = (uint64_t)1 << shift,
						 .compared = true,
						 .found = mapped->end,
						 .expected = end});
	else if (tail && mapped->end == end)
		judge_tail(ck, inode, mapped->last, tail);
}

static int judge_inline(struct cdx_check *ck, const struct cdx_file_extents *file,
			struct mapped *mapped)
{
	struct holder holder = {file->inode, file->leaf, file->mapped, NULL, 0, false};
	struct cdx_seen_extent first, last;

	return judge_extents(ck, &holder, file->value, file->disk->n_inline, &first, &last, mapped);
}

static int judge_tree(struct cdx_check *ck, const struct cdx_file_extents *file,
		      struct mapped *mapped)
{
	struct cdx_walk walk = {
		.ops = &cdx_extent_walk_ops,
		.inode = file->inode,
		.live = true,
		.arg = file->mapped,
	};
	uint32_t root;
	int ret = cdx_check_tree(ck, &walk, file->value, CDX_KIND_EXTENT, file->leaf, &root);

	if (!ret && root != CDX_NONE) {
		mapped->end = ck->trees->seen.nodes[root].mapped_end;
		mapped->last = ck->trees->seen.nodes[root].mapped_last;
	}
	return ret;
}

int cdx_check_file_extents(struct cdx_check *ck, const struct cdx_file_extents *file)
{
	bool tree = file->disk->layout == CDX_LAYOUT_TREE;
	const struct cdx_disk_ref *ref = file->value;
	struct mapped mapped = {0};
	int ret;

	if (file->directory && (tree ? get64(ref->address) != 0 : file->disk->n_inline != 0))
		cdx_report_inode(ck, CDX_P_DIR_EXTENTS, file->inode);
	ret = tree ? judge_tree(ck, file, &mapped) : judge_inline(ck, file, &mapped);
	if (!ret && !file->directory)
		judge_end_of_file(ck, file->inode, get64(file->disk->size), &mapped);
	return ret;
}

/*
 * Extents are counted once, however many paths lead to them.  One is shared if
 * more than one path does: a node above it or one of its blocks has more than
 * one pointer.  (Parents stand before their children in the table.)
 */
void cdx_check_count_shared(struct cdx_check *ck)
{
	const struct cdx_event_set *set = &ck->trees->refs.set[CDX_REF_DATA];
	struct cdx_seen *nodes = ck->trees->seen.nodes;
	uint64_t furthest = 0;

	for (size_t i = 0; i < ck->trees->seen.count; i++) {
		uint32_t parent = nodes[i].parent;

		nodes[i].shared = nodes[i].pointers > 1 ||
				  (parent != CDX_NONE && nodes[parent].shared);
	}
	for (size_t i = 0; i < set->count; i++) {
		const struct cdx_seen *owner = &nodes[set->events[i].owner];
		bool overlaps = cdx_refs_data_overlaps(&ck->trees->refs, i, &furthest);

		if (!owner->live)
			continue;
		ck->summary.extents++;
		if (owner->shared || overlaps)
			ck->summary.shared_extents++;
	}
}
