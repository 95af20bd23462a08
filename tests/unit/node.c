// SPDX-License-Identifier: GPL-2.0-or-later
/* Nodes: what is believed of the media, and what is kept in DRAM. */
#include "tree/node.h"

#include <errno.h>

#include "bare.h"
#include "base/crc32c.h"

static struct cdx_disk_extent extent(uint64_t file_block, uint64_t disk_block)
{
	return (struct cdx_disk_extent){put64(file_block), put64(disk_block), put32(1), put32(0)};
}

/* A clean extent leaf of @count items, file blocks from @first on. */
static struct cdx_ref make_leaf(struct bare *bare, uint64_t first, unsigned int count)
{
	struct cdx_node *node;

	CHECK_EQUAL(cdx_node_new(&bare->nodes, CDX_KIND_EXTENT, 0, &node), 0);
	for (unsigned int i = 0; i < count; i++) {
		struct cdx_disk_extent item = extent(first + i, 100 + first % 1000);

		cdx_node_insert(node, i, &item, sizeof(item));
	}
	return bare_write_node(bare, node);
}

static int get(struct bare *bare, const struct cdx_ref *ref, uint8_t kind)
{
	struct cdx_node *node;
	int ret = cdx_node_get(&bare->nodes, ref->address, ref->crc, kind, ref->level, &node);

	if (!ret)
		cdx_node_put(&bare->nodes, node);
	return ret;
}

static struct cdx_disk_node *on_media(struct bare *bare, const struct cdx_ref *ref)
{
	return (struct cdx_disk_node *)(bare->bytes + (ref->address << bare->super.grain_shift));
}

/* Make a changed node's checksum right again, in the pointer too. */
static void seal(struct bare *bare, struct cdx_ref *ref)
{
	struct cdx_disk_node *node = on_media(bare, ref);

	ref->crc = cdx_node_crc(&bare->super, node, get16(node->used));
	node->crc = put32(ref->crc);
}

/* ---- reading -------------------------------------------------------------------------- */

TEST("a node comes back from the media as it was written")
{
	struct cdx_node *node;
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 1024);
	ref = make_leaf(&bare, 5, 10);
	bare_reload(&bare);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, ref.address, ref.crc, CDX_KIND_EXTENT, 0, &node), 0);
	CHECK_EQUAL(cdx_node_count(node), 10);
	CHECK_EQUAL(cdx_item_key(node, cdx_node_item(node, 9)).word[0], 14);
	cdx_node_put(&bare.nodes, node);
	bare_free(&bare);
}

TEST("a node with any used byte changed is not believed")
{
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	ref = make_leaf(&bare, 0, 3);
	for (size_t i = 0; i < sizeof(struct cdx_disk_node) + 3 * sizeof(struct cdx_disk_extent); i++) {
		unsigned char *byte = (unsigned char *)on_media(&bare, &ref) + i;

		bare_reload(&bare);
		*byte ^= 0x20;
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), -EUCLEAN);
		*byte ^= 0x20;
	}
	CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), 0);
	bare_free(&bare);
}

TEST("R20: a node is what its pointer says: kind, level and place, though its checksum is right")
{
	struct cdx_ref ref, moved;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 1024);
	ref = make_leaf(&bare, 0, 3);
	for (int cached = 0; cached < 2; cached++) {
		if (!cached)
			bare_reload(&bare);
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_SPACE), -EUCLEAN);
		ref.level = 1;
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), -EUCLEAN);
		ref.level = 0;
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), 0);
	}
	moved = ref;
	moved.address += 8;
	memcpy(on_media(&bare, &moved), on_media(&bare, &ref), 1024);
	CHECK_EQUAL(get(&bare, &moved, CDX_KIND_EXTENT), -EUCLEAN);
	bare_free(&bare);
}

TEST("R20: a sealed node that breaks FORMAT 6.1 is refused")
{
	struct cdx_disk_extent *items;
	struct cdx_disk_node *node;
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
#define REFUSED(damage)                                                                            \
	do {                                                                                       \
		bare_reload(&bare);                                                                \
		ref = make_leaf(&bare, 10, 3);                                                     \
		node = on_media(&bare, &ref);                                                      \
		items = (struct cdx_disk_extent *)(node + 1);                                      \
		damage;                                                                            \
		seal(&bare, &ref);                                                                 \
		bare_reload(&bare);                                                                \
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), -EUCLEAN);                          \
	} while (0)
	REFUSED(node->birth = put64(CDX_FIRST_TRANSACTION + 1));
	REFUSED(node->count = put16(0); node->used = put16(sizeof(*node)));
	REFUSED(node->count = put16(2));
	REFUSED(node->count = put16(4));
	REFUSED(node->used = put16(sizeof(*node) + 71));
	REFUSED(node->magic = put32(0));
	REFUSED(items[1].file_block = put64(10));
	REFUSED(items[1].file_block = put64(12); items[2].file_block = put64(11));
	REFUSED(items[0].disk_block = put64(0));
	REFUSED(items[0].disk_block = put64(bare.super.blocks));
	REFUSED(items[0].disk_block = put64(UINT64_MAX));
	REFUSED(items[0].count = put32(UINT32_MAX));
	REFUSED(items[0].count = put32(0));
	REFUSED(items[2].file_block = put64(UINT64_MAX));
#undef REFUSED
	bare_free(&bare);
}

TEST("R20: a length below the header or beyond the node does no harm")
{
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	ref = make_leaf(&bare, 10, 3);
	for (unsigned int used = 0; used < 65536; used += used < 600 ? 1 : 997) {
		if (used == sizeof(struct cdx_disk_node) + 3 * sizeof(struct cdx_disk_extent))
			continue;
		on_media(&bare, &ref)->used = put16((uint16_t)used);
		bare_reload(&bare);
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), -EUCLEAN);
	}
	bare_free(&bare);
}

TEST("R20: fs items that overlap, run over the node, or are no inodes are refused")
{
	struct { struct cdx_disk_fs_item head; struct cdx_disk_inode inode; struct cdx_disk_extent extents[3]; }
		item = {.head = {put64(5), put64(CDX_ITEM_INODE), put64(0), put16(104), put16(0), put32(0)}};
	struct cdx_disk_fs_item *head;
	struct cdx_disk_inode *inode;
	struct cdx_node *node;
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
#define REFUSED(damage, expected)                                                                  \
	do {                                                                                       \
		CHECK_EQUAL(cdx_node_new(&bare.nodes, CDX_KIND_FS, 0, &node), 0);                  \
		cdx_node_insert(node, 0, &item, 32 + 104);                                         \
		ref = bare_write_node(&bare, node);                                                \
		head = (struct cdx_disk_fs_item *)(on_media(&bare, &ref) + 1);                     \
		inode = (struct cdx_disk_inode *)(head + 1);                                       \
		damage;                                                                            \
		seal(&bare, &ref);                                                                 \
		bare_reload(&bare);                                                                \
		CHECK_EQUAL(get(&bare, &ref, CDX_KIND_FS), expected);                              \
	} while (0)
	REFUSED(inode->n_inline = 0, 0);
	REFUSED(head->length = put16(103), -EUCLEAN);
	REFUSED(head->length = put16(112), -EUCLEAN);
	REFUSED(head->length = put16(65535), -EUCLEAN);
	REFUSED(inode->n_inline = 1, -EUCLEAN);
	REFUSED(inode->layout = CDX_LAYOUT_TREE, -EUCLEAN);
#undef REFUSED
	bare_free(&bare);
}

TEST("R20: a dirty bit in a pointer on the media is damage")
{
	struct cdx_disk_child child = {put64(CDX_DIRTY), put32(0), put32(0)};
	unsigned char item[24] = {0};
	struct cdx_node *node;
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, CDX_DIRTY, 0, CDX_KIND_EXTENT, 0, &node), -EUCLEAN);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, CDX_DIRTY | 3, 0, CDX_KIND_EXTENT, 0, &node), -EUCLEAN);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, UINT64_MAX, 0, CDX_KIND_EXTENT, 0, &node), -EUCLEAN);
	/* And where slot 0 is in use, by a node that the image has no business with. */
	CHECK_EQUAL(cdx_node_new(&bare.nodes, CDX_KIND_EXTENT, 1, &node), 0);
	memcpy(item + 8, &child, sizeof(child));
	cdx_node_insert(node, 0, item, sizeof(item));
	ref = bare_write_node(&bare, node);
	bare_reload(&bare);
	CHECK_EQUAL(cdx_node_new(&bare.nodes, CDX_KIND_EXTENT, 0, &node), 0);
	CHECK_EQUAL(get(&bare, &ref, CDX_KIND_EXTENT), -EUCLEAN);
	bare_free(&bare);
}

/* ---- the cache ----------------------------------------------------------------------------- */

TEST("R8: the cache knows a node by address and checksum: an address is used again in time")
{
	struct cdx_ref first, second;
	struct cdx_node *node;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 1024);
	first = make_leaf(&bare, 1, 2);
	bare.next = first.address;
	second = make_leaf(&bare, 50, 2);
	CHECK_EQUAL(second.address, first.address);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, second.address, second.crc, CDX_KIND_EXTENT, 0, &node), 0);
	CHECK_EQUAL(cdx_item_key(node, cdx_node_item(node, 0)).word[0], 50);
	cdx_node_put(&bare.nodes, node);
	/* Nor may what is on the media now pass for what was there before. */
	bare_reload(&bare);
	CHECK_EQUAL(get(&bare, &second, CDX_KIND_EXTENT), 0);
	CHECK_EQUAL(get(&bare, &first, CDX_KIND_EXTENT), -EUCLEAN);
	bare_free(&bare);
}

/* Write a leaf of one extent, which lies at @file_block, to the next grain. */
static struct cdx_ref write_draft(struct bare *bare, uint64_t file_block)
{
	struct cdx_disk_extent extent = {.file_block = put64(file_block), .disk_block = put64(40), .count = put32(1)};
	struct cdx_node *node;

	CHECK_EQUAL(cdx_node_new(&bare->nodes, CDX_KIND_EXTENT, 0, &node), 0);
	cdx_node_insert(node, 0, &extent, sizeof(extent));
	return bare_write_node(bare, node);
}

TEST("R8: two drafts of one transaction's number at one address and with one checksum are told apart")
{
	/* The generator of CRC32C, reflected: where it is added a checksum does not change. */
	uint64_t generator = (UINT64_C(0x82f63b78) << 1) | 1, at;
	struct cdx_ref first, second;
	struct cdx_node *node;
	struct bare bare;

	bare_make(&bare, 64 << 20, 4096, 512);
	at = bare.next;
	first = write_draft(&bare, 7);
	bare.next = at;
	second = write_draft(&bare, 7 ^ generator);
	CHECK_EQUAL(first.address, second.address);
	CHECK_EQUAL(first.crc, second.crc);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, second.address, second.crc, CDX_KIND_EXTENT, 0, &node), 0);
	CHECK_EQUAL(get64(((struct cdx_disk_extent *)cdx_node_item(node, 0))->file_block), 7 ^ generator);
	cdx_node_put(&bare.nodes, node);
	bare_free(&bare);
}

/* An inner node of extents with the children @child, @child + 1 and so on. */
static struct cdx_ref make_inner(struct bare *bare, uint64_t child, unsigned int count)
{
	struct cdx_node *node;
	struct cdx_ref ref;

	CHECK_EQUAL(cdx_node_new(&bare->nodes, CDX_KIND_EXTENT, 1, &node), 0);
	for (unsigned int i = 0; i < count; i++) {
		struct {
			le64 first;
			struct cdx_disk_child child;
		} item = {put64(i), {.address = put64(child + i)}};

		cdx_node_insert(node, i, &item, sizeof(item));
	}
	ref = bare_write_node(bare, node);
	ref.level = 1;
	return ref;
}

/* What others have committed amends one item. */
static void adopt(struct bare *bare, const struct cdx_ref *ref, unsigned int index, uint64_t value)
{
	struct cdx_amends amends = {
		.n = 1,
		.entry[0] = {
			.node = put64(ref->address), .value = put64(value), .index = put16((uint16_t)index),
			.kind = CDX_KIND_EXTENT, .level = 1,
		},
	};

	cdx_amends_adopt(&bare->nodes, &amends);
}

/* The address of the second child, as whoever gets the node now sees it; 0 when it is refused. */
static uint64_t second_child(struct bare *bare, const struct cdx_ref *ref)
{
	struct cdx_node *node;
	uint64_t address;

	if (cdx_node_get(&bare->nodes, ref->address, ref->crc, CDX_KIND_EXTENT, 1, &node))
		return 0;
	address = get64(cdx_node_child(node, 1)->address);
	cdx_node_put(&bare->nodes, node);
	return address;
}

TEST("a cached node takes on what amends it, is refused where it cannot, and is left as it is to who holds it")
{
	struct cdx_node *held;
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 1024);
	ref = make_inner(&bare, 100, 3);
	CHECK_EQUAL(second_child(&bare, &ref), 101);
	adopt(&bare, &ref, 1, 200);
	CHECK_EQUAL(second_child(&bare, &ref), 200);
	adopt(&bare, &ref, 1, 201);
	CHECK_EQUAL(second_child(&bare, &ref), 201);
	/* Of another item: the first is again what lies on the media. */
	adopt(&bare, &ref, 2, 300);
	CHECK_EQUAL(second_child(&bare, &ref), 101);
	/* Where nothing can be, and of an item that there is not. */
	adopt(&bare, &ref, 1, 200);
	CHECK_EQUAL(second_child(&bare, &ref), 200);
	adopt(&bare, &ref, 1, 1);
	CHECK_EQUAL(second_child(&bare, &ref), 0);
	adopt(&bare, &ref, 1, 200);
	CHECK_EQUAL(second_child(&bare, &ref), 200);
	cdx_amends_adopt(&bare.nodes, &(struct cdx_amends){0});
	CHECK_EQUAL(second_child(&bare, &ref), 101);
	adopt(&bare, &ref, 3, 200);
	CHECK_EQUAL(second_child(&bare, &ref), 0);
	adopt(&bare, &ref, 1, 200);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, ref.address, ref.crc, CDX_KIND_EXTENT, 1, &held), 0);
	adopt(&bare, &ref, 1, 202);
	CHECK_EQUAL(get64(cdx_node_child(held, 1)->address), 200);
	CHECK_EQUAL(second_child(&bare, &ref), 202);
	cdx_node_put(&bare.nodes, held);
	bare_free(&bare);
}

TEST("R8: of two lives of one address that are cached, the one that is alive is amended")
{
	struct cdx_ref first, second;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 1024);
	first = make_inner(&bare, 100, 3);
	/* Another handle has written there since. */
	second = first;
	on_media(&bare, &second)->birth.raw ^= put64(1).raw;
	bare.nodes.newest++;
	seal(&bare, &second);
	CHECK_EQUAL(second_child(&bare, &first), 101);
	CHECK_EQUAL(second_child(&bare, &second), 101);
	adopt(&bare, &second, 1, 200);
	CHECK_EQUAL(second_child(&bare, &second), 200);
	/* Whichever came first into the cache. */
	on_media(&bare, &second)->birth.raw ^= put64(1).raw;
	seal(&bare, &first);
	CHECK_EQUAL(second_child(&bare, &first), 200);
	on_media(&bare, &second)->birth.raw ^= put64(1).raw;
	seal(&bare, &second);
	adopt(&bare, &second, 1, 300);
	CHECK_EQUAL(second_child(&bare, &second), 300);
	bare_free(&bare);
}

TEST("R8: a node in use is a copy: what others store later does not change it")
{
	struct cdx_node *node;
	struct cdx_ref ref;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 1024);
	ref = make_leaf(&bare, 1, 2);
	bare_reload(&bare);
	CHECK_EQUAL(cdx_node_get(&bare.nodes, ref.address, ref.crc, CDX_KIND_EXTENT, 0, &node), 0);
	memset(on_media(&bare, &ref), 0xff, 1024);
	CHECK_EQUAL(cdx_node_count(node), 2);
	CHECK_EQUAL(cdx_item_key(node, cdx_node_item(node, 1)).word[0], 2);
	cdx_node_put(&bare.nodes, node);
	bare_free(&bare);
}

TEST("dirty nodes are all there, however many, and places left are used again")
{
	enum { COUNT = 1000 };
	static struct cdx_node *node[COUNT];
	struct cdx_node *found;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	for (int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < COUNT; i++) {
			struct cdx_disk_extent item = extent(i, 100);

			/* In the second round every other one is still there. */
			if (round && i % 2)
				continue;
			CHECK_EQUAL(cdx_node_new(&bare.nodes, CDX_KIND_EXTENT, 0, &node[i]), 0);
			cdx_node_insert(node[i], 0, &item, sizeof(item));
			CHECK(bare.nodes.dirty_room >= bare.nodes.slots_used);
		}
		CHECK_EQUAL(bare.nodes.dirty_count, COUNT);
		CHECK_EQUAL(bare.nodes.slots_used, COUNT);
		for (unsigned int i = 0; i < COUNT; i++) {
			CHECK_EQUAL(cdx_node_get(&bare.nodes, node[i]->address, 0, CDX_KIND_EXTENT, 0, &found), 0);
			CHECK(found == node[i]);
			CHECK_EQUAL(cdx_item_key(found, cdx_node_item(found, 0)).word[0], i);
			cdx_node_put(&bare.nodes, found);
		}
		for (unsigned int i = 0; !round && i < COUNT; i += 2)
			cdx_node_forget(&bare.nodes, node[i]);
	}
	cdx_nodes_forget_all(&bare.nodes);
	CHECK_EQUAL(bare.nodes.dirty_count, 0);
	bare_free(&bare);
}

TEST("R18: the cache is bounded, and nodes that are held survive however many others come")
{
	enum { NODES = 30000, HELD = 64 };
	struct cdx_node *held[HELD];
	struct cdx_ref *refs = calloc(NODES, sizeof(*refs));
	size_t cached = 0;
	struct bare bare;

	CHECK(refs);
	bare_make(&bare, 64 << 20, 4096, 512);
	for (uint64_t i = 0; i < NODES; i++)
		refs[i] = make_leaf(&bare, i, 1);
	bare_reload(&bare);
	for (int i = 0; i < HELD; i++)
		CHECK_EQUAL(cdx_node_get(&bare.nodes, refs[i].address, refs[i].crc, CDX_KIND_EXTENT, 0,
					 &held[i]), 0);
	for (int i = 0; i < NODES; i++)
		CHECK_EQUAL(get(&bare, &refs[i], CDX_KIND_EXTENT), 0);
	for (uint64_t i = 0; i < HELD; i++) {
		CHECK_EQUAL(cdx_item_key(held[i], cdx_node_item(held[i], 0)).word[0], i);
		cdx_node_put(&bare.nodes, held[i]);
	}
	for (size_t i = 0; i < 8192; i++)
		cached += bare.nodes.cache[i] != NULL;
	CHECK(cached <= 8192 && cached > 4096);
	free(refs);
	bare_free(&bare);
}

/* ---- items ------------------------------------------------------------------------------------ */

TEST("searching finds the last item that is not above the key, in every kind of node")
{
	static const struct { uint8_t kind, level; size_t size; } forms[] = {
		{CDX_KIND_EXTENT, 0, 24}, {CDX_KIND_EXTENT, 1, 24}, {CDX_KIND_SPACE, 0, 16},
		{CDX_KIND_SPACE, 2, 40}, {CDX_KIND_LIMBO, 0, 24}, {CDX_KIND_LIMBO, 1, 32},
		{CDX_KIND_STAGING, 0, 40}, {CDX_KIND_FS, 0, 32}, {CDX_KIND_FS, 1, 40},
	};
	unsigned char item[64];
	struct cdx_node *node;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		CHECK_EQUAL(cdx_node_new(&bare.nodes, forms[f].kind, forms[f].level, &node), 0);
		memset(item, 0, sizeof(item));
		for (unsigned int i = 0; i < 10; i++) {
			*(le64 *)item = put64(10 + 2 * i);
			cdx_node_insert(node, i, item, forms[f].size);
		}
		for (unsigned int key = 8; key < 32; key++) {
			int expected = key < 10 ? -1 : key > 28 ? 9 : (int)(key - 10) / 2;

			CHECK_EQUAL(cdx_node_search(node, &(struct cdx_key){{key}}), expected);
		}
		cdx_node_remove(node, 3, 2);
		CHECK_EQUAL(cdx_node_count(node), 8);
		CHECK_EQUAL(cdx_node_used(node), 32 + 8 * forms[f].size);
		CHECK_EQUAL(cdx_item_key(node, cdx_node_item(node, 3)).word[0], 20);
		cdx_node_forget(&bare.nodes, node);
	}
	bare_free(&bare);
}

TEST("keys compare word by word, as numbers")
{
	struct cdx_key a = {{1, UINT64_MAX, 0}}, b = {{2, 0, 0}}, c = {{2, 0, 256}};
	le64 item[3] = {put64(2), put64(0), put64(255)};

	CHECK(cdx_keys_compare(&a, &b) < 0 && cdx_keys_compare(&c, &b) > 0 && cdx_keys_compare(&b, &b) == 0);
	CHECK(cdx_key_compare(3, item, &c) < 0 && cdx_key_compare(3, item, &b) > 0);
	CHECK(cdx_key_compare(2, item, &b) == 0);
}
