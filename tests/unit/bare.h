/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory to put nodes into, with no image around them: what tests of single trees stand on. */
#ifndef BARE_H
#define BARE_H

#include "tree/btree.h"
#include "unit.h"

struct bare {
	struct cdx_super super;
	struct cdx_pmem pm;
	struct cdx_nodes nodes;
	unsigned char *bytes;		/* super.size of them */
	uint64_t next;			/* grain for the next node */
};

/* @size may be far more than there is memory: only what is stored to takes any. */
void bare_make(struct bare *bare, uint64_t size, uint32_t block_size, uint32_t node_size);
void bare_free(struct bare *bare);
/* A cdx_take_fn: grains in ascending order. */
int bare_take(void *bare, uint64_t *address);
/* Write out all of a tree's dirty nodes, or those that hang on a node alone. */
void bare_write(struct bare *bare, struct cdx_tree *tree);
struct cdx_ref bare_write_node(struct bare *bare, struct cdx_node *node);
/* Forget all nodes in DRAM, so that the next use reads them from the media. */
void bare_reload(struct bare *bare);

/* Call @fn for each node of a tree, parents first, with the bounds of its keys. */
typedef void bare_walk_fn(void *arg, struct cdx_node *node, const struct cdx_key *low,
			  const struct cdx_key *upper);
void bare_walk(struct cdx_tree *tree, bare_walk_fn *fn, void *arg);
/*
 * Whether a tree is as FORMAT 6 wants it: levels fall by one, no node is empty or
 * too full, keys ascend, separators are exact.  Returns the number of nodes.
 */
uint64_t bare_check(struct cdx_tree *tree);

#endif
