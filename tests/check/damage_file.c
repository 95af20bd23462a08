/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Passes 2 and 3: inodes, extents, names and directories. */
#include <string.h>
#include <sys/stat.h>

#include "damage.h"

#define TYPE_REGULAR 8
#define TYPE_DIRECTORY 4

static struct cdx_disk_inode *root(struct image *image)
{
	return (void *)(find_inode(image, COWDAX_ROOT_INODE).item + 1);
}

/* ---- inodes ------------------------------------------------------------------------ */

static void item_kind(struct image *image)
{
	insert_item(image, inode_of(image, "empty"), 3, 0, "12345678", 8);
	image_seal(image);
}

static void item_hash(struct image *image)
{
	find_inode(image, inode_of(image, "empty")).item->hash = put64(1);
	image_seal(image);
}

static void item_short(struct image *image)
{
	insert_item(image, get64(image->record->next_inode), CDX_ITEM_INODE, 0, "12345678", 8);
	add64(&image->record->next_inode, 1);
	image_seal(image);
}

static void item_padding(struct image *image)
{
	struct cdx_disk_dirent *dirent = dirent_at(image, COWDAX_ROOT_INODE, "empty");

	((unsigned char *)dirent)[CDX_DIRENT_HEADER + 5] = 1;
	image_seal(image);
}

static void inode_mode(struct image *image)
{
	inode_at(image, "empty")->mode = put32(S_IFIFO | 0644);
	image_seal(image);
}

static void inode_mode_bits(struct image *image)
{
	inode_at(image, "dir/sub/deep")->mode.raw |= put32(1u << 20).raw;
	image_seal(image);
}

static void inode_size(struct image *image)
{
	inode_at(image, "empty")->size = put64(UINT64_C(1) << 62);
	image_seal(image);
}

static void inode_size_one_over(struct image *image)
{
	inode_at(image, "empty")->size = put64(CDX_MAX_FILE + 1);
	image_seal(image);
}

static void inode_size_largest(struct image *image)
{
	inode_at(image, "empty")->size = put64(CDX_MAX_FILE);
	image_seal(image);
}

static void inode_time(struct image *image)
{
	inode_at(image, "empty")->btime.nanoseconds = put32(1000000000);
	image_seal(image);
}

static void inode_reserved(struct image *image)
{
	inode_at(image, "empty")->reserved[3] = 1;
	image_seal(image);
}

static void inode_layout(struct image *image)
{
	inode_at(image, "empty")->layout = 7;
	image_seal(image);
}

static void inode_inline(struct image *image)
{
	inode_at(image, "two")->n_inline = 3;
	image_seal(image);
}

static void inode_inline_beside_tree(struct image *image)
{
	inode_at(image, "own")->n_inline = 1;
	image_seal(image);
}

static void inode_tree_of_nothing(struct image *image)
{
	*extent_root(inode_at(image, "own")) = (struct cdx_disk_ref){0};
	image_seal(image);
}

static void inode_ref_reserved(struct image *image)
{
	extent_root(inode_at(image, "own"))->reserved[1] = 1;
	image_seal(image);
}

static void inode_count(struct image *image)
{
	add64(&image->record->inodes, 1);
	image_seal(image);
}

static void next_inode(struct image *image)
{
	image->record->next_inode = put64(inode_of(image, "more"));
	image_seal(image);
}

static void next_inode_of(struct image *image, uint64_t next)
{
	image->record->next_inode = put64(next);
	image_seal(image);
}

static void next_inode_past_last(struct image *image)
{
	next_inode_of(image, CDX_LAST_INODE + 2);
}

static void next_inode_highest(struct image *image)
{
	next_inode_of(image, UINT64_MAX);
}

/* All have been given away. */
static void next_inode_none(struct image *image)
{
	next_inode_of(image, CDX_LAST_INODE + 1);
}

/* ---- extents ------------------------------------------------------------------------ */

static void extent_empty(struct image *image)
{
	inline_extents(inode_at(image, "two"))[1].count = put32(0);
	image_seal(image);
}

static void extent_flags(struct image *image)
{
	inline_extents(inode_at(image, "two"))[1].flags = put32(2);
	image_seal(image);
}

static void extent_in_head(struct image *image)
{
	inline_extents(inode_at(image, "two"))[1].disk_block = put64(0);
	image_seal(image);
}

static void extent_overflow(struct image *image)
{
	inline_extents(inode_at(image, "two"))[1].disk_block = put64(UINT64_MAX - 1);
	image_seal(image);
}

static void extent_range(struct image *image)
{
	inline_extents(inode_at(image, "more"))[0].file_block = put64(UINT64_MAX / 2);
	image_seal(image);
}

static void extent_one_over(struct image *image)
{
	struct cdx_disk_extent *extent = inline_extents(inode_at(image, "more"));

	extent->file_block = put64((CDX_MAX_FILE >> image->super.block_shift) -
				   get32(extent->count) + 1);
	image_seal(image);
}

static void extent_at_the_end(struct image *image)
{
	struct cdx_disk_extent *extent = inline_extents(inode_at(image, "more"));

	extent->file_block = put64((CDX_MAX_FILE >> image->super.block_shift) -
				   get32(extent->count));
	image_seal(image);
}

static void extent_overlap(struct image *image)
{
	struct cdx_disk_extent *extents = inline_extents(inode_at(image, "two"));

	extents[1].file_block = extents[0].file_block;
	image_seal(image);
}

/* The last extent of one leaf reaches into the first of the next, over blocks from the pool. */
static void extent_overlap_leaves(struct image *image)
{
	struct cdx_disk_ref *ref = extent_root(inode_at(image, "islands"));
	struct cdx_disk_node *node = image_node(image, get64(ref->address));
	struct extent_child *children = node_items(node);
	/* Of the second leaf, whose last extent no other file has. */
	struct cdx_disk_node *leaf = image_node(image, get64(children[1].child.address));
	struct cdx_disk_extent *last =
		(struct cdx_disk_extent *)node_items(leaf) + get16(leaf->count) - 1;
	unsigned int shift = image->super.grains_per_block_shift;
	uint64_t blocks = take_blocks(image, 3);

	add_reserve(image, get64(last->disk_block) << shift, UINT64_C(1) << shift, true);
	last->disk_block = put64(blocks >> shift);
	last->count = put32(3);
	image_seal(image);
}

static void extent_merge(struct image *image)
{
	struct cdx_disk_extent whole = inline_extents(inode_at(image, "one"))[0],
			       parts[2] = {whole, whole};

	parts[0].count = put32(1);
	parts[1].count = put32(get32(whole.count) - 1);
	add64(&parts[1].file_block, 1);
	add64(&parts[1].disk_block, 1);
	set_inline(image, "one", parts, 2);
	image_seal(image);
}

static void extent_past_eof(struct image *image)
{
	add64(&inode_at(image, "two")->size, -(uint64_t)image->super.block_size);
	image_seal(image);
}

/* Only one of two files that share a tree ends too early. */
static void extent_past_eof_clone(struct image *image)
{
	add64(&inode_at(image, "clone")->size, -(uint64_t)image->super.block_size);
	image_seal(image);
}

static void eof_not_zero(struct image *image)
{
	struct cdx_disk_extent *extent = inline_extents(inode_at(image, "one"));
	uint64_t end = get64(extent->disk_block) + get32(extent->count);

	image->bytes[(end << image->super.block_shift) - 1] = 1;
}

static void eof_not_zero_clone(struct image *image)
{
	add64(&inode_at(image, "clone")->size, (uint64_t)-1);
	image_seal(image);
}

/* ---- names -------------------------------------------------------------------------- */

static void dirent_length(struct image *image)
{
	dirent_at(image, COWDAX_ROOT_INODE, "empty")->name_length = 4;
	image_seal(image);
}

static void rename_to(struct image *image, const char *name)
{
	uint64_t inode = inode_of(image, "empty");

	remove_item(image, find_name(image, COWDAX_ROOT_INODE, "empty"));
	insert_name(image, COWDAX_ROOT_INODE, name, inode, TYPE_REGULAR, 0);
	image_seal(image);
}

static void dirent_slash(struct image *image)
{
	rename_to(image, "a/b");
}

static void dirent_dots(struct image *image)
{
	rename_to(image, "..");
}

static void dirent_no_name(struct image *image)
{
	rename_to(image, "");
}

static void dirent_hash(struct image *image)
{
	struct cdx_disk_dirent *dirent = dirent_at(image, COWDAX_ROOT_INODE, "empty");

	((char *)dirent)[CDX_DIRENT_HEADER] = 'E';
	image_seal(image);
}

/* One more name for a file, with all counts as they should be then. */
static void link_file(struct image *image, const char *path, uint64_t directory, const char *name,
		      unsigned int collision)
{
	insert_name(image, directory, name, inode_of(image, path), TYPE_REGULAR, collision);
	add32(&inode_at(image, path)->nlink, 1);
}

static void hard_link(struct image *image)
{
	link_file(image, "empty", COWDAX_ROOT_INODE, "hard", 0);
	add64(&root(image)->size, 1);
	image_seal(image);
}

static void dirent_duplicate(struct image *image)
{
	link_file(image, "one", COWDAX_ROOT_INODE, "empty", 7);
	add64(&root(image)->size, 1);
	image_seal(image);
}

static void dirent_orphan(struct image *image)
{
	link_file(image, "empty", get64(image->record->next_inode), "lost", 0);
	image_seal(image);
}

static void dirent_in_file(struct image *image)
{
	link_file(image, "empty", inode_of(image, "one"), "lost", 0);
	image_seal(image);
}

/* ---- directories ---------------------------------------------------------------------- */

static void root_missing(struct image *image)
{
	remove_item(image, find_inode(image, COWDAX_ROOT_INODE));
	add64(&image->record->inodes, (uint64_t)-1);
	image_seal(image);
}

static void dirent_dangling(struct image *image)
{
	remove_item(image, find_inode(image, inode_of(image, "empty")));
	add64(&image->record->inodes, (uint64_t)-1);
	image_seal(image);
}

static void dirent_of_nothing(struct image *image)
{
	uint64_t empty = inode_of(image, "empty");

	dirent_at(image, COWDAX_ROOT_INODE, "empty")->inode = put64(0);
	remove_item(image, find_inode(image, empty));
	add64(&image->record->inodes, (uint64_t)-1);
	image_seal(image);
}

static void dirent_type(struct image *image)
{
	dirent_at(image, COWDAX_ROOT_INODE, "empty")->type = TYPE_DIRECTORY;
	image_seal(image);
}

static void inode_orphan(struct image *image)
{
	remove_item(image, find_name(image, COWDAX_ROOT_INODE, "empty"));
	add64(&root(image)->size, (uint64_t)-1);
	image_seal(image);
}

static void directory_orphan(struct image *image)
{
	remove_item(image, find_name(image, COWDAX_ROOT_INODE, "dir"));
	add64(&root(image)->size, (uint64_t)-1);
	add32(&root(image)->nlink, (uint32_t)-1);
	image_seal(image);
}

static void add_orphan(struct image *image, uint64_t inode)
{
	insert_item(image, CDX_ORPHAN_INODE, CDX_ITEM_ORPHAN, inode, NULL, 0);
	add64(&image->record->orphans, 1);
}

/* What removing it leaves. */
static void orphan(struct image *image)
{
	uint64_t inode = inode_of(image, "dir");

	inode_at(image, "dir")->parent = put64(0);
	directory_orphan(image);
	add_orphan(image, inode);
	image_seal(image);
}

static void orphan_with_parent(struct image *image)
{
	uint64_t inode = inode_of(image, "dir");

	directory_orphan(image);
	add_orphan(image, inode);
	image_seal(image);
}

static void orphan_count(struct image *image)
{
	add64(&image->record->orphans, 1);
	image_seal(image);
}

static void orphan_value(struct image *image)
{
	uint64_t inode = inode_of(image, "dir");

	inode_at(image, "dir")->parent = put64(0);
	directory_orphan(image);
	insert_item(image, CDX_ORPHAN_INODE, CDX_ITEM_ORPHAN, inode, "12345678", 8);
	add64(&image->record->orphans, 1);
	image_seal(image);
}

static void orphan_missing(struct image *image)
{
	add_orphan(image, get64(image->record->next_inode) - 1 + 1000);
	image_seal(image);
}

static void orphan_file(struct image *image)
{
	add_orphan(image, inode_of(image, "empty"));
	image_seal(image);
}

static void orphan_linked(struct image *image)
{
	add_orphan(image, inode_of(image, "dir"));
	image_seal(image);
}

static void orphan_root(struct image *image)
{
	add_orphan(image, COWDAX_ROOT_INODE);
	image_seal(image);
}

static void links_of_file(struct image *image)
{
	add32(&inode_at(image, "empty")->nlink, 1);
	image_seal(image);
}

static void links_of_directory(struct image *image)
{
	add32(&inode_at(image, "dir")->nlink, (uint32_t)-1);
	image_seal(image);
}

static void parent_of_file(struct image *image)
{
	inode_at(image, "empty")->parent = put64(1);
	image_seal(image);
}

static void parent_of_directory(struct image *image)
{
	inode_at(image, "dir/sub")->parent = put64(1);
	image_seal(image);
}

static void parent_of_root(struct image *image)
{
	root(image)->parent = put64(inode_of(image, "dir"));
	image_seal(image);
}

static void directory_size(struct image *image)
{
	add64(&inode_at(image, "dir")->size, 1);
	image_seal(image);
}

static void directory_size_zero(struct image *image)
{
	inode_at(image, "dir/sub")->size = put64(0);
	image_seal(image);
}

static void directory_extents(struct image *image)
{
	struct cdx_disk_extent extent = inline_extents(inode_at(image, "one"))[0];

	set_inline(image, "one", NULL, 0);
	set_inline(image, "dir", &extent, 1);
	image_seal(image);
}

static void directory_links(struct image *image)
{
	insert_name(image, COWDAX_ROOT_INODE, "also", inode_of(image, "dir"), TYPE_DIRECTORY, 0);
	add64(&root(image)->size, 1);
	add32(&root(image)->nlink, 1);
	image_seal(image);
}

static void root_has_name(struct image *image)
{
	uint64_t sub = inode_of(image, "dir/sub");

	insert_name(image, sub, "up", COWDAX_ROOT_INODE, TYPE_DIRECTORY, 0);
	add64(&inode_at(image, "dir/sub")->size, 1);
	add32(&inode_at(image, "dir/sub")->nlink, 1);
	image_seal(image);
}

static void root_in_itself(struct image *image)
{
	insert_name(image, COWDAX_ROOT_INODE, "self", COWDAX_ROOT_INODE, TYPE_DIRECTORY, 0);
	add64(&root(image)->size, 1);
	add32(&root(image)->nlink, 1);
	image_seal(image);
}

/* Move @dir from the root into @into, whose inode is @inode: all counts are right then. */
static void directory_loop_of(struct image *image, uint64_t dir, uint64_t into,
			      struct cdx_disk_inode *inode)
{
	add64(&inode->size, 1);
	add32(&inode->nlink, 1);
	inode_at(image, "dir")->parent = put64(into);
	remove_item(image, find_name(image, COWDAX_ROOT_INODE, "dir"));
	insert_name(image, into, "dir", dir, TYPE_DIRECTORY, 0);
	add64(&root(image)->size, (uint64_t)-1);
	add32(&root(image)->nlink, (uint32_t)-1);
}

/* A directory that is an entry of its own: its parent says so, too. */
static void directory_in_itself(struct image *image)
{
	uint64_t dir = inode_of(image, "dir");

	directory_loop_of(image, dir, dir, inode_at(image, "dir"));
	image_seal(image);
}

/* "dir" moves into its own subdirectory. */
static void directory_loop(struct image *image)
{
	directory_loop_of(image, inode_of(image, "dir"), inode_of(image, "dir/sub"),
			  inode_at(image, "dir/sub"));
	image_seal(image);
}

const struct damage file_damages[] = {
	{"fs-item", "item of an unknown kind", PLAIN, item_kind, AS_IS, NULL},
	{"fs-item", "inode item with a hash", PLAIN, item_hash, AS_IS, NULL},
	{"fs-item", "inode item that is too short", PLAIN, item_short, AS_IS, NULL},
	{"reserved-field", "padding of an item", PLAIN, item_padding, AS_IS, "/"},
	{"inode-mode", "a pipe", PLAIN, inode_mode, AS_IS, NULL},
	{"inode-mode", "unknown bits in a mode", PLAIN, inode_mode_bits, AS_IS, "/dir/sub/deep"},
	{"inode-size", "file of 2^62 bytes", PLAIN, inode_size, AS_IS, NULL},
	{"inode-size", "file a byte larger than the largest", PLAIN, inode_size_one_over, AS_IS,
	 NULL},
	{NULL, "file of the largest size", PLAIN, inode_size_largest, AS_IS, NULL},
	{"inode-time", "time of a billion nanoseconds", PLAIN, inode_time, AS_IS, NULL},
	{"reserved-field", "reserved bytes of an inode", PLAIN, inode_reserved, AS_IS, NULL},
	{"inode-layout", "layout 7", PLAIN, inode_layout, AS_IS, "/empty"},
	{"inode-layout", "more inline extents than bytes", PLAIN, inode_inline, AS_IS, NULL},
	{"inode-layout", "inline extents beside a tree", PLAIN, inode_inline_beside_tree, AS_IS,
	 "/own"},
	{"inode-layout", "tree of extents without a root", PLAIN, inode_tree_of_nothing, AS_IS,
	 "/own"},
	{"reserved-field", "reserved bytes of an inode's reference", PLAIN, inode_ref_reserved,
	 AS_IS, "/own"},
	{"inode-count", "one inode too many on record", PLAIN, inode_count, AS_IS, NULL},
	{"next-inode", "next inode in use", PLAIN, next_inode, AS_IS, NULL},
	{"next-inode", "next inode past the last", PLAIN, next_inode_past_last, AS_IS, NULL},
	{"next-inode", "next inode of 2^64 - 1", PLAIN, next_inode_highest, AS_IS, NULL},
	{NULL, "no inode number left", PLAIN, next_inode_none, AS_IS, NULL},
	{"extent-format", "extent of no blocks", PLAIN, extent_empty, AS_IS, NULL},
	{"extent-format", "extent with an unknown flag", PLAIN, extent_flags, AS_IS, NULL},
	{"extent-bounds", "extent in the head region", PLAIN, extent_in_head, AS_IS, NULL},
	{"extent-bounds", "extent at 2^64 - 2", PLAIN, extent_overflow, AS_IS, NULL},
	{"extent-range", "extent past the largest file", PLAIN, extent_range, AS_IS, NULL},
	{"extent-range", "extent that ends a block past the largest file", PLAIN, extent_one_over,
	 AS_IS, "/more"},
	{NULL, "extent at the end of the largest file", PLAIN, extent_at_the_end, AS_IS, NULL},
	{"extent-overlap", "two extents at one place", PLAIN, extent_overlap, AS_IS, NULL},
	{"extent-overlap", "extent that reaches into the next leaf", DEEP, extent_overlap_leaves,
	 AS_IS, NULL},
	{"extent-merge", "extent in two parts", PLAIN, extent_merge, AS_IS, "/one"},
	{"extent-past-eof", "file that ends before its last block", PLAIN, extent_past_eof, AS_IS,
	 NULL},
	{"extent-past-eof", "clone that ends before its last block", PLAIN, extent_past_eof_clone,
	 AS_IS, "/clone"},
	{"eof-not-zero", "byte past the end of file", PLAIN, eof_not_zero, AS_IS, "/one"},
	{"eof-not-zero", "clone a byte shorter than its data", PLAIN, eof_not_zero_clone, AS_IS,
	 "/clone"},
	{"dirent-format", "name shorter than its item", PLAIN, dirent_length, AS_IS, NULL},
	{"dirent-name", "name with a slash", PLAIN, dirent_slash, AS_IS, NULL},
	{"dirent-name", "name of two dots", PLAIN, dirent_dots, AS_IS, NULL},
	{"dirent-name", "name of no bytes", PLAIN, dirent_no_name, AS_IS, NULL},
	{"dirent-hash", "name of another hash", PLAIN, dirent_hash, AS_IS, "/"},
	{"dirent-duplicate", "one name for two files", PLAIN, dirent_duplicate, AS_IS, NULL},
	{"dirent-orphan", "name in no directory", PLAIN, dirent_orphan, AS_IS, NULL},
	{"dirent-orphan", "name in a file", PLAIN, dirent_in_file, AS_IS, NULL},
	{NULL, "file with two names", PLAIN, hard_link, AS_IS, NULL},
	{"root-missing", "no root inode", PLAIN, root_missing, AS_IS, NULL},
	{"dirent-dangling", "name of no inode", PLAIN, dirent_dangling, AS_IS, "/"},
	{"dirent-dangling", "name of inode 0", PLAIN, dirent_of_nothing, AS_IS, "/"},
	{"dirent-type", "name of a wrong type", PLAIN, dirent_type, AS_IS, NULL},
	{"inode-orphan", "file without a name", PLAIN, inode_orphan, AS_IS, NULL},
	{"inode-orphan", "directory without a name", PLAIN, directory_orphan, AS_IS, NULL},
	{NULL, "removed directory", PLAIN, orphan, AS_IS, NULL},
	{"fs-item", "orphan with a value", PLAIN, orphan_value, AS_IS, NULL},
	{"inode-parent", "orphan with a parent", PLAIN, orphan_with_parent, AS_IS, NULL},
	{"orphan-count", "one orphan too many on record", PLAIN, orphan_count, AS_IS, NULL},
	{"orphan-missing", "orphan of no inode", PLAIN, orphan_missing, AS_IS, NULL},
	{"orphan-missing", "orphan that is a file", PLAIN, orphan_file, AS_IS, NULL},
	{"orphan-linked", "orphan with a name", PLAIN, orphan_linked, AS_IS, NULL},
	{"orphan-linked", "root removed", PLAIN, orphan_root, AS_IS, NULL},
	{"inode-links", "file with a link too many", PLAIN, links_of_file, AS_IS, "/empty"},
	{"inode-links", "directory with a link too few", PLAIN, links_of_directory, AS_IS, NULL},
	{"inode-parent", "file with a parent", PLAIN, parent_of_file, AS_IS, NULL},
	{"inode-parent", "directory with another parent", PLAIN, parent_of_directory, AS_IS,
	 "/dir/sub"},
	{"inode-parent", "root with a parent", PLAIN, parent_of_root, AS_IS, NULL},
	{"dir-size", "directory with an entry too many", PLAIN, directory_size, AS_IS, "/dir"},
	{"dir-size", "directory of size 0 with an entry", PLAIN, directory_size_zero, AS_IS,
	 "/dir/sub"},
	{"dir-extents", "directory with data", PLAIN, directory_extents, AS_IS, NULL},
	{"dir-links", "directory with two names", PLAIN, directory_links, AS_IS, NULL},
	{"dir-links", "root with a name", PLAIN, root_has_name, AS_IS, NULL},
	{"dir-links", "root in itself", PLAIN, root_in_itself, AS_IS, "/"},
	{"dir-loop", "directory in itself", PLAIN, directory_in_itself, AS_IS, NULL},
	{"dir-loop", "directory in its own subdirectory", PLAIN, directory_loop, AS_IS, NULL},
	{0},
};
