// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Walking any tree (FORMAT 6).  A node is read, amended (4.3), judged and descended into once,
 * however many pointers lead to it, but held against every one of them.  Levels
 * fall at each step, so that a walk is at most 16 deep and meets no cycle.
 */
#include "check/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS (CDX_MAX_LEVEL + 1)

/* A pointer to a node, with what it promises of the node. */
struct link {
	uint64_t grain;
	uint32_t crc;
	uint32_t parent;		/* index in the seen table, or CDX_NONE for a root */
	uint64_t birth;			/* the parent's, or the transaction that made the pointer */
	uint8_t kind, level;
	bool limbo;			/* a limbo entry's pointer */
	bool base;			/* the pointer of one that borrows: says nothing of keys */
	bool borrowed;			/* no pointer at all: the base has it */
	bool has_high;
	uint64_t low[CDX_KEY_WORDS];	/* of a child: exactly its first key */
	uint64_t high[CDX_KEY_WORDS];	/* all its keys are below */
};

struct shape {
	unsigned int key_words, leaf_size, inner_size;	/* leaf_size 0: items tell theirs */
};

static const struct shape shapes[] = {
	[CDX_KIND_FS] = {3, 0, 24 + sizeof(struct cdx_disk_child)},
	[CDX_KIND_EXTENT] = {1, sizeof(struct cdx_disk_extent), 8 + sizeof(struct cdx_disk_child)},
	[CDX_KIND_SPACE] = {1, sizeof(struct cdx_disk_space),
			    8 + sizeof(struct cdx_disk_space_child)},
	[CDX_KIND_LIMBO] = {2, sizeof(struct cdx_disk_limbo), 16 + sizeof(struct cdx_disk_child)},
	[CDX_KIND_STAGING] = {1, sizeof(struct cdx_disk_staging),
			      8 + sizeof(struct cdx_disk_child)},
};

unsigned char *cdx_check_node_buffer(struct cdx_check *ck, uint8_t kind, uint8_t level)
{
	return ck->trees->buffers + ((size_t)(kind - 1) * LEVELS + level) * ck->super.node_size;
}

/* A base is read while what borrows from it is at hand. */
static unsigned char *base_buffer(struct cdx_check *ck, uint8_t level)
{
	return ck->trees->buffers +
	       ((size_t)CDX_KIND_STAGING * LEVELS + level) * ck->super.node_size;
}

/* ---- the nodes seen -------------------------------------------------------------- */

int cdx_trees_init(struct cdx_trees *trees, const struct cdx_super *super)
{
	struct cdx_seen_table *seen = &trees->seen;

	cdx_refs_init(&trees->refs, super->grains_per_block_shift);
	trees->buffers = malloc((size_t)(CDX_KIND_STAGING + 1) * LEVELS * super->node_size);
	seen->slot_count = 1024;
	seen->slots = calloc(seen->slot_count, sizeof(*seen->slots));
	return trees->buffers && seen->slots ? 0 : -ENOMEM;
}

void cdx_trees_exit(struct cdx_trees *trees)
{
	cdx_refs_exit(&trees->refs);
	free(trees->buffers);
	free(trees->seen.nodes);
	free(trees->seen.slots);
}

/* The slot that holds @grain, or the empty one where it belongs. */
static uint32_t *seen_slot(struct cdx_seen_table *seen, uint64_t grain)
{
	size_t at = (size_t)((grain * UINT64_C(0x9e3779b97f4a7c15)) >> 20);

	for (;; at++) {
		uint32_t *slot = &seen->slots[at & (seen->slot_count - 1)];

		if (*slot == 0 || seen->nodes[*slot - 1].grain == grain)
			return slot;
	}
}

static int seen_rehash(struct cdx_seen_table *seen)
{
	struct cdx_seen_table grown = *seen;

	grown.slot_count *= 2;
	grown.slots = calloc(grown.slot_count, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (size_t i = 0; i < grown.count; i++)
		*seen_slot(&grown, grown.nodes[i].grain) = (uint32_t)i + 1;
	free(seen->slots);
	*seen = grown;
	return 0;
}

uint32_t cdx_seen_find(struct cdx_check *ck, uint64_t grain)
{
	const uint32_t *slot = seen_slot(&ck->trees->seen, grain);

	return *slot ? *slot - 1 : CDX_NONE;
}

static int seen_find_or_add(struct cdx_check *ck, const struct cdx_walk *walk,
			    const struct link *link, uint32_t *index)
{
	struct cdx_seen_table *seen = &ck->trees->seen;
	uint32_t *slot = seen_slot(seen, link->grain);
	int ret;

	if (*slot) {
		*index = *slot - 1;
		return 0;
	}
	if (seen->count >= CDX_NONE - 1)
		return -ENOMEM;
	ret = cdx_array_grow(&seen->nodes, &seen->capacity, seen->count, sizeof(*seen->nodes));
	if (ret)
		return ret;
	*index = (uint32_t)seen->count++;
	*slot = *index + 1;
	seen->nodes[*index] = (struct cdx_seen){
		.grain = link->grain,
		.parent = link->parent,
		.inode = walk->inode,
		.live = walk->live,
	};
	return seen->count * 2 > seen->slot_count ? seen_rehash(seen) : 0;
}

/* ---- reading and finding ------------------------------------------------------------ */

static void report_node(struct cdx_check *ck, enum cdx_problem problem, const struct cdx_walk *walk,
			const struct link *link)
{
	cdx_report(ck, problem, &(struct cdx_finding){
		.inode = walk->inode, .grain = link->grain, .grains = 1});
}

static void report_node_values(struct cdx_check *ck, enum cdx_problem problem,
			       const struct cdx_walk *walk, const struct link *link,
			       uint64_t found, uint64_t expected)
{
	cdx_report(ck, problem, &(struct cdx_finding){
		.inode = walk->inode, .grain = link->grain, .grains = 1,
		.compared = true, .found = found, .expected = expected});
}

static bool read_grain(struct cdx_check *ck, uint64_t grain, void *buffer)
{
	return cdx_pmem_read(&ck->device.pm, grain << ck->super.grain_shift, buffer,
			     ck->super.node_size) == 0;
}

bool cdx_check_read_grain(struct cdx_check *ck, uint64_t grain, void *buffer)
{
	if (read_grain(ck, grain, buffer))
		return true;
	cdx_report(ck, CDX_P_MEDIA_ERROR, &(struct cdx_finding){.grain = grain, .grains = 1});
	return false;
}

static int compare_keys(const uint64_t a[CDX_KEY_WORDS], const uint64_t b[CDX_KEY_WORDS])
{
	for (int i = 0; i < CDX_KEY_WORDS; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

static void get_key(uint64_t key[CDX_KEY_WORDS], const void *item, unsigned int words)
{
	const le64 *word = item;

	for (unsigned int i = 0; i < CDX_KEY_WORDS; i++)
		key[i] = i < words ? get64(word[i]) : 0;
}

/* Bytes of the item at @offset; 0 when it would not fit before @used. */
static size_t item_size(const struct cdx_view *view, size_t offset)
{
	const struct shape *shape = &shapes[view->kind];
	size_t size = view->level ? shape->inner_size : shape->leaf_size;
	size_t room = view->used - offset;

	if (size == 0) {
		if (room < sizeof(struct cdx_disk_fs_item))
			return 0;
		size = cdx_fs_item_size((const void *)(view->bytes + offset));
	}
	return size <= room ? size : 0;
}

/* ---- amendments ------------------------------------------------------------------------ */

/* The item of that number, or NULL if the node ends before. */
static unsigned char *item_at(const struct cdx_view *view, unsigned char *bytes, unsigned int number)
{
	size_t offset = sizeof(struct cdx_disk_node);
	size_t size = item_size(view, offset);

	for (; size && number; number--) {
		offset += size;
		size = item_size(view, offset);
	}
	return size ? bytes + offset : NULL;
}

/* False if @item is none that can be amended so. */
static bool amend_item(const struct cdx_disk_amend *amend, unsigned char *item)
{
	const struct cdx_disk_fs_item *fs = (const void *)item;
	struct cdx_disk_inode *inode = (void *)(item + sizeof(*fs));
	struct cdx_disk_child *child = (void *)(item + shapes[amend->kind].key_words * sizeof(le64));

	if (amend->level) {
		child->address = amend->value;
		child->crc = amend->more;
		return true;
	}
	if (!cdx_times_amendable(fs))
		return false;
	inode->mtime.seconds = inode->ctime.seconds = amend->value;
	inode->mtime.nanoseconds = inode->ctime.nanoseconds = amend->more;
	return true;
}

/*
 * Change @bytes, those of @view, to what the record says of them; returns how many amendments
 * do not fit.  Where the items themselves end too early, judge_items() will say so.
 */
static unsigned int amend_node(struct cdx_check *ck, const struct cdx_view *view, unsigned char *bytes)
{
	const struct cdx_amends *amends = &ck->trees->amends;
	unsigned int unfit = 0;

	for (unsigned int i = 0; i < amends->count; i++) {
		const struct cdx_disk_amend *amend = &amends->list[i];
		unsigned char *item;

		if (get64(amend->node) != view->grain)
			continue;
		if (amend->kind != view->kind || amend->level != view->level ||
		    get16(amend->index) >= view->count) {
			unfit++;
			continue;
		}
		item = item_at(view, bytes, get16(amend->index));
		unfit += item && !amend_item(amend, item);
	}
	return unfit;
}

bool cdx_check_is_amended(const struct cdx_check *ck, uint64_t grain, unsigned int number)
{
	const struct cdx_amends *amends = &ck->trees->amends;

	for (unsigned int i = 0; i < amends->count; i++) {
		if (get64(amends->list[i].node) == grain && get16(amends->list[i].index) == number)
			return true;
	}
	return false;
}

/* What it says of itself may have changed since it was judged: amended is what still has bounds. */
bool cdx_check_read_node(struct cdx_check *ck, const struct cdx_seen *seen, void *buffer)
{
	const struct cdx_disk_node *disk = buffer;
	struct cdx_view view = {
		.bytes = buffer, .grain = seen->grain, .kind = seen->kind, .level = seen->level};

	if (!cdx_check_read_grain(ck, seen->grain, buffer))
		return false;
	view.count = get16(disk->count);
	view.used = get16(disk->used);
	if (view.used >= sizeof(*disk) && view.used <= cdx_node_room(view.kind, ck->super.node_size))
		amend_node(ck, &view, buffer);
	return true;
}

/* ---- judging a node, what is amended included ------------------------------------------- */

/* Header and checksum, whatever the pointer said. */
static bool judge_header(struct cdx_check *ck, const struct cdx_walk *walk,
			 const struct link *link, const struct cdx_disk_node *disk)
{
	size_t used = get16(disk->used);

	if (get32(disk->magic) != CDX_NODE_MAGIC || used < sizeof(*disk) ||
	    used > cdx_node_room(disk->kind, ck->super.node_size)) {
		report_node(ck, CDX_P_NODE_CHECKSUM, walk, link);
		return false;
	}
	if (!cdx_node_flags_possible(disk)) {
		report_node_values(ck, CDX_P_NODE_FLAGS, walk, link, get16(disk->flags), 0);
		return false;
	}
	if (cdx_node_crc(&ck->super, disk, cdx_node_length(disk)) != get32(disk->crc)) {
		report_node(ck, CDX_P_NODE_CHECKSUM, walk, link);
		return false;
	}
	if (get64(disk->address) != link->grain) {
		report_node_values(ck, CDX_P_NODE_SELF, walk, link, get64(disk->address),
				   link->grain);
		return false;
	}
	if (get64(disk->birth) < CDX_FIRST_TRANSACTION || get64(disk->birth) > ck->transaction) {
		report_node_values(ck, CDX_P_NODE_BIRTH, walk, link, get64(disk->birth),
				   ck->transaction);
		return false;
	}
	if (get16(disk->count) == 0) {
		report_node(ck, CDX_P_NODE_EMPTY, walk, link);
		return false;
	}
	return true;
}

/* The items, once kind and level are what the pointer said. */
static bool judge_items(struct cdx_check *ck, const struct cdx_walk *walk,
			const struct link *link, const struct cdx_view *view)
{
	struct cdx_seen *seen = &ck->trees->seen.nodes[view->index];
	unsigned int words = shapes[view->kind].key_words;
	size_t offset = sizeof(struct cdx_disk_node);

	for (unsigned int i = 0; i < view->count; i++) {
		size_t size = item_size(view, offset);
		uint64_t key[CDX_KEY_WORDS];

		if (size == 0) {
			report_node(ck, CDX_P_NODE_ITEMS, walk, link);
			return false;
		}
		get_key(key, view->bytes + offset, words);
		if (i == 0) {
			memcpy(seen->first, key, sizeof(key));
		} else if (compare_keys(seen->last, key) >= 0) {
			report_node(ck, CDX_P_NODE_ORDER, walk, link);
			return false;
		}
		memcpy(seen->last, key, sizeof(key));
		offset += size;
	}
	if (offset != view->used)
		report_node(ck, CDX_P_NODE_ITEMS, walk, link);
	return offset == view->used;
}

/* What points to a node has been written with it, or later. */
static bool judge_age(struct cdx_check *ck, const struct cdx_walk *walk, const struct link *link,
		      const struct cdx_seen *seen)
{
	if (seen->birth <= link->birth)
		return true;
	report_node_values(ck, CDX_P_NODE_BIRTH, walk, link, seen->birth, link->birth);
	return false;
}

/* Whether the node is what @link says, but for its keys. */
static bool judge_identity(struct cdx_check *ck, const struct cdx_walk *walk,
			   const struct link *link, const struct cdx_seen *seen)
{
	if (seen->kind != link->kind) {
		report_node_values(ck, CDX_P_NODE_KIND, walk, link, seen->kind, link->kind);
		return false;
	}
	if (seen->level != link->level) {
		report_node_values(ck, CDX_P_NODE_LEVEL, walk, link, seen->level, link->level);
		return false;
	}
	if (seen->crc != link->crc) {
		report_node_values(ck, CDX_P_NODE_STALE, walk, link, seen->crc, link->crc);
		return false;
	}
	return judge_age(ck, walk, link, seen);
}

static bool judge_bounds(struct cdx_check *ck, const struct cdx_walk *walk,
			 const struct link *link, const struct cdx_seen *seen)
{
	if (link->parent == CDX_NONE || link->base)
		return true;
	if (ck->trees->seen.nodes[link->parent].kind != link->kind)
		return true;	/* the root of an inode's tree */
	if (compare_keys(seen->first, link->low) != 0) {
		report_node_values(ck, CDX_P_NODE_SEPARATOR, walk, link, seen->first[0],
				   link->low[0]);
		return false;
	}
	if (link->has_high && compare_keys(seen->last, link->high) >= 0) {
		report_node_values(ck, CDX_P_NODE_BOUNDS, walk, link, seen->last[0], link->high[0]);
		return false;
	}
	return true;
}

/* ---- meeting a node ------------------------------------------------------------------ */

enum meeting { UNUSABLE, FRESH, KNOWN };

static bool may_be_shared(uint8_t kind)
{
	return kind == CDX_KIND_FS || kind == CDX_KIND_EXTENT;
}

/* Others may share a file's node: whose it is, is known when all trees have been walked. */
static bool read_node(struct cdx_check *ck, const struct link *link, struct cdx_seen *seen,
		      unsigned char *bytes)
{
	if (link->kind != CDX_KIND_EXTENT || !seen->live)
		return cdx_check_read_grain(ck, link->grain, bytes);
	if (read_grain(ck, link->grain, bytes))
		return true;
	seen->kind = link->kind;
	seen->level = link->level;
	seen->state = CDX_SEEN_LOST;
	ck->trees->lost++;
	return false;
}

/* One that does not fit was meant for another node: what that has below it is not known. */
static void amend(struct cdx_check *ck, struct cdx_walk *walk, const struct link *link,
		  const struct cdx_view *view, unsigned char *bytes)
{
	if (!amend_node(ck, view, bytes))
		return;
	report_node(ck, CDX_P_AMEND_ITEM, walk, link);
	walk->broken = ck->trees->pointers_incomplete = true;
}

static enum meeting meet_unread(struct cdx_check *ck, struct cdx_walk *walk,
				const struct link *link, struct cdx_view *view)
{
	unsigned char *bytes = link->base ? base_buffer(ck, link->level) :
					    cdx_check_node_buffer(ck, link->kind, link->level);
	const struct cdx_disk_node *disk = (const void *)bytes;
	struct cdx_seen *seen = &ck->trees->seen.nodes[view->index];

	seen->state = CDX_SEEN_BAD;
	if (!read_node(ck, link, seen, bytes) || !judge_header(ck, walk, link, disk))
		return UNUSABLE;
	seen->crc = get32(disk->crc);
	seen->birth = get64(disk->birth);
	seen->kind = disk->kind;
	seen->level = disk->level;
	seen->based = get16(disk->flags) & CDX_NODE_BASED;
	seen->state = CDX_SEEN_UNUSED;
	if (!judge_identity(ck, walk, link, seen))
		return UNUSABLE;
	view->bytes = bytes;
	view->items = disk + 1;
	view->grain = link->grain;
	view->count = get16(disk->count);
	view->used = get16(disk->used);
	view->kind = link->kind;
	view->level = link->level;
	view->has_high = link->has_high;
	view->high = link->high[0];
	amend(ck, walk, link, view, bytes);
	if (!judge_items(ck, walk, link, view)) {
		seen->state = CDX_SEEN_BAD;
		return UNUSABLE;
	}
	return judge_bounds(ck, walk, link, seen) ? FRESH : UNUSABLE;
}

/* A base counts as pointed to only where it can be one.  A chain of them may be as long as there are nodes. */
static int meet_base(struct cdx_check *ck, const struct cdx_walk *walk, const struct link *link,
		     uint32_t index, enum meeting *meeting)
{
	if (*meeting == UNUSABLE)
		return 0;
	if (!ck->trees->seen.nodes[index].based)
		return cdx_refs_add(&ck->trees->refs, CDX_REF_NODE, link->grain, 1, index);
	report_node(ck, CDX_P_NODE_BASE, walk, link);
	*meeting = UNUSABLE;
	return 0;
}

static enum cdx_ref_class class_of(const struct link *link)
{
	if (link->limbo)
		return CDX_REF_LIMBO;
	return link->kind == CDX_KIND_SPACE ? CDX_REF_SPACE : CDX_REF_NODE;
}

static int meet(struct cdx_check *ck, struct cdx_walk *walk, const struct link *link,
		struct cdx_view *view, enum meeting *meeting)
{
	struct cdx_seen *seen;
	int ret;

	*meeting = UNUSABLE;
	if (link->level > CDX_MAX_LEVEL) {
		report_node_values(ck, CDX_P_NODE_LEVEL, walk, link, link->level, CDX_MAX_LEVEL);
		return 0;
	}
	if (!cdx_super_allocatable(&ck->super, link->grain, 1)) {
		cdx_report(ck, CDX_P_NODE_ADDRESS, &(struct cdx_finding){
			.inode = walk->inode, .grain = link->grain, .grains = 1});
		return 0;
	}
	ret = seen_find_or_add(ck, walk, link, &view->index);
	if (!ret && !link->borrowed && !link->base)
		ret = cdx_refs_add(&ck->trees->refs, class_of(link), link->grain, 1, view->index);
	if (ret)
		return ret;
	seen = &ck->trees->seen.nodes[view->index];
	if (seen->pointers < UINT32_MAX && !link->borrowed)
		seen->pointers++;
	seen->lends |= link->base;
	if (seen->pointers > 1 && !may_be_shared(link->kind))
		report_node(ck, CDX_P_NODE_SHARED, walk, link);
	else if (seen->state == CDX_SEEN_UNUSED)
		*meeting = meet_unread(ck, walk, link, view);
	else if (seen->state == CDX_SEEN_WALKED && judge_identity(ck, walk, link, seen) &&
		 judge_bounds(ck, walk, link, seen))
		*meeting = KNOWN;
	return link->base ? meet_base(ck, walk, link, view->index, meeting) : 0;
}

/* ---- walking --------------------------------------------------------------------------- */

static int walk_link(struct cdx_check *ck, struct cdx_walk *walk, const struct link *link,
		     uint32_t *index);

/* Whether the base of @view has just the same item. */
static bool base_has(const struct cdx_view *view, const unsigned char *item, size_t size)
{
	const unsigned char *base = view->base_items;

	for (unsigned int i = 0; base && i < view->base_count; i++)
		if (memcmp(base + i * size, item, size) == 0)
			return true;
	return false;
}

/* The base first: what is borrowed is known then. */
static int walk_base(struct cdx_check *ck, struct cdx_walk *walk, const struct link *link,
		     struct cdx_view *view)
{
	const struct cdx_disk_base *disk = (const void *)(view->bytes + view->used);
	unsigned char *bytes = base_buffer(ck, view->level);
	struct link base = {
		.grain = get64(disk->address),
		.crc = get32(disk->crc),
		.parent = view->index,
		.birth = ck->trees->seen.nodes[view->index].birth,
		.kind = view->kind,
		.level = view->level,
		.base = true,
	};
	uint32_t index;
	int ret;

	if (get32(disk->reserved))
		report_node(ck, CDX_P_RESERVED_FIELD, walk, link);
	view->base_lost = true;
	if (base.grain == view->grain) {
		report_node(ck, CDX_P_NODE_BASE, walk, link);
		walk->broken = ck->trees->pointers_incomplete = true;
		return 0;
	}
	ret = walk_link(ck, walk, &base, &index);
	if (ret || index == CDX_NONE ||
	    !cdx_check_read_node(ck, &ck->trees->seen.nodes[index], bytes))
		return ret;
	view->base_lost = false;
	view->base_items = (struct cdx_disk_node *)bytes + 1;
	view->base_count = get16(((struct cdx_disk_node *)bytes)->count);
	return 0;
}

static int walk_children(struct cdx_check *ck, struct cdx_walk *walk, const struct link *link,
			 const struct cdx_view *view)
{
	const struct shape *shape = &shapes[view->kind];
	const unsigned char *item = view->items;

	for (unsigned int left = view->count; left; left--, item += shape->inner_size) {
		const struct cdx_disk_child *disk =
			(const void *)(item + shape->key_words * sizeof(le64));
		struct link child = {
			.grain = get64(disk->address),
			.crc = get32(disk->crc),
			.parent = view->index,
			.birth = cdx_check_is_amended(ck, view->grain, view->count - left) ?
				 ck->transaction : ck->trees->seen.nodes[view->index].birth,
			.kind = view->kind,
			.level = (uint8_t)(view->level - 1),
			.has_high = left > 1 || link->has_high,
			.borrowed = view->base_lost || base_has(view, item, shape->inner_size),
		};
		uint32_t index;
		int ret;

		get_key(child.low, item, shape->key_words);
		if (left > 1)
			get_key(child.high, item + shape->inner_size, shape->key_words);
		else
			memcpy(child.high, link->high, sizeof(child.high));
		if (get32(disk->reserved))
			report_node(ck, CDX_P_RESERVED_FIELD, walk, link);
		if (walk->ops->enter)
			walk->ops->enter(walk, view, item);
		ret = walk_link(ck, walk, &child, &index);
		if (!ret && walk->ops->leave)
			ret = walk->ops->leave(ck, walk, view, item, index);
		if (ret)
			return ret;
	}
	return 0;
}

static int walk_link(struct cdx_check *ck, struct cdx_walk *walk, const struct link *link,
		     uint32_t *index)
{
	struct cdx_view view = {0};
	enum meeting meeting;
	int ret;

	*index = CDX_NONE;
	ret = meet(ck, walk, link, &view, &meeting);
	if (ret)
		return ret;
	if (meeting == UNUSABLE) {
		walk->broken = true;
		ck->trees->pointers_incomplete = true;
		return 0;
	}
	if (meeting == FRESH) {
		ck->summary.nodes++;
		if (ck->trees->seen.nodes[view.index].based)
			ret = walk_base(ck, walk, link, &view);
		if (ret)
			return ret;
		ret = view.level ? walk_children(ck, walk, link, &view)
				 : walk->ops->leaf(ck, walk, &view);
		if (ret)
			return ret;
		ck->trees->seen.nodes[view.index].state = CDX_SEEN_WALKED;
	}
	*index = view.index;
	return 0;
}

int cdx_check_tree(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_disk_ref *ref,
		   enum cdx_kind kind, uint32_t parent, uint32_t *root)
{
	struct link link = {
		.grain = get64(ref->address),
		.crc = get32(ref->crc),
		.parent = parent,
		.birth = parent == CDX_NONE ? ck->transaction : ck->trees->seen.nodes[parent].birth,
		.kind = (uint8_t)kind,
		.level = ref->level,
	};
	uint32_t index = CDX_NONE;
	int ret;

	if (!cdx_all_zero(ref->reserved, sizeof(ref->reserved)))
		cdx_report_inode(ck, CDX_P_RESERVED_FIELD, walk->inode);
	if (!link.grain && !cdx_ref_possible(ref))
		cdx_report_inode(ck, CDX_P_REF_EMPTY, walk->inode);
	ret = link.grain ? walk_link(ck, walk, &link, &index) : 0;

	if (!ret && root)
		*root = index;
	return ret;
}

int cdx_check_limbo_tree(struct cdx_check *ck, struct cdx_walk *walk,
			 const struct cdx_disk_limbo *limbo)
{
	struct link link = {
		.grain = get64(limbo->address),
		.crc = get32(limbo->count_or_crc),
		.parent = CDX_NONE,
		.birth = get64(limbo->transaction),
		.kind = limbo->kind,
		.level = limbo->level,
		.limbo = true,
	};
	uint32_t root;

	return walk_link(ck, walk, &link, &root);
}
