/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The space tree (FORMAT 7): the reference count of every grain, as runs that
 * tile the image.
 */
#ifndef CDX_SPACE_H
#define CDX_SPACE_H

#include "tree/btree.h"

struct cdx_space {
	struct cdx_tree tree;
	uint64_t *free_grains;		/* the record's sum, kept here */
	uint64_t hint;			/* where the last search ended, grains */
	/* The last run looked up, until the tree changes: nodes lie close together. */
	uint64_t run_start, run_end, run_count;
};

void cdx_space_init(struct cdx_space *space, struct cdx_nodes *nodes, const struct cdx_tree_ops *ops,
		    void *owner, struct cdx_ref *root, uint64_t *free_grains);
/* The ops of the space tree's own: to be put into the owner's cdx_tree_ops. */
bool cdx_space_push_down(struct cdx_tree *tree, unsigned char *item, struct cdx_node *child);
void cdx_space_summarise(struct cdx_tree *tree, unsigned char *item, struct cdx_node *child,
			 const struct cdx_key *upper);

/* How many pointers grain @start has, and where the run of that count ends. */
int cdx_space_count(struct cdx_space *space, uint64_t start, uint64_t *count, uint64_t *end);

/* +1 over a range that is in use; bounded work however many runs it has (R19). */
int cdx_space_share(struct cdx_space *space, uint64_t start, uint64_t count);
/* The same over @n ranges in the order of their addresses: each leaf is sought once. */
struct cdx_run;
int cdx_space_share_runs(struct cdx_space *space, const struct cdx_run *run, size_t n);
/* -1 over a range within one run of count above 1. */
int cdx_space_unshare(struct cdx_space *space, uint64_t start, uint64_t count);
/* 0 to 1, and 1 to 0, over a range within one run. */
int cdx_space_take(struct cdx_space *space, uint64_t start, uint64_t count);
int cdx_space_release(struct cdx_space *space, uint64_t start, uint64_t count);

/*
 * Find up to @want free grains in one run, first fit from the hint on; when no
 * run is that long, the longest.  @want a multiple of a block's grains finds
 * whole aligned blocks, @want below a block any fragment.  -ENOSPC.
 */
int cdx_space_find(struct cdx_space *space, uint64_t want, uint64_t *start, uint64_t *count);

/* Call @fn for every run, in order. */
typedef int cdx_space_fn(void *arg, uint64_t start, uint64_t count, uint64_t references);
int cdx_space_walk(struct cdx_space *space, cdx_space_fn *fn, void *arg);

#endif
