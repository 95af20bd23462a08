/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_REPAIR_MEDIA_H
#define CDX_REPAIR_MEDIA_H

#include <stdbool.h>

#include "cowdax.h"

/* What is to be mended of superblocks and commit slots. */
struct cdx_repair_media {
	uint64_t fs_offset;
	bool backup_super;	/* believe the backup */
	bool choose;		/* where both are whole and differ, the one that is not believed is given up */
	bool slots;		/* nothing but slots is wrong with the image: have all four say what they should */
};

/*
 * Mend them, alone with the image: -EBUSY when anybody has it open.  The superblock that is
 * believed stays as it is until the other one is durable; slots are mended by a commit that
 * changes nothing.  So a stop at any store leaves what can be mended as before.
 */
int cdx_repair_media(const char *path, const struct cdx_repair_media *what, struct cowdax_error *error);

#endif
