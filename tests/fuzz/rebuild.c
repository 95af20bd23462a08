/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Make an image's bookkeeping follow what was done to it: link counts, sizes of
 * directories and parents from the names (FORMAT 9), reference counts from the pointers
 * (FORMAT 7), a new space tree.  What then is wrong is wrong in itself, or nothing is:
 * images that no library made and that are whole.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

#define MAX_INODES 4096

struct inode_facts {
	struct cdx_disk_inode *disk;
	uint64_t number, parent;
	uint32_t names, entries, subdirectories;
	bool orphan;			/* an orphan item names it */
};

struct rebuild {
	struct image *image;
	uint32_t *counts;		/* by grain */
	unsigned char *seen;		/* by grain: a node that was walked */
	struct inode_facts *inodes;
	unsigned int inode_count;
	unsigned int pass;		/* of the fs tree: 0 inodes, 1 names and orphans */
	uint64_t orphans;
};

static const struct { unsigned int words, leaf, inner; } shapes[] = {
	[CDX_KIND_FS] = {3, 0, 40},
	[CDX_KIND_EXTENT] = {1, 24, 24},
	[CDX_KIND_SPACE] = {1, 16, 40},
	[CDX_KIND_LIMBO] = {2, 24, 32},
	[CDX_KIND_STAGING] = {1, 40, 24},
};

static bool grain_fits(const struct rebuild *rb, uint64_t grain)
{
	return cdx_super_allocatable(&rb->image->super, grain, 1);
}

/* The node at @grain if it can be one of that kind and level, else NULL. */
static struct cdx_disk_node *node_at(struct rebuild *rb, uint64_t grain, enum cdx_kind kind, unsigned int level)
{
	struct cdx_disk_node *node;

	if (!grain_fits(rb, grain))
		return NULL;
	node = image_node(rb->image, grain);
	if (get32(node->magic) != CDX_NODE_MAGIC || node->kind != kind || node->level != level ||
	    get16(node->used) < sizeof(*node) || get16(node->used) > rb->image->super.node_size)
		return NULL;
	return node;
}

/* ---- names and links ------------------------------------------------------------------ */

static struct inode_facts *find_facts(struct rebuild *rb, uint64_t number)
{
	for (unsigned int i = 0; i < rb->inode_count; i++) {
		if (rb->inodes[i].number == number)
			return &rb->inodes[i];
	}
	return NULL;
}

static void note_item(struct rebuild *rb, struct cdx_disk_fs_item *item)
{
	struct cdx_disk_dirent *dirent = (void *)(item + 1);
	struct inode_facts *target, *directory;

	if (rb->pass == 0 && get64(item->item) == CDX_ITEM_INODE && rb->inode_count < MAX_INODES &&
	    get16(item->length) >= sizeof(struct cdx_disk_inode))
		rb->inodes[rb->inode_count++] = (struct inode_facts){
			.disk = (void *)(item + 1), .number = get64(item->inode)};
	if (rb->pass == 1 && get64(item->item) == CDX_ITEM_ORPHAN) {
		target = find_facts(rb, get64(item->hash));
		rb->orphans++;
		if (target)
			target->orphan = true;
	}
	if (rb->pass == 0 || get64(item->item) != CDX_ITEM_DIRENT)
		return;
	target = find_facts(rb, get64(dirent->inode));
	directory = find_facts(rb, get64(item->inode));
	if (directory)
		directory->entries++;
	if (!target)
		return;
	if (!target->names++)
		target->parent = get64(item->inode);
	if (directory && S_ISDIR(get32(target->disk->mode)))
		directory->subdirectories++;
}

static void each_item(struct rebuild *rb, uint64_t grain, unsigned int level)
{
	struct cdx_disk_node *node = node_at(rb, grain, CDX_KIND_FS, level);
	unsigned char *at, *end;
	unsigned int index = 0;

	if (!node)
		return;
	at = node_items(node);
	end = (unsigned char *)node + get16(node->used);
	while (level && end - at >= 40) {
		each_item(rb, child_address(rb->image, node, index++), level - 1);
		at += 40;
	}
	while (!level && (size_t)(end - at) >= sizeof(struct cdx_disk_fs_item) &&
	       item_size((void *)at) <= (size_t)(end - at)) {
		note_item(rb, (void *)at);
		at += item_size((void *)at);
	}
}

static void settle_links(struct rebuild *rb)
{
	struct cdx_disk_commit *record = rb->image->record;

	for (rb->pass = 0; rb->pass < 2; rb->pass++)
		each_item(rb, get64(record->fs.address), record->fs.level);
	for (unsigned int i = 0; i < rb->inode_count; i++) {
		struct inode_facts *facts = &rb->inodes[i];

		if (!S_ISDIR(get32(facts->disk->mode))) {
			facts->disk->nlink = put32(facts->names);
			facts->disk->parent = put64(0);
			continue;
		}
		facts->disk->size = put64(facts->entries);
		facts->disk->nlink = put32(2 + facts->subdirectories);
		facts->disk->parent = put64(facts->number == COWDAX_ROOT_INODE ? facts->number :
					    facts->orphan ? 0 : facts->parent);
	}
	record->orphans = put64(rb->orphans);
	record->inodes = put64(rb->inode_count);
}

/* ---- pointers ------------------------------------------------------------------------- */

static void count_run(struct rebuild *rb, uint64_t start, uint64_t grains)
{
	for (; grains && grain_fits(rb, start); grains--)
		rb->counts[start++]++;
}

static void count_extents(struct rebuild *rb, const struct cdx_disk_extent *extents, unsigned int count)
{
	unsigned int shift = rb->image->super.grains_per_block_shift;

	for (unsigned int i = 0; i < count; i++) {
		if (get64(extents[i].disk_block) < rb->image->super.blocks)
			count_run(rb, get64(extents[i].disk_block) << shift,
				  (uint64_t)get32(extents[i].count) << shift);
	}
}

/* What of an extent a base does not say too (FORMAT 6.4). */
static void count_unborrowed(struct rebuild *rb, struct cdx_disk_extent extent, struct cdx_disk_node *base)
{
	const struct cdx_disk_extent *other = node_items(base);

	for (unsigned int i = 0; i < get16(base->count) && get32(extent.count); i++, other++) {
		uint64_t first = get64(extent.file_block), end = first + get32(extent.count);
		uint64_t from = get64(other->file_block), to = from + get32(other->count);
		struct cdx_disk_extent before = extent;

		if (to <= first || from >= end || get32(other->flags) != get32(extent.flags) ||
		    get64(other->disk_block) - from != get64(extent.disk_block) - first)
			continue;
		before.count = put32(from > first ? (uint32_t)(from - first) : 0);
		count_extents(rb, &before, 1);
		to = to < end ? to : end;
		extent.file_block = put64(to);
		extent.disk_block = put64(get64(extent.disk_block) + (to - first));
		extent.count = put32((uint32_t)(end - to));
	}
	count_extents(rb, &extent, 1);
}

/* An inner item as the record amends it. */
struct inner {
	le64 key;
	struct cdx_disk_child child;
};

static struct inner inner_item(struct rebuild *rb, struct cdx_disk_node *node, unsigned int index)
{
	const struct cdx_disk_amend *amend = find_amend(rb->image, node, index);
	struct inner item = ((struct inner *)node_items(node))[index];

	if (amend)
		item.child = (struct cdx_disk_child){amend->value, amend->more, item.child.reserved};
	return item;
}

static bool has_child(struct rebuild *rb, struct cdx_disk_node *base, struct cdx_disk_node *node,
		      unsigned int index)
{
	struct inner item = inner_item(rb, node, index);

	for (unsigned int i = 0; i < get16(base->count); i++) {
		struct inner other = inner_item(rb, base, i);

		if (memcmp(&other, &item, sizeof(item)) == 0)
			return true;
	}
	return false;
}

static void count_tree(struct rebuild *rb, uint64_t grain, enum cdx_kind kind, unsigned int level);

/* What a node borrows from: counted, and its items as many as fit in. */
static struct cdx_disk_node *count_base(struct rebuild *rb, struct cdx_disk_node *node)
{
	size_t room = (rb->image->super.node_size - sizeof(*node)) / sizeof(struct cdx_disk_extent);
	struct cdx_disk_node *base;

	if (node->kind != CDX_KIND_EXTENT || !(get16(node->flags) & CDX_NODE_BASED) ||
	    get16(node->used) > cdx_node_room(node->kind, rb->image->super.node_size))
		return NULL;
	base = node_at(rb, get64(node_base(node)->address), node->kind, node->level);
	if (!base || get16(base->count) > room || (get16(base->flags) & CDX_NODE_BASED))
		return NULL;
	count_tree(rb, get64(node_base(node)->address), node->kind, node->level);
	return base;
}

static void count_limbo(struct rebuild *rb, const struct cdx_disk_limbo *limbo)
{
	if (limbo->type == CDX_LIMBO_TREE)
		count_tree(rb, get64(limbo->address), CDX_KIND_EXTENT, limbo->level);
	else
		count_run(rb, get64(limbo->address), get32(limbo->count_or_crc));
}

static void count_ref(struct rebuild *rb, const struct cdx_disk_ref *ref, enum cdx_kind kind)
{
	if (get64(ref->address))
		count_tree(rb, get64(ref->address), kind, ref->level);
}

static void count_fs_leaf(struct rebuild *rb, const unsigned char *at, const unsigned char *end)
{
	while ((size_t)(end - at) >= sizeof(struct cdx_disk_fs_item)) {
		const struct cdx_disk_fs_item *item = (const void *)at;
		const struct cdx_disk_inode *inode = (const void *)(item + 1);
		size_t size = item_size(item);

		if (size > (size_t)(end - at))
			return;
		if (get64(item->item) == CDX_ITEM_INODE && get16(item->length) >= sizeof(*inode)) {
			size_t room = get16(item->length) - sizeof(*inode);

			if (inode->layout == CDX_LAYOUT_TREE && room >= sizeof(struct cdx_disk_ref))
				count_ref(rb, (const void *)(inode + 1), CDX_KIND_EXTENT);
			else if (inode->n_inline * sizeof(struct cdx_disk_extent) <= room)
				count_extents(rb, (const void *)(inode + 1), inode->n_inline);
		}
		at += size;
	}
}

static void count_items(struct rebuild *rb, struct cdx_disk_node *node)
{
	unsigned char *at = node_items(node), *end = (unsigned char *)node + get16(node->used);
	unsigned int stride = node->level ? shapes[node->kind].inner : shapes[node->kind].leaf;
	struct cdx_disk_node *base = count_base(rb, node);
	unsigned int index = 0;

	if (node->kind == CDX_KIND_FS && !node->level) {
		count_fs_leaf(rb, at, end);
		return;
	}
	for (; (size_t)(end - at) >= stride; at += stride, index++) {
		if (node->level && base && has_child(rb, base, node, index))
			continue;
		if (node->level)
			count_tree(rb, child_address(rb->image, node, index), node->kind, node->level - 1u);
		else if (base)
			count_unborrowed(rb, *(struct cdx_disk_extent *)at, base);
		else if (node->kind == CDX_KIND_EXTENT)
			count_extents(rb, (void *)at, 1);
		else if (node->kind == CDX_KIND_LIMBO)
			count_limbo(rb, (void *)at);
		else if (node->kind == CDX_KIND_STAGING)
			count_ref(rb, &((struct cdx_disk_staging *)at)->extents, CDX_KIND_EXTENT);
	}
}

static void count_tree(struct rebuild *rb, uint64_t grain, enum cdx_kind kind, unsigned int level)
{
	struct cdx_disk_node *node = node_at(rb, grain, kind, level);

	count_run(rb, grain, 1);
	if (!node || rb->seen[grain])
		return;
	rb->seen[grain] = 1;
	count_items(rb, node);
}

static void count_all(struct rebuild *rb)
{
	const struct cdx_super *super = &rb->image->super;
	struct cdx_disk_commit *record = rb->image->record;
	const struct cdx_disk_run *runs = (const void *)(record + 1);
	const struct cdx_disk_limbo *limbo = limbo_list(rb->image);

	count_ref(rb, &record->fs, CDX_KIND_FS);
	count_ref(rb, &record->limbo, CDX_KIND_LIMBO);
	count_ref(rb, &record->staging, CDX_KIND_STAGING);
	for (unsigned int i = 0; i < get16(record->n_pool) + (unsigned int)get16(record->n_window); i++)
		count_run(rb, get64(runs[i].start), get64(runs[i].count));
	for (unsigned int i = 0; i < get16(record->n_limbo); i++)
		count_limbo(rb, &limbo[i]);
	for (uint64_t i = 0; i < super->head_grains; i++)
		rb->counts[i] = rb->counts[super->grains - 1 - i] = 1;
}

/* ---- the space tree ------------------------------------------------------------------- */

struct level {
	struct { uint64_t start, grain, largest; uint32_t crc; } *nodes;
	unsigned int count;
};

static uint64_t run_end(const struct rebuild *rb, uint64_t start, uint64_t bound)
{
	uint64_t end = start + 1;

	while (end < bound && rb->counts[end] == rb->counts[start])
		end++;
	return end;
}

static uint64_t measure(const struct rebuild *rb, uint64_t start, uint64_t end)
{
	uint64_t mask = (UINT64_C(1) << rb->image->super.grains_per_block_shift) - 1;
	uint64_t first = (start + mask) & ~mask, last = end & ~mask;

	if (last > first)
		return last - first;
	return end - start < mask ? end - start : mask;
}

/* Nodes that the tree takes, all its levels. */
static unsigned int nodes_needed(const struct rebuild *rb)
{
	uint64_t grains = rb->image->super.grains;
	unsigned int size = rb->image->super.node_size - sizeof(struct cdx_disk_node);
	unsigned int count = 0, all = 0;

	for (uint64_t at = 0; at < grains; at = run_end(rb, at, grains))
		count++;
	count = (count + size / 16 - 1) / (size / 16);
	all = count;
	while (count > 1) {
		count = (count + size / 40 - 1) / (size / 40);
		all += count;
	}
	return all;
}

/* Give the tree the free grains nearest to the end, until they are just enough; false: no room. */
static bool take_grains(struct rebuild *rb, uint64_t *grain, unsigned int *count)
{
	uint64_t end = rb->image->super.grains - rb->image->super.head_grains;

	*count = nodes_needed(rb);
	for (;; end--) {
		unsigned int free_run = 0;

		while (free_run < *count && end > free_run + rb->image->super.head_grains &&
		       !rb->counts[end - 1 - free_run])
			free_run++;
		if (free_run == *count) {
			*grain = end - *count;
			for (unsigned int i = 0; i < *count; i++)
				rb->counts[*grain + i] = 1;
			if (nodes_needed(rb) == *count)
				return true;
			for (unsigned int i = 0; i < *count; i++)
				rb->counts[*grain + i] = 0;
			++*count;
		}
		if (end <= rb->image->super.head_grains + *count)
			return false;
	}
}

static void build_leaves(struct rebuild *rb, struct level *level, uint64_t *grain)
{
	uint64_t grains = rb->image->super.grains, at = 0;
	unsigned int most = (rb->image->super.node_size - sizeof(struct cdx_disk_node)) / 16;
	struct cdx_disk_space items[CDX_MAX_NODE_SIZE / 16];

	while (at < grains) {
		unsigned int n = 0;

		level->nodes[level->count].start = at;
		level->nodes[level->count].largest = 0;
		for (; n < most && at < grains; n++) {
			uint64_t end = run_end(rb, at, grains);

			items[n] = (struct cdx_disk_space){put64(at), put64(rb->counts[at])};
			if (!rb->counts[at] && measure(rb, at, end) > level->nodes[level->count].largest)
				level->nodes[level->count].largest = measure(rb, at, end);
			at = end;
		}
		make_node(rb->image, *grain, CDX_KIND_SPACE, 0, items, n, sizeof(items[0]));
		level->nodes[level->count++].grain = (*grain)++;
	}
}

static void build_inner(struct rebuild *rb, struct level *level, unsigned int height, uint64_t *grain)
{
	struct item { le64 start; struct cdx_disk_space_child child; } items[CDX_MAX_NODE_SIZE / 40];
	unsigned int most = (rb->image->super.node_size - sizeof(struct cdx_disk_node)) / 40;
	unsigned int above = 0;

	for (unsigned int i = 0; i < level->count;) {
		uint64_t start = level->nodes[i].start, largest = 0;
		unsigned int n = 0;

		for (; n < most && i < level->count; n++, i++) {
			items[n] = (struct item){
				.start = put64(level->nodes[i].start),
				.child.child.address = put64(level->nodes[i].grain),
				.child.largest = put64(level->nodes[i].largest),
			};
			if (level->nodes[i].largest > largest)
				largest = level->nodes[i].largest;
		}
		make_node(rb->image, *grain, CDX_KIND_SPACE, height, items, n, sizeof(items[0]));
		level->nodes[above].start = start;
		level->nodes[above].largest = largest;
		level->nodes[above++].grain = (*grain)++;
	}
	level->count = above;
}

static void build_space_tree(struct rebuild *rb)
{
	struct cdx_disk_commit *record = rb->image->record;
	unsigned int count, height = 0;
	struct level level = {0};
	uint64_t grain, free_grains = 0;

	if (!take_grains(rb, &grain, &count))
		return;
	level.nodes = calloc(count + 1, sizeof(*level.nodes));
	if (!level.nodes)
		die("out of memory");
	drop_amends(rb->image, CDX_KIND_SPACE);
	build_leaves(rb, &level, &grain);
	while (level.count > 1)
		build_inner(rb, &level, ++height, &grain);
	record->space = (struct cdx_disk_ref){.address = put64(level.nodes[0].grain), .level = (uint8_t)height};
	for (uint64_t i = 0; i < rb->image->super.grains; i++)
		free_grains += rb->counts[i] == 0;
	record->free_grains = put64(free_grains);
	free(level.nodes);
}

void rebuild(struct image *image)
{
	struct rebuild rb = {
		.image = image,
		.counts = calloc(image->super.grains, sizeof(*rb.counts)),
		.seen = calloc(image->super.grains, 1),
		.inodes = calloc(MAX_INODES, sizeof(*rb.inodes)),
	};

	if (!rb.counts || !rb.seen || !rb.inodes)
		die("out of memory");
	settle_links(&rb);
	count_all(&rb);
	build_space_tree(&rb);
	free(rb.counts);
	free(rb.seen);
	free(rb.inodes);
	seal_everything(image);
}
