// SPDX-License-Identifier: LGPL-2.1-or-later
/* Inodes between the fs tree and DRAM (FORMAT 9.1); numbers are never used twice (R7). */
#include "fs/inode.h"

#include <sys/stat.h>

#include "base/count.h"

#define TAIL_ROOM (CDX_INLINE_EXTENTS * sizeof(struct cdx_disk_extent))

/* An inode item as it lies in a leaf. */
struct item {
	struct cdx_disk_fs_item head;
	struct cdx_disk_inode inode;
	unsigned char tail[TAIL_ROOM];
};
static_assert(sizeof(struct item) <= CDX_MAX_ITEM, "an item fits");

static struct cdx_key inode_key(uint64_t number)
{
	return (struct cdx_key){{number, CDX_ITEM_INODE, 0}};
}

/* ---- decoding ---------------------------------------------------------------------- */

static struct timespec decode_time(const struct cdx_disk_time *disk)
{
	return (struct timespec){(time_t)get64(disk->seconds), (long)get32(disk->nanoseconds)};
}

static struct cdx_disk_time encode_time(const struct timespec *time)
{
	return (struct cdx_disk_time){
		.seconds = put64((uint64_t)time->tv_sec),
		.nanoseconds = put32((uint32_t)time->tv_nsec),
	};
}

/* The layout has been found possible; that of a clean node's, its pointers too. */
static int decode_extents(struct cdx_extents *map, const struct cdx_disk_inode *disk,
			  const unsigned char *tail)
{
	struct cdx_disk_extent extent;
	struct cdx_disk_ref ref;

	memset(map, 0, sizeof(*map));
	map->layout = disk->layout;
	if (disk->layout == CDX_LAYOUT_TREE) {
		memcpy(&ref, tail, sizeof(ref));
		map->root = cdx_ref_decode(&ref);
		return 0;
	}
	map->n_inline = disk->n_inline;
	for (int i = 0; i < map->n_inline; i++) {
		memcpy(&extent, tail + (size_t)i * sizeof(extent), sizeof(extent));
		cdx_extent_decode(&map->inlined[i], &extent);
		if (i && map->inlined[i].file_block <
				 map->inlined[i - 1].file_block + map->inlined[i - 1].count)
			return -EUCLEAN;
	}
	return 0;
}

static int decode(struct cdx_inode *inode, const struct item *item)
{
	const struct cdx_disk_inode *disk = &item->inode;
	size_t length = get16(item->head.length);

	if (!cdx_layout_possible(disk, length))
		return -EUCLEAN;
	inode->number = get64(item->head.inode);
	inode->mode = get32(disk->mode);
	inode->uid = get32(disk->uid);
	inode->gid = get32(disk->gid);
	inode->nlink = get32(disk->nlink);
	inode->size = get64(disk->size);
	inode->parent = get64(disk->parent);
	inode->atime = decode_time(&disk->atime);
	inode->mtime = decode_time(&disk->mtime);
	inode->ctime = decode_time(&disk->ctime);
	inode->btime = decode_time(&disk->btime);
	if (!cdx_mode_possible(inode->mode) || inode->size > CDX_MAX_FILE)
		return -EUCLEAN;
	return decode_extents(&inode->extents, disk, item->tail);
}

static size_t encode(const struct cdx_inode *inode, struct item *item)
{
	const struct cdx_extents *map = &inode->extents;
	struct cdx_disk_inode *disk = &item->inode;
	size_t tail = 0;

	memset(item, 0, sizeof(*item));
	item->head.inode = put64(inode->number);
	item->head.item = put64(CDX_ITEM_INODE);
	disk->mode = put32(inode->mode);
	disk->uid = put32(inode->uid);
	disk->gid = put32(inode->gid);
	disk->nlink = put32(inode->nlink);
	disk->size = put64(inode->size);
	disk->parent = put64(inode->parent);
	disk->atime = encode_time(&inode->atime);
	disk->mtime = encode_time(&inode->mtime);
	disk->ctime = encode_time(&inode->ctime);
	disk->btime = encode_time(&inode->btime);
	disk->layout = map->layout;
	if (map->layout == CDX_LAYOUT_TREE) {
		cdx_ref_encode((struct cdx_disk_ref *)item->tail, &map->root);
		tail = sizeof(struct cdx_disk_ref);
	} else {
		disk->n_inline = map->n_inline;
		for (int i = 0; i < map->n_inline; i++)
			cdx_extent_encode(&map->inlined[i], (struct cdx_disk_extent *)item->tail + i);
		tail = map->n_inline * sizeof(struct cdx_disk_extent);
	}
	item->head.length = put16((uint16_t)(sizeof(*disk) + tail));
	return cdx_fs_item_size(item);
}

/* ---- use ------------------------------------------------------------------------------ */

int cdx_inode_load(struct cdx_txn *txn, uint64_t number, struct cdx_inode *inode)
{
	struct cdx_key key = inode_key(number);
	struct cdx_cursor cursor;
	struct item item;
	int ret;

	ret = cdx_cursor_seek(&cursor, &txn->fs, &key);
	if (ret > 0 && cdx_cursor_at_item(&cursor) &&
	    cdx_key_compare(3, cdx_cursor_item(&cursor), &key) == 0) {
		size_t size = cdx_fs_item_size(cdx_cursor_item(&cursor));

		memset(&item, 0, sizeof(item));
		memcpy(&item, cdx_cursor_item(&cursor), size < sizeof(item) ? size : sizeof(item));
		ret = decode(inode, &item);
	} else if (ret >= 0) {
		ret = -ENOENT;
	}
	cdx_cursor_end(&cursor);
	return ret;
}

int cdx_inode_store(struct cdx_txn *txn, const struct cdx_inode *inode)
{
	struct item item;
	size_t size = encode(inode, &item);

	return cdx_tree_replace(&txn->fs, &item, size);
}

/* Numbers are never used twice: nothing stands at @number or above, else next_inode is wrong (R7). */
static int number_is_new(struct cdx_txn *txn, uint64_t number)
{
	struct cdx_key key = {{number}};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek_from(&cursor, &txn->fs, &key);
	cdx_cursor_end(&cursor);
	return ret > 0 ? -EUCLEAN : ret;
}

int cdx_inode_add(struct cdx_txn *txn, const struct cdx_inode *inode)
{
	struct item item;
	size_t size = encode(inode, &item);
	int ret = number_is_new(txn, inode->number);

	if (!ret)
		ret = cdx_tree_insert(&txn->fs, &item, size);
	return ret ? ret : cdx_raise(&txn->record.inodes, 1, inode->number);
}

int cdx_inode_make(struct cdx_txn *txn, uint32_t mode, struct cdx_inode *inode)
{
	if (!cdx_next_inode_possible(txn->record.next_inode))
		return -EUCLEAN;
	if (txn->record.next_inode > CDX_LAST_INODE)
		return -EOVERFLOW;
	*inode = (struct cdx_inode){
		.number = txn->record.next_inode++,
		.mode = mode,
		.nlink = 1,
		.atime = txn->now,
		.mtime = txn->now,
		.ctime = txn->now,
		.btime = txn->now,
	};
	return 0;
}

int cdx_inode_remove(struct cdx_txn *txn, struct cdx_inode *inode)
{
	struct cdx_key key = inode_key(inode->number);
	int ret;

	ret = cdx_extents_cut(txn, &inode->extents, 0, CDX_MAX_FILE >> txn->super->block_shift);
	if (!ret)
		ret = cdx_tree_delete(&txn->fs, &key);
	return ret ? ret : cdx_lower(&txn->record.inodes, 1);
}

void cdx_inode_modified(const struct cdx_txn *txn, struct cdx_inode *inode)
{
	inode->mtime = txn->now;
	inode->ctime = txn->now;
}

int cdx_inode_next_tree(struct cdx_txn *txn, uint64_t *number)
{
	struct cdx_key key = {{*number}};
	struct cdx_cursor cursor;
	int ret = cdx_cursor_seek_from(&cursor, &txn->fs, &key);

	for (; ret > 0; ret = cdx_cursor_next(&cursor)) {
		const struct cdx_disk_fs_item *item = cdx_cursor_item(&cursor);
		const struct cdx_disk_inode *inode = (const struct cdx_disk_inode *)(item + 1);

		if (get64(item->item) != CDX_ITEM_INODE || inode->layout != CDX_LAYOUT_TREE)
			continue;
		*number = get64(item->inode);
		break;
	}
	cdx_cursor_end(&cursor);
	return ret;
}
