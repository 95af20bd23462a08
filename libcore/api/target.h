/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file that a write is for, and where in it: decided again in each transaction. */
#ifndef CDX_TARGET_H
#define CDX_TARGET_H

#include "api/image.h"

struct cdx_target {
	const char *path;		/* NULL: by number only, and it must be there */
	uint64_t inode;			/* its number; 0 while there is no such file */
	uint64_t start;			/* of the first byte of the whole operation */
	uint64_t offset;		/* of the next to be written */
	bool append, truncate, no_create;
};

/* Whether the write could succeed at all, as the image is now; learns inode and offset. */
int cdx_target_look(struct cowdax *fs, struct cdx_target *target, struct cowdax_error *error);
/* In a transaction: the file, created when it is missing and may be. */
int cdx_target_open(struct cowdax *fs, const struct cdx_target *target, struct cdx_inode *inode,
		    struct cowdax_error *error);
/* In a transaction: cut to nothing what is to be replaced, and settle where the bytes go. */
int cdx_target_prepare(struct cowdax *fs, struct cdx_target *target, struct cdx_inode *inode,
		       struct cowdax_result *result);
/* In a transaction, all in place up to @end: store the inode, and say in the result what it worked on. */
int cdx_target_store(struct cowdax *fs, const struct cdx_target *target, const struct cdx_inode *inode,
		     uint64_t end, struct cowdax_result *result);

#endif
