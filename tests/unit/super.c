// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree/super.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "unit.h"

static struct cdx_super good_super(void)
{
	struct cdx_super super = {
		.block_size = 4096, .node_size = 1024, .size = 1 << 20, .seed = 77, .uuid = {1, 2, 3},
		.label = "name", .created = 5, .ro_compat = 8, .compat = 16,
	};

	CHECK_EQUAL(cdx_super_derive(&super), 0);
	return super;
}

static void seal(struct cdx_disk_super *disk)
{
	disk->crc = put32(cdx_crc32c(0, disk, offsetof(struct cdx_disk_super, crc)));
}

static int derive(uint64_t block_size, uint64_t node_size, uint64_t size)
{
	struct cdx_super super = {
		.block_size = (uint32_t)block_size, .node_size = (uint32_t)node_size, .size = size,
	};

	return cdx_super_derive(&super);
}

TEST("FORMAT 1: only the block and node sizes that are listed")
{
	for (uint64_t block = 512; block <= 131072; block *= 2)
		CHECK_EQUAL(derive(block, 512, 64 << 20), block >= 4096 && block <= 65536 ? 0 : -EINVAL);
	for (uint64_t node = 64; node <= 65536; node *= 2)
		CHECK_EQUAL(derive(65536, node, 64 << 20), node >= 512 && node <= 4096 ? 0 : -EINVAL);
	CHECK_EQUAL(derive(4096 + 512, 512, 64 << 20), -EINVAL);
	CHECK_EQUAL(derive(4096, 768, 64 << 20), -EINVAL);
	CHECK_EQUAL(derive(0, 512, 64 << 20), -EINVAL);
}

TEST("FORMAT 1: a size is whole blocks, has room between head and tail, and is below 2^62")
{
	CHECK_EQUAL(derive(4096, 512, (64 << 20) + 512), -EINVAL);
	CHECK_EQUAL(derive(4096, 512, 0), -EINVAL);
	CHECK_EQUAL(derive(4096, 512, 6 * 4096), -EINVAL);
	CHECK_EQUAL(derive(4096, 512, 9 * 4096), 0);
	CHECK_EQUAL(derive(65536, 512, 3 * 65536), 0);
	CHECK_EQUAL(derive(65536, 512, CDX_MAX_IMAGE - 65536), 0);
	CHECK_EQUAL(derive(65536, 512, CDX_MAX_IMAGE), -EINVAL);
}

TEST("a superblock comes back as it was")
{
	struct cdx_super super = good_super(), back;
	struct cdx_disk_super disk;

	cdx_super_encode(&super, &disk);
	CHECK_EQUAL(cdx_super_decode(&back, &disk, "image", NULL), 0);
	CHECK_EQUAL(back.block_size, super.block_size);
	CHECK_EQUAL(back.node_size, super.node_size);
	CHECK_EQUAL(back.size, super.size);
	CHECK(back.compat == 16 && back.ro_compat == 8 && back.incompat == 0);
	CHECK(memcmp(back.uuid, super.uuid, sizeof(super.uuid)) == 0);
	CHECK(memcmp(back.label, super.label, sizeof(super.label)) == 0);
	CHECK_EQUAL(back.seed, super.seed);
	CHECK_EQUAL(back.created, super.created);
	CHECK_EQUAL(back.crc_seed, super.crc_seed);
}

TEST("a superblock that is foreign, damaged or from the future is told apart")
{
	struct cdx_super super = good_super(), back;
	struct cdx_disk_super good, bad;
	struct cowdax_error error;

	cdx_super_encode(&super, &good);
	bad = good;
	bad.magic[0] = 'c';
	CHECK_EQUAL(cdx_super_decode(&back, &bad, "image", &error), -EINVAL);
	for (size_t i = 8; i < sizeof(good); i++) {
		bad = good;
		((unsigned char *)&bad)[i] ^= 0x10;
		CHECK_EQUAL(cdx_super_decode(&back, &bad, "image", &error), -EUCLEAN);
	}
	bad = good;
	bad.version = put32(2);
	seal(&bad);
	CHECK_EQUAL(cdx_super_decode(&back, &bad, "image", &error), -ENOTSUP);
	CHECK(strstr(error.text, "version 2"));
	bad = good;
	bad.incompat = put64(4);
	seal(&bad);
	CHECK_EQUAL(cdx_super_decode(&back, &bad, "image", &error), -ENOTSUP);
	bad = good;
	bad.node_size = put32(8192);
	seal(&bad);
	CHECK_EQUAL(cdx_super_decode(&back, &bad, "image", &error), -EUCLEAN);
}

/* ---- slots --------------------------------------------------------------------------- */

static void make_slot(const struct cdx_super *super, unsigned char *bytes, uint64_t transaction)
{
	struct cdx_disk_commit *slot = (struct cdx_disk_commit *)bytes;

	memset(bytes, 0, CDX_SLOT_SIZE);
	slot->transaction = put64(transaction);
	cdx_slot_seal(super, slot, sizeof(*slot));
}

TEST("FORMAT 1: the slots lie behind the superblock, their mirrors before the backup")
{
	struct cdx_super super = good_super();

	CHECK_EQUAL(cdx_slot_offset(&super, 0, false), 4096);
	CHECK_EQUAL(cdx_slot_offset(&super, 1, false), 8192);
	CHECK_EQUAL(cdx_slot_offset(&super, 0, true), (1 << 20) - 12288);
	CHECK_EQUAL(cdx_slot_offset(&super, 1, true), (1 << 20) - 8192);
}

TEST("R3: a transaction is valid in the slot of its parity only, and no number is out of bounds")
{
	le64 space[CDX_SLOT_SIZE / 8];
	unsigned char *bytes = (unsigned char *)space;
	struct cdx_super super = good_super();

	for (uint64_t number = 2; number < 10; number++) {
		make_slot(&super, bytes, number);
		CHECK(cdx_slot_valid(&super, (void *)bytes, (int)(number & 1)));
		CHECK(!cdx_slot_valid(&super, (void *)bytes, !(number & 1)));
	}
	for (uint64_t number = 0; number < 2; number++) {
		make_slot(&super, bytes, number);
		CHECK(!cdx_slot_valid(&super, (void *)bytes, (int)(number & 1)));
	}
	make_slot(&super, bytes, CDX_LAST_TRANSACTION);
	CHECK(cdx_slot_valid(&super, (void *)bytes, 1));
	make_slot(&super, bytes, CDX_LAST_TRANSACTION + 1);
	CHECK(!cdx_slot_valid(&super, (void *)bytes, 0));
}

TEST("R4: a slot of a former life, under another seed or UUID, is not valid")
{
	struct cdx_super super = good_super(), reseeded = good_super(), renamed = good_super();
	le64 space[CDX_SLOT_SIZE / 8];
	unsigned char *bytes = (unsigned char *)space;

	reseeded.seed++;
	renamed.uuid[15] = 1;
	CHECK_EQUAL(cdx_super_derive(&reseeded) | cdx_super_derive(&renamed), 0);
	make_slot(&super, bytes, 4);
	CHECK(cdx_slot_valid(&super, (void *)bytes, 0));
	CHECK(!cdx_slot_valid(&reseeded, (void *)bytes, 0));
	CHECK(!cdx_slot_valid(&renamed, (void *)bytes, 0));
}

TEST("a slot with any byte changed, or a length that its lists do not need, is not valid")
{
	le64 space[CDX_SLOT_SIZE / 8];
	unsigned char *bytes = (unsigned char *)space;
	struct cdx_disk_commit *slot = (struct cdx_disk_commit *)bytes;
	struct cdx_super super = good_super();

	make_slot(&super, bytes, 4);
	for (size_t i = 0; i < sizeof(*slot); i++) {
		bytes[i] ^= 1;
		CHECK(!cdx_slot_valid(&super, slot, 0));
		bytes[i] ^= 1;
	}
	CHECK(cdx_slot_valid(&super, slot, 0));
	cdx_slot_seal(&super, slot, sizeof(*slot) + 8);
	CHECK(!cdx_slot_valid(&super, slot, 0));
	slot->n_limbo = put16(65535);
	cdx_slot_seal(&super, slot, CDX_SLOT_SIZE);
	CHECK(!cdx_slot_valid(&super, slot, 0));
	slot->n_limbo = put16(0);
	slot->length = put32(4);
	CHECK(!cdx_slot_valid(&super, slot, 0));
}

/* Else a parent's new address and its child's could cancel out, and an old parent seem to name the new child. */
TEST("R8: what another address does to a node's checksum depends on the address, and so for its birth")
{
	struct cdx_super super = good_super();
	struct cdx_disk_node node = {.count = put16(1)};
	uint32_t crc[2][4];

	for (uint64_t i = 0; i < 4; i++) {
		node.address = put64(100 + i);
		node.birth = put64(1000);
		crc[0][i] = cdx_node_crc(&super, &node, sizeof(node));
		node.address = put64(100);
		node.birth = put64(1000 + i);
		crc[1][i] = cdx_node_crc(&super, &node, sizeof(node));
	}
	for (int i = 0; i < 2; i++)
		CHECK((crc[i][0] ^ crc[i][1]) != (crc[i][2] ^ crc[i][3]));
}

TEST("R20: superblocks and slots are never to be allocated, nor what is past the end")
{
	struct cdx_super super = good_super();
	uint64_t head = super.head_grains, grains = super.grains;

	CHECK_EQUAL(head, 12);
	CHECK(!cdx_super_allocatable(&super, 0, 1));
	CHECK(!cdx_super_allocatable(&super, head - 1, 2));
	CHECK(cdx_super_allocatable(&super, head, grains - 2 * head));
	CHECK(!cdx_super_allocatable(&super, head, grains - 2 * head + 1));
	CHECK(!cdx_super_allocatable(&super, grains - head, 1));
	CHECK(!cdx_super_allocatable(&super, head, 0));
	CHECK(!cdx_super_allocatable(&super, head, UINT64_MAX));
	CHECK(!cdx_super_allocatable(&super, UINT64_MAX, 2));
	CHECK(!cdx_super_allocatable(&super, UINT64_MAX - head, 2 * head + 1));
}
