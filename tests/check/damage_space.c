/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pass 5: the space tree and the reference counts. */
#include <string.h>

#include "damage.h"

struct space_child { le64 key; struct cdx_disk_space_child space; };

static struct cdx_disk_node *space_root(struct image *image)
{
	return image_node(image, get64(image->record->space.address));
}

static struct cdx_disk_space *space_items(struct image *image)
{
	return node_items(space_root(image));
}

static uint64_t clone_root(struct image *image)
{
	return get64(extent_root(inode_at(image, "clone"))->address);
}

static void no_tree(struct image *image)
{
	uint64_t grain = get64(image->record->space.address);

	/* Nothing is compared then, so that the node may stay behind. */
	memset(&image->record->space, 0, sizeof(image->record->space));
	memset(image_node(image, grain), 0, image->super.node_size);
	image_seal(image);
}

static void starts_late(struct image *image)
{
	space_items(image)[0].start = put64(1);
	image_seal(image);
}

static void add_run(struct image *image, uint64_t start, uint64_t refcount)
{
	struct cdx_disk_node *node = space_root(image);

	space_items(image)[get16(node->count)] =
		(struct cdx_disk_space){put64(start), put64(refcount)};
	node->count = put16((uint16_t)(get16(node->count) + 1));
	node->used = put16((uint16_t)(get16(node->used) + sizeof(struct cdx_disk_space)));
}

static void ends_late(struct image *image)
{
	add_run(image, image->super.grains, 0);
	image_seal(image);
}

static void merge(struct image *image)
{
	add_run(image, image->super.grains - 1, 1);
	image_seal(image);
}

static struct space_child *inner_items(struct image *image)
{
	if (space_root(image)->level == 0)
		die("the space tree has one leaf only");
	return node_items(space_root(image));
}

static void largest(struct image *image)
{
	add64(&inner_items(image)[0].space.largest, 1);
	image_seal(image);
}

/* The pointer to a leaf with free space, or without any, of those of one node. */
static struct space_child *leaf_child(struct image *image, bool free_space)
{
	struct cdx_disk_node *node = space_root(image);
	struct space_child *child;

	while (node->level > 1) {
		child = node_items(node);
		node = image_node(image, get64(child->space.child.address));
	}
	child = node_items(node);
	for (unsigned int left = get16(node->count); left; left--, child++) {
		if (!get64(child->space.largest) == !free_space)
			return child;
	}
	die("no such leaf in the space tree");
}

/* Counts below are one less, the pointer adds one: the same counts. */
static void add_to(struct image *image, bool free_space)
{
	struct space_child *child = leaf_child(image, free_space);
	struct cdx_disk_node *leaf = image_node(image, get64(child->space.child.address));
	struct cdx_disk_space *items;

	items = node_items(leaf);
	add64(&child->space.add, 1);
	for (unsigned int i = 0; i < get16(leaf->count); i++)
		add64(&items[i].refcount, (uint64_t)-1);
	image_seal(image);
}

static void add(struct image *image)
{
	add_to(image, false);
}

static void add_to_free(struct image *image)
{
	add_to(image, true);
}

static void free_grains_none(struct image *image)
{
	image->record->free_grains = put64(0);
	image_seal(image);
}

static void free_grains(struct image *image)
{
	add64(&image->record->free_grains, 1);
	image_seal(image);
}

static void unwritten_blocks(struct image *image)
{
	add64(&image->record->unwritten_blocks, 1);
	image_seal(image);
}

static void unwritten_extents(struct image *image)
{
	add64(&image->record->unwritten_extents, (uint64_t)-1);
	image_seal(image);
}

static void low_node(struct image *image)
{
	set_counts(image, clone_root(image), 1, 1);
	image_seal(image);
}

static void low_data(struct image *image)
{
	/* Both of two files have the first block now; the other's own one is a reserve. */
	struct cdx_disk_extent *one = inline_extents(inode_at(image, "one"));
	struct cdx_disk_extent *two = inline_extents(inode_at(image, "two"));
	unsigned int shift = image->super.grains_per_block_shift;

	add_reserve(image, get64(two->disk_block) << shift, UINT64_C(1) << shift, true);
	two->disk_block = one->disk_block;
	image_seal(image);
}

static void high_node(struct image *image)
{
	set_counts(image, clone_root(image), 1, 3);
	image_seal(image);
}

static void high_region(struct image *image)
{
	set_counts(image, 0, 1, 2);
	image_seal(image);
}

static void low_region(struct image *image)
{
	set_counts(image, image->super.grains - image->super.head_grains, 1, 0);
	add64(&image->record->free_grains, 1);
	image_seal(image);
}

/* Allocated, but nothing points there. */
static void leak(struct image *image)
{
	take_blocks(image, 2);
	image_seal(image);
}

/* "empty" gets a tree whose only node lies in the first block of "two". */
static void node_in_data(struct image *image)
{
	unsigned int shift = image->super.grains_per_block_shift;
	struct place place = find_inode(image, inode_of(image, "empty"));
	uint64_t inode = get64(place.item->inode);
	uint64_t grain = get64(inline_extents(inode_at(image, "two"))->disk_block) << shift;
	struct cdx_disk_extent extent = {
		.disk_block = put64(take_blocks(image, 1) >> shift),
		.count = put32(1),
		.flags = put32(CDX_EXTENT_UNWRITTEN),
	};
	struct { struct cdx_disk_inode inode; struct cdx_disk_ref ref; } value = {0};

	memcpy(&value.inode, place.item + 1, sizeof(value.inode));
	value.inode.layout = CDX_LAYOUT_TREE;
	value.ref.address = put64(grain);
	make_node(image, grain, CDX_KIND_EXTENT, 0, &extent, 1, sizeof(extent));
	remove_item(image, place);
	insert_item(image, inode, CDX_ITEM_INODE, 0, &value, sizeof(value));
	set_counts(image, grain, 1, 2);
	add64(&image->record->unwritten_blocks, 1);
	add64(&image->record->unwritten_extents, 1);
	image_seal(image);
}

const struct damage space_damages[] = {
	{"space-tiling", "no space tree", PLAIN, no_tree, AS_IS, NULL},
	{"space-tiling", "space from grain 1 on", PLAIN, starts_late, AS_IS, NULL},
	{"space-tiling", "space past the end", PLAIN, ends_late, AS_IS, NULL},
	{"space-merge", "run in two parts", PLAIN, merge, AS_IS, NULL},
	{"space-largest", "largest free run is wrong", DEEP, largest, AS_IS, NULL},
	{NULL, "counts that are added above", DEEP, add, AS_IS, NULL},
	{"space-add", "addition above a free run", DEEP, add_to_free, AS_IS, NULL},
	{"free-grains", "a free grain too many on record", PLAIN, free_grains, AS_IS, NULL},
	{"free-grains", "no free grain on record", PLAIN, free_grains_none, AS_IS, NULL},
	{"unwritten-count", "an unwritten block too many on record", PLAIN, unwritten_blocks, AS_IS, NULL},
	{"unwritten-count", "an unwritten extent too few on record", PLAIN, unwritten_extents, AS_IS, NULL},
	{"refcount-low", "shared node of count 1", PLAIN, low_node, AS_IS, NULL},
	{"refcount-low", "block of two files with count 1", PLAIN, low_data, AS_IS, NULL},
	{"refcount-low", "tail region with free space", PLAIN, low_region, AS_IS, NULL},
	{"refcount-high", "node of two files with count 3", PLAIN, high_node, AS_IS, NULL},
	{"refcount-high", "head region of count 2", PLAIN, high_region, AS_IS, NULL},
	{"refcount-high", "blocks that nothing points to", PLAIN, leak, AS_IS, NULL},
	{"node-in-data", "node in a file's block", PLAIN, node_in_data, AS_IS, NULL},
	{0},
};
