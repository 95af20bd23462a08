/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items of the file tree's leaves (FORMAT 9): where they end, and the extents in them. */
#ifndef CDX_CHECK_ITEM_H
#define CDX_CHECK_ITEM_H

#include "check/extent.h"

struct cdx_extent_child {		/* FORMAT 6.2, of an extent tree */
	le64 file_block;
	struct cdx_disk_child child;
};
static_assert(sizeof(struct cdx_extent_child) == sizeof(struct cdx_disk_extent), "FORMAT 6.2, 8");

/*
 * The items of a node judged before; what it says of itself now is believed as far as it fits
 * in there: *count of an extent tree's items, 0 where it cannot be read.
 */
const void *cdx_check_read_again(struct cdx_check *ck, const struct cdx_seen *seen, unsigned int *count);

/* The item at *@offset of a leaf judged before, or NULL if it does not fit; moves *@offset on. */
const struct cdx_disk_fs_item *cdx_check_next_item(struct cdx_check *ck, const unsigned char *bytes,
						   size_t *offset);
/* Whether @item is an inode whose extents can be found; if so, fills in disk, value and inode. */
bool cdx_check_item_extents(const struct cdx_disk_fs_item *item, struct cdx_file_extents *file);
/* The inode whose data in one block @grain lies, where @owner is the data event's owner; or 0. */
uint64_t cdx_check_owner_inode(struct cdx_check *ck, uint32_t owner, uint64_t grain);

#endif
