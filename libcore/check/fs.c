// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pass 2: the file tree's items (FORMAT 9), and through them all extents. */
#include "check/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/siphash.h"
#include "check/item.h"

#define COLLISIONS 256			/* names of one hash: the number is the key's low byte */
#define CHAIN_SIZE (COLLISIONS * (1 + CDX_NAME_MAX))

/* Files, and of the names read last: whose, by which hash, and which. */
struct fs_pass {
	struct cdx_files *files;
	struct cdx_event_set *mapped;
	uint64_t directory, hash;
	unsigned char *chain;		/* names of equal hash, each after its length byte */
	size_t chain_used;
};

static bool is_directory(uint32_t mode)
{
	return (mode & S_IFMT) == S_IFDIR;
}

/* ---- inodes ---------------------------------------------------------------------- */

static bool reserved_time(const struct cdx_disk_time *time)
{
	return get32(time->reserved) != 0;
}

static bool bad_time(const struct cdx_disk_time *time)
{
	return get32(time->nanoseconds) >= 1000000000;
}

static void judge_inode(struct cdx_check *ck, uint64_t inode, const struct cdx_disk_inode *disk)
{
	static const unsigned char zero[sizeof(disk->reserved)];

	if (!is_directory(get32(disk->mode)) && get64(disk->size) > CDX_MAX_FILE)
		cdx_report_inode(ck, CDX_P_INODE_SIZE, inode);
	if (bad_time(&disk->atime) || bad_time(&disk->mtime) || bad_time(&disk->ctime) ||
	    bad_time(&disk->btime))
		cdx_report_inode(ck, CDX_P_INODE_TIME, inode);
	if (reserved_time(&disk->atime) || reserved_time(&disk->mtime) ||
	    reserved_time(&disk->ctime) || reserved_time(&disk->btime) ||
	    memcmp(disk->reserved, zero, sizeof(zero)) != 0)
		cdx_report_inode(ck, CDX_P_RESERVED_FIELD, inode);
}

static int note_inode(struct cdx_check *ck, struct cdx_files *files, uint64_t inode,
		      const struct cdx_disk_inode *disk)
{
	uint32_t mode = get32(disk->mode);
	struct cdx_seen_inode seen = {
		.inode = inode,
		.parent = get64(disk->parent),
		.size = get64(disk->size),
		.name = CDX_NONE,
		.nlink = get32(disk->nlink),
		.type = (uint8_t)((mode & S_IFMT) >> CDX_TYPE_SHIFT),
	};

	if (!cdx_mode_possible(mode)) {
		cdx_report_inode(ck, CDX_P_INODE_MODE, inode);
		seen.flags |= CDX_INODE_BAD;
	} else if (is_directory(mode)) {
		seen.flags |= CDX_INODE_DIRECTORY;
	}
	return cdx_files_add_inode(files, &seen);
}

static int inode_item(struct cdx_check *ck, struct fs_pass *pass, const struct cdx_view *view,
		      const struct cdx_disk_fs_item *item)
{
	const struct cdx_disk_inode *disk = (const struct cdx_disk_inode *)(item + 1);
	size_t length = get16(item->length);
	struct cdx_file_extents file = {
		.disk = disk,
		.value = disk + 1,
		.inode = get64(item->inode),
		.leaf = view->index,
		.mapped = pass->mapped,
	};
	int ret;

	if (get64(item->hash) || length < sizeof(*disk)) {
		cdx_report_inode(ck, CDX_P_FS_ITEM, file.inode);
		pass->files->incomplete = ck->trees->pointers_incomplete = true;
		return 0;
	}
	file.directory = is_directory(get32(disk->mode));
	judge_inode(ck, file.inode, disk);
	ret = note_inode(ck, pass->files, file.inode, disk);
	if (ret)
		return ret;
	cdx_check_progress(ck, 2, file.inode, get64(ck->record.next_inode));
	if (cdx_layout_possible(disk, length))
		return cdx_check_file_extents(ck, &file);
	cdx_report_inode(ck, CDX_P_INODE_LAYOUT, file.inode);
	ck->trees->pointers_incomplete = true;
	return 0;
}

/* ---- names ----------------------------------------------------------------------- */

static uint64_t name_hash(const struct cdx_check *ck, const unsigned char *name, size_t length)
{
	le64 word;

	memcpy(&word, ck->super.uuid, sizeof(word));
	return cdx_siphash(ck->super.seed, get64(word), name, length);
}

/* Names of equal hash are neighbours: hold each against those before it. */
static bool name_repeats(struct fs_pass *pass, const struct cdx_disk_fs_item *item,
			 const unsigned char *name, uint8_t length)
{
	uint64_t hash = get64(item->hash) >> 8;
	bool repeats = false;

	if (pass->directory != get64(item->inode) || pass->hash != hash) {
		pass->directory = get64(item->inode);
		pass->hash = hash;
		pass->chain_used = 0;
	}
	for (size_t at = 0; at < pass->chain_used && !repeats; at += 1u + pass->chain[at])
		repeats = pass->chain[at] == length &&
			  memcmp(pass->chain + at + 1, name, length) == 0;
	pass->chain[pass->chain_used++] = length;
	memcpy(pass->chain + pass->chain_used, name, length);
	pass->chain_used += length;
	return repeats;
}

static void judge_name(struct cdx_check *ck, struct fs_pass *pass,
		       const struct cdx_disk_fs_item *item, const unsigned char *name,
		       uint8_t length)
{
	uint64_t directory = get64(item->inode);

	if (!cdx_name_possible((const char *)name, length))
		cdx_report_inode(ck, CDX_P_DIRENT_NAME, directory);
	if (name_hash(ck, name, length) >> 8 != get64(item->hash) >> 8)
		cdx_report_inode(ck, CDX_P_DIRENT_HASH, directory);
	if (name_repeats(pass, item, name, length))
		cdx_report_inode(ck, CDX_P_DIRENT_DUPLICATE, directory);
}

static int note_name(struct cdx_check *ck, struct cdx_files *files, const struct cdx_view *view,
		     const struct cdx_disk_fs_item *item, const struct cdx_disk_dirent *disk)
{
	struct cdx_seen_name name = {
		.target = get64(disk->inode),
		.grain = view->grain,
		.directory = CDX_NONE,
		.offset = (uint16_t)((const unsigned char *)item - view->bytes),
		.type = disk->type,
	};
	const struct cdx_seen_inode *last = &files->inodes[files->inode_count - 1];

	/* Keys ascend: a directory's inode comes right before its entries. */
	if (last->inode == get64(item->inode) && (last->flags & CDX_INODE_DIRECTORY))
		name.directory = (uint32_t)(files->inode_count - 1);
	else if (!files->incomplete &&
		 !(last->inode == get64(item->inode) && (last->flags & CDX_INODE_BAD)))
		cdx_report_inode(ck, CDX_P_DIRENT_ORPHAN, get64(item->inode));
	return cdx_files_add_name(files, &name);
}

static int dirent_item(struct cdx_check *ck, struct fs_pass *pass, const struct cdx_view *view,
		       const struct cdx_disk_fs_item *item)
{
	const struct cdx_disk_dirent *disk = (const struct cdx_disk_dirent *)(item + 1);
	size_t length = get16(item->length);

	if (length < CDX_DIRENT_HEADER || length != (size_t)CDX_DIRENT_HEADER + disk->name_length) {
		cdx_report_inode(ck, CDX_P_DIRENT_FORMAT, get64(item->inode));
		pass->files->incomplete = true;
		return 0;
	}
	judge_name(ck, pass, item, (const unsigned char *)disk + CDX_DIRENT_HEADER,
		   disk->name_length);
	return note_name(ck, pass->files, view, item, disk);
}

/* ---- items ----------------------------------------------------------------------- */

static bool padding_zero(const struct cdx_disk_fs_item *item)
{
	const unsigned char *bytes = (const unsigned char *)item;
	size_t end = cdx_fs_item_size(item);

	if (get16(item->reserved0) || get32(item->reserved1))
		return false;
	for (size_t at = sizeof(*item) + get16(item->length); at < end; at++) {
		if (bytes[at])
			return false;
	}
	return true;
}

/* Its key is all of it. */
static int orphan_item(struct cdx_check *ck, struct cdx_files *files,
		       const struct cdx_disk_fs_item *item)
{
	if (get16(item->length))
		cdx_report_inode(ck, CDX_P_FS_ITEM, get64(item->hash));
	return cdx_files_add_orphan(files, get64(item->hash));
}

/* Where the inodes do not start with the root directory, something stands in for it. */
static int note_absent_root(struct cdx_files *files)
{
	return cdx_files_add_inode(files, &(struct cdx_seen_inode){
		.inode = COWDAX_ROOT_INODE,
		.parent = COWDAX_ROOT_INODE,
		.name = CDX_NONE,
		.type = S_IFDIR >> CDX_TYPE_SHIFT,
		.flags = CDX_INODE_DIRECTORY | CDX_INODE_ABSENT,
	});
}

static int fs_item(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view,
		   const struct cdx_disk_fs_item *item)
{
	bool inode = get64(item->item) == CDX_ITEM_INODE;
	struct fs_pass *pass = walk->arg;
	int ret;

	pass->files->incomplete |= walk->broken;
	if (!padding_zero(item))
		cdx_report_inode(ck, CDX_P_RESERVED_FIELD, get64(item->inode));
	if (get64(item->inode) == CDX_ORPHAN_INODE && get64(item->item) == CDX_ITEM_ORPHAN)
		return orphan_item(ck, pass->files, item);
	if (pass->files->inode_count == 0 && !(inode && get64(item->inode) == COWDAX_ROOT_INODE)) {
		ret = note_absent_root(pass->files);
		if (ret)
			return ret;
	}
	if (get64(item->inode) && inode)
		return inode_item(ck, pass, view, item);
	if (get64(item->inode) && get64(item->item) == CDX_ITEM_DIRENT)
		return dirent_item(ck, pass, view, item);
	cdx_report_inode(ck, CDX_P_FS_ITEM, get64(item->inode));
	pass->files->incomplete = true;
	return 0;
}

static int fs_leaf(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view)
{
	const unsigned char *at = view->items;

	for (unsigned int left = view->count; left; left--) {
		const struct cdx_disk_fs_item *item = (const void *)at;
		int ret = fs_item(ck, walk, view, item);

		if (ret)
			return ret;
		at += cdx_fs_item_size(item);
	}
	return 0;
}

static void judge_counts(struct cdx_check *ck, const struct cdx_files *files)
{
	uint64_t next = get64(ck->record.next_inode);
	uint64_t last = files->inodes[files->inode_count - 1].inode;
	uint64_t inodes = files->inode_count - !!(files->inodes[0].flags & CDX_INODE_ABSENT);

	ck->summary.inodes = inodes;
	if (last >= next || !cdx_next_inode_possible(next))
		cdx_report(ck, CDX_P_NEXT_INODE, &(struct cdx_finding){
			.inode = last, .compared = true, .found = next, .expected = last + 1});
	if (!files->incomplete && get64(ck->record.inodes) != inodes)
		cdx_report(ck, CDX_P_INODE_COUNT, &(struct cdx_finding){
			.compared = true, .found = get64(ck->record.inodes), .expected = inodes});
	if (!files->incomplete && get64(ck->record.orphans) != files->orphan_count)
		cdx_report(ck, CDX_P_ORPHAN_COUNT, &(struct cdx_finding){
			.compared = true, .found = get64(ck->record.orphans),
			.expected = files->orphan_count});
}

int cdx_check_fs(struct cdx_check *ck, struct cdx_files *files, struct cdx_event_set *mapped)
{
	static const struct cdx_walk_ops ops = {.leaf = fs_leaf};
	struct fs_pass pass = {.files = files, .mapped = mapped};
	struct cdx_walk walk = {.ops = &ops, .live = true, .arg = &pass};
	int ret;

	pass.chain = malloc(CHAIN_SIZE);
	if (!pass.chain)
		return -ENOMEM;
	ret = cdx_check_tree(ck, &walk, &ck->record.fs, CDX_KIND_FS, CDX_NONE, NULL);
	free(pass.chain);
	files->incomplete |= walk.broken;
	if (!ret && files->inode_count == 0)
		ret = note_absent_root(files);
	if (!ret)
		judge_counts(ck, files);
	return ret;
}
