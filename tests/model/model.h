/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an image should hold: a list of paths, each a directory or a plain array
 * of bytes.  Beside its bytes a file has, for each block, what stands behind it:
 * nothing (a hole), or a number that is drawn anew whenever a block has to be
 * allocated and copied when one is shared.  Two places share a block if, and
 * only if, they have the same number.
 *
 * Entries are counted and copied before they are changed, so that a copy of the
 * whole model (what a transaction that is aborted returns to, what a reader
 * goes on seeing) costs a list of pointers.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cowdax.h"

#define BLOCK_HOLE UINT64_C(0)
#define BLOCK_UNWRITTEN (UINT64_C(1) << 63)	/* allocated, reads as zeros */

struct entry {
	unsigned int references;
	char *path;			/* "/a/b"; of the root: "" */
	bool directory;
	uint32_t mode;			/* permissions */
	uint64_t inode;			/* 0: not asked for yet */
	unsigned char *bytes;		/* room for so many, zeros behind size */
	uint64_t size, room;
	uint64_t *block;
	uint64_t blocks;		/* up to the last that is no hole */
	uint64_t block_room;
};

struct model {
	uint32_t block_size;
	struct entry **entry;
	size_t entries, room;
	uint64_t last_block;		/* number drawn */
	uint64_t last_inode;		/* highest that was there before this step */
	uint64_t new_inode;		/* and since */
};

struct model *model_new(uint32_t block_size);
struct model *model_copy(const struct model *model);
void model_free(struct model *model);

/* NULL when there is no such path.  Paths here are in their plain form, "/a/b". */
const struct entry *model_find(const struct model *model, const char *path);
/*
 * What the path leads to: 0 and *entry, NULL when only the last component is
 * missing; else the error that every use of the path must meet.
 */
int model_walk(const struct model *model, const char *path, const struct entry **entry);
/* The same entry, to be changed; it must exist. */
struct entry *model_edit(struct model *model, const char *path);
struct entry *model_add(struct model *model, const char *path, bool directory, uint32_t mode);
/* With all below it. */
void model_remove(struct model *model, const char *path);
size_t model_children(const struct model *model, const char *path, size_t *directories);
/* Whether @path lies below directory @above, and how much of it is that directory's. */
bool model_is_below(const char *path, const char *above);
bool model_is_child(const char *path, const char *parent);

void model_write(struct model *model, struct entry *file, uint64_t offset, const void *bytes,
		 uint64_t length);
void model_truncate(struct model *model, struct entry *file, uint64_t size);
void model_fallocate(struct model *model, struct entry *file, enum cowdax_fallocate_mode mode,
		     uint64_t offset, uint64_t length, bool keep_size);
void model_clone(struct model *model, struct entry *to, const struct entry *from);
/* FICLONERANGE's rules: -EINVAL and nothing done when they are not kept. */
int model_clone_range(struct model *model, struct entry *to, uint64_t to_offset, const struct entry *from,
		      uint64_t from_offset, uint64_t length);

/* The number of the block; BLOCK_HOLE behind the last. */
uint64_t model_block(const struct entry *file, uint64_t index);
/* Whether every block of the range is unwritten and nobody else's: then it can be written, however full. */
bool model_promised(const struct model *model, const struct entry *file, uint64_t offset, uint64_t length);
/* Different blocks that are allocated. */
uint64_t model_blocks_used(const struct model *model);

#endif
