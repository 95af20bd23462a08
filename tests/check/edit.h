/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image in memory, to be damaged with care: every checksum that a change
 * touches is made right again, so that only what was meant to be wrong is.
 * Whatever goes wrong in here ends the program.
 */
#ifndef EDIT_H
#define EDIT_H

#include "tree/super.h"

struct image {
	unsigned char *bytes;
	uint64_t size;			/* bytes that store() writes */
	struct cdx_super super;
	struct cdx_disk_commit *record;	/* the newest primary slot, in bytes */
	uint64_t keep_pointers_to;	/* seal() leaves the crc of pointers to this grain alone */
	uint64_t cut;			/* how much of the file LOSE_MEDIA leaves, bytes */
	bool keep_separators;		/* seal() leaves the keys of inner items alone */
	bool sealing_base;		/* seal() is at a base, which it follows no further */
	bool raise_births;		/* seal() makes no node older than what it points to */
};

#define IMAGE_PATH 256
/* Where an image of this name is kept: in TMPDIR, else here. */
void image_path(char path[IMAGE_PATH], const char *name, long number);
/* What the record amends has been written into its nodes: none is left, see fold_amends(). */
void image_load(struct image *image, const char *path);
void image_copy(struct image *copy, const struct image *image);
/* Of a file that is there only what differs is written. */
void image_store(const struct image *image, const char *path, uint64_t offset);
void image_free(struct image *image);
/* Bring all checksums and separators below the newest record, and its mirror, up to date. */
void image_seal(struct image *image);
/* Seal only the record and copy it to its mirror. */
void image_seal_record(struct image *image);
struct cdx_disk_commit *image_slot(struct image *image, int parity, bool mirror);
static inline int image_parity(const struct image *image)
{
	return (int)(get64(image->record->transaction) & 1);
}

/* ---- nodes and items -------------------------------------------------------- */

struct cdx_disk_node *image_node(struct image *image, uint64_t grain);
static inline uint64_t grain_of(const struct image *image, const struct cdx_disk_node *node)
{
	return (uint64_t)((const unsigned char *)node - image->bytes) >> image->super.grain_shift;
}
static inline void *node_items(struct cdx_disk_node *node)
{
	return node + 1;
}
/* What an inner node's item says of its child. */
struct cdx_disk_child *node_child(struct cdx_disk_node *node, unsigned int index);
/* Where a node that borrows names its base. */
struct cdx_disk_base *node_base(struct cdx_disk_node *node);
size_t item_size(const struct cdx_disk_fs_item *item);

struct place {
	struct cdx_disk_node *node;	/* a leaf of the fs tree */
	struct cdx_disk_fs_item *item;
};
struct place find_inode(struct image *image, uint64_t inode);
struct place find_name(struct image *image, uint64_t directory, const char *name);
/* A name of @inode, or no item. */
struct place find_dirent_of(struct image *image, uint64_t inode);
/* By a path of names without a leading "/"; "" is the root. */
uint64_t inode_of(struct image *image, const char *path);
struct cdx_disk_inode *inode_at(struct image *image, const char *path);
struct cdx_disk_dirent *dirent_at(struct image *image, uint64_t directory, const char *name);
struct cdx_disk_extent *inline_extents(struct cdx_disk_inode *inode);
struct cdx_disk_ref *extent_root(struct cdx_disk_inode *inode);
/* The root node of a file's extents; and what an inner node of these has. */
struct cdx_disk_node *root_of(struct image *image, const char *path);
struct extent_child { le64 key; struct cdx_disk_child child; };
void remove_item(struct image *image, struct place place);
/* Whether insert_item() has room for it. */
bool item_fits(struct image *image, uint64_t inode, uint64_t kind, uint64_t hash, size_t length);
/* The lowest key of a name: FORMAT 9.2. */
uint64_t name_hash(const struct image *image, const char *name);
/* Put an item of @length bytes of @value where its key belongs. */
void insert_item(struct image *image, uint64_t inode, uint64_t kind, uint64_t hash,
		 const void *value, size_t length);
/* Insert a name for @target; @collision goes into the key. */
void insert_name(struct image *image, uint64_t directory, const char *name, uint64_t target,
		 unsigned int type, unsigned int collision);
/* Give an inode these extents, inline. */
void set_inline(struct image *image, const char *path, const struct cdx_disk_extent *extents,
		unsigned int count);
void add64(le64 *field, uint64_t by);
void add32(le32 *field, uint32_t by);

/* ---- space -------------------------------------------------------------------- */

uint64_t get_count(struct image *image, uint64_t grain);
/* Set the reference count of grains, keeping the tree canonical; free_grains is left alone. */
void set_counts(struct image *image, uint64_t grain, uint64_t grains, uint64_t count);
/* Whole, aligned blocks out of the pool: they keep count 1. */
uint64_t take_blocks(struct image *image, unsigned int blocks);
void add_reserve(struct image *image, uint64_t start, uint64_t count, bool window);
struct cdx_disk_limbo *limbo_list(struct image *image);
void add_limbo(struct image *image, const struct cdx_disk_limbo *limbo);

/* ---- amendments ---------------------------------------------------------------- */

/* FORMAT 4.3: all of the record's, and the one of a node's item or NULL. */
struct cdx_disk_amend *amend_list(const struct image *image);
struct cdx_disk_amend *find_amend(const struct image *image, const struct cdx_disk_node *node,
				  unsigned int index);
bool amend_fits(const struct image *image);
/* Returns it where it is in the record: until something else of that grows. */
struct cdx_disk_amend *add_amend(struct image *image, const struct cdx_disk_amend *amend);
/* Amend an inner node's item, or a leaf's inode, and say just what it says itself. */
struct cdx_disk_amend *amend_child(struct image *image, struct cdx_disk_node *node,
				   unsigned int index);
struct cdx_disk_amend *amend_times(struct image *image, struct place place);
/* The same, and the node's own item says nothing any more. */
struct cdx_disk_amend *hide_child(struct image *image, struct cdx_disk_node *node,
				  unsigned int index);
/* Where the child is that an inner node's item has, as amended. */
uint64_t child_address(const struct image *image, struct cdx_disk_node *node, unsigned int index);
/* Write all amendments into their nodes, and seal. */
void fold_amends(struct image *image);
/* A leaf's items have moved up or down, from that one on; @by -1: it is gone. */
void shift_amends(struct image *image, const struct cdx_disk_node *leaf, unsigned int index, int by);
/* Which item of its leaf it is. */
unsigned int item_number(struct place place);
/* Drop those of trees of this kind. */
void drop_amends(struct image *image, enum cdx_kind kind);

/* A node of @count items of @size bytes each, at @grain. */
struct cdx_disk_node *make_node(struct image *image, uint64_t grain, enum cdx_kind kind,
				unsigned int level, const void *items, unsigned int count,
				size_t size);
/* A staging tree of one entry without extents. */
struct cdx_disk_staging *make_staging(struct image *image);

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
