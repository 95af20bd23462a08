/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entries of one directory, sorted by the bytes of their names. */
#ifndef LISTING_H
#define LISTING_H

#include "cowdax.h"

struct listing_entry {
	const char *name;
	uint64_t inode;
	uint32_t type;			/* S_IFMT bits */
};

struct listing {
	struct listing_entry *entries;
	size_t count;
	char *names;			/* one behind the other, as they were read */
};

/** Read the directory @inode into @listing, which starts as zeros; release it also on failure. */
int listing_read(struct cowdax *fs, uint64_t inode, struct listing *listing,
		 struct cowdax_error *error);
void listing_release(struct listing *listing);

#endif
