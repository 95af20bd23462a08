// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Blocks that no file has any more and that a base keeps (FORMAT 6.4): of all that files'
 * nodes point to, what is left when each file's own tree has been walked, bases left out.
 */
#include "check/hidden.h"

#include <errno.h>
#include <stdlib.h>

#include "check/item.h"

struct pass {
	struct cdx_event_set mapped;	/* what files map */
	unsigned char *met;		/* of each node seen: whether it has been walked */
};

static int note_extents(struct cdx_check *ck, struct pass *pass, const struct cdx_disk_extent *extent,
			unsigned int count)
{
	unsigned int shift = ck->super.grains_per_block_shift;
	int ret = 0;

	for (; count && !ret; count--, extent++)
		if (get64(extent->disk_block) < ck->super.blocks && get32(extent->count))
			ret = cdx_events_add(&pass->mapped, get64(extent->disk_block) << shift,
					     get32(extent->count), CDX_NO_OWNER);
	return ret;
}

/* As deep as the node's level. */
static int note_node(struct cdx_check *ck, struct pass *pass, uint64_t grain, unsigned int level)
{
	uint32_t index = cdx_seen_find(ck, grain);
	const struct cdx_extent_child *children;
	const struct cdx_seen *seen;
	const void *items;
	unsigned int count;
	int ret = 0;

	if (index == CDX_NONE || pass->met[index])
		return 0;
	pass->met[index] = 1;
	seen = &ck->trees->seen.nodes[index];
	if (seen->state != CDX_SEEN_WALKED || seen->kind != CDX_KIND_EXTENT || seen->level != level)
		return 0;
	items = cdx_check_read_again(ck, seen, &count);
	if (!level)
		return note_extents(ck, pass, items, count);
	children = items;
	for (unsigned int i = 0; i < count && !ret; i++)
		ret = note_node(ck, pass, get64(children[i].child.address), level - 1);
	return ret;
}

static int note_file(struct cdx_check *ck, struct pass *pass, const struct cdx_file_extents *file)
{
	const struct cdx_disk_ref *ref = file->value;

	if (file->disk->layout == CDX_LAYOUT_TREE)
		return note_node(ck, pass, get64(ref->address), ref->level);
	return note_extents(ck, pass, file->value, file->disk->n_inline);
}

static int note_files(struct cdx_check *ck, struct pass *pass, const struct cdx_seen *leaf)
{
	const unsigned char *bytes = cdx_check_node_buffer(ck, CDX_KIND_FS, 0);
	size_t offset = sizeof(struct cdx_disk_node);
	unsigned int count;
	int ret = 0;

	cdx_check_read_again(ck, leaf, &count);
	for (; count && !ret; count--) {
		const struct cdx_disk_fs_item *item = cdx_check_next_item(ck, bytes, &offset);
		struct cdx_file_extents file;

		if (!item)
			break;
		if (cdx_check_item_extents(item, &file))
			ret = note_file(ck, pass, &file);
	}
	return ret;
}

/* Grains that sorted events cover; of nodes that belong to files alone, or all. */
static uint64_t covered(const struct cdx_check *ck, const struct cdx_event_set *set)
{
	uint64_t sum = 0, furthest = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct cdx_event *event = &set->events[i];
		uint64_t start = event->start, end = cdx_event_end(set, i);

		if (event->owner != CDX_NO_OWNER && !ck->trees->seen.nodes[event->owner].live)
			continue;
		if (start < furthest)
			start = furthest;
		if (end <= start)
			continue;
		sum += end - start;
		furthest = end;
	}
	return sum;
}

int cdx_check_hidden(struct cdx_check *ck)
{
	struct pass pass = {.mapped.shift = ck->super.grains_per_block_shift};
	uint64_t all, mapped;
	int ret = 0;

	for (size_t i = 0; i < ck->trees->seen.count; i++)
		ck->summary.borrowing_nodes += ck->trees->seen.nodes[i].based;
	if (!ck->summary.borrowing_nodes)
		return 0;
	pass.met = calloc(ck->trees->seen.count + 1, 1);
	if (!pass.met)
		return -ENOMEM;
	for (size_t i = 0; i < ck->trees->seen.count && !ret; i++) {
		const struct cdx_seen *seen = &ck->trees->seen.nodes[i];

		if (seen->kind == CDX_KIND_FS && seen->level == 0 && seen->state == CDX_SEEN_WALKED)
			ret = note_files(ck, &pass, seen);
	}
	if (!ret)
		ret = cdx_events_sort(&pass.mapped);
	if (!ret) {
		all = covered(ck, &ck->trees->refs.set[CDX_REF_DATA]);
		mapped = covered(ck, &pass.mapped);
		ck->summary.hidden_blocks = all > mapped ?
			(all - mapped) >> ck->super.grains_per_block_shift : 0;
	}
	free(pass.mapped.events);
	free(pass.met);
	return ret;
}
