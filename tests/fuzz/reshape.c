/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of meaning rather than of bytes: whole items, extents and entries that are
 * well-formed each, in combinations that the library does not make by itself.  With the
 * bookkeeping rebuilt afterwards many of these images are whole, and all that is whole
 * must work.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

struct reshape {
	struct image *image;
	struct draw *draw;
	struct { struct cdx_disk_fs_item *item; struct cdx_disk_node *leaf; } inodes[256];
	unsigned int inode_count;
};

static uint64_t below(struct reshape *rs, uint64_t limit)
{
	return draw_below(rs->draw, limit);
}

static void find_inodes(struct reshape *rs, uint64_t grain, unsigned int level)
{
	struct cdx_disk_node *node;
	unsigned char *at;

	if (!cdx_super_allocatable(&rs->image->super, grain, 1))
		return;
	node = image_node(rs->image, grain);
	at = node_items(node);
	for (unsigned int i = 0; i < get16(node->count); i++) {
		if (level) {
			find_inodes(rs, child_address(rs->image, node, i), level - 1);
			continue;
		}
		if (get64(((struct cdx_disk_fs_item *)at)->item) == CDX_ITEM_INODE && rs->inode_count < 256) {
			rs->inodes[rs->inode_count].item = (void *)at;
			rs->inodes[rs->inode_count++].leaf = node;
		}
		at += item_size((void *)at);
	}
}

/* Items move when others are inserted: look again each time. */
static struct cdx_disk_inode *some_inode(struct reshape *rs, bool directory, uint64_t *number)
{
	unsigned int tries = 64;

	rs->inode_count = 0;
	find_inodes(rs, get64(rs->image->record->fs.address), rs->image->record->fs.level);
	while (rs->inode_count && tries--) {
		struct cdx_disk_fs_item *item = rs->inodes[below(rs, rs->inode_count)].item;
		struct cdx_disk_inode *disk;

		if (!item)
			break;
		disk = (void *)(item + 1);
		*number = get64(item->inode);
		if (S_ISDIR(get32(disk->mode)) == directory)
			return disk;
	}
	return NULL;
}

static uint64_t edge(struct reshape *rs, uint64_t limit)
{
	switch (below(rs, 4)) {
	case 0:
		return limit - 1 - below(rs, 3);
	case 1:
		return below(rs, 4);
	case 2:
		return limit + below(rs, 3);
	default:
		return below(rs, limit);
	}
}

/* Another name for a file, or a second one for a directory. */
static void add_name(struct reshape *rs)
{
	uint64_t directory, target;
	struct cdx_disk_inode *in = some_inode(rs, true, &directory);
	struct cdx_disk_inode *inode = some_inode(rs, below(rs, 4) == 0, &target);
	char name[16] = "name-a";

	if (!in || !inode)
		return;
	if (below(rs, 4) == 0)
		memcpy(name, below(rs, 2) ? COLLIDING_1 : COLLIDING_2, sizeof(COLLIDING_1));
	else
		name[5] = (char)('a' + below(rs, 26));
	if (!item_fits(rs->image, directory, CDX_ITEM_DIRENT, name_hash(rs->image, name),
		       CDX_DIRENT_HEADER + strlen(name)))
		return;
	insert_name(rs->image, directory, name, target, get32(inode->mode) >> 12, (unsigned int)below(rs, 3));
}

/* A directory becomes an orphan, its name gone or not. */
static void orphan_directory(struct reshape *rs)
{
	uint64_t number;
	struct place place;

	if (!some_inode(rs, true, &number) ||
	    !item_fits(rs->image, CDX_ORPHAN_INODE, CDX_ITEM_ORPHAN, number, 0))
		return;
	place = find_dirent_of(rs->image, number);
	if (place.item && below(rs, 4))
		remove_item(rs->image, place);
	insert_item(rs->image, CDX_ORPHAN_INODE, CDX_ITEM_ORPHAN, number, "", 0);
}

static void change_inode(struct reshape *rs)
{
	static const uint64_t last_size = (UINT64_C(1) << 62) - 65536;
	uint64_t number;
	struct cdx_disk_inode *inode = some_inode(rs, below(rs, 8) == 0, &number);

	if (!inode)
		return;
	switch (below(rs, 6)) {
	case 0:
		inode->size = put64(edge(rs, last_size));
		break;
	case 1:
		inode->mode = put32((get32(inode->mode) & S_IFMT) | (uint32_t)below(rs, 010000));
		break;
	case 2:
		inode->mtime.seconds = put64(draw_number(rs->draw));
		inode->mtime.nanoseconds = put32((uint32_t)edge(rs, 1000000000));
		break;
	case 3:
		inode->uid = inode->gid = put32((uint32_t)edge(rs, UINT64_C(1) << 32));
		break;
	case 4:
		inode->size = put64(edge(rs, get64(inode->size) + 2));
		break;
	default:
		inode->size = put64(get64(inode->size) + rs->image->super.block_size * below(rs, 1000));
		break;
	}
}

/* One more inline extent, of free blocks or of somebody's. */
static void add_extent(struct reshape *rs)
{
	uint64_t number, most = (UINT64_C(1) << 62) >> rs->image->super.block_shift;
	struct cdx_disk_inode *inode = some_inode(rs, false, &number);
	struct cdx_disk_extent extents[CDX_INLINE_EXTENTS] = {0};
	struct place place;
	unsigned int n;
	struct { struct cdx_disk_inode inode; struct cdx_disk_extent extents[CDX_INLINE_EXTENTS]; } value;

	if (!inode || inode->layout != CDX_LAYOUT_INLINE || inode->n_inline >= CDX_INLINE_EXTENTS)
		return;
	n = inode->n_inline;
	memcpy(extents, inode + 1, n * sizeof(extents[0]));
	extents[n].file_block = put64(n ? get64(extents[n - 1].file_block) + get32(extents[n - 1].count) +
						  below(rs, 3) : edge(rs, most));
	extents[n].disk_block = put64(edge(rs, rs->image->super.blocks));
	extents[n].count = put32((uint32_t)(1 + below(rs, below(rs, 2) ? 4 : rs->image->super.blocks)));
	extents[n].flags = put32((uint32_t)below(rs, 2));
	place = find_inode(rs->image, number);
	if (get16(place.node->used) + sizeof(extents[0]) > rs->image->super.node_size)
		return;
	value.inode = *inode;
	value.inode.n_inline = (uint8_t)(n + 1);
	memcpy(value.extents, extents, sizeof(extents));
	remove_item(rs->image, place);
	insert_item(rs->image, number, CDX_ITEM_INODE, 0, &value,
		    sizeof(value.inode) + (n + 1) * sizeof(extents[0]));
}

static void change_extent(struct reshape *rs)
{
	uint64_t number;
	struct cdx_disk_inode *inode = some_inode(rs, false, &number);
	struct cdx_disk_extent *extent;

	if (!inode)
		return;
	if (inode->layout == CDX_LAYOUT_TREE) {
		const struct cdx_disk_ref *root = (const void *)(inode + 1);
		struct cdx_disk_node *node;

		if (!cdx_super_allocatable(&rs->image->super, get64(root->address), 1))
			return;
		node = image_node(rs->image, get64(root->address));
		if (node->level || !get16(node->count))
			return;
		extent = (struct cdx_disk_extent *)node_items(node) + below(rs, get16(node->count));
	} else if (inode->n_inline) {
		extent = inline_extents(inode) + below(rs, inode->n_inline);
	} else {
		return;
	}
	switch (below(rs, 4)) {
	case 0:
		extent->flags = put32(get32(extent->flags) ^ CDX_EXTENT_UNWRITTEN);
		break;
	case 1:
		extent->disk_block = put64(edge(rs, rs->image->super.blocks));
		break;
	case 2:
		extent->count = put32((uint32_t)(1 + below(rs, rs->image->super.blocks)));
		break;
	default:
		add64(&extent->file_block, below(rs, 2));
		break;
	}
}

static void change_numbers(struct reshape *rs)
{
	struct cdx_disk_commit *record = rs->image->record;

	switch (below(rs, 4)) {
	case 0:
		record->next_inode = put64(UINT64_MAX - below(rs, 3));
		break;
	case 1:
		record->next_nonce = put64(UINT64_MAX - below(rs, 3));
		break;
	case 2:
		add64(&record->next_inode, edge(rs, UINT64_C(1) << 48));
		break;
	default:
		add64(&record->next_nonce, edge(rs, UINT64_C(1) << 48));
		break;
	}
}

static void put_in_limbo(struct reshape *rs)
{
	uint64_t transaction = get64(rs->image->record->transaction);
	struct cdx_disk_limbo limbo = {
		.transaction = put64(below(rs, 2) ? transaction : below(rs, transaction + 1)),
		.address = put64(edge(rs, rs->image->super.grains)),
		.count_or_crc = put32((uint32_t)(1 + below(rs, 64))),
		.type = below(rs, 2) ? CDX_LIMBO_RUN : CDX_LIMBO_DROP,
	};

	if (get32(rs->image->record->length) + sizeof(limbo) <= CDX_SLOT_SIZE)
		add_limbo(rs->image, &limbo);
}

/* All of a reserve is given up: it is free space then. */
static void empty_reserves(struct reshape *rs)
{
	struct cdx_disk_commit *record = rs->image->record;
	unsigned int runs = get16(record->n_pool) + (unsigned int)get16(record->n_window);
	size_t kept = get32(record->length) - sizeof(*record) - runs * sizeof(struct cdx_disk_run);

	memmove(record + 1, limbo_list(rs->image), kept);
	record->n_pool = record->n_window = put16(0);
	record->length = put32(get32(record->length) - runs * (uint32_t)sizeof(struct cdx_disk_run));
}

static void drop_limbo(struct reshape *rs)
{
	struct cdx_disk_commit *record = rs->image->record;

	memmove(limbo_list(rs->image), amend_list(rs->image),
		get16(record->n_amends) * sizeof(struct cdx_disk_amend));
	record->length = put32(get32(record->length) -
			       get16(record->n_limbo) * (uint32_t)sizeof(struct cdx_disk_limbo));
	record->n_limbo = put16(0);
	if (below(rs, 2)) {
		drop_amends(rs->image, CDX_KIND_LIMBO);
		memset(&record->limbo, 0, sizeof(record->limbo));
	}
}

/* A whole block inside of a run of the pool, and something left of that, see take_blocks(). */
static bool pool_has_block(struct image *image)
{
	const struct cdx_disk_run *runs = (const void *)(image->record + 1);

	for (unsigned int i = 0; i < get16(image->record->n_pool); i++) {
		if (get64(runs[i].count) > UINT64_C(3) << image->super.grains_per_block_shift)
			return get32(image->record->length) + sizeof(*runs) * 2 <= CDX_SLOT_SIZE;
	}
	return false;
}

static void add_staging(struct reshape *rs)
{
	struct cdx_disk_staging *staging;
	uint64_t number;
	struct cdx_disk_inode *inode = some_inode(rs, false, &number);

	if (get64(rs->image->record->staging.address) || !pool_has_block(rs->image))
		return;
	staging = make_staging(rs->image);
	staging->lane = put64(edge(rs, 65536));
	staging->blocks = put64(0);
	if (inode && inode->layout == CDX_LAYOUT_TREE && below(rs, 2))
		staging->extents = *extent_root(inode);		/* shared with the file */
}

/* The root of a tree of the record, or of a file's. */
static struct cdx_disk_ref some_tree(struct reshape *rs)
{
	const struct cdx_disk_commit *record = rs->image->record;
	struct cdx_disk_inode *inode;
	uint64_t number;

	switch (below(rs, 4)) {
	case 0:
		return record->fs;
	case 1:
		return below(rs, 2) ? record->limbo : record->staging;
	default:
		inode = some_inode(rs, false, &number);
		return inode && inode->layout == CDX_LAYOUT_TREE ? *extent_root(inode) : record->fs;
	}
}

/* Of an inner node, of whatever level: what it says itself, or what only the record knows then. */
static void amend_some_child(struct reshape *rs)
{
	struct cdx_disk_ref tree = some_tree(rs);
	unsigned int down = (unsigned int)below(rs, tree.level);
	uint64_t grain = get64(tree.address);

	for (unsigned int level = tree.level; level; level--, down--) {
		struct cdx_disk_node *node;
		unsigned int index;

		if (!cdx_super_allocatable(&rs->image->super, grain, 1))
			return;
		node = image_node(rs->image, grain);
		if (get32(node->magic) != CDX_NODE_MAGIC || node->level != level || !get16(node->count))
			return;
		index = (unsigned int)below(rs, get16(node->count));
		if (!down) {
			(below(rs, 4) ? hide_child : amend_child)(rs->image, node, index);
			return;
		}
		grain = child_address(rs->image, node, index);
	}
}

static void amend_something(struct reshape *rs)
{
	uint64_t number, left = 1 + below(rs, 4);
	struct cdx_disk_amend *amend;

	for (; left && amend_fits(rs->image); left--) {
		if (below(rs, 2)) {
			amend_some_child(rs);
			continue;
		}
		if (!some_inode(rs, below(rs, 4) == 0, &number))
			return;
		amend = amend_times(rs->image, find_inode(rs->image, number));
		amend->value = put64(draw_number(rs->draw));
		amend->more = put32((uint32_t)below(rs, 1000000000));
	}
}

/* Numbers to draw from: few are not an edit's of the table below, which so keep theirs. */
#define EDIT_NUMBERS 256
#define AMENDING 16

void reshape(struct image *image, struct draw *draw)
{
	static void (*const edits[])(struct reshape *) = {
		add_name, orphan_directory, change_inode, change_inode, add_extent, add_extent, change_extent,
		change_numbers, put_in_limbo, empty_reserves, drop_limbo, add_staging,
	};
	struct reshape rs = {.image = image, .draw = draw};

	for (uint64_t left = 1 + below(&rs, 4); left; left--) {
		uint64_t number = below(&rs, EDIT_NUMBERS);

		if (number < EDIT_NUMBERS - AMENDING)
			edits[number % (sizeof(edits) / sizeof(edits[0]))](&rs);
		else
			amend_something(&rs);
	}
	rebuild(image);
}
