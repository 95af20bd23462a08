/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of an extent tree that stay within one leaf. */
#ifndef CDX_EXTENT_PATCH_H
#define CDX_EXTENT_PATCH_H

#include "fs/extent_part.h"

/*
 * Map @new's range by @new, where that and what it takes the place of lie in one leaf, and no
 * other changes: 1 when done; 0 when not so, and nothing has; -errno.  With @drop the pointers that give
 * way go away, and @new's are the tree's.
 */
int cdx_extent_patch(struct cdx_tree *tree, const struct cdx_extent *new, bool drop);

#endif
