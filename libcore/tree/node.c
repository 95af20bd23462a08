// SPDX-License-Identifier: LGPL-2.1-or-later
/* Nodes in DRAM (FORMAT 6.1): copied, verified, then used (R8); dirty ones until they are written. */
#include "tree/node.h"

#include <stdlib.h>

const struct cdx_kind_shape cdx_kind_shapes[] = {
	[CDX_KIND_FS] = {3, 0, 24 + sizeof(struct cdx_disk_child)},
	[CDX_KIND_EXTENT] = {1, sizeof(struct cdx_disk_extent), 8 + sizeof(struct cdx_disk_child)},
	[CDX_KIND_SPACE] = {1, sizeof(struct cdx_disk_space), 8 + sizeof(struct cdx_disk_space_child)},
	[CDX_KIND_LIMBO] = {2, sizeof(struct cdx_disk_limbo), 16 + sizeof(struct cdx_disk_child)},
	[CDX_KIND_STAGING] = {1, sizeof(struct cdx_disk_staging), 8 + sizeof(struct cdx_disk_child)},
};

int cdx_nodes_init(struct cdx_nodes *nodes, struct cdx_pmem *pm, const struct cdx_super *super)
{
	memset(nodes, 0, sizeof(*nodes));
	nodes->pm = pm;
	nodes->super = super;
	nodes->cache = calloc(CDX_CACHE_SETS * CDX_CACHE_WAYS, sizeof(*nodes->cache));
	return nodes->cache ? 0 : -ENOMEM;
}

static struct cdx_node *node_alloc(struct cdx_nodes *nodes)
{
	if (nodes->spares)
		return nodes->spare[--nodes->spares];
	return malloc(offsetof(struct cdx_node, disk) + nodes->super->node_size + CDX_MAX_ITEM);
}

static void node_free(struct cdx_nodes *nodes, struct cdx_node *node)
{
	if (nodes->spares < (int)(sizeof(nodes->spare) / sizeof(nodes->spare[0])))
		nodes->spare[nodes->spares++] = node;
	else
		free(node);
}

void cdx_nodes_exit(struct cdx_nodes *nodes)
{
	if (!nodes->cache)
		return;
	cdx_nodes_forget_all(nodes);
	for (int i = 0; i < CDX_CACHE_SETS * CDX_CACHE_WAYS; i++)
		free(nodes->cache[i]);
	while (nodes->spares)
		free(nodes->spare[--nodes->spares]);
	free(nodes->cache);
	free(nodes->dirty);
	free(nodes->free_slots);
	memset(nodes, 0, sizeof(*nodes));
}

/* ---- verifying ----------------------------------------------------------------- */

/* Items exactly fill the used bytes, and each is as large as it may be. */
static bool items_fill(struct cdx_node *node)
{
	unsigned int used = cdx_node_used(node), count = cdx_node_count(node);
	unsigned int stride = cdx_node_stride(node);
	unsigned int at = sizeof(struct cdx_disk_node);

	if (stride)
		return used == at + count * stride;
	for (; count; count--) {
		const unsigned char *item = cdx_node_bytes(node) + at;

		if (used - at < sizeof(struct cdx_disk_fs_item))
			return false;
		if (cdx_fs_item_size(item) > used - at || cdx_fs_item_size(item) > CDX_MAX_ITEM)
			return false;
		at += (unsigned int)cdx_fs_item_size(item);
	}
	return at == used;
}

/* The most common keys: one word, at a fixed distance. */
static bool words_ascend(const unsigned char *item, unsigned int stride, unsigned int count)
{
	for (; count > 1; count--, item += stride)
		if (get64(*(const le64 *)item) >= get64(*(const le64 *)(item + stride)))
			return false;
	return true;
}

static bool keys_ascend(struct cdx_node *node)
{
	unsigned int words = cdx_kind_shapes[node->disk.kind].key_words;
	const unsigned char *item = cdx_node_item(node, 0);

	if (words == 1 && cdx_node_stride(node))
		return words_ascend(item, cdx_node_stride(node), cdx_node_count(node));

	for (unsigned int left = cdx_node_count(node); left > 1; left--) {
		const unsigned char *next = item + cdx_item_size(node, item);
		struct cdx_key key = cdx_item_key(node, next);

		if (cdx_key_compare(words, (const le64 *)item, &key) >= 0)
			return false;
		item = next;
	}
	return true;
}

/* Whether a file could have such an extent. */
static bool extent_possible(const struct cdx_super *super, const struct cdx_disk_extent *extent)
{
	return cdx_extent_possible(extent) && cdx_extent_in_range(extent, super->block_shift) &&
	       get64(extent->disk_block) < super->blocks;
}

/* Hostile or damaged pointers are refused where they enter DRAM: none above checks again (R20). */
static int pointer_in_bounds(void *arg, const struct cdx_pointer *pointer)
{
	const struct cdx_super *super = arg;

	return cdx_super_allocatable(super, pointer->start, pointer->count) ? 0 : -EUCLEAN;
}

static bool children_in_bounds(const struct cdx_super *super, struct cdx_node *node)
{
	unsigned int stride = cdx_node_stride(node);
	const unsigned char *child = (const unsigned char *)cdx_node_child(node, 0);

	for (unsigned int left = cdx_node_count(node); left; left--, child += stride)
		if (!cdx_super_allocatable(super, get64(((const struct cdx_disk_child *)child)->address), 1))
			return false;
	return true;
}

static bool extents_in_bounds(const struct cdx_super *super, struct cdx_node *node)
{
	const struct cdx_disk_extent *extent = (const struct cdx_disk_extent *)cdx_node_item(node, 0);
	unsigned int shift = super->grains_per_block_shift;

	for (unsigned int left = cdx_node_count(node); left; left--, extent++)
		if (!extent_possible(super, extent) ||
		    !cdx_super_allocatable(super, get64(extent->disk_block) << shift,
					   (uint64_t)get32(extent->count) << shift))
			return false;
	return true;
}

/* Of what most nodes are this is done at each that is read: without a call for each pointer. */
static bool pointers_in_bounds(const struct cdx_nodes *nodes, struct cdx_node *node)
{
	if (node->disk.level)
		return children_in_bounds(nodes->super, node);
	if (node->disk.kind == CDX_KIND_EXTENT)
		return extents_in_bounds(nodes->super, node);
	return cdx_node_pointers(nodes, node, pointer_in_bounds, (void *)(uintptr_t)nodes->super) == 0;
}

static uint32_t node_crc(const struct cdx_nodes *nodes, const struct cdx_node *node)
{
	return cdx_node_crc(nodes->super, &node->disk, cdx_node_length(&node->disk));
}

/* What stands behind the items of a node that borrows, kept in *node: an address that can be one. */
static bool take_base(const struct cdx_nodes *nodes, struct cdx_node *node)
{
	struct cdx_disk_base base;

	node->base = 0;
	if (!get16(node->disk.flags))
		return true;
	memcpy(&base, cdx_node_bytes(node) + cdx_node_used(node), sizeof(base));
	node->base = get64(base.address);
	node->base_crc = get32(base.crc);
	return node->base != node->address && cdx_super_allocatable(nodes->super, node->base, 1);
}

/* The other way round, before the node is sealed. */
static void put_base(struct cdx_node *node)
{
	struct cdx_disk_base base = {.address = put64(node->base), .crc = put32(node->base_crc)};

	node->disk.flags = put16(node->base ? CDX_NODE_BASED : 0);
	if (node->base)
		memcpy(cdx_node_bytes(node) + cdx_node_used(node), &base, sizeof(base));
}

static bool node_valid(const struct cdx_nodes *nodes, struct cdx_node *node, uint8_t kind, uint8_t level)
{
	const struct cdx_disk_node *disk = &node->disk;
	unsigned int used = get16(disk->used);

	if (get32(disk->magic) != CDX_NODE_MAGIC || used < sizeof(*disk) ||
	    used > cdx_node_room(disk->kind, nodes->super->node_size) || !cdx_node_flags_possible(disk))
		return false;
	if (get32(disk->crc) != node->crc || node_crc(nodes, node) != node->crc)
		return false;
	if (get64(disk->address) != node->address || get64(disk->birth) < CDX_FIRST_TRANSACTION ||
	    get64(disk->birth) > nodes->newest)
		return false;
	if (disk->kind != kind || disk->level != level || get16(disk->count) == 0)
		return false;
	if (!items_fill(node) || !keys_ascend(node) || !take_base(nodes, node) || cdx_amends_apply(nodes, node))
		return false;
	return pointers_in_bounds(nodes, node);
}

/* ---- getting --------------------------------------------------------------------- */

static struct cdx_node **cache_set(struct cdx_nodes *nodes, uint64_t address)
{
	uint64_t hash = address * UINT64_C(0x9e3779b97f4a7c15);

	return nodes->cache + (hash >> 53) % CDX_CACHE_SETS * CDX_CACHE_WAYS;
}

static struct cdx_node *cache_find(struct cdx_nodes *nodes, uint64_t address, uint32_t crc)
{
	struct cdx_node **set = cache_set(nodes, address);

	for (int way = 0; way < CDX_CACHE_WAYS; way++) {
		if (set[way] && set[way]->address == address && set[way]->crc == crc)
			return set[way];
	}
	return NULL;
}

/*
 * What had the address before has no holder on media any more.  Its checksum may be
 * the new node's all the same when both were written by transactions of one number,
 * the first of which was aborted: address and checksum tell lives apart, not drafts.
 */
void cdx_node_uncache(struct cdx_nodes *nodes, uint64_t address)
{
	struct cdx_node **set = cache_set(nodes, address);

	for (int way = 0; way < CDX_CACHE_WAYS; way++) {
		if (!set[way] || set[way]->address != address)
			continue;
		set[way]->cached = false;
		if (!set[way]->pins)
			node_free(nodes, set[way]);
		set[way] = NULL;
	}
}

struct cdx_node *cdx_node_cached(struct cdx_nodes *nodes, uint64_t address)
{
	struct cdx_node **set = cache_set(nodes, address), *found = NULL;

	for (int way = 0; way < CDX_CACHE_WAYS; way++) {
		if (!set[way] || set[way]->address != address)
			continue;
		if (found || set[way]->pins) {
			cdx_node_uncache(nodes, address);
			return NULL;
		}
		found = set[way];
	}
	return found;
}

/* A dirty node has its place in the cache for as long as it has a home: it may be clean again there. */
static void uncache_home(struct cdx_nodes *nodes, struct cdx_node *node)
{
	struct cdx_node **set = cache_set(nodes, node->home);

	for (int way = 0; way < CDX_CACHE_WAYS && node->cached; way++) {
		if (set[way] != node)
			continue;
		set[way] = NULL;
		node->cached = false;
	}
}

static bool home_is_cached(struct cdx_nodes *nodes, uint64_t address)
{
	struct cdx_node **set = cache_set(nodes, address);

	for (int way = 0; way < CDX_CACHE_WAYS; way++)
		if (set[way] && set[way]->home == address)
			return true;
	return false;
}

/* Put @node in the cache, or leave it to its holders when every way is held. */
static void cache_add(struct cdx_nodes *nodes, struct cdx_node *node)
{
	struct cdx_node **set = cache_set(nodes, node->address);

	node->cached = false;
	for (int i = 0; i < CDX_CACHE_WAYS; i++) {
		struct cdx_node **way = &set[(nodes->turn + (unsigned int)i) % CDX_CACHE_WAYS];

		if (*way && ((*way)->pins || cdx_is_dirty((*way)->address)))
			continue;
		if (*way)
			node_free(nodes, *way);
		*way = node;
		node->cached = true;
		nodes->turn++;
		return;
	}
}

static int get_dirty(struct cdx_nodes *nodes, uint64_t address, struct cdx_node **node)
{
	size_t slot = address & ~CDX_DIRTY;

	/* A dirty pointer read from the media is damage, not ours. */
	if (slot >= nodes->slots_used || !nodes->dirty[slot])
		return -EUCLEAN;
	*node = nodes->dirty[slot];
	(*node)->pins++;
	return 0;
}

int cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level,
		 struct cdx_node **found)
{
	const struct cdx_super *super = nodes->super;
	struct cdx_node *node;
	int ret;

	if (cdx_is_dirty(address)) {
		ret = get_dirty(nodes, address, &node);
		if (!ret && (node->disk.kind != kind || node->disk.level != level)) {
			cdx_node_put(nodes, node);
			ret = -EUCLEAN;
		}
		if (!ret)
			*found = node;
		return ret;
	}
	node = cache_find(nodes, address, crc);
	if (node) {
		if (node->disk.kind != kind || node->disk.level != level)
			return -EUCLEAN;
		node->pins++;
		*found = node;
		return 0;
	}
	if (!cdx_super_allocatable(super, address, 1))
		return -EUCLEAN;
	node = node_alloc(nodes);
	if (!node)
		return -ENOMEM;
	ret = cdx_pmem_read(nodes->pm, address << super->grain_shift, &node->disk, super->node_size);
	node->address = address;
	node->crc = crc;
	node->pins = 1;
	node->own = CDX_OWN_UNKNOWN;
	node->home = 0;
	node->amend = 0;
	if (!ret && !node_valid(nodes, node, kind, level))
		ret = -EUCLEAN;
	if (ret) {
		node_free(nodes, node);
		return ret;
	}
	/* Of one that is being changed there is none but that in the cache: it may be clean again. */
	node->cached = false;
	if (!home_is_cached(nodes, address))
		cache_add(nodes, node);
	*found = node;
	return 0;
}

void cdx_node_put(struct cdx_nodes *nodes, struct cdx_node *node)
{
	if (--node->pins == 0 && !node->cached && !cdx_is_dirty(node->address))
		node_free(nodes, node);
}

/* ---- dirty nodes ------------------------------------------------------------------- */

static int grow_dirty(struct cdx_nodes *nodes)
{
	size_t room = nodes->dirty_room ? nodes->dirty_room * 2 : 64;
	struct cdx_node **dirty = realloc(nodes->dirty, room * sizeof(*dirty));
	size_t *slots;

	if (!dirty)
		return -ENOMEM;
	nodes->dirty = dirty;
	slots = realloc(nodes->free_slots, room * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	nodes->free_slots = slots;
	nodes->dirty_room = room;
	return 0;
}

static int make_slot(struct cdx_nodes *nodes)
{
	return nodes->free_slot_count || nodes->slots_used < nodes->dirty_room ? 0 : grow_dirty(nodes);
}

/* There is room for it. */
static void take_slot(struct cdx_nodes *nodes, struct cdx_node *node)
{
	size_t slot = nodes->free_slot_count ? nodes->free_slots[--nodes->free_slot_count] : nodes->slots_used++;

	nodes->dirty[slot] = node;
	nodes->dirty_count++;
	node->address = CDX_DIRTY | slot;
	node->crc = 0;
	node->pins = 0;
}

static int dirty_alloc(struct cdx_nodes *nodes, struct cdx_node **out)
{
	int ret = make_slot(nodes);

	if (ret)
		return ret;
	*out = node_alloc(nodes);
	if (!*out)
		return -ENOMEM;
	take_slot(nodes, *out);
	(*out)->base = 0;
	(*out)->own = 0;
	(*out)->touched = CDX_TOUCHED_ANY;
	(*out)->home = 0;
	(*out)->amend = 0;
	(*out)->cached = (*out)->same = (*out)->amended = false;
	return 0;
}

int cdx_node_new(struct cdx_nodes *nodes, uint8_t kind, uint8_t level, struct cdx_node **out)
{
	int ret = dirty_alloc(nodes, out);

	if (ret)
		return ret;
	memset(&(*out)->disk, 0, sizeof((*out)->disk));
	/* Already: what it gets to point to is no younger. */
	(*out)->disk.birth = put64(nodes->transaction);
	(*out)->disk.kind = kind;
	(*out)->disk.level = level;
	(*out)->disk.used = put16(sizeof(struct cdx_disk_node));
	return 0;
}

int cdx_node_copy(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **copy)
{
	int ret = dirty_alloc(nodes, copy);

	if (ret)
		return ret;
	memcpy(&(*copy)->disk, &node->disk, cdx_node_used(node));
	(*copy)->base = node->base;
	(*copy)->base_crc = node->base_crc;
	(*copy)->own = node->own;
	(*copy)->touched = CDX_TOUCHED_NONE;
	(*copy)->amended = node->amended;
	return 0;
}

int cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node)
{
	int ret = make_slot(nodes);

	if (ret)
		return ret;
	node->home = node->address;
	node->home_birth = get64(node->disk.birth);
	nodes->homes++;
	take_slot(nodes, node);
	node->touched = CDX_TOUCHED_NONE;
	node->same = true;
	return 0;
}

int cdx_node_leave_home(struct cdx_nodes *nodes, struct cdx_node *node)
{
	uint64_t home = node->home;

	if (!home)
		return 0;
	if (node->amended)
		cdx_amends_drop(nodes, home);
	uncache_home(nodes, node);
	node->home = 0;
	nodes->homes--;
	return nodes->left(nodes->owner, home, node->home_birth);
}

static void leave_slot(struct cdx_nodes *nodes, const struct cdx_node *node)
{
	size_t slot = node->address & ~CDX_DIRTY;

	nodes->dirty[slot] = NULL;
	nodes->dirty_count--;
	nodes->free_slots[nodes->free_slot_count++] = slot;
}

int cdx_node_forget(struct cdx_nodes *nodes, struct cdx_node *node)
{
	int ret = cdx_node_leave_home(nodes, node);

	leave_slot(nodes, node);
	node_free(nodes, node);
	return ret;
}

void cdx_nodes_forget_all(struct cdx_nodes *nodes)
{
	for (size_t slot = 0; slot < nodes->slots_used; slot++) {
		struct cdx_node *node = nodes->dirty[slot];

		if (!node)
			continue;
		if (node->home)
			uncache_home(nodes, node);
		node_free(nodes, node);
	}
	nodes->slots_used = nodes->free_slot_count = nodes->dirty_count = nodes->homes = 0;
}

void cdx_node_stay(struct cdx_nodes *nodes, struct cdx_node *node)
{
	leave_slot(nodes, node);
	if (!node->cached)
		cdx_node_uncache(nodes, node->home);
	node->address = node->home;
	node->crc = get32(node->disk.crc);
	node->home = 0;
	nodes->homes--;
	if (!node->cached)
		cache_add(nodes, node);
	if (!node->cached && !node->pins)
		node_free(nodes, node);
}

int cdx_node_write(struct cdx_nodes *nodes, struct cdx_node *node, uint64_t address,
		   uint64_t *new_address, uint32_t *new_crc)
{
	const struct cdx_super *super = nodes->super;
	struct cdx_disk_node *disk = &node->disk;
	int ret;

	ret = cdx_pmem_prepare(nodes->pm, address << super->grain_shift, super->node_size);
	if (ret)
		return ret;
	leave_slot(nodes, node);
	disk->magic = put32(CDX_NODE_MAGIC);
	disk->address = put64(address);
	disk->birth = put64(nodes->transaction);
	node->amended = false;
	nodes->newest = nodes->transaction;
	put_base(node);
	disk->crc = put32(node_crc(nodes, node));
	cdx_pmem_copy(nodes->pm, address << super->grain_shift, disk, cdx_node_length(disk));
	*new_address = node->address = address;
	*new_crc = node->crc = get32(disk->crc);
	cdx_node_uncache(nodes, address);
	cache_add(nodes, node);
	if (!node->cached && !node->pins)
		node_free(nodes, node);
	return 0;
}

/* ---- items -------------------------------------------------------------------------- */

/* The most common keys: how many of @count items have one not above @key. */
static unsigned int search_words(const unsigned char *items, unsigned int stride, unsigned int count, uint64_t key)
{
	const unsigned char *from = items;

	while (count) {
		unsigned int half = (count + 1) / 2;
		bool above = get64(*(const le64 *)(from + (size_t)(half - 1) * stride)) > key;

		from += above ? 0 : (size_t)half * stride;
		count = above ? half - 1 : count - half;
	}
	return (unsigned int)(from - items) / stride;
}

int cdx_node_search(struct cdx_node *node, const struct cdx_key *key)
{
	unsigned int words = cdx_kind_shapes[node->disk.kind].key_words;
	unsigned int stride = cdx_node_stride(node), count = cdx_node_count(node);
	unsigned char *items = cdx_node_bytes(node) + sizeof(struct cdx_disk_node);
	int low = 0, high = (int)count;

	if (words == 1)
		return (int)search_words(items, stride, count, key->word[0]) - 1;

	if (!stride) {
		for (low = 0; low < high; low++, items += cdx_fs_item_size(items)) {
			if (cdx_key_compare(words, (const le64 *)items, key) > 0)
				break;
		}
		return low - 1;
	}
	while (low < high) {
		int middle = (low + high) / 2;

		if (cdx_key_compare(words, (const le64 *)(items + (size_t)middle * stride), key) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low - 1;
}

void cdx_node_insert(struct cdx_node *node, unsigned int index, const void *item, size_t size)
{
	unsigned char *at = cdx_node_item(node, index);
	size_t used = cdx_node_used(node);

	node->touched = CDX_TOUCHED_ANY;
	node->same = false;
	memmove(at + size, at, used - (size_t)(at - cdx_node_bytes(node)));
	memcpy(at, item, size);
	node->disk.used = put16((uint16_t)(used + size));
	node->disk.count = put16((uint16_t)(cdx_node_count(node) + 1));
}

void cdx_node_remove(struct cdx_node *node, unsigned int index, unsigned int count)
{
	unsigned char *from = cdx_node_item(node, index);
	unsigned char *to = cdx_node_item(node, index + count);
	size_t used = cdx_node_used(node);

	node->touched = CDX_TOUCHED_ANY;
	node->same = false;
	memmove(from, to, used - (size_t)(to - cdx_node_bytes(node)));
	node->disk.used = put16((uint16_t)(used - (size_t)(to - from)));
	node->disk.count = put16((uint16_t)(cdx_node_count(node) - count));
}

/* ---- pointers -------------------------------------------------------------------------- */

static struct cdx_pointer data_pointer(const struct cdx_nodes *nodes, const struct cdx_disk_extent *extent)
{
	unsigned int shift = nodes->super->grains_per_block_shift;

	/* What lies nowhere is what no file could have. */
	if (!extent_possible(nodes->super, extent))
		return (struct cdx_pointer){.data = true};
	return (struct cdx_pointer){
		.data = true,
		.unwritten = get32(extent->flags) & CDX_EXTENT_UNWRITTEN,
		.start = get64(extent->disk_block) << shift,
		.count = (uint64_t)get32(extent->count) << shift,
	};
}

static struct cdx_pointer tree_pointer(struct cdx_disk_ref *ref)
{
	if (!cdx_ref_possible(ref))
		return (struct cdx_pointer){0};
	return (struct cdx_pointer){
		.start = get64(ref->address),
		.count = 1,
		.crc = get32(ref->crc),
		.kind = CDX_KIND_EXTENT,
		.level = ref->level,
		.address_field = &ref->address,
		.crc_field = &ref->crc,
	};
}

static int child_pointers(struct cdx_node *node, cdx_pointer_fn *fn, void *arg)
{
	for (unsigned int i = 0; i < cdx_node_count(node); i++) {
		struct cdx_disk_child *child = cdx_node_child(node, i);
		struct cdx_pointer pointer = {
			.start = get64(child->address),
			.count = 1,
			.crc = get32(child->crc),
			.kind = node->disk.kind,
			.level = (uint8_t)(node->disk.level - 1),
			.address_field = &child->address,
			.crc_field = &child->crc,
		};
		int ret = fn(arg, &pointer);

		if (ret)
			return ret;
	}
	return 0;
}

static int inode_pointers(const struct cdx_nodes *nodes, unsigned char *item, cdx_pointer_fn *fn, void *arg)
{
	const struct cdx_disk_fs_item *fs = (struct cdx_disk_fs_item *)item;
	struct cdx_disk_inode *inode = (struct cdx_disk_inode *)(item + sizeof(*fs));
	unsigned char *tail = (unsigned char *)(inode + 1);
	struct cdx_pointer pointer;
	size_t length = get16(fs->length);
	int ret = 0;

	if (get64(fs->item) != CDX_ITEM_INODE)
		return 0;
	if (!cdx_layout_possible(inode, length))
		return -EUCLEAN;
	if (inode->layout == CDX_LAYOUT_TREE) {
		pointer = tree_pointer((struct cdx_disk_ref *)tail);
		return fn(arg, &pointer);
	}
	for (unsigned int i = 0; i < inode->n_inline && !ret; i++) {
		pointer = data_pointer(nodes, (struct cdx_disk_extent *)tail + i);
		ret = fn(arg, &pointer);
	}
	return ret;
}

static int leaf_item_pointers(const struct cdx_nodes *nodes, uint8_t kind, unsigned char *item,
			      cdx_pointer_fn *fn, void *arg)
{
	struct cdx_pointer pointer;

	switch (kind) {
	case CDX_KIND_FS:
		return inode_pointers(nodes, item, fn, arg);
	case CDX_KIND_EXTENT:
		pointer = data_pointer(nodes, (struct cdx_disk_extent *)item);
		return fn(arg, &pointer);
	case CDX_KIND_STAGING:
		if (!cdx_lane_possible(get64(((struct cdx_disk_staging *)item)->lane)))
			return -EUCLEAN;
		pointer = tree_pointer(&((struct cdx_disk_staging *)item)->extents);
		return pointer.count && !pointer.start ? 0 : fn(arg, &pointer);
	default:
		return 0;
	}
}

int cdx_node_pointers(const struct cdx_nodes *nodes, struct cdx_node *node, cdx_pointer_fn *fn, void *arg)
{
	unsigned char *item = cdx_node_item(node, 0);
	int ret = 0;

	if (node->disk.level)
		return child_pointers(node, fn, arg);
	for (unsigned int left = cdx_node_count(node); left && !ret; left--) {
		ret = leaf_item_pointers(nodes, node->disk.kind, item, fn, arg);
		item += cdx_item_size(node, item);
	}
	return ret;
}
