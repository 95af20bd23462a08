// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts that come from media never wrap. */
#include "base/count.h"

#include "rig.h"

TEST("L6: a count goes down to 0 and not below: below is damage, and leaves it as it was")
{
	uint64_t wide = 5;
	uint32_t narrow = 2;

	CHECK_EQUAL(cdx_lower(&wide, 3), 0);
	CHECK_EQUAL(wide, 2);
	CHECK_EQUAL(cdx_lower(&wide, 3), -EUCLEAN);
	CHECK_EQUAL(wide, 2);
	CHECK_EQUAL(cdx_lower(&wide, 2), 0);
	CHECK_EQUAL(cdx_lower(&wide, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_lower32(&narrow, 2), 0);
	CHECK_EQUAL(cdx_lower32(&narrow, 1), -EUCLEAN);
	CHECK_EQUAL(narrow, 0);
}

/* Commit a record that says something else than is so. */
static struct cdx_txn *begin_lie(struct cowdax *fs)
{
	rig_create(fs, "/a");
	return rig_begin(fs);
}

TEST("L6: a record that counts too few free grains makes an allocation fail, not the image unusable")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 0);
	struct cowdax_error error;
	unsigned char *bytes = calloc(1, MIB);
	uint64_t inode;
	int ret;

	CHECK(bytes);
	begin_lie(fs)->record.free_grains = 1;
	rig_commit(fs);
	inode = rig_lookup(fs, "/a");
	ret = cowdax_write(fs, inode, bytes, MIB, 0, NULL, &error);
	CHECK_EQUAL(ret, -EUCLEAN);
	CHECK(fs->txn.committed.free_grains <= fs->super.grains);
	cowdax_close(fs);
	fs = rig_open(unit_path("image"), 0);
	rig_expect(fs, inode, 0, 0, 0);
	rig_remove(fs, "/a");
	cowdax_close(fs);
	free(bytes);
}

TEST("L6: a record that counts too few inodes makes a removal fail, and nothing wraps")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 0);
	struct cowdax_error error;

	begin_lie(fs)->record.inodes = 0;
	rig_commit(fs);
	CHECK_EQUAL(cowdax_remove(fs, "/a", false, &error), -EUCLEAN);
	CHECK_EQUAL(fs->txn.record.inodes, 0);
	cowdax_close(fs);
}

TEST("L6: a directory that counts too few entries or subdirectories makes a removal fail, and nothing wraps")
{
	for (int links = 0; links < 2; links++) {
		struct cowdax *fs = rig_new(8 * MIB, 0, 0);
		struct cowdax_error error;
		struct cdx_inode root;
		struct cdx_txn *txn;

		CHECK_EQUAL(cowdax_mkdir(fs, "/d", 0755, NULL, &error), 0);
		txn = rig_begin(fs);
		CHECK_EQUAL(cdx_inode_load(txn, COWDAX_ROOT_INODE, &root), 0);
		if (links)
			root.nlink = 0;
		else
			root.size = 0;
		CHECK_EQUAL(cdx_inode_store(txn, &root), 0);
		rig_commit(fs);
		CHECK_EQUAL(cowdax_remove(fs, "/d", true, &error), -EUCLEAN);
		CHECK(rig_lookup(fs, "/d") > 0);
		cowdax_close(fs);
		remove(unit_path("image"));
	}
}
