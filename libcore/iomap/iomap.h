/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two-map iterator.
 *
 * Each turn has a *destination* map, where bytes go, and, when one was asked
 * for, a *source* map, where the same bytes of the file are now.  Whether there
 * is a source is a fact of its own (step.has_source), not a flag of a map.  The
 * iterator, not the copy routines, cuts a turn to the shorter of the two.
 *
 * The shape is Linux's iomap_iter(); the separate source map is what the review
 * of "IOMAP_F_COW" on linux-fsdevel asked for in 2019 and iomap has as srcmap.
 */
#ifndef CDX_IOMAP_H
#define CDX_IOMAP_H

#include "fs/inode.h"

struct cdx_iter;

struct cdx_iomap_ops {
	/* Fill in step.destination and, where it has one, step.source for the file from it->position on. */
	int (*begin)(struct cdx_iter *it);
	/* The turn's bytes are in place: make the file map them. */
	int (*end)(struct cdx_iter *it);
};

struct cdx_iter {
	struct cdx_txn *txn;
	struct cdx_inode *inode;		/* that changes */
	struct cdx_inode *from;			/* reflink: the other file; may be the same struct */
	uint64_t from_offset;			/* reflink: there, of `start` here */
	const struct cdx_iomap_ops *ops;
	struct cowdax_result *result;
	uint64_t start, position, end;		/* bytes in the file */
	struct cowdax_step step;		/* this turn */
	bool running;
	unsigned int turns;
	struct cowdax_iomap own;		/* the next unwritten blocks that are the file's alone */
	struct cdx_run run;			/* blocks allocated and not yet used */
	struct cdx_extent pending;		/* mapped and not yet in the inode; count 0: none */
	bool pending_in_place;			/* and it was there, unwritten */
};

/* The operations that the iterator knows, each a pair of begin and end. */
extern const struct cdx_iomap_ops cdx_iomap_write;	/* new blocks, or unwritten ones in place; source only for partial ones */
extern const struct cdx_iomap_ops cdx_iomap_zero;	/* new blocks where something is mapped */
extern const struct cdx_iomap_ops cdx_iomap_clear;	/* the same, and unwritten blocks in holes */
extern const struct cdx_iomap_ops cdx_iomap_unshare;	/* new blocks where the old are shared */
extern const struct cdx_iomap_ops cdx_iomap_reserve;	/* unwritten blocks in holes */
extern const struct cdx_iomap_ops cdx_iomap_replace;	/* unwritten blocks everywhere: those there are stay */
extern const struct cdx_iomap_ops cdx_iomap_reflink;	/* the other file's blocks */

void cdx_iter_start(struct cdx_iter *it, struct cdx_txn *txn, struct cdx_inode *inode,
		    const struct cdx_iomap_ops *ops, uint64_t offset, uint64_t length,
		    struct cowdax_result *result);
/*
 * Finish the turn before and set up the next: 1; 0 when all is done; -errno.
 * while ((ret = cdx_iter_next(&it)) > 0) ret = body(&it);
 */
int cdx_iter_next(struct cdx_iter *it);

/* Read-only: the map of @inode at byte @offset, cut at @end; holes included.
 * *references: pointers to its first block (not for holes); may be NULL, and then
 * SHARED is not worked out. */
int cdx_iomap_lookup(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t end,
		     bool want_shared, struct cowdax_iomap *map);

/*
 * The first unwritten blocks in [offset, end) that are the file's alone: 1, 0 or -errno.
 * Every image that anybody can see reads zeros there, whatever they hold: bytes can be
 * stored to them at once, and the commit that says that they are written shows them.
 */
int cdx_iomap_find_own(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t end,
		       struct cowdax_iomap *map);

/* Read [offset, offset + length) of @inode's bytes, which lie in the mapped @map.
 * -EIO where the media fails, noted in the transaction. */
int cdx_iomap_read(struct cdx_txn *txn, const struct cdx_inode *inode, const struct cowdax_iomap *map,
		   uint64_t offset, void *bytes, uint64_t length);
/* Whether the media fails in that range: -EIO, noted in the transaction, or 0. */
int cdx_iomap_probe(struct cdx_txn *txn, const struct cdx_inode *inode, const struct cowdax_iomap *map,
		    uint64_t offset, uint64_t length);

static inline uint64_t cdx_iomap_end(const struct cowdax_iomap *map)
{
	return map->offset + map->length;
}

#endif
