/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Amendments: what the record says of nodes that stay where they are. */
#include <string.h>

#include "damage.h"

/* A block's grains, in the pool still. */
static uint64_t spare_grains(struct image *image)
{
	uint64_t block = take_blocks(image, 1);

	add_reserve(image, block, UINT64_C(1) << image->super.grains_per_block_shift, false);
	return block;
}

/* An inner node above @child, and as old. */
static struct cdx_disk_node *make_parent(struct image *image, uint64_t grain, struct cdx_disk_node *child)
{
	struct extent_child item = {
		.key = *(const le64 *)node_items(child),
		.child = {.address = put64(grain_of(image, child)), .crc = child->crc},
	};
	struct cdx_disk_node *node = make_node(image, grain, CDX_KIND_EXTENT, child->level + 1u, &item,
					       1, sizeof(item));

	node->birth = child->birth;
	return node;
}

static void set_root(struct image *image, const char *path, const struct cdx_disk_node *node)
{
	struct cdx_disk_ref *ref = extent_root(inode_at(image, path));

	ref->address = put64(grain_of(image, node));
	ref->level = node->level;
}

/* Put @levels inner nodes above the only leaf of a file's extents, and return the lowest of them. */
static struct cdx_disk_node *raise_tree(struct image *image, const char *path, unsigned int levels)
{
	uint64_t grains = UINT64_C(1) << image->super.grains_per_block_shift;
	struct cdx_disk_node *node = root_of(image, path), *lowest = NULL;
	uint64_t block = take_blocks(image, 1);

	for (unsigned int i = 0; i < levels; i++) {
		node = make_parent(image, block + i, node);
		lowest = lowest ? lowest : node;
	}
	if (levels < grains)
		add_reserve(image, block + levels, grains - levels, false);
	set_root(image, path, node);
	return lowest;
}

/* A legal amendment, to be damaged: of a child, and of times. */
static struct cdx_disk_amend *child_amend(struct image *image)
{
	return amend_child(image, raise_tree(image, "own", 1), 0);
}

static struct cdx_disk_amend *time_amend(struct image *image)
{
	return amend_times(image, find_inode(image, inode_of(image, "one")));
}

/* ---- legal ones ------------------------------------------------------------------------ */

static void of_child(struct image *image)
{
	child_amend(image);
	image_seal(image);
}

static void of_times(struct image *image)
{
	time_amend(image);
	image_seal(image);
}

static void of_other_times(struct image *image)
{
	struct cdx_disk_amend *amend = time_amend(image);

	amend->value = put64((uint64_t)-5);
	amend->more = put32(999999999);
	image_seal(image);
}

/* Every @step-th child of the roots of the space tree, of the file tree, and of a file's. */
static void of_children(struct image *image, unsigned int step,
			struct cdx_disk_amend *(*amend)(struct image *, struct cdx_disk_node *, unsigned int))
{
	struct cdx_disk_node *const nodes[] = {
		image_node(image, get64(image->record->space.address)),
		image_node(image, get64(image->record->fs.address)),
		root_of(image, "islands"),
	};

	for (size_t n = 0; n < sizeof(nodes) / sizeof(nodes[0]); n++) {
		if (!nodes[n]->level)
			die("the tree is no deeper than a leaf");
		for (unsigned int i = 0; i < get16(nodes[n]->count) && amend_fits(image); i += step)
			amend(image, nodes[n], i);
	}
}

/* And of inodes for the rest. */
static void of_many(struct image *image)
{
	of_children(image, 1, amend_child);
	for (uint64_t i = inode_of(image, "file-0"); amend_fits(image); i++)
		amend_times(image, find_inode(image, i));
	if (get16(image->record->n_amends) != CDX_MAX_AMENDS)
		die("only %u amendments", get16(image->record->n_amends));
	image_seal(image);
}

/* A tree that its file has lost. */
static void of_limbo(struct image *image)
{
	struct cdx_disk_node *node = raise_tree(image, "own", 1);
	struct cdx_disk_limbo limbo = {
		.transaction = image->record->transaction,
		.address = put64(grain_of(image, node)),
		.type = CDX_LIMBO_TREE,
		.kind = CDX_KIND_EXTENT,
		.level = 1,
	};

	set_inline(image, "own", NULL, 0);
	add_limbo(image, &limbo);
	amend_child(image, node, 0);
	image_seal(image);
}

static void of_staging(struct image *image)
{
	struct cdx_disk_node *node = raise_tree(image, "own", 1);
	struct cdx_disk_staging *staging = make_staging(image);

	staging->extents = *extent_root(inode_at(image, "own"));
	staging->blocks = image->record->staged_blocks = put64(6);
	set_inline(image, "own", NULL, 0);
	amend_child(image, node, 0);
	image_seal(image);
}

/* ---- what only the record knows --------------------------------------------------------- */

static void of_hidden_child(struct image *image)
{
	hide_child(image, raise_tree(image, "own", 1), 0);
	image_seal(image);
}

static void of_younger_child(struct image *image)
{
	struct cdx_disk_amend *amend = hide_child(image, raise_tree(image, "own", 1), 0);

	if (get64(image_node(image, get64(amend->node))->birth) >= get64(image->record->transaction))
		die("the node is of the last transaction");
	image_node(image, get64(amend->value))->birth = image->record->transaction;
	image_seal(image);
}

/* In each tree that has inner nodes. */
static void of_hidden_children(struct image *image)
{
	of_children(image, 2, hide_child);
	if (!amend_fits(image))
		die("there are too many children");
	image_seal(image);
}

/* The leaf that "many" and its clone have becomes the leaf of "own", too. */
static void of_shared_child(struct image *image)
{
	uint64_t many = grain_of(image, root_of(image, "many"));
	struct cdx_disk_extent *extents = node_items(root_of(image, "own"));
	struct cdx_disk_amend *amend = hide_child(image, raise_tree(image, "own", 1), 0);
	unsigned int shift = image->super.grains_per_block_shift;

	set_counts(image, get64(amend->value), 1, 0);
	add64(&image->record->free_grains, 1);
	for (unsigned int i = 0; i < 6; i++) {
		set_counts(image, get64(extents[i].disk_block) << shift, UINT64_C(1) << shift, 0);
		add64(&image->record->free_grains, UINT64_C(1) << shift);
	}
	amend->value = put64(many);
	set_counts(image, many, 1, 3);
	image_seal(image);
}

/* ---- what no amendment can say ----------------------------------------------------------- */

static void kind(struct image *image)
{
	child_amend(image)->kind = CDX_KIND_STAGING + 1;
	image_seal(image);
}

static void kind_zero(struct image *image)
{
	child_amend(image)->kind = 0;
	image_seal(image);
}

static void level(struct image *image)
{
	child_amend(image)->level = CDX_MAX_LEVEL + 1;
	image_seal(image);
}

static void leaf_of_extents(struct image *image)
{
	child_amend(image)->level = 0;
	image_seal(image);
}

static void node_outside(struct image *image)
{
	child_amend(image)->node = put64(image->super.grains);
	image_seal(image);
}

static void node_in_head(struct image *image)
{
	child_amend(image)->node = put64(1);
	image_seal(image);
}

static void node_far_outside(struct image *image)
{
	time_amend(image)->node = put64(UINT64_MAX);
	image_seal(image);
}

static void twice(struct image *image)
{
	const struct cdx_disk_amend amend = *child_amend(image);

	add_amend(image, &amend);
	image_seal(image);
}

static void twice_of_times(struct image *image)
{
	struct cdx_disk_amend amend = *time_amend(image);

	amend.value = put64(1);
	add_amend(image, &amend);
	image_seal(image);
}

/* ---- what does not fit its node ----------------------------------------------------------- */

static void past_last(struct image *image)
{
	child_amend(image)->index = put16(1);
	image_seal(image);
}

static void far_past_last(struct image *image)
{
	child_amend(image)->index = put16(UINT16_MAX);
	image_seal(image);
}

static void past_last_of_leaf(struct image *image)
{
	struct cdx_disk_amend *amend = time_amend(image);

	amend->index = image_node(image, get64(amend->node))->count;
	image_seal(image);
}

static void other_kind(struct image *image)
{
	child_amend(image)->kind = CDX_KIND_LIMBO;
	image_seal(image);
}

static void other_level(struct image *image)
{
	child_amend(image)->level = 2;
	image_seal(image);
}

/* As if a leaf of extents were an inner node. */
static void leaf_as_inner(struct image *image)
{
	struct cdx_disk_amend *amend = child_amend(image);

	amend->node = amend->value;
	image_seal(image);
}

static void of_name(struct image *image)
{
	amend_times(image, find_name(image, COWDAX_ROOT_INODE, "one"));
	image_seal(image);
}

/* ---- where it leads ------------------------------------------------------------------------ */

static void child_outside(struct image *image)
{
	struct cdx_disk_amend *amend = child_amend(image);

	image_seal(image);
	amend->value = put64(image->super.grains);
	image_seal_record(image);
}

static void child_of_another_crc(struct image *image)
{
	struct cdx_disk_amend *amend = child_amend(image);

	image_seal(image);
	add32(&amend->more, 1);
	image_seal_record(image);
}

static void time_of_a_billion(struct image *image)
{
	time_amend(image)->more = put32(1000000000);
	image_seal(image);
}

static void below_damage(struct image *image)
{
	struct cdx_disk_node *node = raise_tree(image, "own", 2);

	amend_child(image, node, 0);
	image_seal(image);
	root_of(image, "own")->crc = put32(0);
}

/* Only the amended child may be younger. */
static void younger_beside_amended(struct image *image)
{
	struct cdx_disk_node *root = root_of(image, "islands");

	amend_child(image, root, 1);
	image_node(image, child_address(image, root, 0))->birth = put64(get64(root->birth) + 1);
	image_seal(image);
}

/* ---- which nodes -------------------------------------------------------------------------- */

static void unreached(struct image *image)
{
	uint64_t spare = spare_grains(image);

	child_amend(image)->node = put64(spare);
	image_seal(image);
}

static void of_data(struct image *image)
{
	const struct cdx_disk_extent *extent = inline_extents(inode_at(image, "one"));

	child_amend(image)->node = put64(get64(extent->disk_block) << image->super.grains_per_block_shift);
	image_seal(image);
}

/* The leaf that "many" and its clone share is below @levels of nodes that they share. */
static struct cdx_disk_node *raise_shared(struct image *image, unsigned int levels)
{
	struct cdx_disk_node *leaf = root_of(image, "many"), *node, *root;

	node = raise_tree(image, "many", levels);
	root = root_of(image, "many");
	set_root(image, "clone", root);
	set_counts(image, grain_of(image, leaf), 1, 1);
	set_counts(image, grain_of(image, root), 1, 2);
	return node;
}

static void shared_unamended(struct image *image)
{
	raise_shared(image, 2);
	image_seal(image);
}

static void shared(struct image *image)
{
	amend_child(image, raise_shared(image, 1), 0);
	image_seal(image);
}

static void below_shared(struct image *image)
{
	amend_child(image, raise_shared(image, 2), 0);
	image_seal(image);
}

/*
 * "own" gets a tree of three levels whose root borrows from another that nothing else has, and
 * has just the same child.
 */
static struct cdx_disk_node *raise_borrower(struct image *image, struct cdx_disk_node **base)
{
	struct cdx_disk_node *child = raise_tree(image, "own", 1), *root;
	uint64_t block = take_blocks(image, 1);

	add_reserve(image, block + 2, 2, false);
	*base = make_parent(image, block, child);
	root = make_parent(image, block + 1, child);
	root->flags = put16(CDX_NODE_BASED);
	*node_base(root) = (struct cdx_disk_base){.address = put64(block)};
	set_root(image, "own", root);
	return root;
}

/*
 * The same, but the record gives the root a child of its own, and only the base still has the
 * other: both have the file's leaf.
 */
static struct cdx_disk_amend *amend_borrower(struct image *image)
{
	struct cdx_disk_node *leaf = root_of(image, "own"), *base, *root;
	struct cdx_disk_amend *amend;
	uint64_t block;

	root = raise_borrower(image, &base);
	block = take_blocks(image, 1);
	add_reserve(image, block + 1, 3, false);
	make_parent(image, block, leaf);
	set_counts(image, grain_of(image, leaf), 1, 2);
	amend = amend_child(image, root, 0);
	amend->value = put64(block);
	image_seal(image);
	*node_child(root, 0) = *node_child(base, 0);
	image_seal(image);
	return amend;
}

static void of_borrowed_child(struct image *image)
{
	amend_borrower(image);
}

/* Who passes over it sees what is borrowed, and does not know what the rest is counted for. */
static void kind_and_counts(struct image *image)
{
	amend_borrower(image)->kind = 0;
	image_seal_record(image);
}

static void past_last_and_counts(struct image *image)
{
	amend_borrower(image)->index = put16(1);
	image_seal_record(image);
}

/* What an amendment says is borrowed as it would be without. */
static void of_borrower(struct image *image)
{
	struct cdx_disk_node *base;

	amend_child(image, raise_borrower(image, &base), 0);
	image_seal(image);
}

static void of_hidden_borrower(struct image *image)
{
	struct cdx_disk_node *base;

	hide_child(image, raise_borrower(image, &base), 0);
	image_seal(image);
}

static void of_hidden_base(struct image *image)
{
	struct cdx_disk_node *base;

	raise_borrower(image, &base);
	hide_child(image, base, 0);
	image_seal(image);
}

static void of_base(struct image *image)
{
	struct cdx_disk_node *base;

	raise_borrower(image, &base);
	amend_child(image, base, 0);
	image_seal(image);
}

static void below_base(struct image *image)
{
	struct cdx_disk_node *base;

	raise_borrower(image, &base);
	amend_child(image, image_node(image, get64(node_child(base, 0)->address)), 0);
	image_seal(image);
}

/* The leaf where the record says that it is, behind all else, goes with the media. */
static void lose_child(struct image *image)
{
	struct cdx_disk_node *old = root_of(image, "own"), *new;
	uint64_t moved = take_blocks(image, 1);
	struct cdx_disk_amend *amend;

	add_reserve(image, moved + 1, 3, false);
	amend = hide_child(image, raise_tree(image, "own", 1), 0);
	new = image_node(image, moved);
	memcpy(new, old, image->super.node_size);
	new->address = put64(moved);
	amend->value = put64(moved);
	set_counts(image, grain_of(image, old), 1, 0);
	add64(&image->record->free_grains, 1);
	image_seal(image);
	image->cut = moved << image->super.grain_shift;
}

const struct damage amend_damages[] = {
	{NULL, "amendment that says what its node says", PLAIN, of_child, AS_IS, NULL},
	{NULL, "amendment of a time that an inode has", PLAIN, of_times, AS_IS, NULL},
	{NULL, "amendment of another time", PLAIN, of_other_times, AS_IS, NULL},
	{NULL, "as many amendments as there can be", DEEP, of_many, AS_IS, NULL},
	{NULL, "amendment in a tree of limbo", PLAIN, of_limbo, AS_IS, NULL},
	{NULL, "amendment in a staged tree", PLAIN, of_staging, AS_IS, NULL},
	{NULL, "amendment of a node that borrows", PLAIN, of_borrower, AS_IS, NULL},
	{NULL, "amended child that its node does not know", PLAIN, of_hidden_child, AS_IS, NULL},
	{NULL, "amended child younger than its node", PLAIN, of_younger_child, AS_IS, NULL},
	{NULL, "amended child that is another file's", PLAIN, of_shared_child, AS_IS, NULL},
	{NULL, "amended children that only the record knows", DEEP, of_hidden_children, AS_IS, NULL},
	{NULL, "amended child that is borrowed", PLAIN, of_hidden_borrower, AS_IS, NULL},
	{NULL, "amended child where the base has another", PLAIN, of_borrowed_child, AS_IS, NULL},
	{"amend-format", "amendment of kind 0 beside a base", PLAIN, kind_and_counts, AS_IS, NULL},
	{"amend-item", "amendment of an item past the last, beside a base", PLAIN, past_last_and_counts,
	 AS_IS, NULL},
	{"media-error", "amended child cannot be read", PLAIN, lose_child, LOSE_MEDIA, "/own"},
	{"amend-shared", "amendment that makes a base lend", PLAIN, of_hidden_base, AS_IS, NULL},
	{NULL, "two levels of nodes that two files share", PLAIN, shared_unamended, AS_IS, NULL},
	{"amend-format", "amendment of a node of kind 6", PLAIN, kind, AS_IS, NULL},
	{"amend-format", "amendment of a node of kind 0", PLAIN, kind_zero, AS_IS, NULL},
	{"amend-format", "amendment of a node of level 16", PLAIN, level, AS_IS, NULL},
	{"amend-format", "amendment of a leaf of extents", PLAIN, leaf_of_extents, AS_IS, NULL},
	{"amend-format", "amendment of a node outside", PLAIN, node_outside, AS_IS, NULL},
	{"amend-format", "amendment of a node in the head region", PLAIN, node_in_head, AS_IS, NULL},
	{"amend-format", "amendment of node 2^64 - 1", PLAIN, node_far_outside, AS_IS, NULL},
	{"amend-twice", "two amendments of one item", PLAIN, twice, AS_IS, NULL},
	{"amend-twice", "two amendments of one inode's times", PLAIN, twice_of_times, AS_IS, NULL},
	{"amend-item", "amendment of an item past the last", PLAIN, past_last, AS_IS, "/own"},
	{"amend-item", "amendment of item 65535", PLAIN, far_past_last, AS_IS, "/own"},
	{"amend-item", "amendment of an item past a leaf's last", PLAIN, past_last_of_leaf, AS_IS, NULL},
	{"amend-item", "amendment of a node of another kind", PLAIN, other_kind, AS_IS, "/own"},
	{"amend-item", "amendment of a node of another level", PLAIN, other_level, AS_IS, "/own"},
	{"amend-item", "amendment of a leaf as if it had children", PLAIN, leaf_as_inner, AS_IS, "/own"},
	{"amend-item", "amendment of a name's times", PLAIN, of_name, AS_IS, NULL},
	{"node-address", "amended child outside", PLAIN, child_outside, AS_IS, "/own"},
	{"node-stale", "amended child of another crc", PLAIN, child_of_another_crc, AS_IS, "/own"},
	{"inode-time", "amended time of a billion nanoseconds", PLAIN, time_of_a_billion, AS_IS, "/one"},
	{"node-checksum", "amendment below a damaged node", PLAIN, below_damage, AS_IS, "/own"},
	{"node-birth", "node younger than its parent, beside an amended one", DEEP, younger_beside_amended,
	 AS_IS, "/islands"},
	{"amend-unreached", "amendment of a node that nothing points to", PLAIN, unreached, AS_IS, NULL},
	{"amend-unreached", "amendment of a file's block", PLAIN, of_data, AS_IS, NULL},
	{"amend-shared", "amendment of a node of two files", PLAIN, shared, AS_IS, NULL},
	{"amend-shared", "amendment below a node of two files", PLAIN, below_shared, AS_IS, NULL},
	{"amend-shared", "amendment of a base", PLAIN, of_base, AS_IS, NULL},
	{"amend-shared", "amendment below a base", PLAIN, below_base, AS_IS, NULL},
	{0},
};
