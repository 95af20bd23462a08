// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Items of the file tree (FORMAT 9) asked again, after their leaf has been
 * judged: what an inode maps, and whose inline extent a block lies in.
 */
#include "check/item.h"

const struct cdx_disk_fs_item *cdx_check_next_item(struct cdx_check *ck, const unsigned char *bytes,
						   size_t *offset)
{
	const struct cdx_disk_fs_item *item = (const void *)(bytes + *offset);

	if (*offset + sizeof(*item) > ck->super.node_size ||
	    *offset + cdx_fs_item_size(item) > ck->super.node_size)
		return NULL;
	*offset += cdx_fs_item_size(item);
	return item;
}

bool cdx_check_item_extents(const struct cdx_disk_fs_item *item, struct cdx_file_extents *file)
{
	const struct cdx_disk_inode *disk = (const struct cdx_disk_inode *)(item + 1);

	if (get64(item->item) != CDX_ITEM_INODE || !cdx_layout_possible(disk, get16(item->length)))
		return false;
	file->disk = disk;
	file->value = disk + 1;
	file->inode = get64(item->inode);
	return true;
}

static bool inline_covers(const struct cdx_disk_fs_item *item, uint64_t block)
{
	struct cdx_file_extents file;
	const struct cdx_disk_extent *extent;

	if (!cdx_check_item_extents(item, &file) || file.disk->layout != CDX_LAYOUT_INLINE)
		return false;
	extent = file.value;
	for (unsigned int i = 0; i < file.disk->n_inline; i++) {
		if (block >= get64(extent[i].disk_block) &&
		    block - get64(extent[i].disk_block) < get32(extent[i].count))
			return true;
	}
	return false;
}

/* In a leaf judged before; still, each item's end is held against the node's. */
static uint64_t inline_owner(struct cdx_check *ck, const unsigned char *bytes, uint64_t block)
{
	const struct cdx_disk_node *node = (const void *)bytes;
	size_t offset = sizeof(*node);

	for (unsigned int left = get16(node->count); left; left--) {
		const struct cdx_disk_fs_item *item = cdx_check_next_item(ck, bytes, &offset);

		if (!item)
			return 0;
		if (inline_covers(item, block))
			return get64(item->inode);
	}
	return 0;
}

uint64_t cdx_check_owner_inode(struct cdx_check *ck, uint32_t owner, uint64_t grain)
{
	const struct cdx_seen *seen = owner == CDX_NO_OWNER ? NULL : &ck->trees->seen.nodes[owner];

	if (!seen || !seen->live)
		return 0;
	if (seen->kind != CDX_KIND_FS)
		return seen->inode;
	/* No walk is going on: the buffers are free. */
	if (!cdx_check_read_node(ck, seen, ck->trees->buffers))
		return 0;
	return inline_owner(ck, ck->trees->buffers, grain >> ck->super.grains_per_block_shift);
}

const void *cdx_check_read_again(struct cdx_check *ck, const struct cdx_seen *seen, unsigned int *count)
{
	unsigned char *bytes = cdx_check_node_buffer(ck, seen->kind, seen->level);
	const struct cdx_disk_node *disk = (const void *)bytes;
	size_t room = (ck->super.node_size - sizeof(*disk)) / sizeof(struct cdx_extent_child);

	*count = 0;
	if (cdx_check_read_node(ck, seen, bytes))
		*count = get16(disk->count);
	if (seen->kind == CDX_KIND_EXTENT && *count > room)
		*count = (unsigned int)room;
	return disk + 1;
}
