/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same operations on an XFS with reflink and on a cowdax image.  XFS is the
 * kernel's own copy-on-write through two iomaps; on a mount with dax=always it
 * stores to persistent memory as cowdax does.
 */
#ifndef BESIDE_H
#define BESIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cowdax.h"

#define FILES 6				/* "a", "b", ... on both sides */
#define BLOCK UINT64_C(4096)		/* of both sides */
#define MAX_FILE (UINT64_C(2) << 20)	/* bytes; writes over 1 MiB take cowdax's staged path */
#define BLOCKS (MAX_FILE / BLOCK)

/* ---- operations (beside_op.c, beside_generate.c) ------------------------------------- */

enum op_kind {
	OP_CREATE,
	OP_REMOVE,
	OP_WRITE,
	OP_TRUNCATE,		/* to length */
	OP_CLONE,		/* from becomes file, whole */
	OP_CLONE_RANGE,
	OP_ALLOCATE,
	OP_PUNCH,
	OP_ZERO,
	OP_UNSHARE,
	OP_KINDS
};

struct op {
	enum op_kind kind;
	unsigned int file, from;
	uint64_t offset, from_offset, length;
	bool keep_size;		/* of OP_ALLOCATE and OP_ZERO */
};

struct op_list {
	struct op *op;
	size_t count, room;
};

const char *op_name(enum op_kind kind);
/* As op_parse() takes it. */
void op_print(FILE *file, const struct op *op);
/* Append "write a 4000 100; clone a b" to the list.  False, and a message, when it cannot be read. */
bool op_parse(const char *text, struct op_list *list);
void op_list_add(struct op_list *list, const struct op *op);
void op_list_free(struct op_list *list);

/* ---- where a file's bytes lie -------------------------------------------------------- */

struct block {
	enum cowdax_iomap_type type;
	bool shared;		/* as the side says; compare_layouts() makes it what is true */
	uint64_t address;	/* of no meaning for a hole; each side counts from its own start */
};

struct layout {
	bool exists;
	uint64_t size;
	struct block block[BLOCKS];	/* those past the end of file too */
};

static inline uint64_t round_down(uint64_t bytes)
{
	return bytes / BLOCK * BLOCK;
}

static inline uint64_t round_up(uint64_t bytes)
{
	return round_down(bytes + BLOCK - 1);
}

struct random;
/* The next operation, chosen by what there is. */
struct op op_generate(struct random *random, const struct layout *layouts);

/* ---- the sides (beside_xfs.c, beside_cowdax.c) --------------------------------------- */

/* What only the program's end can answer to: no memory, no mount.  Ends it. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

struct xfs {
	int directory;
	int file[FILES];	/* -1: there is none */
	uint64_t inodes;	/* in use on all of it, without these files */
	bool old_kernel;	/* see beside_kernel.c */
	uint64_t helped;	/* blocks copied for it */
};
/* @directory must have none of the files. */
void xfs_open(struct xfs *xfs, const char *directory);
void xfs_close(struct xfs *xfs);
/* What its stores go to, for people. */
const char *xfs_mapping(const struct xfs *xfs);
/* Durable when it returns; 0 or -errno.  @dsync: RWF_DSYNC instead of fdatasync(), for a write. */
int xfs_apply(struct xfs *xfs, const struct op *op, const void *bytes, bool dsync,
	      uint64_t *nanoseconds);
void xfs_layout(const struct xfs *xfs, unsigned int file, struct layout *layout);
/* @size bytes, which are there. */
void xfs_read(const struct xfs *xfs, unsigned int file, void *bytes, uint64_t size);

/* Whether this kernel leaves a part of a shared block as it is when it should zero it. */
bool kernel_leaves_parts(int directory);
/* Files made from now on reserve one block for the copy of one block, or what XFS likes. */
void kernel_reserve_little(int directory, bool little);
/* Copy the shared blocks... that @op, about to be done, zeroes a part of; return how many. */
unsigned int kernel_copy_parts(int fd, const struct layout *layout, const struct op *op);
/* ...that was the last, partial one and is not any more; @layout is the one now. */
unsigned int kernel_copy_end(int fd, uint64_t old_size, const struct layout *layout);
/* ...of the range of @op. */
unsigned int kernel_unshare(int fd, const struct layout *layout, const struct op *op);

struct image {
	const char *path;
	struct cowdax *fs;
};
/* Made anew: whatever was at @path is gone. */
void image_open(struct image *image, const char *path);
void image_close(struct image *image);
int image_apply(struct image *image, const struct op *op, const void *bytes, uint64_t *nanoseconds,
		struct cowdax_error *error);
void image_layout(const struct image *image, unsigned int file, struct layout *layout);
void image_read(const struct image *image, unsigned int file, void *bytes, uint64_t size);
/* Let the image undo all it holds in limbo, so that no dropped pointer counts. */
void image_drain(struct image *image);
uint64_t image_limbo(const struct image *image);
/* Whether the checker finds nothing. */
bool image_is_clean(const struct image *image);

/* ---- differences (beside_reason.c, beside_compare.c) --------------------------------- */

/* Why the two may differ at a block; each is told in one sentence by reason_text(). */
enum reason {
	NO_REASON,
	REASON_CLONE_UNWRITTEN,
	REASON_CLONE_PAST_END,
	REASON_SIZE_FREES,
	REASON_UNSHARE_ALLOCATES,
	REASON_UNSHARE_SKIPS,
	REASON_END_ZEROED,
	REASON_PAST_END_COPIED,
	REASON_UNWRITTEN_SHARED,
	REASON_LIMBO,
	REASON_CLONE_NOTHING,
	REASONS
};
const char *reason_text(enum reason reason);

struct sides {
	struct layout xfs[FILES], cowdax[FILES];
};

/*
 * @op has succeeded on both sides.  Put into @mark, which holds the reasons for the
 * blocks that differ in @before, those for the blocks that may differ now.  @after is
 * asked only for where XFS has allocated.
 */
void reason_update(enum reason mark[FILES][BLOCKS], const struct op *op,
		   const struct sides *before, const struct sides *after);
/* Whether these two types are what the reason allows. */
bool reason_allows(enum reason reason, enum cowdax_iomap_type xfs, enum cowdax_iomap_type cowdax);
/* Whether a block with this reason may be a copy on one side, where on the other it is shared. */
bool reason_copies(enum reason reason, bool on_xfs);
/* The reason for which the results of an operation may differ. */
enum reason reason_for_results(const struct op *op, const struct sides *before, int xfs,
			       int cowdax);

struct run {
	struct xfs *xfs;
	struct image *image;
	struct sides now;
	enum reason mark[FILES][BLOCKS];
	uint64_t limbo;			/* cowdax's flags that only limbo explains, in now */
	uint64_t step;
	char failure[512];		/* empty: none */
	uint64_t *counts;		/* of REASONS: blocks that came to differ */
	struct times *times;		/* NULL: do not measure */
};

/* Say what is wrong; the first counts.  Returns false. */
__attribute__((format(printf, 2, 3))) bool run_fail(struct run *run, const char *format, ...);
/* Contents and sizes of @file, or of all. */
bool compare_contents(struct run *run, unsigned int file);
bool compare_all_contents(struct run *run);
/*
 * Types, flags, and which places are one block; whether all differences have the
 * reasons that run->mark says.  Takes the marks away where nothing differs.
 */
bool compare_layouts(struct run *run, bool drained);

/* ---- runs, cases, times (beside_run.c, beside_cases.c, beside_time.c) -------------------- */

struct setting {
	struct xfs xfs;
	struct image image;
	uint64_t counts[REASONS];
	struct times *times;
	unsigned int tests, failed;
};

/* One line of TAP. */
void tap(struct setting *setting, bool good, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool run_list(struct setting *setting, const struct op_list *list, const char *name);
void run_random(struct setting *setting, uint64_t seed, uint64_t operations);
void run_cases(struct setting *setting);

struct times *times_new(void);
void times_add(struct times *times, enum op_kind kind, uint64_t xfs, uint64_t cowdax);
/* Small durable writes into a clone, and the table of all. */
void times_small_writes(struct setting *setting, unsigned int rounds);
void times_report(struct times *times);
void times_free(struct times *times);

#endif
