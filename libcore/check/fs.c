// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pass 2: the file tree's items (FORMAT 9), and through them all extents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check/check.h"
#include "base/siphash.h"

#define COLLISIONS 256			/* names of one hash: the number is the key's low byte */
#define CHAIN_SIZE (COLLISIONS * (1 + CDX_NAME_MAX))
#define TYPE_SHIFT 12			/* of S_IFMT in a mode */

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

static bool layout_fits(const struct cdx_disk_inode *disk, size_t length)
{
	length -= sizeof(*disk);
	if (disk->layout == CDX_LAYOUT_TREE)
		return length == sizeof(struct cdx_disk_ref);
	return disk->layout == CDX_LAYOUT_INLINE && disk->n_inline <= CDX_INLINE_EXTENTS &&
	       length == disk->n_inline * sizeof(struct cdx_disk_extent);
}

static void judge_inode(struct cdx_check *ck, uint64_t inode, const struct cdx_disk_inode *disk)
{
	static const unsigned char zero[sizeof(disk->reserved)];

	if (!is_directory(get32(disk->mode)) && get64(disk->size) >= CDX_MAX_FILE)
		cdx_report_inode(ck, CDX_P_INODE_SIZE, inode);
	if (bad_time(&disk->atime) || bad_time(&disk->mtime) || bad_time(&disk->ctime) ||
	    bad_time(&disk->btime))
		cdx_report_inode(ck, CDX_P_INODE_TIME, inode);
	if (reserved_time(&disk->atime) || reserved_time(&disk->mtime) ||
	    reserved_time(&disk->ctime) || reserved_time(&disk->btime) ||
	    memcmp(disk->reserved, zero, sizeof(zero)) != 0)
		cdx_report_inode(ck, CDX_P_RESERVED_FIELD, inode);
}

static bool mode_known(uint32_t mode)
{
	return (mode & ~(uint32_t)(S_IFMT | 07777)) == 0 && (S_ISREG(mode) || S_ISDIR(mode));
}

static int note_inode(struct cdx_check *ck, uint64_t inode, const struct cdx_disk_inode *disk)
{
	struct cdx_files *files = &ck->files;
	uint32_t mode = get32(disk->mode);
	struct cdx_seen_inode seen = {
		.inode = inode,
		.parent = get64(disk->parent),
		.size = get64(disk->size),
		.name = CDX_NONE,
		.nlink = get32(disk->nlink),
		.type = (uint8_t)((mode & S_IFMT) >> TYPE_SHIFT),
	};
	int ret;

	if (files->inode_count >= CDX_NONE - 1)
		return -ENOMEM;
	if (!mode_known(mode)) {
		cdx_report_inode(ck, CDX_P_INODE_MODE, inode);
		seen.flags |= CDX_INODE_BAD;
	} else if (is_directory(mode)) {
		seen.flags |= CDX_INODE_DIRECTORY;
	}
	ret = cdx_array_grow(&files->inodes, &files->inode_capacity, files->inode_count,
			     sizeof(*files->inodes));
	if (!ret)
		files->inodes[files->inode_count++] = seen;
	return ret;
}

static int inode_item(struct cdx_check *ck, const struct cdx_view *view,
		      const struct cdx_disk_fs_item *item)
{
	const struct cdx_disk_inode *disk = (const struct cdx_disk_inode *)(item + 1);
	size_t length = get16(item->length);
	struct cdx_file_extents file = {
		.disk = disk,
		.value = disk + 1,
		.inode = get64(item->inode),
		.leaf = view->index,
	};
	int ret;

	if (get64(item->hash) || length < sizeof(*disk)) {
		cdx_report_inode(ck, CDX_P_FS_ITEM, file.inode);
		ck->fs_incomplete = ck->pointers_incomplete = true;
		return 0;
	}
	file.directory = is_directory(get32(disk->mode));
	judge_inode(ck, file.inode, disk);
	ret = note_inode(ck, file.inode, disk);
	if (ret)
		return ret;
	cdx_check_progress(ck, 2, file.inode, get64(ck->record.next_inode));
	if (layout_fits(disk, length))
		return cdx_check_file_extents(ck, &file);
	cdx_report_inode(ck, CDX_P_INODE_LAYOUT, file.inode);
	ck->pointers_incomplete = true;
	return 0;
}

/* ---- names ----------------------------------------------------------------------- */

static bool name_allowed(const unsigned char *name, size_t length)
{
	if (length == 0 || memchr(name, '\0', length) || memchr(name, '/', length))
		return false;
	return !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

static uint64_t name_hash(const struct cdx_check *ck, const unsigned char *name, size_t length)
{
	le64 word;

	memcpy(&word, ck->super.uuid, sizeof(word));
	return cdx_siphash(ck->super.seed, get64(word), name, length);
}

/* Names of equal hash are neighbours: hold each against those before it. */
static bool name_repeats(struct cdx_files *files, const struct cdx_disk_fs_item *item,
			 const unsigned char *name, uint8_t length)
{
	uint64_t hash = get64(item->hash) >> 8;
	bool repeats = false;

	if (files->directory != get64(item->inode) || files->hash != hash) {
		files->directory = get64(item->inode);
		files->hash = hash;
		files->chain_used = 0;
	}
	for (size_t at = 0; at < files->chain_used && !repeats; at += 1u + files->chain[at])
		repeats = files->chain[at] == length &&
			  memcmp(files->chain + at + 1, name, length) == 0;
	files->chain[files->chain_used++] = length;
	memcpy(files->chain + files->chain_used, name, length);
	files->chain_used += length;
	return repeats;
}

static void judge_name(struct cdx_check *ck, const struct cdx_disk_fs_item *item,
		       const unsigned char *name, uint8_t length)
{
	uint64_t directory = get64(item->inode);

	if (!name_allowed(name, length))
		cdx_report_inode(ck, CDX_P_DIRENT_NAME, directory);
	if (name_hash(ck, name, length) >> 8 != get64(item->hash) >> 8)
		cdx_report_inode(ck, CDX_P_DIRENT_HASH, directory);
	if (name_repeats(&ck->files, item, name, length))
		cdx_report_inode(ck, CDX_P_DIRENT_DUPLICATE, directory);
}

static int note_name(struct cdx_check *ck, const struct cdx_view *view,
		     const struct cdx_disk_fs_item *item, const struct cdx_disk_dirent *disk)
{
	struct cdx_files *files = &ck->files;
	struct cdx_seen_name name = {
		.target = get64(disk->inode),
		.grain = view->grain,
		.directory = CDX_NONE,
		.offset = (uint16_t)((const unsigned char *)item - view->bytes),
		.type = disk->type,
	};
	const struct cdx_seen_inode *last = &files->inodes[files->inode_count - 1];
	int ret;

	if (files->name_count >= CDX_NONE - 1)
		return -ENOMEM;
	/* Keys ascend: a directory's inode comes right before its entries. */
	if (last->inode == get64(item->inode) && (last->flags & CDX_INODE_DIRECTORY))
		name.directory = (uint32_t)(files->inode_count - 1);
	else if (!ck->fs_incomplete &&
		 !(last->inode == get64(item->inode) && (last->flags & CDX_INODE_BAD)))
		cdx_report_inode(ck, CDX_P_DIRENT_ORPHAN, get64(item->inode));
	ret = cdx_array_grow(&files->names, &files->name_capacity, files->name_count,
			     sizeof(*files->names));
	if (!ret)
		files->names[files->name_count++] = name;
	return ret;
}

static int dirent_item(struct cdx_check *ck, const struct cdx_view *view,
		       const struct cdx_disk_fs_item *item)
{
	const struct cdx_disk_dirent *disk = (const struct cdx_disk_dirent *)(item + 1);
	size_t length = get16(item->length);

	if (length < CDX_DIRENT_HEADER || length != (size_t)CDX_DIRENT_HEADER + disk->name_length) {
		cdx_report_inode(ck, CDX_P_DIRENT_FORMAT, get64(item->inode));
		ck->fs_incomplete = true;
		return 0;
	}
	judge_name(ck, item, (const unsigned char *)disk + CDX_DIRENT_HEADER, disk->name_length);
	return note_name(ck, view, item, disk);
}

/* ---- items ----------------------------------------------------------------------- */

static bool padding_zero(const struct cdx_disk_fs_item *item)
{
	const unsigned char *bytes = (const unsigned char *)item;
	size_t end = cdx_check_item_size(item);

	if (get16(item->reserved0) || get32(item->reserved1))
		return false;
	for (size_t at = sizeof(*item) + get16(item->length); at < end; at++) {
		if (bytes[at])
			return false;
	}
	return true;
}

/* Where the tree does not start with the root directory, something stands in for it. */
static int note_absent_root(struct cdx_check *ck)
{
	int ret = cdx_array_grow(&ck->files.inodes, &ck->files.inode_capacity, 0,
				 sizeof(*ck->files.inodes));

	if (ret)
		return ret;
	ck->files.inodes[0] = (struct cdx_seen_inode){
		.inode = COWDAX_ROOT_INODE,
		.parent = COWDAX_ROOT_INODE,
		.name = CDX_NONE,
		.type = S_IFDIR >> TYPE_SHIFT,
		.flags = CDX_INODE_DIRECTORY | CDX_INODE_ABSENT,
	};
	ck->files.inode_count = 1;
	return 0;
}

static int fs_item(struct cdx_check *ck, struct cdx_walk *walk, const struct cdx_view *view,
		   const struct cdx_disk_fs_item *item)
{
	bool inode = get64(item->item) == CDX_ITEM_INODE;
	int ret;

	ck->fs_incomplete |= walk->broken;
	if (ck->files.inode_count == 0 && !(inode && get64(item->inode) == COWDAX_ROOT_INODE)) {
		ret = note_absent_root(ck);
		if (ret)
			return ret;
	}
	if (!padding_zero(item))
		cdx_report_inode(ck, CDX_P_RESERVED_FIELD, get64(item->inode));
	if (get64(item->inode) && inode)
		return inode_item(ck, view, item);
	if (get64(item->inode) && get64(item->item) == CDX_ITEM_DIRENT)
		return dirent_item(ck, view, item);
	cdx_report_inode(ck, CDX_P_FS_ITEM, get64(item->inode));
	ck->fs_incomplete = true;
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
		at += cdx_check_item_size(item);
	}
	return 0;
}

static void judge_counts(struct cdx_check *ck)
{
	const struct cdx_files *files = &ck->files;
	uint64_t next = get64(ck->record.next_inode);
	uint64_t last = files->inodes[files->inode_count - 1].inode;
	uint64_t inodes = files->inode_count - !!(files->inodes[0].flags & CDX_INODE_ABSENT);

	ck->summary.inodes = inodes;
	if (last >= next)
		cdx_report(ck, CDX_P_NEXT_INODE, &(struct cdx_finding){
			.inode = last, .compared = true, .found = next, .expected = last + 1});
	if (!ck->fs_incomplete && get64(ck->record.inodes) != inodes)
		cdx_report(ck, CDX_P_INODE_COUNT, &(struct cdx_finding){
			.compared = true, .found = get64(ck->record.inodes), .expected = inodes});
}

int cdx_check_fs(struct cdx_check *ck)
{
	static const struct cdx_walk_ops ops = {.leaf = fs_leaf};
	struct cdx_walk walk = {.ops = &ops, .live = true};
	int ret;

	ck->files.chain = malloc(CHAIN_SIZE);
	if (!ck->files.chain)
		return -ENOMEM;
	ret = cdx_check_tree(ck, &walk, &ck->record.fs, CDX_KIND_FS, CDX_NONE, NULL);
	ck->fs_incomplete |= walk.broken;
	if (!ret && ck->files.inode_count == 0)
		ret = note_absent_root(ck);
	if (!ret)
		judge_counts(ck);
	return ret;
}

/* ---- looking up --------------------------------------------------------------------- */

struct cdx_seen_inode *cdx_check_find_inode(const struct cdx_files *files, uint64_t inode)
{
	size_t low = 0, high = files->inode_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (files->inodes[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low < files->inode_count && files->inodes[low].inode == inode ? &files->inodes[low]
									     : NULL;
}

const struct cdx_disk_fs_item *cdx_check_next_item(struct cdx_check *ck, const unsigned char *bytes,
						   size_t *offset)
{
	const struct cdx_disk_fs_item *item = (const void *)(bytes + *offset);

	if (*offset + sizeof(*item) > ck->super.node_size ||
	    *offset + cdx_check_item_size(item) > ck->super.node_size)
		return NULL;
	*offset += cdx_check_item_size(item);
	return item;
}

bool cdx_check_item_extents(const struct cdx_disk_fs_item *item, struct cdx_file_extents *file)
{
	const struct cdx_disk_inode *disk = (const struct cdx_disk_inode *)(item + 1);

	if (get64(item->item) != CDX_ITEM_INODE || get16(item->length) < sizeof(*disk) ||
	    !layout_fits(disk, get16(item->length)))
		return false;
	file->disk = disk;
	file->value = disk + 1;
	file->inode = get64(item->inode);
	return true;
}

static bool inline_covers(const struct cdx_disk_fs_item *item, uint64_t block)
{
	struct cdx_file_extents file;
	const struct cdx_disk_extent *extent;

	if (!cdx_check_item_extents(item, &file) || file.disk->layout != CDX_LAYOUT_INLINE)
		return false;
	extent = file.value;
	for (unsigned int i = 0; i < file.disk->n_inline; i++) {
		if (block >= get64(extent[i].disk_block) &&
		    block - get64(extent[i].disk_block) < get32(extent[i].count))
			return true;
	}
	return false;
}

/* Looks in a leaf that has been judged before; still, each item's end is held against the node's.
 */
static uint64_t inline_owner(struct cdx_check *ck, const unsigned char *bytes, uint64_t block)
{
	const struct cdx_disk_node *node = (const void *)bytes;
	size_t offset = sizeof(*node);

	for (unsigned int left = get16(node->count); left; left--) {
		const struct cdx_disk_fs_item *item = cdx_check_next_item(ck, bytes, &offset);

		if (!item)
			return 0;
		if (inline_covers(item, block))
			return get64(item->inode);
	}
	return 0;
}

uint64_t cdx_check_owner_inode(struct cdx_check *ck, uint32_t owner, uint64_t grain)
{
	const struct cdx_seen *seen = owner == CDX_NO_OWNER ? NULL : &ck->seen.nodes[owner];

	if (!seen || !seen->live)
		return 0;
	if (seen->kind != CDX_KIND_FS)
		return seen->inode;
	/* No walk is going on: the buffers are free. */
	if (!cdx_check_read_grain(ck, seen->grain, ck->buffers))
		return 0;
	return inline_owner(ck, ck->buffers, grain >> ck->super.grains_per_block_shift);
}
