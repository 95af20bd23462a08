// SPDX-License-Identifier: GPL-2.0-or-later
/* The bytes of doc/FORMAT, spelled out: an image made today must be readable for ever. */
#include "bare.h"
#include "base/crc32c.h"
#include "tree/record.h"
#include "rig.h"

/* Bytes from @offset on are those of @hex ("c0 63 ..."). */
static void expect_bytes(const void *image, size_t offset, const char *hex)
{
	const unsigned char *at = (const unsigned char *)image + offset;
	char *end;

	for (; *hex; hex = end, at++, offset++) {
		unsigned long byte = strtoul(hex, &end, 16);

		if (*at == byte)
			continue;
		unit_note("byte %zu is %02x, not %02lx", offset, *at, byte);
		unit_fail(__FILE__, __LINE__, "not the bytes of FORMAT");
	}
}

static void expect_zeros(const void *image, size_t from, size_t to)
{
	for (; from < to; from++)
		CHECK_EQUAL(((const unsigned char *)image)[from], 0);
}

static uint32_t crc_at(const void *image, size_t offset)
{
	le32 crc;

	memcpy(&crc, (const unsigned char *)image + offset, sizeof(crc));
	return get32(crc);
}

static struct cdx_super golden_super(void)
{
	struct cdx_super super = {
		.block_size = 8192,
		.node_size = 1024,
		.size = UINT64_C(0x40000000),
		.uuid = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae,
			 0xaf},
		.seed = UINT64_C(0x1122334455667788),
		.label = "label",
		.created = 0x65000000,
	};

	CHECK_EQUAL(cdx_super_derive(&super), 0);
	return super;
}

TEST("integers are little-endian, whatever the machine")
{
	le16 v16 = put16(0x0102);
	le32 v32 = put32(0x01020304);
	le64 v64 = put64(UINT64_C(0x0102030405060708));

	expect_bytes(&v16, 0, "02 01");
	expect_bytes(&v32, 0, "04 03 02 01");
	expect_bytes(&v64, 0, "08 07 06 05 04 03 02 01");
	CHECK_EQUAL(get16(v16), 0x0102);
	CHECK_EQUAL(get32(v32), 0x01020304);
	CHECK_EQUAL(get64(v64), UINT64_C(0x0102030405060708));
}

TEST("FORMAT 2: the superblock's bytes")
{
	struct cdx_super super = golden_super();
	struct cdx_disk_super disk;

	cdx_super_encode(&super, &disk);
	expect_bytes(&disk, 0, "c0 63 6f 77 64 61 78 0a");	/* magic */
	expect_bytes(&disk, 8, "01 00 00 00");			/* version */
	expect_bytes(&disk, 12, "00 20 00 00");			/* block size */
	expect_bytes(&disk, 16, "00 04 00 00 00 00 00 00");	/* node size, reserved */
	expect_bytes(&disk, 24, "00 00 00 40 00 00 00 00");	/* size */
	expect_zeros(&disk, 32, 56);				/* features */
	expect_bytes(&disk, 56, "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af");
	expect_bytes(&disk, 72, "88 77 66 55 44 33 22 11");	/* seed */
	expect_bytes(&disk, 80, "6c 61 62 65 6c 00");		/* label */
	expect_zeros(&disk, 85, 144);
	expect_bytes(&disk, 144, "00 00 00 65 00 00 00 00");	/* created */
	expect_zeros(&disk, 152, 252);
	CHECK_EQUAL(crc_at(&disk, 252), cdx_crc32c(0, &disk, 252));
}

TEST("FORMAT 4: the commit record's bytes, its lists and its seeded checksum")
{
	struct cdx_super super = golden_super();
	struct cdx_run pool[] = {{0x1000, 0x20}}, window[] = {{0x2000, 8}};
	struct cdx_limbo_entry limbo[] = {
		{.transaction = 6, .address = 0x3000, .count = 5, .type = CDX_LIMBO_RUN},
		{.transaction = 7, .address = 0x4000, .crc = 0xdeadbeef, .count = 1, .type = CDX_LIMBO_TREE,
		 .kind = CDX_KIND_EXTENT, .level = 2},
	};
	struct cdx_record record = {
		.transaction = 7,
		.next_inode = 42,
		.inodes = 3,
		.free_grains = 0x0a0b0c,
		.next_nonce = 9,
		.orphans = 4,
		.limbo_grains = 6,
		.staged_blocks = 7,
		.trimmed = 5,
		.unwritten_blocks = 8,
		.unwritten_extents = 2,
		.fs = {0x111, 0xc0ffee, 1},
		.space = {0x222, 0x01020304, 3},
		.pool = {pool, 1, 1, 0x20, 1},
		.window = {window, 1, 1, 8, 1},
		.list = {limbo, 2, 2},
	};
	union cdx_slot slot;
	unsigned char seed[24];
	size_t length = cdx_record_encode(&record, NULL, &super, &slot.commit);

	CHECK_EQUAL(length, 200 + 16 + 16 + 24 + 24);
	expect_bytes(&slot, 0, "43 44 58 54");			/* magic */
	expect_bytes(&slot, 8, "18 01 00 00");			/* length */
	expect_bytes(&slot, 12, "01 00 01 00 02 00 00 00 00 00 00 00");
	expect_bytes(&slot, 24, "07 00 00 00 00 00 00 00");	/* transaction */
	expect_bytes(&slot, 32, "2a 00 00 00 00 00 00 00");	/* next inode */
	expect_bytes(&slot, 40, "03 00 00 00 00 00 00 00");	/* inodes */
	expect_bytes(&slot, 48, "0c 0b 0a 00 00 00 00 00");	/* free grains */
	expect_bytes(&slot, 56, "09 00 00 00 00 00 00 00");	/* next nonce */
	expect_bytes(&slot, 64, "11 01 00 00 00 00 00 00 ee ff c0 00 01 00 00 00");
	expect_bytes(&slot, 80, "22 02 00 00 00 00 00 00 04 03 02 01 03 00 00 00");
	expect_zeros(&slot, 96, 144);				/* limbo, staging, snapshots */
	expect_bytes(&slot, 144, "00 00 00 40 00 00 00 00");	/* size */
	expect_bytes(&slot, 152, "04 00 00 00 00 00 00 00");	/* orphans */
	expect_bytes(&slot, 160, "06 00 00 00 00 00 00 00");	/* limbo grains */
	expect_bytes(&slot, 168, "07 00 00 00 00 00 00 00");	/* staged blocks */
	expect_bytes(&slot, 176, "05 00 00 00 00 00 00 00");	/* trimmed */
	expect_bytes(&slot, 184, "08 00 00 00 00 00 00 00");	/* unwritten blocks */
	expect_bytes(&slot, 192, "02 00 00 00 00 00 00 00");	/* unwritten extents */
	expect_bytes(&slot, 200, "00 10 00 00 00 00 00 00 20 00 00 00 00 00 00 00");
	expect_bytes(&slot, 216, "00 20 00 00 00 00 00 00 08 00 00 00 00 00 00 00");
	expect_bytes(&slot, 232, "06 00 00 00 00 00 00 00 00 30 00 00 00 00 00 00 05 00 00 00 01 00 00 00");
	expect_bytes(&slot, 256, "07 00 00 00 00 00 00 00 00 40 00 00 00 00 00 00 ef be ad de 02 02 02 00");
	memcpy(seed, super.uuid, 16);
	memcpy(seed + 16, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	CHECK_EQUAL(crc_at(&slot, 4), cdx_crc32c(cdx_crc32c(0, seed, 24), slot.bytes + 8, length - 8));
}

TEST("FORMAT 6.1 and 8: an extent leaf's bytes")
{
	struct cdx_disk_extent extent = {put64(0x10), put64(0x99), put32(2), put32(CDX_EXTENT_UNWRITTEN)};
	const unsigned char *image;
	struct cdx_node *node;
	struct bare bare;
	struct cdx_ref ref;

	bare_make(&bare, UINT64_C(1) << 30, 8192, 1024);
	bare.next = 0x345;
	CHECK_EQUAL(cdx_node_new(&bare.nodes, CDX_KIND_EXTENT, 0, &node), 0);
	cdx_node_insert(node, 0, &extent, sizeof(extent));
	ref = bare_write_node(&bare, node);
	image = bare.bytes + 0x345 * 1024;
	expect_bytes(image, 0, "43 44 58 4e");			/* magic */
	expect_bytes(image, 8, "45 03 00 00 00 00 00 00");	/* own address */
	expect_bytes(image, 16, "02 00 00 00 00 00 00 00");	/* birth */
	expect_bytes(image, 24, "38 00 01 00 02 00 00 00");	/* used, count, kind, level */
	expect_bytes(image, 32, "10 00 00 00 00 00 00 00 99 00 00 00 00 00 00 00 02 00 00 00 01 00 00 00");
	CHECK_EQUAL(crc_at(image, 4), cdx_node_crc(&bare.super, (const struct cdx_disk_node *)image, 56));
	CHECK_EQUAL(ref.crc, crc_at(image, 4));
	bare_free(&bare);
}

TEST("FORMAT 6.1: a node's checksum is the value that the document's words give elsewhere")
{
	struct cdx_super super = {.crc_seed = 0x12345678};
	struct { struct cdx_disk_node head; unsigned char bytes[24]; } node = {
		.head = {
			.magic = put32(CDX_NODE_MAGIC), .address = put64(0x345), .birth = put64(2),
			.used = put16(56), .count = put16(1), .kind = CDX_KIND_EXTENT,
		},
	};

	for (size_t i = 0; i < sizeof(node.bytes); i++)
		node.bytes[i] = (unsigned char)i;
	CHECK_EQUAL(cdx_node_crc(&super, &node.head, 56), 0x4e800325);
}

/* The checksum of a parent whose item's crc field stands where its child's used bytes end. */
static uint32_t parent_crc(const struct cdx_super *super, uint64_t birth)
{
	union { struct cdx_disk_node head; unsigned char bytes[256]; } child = {0}, parent = {0};
	le32 crc;

	child.head.address = put64(1000);
	parent.head.address = put64(1001);
	child.head.birth = parent.head.birth = put64(birth);
	crc = put32(cdx_node_crc(super, &child.head, 128));
	memcpy(parent.bytes + 128, &crc, sizeof(crc));
	return cdx_node_crc(super, &parent.head, 200);
}

TEST("R8: a parent written again at its address for another child has another checksum")
{
	struct cdx_super super = {.crc_seed = 0x12345678};

	for (uint64_t birth = 2; birth < 1000; birth++)
		CHECK(parent_crc(&super, birth) != parent_crc(&super, 147) || birth == 147);
}

TEST("FORMAT 6.2 and 7.1: an inner item of the space tree, with what its subtree holds")
{
	struct cdx_disk_space_child child = {
		.child = {put64(0x777), put32(0x01020304), put32(0)},
		.largest = put64(0x40),
		.add = put64(3),
	};
	unsigned char item[40];

	memset(item, 0xff, sizeof(item));
	memcpy(item, "\x05\0\0\0\0\0\0\0", 8);
	memcpy(item + 8, &child, sizeof(child));
	CHECK_EQUAL(cdx_kind_shapes[CDX_KIND_SPACE].inner_stride, sizeof(item));
	expect_bytes(item, 8, "77 07 00 00 00 00 00 00 04 03 02 01 00 00 00 00");
	expect_bytes(item, 24, "40 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00");
}

TEST("FORMAT 9: an inode and a name as they lie in the fs tree")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct cdx_txn *txn;
	struct cdx_cursor cursor;
	const unsigned char *item;
	uint64_t number;

	number = rig_create(fs, "/name");
	CHECK_EQUAL(number, 2);
	rig_write(fs, number, 0, 100, 'x');
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_cursor_seek(&cursor, &txn->fs, &(struct cdx_key){{2, CDX_ITEM_INODE, 0}}), 1);
	item = cdx_cursor_item(&cursor);
	expect_bytes(item, 0, "02 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
	expect_bytes(item, 24, "80 00 00 00 00 00 00 00");	/* length: 104 + 24 */
	expect_bytes(item, 32, "a4 81 00 00 00 00 00 00 00 00 00 00 01 00 00 00");
	expect_bytes(item, 48, "64 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
	expect_bytes(item, 128, "00 01 00 00 00 00 00 00");	/* inline, one extent */
	expect_bytes(item, 136, "00 00 00 00 00 00 00 00");	/* file block */
	expect_bytes(item, 152, "01 00 00 00 00 00 00 00");	/* count, flags */
	cdx_cursor_end(&cursor);
	CHECK_EQUAL(cdx_cursor_seek(&cursor, &txn->fs, &(struct cdx_key){{1, CDX_ITEM_DIRENT, UINT64_MAX}}), 1);
	item = cdx_cursor_item(&cursor);
	expect_bytes(item, 0, "01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 00");
	expect_bytes(item, 24, "0e 00 00 00 00 00 00 00");	/* length: 10 + 4 */
	expect_bytes(item, 32, "02 00 00 00 00 00 00 00 08 04 6e 61 6d 65 00 00");
	cdx_cursor_end(&cursor);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}
