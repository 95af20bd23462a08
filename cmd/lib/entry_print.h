/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One entry of a listing, as cowdax-ls prints it. */
#ifndef ENTRY_PRINT_H
#define ENTRY_PRINT_H

#include <stdbool.h>

#include "cowdax.h"

struct json;

struct entry_style {
	bool details, inodes, human;
	char end;		/* of a line */
	struct json *json;	/* NULL: text */
};

/** A name to be listed: where it is, and how it is called there. */
struct entry {
	const char *path, *name;
	uint64_t inode;
	uint32_t type;		/* S_IFMT bits */
};

/** @st is looked at only for style->details. */
void entry_print(const struct entry_style *style, const struct entry *entry,
		 const struct cowdax_stat *st);

#endif
