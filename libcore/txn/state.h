/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a handle knows of an image and is doing to it.  The states are named here,
 * and cdx_phase_enter() is the one place that says which may follow which.
 */
#ifndef CDX_STATE_H
#define CDX_STATE_H

#include "pmem/device.h"
#include "tree/record.h"
#include "txn/space.h"

/*
 * The writer:
 *
 *	IDLE --> LOCKED --> OPEN --> IDLE	begin; commit or abort
 *	         LOCKED ----------> IDLE	begin failed
 *	IDLE --> DRY --------------> IDLE	a dry run
 *	                    OPEN --> DEAD	the fence of a slot failed
 */
enum cdx_phase {
	CDX_PHASE_IDLE,		/* nothing is being changed */
	CDX_PHASE_LOCKED,	/* holds the commit lock, and finds out what to build upon */
	CDX_PHASE_OPEN,		/* builds a transaction under the commit lock */
	CDX_PHASE_DRY,		/* builds one that will never be stored, over a view, without a lock */
	CDX_PHASE_DEAD,		/* a commit's outcome is unknown: nothing begins any more (R3) */
};

/* The view: where `committed` is from. */
enum cdx_seen {
	CDX_SEEN_NOTHING,	/* nowhere: no slot has been read yet, or what was read is damaged */
	CDX_SEEN_SLOT,		/* a slot: visible, and maybe not durable (R1) */
	CDX_SEEN_OWN,		/* this handle, which has fenced it and stored its mirror */
};

/* And what `record` is. */
enum cdx_working {
	CDX_WORKING_STALE,	/* anything: copied from `committed` before it is used */
	CDX_WORKING_SAME,	/* a copy of `committed` */
	CDX_WORKING_CHANGED,	/* what the transaction has made of it */
};

/* The drain: what is still to be hoped from limbo. */
enum cdx_drain {
	CDX_DRAIN_DUE,		/* space, maybe: it is undone before anybody hears ENOSPC (R17) */
	CDX_DRAIN_LATER,	/* the same, but this transaction cannot begin again: after it */
	CDX_DRAIN_DONE,		/* nothing: it has been undone as far as it goes */
	CDX_DRAIN_BROKEN,	/* nothing: it has damage, and is left to fsck */
};

/* What a transaction may use; each begins with the first. */
enum cdx_claim {
	CDX_CLAIM_AVAILABLE,	/* what is available to everybody */
	CDX_CLAIM_KEPT,		/* what is kept for removals and commits as well (R17) */
};

#define CDX_MOST_TAKING 16

struct cdx_txn {
	struct cdx_device *device;
	const struct cdx_super *super;
	struct cdx_nodes nodes;
	struct cdx_record committed;	/* the image as last seen */
	struct cdx_amends amends;	/* its own, while `nodes` has those of what is being made of it */
	bool unlisted;			/* but for its other lists, which wait in `slot` */
	union cdx_slot slot;
	struct cdx_record record;	/* what trees and lookups use: committed, or being changed */
	struct cdx_space space;
	struct cdx_tree fs, limbo, staging;
	enum cdx_phase phase;
	enum cdx_seen seen;
	enum cdx_working working;
	bool mirror_due;		/* the mirror of what this handle committed waits for a fence */
	enum cdx_drain drain;
	enum cdx_claim claim;
	struct { uint64_t grains; uint32_t levels; } kept;	/* what cdx_budget_kept() is, with trees so high */
	bool sparing;			/* space has run out once: put off what can be put off */
	bool unfolded;			/* this transaction has undone subtrees of limbo */
	bool sifted;			/* the reserves hold nothing but what a full host backs */
	uint64_t backed;		/* where such space was last found, grains */
	bool took_data;			/* this transaction took blocks for data */
	bool busy;			/* and the one before it did */
	uint64_t shared_at;		/* no node born after this transaction has more than one pointer */
	struct {			/* the runs that nodes are being written to, from @at on */
		struct cdx_run run[CDX_MOST_TAKING];
		size_t at, n;
	} taking;
	bool pool_by_length;		/* and the pool is in an order for that, not of addresses */
	struct {			/* what is known of others who read */
		uint64_t limit;		/* no image before this transaction is read, now or later */
		uint64_t ask_again;	/* the transaction that is to ask next: they held something up */
	} readers;
	uint64_t sweeps;		/* turns of this handle's at looking for dead lanes; 0: none yet */
	uint64_t epoch;			/* transaction whose reader byte this handle holds; 0: none */
	bool lingers;			/* it goes on doing so when a view is released */
	bool idle;			/* and does: nothing is being looked at */
	unsigned int lingered;		/* looks that it has served although there was a newer commit */
	struct timespec now;		/* stamp of this transaction's changes */
	bool now_is_given;		/* and of every other's */
	struct {			/* removed trees, see fs/orphan.c */
		uint64_t from;		/* where to look for one */
		uint64_t broken;	/* damaged ones met */
		uint64_t left;		/* of the record's, those that this handle can do nothing about */
		bool own;		/* this handle's own removal left some */
	} orphans;
	struct { uint64_t inode, offset; } unreadable;	/* data of a file that was met; inode 0: none */
};

/* Go to @next; where that may not follow the handle is dead from now on: -ENOTRECOVERABLE. */
int cdx_phase_enter(struct cdx_txn *txn, enum cdx_phase next);
/* Whether a transaction can begin: 0, -EBUSY when one is open, -EIO when the handle is dead. */
int cdx_phase_may_begin(const struct cdx_txn *txn);

static inline bool cdx_txn_is_open(const struct cdx_txn *txn)
{
	return txn->phase == CDX_PHASE_OPEN || txn->phase == CDX_PHASE_DRY;
}

static inline uint64_t cdx_block_grains(const struct cdx_txn *txn)
{
	return UINT64_C(1) << txn->super->grains_per_block_shift;
}

#endif
