/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile images, made by hand or found by the fuzzer and understood.  Made
 * from the good images by what is wrong with them, so that they stay what they
 * are when the library lays images out in another way.
 */
#include <string.h>

#include "fuzz.h"

/* Every child of every level is the same node: 2^levels paths, were it not for the levels and
 * bounds. */
static void paths_without_end(struct image *image)
{
	uint64_t block = take_blocks(image, 4);
	struct extent_child children[2];
	struct cdx_disk_extent extent = {
		.disk_block = put64(block >> image->super.grains_per_block_shift),
		.count = put32(1),
	};
	struct cdx_disk_staging *staging = make_staging(image);

	make_node(image, block, CDX_KIND_EXTENT, 0, &extent, 1, sizeof(extent));
	for (unsigned int level = 1; level <= CDX_MAX_LEVEL; level++) {
		memset(children, 0, sizeof(children));
		children[1].key = put64(1);
		children[0].child.address = put64(block + level - 1);
		children[1].child.address = put64(block + level - 1);
		make_node(image, block + level, CDX_KIND_EXTENT, level, children, 2,
			  sizeof(children[0]));
	}
	staging->extents.address = put64(block + CDX_MAX_LEVEL);
	staging->extents.level = CDX_MAX_LEVEL;
	image->keep_separators = true;
	image_seal(image);
}

/* A node is its own child. */
static void own_child(struct image *image)
{
	uint64_t block = take_blocks(image, 1);
	struct extent_child child = {.child.address = put64(block)};
	struct cdx_disk_staging *staging = make_staging(image);

	make_node(image, block, CDX_KIND_EXTENT, 5, &child, 1, sizeof(child));
	staging->extents.address = put64(block);
	staging->extents.level = 5;
	image_seal_record(image);
}

/* Runs of one count everywhere: all of the image is free. */
static void all_free(struct image *image)
{
	struct cdx_disk_node *node = image_node(image, get64(image->record->space.address));
	struct cdx_disk_space *items = node_items(node);

	items[0].refcount = put64(0);
	node->count = put16(1);
	node->used = put16(sizeof(*node) + sizeof(*items));
	image->record->free_grains = put64(image->super.grains);
	image_seal(image);
}

static void huge_counts(struct image *image)
{
	struct cdx_disk_node *node = image_node(image, get64(image->record->space.address));
	struct cdx_disk_space *items = node_items(node);

	for (unsigned int i = 0; i < get16(node->count); i++)
		items[i].refcount = put64(UINT64_MAX - i);
	image_seal(image);
}

static void reserves_everywhere(struct image *image)
{
	uint64_t head = image->super.head_grains;

	for (unsigned int i = 0; i < 60; i++)
		add_reserve(image, head + i, image->super.grains - 2 * head - 2 * i, i % 2);
	image_seal(image);
}

/* What a file still has is about to be given back. */
static void old_limbo(struct image *image)
{
	struct cdx_disk_limbo limbo = {
		.transaction = put64(1),
		.address = extent_root(inode_at(image, "own"))->address,
		.type = CDX_LIMBO_TREE,
		.kind = CDX_KIND_EXTENT,
	};

	add_limbo(image, &limbo);
	limbo.address = put64(image->super.head_grains);
	limbo.count_or_crc = put32((uint32_t)(image->super.grains - 2 * image->super.head_grains));
	limbo.type = CDX_LIMBO_RUN;
	limbo.kind = 0;
	add_limbo(image, &limbo);
	limbo.type = CDX_LIMBO_DROP;
	limbo.transaction = put64(0);
	add_limbo(image, &limbo);
	image_seal(image);
}

/* Nodes by the level of a tree above one leaf, each amended to be its own child, or its parent's. */
static void amended_in_circles(struct image *image)
{
	uint64_t block = take_blocks(image, 4);
	struct extent_child children[2];
	struct cdx_disk_staging *staging = make_staging(image);
	struct cdx_disk_amend *amend;

	for (unsigned int level = 1; level <= CDX_MAX_LEVEL; level++) {
		struct cdx_disk_node *node;

		memset(children, 0, sizeof(children));
		children[1].key = put64(1);
		node = make_node(image, block + level, CDX_KIND_EXTENT, level, children, 2, sizeof(children[0]));
		amend = amend_child(image, node, 0);
		amend->value = put64(block + level);
		amend = amend_child(image, node, 1);
		amend->value = put64(level < CDX_MAX_LEVEL ? block + level + 1 : block + 1);
	}
	staging->extents.address = put64(block + CDX_MAX_LEVEL);
	staging->extents.level = CDX_MAX_LEVEL;
	image_seal_record(image);
}

/* All that can be, of one leaf, and none of it an inode. */
static void amended_out_of_bounds(struct image *image)
{
	struct cdx_disk_amend amend = {.node = image->record->fs.address, .kind = CDX_KIND_FS};

	for (unsigned int i = 0; amend_fits(image); i++) {
		amend.index = put16((uint16_t)(UINT16_MAX - i));
		amend.value = put64(UINT64_MAX - i);
		add_amend(image, &amend);
	}
	image_seal(image);
}

static void empty_tree_layout(struct image *image)
{
	struct cdx_disk_inode *inode = inode_at(image, "own");

	memset(extent_root(inode), 0, sizeof(struct cdx_disk_ref));
	image_seal(image);
}

static void directory_in_itself(struct image *image)
{
	insert_name(image, inode_of(image, "dir"), "dir", inode_of(image, "dir"), 4, 0);
	insert_name(image, inode_of(image, "dir"), "root", COWDAX_ROOT_INODE, 4, 0);
	image_seal(image);
}

static void last_numbers(struct image *image)
{
	image->record->next_inode = put64(UINT64_MAX);
	image->record->next_nonce = put64(UINT64_MAX);
	image->record->inodes = put64(0);
	inode_at(image, "one")->size = put64((UINT64_C(1) << 62) - 1);
	inode_at(image, "one")->nlink = put32(UINT32_MAX);
	image_seal(image);
}

static void last_transaction(struct image *image)
{
	struct cdx_disk_commit *slot = image_slot(image, 1, false);

	if (slot != image->record)
		memcpy(slot, image->record, CDX_SLOT_SIZE);
	slot->transaction = put64(CDX_LAST_TRANSACTION);
	image->record = slot;
	image_seal(image);
}

/* cowdax_map() stood still where a count ends inside a block. */
static void count_within_block(struct image *image)
{
	struct cdx_disk_extent *extent = inline_extents(inode_at(image, "one"));

	set_counts(image, (get64(extent->disk_block) << image->super.grains_per_block_shift) + 1, 1,
		   5);
	image_seal(image);
}

const struct damage finds[] = {
	{NULL, "paths-without-end", PLAIN, paths_without_end, AS_IS, NULL},
	{NULL, "own-child", PLAIN, own_child, AS_IS, NULL},
	{NULL, "all-free", PLAIN, all_free, AS_IS, NULL},
	{NULL, "huge-counts", PLAIN, huge_counts, AS_IS, NULL},
	{NULL, "reserves-everywhere", PLAIN, reserves_everywhere, AS_IS, NULL},
	{NULL, "old-limbo", PLAIN, old_limbo, AS_IS, NULL},
	{NULL, "amended-in-circles", PLAIN, amended_in_circles, AS_IS, NULL},
	{NULL, "amended-out-of-bounds", PLAIN, amended_out_of_bounds, AS_IS, NULL},
	{NULL, "empty-tree-layout", PLAIN, empty_tree_layout, AS_IS, NULL},
	{NULL, "directory-in-itself", PLAIN, directory_in_itself, AS_IS, NULL},
	{NULL, "last-numbers", PLAIN, last_numbers, AS_IS, NULL},
	{NULL, "count-within-block", PLAIN, count_within_block, AS_IS, NULL},
	{NULL, "last-transaction", PLAIN, last_transaction, AS_IS, NULL},
	{0},
};
