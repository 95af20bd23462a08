/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that a user can see in an image, as one number. */
#ifndef CRASH_CONTENT_H
#define CRASH_CONTENT_H

#include <stdio.h>

#include "crash.h"

#define MAX_ENTRIES 64
#define MAX_PATH 48

struct content_entry {
	char path[MAX_PATH];
	uint64_t inode, size;
	uint64_t hash;			/* of attributes, extents and bytes */
	bool directory;
};

struct content {
	uint64_t hash;			/* of everything */
	uint64_t transaction;
	unsigned int entries;
	struct content_entry entry[MAX_ENTRIES];
};

#define CONTENT_VOID UINT64_C(1)	/* there is no filesystem */

/* As one commit has it, not inside a transaction; 0, or -errno with the reason in @error. */
int content_take(struct cowdax *fs, struct content *content, struct cowdax_error *error);
/* Through a reader of its own. */
int content_look(unsigned int flags, struct content *content, struct cowdax_error *error);
/* What is in @found and not in @expected, and the other way round. */
void content_compare(FILE *file, const struct content *expected, const struct content *found);

#endif
