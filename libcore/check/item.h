/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items of the file tree's leaves (FORMAT 9): where they end, and the extents in them. */
#ifndef CDX_CHECK_ITEM_H
#define CDX_CHECK_ITEM_H

#include "check/extent.h"

/* The item at *@offset of a leaf judged before, or NULL if it does not fit; moves *@offset on. */
const struct cdx_disk_fs_item *cdx_check_next_item(struct cdx_check *ck, const unsigned char *bytes,
						   size_t *offset);
/* Whether @item is an inode whose extents can be found; if so, fills in disk, value and inode. */
bool cdx_check_item_extents(const struct cdx_disk_fs_item *item, struct cdx_file_extents *file);
/* The inode whose data in one block @grain lies, where @owner is the data event's owner; or 0. */
uint64_t cdx_check_owner_inode(struct cdx_check *ck, uint32_t owner, uint64_t grain);

#endif
