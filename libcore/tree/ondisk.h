/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies on the media, and nothing else.  doc/FORMAT is the prose; the
 * numbers after each struct name its section.
 *
 * Two units of address: a *grain* is node_size bytes, a *block* is block_size
 * bytes; both count from the start of the filesystem.  The space tree, node
 * pointers, limbo and the reserves count grains, file extents count blocks.
 *
 * What a field may say is written here once, as a predicate (*_possible): the
 * library refuses what the checker names (L1).  What depends on the geometry is
 * in super.h.
 */
#ifndef CDX_ONDISK_H
#define CDX_ONDISK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/le.h"
#include "base/limits.h"

#define CDX_SUPER_SIZE 4096		/* bytes set aside for a superblock, and for each slot */
#define CDX_SLOT_SIZE 4096
#define CDX_VERSION 1

#define CDX_SUPER_MAGIC "\xC0" "cowdax\n"	/* 8 bytes, without the terminator */
#define CDX_SLOT_MAGIC UINT32_C(0x54584443)	/* "CDXT" */
#define CDX_NODE_MAGIC UINT32_C(0x4e584443)	/* "CDXN" */

/*
 * FORMAT 2: superblock, at byte 0 and, as the backup, in the last 4096 bytes.
 * crc is CRC32C (initial value ~0, final complement) of all bytes before it.
 */
struct cdx_disk_super {
	uint8_t magic[8];
	le32 version;
	le32 block_size;
	le32 node_size;
	le32 reserved0;
	le64 size;		/* bytes, a multiple of block_size */
	le64 compat;
	le64 ro_compat;
	le64 incompat;
	uint8_t uuid[16];
	le64 seed;		/* drawn by each mkfs: see CDX checksum seed */
	uint8_t label[64];	/* zero-filled */
	le64 created;		/* seconds since the epoch */
	uint8_t reserved[100];
	le32 crc;
};
static_assert(sizeof(struct cdx_disk_super) == 256, "FORMAT 2");
static_assert(offsetof(struct cdx_disk_super, size) == 24, "FORMAT 2");
static_assert(offsetof(struct cdx_disk_super, uuid) == 56, "FORMAT 2");
static_assert(offsetof(struct cdx_disk_super, label) == 80, "FORMAT 2");

/* FORMAT 6: the kinds of trees. */
enum cdx_kind {
	CDX_KIND_FS = 1,
	CDX_KIND_EXTENT = 2,
	CDX_KIND_SPACE = 3,
	CDX_KIND_LIMBO = 4,
	CDX_KIND_STAGING = 5,
};

/* FORMAT 3: a pointer to a tree's root; address 0 means an empty tree. */
struct cdx_disk_ref {
	le64 address;		/* grains */
	le32 crc;		/* the node's own crc field */
	uint8_t level;		/* the root's level, 0 for a leaf */
	uint8_t reserved[3];
};
static_assert(sizeof(struct cdx_disk_ref) == 16, "FORMAT 3");
static inline bool cdx_ref_possible(const struct cdx_disk_ref *ref)
{
	if (!get64(ref->address))
		return !get32(ref->crc) && !ref->level;
	return ref->level <= CDX_MAX_LEVEL;
}

/* FORMAT 4.1: a run of grains held by the commit record. */
struct cdx_disk_run {
	le64 start;		/* grains */
	le64 count;		/* grains, not 0 */
};
static_assert(sizeof(struct cdx_disk_run) == 16, "FORMAT 4.1");

/* FORMAT 5: what went away: a run of grains of count 1, a subtree by its top
 * node, or a run of grains of any counts. */
enum cdx_limbo_type { CDX_LIMBO_RUN = 1, CDX_LIMBO_TREE = 2, CDX_LIMBO_DROP = 3 };
struct cdx_disk_limbo {
	le64 transaction;	/* that dropped it */
	le64 address;		/* grains */
	le32 count_or_crc;	/* RUN, DROP: grains, not 0; TREE: the node's crc */
	uint8_t type;		/* enum cdx_limbo_type */
	uint8_t kind;		/* TREE: enum cdx_kind; else 0 */
	uint8_t level;		/* TREE: the node's level; else 0 */
	uint8_t reserved;
};
static_assert(sizeof(struct cdx_disk_limbo) == 24, "FORMAT 5");
static inline bool cdx_limbo_possible(const struct cdx_disk_limbo *limbo)
{
	if (get64(limbo->transaction) < CDX_FIRST_TRANSACTION)
		return false;
	if (limbo->type == CDX_LIMBO_TREE)
		return limbo->kind == CDX_KIND_EXTENT && limbo->level <= CDX_MAX_LEVEL;
	return (limbo->type == CDX_LIMBO_RUN || limbo->type == CDX_LIMBO_DROP) &&
	       get32(limbo->count_or_crc) && !limbo->kind && !limbo->level;
}

/*
 * FORMAT 4.3: what has changed of a node that stays where it is.  Of an inner node: its item's
 * child; of a leaf of the fs tree: the times of a change of the inode that its item is.
 */
struct cdx_disk_amend {
	le64 node;		/* grains */
	le64 value;		/* the child's address; or seconds */
	le32 more;		/* its crc; or nanoseconds */
	le16 index;		/* of the item */
	uint8_t kind, level;	/* the node's */
};
static_assert(sizeof(struct cdx_disk_amend) == 24, "FORMAT 4.3");
static inline bool cdx_amend_possible(const struct cdx_disk_amend *amend)
{
	return amend->kind >= CDX_KIND_FS && amend->kind <= CDX_KIND_STAGING &&
	       amend->level <= CDX_MAX_LEVEL && (amend->level || amend->kind == CDX_KIND_FS);
}

/*
 * FORMAT 4: the commit record, in slot transaction % 2.  The primary slots lie
 * at bytes 4096 and 8192, their mirrors 12288 and 8192 bytes before the end.
 * After the fixed part come n_pool runs, n_window runs, n_limbo limbo entries and
 * n_amends amendments; length covers all of it.  crc covers bytes 8 .. length.
 */
struct cdx_disk_commit {
	le32 magic;
	le32 crc;
	le32 length;
	le16 n_pool;
	le16 n_window;
	le16 n_limbo;
	le16 n_amends;
	le32 reserved1;
	le64 transaction;
	le64 next_inode;
	le64 inodes;		/* in the fs tree */
	le64 free_grains;	/* of refcount 0 in the space tree */
	le64 next_nonce;	/* for staging entries */
	struct cdx_disk_ref fs;
	struct cdx_disk_ref space;
	struct cdx_disk_ref limbo;
	struct cdx_disk_ref staging;
	struct cdx_disk_ref snapshots;
	le64 size;		/* the superblock's: where the backup is, should that be lost */
	le64 orphans;		/* orphan items in the fs tree */
	le64 limbo_grains;	/* of the limbo tree's entries: a RUN's count, 1 for a TREE */
	le64 staged_blocks;	/* of all staging entries */
	le64 trimmed;		/* the transaction that last gave free space back to the host */
	le64 unwritten_blocks;	/* of the extents that are */
	le64 unwritten_extents;	/* in extent trees' leaves and in inodes */
};
static_assert(sizeof(struct cdx_disk_commit) == 200, "FORMAT 4");
static_assert(offsetof(struct cdx_disk_commit, transaction) == 24, "FORMAT 4");
static_assert(offsetof(struct cdx_disk_commit, fs) == 64, "FORMAT 4");
static_assert(offsetof(struct cdx_disk_commit, size) == 144, "FORMAT 4");
static_assert(offsetof(struct cdx_disk_commit, orphans) == 152, "FORMAT 4");

/* The number after the last one may stand there: then none is left to be drawn. */
static inline bool cdx_next_inode_possible(uint64_t next)
{
	return next && next <= CDX_LAST_INODE + 1;
}
static inline bool cdx_next_nonce_possible(uint64_t next)
{
	return next && next <= CDX_LAST_NONCE + 1;
}

/*
 * FORMAT 6.1: a node starts with this; crc covers bytes 8 .. used.  Then come
 * count items in strictly ascending key order without gaps; what follows
 * `used` up to node_size is not defined.
 */
struct cdx_disk_node {
	le32 magic;
	le32 crc;
	le64 address;		/* its own, grains */
	le64 birth;		/* transaction that wrote it */
	le16 used;		/* bytes, this header included */
	le16 count;		/* items; 0 never occurs on media */
	uint8_t kind;
	uint8_t level;		/* 0: leaf */
	le16 flags;
};
static_assert(sizeof(struct cdx_disk_node) == 32, "FORMAT 6.1");

/* FORMAT 6.4: after the `used` bytes of a node with this flag, which only kind EXTENT has. */
#define CDX_NODE_BASED 1
struct cdx_disk_base {
	le64 address;		/* grains */
	le32 crc;
	le32 reserved;
};
static_assert(sizeof(struct cdx_disk_base) == 16, "FORMAT 6.4");

/* The most that a node's `used` can be: each of an extent tree has room for a base. */
static inline unsigned int cdx_node_room(unsigned int kind, unsigned int node_size)
{
	return node_size - (kind == CDX_KIND_EXTENT ? (unsigned int)sizeof(struct cdx_disk_base) : 0);
}

/* Bytes of a node that mean something, and that its checksum covers. */
static inline unsigned int cdx_node_length(const struct cdx_disk_node *node)
{
	return get16(node->used) + (get16(node->flags) & CDX_NODE_BASED ?
				    (unsigned int)sizeof(struct cdx_disk_base) : 0);
}

/* What node_size and `used` allow of a header's flags. */
static inline bool cdx_node_flags_possible(const struct cdx_disk_node *node)
{
	return !get16(node->flags) ||
	       (get16(node->flags) == CDX_NODE_BASED && node->kind == CDX_KIND_EXTENT);
}

/* FORMAT 6.2: item of an inner node = key words, then this. */
struct cdx_disk_child {
	le64 address;		/* grains */
	le32 crc;
	le32 reserved;
};
static_assert(sizeof(struct cdx_disk_child) == 16, "FORMAT 6.2");

/* FORMAT 7.1: inner item of the space tree: le64 start, then this. */
struct cdx_disk_space_child {
	struct cdx_disk_child child;
	le64 largest;		/* measure of the largest free run below */
	le64 add;		/* to every count below, two's complement */
};
static_assert(sizeof(struct cdx_disk_space_child) == 32, "FORMAT 7.1");

/* FORMAT 7: leaf item of the space tree: the run reaches to the next item. */
struct cdx_disk_space {
	le64 start;		/* grains */
	le64 refcount;		/* 0: free */
};
static_assert(sizeof(struct cdx_disk_space) == 16, "FORMAT 7");

/* FORMAT 8: leaf item of an extent tree, and inline in an inode. */
#define CDX_EXTENT_UNWRITTEN UINT32_C(1)
struct cdx_disk_extent {
	le64 file_block;
	le64 disk_block;
	le32 count;		/* blocks, not 0 */
	le32 flags;
};
static_assert(sizeof(struct cdx_disk_extent) == 24, "FORMAT 8");
static inline bool cdx_extent_possible(const struct cdx_disk_extent *extent)
{
	return get32(extent->count) && !(get32(extent->flags) & ~CDX_EXTENT_UNWRITTEN);
}
static inline bool cdx_extent_in_range(const struct cdx_disk_extent *extent,
				       unsigned int block_shift)
{
	uint64_t blocks = CDX_MAX_FILE >> block_shift;

	return get64(extent->file_block) < blocks &&
	       get32(extent->count) <= blocks - get64(extent->file_block);
}

/*
 * FORMAT 9: leaf item of the fs tree: this, then length bytes of value, then
 * zeros up to a multiple of 8.
 */
enum cdx_item { CDX_ITEM_INODE = 1, CDX_ITEM_DIRENT = 2, CDX_ITEM_ORPHAN = 3 };
#define CDX_ORPHAN_INODE 0		/* FORMAT 9.3: what orphan items have as their inode */
struct cdx_disk_fs_item {
	le64 inode;
	le64 item;		/* enum cdx_item */
	le64 hash;		/* dirent: hash of the name << 8 | collision number; orphan: its inode; else 0 */
	le16 length;
	le16 reserved0;
	le32 reserved1;
};
static_assert(sizeof(struct cdx_disk_fs_item) == 32, "FORMAT 9");

/* Bytes that an item takes in its leaf. */
static inline size_t cdx_fs_item_size(const void *item)
{
	const struct cdx_disk_fs_item *fs = item;

	return sizeof(*fs) + ((get16(fs->length) + 7u) & ~7u);
}

/* FORMAT 9.1: value of an inode item; then inline extents, or one cdx_disk_ref. */
enum cdx_layout { CDX_LAYOUT_INLINE = 0, CDX_LAYOUT_TREE = 1 };
struct cdx_disk_time { le64 seconds; le32 nanoseconds; le32 reserved; };
struct cdx_disk_inode {
	le32 mode;
	le32 uid;
	le32 gid;
	le32 nlink;
	le64 size;		/* bytes; of a directory: its entries */
	le64 parent;		/* of a directory: the one it is in (root: itself); else 0 */
	struct cdx_disk_time atime, mtime, ctime, btime;
	uint8_t layout;		/* enum cdx_layout */
	uint8_t n_inline;	/* INLINE: extents that follow */
	uint8_t reserved[6];
};
static_assert(sizeof(struct cdx_disk_time) == 16, "FORMAT 9.1");
static_assert(sizeof(struct cdx_disk_inode) == 104, "FORMAT 9.1");
static inline bool cdx_mode_possible(uint32_t mode)
{
	return !(mode & ~(uint32_t)(S_IFMT | 07777)) && (S_ISREG(mode) || S_ISDIR(mode));
}
/* Whether @length is that of an inode and just what its layout says follows. */
static inline bool cdx_layout_possible(const struct cdx_disk_inode *inode, size_t length)
{
	const struct cdx_disk_ref *ref = (const struct cdx_disk_ref *)(inode + 1);

	if (length < sizeof(*inode))
		return false;
	length -= sizeof(*inode);
	if (inode->layout == CDX_LAYOUT_TREE)
		return !inode->n_inline && length == sizeof(*ref) && get64(ref->address);
	return inode->layout == CDX_LAYOUT_INLINE && inode->n_inline <= CDX_INLINE_EXTENTS &&
	       length == inode->n_inline * sizeof(struct cdx_disk_extent);
}

/* FORMAT 4.3: whether an item of a leaf of the fs tree is one whose times can be amended. */
static inline bool cdx_times_amendable(const struct cdx_disk_fs_item *item)
{
	return get64(item->item) == CDX_ITEM_INODE && get16(item->length) >= sizeof(struct cdx_disk_inode);
}

/* FORMAT 9.2: value of a dirent item, then the name. */
struct cdx_disk_dirent {
	le64 inode;
	uint8_t type;		/* S_IFMT bits >> 12 */
	uint8_t name_length;
};
#define CDX_DIRENT_HEADER 10		/* bytes before the name */
static_assert(offsetof(struct cdx_disk_dirent, name_length) == 9, "FORMAT 9.2");
static inline bool cdx_name_possible(const char *name, size_t length)
{
	if (length == 0 || length > CDX_NAME_MAX || memchr(name, 0, length) ||
	    memchr(name, '/', length))
		return false;
	return !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

/* FORMAT 10: value of a staging item; its key is the lane's number. */
struct cdx_disk_staging {
	le64 lane;
	le64 nonce;
	le64 blocks;		/* that the extents map */
	struct cdx_disk_ref extents;
};
static_assert(sizeof(struct cdx_disk_staging) == 40, "FORMAT 10");
static inline bool cdx_lane_possible(uint64_t lane)
{
	return lane <= CDX_MAX_LANE;
}

#endif
