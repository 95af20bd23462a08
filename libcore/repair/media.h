/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_REPAIR_MEDIA_H
#define CDX_REPAIR_MEDIA_H

#include <stdbool.h>

#include "cowdax.h"

struct cdx_recount;

/* What is to be mended of superblocks and commit slots. */
struct cdx_repair_media {
	uint64_t fs_offset;
	bool backup_super;	/* believe the backup */
	bool choose;		/* where both are whole and differ, the one that is not believed is given up */
	bool commit;		/* nothing else is wrong with the image: commit, which has all four slots say what they should */
	const struct cdx_recount *recount;	/* with a space tree made anew from that, or NULL */
	uint64_t transaction;	/* the commit that was checked: -EBUSY when there has been another */
};

/*
 * Mend them, alone with the image: -EBUSY when anybody has it open.  The superblock that is
 * believed stays as it is until the other one is durable; all else is one commit.  So a stop at any store leaves what can be mended as before.
 */
int cdx_repair_media(const char *path, const struct cdx_repair_media *what, struct cowdax_error *error);

#endif
