/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images crafted to harm whoever works on them; and what no writer could foresee. */
#include <string.h>


#include "usable.h"

#define TYPE_DIRECTORY 4
#define FAN_OUT 150

/* "dir" is in its own subdirectory, which its parent field says too; the root leads into it. */
static void loop_with_a_way_in(struct image *image)
{
	uint64_t dir = inode_of(image, "dir"), sub = inode_of(image, "dir/sub");
	struct cdx_disk_inode *inode = inode_at(image, "dir/sub");

	add64(&inode->size, 1);
	add32(&inode->nlink, 1);
	inode_at(image, "dir")->parent = put64(sub);
	insert_name(image, sub, "dir", dir, TYPE_DIRECTORY, 0);
	image_seal(image);
}

/* The same one step deeper: "sub" is in itself. */
static void loop_below(struct image *image)
{
	uint64_t sub = inode_of(image, "dir/sub");
	struct cdx_disk_inode *inode = inode_at(image, "dir/sub");

	add64(&inode->size, 1);
	add32(&inode->nlink, 1);
	inode->parent = put64(sub);
	insert_name(image, sub, "sub", sub, TYPE_DIRECTORY, 0);
	image_seal(image);
}

static le32 seal_node(struct image *image, struct cdx_disk_node *node)
{
	node->birth = put64(CDX_FIRST_TRANSACTION);
	node->crc = put32(cdx_node_crc(&image->super, node, get16(node->used)));
	return node->crc;
}

/* All children of a node are one and the same, on every level: FAN_OUT^15 ways down. */
static void limbo_of_many_ways(struct image *image)
{
	struct extent_child children[FAN_OUT];
	uint64_t block = take_blocks(image, 4);
	struct cdx_disk_extent extent = {
		.disk_block = put64(block >> image->super.grains_per_block_shift),
		.count = put32(1),
	};
	struct cdx_disk_limbo limbo = {
		.transaction = put64(CDX_FIRST_TRANSACTION),
		.address = put64(block + CDX_MAX_LEVEL),
		.type = CDX_LIMBO_TREE,
		.kind = CDX_KIND_EXTENT,
		.level = CDX_MAX_LEVEL,
	};
	le32 crc;

	crc = seal_node(image,
			make_node(image, block, CDX_KIND_EXTENT, 0, &extent, 1, sizeof(extent)));
	for (unsigned int level = 1; level <= CDX_MAX_LEVEL; level++) {
		memset(children, 0, sizeof(children));
		for (unsigned int i = 0; i < FAN_OUT; i++) {
			children[i].key = put64(i);
			children[i].child.address = put64(block + level - 1);
			children[i].child.crc = crc;
		}
		crc = seal_node(image, make_node(image, block + level, CDX_KIND_EXTENT, level,
						 children, FAN_OUT, sizeof(children[0])));
	}
	limbo.count_or_crc = crc;
	add_limbo(image, &limbo);
	image_seal_record(image);
}

const struct damage crafted[] = {
	{"dir-loop", "directory loop with a way in", PLAIN, loop_with_a_way_in, AS_IS, NULL},
	{"dir-loop", "directory in itself below another", PLAIN, loop_below, AS_IS, NULL},
	{"node-separator", "limbo tree of many ways", PLAIN, limbo_of_many_ways, AS_IS, NULL},
	{0},
};

/* Two holders of one grain, or of one name: each alone looks right, and so does a change of it. */
static const struct { const char *what, *code; } unforeseen[] = {
	{"reserve of a node", "node-kind"},
	{"reserve of a node", "refcount-high"},
	{"reserve of a node", "limbo-in-use"},
	{"limbo run of two transactions", "limbo-in-use"},
	{"limbo run of two transactions", "reserve-in-use"},
	{"limbo tree that a file has", "refcount-low"},
	{"shared node of count 1", "limbo-in-use"},
	{"block of two files with count 1", "limbo-in-use"},
	{"block of two files with count 1", "reserve-in-use"},
	{"directory with two names", "dirent-dangling"},
	{"directory with two names", "inode-links"},
	{"name in no directory", "dir-size"},
};

bool may_appear(const struct damage *damage, const char *code)
{
	for (size_t i = 0; i < sizeof(unforeseen) / sizeof(unforeseen[0]); i++) {
		if (strcmp(unforeseen[i].what, damage->what) == 0 &&
		    strcmp(unforeseen[i].code, code) == 0)
			return true;
	}
	return false;
}
