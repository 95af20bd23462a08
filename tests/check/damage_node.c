/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes of every kind. */
#include <string.h>

#include "damage.h"

/* A leaf of extents that only one file has; the tree has no other node. */
static struct cdx_disk_node *own_leaf(struct image *image)
{
	return root_of(image, "own");
}

/* A node with children and its first child, of the file tree of the deep image. */
static struct cdx_disk_node *islands_inner(struct image *image)
{
	struct cdx_disk_node *node = root_of(image, "islands");

	if (node->level != 1)
		die("the extent tree has %u levels, not 2", node->level + 1u);
	return node;
}

static void address(struct image *image)
{
	make_staging(image)->extents.address = put64(1);
	image_seal(image);
}

static void magic(struct image *image)
{
	own_leaf(image)->magic = put32(0);
}

static void checksum(struct image *image)
{
	((struct cdx_disk_extent *)node_items(own_leaf(image)))->flags = put32(1);
}

static void used_too_large(struct image *image)
{
	own_leaf(image)->used = put16(0xffff);
}

static void used_too_small(struct image *image)
{
	own_leaf(image)->used = put16(8);
}

/* A node that is whole, but not the one that was written last. */
static void stale(struct image *image)
{
	image->keep_pointers_to = get64(extent_root(inode_at(image, "own"))->address);
	own_leaf(image)->birth = put64(2);
	image_seal(image);
}

static void stale_for_one_parent(struct image *image)
{
	struct cdx_disk_ref *ref = extent_root(inode_at(image, "clone"));

	image_seal(image);
	image->keep_pointers_to = get64(ref->address);
	add32(&ref->crc, 1);
	image_seal(image);
}

static void self(struct image *image)
{
	add64(&own_leaf(image)->address, 1);
	image_seal(image);
}

static void birth(struct image *image)
{
	own_leaf(image)->birth = put64(get64(image->record->transaction) + 1);
	image_seal(image);
}

static void birth_before_mkfs(struct image *image)
{
	own_leaf(image)->birth = put64(1);
	image_seal(image);
}

static void birth_after_parent(struct image *image)
{
	struct cdx_disk_node *inner = islands_inner(image);
	struct extent_child *children = node_items(inner);

	image_node(image, get64(children[0].child.address))->birth =
		put64(get64(inner->birth) + 1);
	image_seal(image);
}

static void kind(struct image *image)
{
	own_leaf(image)->kind = CDX_KIND_STAGING;
	image_seal(image);
}

static void kind_unknown(struct image *image)
{
	own_leaf(image)->kind = 77;
	image_seal(image);
}

static void level(struct image *image)
{
	own_leaf(image)->level = 1;
	image_seal(image);
}

static void root_level_too_high(struct image *image)
{
	struct cdx_disk_staging *staging = make_staging(image);

	staging->extents.address = put64(get64(image->record->staging.address) + 1);
	staging->extents.level = 16;
	image_seal(image);
}

static void empty(struct image *image)
{
	own_leaf(image)->count = put16(0);
	own_leaf(image)->used = put16(sizeof(struct cdx_disk_node));
	image_seal(image);
}

static void items_too_many(struct image *image)
{
	struct cdx_disk_node *leaf = own_leaf(image);

	leaf->count = put16((uint16_t)(get16(leaf->count) + 1));
	image_seal(image);
}

static void items_too_few(struct image *image)
{
	struct cdx_disk_node *leaf = own_leaf(image);

	leaf->used = put16((uint16_t)(get16(leaf->used) + 8));
	image_seal(image);
}

static void item_length(struct image *image)
{
	/* The last item of all. */
	find_inode(image, inode_of(image, "more")).item->length = put16(0xfff0);
	image_seal(image);
}

static void order(struct image *image)
{
	struct cdx_disk_extent *extents = node_items(own_leaf(image)), swap = extents[1];

	extents[1] = extents[2];
	extents[2] = swap;
	image_seal(image);
}

static void bounds(struct image *image)
{
	struct extent_child *children = node_items(islands_inner(image));
	struct cdx_disk_node *leaf = image_node(image, get64(children[0].child.address));
	struct cdx_disk_extent *extents = node_items(leaf);

	extents[get16(leaf->count) - 1].file_block = children[1].key;
	image_seal(image);
}

static void separator(struct image *image)
{
	struct extent_child *children = node_items(islands_inner(image));

	add64(&children[1].key, (uint64_t)-1);
	image->keep_separators = true;
	image_seal(image);
}

/* Both items of a limbo tree's root name the same leaf, whose count agrees. */
static void shared(struct image *image)
{
	struct {
		le64 transaction, address;
		struct cdx_disk_child child;
	} children[2];
	uint64_t block = take_blocks(image, 1);
	struct cdx_disk_limbo entry = {
		.transaction = image->record->transaction,
		.address = put64(block + 2),
		.count_or_crc = put32(2),
		.type = CDX_LIMBO_RUN,
	};

	make_node(image, block, CDX_KIND_LIMBO, 0, &entry, 1, sizeof(entry));
	memset(children, 0, sizeof(children));
	for (unsigned int i = 0; i < 2; i++) {
		children[i].transaction = entry.transaction;
		children[i].address = put64(block + 2 + i);
		children[i].child.address = put64(block);
	}
	make_node(image, block + 1, CDX_KIND_LIMBO, 1, children, 2, sizeof(children[0]));
	if (get64(image->record->limbo.address))
		die("there is a limbo tree already");
	image->record->limbo.address = put64(block + 1);
	image->record->limbo.level = 1;
	set_counts(image, block, 1, 2);
	image->keep_separators = true;
	image_seal(image);
}

static void flags(struct image *image)
{
	own_leaf(image)->flags = put16(2);
	image_seal(image);
}

static void flags_of_kind(struct image *image)
{
	struct cdx_disk_node *node = image_node(image, get64(image->record->space.address));

	node->flags = put16(CDX_NODE_BASED);
	image_seal(image);
}

/* ---- bases -------------------------------------------------------------------------- */

/* The root of a clone that was written to: it borrows from the original's. */
static struct cdx_disk_base *borrowers_base(struct image *image)
{
	struct cdx_disk_node *node = root_of(image, "borrower");

	if (get16(node->flags) != CDX_NODE_BASED ||
	    get64(node_base(node)->address) != get64(extent_root(inode_at(image, "lender"))->address))
		die("the clone does not borrow from its original");
	return node_base(node);
}

static void base_reserved(struct image *image)
{
	borrowers_base(image)->reserved = put32(1);
	image_seal(image);
}

static void base_with_base(struct image *image)
{
	struct cdx_disk_node *lender = root_of(image, "lender");
	le64 own = extent_root(inode_at(image, "own"))->address;

	borrowers_base(image);
	lender->flags = put16(CDX_NODE_BASED);
	*node_base(lender) = (struct cdx_disk_base){.address = own};
	set_counts(image, get64(own), 1, 2);
	image_seal(image);
}

/* Point to another base just as it is, whatever seal() would make of it. */
static void seal_with_base(struct image *image, uint64_t address, uint32_t crc)
{
	struct cdx_disk_base *base = borrowers_base(image);

	base->address = put64(address);
	base->crc = put32(crc);
	image->sealing_base = true;
	image_seal(image);
	image->sealing_base = false;
}

static void base_of_itself(struct image *image)
{
	borrowers_base(image)->address = extent_root(inode_at(image, "borrower"))->address;
	image_seal(image);
}

static void base_outside(struct image *image)
{
	borrowers_base(image)->address = put64(image->super.grains);
	image_seal(image);
}

static void base_of_another_kind(struct image *image)
{
	seal_with_base(image, get64(image->record->fs.address), get32(image->record->fs.crc));
}

static void base_of_another_level(struct image *image)
{
	struct extent_child *children = node_items(root_of(image, "lender"));

	seal_with_base(image, get64(children[0].child.address), get32(children[0].child.crc));
}

static void base_younger(struct image *image)
{
	borrowers_base(image);
	root_of(image, "borrower")->birth = put64(get64(root_of(image, "lender")->birth) - 1);
	image_seal(image);
}

static void base_stale(struct image *image)
{
	const struct cdx_disk_base base = *borrowers_base(image);

	seal_with_base(image, get64(base.address), get32(base.crc) + 1);
}

/* Of what is borrowed, and of the base, the counts are as if each were or were not a pointer. */
static void borrowed_counted(struct image *image)
{
	struct cdx_disk_extent *extents = node_items(root_of(image, "lender"));
	unsigned int shift = image->super.grains_per_block_shift;

	borrowers_base(image);
	set_counts(image, get64(extents[0].disk_block) << shift, 1u << shift, 2);
	image_seal(image);
}

static void base_not_counted(struct image *image)
{
	set_counts(image, get64(borrowers_base(image)->address), 1, 1);
	image_seal(image);
}

static void child_reserved(struct image *image)
{
	struct extent_child *children = node_items(islands_inner(image));

	children[0].child.reserved = put32(1);
	image_seal(image);
}

const struct damage node_damages[] = {
	{"node-address", "staged tree in the head region", PLAIN, address, AS_IS, NULL},
	{"node-checksum", "node without magic", PLAIN, magic, AS_IS, "/own"},
	{"node-checksum", "node with a flipped bit", PLAIN, checksum, AS_IS, NULL},
	{"node-checksum", "node that uses more than there is", PLAIN, used_too_large, AS_IS, NULL},
	{"node-checksum", "node that uses less than its header", PLAIN, used_too_small, AS_IS,
	 NULL},
	{"node-stale", "node of another crc", PLAIN, stale, AS_IS, NULL},
	{"node-stale", "node that one of two parents expects otherwise", PLAIN,
	 stale_for_one_parent, AS_IS, NULL},
	{"node-self", "node of another address", PLAIN, self, AS_IS, NULL},
	{"node-birth", "node from the future", PLAIN, birth, AS_IS, NULL},
	{"node-birth", "node from before mkfs", PLAIN, birth_before_mkfs, AS_IS, "/own"},
	{"node-birth", "node younger than its parent", DEEP, birth_after_parent, AS_IS, NULL},
	{"node-kind", "staging node for extents", PLAIN, kind, AS_IS, NULL},
	{"node-kind", "node of kind 77", PLAIN, kind_unknown, AS_IS, NULL},
	{"node-level", "leaf that says it is none", PLAIN, level, AS_IS, NULL},
	{"node-level", "root of level 16", PLAIN, root_level_too_high, AS_IS, NULL},
	{"node-empty", "node without items", PLAIN, empty, AS_IS, NULL},
	{"node-items", "more items than bytes", PLAIN, items_too_many, AS_IS, NULL},
	{"node-items", "more bytes than items", PLAIN, items_too_few, AS_IS, NULL},
	{"node-items", "item longer than its node", PLAIN, item_length, AS_IS, NULL},
	{"node-order", "keys out of order", PLAIN, order, AS_IS, "/own"},
	{"node-bounds", "key beyond the next separator", DEEP, bounds, AS_IS, NULL},
	{"node-separator", "separator below the first key", DEEP, separator, AS_IS, NULL},
	{"node-shared", "limbo leaf with two parents", PLAIN, shared, AS_IS, NULL},
	{"node-flags", "leaf of an unknown flag", PLAIN, flags, AS_IS, "/own"},
	{"node-flags", "space node that borrows", PLAIN, flags_of_kind, AS_IS, NULL},
	{"node-base", "base that has a base", PLAIN, base_with_base, AS_IS, "/borrower"},
	{"node-base", "node that is its own base", PLAIN, base_of_itself, AS_IS, "/borrower"},
	{"node-address", "base outside", PLAIN, base_outside, AS_IS, "/borrower"},
	{"node-kind", "base of another kind", PLAIN, base_of_another_kind, AS_IS, "/borrower"},
	{"node-level", "base of another level", DEEP, base_of_another_level, AS_IS, "/borrower"},
	{"node-birth", "base younger than what borrows", PLAIN, base_younger, AS_IS, "/borrower"},
	{"node-stale", "base of another crc", PLAIN, base_stale, AS_IS, "/borrower"},
	{"refcount-high", "borrowed extent that was counted", PLAIN, borrowed_counted, AS_IS, NULL},
	{"refcount-low", "base whose pointer was not counted", PLAIN, base_not_counted, AS_IS, NULL},
	{"reserved-field", "reserved field of a base", PLAIN, base_reserved, AS_IS, NULL},
	{"reserved-field", "reserved field of a child pointer", DEEP, child_reserved, AS_IS, NULL},
	{0},
};
