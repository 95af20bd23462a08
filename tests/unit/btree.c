// SPDX-License-Identifier: GPL-2.0-or-later
/* The B+tree against a plain array, for every node size and several kinds of items. */
#include "tree/btree.h"

#include <errno.h>

#include "bare.h"

#define KEYS 4000
#define FIRST_BLOCK 100		/* extents of key k map block FIRST_BLOCK + k */

/*
 * One tree and what it should hold: for each key a value, 0 where there is no
 * item.  The value decides what the item looks like, and its size if that varies.
 */
struct lab {
	struct bare bare;
	struct cdx_ref root;
	struct cdx_tree tree;
	uint32_t value[KEYS];
	uint64_t seed;
	bool dropped[KEYS];		/* extents that the tree has let go */
	uint64_t drops;			/* calls of ops.dropped */
	uint64_t replaced;
	uint64_t fail_replaced;		/* the call of ops.replaced, from 1, that fails */
};

static int note_replaced(struct cdx_tree *tree, struct cdx_node *parent, enum cdx_holders holders,
			 struct cdx_node *node, struct cdx_node *copy)
{
	struct lab *lab = tree->owner;

	CHECK(!parent || cdx_is_dirty(parent->address));
	CHECK_EQUAL(holders, CDX_HOLDERS_OTHERS);
	CHECK(cdx_is_dirty(copy->address));
	CHECK(!cdx_is_dirty(node->address));
	return ++lab->replaced == lab->fail_replaced ? -ENOSPC : 0;
}

/* What went away: an extent, or a clean subtree full of them. */
static int note_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct lab *lab = arg;
	struct cdx_node *node;

	if (pointer->data) {
		uint64_t key = (pointer->start >> lab->bare.super.grains_per_block_shift) - FIRST_BLOCK;

		CHECK(key < KEYS && !lab->dropped[key]);
		lab->dropped[key] = true;
		return 0;
	}
	CHECK_EQUAL(cdx_node_get(&lab->bare.nodes, pointer->start, pointer->crc, pointer->kind, pointer->level,
				 &node), 0);
	CHECK_EQUAL(cdx_node_pointers(&lab->bare.nodes, node, note_pointer, lab), 0);
	cdx_node_put(&lab->bare.nodes, node);
	return 0;
}

static int note_dropped(struct cdx_tree *tree, const struct cdx_pointer *pointer)
{
	struct lab *lab = tree->owner;

	CHECK(pointer->data || !cdx_is_dirty(pointer->start));
	lab->drops++;
	return note_pointer(lab, pointer);
}

static const struct cdx_tree_ops ops = {.replaced = note_replaced, .dropped = note_dropped};

static struct lab *make_lab(uint8_t kind, uint32_t node_size, uint64_t seed)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	CHECK(lab);
	bare_make(&lab->bare, UINT64_C(4) << 30, 4096, node_size);
	lab->tree = (struct cdx_tree){
		.nodes = &lab->bare.nodes, .ops = &ops, .owner = lab, .root = &lab->root, .kind = kind,
		.upper = cdx_key_infinite,
	};
	lab->seed = seed;
	return lab;
}

static void free_lab(struct lab *lab)
{
	bare_free(&lab->bare);
	free(lab);
}

/* ---- items --------------------------------------------------------------------------- */

union item {
	struct cdx_disk_extent extent;
	struct cdx_disk_limbo limbo;
	struct cdx_disk_fs_item fs;
	unsigned char bytes[CDX_MAX_ITEM];
};

/* In the order of the numbers @k. */
static struct cdx_key key_of(const struct lab *lab, uint64_t k)
{
	switch (lab->tree.kind) {
	case CDX_KIND_LIMBO:
		return (struct cdx_key){{k / 7, k % 7}};
	case CDX_KIND_FS:
		return (struct cdx_key){{k / 11, CDX_ITEM_DIRENT, k % 11}};
	default:
		return (struct cdx_key){{k}};
	}
}

static uint64_t number_of(const struct lab *lab, const struct cdx_key *key)
{
	switch (lab->tree.kind) {
	case CDX_KIND_LIMBO:
		return key->word[0] * 7 + key->word[1];
	case CDX_KIND_FS:
		return key->word[0] * 11 + key->word[2];
	default:
		return key->word[0];
	}
}

static size_t make_item(const struct lab *lab, uint64_t k, uint32_t value, union item *item)
{
	struct cdx_key key = key_of(lab, k);
	unsigned int words = cdx_kind_shapes[lab->tree.kind].key_words;

	memset(item, 0, sizeof(*item));
	for (unsigned int i = 0; i < words; i++)
		((le64 *)item)[i] = put64(key.word[i]);
	if (lab->tree.kind == CDX_KIND_EXTENT) {
		item->extent.disk_block = put64(FIRST_BLOCK + k);
		item->extent.count = put32(value);
		return sizeof(item->extent);
	}
	if (lab->tree.kind == CDX_KIND_LIMBO) {
		item->limbo.count_or_crc = put32(value);
		return sizeof(item->limbo);
	}
	item->fs.length = put16((uint16_t)(4 + value % (CDX_MAX_ITEM - sizeof(item->fs) - 4 + 1)));
	memcpy(item->bytes + sizeof(item->fs), &value, sizeof(value));
	return cdx_fs_item_size(item);
}

static void expect_item(const struct lab *lab, uint64_t k, const void *have)
{
	union item item;
	size_t size = make_item(lab, k, lab->value[k], &item);

	CHECK(lab->value[k]);
	CHECK(memcmp(have, &item, size) == 0);
}

/* ---- comparing --------------------------------------------------------------------------- */

/* All of it, in order, from the first item on. */
static void expect_all(struct lab *lab)
{
	struct cdx_key zero = {{0}};
	struct cdx_cursor cursor;
	int ret = cdx_cursor_seek(&cursor, &lab->tree, &zero);

	CHECK(ret >= 0);
	if (ret && !cdx_cursor_at_item(&cursor))
		ret = cdx_cursor_next(&cursor);
	for (uint64_t k = 0; k < KEYS; k++) {
		if (!lab->value[k])
			continue;
		CHECK_EQUAL(ret, 1);
		expect_item(lab, k, cdx_cursor_item(&cursor));
		ret = cdx_cursor_next(&cursor);
	}
	CHECK_EQUAL(ret, 0);
	cdx_cursor_end(&cursor);
	bare_check(&lab->tree);
}

/* Seeking @k finds the last item not above it, and tells which key comes next. */
static void expect_seek(struct lab *lab, uint64_t k)
{
	struct cdx_key key = key_of(lab, k), next;
	struct cdx_cursor cursor;
	int64_t at = (int64_t)k;
	uint64_t above = k + 1;
	int ret = cdx_cursor_seek(&cursor, &lab->tree, &key);

	CHECK_EQUAL(ret, lab->root.address != 0);
	while (at >= 0 && !lab->value[at])
		at--;
	while (above < KEYS && !lab->value[above])
		above++;
	if (ret) {
		CHECK_EQUAL(cdx_cursor_at_item(&cursor), at >= 0);
		if (at >= 0) {
			expect_item(lab, (uint64_t)at, cdx_cursor_item(&cursor));
			next = cdx_cursor_next_key(&cursor);
			CHECK(above == KEYS ? cdx_keys_compare(&next, &lab->tree.upper) == 0 :
					      number_of(lab, &next) == above);
		}
	}
	cdx_cursor_end(&cursor);
}

/* ---- changing ---------------------------------------------------------------------------------- */

static uint32_t draw_value(struct lab *lab)
{
	return 1 + (uint32_t)unit_below(&lab->seed, lab->tree.kind == CDX_KIND_FS ? 1000000 : 250);
}

static void put(struct lab *lab, uint64_t k, uint32_t value)
{
	union item item;
	size_t size = make_item(lab, k, value, &item);

	if (lab->value[k]) {
		CHECK_EQUAL(cdx_tree_insert(&lab->tree, &item, size), -EEXIST);
		CHECK_EQUAL(cdx_tree_replace(&lab->tree, &item, size), 0);
	} else {
		CHECK_EQUAL(cdx_tree_replace(&lab->tree, &item, size), -ENOENT);
		CHECK_EQUAL(cdx_tree_insert(&lab->tree, &item, size), 0);
	}
	lab->value[k] = value;
}

static void take_out(struct lab *lab, uint64_t k)
{
	struct cdx_key key = key_of(lab, k);

	CHECK_EQUAL(cdx_tree_delete(&lab->tree, &key), lab->value[k] ? 0 : -ENOENT);
	lab->value[k] = 0;
}

/* Cut [from, to); of extents, just those must have been dropped. */
static void cut(struct lab *lab, uint64_t from, uint64_t to)
{
	struct cdx_key low = key_of(lab, from), high = key_of(lab, to);

	memset(lab->dropped, 0, sizeof(lab->dropped));
	CHECK_EQUAL(cdx_tree_cut(&lab->tree, &low, &high), 0);
	for (uint64_t k = 0; k < KEYS; k++) {
		bool cut_out = k >= from && k < to && lab->value[k];

		if (lab->tree.kind == CDX_KIND_EXTENT)
			CHECK_EQUAL(lab->dropped[k], cut_out);
		if (cut_out)
			lab->value[k] = 0;
	}
}

static void write_out(struct lab *lab)
{
	bare_write(&lab->bare, &lab->tree);
	CHECK_EQUAL(lab->bare.nodes.dirty_count, 0);
	CHECK(!cdx_is_dirty(lab->root.address));
	if (unit_below(&lab->seed, 2))
		bare_reload(&lab->bare);
}

static void random_changes(struct lab *lab, int count)
{
	for (int i = 0; i < count; i++) {
		uint64_t k = unit_below(&lab->seed, KEYS), choice = unit_below(&lab->seed, 100), to;
		/* Tides: let it grow for a while, then shrink. */
		bool growing = i / 700 % 3 < 2;

		if (choice < (growing ? 70 : 20)) {
			put(lab, k, draw_value(lab));
		} else if (choice < 96) {
			take_out(lab, k);
		} else if (choice < 98) {
			to = k + unit_below(&lab->seed, growing ? 40 : 600);
			cut(lab, k, to > KEYS ? KEYS : to);
		} else if (choice < 99) {
			write_out(lab);
		} else {
			expect_all(lab);
		}
		expect_seek(lab, unit_below(&lab->seed, KEYS));
	}
	expect_all(lab);
	write_out(lab);
	expect_all(lab);
}

static void all_node_sizes(uint8_t kind, int changes)
{
	for (uint32_t node_size = 512; node_size <= 4096; node_size *= 2) {
		struct lab *lab = make_lab(kind, node_size, node_size);

		random_changes(lab, changes);
		free_lab(lab);
	}
}

TEST("random changes to a tree of extents, with subtrees cut out, keep it equal to an array")
{
	all_node_sizes(CDX_KIND_EXTENT, 6000);
}

TEST("random changes to a tree with keys of two words keep it equal to an array")
{
	all_node_sizes(CDX_KIND_LIMBO, 3000);
}

TEST("random changes to a tree of items of all sizes up to the largest keep it equal to an array")
{
	all_node_sizes(CDX_KIND_FS, 4000);
}

/* ---- shapes -------------------------------------------------------------------------------------- */

TEST("items put in in ascending order fill their nodes; descending and inside out work as well")
{
	for (int order = 0; order < 3; order++) {
		struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
		uint64_t nodes;

		for (uint64_t i = 0; i < KEYS; i++) {
			uint64_t k = order == 0 ? i : order == 1 ? KEYS - 1 - i :
				     i % 2 ? KEYS / 2 + i / 2 : KEYS / 2 - 1 - i / 2;

			put(lab, k, 1);
		}
		expect_all(lab);
		nodes = bare_check(&lab->tree);
		/* 20 items fit into a node. */
		CHECK(nodes >= KEYS / 20);
		if (order == 0)
			CHECK(nodes <= KEYS / 20 * 12 / 10);
		else
			CHECK(nodes <= KEYS / 20 * 25 / 10);
		free_lab(lab);
	}
}

TEST("a tree that loses its items one by one ends as the empty tree")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 5);

	for (int round = 0; round < 3; round++) {
		for (uint64_t k = 0; k < KEYS; k++)
			put(lab, k, 1);
		if (round == 1)
			write_out(lab);
		for (uint64_t i = 0; i < KEYS; i++) {
			take_out(lab, round == 0 ? i : round == 1 ? KEYS - 1 - i : i * 1009 % KEYS);
			if (i % 500 == 499)
				expect_all(lab);
		}
		CHECK_EQUAL(lab->root.address, 0);
		CHECK_EQUAL(lab->root.level, 0);
		CHECK_EQUAL(lab->bare.nodes.dirty_count, 0);
	}
	free_lab(lab);
}

TEST("nodes that empty out are merged: few items do not keep many nodes")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 5);

	for (uint64_t k = 0; k < KEYS; k++)
		put(lab, k, 1);
	for (uint64_t k = 0; k < KEYS; k++) {
		if (k % 20)
			take_out(lab, k);
	}
	expect_all(lab);
	CHECK(bare_check(&lab->tree) <= 60);	/* 200 items, at least a third full */
	free_lab(lab);
}

/* ---- merging ---- */

#define THIN 80			/* bytes of the one item that a thin leaf is to keep */
/* Bytes that its neighbour may have, so that both take seven eighths of a node. */
#define FITTING (512 * 7 / 8 - (unsigned int)sizeof(struct cdx_disk_node) - THIN)

/* An item of so many bytes: a multiple of 8. */
static uint32_t value_of_size(unsigned int bytes)
{
	return bytes - (uint32_t)sizeof(struct cdx_disk_fs_item) - 4;
}

static struct cdx_node *make_leaf(struct lab *lab, uint64_t first, unsigned int one, unsigned int other)
{
	const unsigned int sizes[] = {one, other};
	struct cdx_node *leaf;

	CHECK_EQUAL(cdx_node_new(&lab->bare.nodes, CDX_KIND_FS, 0, &leaf), 0);
	for (unsigned int i = 0; i < 2; i++) {
		union item item;

		lab->value[first + i] = value_of_size(sizes[i]);
		CHECK_EQUAL(make_item(lab, first + i, lab->value[first + i], &item), sizes[i]);
		cdx_node_insert(leaf, i, &item, sizes[i]);
	}
	return leaf;
}

/*
 * A root over two leaves of two items each, on the media: one of them will be thin when
 * its second item, number @thin, has gone; the other has @bytes bytes of items.
 */
static struct lab *make_two_leaves(bool thin_left, unsigned int bytes, uint64_t *thin)
{
	struct lab *lab = make_lab(CDX_KIND_FS, 512, 1);
	struct cdx_node *leaf[2], *root;
	unsigned int half = bytes / 2 & ~7u;

	leaf[!thin_left] = make_leaf(lab, thin_left ? 10 : 20, THIN, 200);
	leaf[thin_left] = make_leaf(lab, thin_left ? 20 : 10, half, bytes - half);
	*thin = thin_left ? 11 : 21;
	CHECK_EQUAL(cdx_node_new(&lab->bare.nodes, CDX_KIND_FS, 1, &root), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct { le64 key[3]; struct cdx_disk_child child; } item = {
			.child.address = put64(leaf[i]->address),
		};

		memcpy(item.key, cdx_node_item(leaf[i], 0), sizeof(item.key));
		cdx_node_insert(root, i, &item, sizeof(item));
	}
	lab->root = (struct cdx_ref){.address = root->address, .level = 1};
	bare_write(&lab->bare, &lab->tree);
	expect_all(lab);
	return lab;
}

TEST("two neighbours become one when they take seven eighths of a node, and not for a byte more")
{
	for (int thin_left = 0; thin_left < 2; thin_left++) {
		for (unsigned int more = 0; more <= 8; more += 8) {
			uint64_t thin;
			struct lab *lab = make_two_leaves(thin_left, FITTING + more, &thin);

			take_out(lab, thin);
			CHECK_EQUAL(lab->root.level, more ? 1 : 0);
			expect_all(lab);
			free_lab(lab);
		}
	}
}

TEST("a removal whose leaf's neighbour is damaged is told so")
{
	for (int thin_left = 0; thin_left < 2; thin_left++) {
		uint64_t thin;
		struct lab *lab = make_two_leaves(thin_left, FITTING, &thin);
		struct cdx_key key = key_of(lab, thin);
		struct cdx_node *root;
		uint64_t neighbour;

		CHECK_EQUAL(cdx_node_get(&lab->bare.nodes, lab->root.address, lab->root.crc, CDX_KIND_FS, 1,
					 &root), 0);
		neighbour = get64(cdx_node_child(root, (unsigned int)thin_left)->address);
		cdx_node_put(&lab->bare.nodes, root);
		lab->bare.bytes[(neighbour << lab->bare.super.grain_shift) + 100] ^= 1;
		bare_reload(&lab->bare);
		CHECK_EQUAL(cdx_tree_delete(&lab->tree, &key), -EUCLEAN);
		free_lab(lab);
	}
}

TEST("a removal that cannot give up one of the nodes it changes is told so")
{
	/* The root, the leaf, and the neighbour that the leaf becomes one with. */
	for (uint64_t which = 1; which <= 4; which++) {
		uint64_t thin;
		struct lab *lab = make_two_leaves(true, FITTING, &thin);
		struct cdx_key key = key_of(lab, thin);

		lab->fail_replaced = which;
		CHECK_EQUAL(cdx_tree_delete(&lab->tree, &key), which <= 3 ? -ENOSPC : 0);
		free_lab(lab);
	}
}

TEST("replacing a small item by the largest splits as often as it takes")
{
	static const uint32_t largest = CDX_MAX_ITEM - 32 - 4;

	for (uint32_t node_size = 512; node_size <= 4096; node_size *= 2) {
		struct lab *lab = make_lab(CDX_KIND_FS, node_size, 9);

		for (uint64_t k = 0; k < 1000; k++)
			put(lab, k, 285 * 3);	/* small: the length is 4 + value % 285 */
		expect_all(lab);
		for (uint64_t i = 0; i < 1000; i++)
			put(lab, i * 389 % 1000, largest);
		expect_all(lab);
		for (uint64_t i = 0; i < 1000; i++)
			put(lab, i * 389 % 1000, i % 3 ? 285 : largest);
		expect_all(lab);
		free_lab(lab);
	}
}

TEST("a change makes copies of its path only, and none of what is dirty already")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);

	for (uint64_t k = 0; k < KEYS; k++)
		put(lab, k, 1);
	bare_write(&lab->bare, &lab->tree);
	lab->replaced = 0;
	put(lab, 1000, 2);
	CHECK_EQUAL(lab->replaced, lab->root.level + 1u);
	CHECK_EQUAL(lab->bare.nodes.dirty_count, lab->root.level + 1u);
	put(lab, 1001, 2);
	put(lab, 1000, 3);
	CHECK(lab->replaced <= lab->root.level + 2u);
	expect_all(lab);
	free_lab(lab);
}

TEST("writing out fails cleanly when there are no grains left")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);

	for (uint64_t k = 0; k < KEYS; k++)
		put(lab, k, 1);
	lab->bare.next = lab->bare.super.grains - lab->bare.super.head_grains - 5;
	CHECK_EQUAL(cdx_tree_write(&lab->bare.nodes, &lab->root, CDX_KIND_EXTENT, bare_take, &lab->bare),
		    -ENOSPC);
	cdx_nodes_forget_all(&lab->bare.nodes);
	free_lab(lab);
}

TEST("R18: cutting a long range drops whole subtrees: few calls, few nodes in memory")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	uint64_t levels;

	for (uint64_t k = 0; k < KEYS; k++)
		put(lab, k, 1);
	bare_write(&lab->bare, &lab->tree);
	bare_reload(&lab->bare);
	levels = lab->root.level + 1u;
	cut(lab, 13, KEYS - 13);
	CHECK(lab->bare.nodes.dirty_count <= 2 * levels);
	/* At each level the siblings of two paths, and the items of two leaves. */
	CHECK(lab->drops <= levels * 2 * 20);
	expect_all(lab);
	free_lab(lab);
}

TEST("R18: cutting everything out of a clean tree touches none of its nodes")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);

	for (uint64_t k = 0; k < KEYS; k++)
		put(lab, k, 1);
	bare_write(&lab->bare, &lab->tree);
	memset(lab->dropped, 0, sizeof(lab->dropped));
	CHECK_EQUAL(cdx_tree_cut(&lab->tree, &(struct cdx_key){{0}}, &cdx_key_infinite), 0);
	CHECK_EQUAL(lab->drops, 1);
	CHECK_EQUAL(lab->replaced, 0);
	CHECK_EQUAL(lab->root.address, 0);
	for (uint64_t k = 0; k < KEYS; k++)
		CHECK(lab->dropped[k]);
	free_lab(lab);
}

/* ---- hostile trees ------------------------------------------------------------------------------- */

static struct cdx_ref leaf(struct lab *lab, uint64_t first, unsigned int count)
{
	struct cdx_node *node;
	union item item;

	CHECK_EQUAL(cdx_node_new(&lab->bare.nodes, lab->tree.kind, 0, &node), 0);
	for (unsigned int i = 0; i < count; i++)
		cdx_node_insert(node, i, &item, make_item(lab, first + i, 1, &item));
	return bare_write_node(&lab->bare, node);
}

/* An inner node over @children, which it says to start at @keys. */
static struct cdx_ref inner(struct lab *lab, uint8_t level, const uint64_t *keys, const struct cdx_ref *children,
			    unsigned int count)
{
	struct cdx_node *node;

	CHECK_EQUAL(cdx_node_new(&lab->bare.nodes, lab->tree.kind, level, &node), 0);
	for (unsigned int i = 0; i < count; i++) {
		struct { le64 key; struct cdx_disk_child child; } item = {
			put64(keys[i]), {put64(children[i].address), put32(children[i].crc), put32(0)},
		};

		cdx_node_insert(node, i, &item, sizeof(item));
	}
	return bare_write_node(&lab->bare, node);
}

/* Whatever is done where the tree is wrong says so, and nothing worse happens. */
static void expect_refused(struct lab *lab, struct cdx_ref root, uint64_t k)
{
	struct cdx_key key = {{k}}, zero = {{0}};
	struct cdx_ref before = root;
	struct cdx_cursor cursor;
	union item item;
	size_t size;
	int ret;

	lab->root = root;
	bare_reload(&lab->bare);
	CHECK_EQUAL(cdx_cursor_seek(&cursor, &lab->tree, &key), -EUCLEAN);
	cdx_cursor_end(&cursor);
	ret = cdx_cursor_seek(&cursor, &lab->tree, &zero);
	while (ret > 0)
		ret = cdx_cursor_next(&cursor);
	CHECK_EQUAL(ret, -EUCLEAN);
	cdx_cursor_end(&cursor);
	size = make_item(lab, k, 1, &item);
	for (int change = 0; change < 4; change++) {
		struct cdx_key low = {{k - 1}}, high = {{k + 1}};

		ret = change == 0 ? cdx_tree_insert(&lab->tree, &item, size) :
		      change == 1 ? cdx_tree_replace(&lab->tree, &item, size) :
		      change == 2 ? cdx_tree_delete(&lab->tree, &key) :
				    cdx_tree_cut(&lab->tree, &low, &high);
		CHECK_EQUAL(ret, -EUCLEAN);
		cdx_nodes_forget_all(&lab->bare.nodes);
		lab->root = before;
	}
}

TEST("R20: a child whose level does not fall by one is refused: there are no cycles")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	struct cdx_ref children[2], middle, wrong;

	children[0] = leaf(lab, 10, 5);
	children[1] = leaf(lab, 20, 5);
	middle = inner(lab, 1, (uint64_t[]){10, 20}, children, 2);
	/* An inner node where a leaf should be. */
	wrong = inner(lab, 1, (uint64_t[]){10}, &middle, 1);
	expect_refused(lab, wrong, 22);
	/* A leaf where an inner node should be. */
	wrong = inner(lab, 2, (uint64_t[]){20}, &children[1], 1);
	expect_refused(lab, wrong, 22);
	/* A root that is not of the level it is said to have. */
	middle.level = 3;
	expect_refused(lab, middle, 22);
	middle.level = 0;
	expect_refused(lab, middle, 22);
	middle.level = CDX_MAX_LEVEL + 1;
	expect_refused(lab, middle, 22);
	free_lab(lab);
}

TEST("R20: a child whose keys lie outside of what its parent says is refused")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	struct cdx_ref children[2], wrong;

	children[0] = leaf(lab, 10, 5);
	children[1] = leaf(lab, 20, 5);
	/* Starts above, and below, its separator. */
	wrong = inner(lab, 1, (uint64_t[]){10, 19}, children, 2);
	expect_refused(lab, wrong, 22);
	wrong = inner(lab, 1, (uint64_t[]){10, 21}, children, 2);
	expect_refused(lab, wrong, 22);
	/* Reaches into its neighbour's keys. */
	children[1] = leaf(lab, 13, 5);
	wrong = inner(lab, 1, (uint64_t[]){10, 13}, children, 2);
	expect_refused(lab, wrong, 11);
	/* The same node twice, under two keys. */
	children[1] = children[0];
	wrong = inner(lab, 1, (uint64_t[]){10, 15}, children, 2);
	expect_refused(lab, wrong, 16);
	free_lab(lab);
}

TEST("R20: a child that is younger than its parent is refused")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	struct cdx_ref children[2], wrong;

	children[0] = leaf(lab, 10, 5);
	lab->bare.nodes.transaction++;
	children[1] = leaf(lab, 20, 5);
	lab->bare.nodes.transaction--;
	wrong = inner(lab, 1, (uint64_t[]){10, 20}, children, 2);
	lab->bare.nodes.transaction++;
	expect_refused(lab, wrong, 22);
	free_lab(lab);
}

TEST("a node that has taken in a younger neighbour's children may point to them")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	struct cdx_ref leaves[4], middle[2], root;
	struct cdx_cursor cursor;

	for (uint64_t i = 0; i < 4; i++) {
		lab->bare.nodes.transaction += i == 2;
		leaves[i] = leaf(lab, 10 + 10 * i, 8);
		if (i % 2)
			middle[i / 2] = inner(lab, 1, (uint64_t[]){i * 10, 10 + i * 10}, leaves + i - 1, 2);
	}
	root = inner(lab, 2, (uint64_t[]){10, 30}, middle, 2);
	lab->bare.nodes.transaction++;
	lab->root = root;
	bare_reload(&lab->bare);
	for (uint64_t k = 10; k < 18; k++)
		CHECK_EQUAL(cdx_tree_delete(&lab->tree, &(struct cdx_key){{k}}), 0);
	CHECK_EQUAL(lab->root.level, 1);
	for (uint64_t k = 20; k < 48; k += 10) {
		CHECK_EQUAL(cdx_cursor_seek(&cursor, &lab->tree, &(struct cdx_key){{k}}), 1);
		cdx_cursor_end(&cursor);
	}
	free_lab(lab);
}

TEST("R20: a last child that reaches past its grandparent's bound is refused")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	struct cdx_ref middle[2], leaves[2], wrong;

	leaves[0] = leaf(lab, 10, 15);		/* 10 .. 24 */
	middle[0] = inner(lab, 1, (uint64_t[]){10}, leaves, 1);
	leaves[1] = leaf(lab, 20, 5);
	middle[1] = inner(lab, 1, (uint64_t[]){20}, leaves + 1, 1);
	wrong = inner(lab, 2, (uint64_t[]){10, 20}, middle, 2);
	expect_refused(lab, wrong, 12);
	free_lab(lab);
}

TEST("R20: keys at or above the tree's own bound are refused")
{
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);

	lab->tree.upper = (struct cdx_key){{14}};
	expect_refused(lab, leaf(lab, 10, 5), 12);
	free_lab(lab);
}

TEST("R20: a child of another kind is refused")
{
	struct lab *lab = make_lab(CDX_KIND_LIMBO, 512, 1);
	struct cdx_ref child = leaf(lab, 10, 5);

	lab->tree.kind = CDX_KIND_EXTENT;
	expect_refused(lab, inner(lab, 1, (uint64_t[]){1}, &child, 1), 10);
	free_lab(lab);
}

TEST("R20: a pointer with the dirty bit, or to where no node can be, is refused")
{
	static const uint64_t addresses[] = {0, 1, CDX_DIRTY, CDX_DIRTY | 1, UINT64_MAX};
	struct lab *lab = make_lab(CDX_KIND_EXTENT, 512, 1);
	struct cdx_ref child = leaf(lab, 10, 5);

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		child.address = addresses[i];
		expect_refused(lab, inner(lab, 1, (uint64_t[]){10}, &child, 1), 12);
	}
	free_lab(lab);
}
