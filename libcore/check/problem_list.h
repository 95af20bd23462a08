/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the checker can find, once for everybody: the enum and the table in
 * problem.[ch], the manual (tests/check-problems) and the tests (tests/check/damage)
 * come from here.  Whoever includes this defines
 *
 *	P(id, code, severity, pass, repair, message, damage)
 *
 * first.  Codes are stable.  @pass is 0 for what any pass may find.  @repair is SAFE where
 * fsck.cowdax -p mends it, CHOICE where only -y does, since something is given up, IN_SPACE where
 * -p does in the space tree, which is made anew, and LEFT where nothing does as yet.  @damage names the case of tests/check/damage that brings about just this problem.
 *
 * Notes are states that a crash at any store may leave and the next writer
 * puts right; they do not make an image unclean.  A warning is damage that
 * costs no data yet, an error is anything else.
 */

/* Pass 1: superblocks and commit slots. */
P(SUPER_PRIMARY, "super-primary", ERROR, 1, SAFE,
  "the superblock is damaged, its backup is not", "superblock damaged")
P(SUPER_BACKUP, "super-backup", WARNING, 1, SAFE,
  "the backup superblock is damaged", "backup superblock damaged")
P(SUPER_DIFFER, "super-differ", ERROR, 1, CHOICE,
  "the superblock and its backup differ", "backup superblock of another label")
P(TRUNCATED, "truncated", ERROR, 1, LEFT,
  "the image is shorter than its filesystem", "image cut by a block")
P(SLOT_NONE, "slot-none", ERROR, 1, LEFT,
  "no copy of a commit record is valid", "all four slots void")
P(SLOT_DIFFER, "slot-differ", ERROR, 1, CHOICE,
  "two copies of one commit record differ", "mirror of another content")
P(SLOT_PRIMARY, "slot-primary", WARNING, 1, SAFE,
  "a commit record is only left in its mirror", "newest slot void, its mirror whole")
P(SLOT_OLDER, "slot-older", WARNING, 1, SAFE,
  "no copy of the previous commit record is left", "older slot void, and its mirror")
P(SLOT_MIRROR, "slot-mirror", NOTE, 1, SAFE,
  "the mirror of the newest commit record lags behind", "newest mirror void")
P(SLOT_TORN, "slot-torn", NOTE, 1, SAFE,
  "a commit was cut short, the one before it counts", "older slot void")
P(RESERVED_FIELD, "reserved-field", WARNING, 0, IN_SPACE,
  "a reserved field is not zero", "reserved bytes of both superblocks")
P(MEDIA_ERROR, "media-error", ERROR, 0, LEFT,
  "the media cannot be read", "trees cannot be read")

/* Nodes of every kind, and reserved fields, in any pass. */
P(REF_EMPTY, "ref-empty", ERROR, 0, IN_SPACE,
  "a reference to no tree has a checksum or a level", "reference to no tree, of level 33")
P(NODE_ADDRESS, "node-address", ERROR, 0, IN_SPACE,
  "a pointer to a node leads outside", "staged tree in the head region")
P(NODE_CHECKSUM, "node-checksum", ERROR, 0, IN_SPACE,
  "a node is damaged", "node without magic")
P(NODE_STALE, "node-stale", ERROR, 0, IN_SPACE,
  "a node is not the one that its parent names", "node of another crc")
P(NODE_SELF, "node-self", ERROR, 0, IN_SPACE,
  "a node bears another address", "node of another address")
P(NODE_BIRTH, "node-birth", ERROR, 0, IN_SPACE,
  "a node is younger than what points to it, or than mkfs", "node from the future")
P(NODE_KIND, "node-kind", ERROR, 0, IN_SPACE,
  "a node is of another kind", "staging node for extents")
P(NODE_LEVEL, "node-level", ERROR, 0, IN_SPACE,
  "a node is of another level", "leaf that says it is none")
P(NODE_EMPTY, "node-empty", ERROR, 0, IN_SPACE,
  "a node has no items", "node without items")
P(NODE_ITEMS, "node-items", ERROR, 0, IN_SPACE,
  "a node's items do not fill it", "more items than bytes")
P(NODE_ORDER, "node-order", ERROR, 0, IN_SPACE,
  "a node's keys do not ascend", "keys out of order")
P(NODE_BOUNDS, "node-bounds", ERROR, 0, IN_SPACE,
  "a node's keys exceed its parent's bounds", "key beyond the next separator")
P(NODE_SEPARATOR, "node-separator", ERROR, 0, IN_SPACE,
  "a separator is not the first key below it", "separator below the first key")
P(NODE_FLAGS, "node-flags", ERROR, 0, IN_SPACE,
  "a node has flags that it cannot have", "leaf of an unknown flag")
P(NODE_BASE, "node-base", ERROR, 0, LEFT,
  "a node borrows from one that nothing can be borrowed from", "base that has a base")
P(NODE_SHARED, "node-shared", ERROR, 0, IN_SPACE,
  "a node that must not be shared has two parents", "limbo leaf with two parents")

/* Amendments: what the record says of nodes in any pass. */
P(AMEND_FORMAT, "amend-format", ERROR, 0, LEFT,
  "an amendment makes no sense", "amendment of a node of kind 6")
P(AMEND_TWICE, "amend-twice", ERROR, 0, LEFT,
  "two amendments are of one item", "two amendments of one item")
P(AMEND_ITEM, "amend-item", ERROR, 0, LEFT,
  "an amendment does not fit its node", "amendment of an item past the last")
P(AMEND_UNREACHED, "amend-unreached", ERROR, 0, LEFT,
  "an amendment names a node that is in no tree", "amendment of a node that nothing points to")
P(AMEND_SHARED, "amend-shared", ERROR, 0, LEFT,
  "an amended node is shared, or others borrow from it", "amendment of a node of two files")

/* Pass 2: files. */
P(FS_ITEM, "fs-item", ERROR, 2, LEFT,
  "an item of the file tree makes no sense", "item of an unknown kind")
P(INODE_MODE, "inode-mode", ERROR, 2, LEFT,
  "an inode is of no known type", "a pipe")
P(INODE_SIZE, "inode-size", ERROR, 2, LEFT,
  "a file is larger than any can be", "file of 2^62 bytes")
P(INODE_TIME, "inode-time", WARNING, 2, LEFT,
  "a time has a billion nanoseconds or more", "time of a billion nanoseconds")
P(INODE_LAYOUT, "inode-layout", ERROR, 2, LEFT,
  "an inode's extents are laid out in no known way", "layout 7")
P(INODE_COUNT, "inode-count", ERROR, 2, LEFT,
  "the number of inodes is wrong", "one inode too many on record")
P(ORPHAN_COUNT, "orphan-count", ERROR, 2, LEFT,
  "the number of removed trees is wrong", "one orphan too many on record")
P(NEXT_INODE, "next-inode", ERROR, 2, LEFT,
  "the next inode number is taken, or past the last", "next inode in use")
P(EXTENT_FORMAT, "extent-format", ERROR, 2, LEFT,
  "an extent is empty or has unknown flags", "extent of no blocks")
P(EXTENT_BOUNDS, "extent-bounds", ERROR, 2, LEFT,
  "an extent leads outside", "extent in the head region")
P(EXTENT_RANGE, "extent-range", ERROR, 2, LEFT,
  "an extent ends past the largest file", "extent past the largest file")
P(EXTENT_OVERLAP, "extent-overlap", ERROR, 2, LEFT,
  "extents overlap or are out of order", "two extents at one place")
P(EXTENT_MERGE, "extent-merge", WARNING, 2, LEFT,
  "two extents should be one", "extent in two parts")
P(EXTENT_PAST_EOF, "extent-past-eof", ERROR, 2, LEFT,
  "blocks are mapped past the end of file", "file that ends before its last block")
P(EOF_NOT_ZERO, "eof-not-zero", ERROR, 2, LEFT,
  "bytes past the end of file are not zero", "byte past the end of file")
P(DIRENT_FORMAT, "dirent-format", ERROR, 2, LEFT,
  "a directory entry makes no sense", "name shorter than its item")
P(DIRENT_NAME, "dirent-name", ERROR, 2, LEFT,
  "a name is not allowed", "name with a slash")
P(DIRENT_HASH, "dirent-hash", ERROR, 2, LEFT,
  "a name is filed under a wrong hash", "name of another hash")
P(DIRENT_DUPLICATE, "dirent-duplicate", ERROR, 2, LEFT,
  "a name occurs twice in a directory", "one name for two files")
P(DIRENT_ORPHAN, "dirent-orphan", ERROR, 2, LEFT,
  "a directory entry is in no directory", "name in no directory")

/* Pass 3: directories. */
P(ROOT_MISSING, "root-missing", ERROR, 3, LEFT,
  "there is no root directory", "no root inode")
P(DIRENT_DANGLING, "dirent-dangling", ERROR, 3, LEFT,
  "a directory entry names no inode", "name of no inode")
P(DIRENT_TYPE, "dirent-type", ERROR, 3, LEFT,
  "a directory entry gives a wrong type", "name of a wrong type")
P(INODE_ORPHAN, "inode-orphan", ERROR, 3, LEFT,
  "an inode has no name", "file without a name")
P(ORPHAN_MISSING, "orphan-missing", ERROR, 3, LEFT,
  "a removed tree is no directory", "orphan of no inode")
P(ORPHAN_LINKED, "orphan-linked", ERROR, 3, LEFT,
  "a removed tree has a name still", "orphan with a name")
P(INODE_LINKS, "inode-links", ERROR, 3, LEFT,
  "a link count is wrong", "file with a link too many")
P(INODE_PARENT, "inode-parent", ERROR, 3, LEFT,
  "an inode's parent is wrong", "file with a parent")
P(DIR_SIZE, "dir-size", ERROR, 3, LEFT,
  "a directory's number of entries is wrong", "directory with an entry too many")
P(DIR_EXTENTS, "dir-extents", ERROR, 3, LEFT,
  "a directory has extents", "directory with data")
P(DIR_LINKS, "dir-links", ERROR, 3, LEFT,
  "a directory has more than one name", "directory with two names")
P(DIR_LOOP, "dir-loop", ERROR, 3, LEFT,
  "directories contain each other", "directory in its own subdirectory")

/* Pass 4: what the commit record holds. */
P(RESERVE_BOUNDS, "reserve-bounds", ERROR, 4, LEFT,
  "a reserve is empty or leads outside", "reserve in the head region")
P(RESERVE_BLOCKS, "reserve-blocks", ERROR, 4, LEFT,
  "the window is not of whole blocks", "window of parts of a block")
P(RESERVE_OVERLAP, "reserve-overlap", ERROR, 4, LEFT,
  "two reserves overlap", "two reserves with a common grain")
P(RESERVE_IN_USE, "reserve-in-use", ERROR, 4, LEFT,
  "what is in reserve is in use", "reserve of a file's block")
P(LIMBO_FORMAT, "limbo-format", ERROR, 4, LEFT,
  "a limbo entry makes no sense", "limbo entry of an unknown type")
P(LIMBO_BOUNDS, "limbo-bounds", ERROR, 4, LEFT,
  "a limbo entry leads outside", "limbo run in the tail region")
P(LIMBO_FUTURE, "limbo-future", ERROR, 4, LEFT,
  "a limbo entry is younger than the commit", "limbo run of the next transaction")
P(LIMBO_OVERLAP, "limbo-overlap", ERROR, 4, LEFT,
  "two limbo entries overlap", "limbo run of two transactions")
P(LIMBO_IN_USE, "limbo-in-use", ERROR, 4, LEFT,
  "what is in limbo is in use", "limbo run of a file's block")
P(LIMBO_GRAINS, "limbo-grains", ERROR, 4, LEFT,
  "the count of what is in the limbo tree is wrong", "limbo tree of other grains than the record says")
P(STAGING_LANE, "staging-lane", ERROR, 4, LEFT,
  "a staging lane has no lock", "staging lane without a lock byte")
P(STAGING_NONCE, "staging-nonce", ERROR, 4, LEFT,
  "a staging nonce cannot have been drawn yet", "staging nonce not drawn yet")
P(STAGING_BLOCKS, "staging-blocks", ERROR, 4, LEFT,
  "a count of staged blocks is wrong", "staging of other blocks than it says")
P(NEXT_NONCE, "next-nonce", ERROR, 4, LEFT,
  "the next staging nonce is past the last", "next nonce of 0")

/* Pass 5: space. */
P(SPACE_TILING, "space-tiling", ERROR, 5, SAFE,
  "the space tree does not tile the image", "no space tree")
P(SPACE_MERGE, "space-merge", WARNING, 5, SAFE,
  "two runs of the space tree should be one", "run in two parts")
P(SPACE_ADD, "space-add", ERROR, 5, SAFE,
  "counts are added to where there is free space", "addition above a free run")
P(SPACE_LARGEST, "space-largest", ERROR, 5, SAFE,
  "the largest free run below is wrong", "largest free run is wrong")
P(FREE_GRAINS, "free-grains", ERROR, 5, SAFE,
  "the count of free space is wrong", "a free grain too many on record")
P(UNWRITTEN_COUNT, "unwritten-count", ERROR, 5, SAFE,
  "the count of what is preallocated is wrong", "an unwritten block too many on record")
P(REFCOUNT_LOW, "refcount-low", ERROR, 5, SAFE,
  "a reference count is below the pointers", "shared node of count 1")
P(REFCOUNT_HIGH, "refcount-high", ERROR, 5, SAFE,
  "a reference count is above the pointers", "node of two files with count 3")
P(NODE_IN_DATA, "node-in-data", ERROR, 5, LEFT,
  "a node lies in a file's data", "node in a file's block")

#undef P
