// SPDX-License-Identifier: LGPL-2.1-or-later
/* Directories (FORMAT 9.2): entries by hash, collisions numbered (R21). */
#include "fs/dir.h"

#include <sys/stat.h>

#include "base/count.h"
#include "base/siphash.h"

#define COLLISIONS UINT64_C(256)
#define TYPE_SHIFT 12

struct item {
	struct cdx_disk_fs_item head;
	unsigned char value[(CDX_DIRENT_HEADER + CDX_NAME_MAX + 7) & ~7];
};
static_assert(sizeof(struct item) <= CDX_MAX_ITEM, "an item fits");

static struct cdx_key entry_key(uint64_t dir, uint64_t hash)
{
	return (struct cdx_key){{dir, CDX_ITEM_DIRENT, hash}};
}

/* FORMAT 9.2: the lowest key a name can have; its collision number is 0. */
static uint64_t name_hash(const struct cdx_super *super, const char *name, size_t length)
{
	uint64_t k1 = 0;

	for (int i = 7; i >= 0; i--)
		k1 = k1 << 8 | super->uuid[i];
	return cdx_siphash(super->seed, k1, name, length) & ~(COLLISIONS - 1);
}

static int decode(struct cdx_dir_entry *entry, const unsigned char *bytes)
{
	const struct cdx_disk_fs_item *head = (const struct cdx_disk_fs_item *)bytes;
	const struct cdx_disk_dirent *dirent = (const struct cdx_disk_dirent *)(head + 1);
	size_t length = get16(head->length);

	if (length < CDX_DIRENT_HEADER + 1 || length != CDX_DIRENT_HEADER + (size_t)dirent->name_length)
		return -EUCLEAN;
	/* Nothing contains the root: a name of it would close a loop. */
	entry->inode = get64(dirent->inode);
	if (entry->inode <= COWDAX_ROOT_INODE)
		return -EUCLEAN;
	entry->type = (uint32_t)dirent->type << TYPE_SHIFT;
	entry->length = dirent->name_length;
	memcpy(entry->name, (const char *)dirent + CDX_DIRENT_HEADER, entry->length);
	entry->name[entry->length] = '\0';
	return cdx_name_possible(entry->name, entry->length) ? 0 : -EUCLEAN;
}

int cdx_dir_next(struct cdx_txn *txn, uint64_t dir, uint64_t *from, struct cdx_dir_entry *entry)
{
	struct cdx_key key = entry_key(dir, *from), end = entry_key(dir, UINT64_MAX);
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek_from(&cursor, &txn->fs, &key);
	if (ret > 0) {
		const struct cdx_disk_fs_item *head = cdx_cursor_item(&cursor);

		if (cdx_key_compare(3, (const le64 *)head, &end) >= 0) {
			ret = 0;
		} else {
			*from = get64(head->hash) + 1;
			ret = decode(entry, (const unsigned char *)head);
			ret = ret ? ret : 1;
		}
	}
	cdx_cursor_end(&cursor);
	return ret;
}

int cdx_dir_locate(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length,
		   struct cdx_dir_entry *entry, uint64_t *at)
{
	uint64_t first = name_hash(txn->super, name, length), from = first, free_one = first;
	int ret;

	while ((ret = cdx_dir_next(txn, dir, &from, entry)) > 0) {
		uint64_t here = from - 1;

		if (here - first >= COLLISIONS)
			break;
		if (entry->length == length && memcmp(entry->name, name, length) == 0) {
			*at = here;
			return 0;
		}
		if (here == free_one)
			free_one++;
	}
	*at = free_one;
	return ret < 0 ? ret : -ENOENT;
}

int cdx_dir_find(struct cdx_txn *txn, uint64_t dir, const char *name, size_t length, uint64_t *inode,
		 uint32_t *type)
{
	struct cdx_dir_entry entry;
	uint64_t at;
	int ret = cdx_dir_locate(txn, dir, name, length, &entry, &at);

	if (ret)
		return ret;
	*inode = entry.inode;
	*type = entry.type;
	return 0;
}

int cdx_dir_add(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		const struct cdx_inode *inode)
{
	struct cdx_disk_dirent *dirent;
	struct cdx_dir_entry entry;
	struct item item = {0};
	uint64_t at;
	int ret;

	ret = cdx_dir_locate(txn, dir->number, name, length, &entry, &at);
	if (ret != -ENOENT)
		return ret ? ret : -EEXIST;
	if (at - name_hash(txn->super, name, length) >= COLLISIONS)
		return -EXFULL;
	item.head.inode = put64(dir->number);
	item.head.item = put64(CDX_ITEM_DIRENT);
	item.head.hash = put64(at);
	item.head.length = put16((uint16_t)(CDX_DIRENT_HEADER + length));
	dirent = (struct cdx_disk_dirent *)item.value;
	dirent->inode = put64(inode->number);
	dirent->type = (uint8_t)((inode->mode & S_IFMT) >> TYPE_SHIFT);
	dirent->name_length = (uint8_t)length;
	memcpy(item.value + CDX_DIRENT_HEADER, name, length);
	ret = cdx_tree_insert(&txn->fs, &item, cdx_fs_item_size(&item));
	if (ret)
		return ret;
	if (S_ISDIR(inode->mode) && dir->nlink == UINT32_MAX)
		return -EMLINK;
	if (S_ISDIR(inode->mode))
		dir->nlink++;
	cdx_inode_modified(txn, dir);
	return cdx_raise(&dir->size, 1, CDX_MAX_FILE);
}

int cdx_dir_remove_at(struct cdx_txn *txn, struct cdx_inode *dir, uint64_t at, uint32_t type)
{
	struct cdx_key key = entry_key(dir->number, at);
	int ret;

	/* A directory has two links that are no entry's. */
	if (S_ISDIR(type) && dir->nlink <= 2)
		return -EUCLEAN;
	ret = cdx_lower(&dir->size, 1);
	if (!ret && S_ISDIR(type))
		ret = cdx_lower32(&dir->nlink, 1);
	if (!ret)
		ret = cdx_tree_delete(&txn->fs, &key);
	if (!ret)
		cdx_inode_modified(txn, dir);
	return ret;
}

int cdx_dir_remove(struct cdx_txn *txn, struct cdx_inode *dir, const char *name, size_t length,
		   uint32_t type)
{
	struct cdx_dir_entry entry;
	uint64_t at;
	int ret = cdx_dir_locate(txn, dir->number, name, length, &entry, &at);

	return ret ? ret : cdx_dir_remove_at(txn, dir, at, type);
}

int cdx_dir_make_root(struct cdx_txn *txn, const struct timespec *now, uint32_t uid, uint32_t gid)
{
	struct cdx_inode root;
	int ret;

	txn->now = *now;
	ret = cdx_inode_make(txn, S_IFDIR | 0755, &root);
	if (ret)
		return ret;
	root.nlink = 2;
	root.parent = root.number;
	root.uid = uid;
	root.gid = gid;
	return cdx_inode_add(txn, &root);
}
