/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the checker can find: a table of stable codes, and how a finding is
 * reported.  A repair will hang on the same table.
 *
 * Notes are states that a crash at any store may leave and the next writer
 * puts right; they do not make an image unclean.  A warning is damage that
 * costs no data yet, an error is anything else.
 */
#ifndef CDX_CHECK_PROBLEM_H
#define CDX_CHECK_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cowdax.h"

#define CDX_PROBLEMS(P)                                                                           \
	/* pass 1: superblocks and commit slots */                                                \
	P(SUPER_PRIMARY, "super-primary", ERROR, "the superblock is damaged, its backup is not")  \
	P(SUPER_BACKUP, "super-backup", WARNING, "the backup superblock is damaged")              \
	P(SUPER_DIFFER, "super-differ", ERROR, "the superblock and its backup differ")            \
	P(TRUNCATED, "truncated", ERROR, "the image is shorter than its filesystem")              \
	P(SLOT_NONE, "slot-none", ERROR, "no copy of a commit record is valid")                   \
	P(SLOT_DIFFER, "slot-differ", ERROR, "two copies of one commit record differ")            \
	P(SLOT_PRIMARY, "slot-primary", WARNING, "a commit record is only left in its mirror")    \
	P(SLOT_OLDER, "slot-older", WARNING, "no copy of the previous commit record is left")     \
	P(SLOT_MIRROR, "slot-mirror", NOTE, "the mirror of the newest commit record lags behind") \
	P(SLOT_TORN, "slot-torn", NOTE, "a commit was cut short, the one before it counts")       \
	P(RESERVED_FIELD, "reserved-field", WARNING, "a reserved field is not zero")              \
	P(MEDIA_ERROR, "media-error", ERROR, "the media cannot be read")                          \
	/* nodes of every kind */                                                                 \
	P(NODE_ADDRESS, "node-address", ERROR, "a pointer to a node leads outside")               \
	P(NODE_CHECKSUM, "node-checksum", ERROR, "a node is damaged")                             \
	P(NODE_STALE, "node-stale", ERROR, "a node is not the one that its parent names")         \
	P(NODE_SELF, "node-self", ERROR, "a node bears another address")                          \
	P(NODE_BIRTH, "node-birth", ERROR, "a node is younger than the commit")                   \
	P(NODE_KIND, "node-kind", ERROR, "a node is of another kind")                             \
	P(NODE_LEVEL, "node-level", ERROR, "a node is of another level")                          \
	P(NODE_EMPTY, "node-empty", ERROR, "a node has no items")                                 \
	P(NODE_ITEMS, "node-items", ERROR, "a node's items do not fill it")                       \
	P(NODE_ORDER, "node-order", ERROR, "a node's keys do not ascend")                         \
	P(NODE_BOUNDS, "node-bounds", ERROR, "a node's keys exceed its parent's bounds")          \
	P(NODE_SEPARATOR, "node-separator", ERROR, "a separator is not the first key below it")   \
	P(NODE_SHARED, "node-shared", ERROR, "a node that must not be shared has two parents")    \
	/* pass 2: files */                                                                       \
	P(FS_ITEM, "fs-item", ERROR, "an item of the file tree makes no sense")                   \
	P(INODE_MODE, "inode-mode", ERROR, "an inode is of no known type")                        \
	P(INODE_SIZE, "inode-size", ERROR, "a file is larger than any can be")                    \
	P(INODE_TIME, "inode-time", WARNING, "a time has a billion nanoseconds or more")          \
	P(INODE_LAYOUT, "inode-layout", ERROR, "an inode's extents are laid out in no known way") \
	P(INODE_COUNT, "inode-count", ERROR, "the number of inodes is wrong")                     \
	P(NEXT_INODE, "next-inode", ERROR, "the next inode number is taken")                      \
	P(EXTENT_FORMAT, "extent-format", ERROR, "an extent is empty or has unknown flags")       \
	P(EXTENT_BOUNDS, "extent-bounds", ERROR, "an extent leads outside")                       \
	P(EXTENT_RANGE, "extent-range", ERROR, "an extent ends past the largest file")            \
	P(EXTENT_OVERLAP, "extent-overlap", ERROR, "extents overlap or are out of order")         \
	P(EXTENT_MERGE, "extent-merge", WARNING, "two extents should be one")                     \
	P(EXTENT_PAST_EOF, "extent-past-eof", ERROR, "blocks are mapped past the end of file")    \
	P(EOF_NOT_ZERO, "eof-not-zero", ERROR, "bytes past the end of file are not zero")         \
	P(DIRENT_FORMAT, "dirent-format", ERROR, "a directory entry makes no sense")              \
	P(DIRENT_NAME, "dirent-name", ERROR, "a name is not allowed")                             \
	P(DIRENT_HASH, "dirent-hash", ERROR, "a name is filed under a wrong hash")                \
	P(DIRENT_DUPLICATE, "dirent-duplicate", ERROR, "a name occurs twice in a directory")      \
	P(DIRENT_ORPHAN, "dirent-orphan", ERROR, "a directory entry is in no directory")          \
	/* pass 3: directories */                                                                 \
	P(ROOT_MISSING, "root-missing", ERROR, "there is no root directory")                      \
	P(DIRENT_DANGLING, "dirent-dangling", ERROR, "a directory entry names no inode")          \
	P(DIRENT_TYPE, "dirent-type", ERROR, "a directory entry gives a wrong type")              \
	P(INODE_ORPHAN, "inode-orphan", ERROR, "an inode has no name")                            \
	P(INODE_LINKS, "inode-links", ERROR, "a link count is wrong")                             \
	P(INODE_PARENT, "inode-parent", ERROR, "an inode's parent is wrong")                      \
	P(DIR_SIZE, "dir-size", ERROR, "a directory's number of entries is wrong")                \
	P(DIR_EXTENTS, "dir-extents", ERROR, "a directory has extents")                           \
	P(DIR_LINKS, "dir-links", ERROR, "a directory has more than one name")                    \
	P(DIR_LOOP, "dir-loop", ERROR, "directories contain each other")                          \
	/* pass 4: what the commit record holds */                                                \
	P(RESERVE_BOUNDS, "reserve-bounds", ERROR, "a reserve is empty or leads outside")         \
	P(RESERVE_BLOCKS, "reserve-blocks", ERROR, "the window is not of whole blocks")           \
	P(RESERVE_OVERLAP, "reserve-overlap", ERROR, "two reserves overlap")                      \
	P(RESERVE_IN_USE, "reserve-in-use", ERROR, "what is in reserve is in use")                \
	P(LIMBO_FORMAT, "limbo-format", ERROR, "a limbo entry makes no sense")                    \
	P(LIMBO_BOUNDS, "limbo-bounds", ERROR, "a limbo entry leads outside")                     \
	P(LIMBO_FUTURE, "limbo-future", ERROR, "a limbo entry is younger than the commit")        \
	P(LIMBO_OVERLAP, "limbo-overlap", ERROR, "two limbo entries overlap")                     \
	P(LIMBO_IN_USE, "limbo-in-use", ERROR, "what is in limbo is in use")                      \
	P(STAGING_LANE, "staging-lane", ERROR, "a staging lane has no lock")                      \
	P(STAGING_NONCE, "staging-nonce", ERROR, "a staging nonce is yet to be drawn")            \
	P(STAGING_INODE, "staging-inode", ERROR, "a staging entry is for no possible inode")      \
	/* pass 5: space */                                                                       \
	P(SPACE_TILING, "space-tiling", ERROR, "the space tree does not tile the image")          \
	P(SPACE_MERGE, "space-merge", WARNING, "two runs of the space tree should be one")        \
	P(SPACE_LARGEST, "space-largest", ERROR, "the largest free run below is wrong")           \
	P(FREE_GRAINS, "free-grains", ERROR, "the count of free space is wrong")                  \
	P(REFCOUNT_LOW, "refcount-low", ERROR, "a reference count is below the pointers")         \
	P(REFCOUNT_HIGH, "refcount-high", ERROR, "a reference count is above the pointers")       \
	P(NODE_IN_DATA, "node-in-data", ERROR, "a node lies in a file's data")

enum cdx_problem {
#define P(id, code, severity, message) CDX_P_##id,
	CDX_PROBLEMS(P)
#undef P
	CDX_P_COUNT
};

struct cdx_problem_info {
	const char *code, *message;
	enum cowdax_severity severity;
};
extern const struct cdx_problem_info cdx_problem_table[CDX_P_COUNT];

/* Where something was found, and what.  Zeroed fields do not apply. */
struct cdx_finding {
	uint64_t inode;
	uint64_t grain, grains;
	bool compared;			/* whether found and expected mean anything */
	uint64_t found, expected;
};

#endif
