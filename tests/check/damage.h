/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAMAGE_H
#define DAMAGE_H

#include "edit.h"

/* Which image a case starts from. */
enum base {
	PLAIN,		/* blocks of 4 nodes, each tree one leaf: see base.c for what is in it */
	DEEP,		/* nodes of 512 bytes: trees have inner nodes */
};

/* How a case is checked when writing the changed bytes to a file is not all. */
enum how {
	AS_IS,
	LOSE_MEDIA,	/* the file shrinks under the mapping: before the trees are read */
	LOSE_SLOTS,	/* before the slots are read */
	BACKUP,		/* the backup superblock is believed */
	AT_OFFSET,	/* the filesystem starts somewhere in the file */
};

struct damage {
	const char *code;		/* the only one that must be reported; NULL: none */
	const char *what;
	enum base base;
	void (*apply)(struct image *image);
	enum how how;
	const char *path;		/* reported with it; NULL: any or none */
};

extern const struct damage media_damages[], node_damages[], file_damages[], held_damages[],
	space_damages[], amend_damages[];
/* All that there are, for a table of tables. */
#define EVERY_DAMAGE media_damages, node_damages, file_damages, held_damages, space_damages, amend_damages

/* Make a clean image at @path; dies when that fails. */
void make_base(enum base base, const char *path);
/* Both of them, made at @path one after the other. */
void load_bases(struct image bases[2], const char *path);

#endif
