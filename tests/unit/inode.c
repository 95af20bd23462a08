// SPDX-License-Identifier: GPL-2.0-or-later
#include "fs/inode.h"

#include <sys/stat.h>

#include "rig.h"

struct item {
	struct cdx_disk_fs_item head;
	struct cdx_disk_inode inode;
	struct cdx_disk_extent extents[4];
};

static struct cdx_inode make(struct cdx_txn *txn, uint32_t mode)
{
	struct cdx_inode inode;

	CHECK_EQUAL(cdx_inode_make(txn, mode, &inode), 0);
	return inode;
}

TEST("an inode comes back as it was stored")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_inode inode = make(txn, S_IFREG | 04751), back;

	inode.uid = 12;
	inode.gid = UINT32_MAX;
	inode.nlink = 7;
	inode.size = CDX_MAX_FILE - 1;
	inode.atime = (struct timespec){-5, 999999999};
	inode.mtime = (struct timespec){INT64_MAX, 0};
	inode.ctime = (struct timespec){0, 1};
	inode.btime = (struct timespec){INT64_MIN, 2};
	CHECK_EQUAL(cdx_inode_add(txn, &inode), 0);
	CHECK_EQUAL(cdx_inode_add(txn, &inode), -EUCLEAN);	/* no number is used twice (R7) */
	CHECK_EQUAL(cdx_inode_load(txn, inode.number, &back), 0);
	CHECK(back.number == inode.number && back.mode == inode.mode && back.uid == 12);
	CHECK(back.gid == UINT32_MAX && back.nlink == 7 && back.size == inode.size && back.parent == 0);
	CHECK(back.atime.tv_sec == -5 && back.atime.tv_nsec == 999999999);
	CHECK(back.mtime.tv_sec == INT64_MAX && back.ctime.tv_nsec == 1);
	CHECK(back.btime.tv_sec == INT64_MIN && back.btime.tv_nsec == 2);
	CHECK(back.extents.layout == CDX_LAYOUT_INLINE && back.extents.n_inline == 0);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("R7: the last inode number is given away once, and then creating says that none is left")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_inode inode;

	txn->record.next_inode = CDX_LAST_INODE;
	CHECK_EQUAL(cdx_inode_make(txn, S_IFREG | 0644, &inode), 0);
	CHECK_EQUAL(inode.number, CDX_LAST_INODE);
	CHECK_EQUAL(cdx_inode_make(txn, S_IFREG | 0644, &inode), -EOVERFLOW);
	CHECK_EQUAL(cdx_inode_make(txn, S_IFREG | 0644, &inode), -EOVERFLOW);
	txn->record.next_inode = UINT64_MAX;
	CHECK_EQUAL(cdx_inode_make(txn, S_IFREG | 0644, &inode), -EUCLEAN);
	txn->record.next_inode = 0;
	CHECK_EQUAL(cdx_inode_make(txn, S_IFREG | 0644, &inode), -EUCLEAN);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("an inode that grows and shrinks with its extents is stored in its place")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 512);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t numbers[20], start, count;
	struct cdx_inode inode, back;

	for (int i = 0; i < 20; i++) {
		inode = make(txn, S_IFREG | 0644);
		numbers[i] = inode.number;
		CHECK_EQUAL(cdx_inode_add(txn, &inode), 0);
	}
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 20; i++) {
			struct cdx_extent extent = {.file_block = 2 * (uint64_t)round, .count = 1};

			CHECK_EQUAL(cdx_inode_load(txn, numbers[i], &inode), 0);
			if (round == 7) {
				CHECK_EQUAL(cdx_extents_cut(txn, &inode.extents, 0, UINT64_C(1) << 40), 0);
			} else {
				CHECK_EQUAL(cdx_alloc_data(txn, 1, &start, &count), 0);
				extent.disk_block = start;
				CHECK_EQUAL(cdx_extents_insert(txn, &inode.extents, &extent), 0);
			}
			CHECK_EQUAL(cdx_inode_store(txn, &inode), 0);
			CHECK_EQUAL(cdx_inode_load(txn, numbers[i], &back), 0);
			CHECK_EQUAL(back.extents.layout,
				    round >= 3 && round < 7 ? CDX_LAYOUT_TREE : CDX_LAYOUT_INLINE);
			if (back.extents.layout == CDX_LAYOUT_INLINE)
				CHECK_EQUAL(back.extents.n_inline, round == 7 ? 0 : round + 1);
		}
	}
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

TEST("inodes are counted, and one that is gone is not found")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	uint64_t before = txn->record.inodes;
	struct cdx_inode inode = make(txn, S_IFREG | 0644);

	CHECK_EQUAL(cdx_inode_load(txn, inode.number, &inode), -ENOENT);
	CHECK_EQUAL(cdx_inode_store(txn, &inode), -ENOENT);
	CHECK_EQUAL(cdx_inode_add(txn, &inode), 0);
	CHECK_EQUAL(txn->record.inodes, before + 1);
	CHECK_EQUAL(cdx_inode_remove(txn, &inode), 0);
	CHECK_EQUAL(txn->record.inodes, before);
	CHECK_EQUAL(cdx_inode_load(txn, inode.number, &inode), -ENOENT);
	CHECK_EQUAL(cdx_inode_load(txn, 0, &inode), -ENOENT);
	CHECK_EQUAL(cdx_inode_load(txn, UINT64_MAX, &inode), -ENOENT);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}

static int load_item(struct cdx_txn *txn, struct item *item, size_t extents)
{
	struct cdx_inode inode;

	item->head.inode = put64(get64(item->head.inode) + 1);
	item->head.item = put64(CDX_ITEM_INODE);
	item->head.length = put16((uint16_t)(sizeof(item->inode) + extents * sizeof(struct cdx_disk_extent)));
	CHECK_EQUAL(cdx_tree_insert(&txn->fs, item, cdx_fs_item_size(item)), 0);
	return cdx_inode_load(txn, get64(item->head.inode), &inode);
}

TEST("R20: an inode that no file can have is damage")
{
	struct cowdax *fs = rig_new(2 * MIB, 0, 0);
	struct cdx_txn *txn = rig_begin(fs);
	struct item item = {.head.inode = put64(100)};

	for (uint32_t i = 0; i < 4; i++)
		item.extents[i] = (struct cdx_disk_extent){put64(10 * i), put64(100 + i), put32(5), put32(0)};
	item.inode.mode = put32(S_IFREG | 0644);
	item.inode.n_inline = 3;
	CHECK_EQUAL(load_item(txn, &item, 3), 0);
	CHECK_EQUAL(load_item(txn, &item, 2), -EUCLEAN);
	item.inode.n_inline = 4;
	CHECK_EQUAL(load_item(txn, &item, 4), -EUCLEAN);
	item.inode.n_inline = 3;
	item.extents[1].file_block = put64(4);
	CHECK_EQUAL(load_item(txn, &item, 3), -EUCLEAN);
	item.extents[1].file_block = put64(10);
	item.inode.layout = 2;
	CHECK_EQUAL(load_item(txn, &item, 3), -EUCLEAN);
	item.inode.layout = CDX_LAYOUT_INLINE;
	item.inode.size = put64(CDX_MAX_FILE + 1);
	CHECK_EQUAL(load_item(txn, &item, 3), -EUCLEAN);
	item.inode.size = put64(0);
	item.inode.mode = put32(S_IFSOCK | 0644);
	CHECK_EQUAL(load_item(txn, &item, 3), -EUCLEAN);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}
