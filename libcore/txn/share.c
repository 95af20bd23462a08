// SPDX-License-Identifier: LGPL-2.1-or-later
/* Shadowing and counts (I3, FORMAT 6.3), and when a copy borrows (FORMAT 6.4). */
#include "txn/share.h"

#include "tree/borrow.h"


/*
 * Pointers to be counted once more, gathered and counted in the order of their addresses: each
 * leaf of the space tree is sought once for all that lie in it.
 */
#define MOST_SHARED 64

struct sharing {
	struct cdx_txn *txn;
	size_t n;
	struct cdx_run run[MOST_SHARED];
};

static int share_gathered(struct sharing *sharing)
{
	int ret = sharing->n ? cdx_space_share_runs(&sharing->txn->space, sharing->run, sharing->n) : 0;

	sharing->n = 0;
	return ret;
}

/* Those of one node adjoin or follow one another more often than not. */
static int share_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct sharing *sharing = arg;
	struct cdx_run *run = sharing->run;
	size_t at = sharing->n;

	if (pointer->unwritten)
		cdx_promise_add(sharing->txn, pointer->count >> sharing->txn->super->grains_per_block_shift, 1);
	for (; at && run[at - 1].start > pointer->start; at--)
		;
	if (at && run[at - 1].start + run[at - 1].count == pointer->start) {
		run[at - 1].count += pointer->count;
		return 0;
	}
	memmove(run + at + 1, run + at, (sharing->n - at) * sizeof(*run));
	run[at] = (struct cdx_run){pointer->start, pointer->count};
	return ++sharing->n == MOST_SHARED ? share_gathered(sharing) : 0;
}

/* All that a node points to has one pointer more, or just what it does not borrow and its base. */
static int share_children(struct cdx_txn *txn, struct cdx_node *node, bool borrowing)
{
	struct sharing sharing = {.txn = txn};
	int ret = borrowing ? cdx_node_counted(&txn->nodes, node, share_pointer, &sharing) :
			      cdx_node_pointers(&txn->nodes, node, share_pointer, &sharing);

	return ret ? ret : share_gathered(&sharing);
}

int cdx_share_left(void *owner, uint64_t home, uint64_t birth)
{
	struct cdx_txn *txn = owner;

	if (birth == txn->record.transaction)
		return cdx_runs_add(&txn->record.pool, home, 1);
	return cdx_limbo_add_run(txn, home, 1);
}

/* Nobody points any more to a clean node. */
static int leave_node(struct cdx_txn *txn, const struct cdx_node *node)
{
	if (node->amended)
		cdx_amends_drop(&txn->nodes, node->address);
	return cdx_share_left(txn, node->address, get64(node->disk.birth));
}

static int holders_private(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
			   const struct cdx_node *node)
{
	(void)tree;
	(void)parent;
	(void)index;
	(void)node;
	return CDX_HOLDERS_NONE;
}

static int replaced_private(struct cdx_tree *tree, struct cdx_node *parent, enum cdx_holders holders,
			    struct cdx_node *node, struct cdx_node *copy)
{
	(void)parent;
	(void)holders;
	(void)copy;
	return leave_node(tree->owner, node);
}

/* How many pointers a node has; it has one at least. */
static int count_of(struct cdx_txn *txn, uint64_t address, uint64_t *references)
{
	uint64_t end;
	int ret = cdx_space_count(&txn->space, address, references, &end);

	return ret ? ret : *references ? 0 : -EUCLEAN;
}

/* ---- bases ------------------------------------------------------------------------------- */

static int share_borrowed(void *arg, const struct cdx_pointer *piece, bool both)
{
	return both ? share_pointer(arg, piece) : 0;
}

/* What is borrowed becomes a pointer, and the one to the base goes. */
static int count_borrowed(struct cdx_txn *txn, struct cdx_node *node, struct cdx_node *base)
{
	struct sharing sharing = {.txn = txn};
	int ret = cdx_node_pieces(&txn->nodes, node, base, share_borrowed, &sharing);

	if (!ret)
		ret = share_gathered(&sharing);
	return ret ? ret : cdx_space_unshare(&txn->space, base->address, 1);
}

static int drop_unsaid(void *arg, const struct cdx_pointer *piece, bool both)
{
	return both ? 0 : cdx_limbo_drop(arg, piece);
}

/* The base has no other pointer: what it says is the node's, the rest of it goes, and so does it. */
static int take_over(struct cdx_txn *txn, struct cdx_node *node, struct cdx_node *base)
{
	int ret = cdx_node_pieces(&txn->nodes, base, node, drop_unsaid, txn);

	return ret ? ret : leave_node(txn, base);
}

static int settle(struct cdx_tree *tree, struct cdx_node *node)
{
	struct cdx_txn *txn = tree->owner;
	struct cdx_node *base;
	uint64_t references;
	int ret;

	ret = cdx_base_get(&txn->nodes, node, &base);
	if (ret)
		return ret;
	ret = count_of(txn, base->address, &references);
	if (!ret)
		ret = references == 1 ? take_over(txn, node, base) : count_borrowed(txn, node, base);
	cdx_node_put(&txn->nodes, base);
	if (ret)
		return ret;
	node->base = 0;
	node->same = false;
	tree->settled = true;
	return 0;
}

/* One more node has the base of @node. */
static int based(struct cdx_tree *tree, const struct cdx_node *node)
{
	struct cdx_txn *txn = tree->owner;

	return cdx_space_share(&txn->space, node->base, 1);
}

/* Whether a node had better give up its base: 1, 0, -errno. */
static int outgrown(struct cdx_txn *txn, struct cdx_node *node)
{
	unsigned int most = cdx_most_own(&txn->nodes);
	struct cdx_apart apart;
	uint64_t references;
	int ret;

	ret = count_of(txn, node->base, &references);
	if (ret || references == 1)
		return ret ? ret : 1;
	/* The two are compared only where that can tell more than is known. */
	if (node->own < most)
		return 0;
	ret = cdx_node_apart(&txn->nodes, node, &apart);
	if (ret)
		return ret;
	node->own = (uint16_t)apart.own;
	return apart.own >= most;
}

/* A node that nobody else has keeps its base if that is still worth having. */
static int taken_shareable(struct cdx_tree *tree, struct cdx_node *node)
{
	int ret = 0;

	if (node->base)
		ret = tree->borrows ? outgrown(tree->owner, node) : 1;
	return ret > 0 ? settle(tree, node) : ret;
}

/*
 * What was born after the last time that anything was shared has one pointer: nodes get more
 * of them by being shared, or by being below what is, and that is older then.
 */
static int holders_shareable(struct cdx_tree *tree, struct cdx_node *parent, unsigned int index,
			     const struct cdx_node *node)
{
	struct cdx_txn *txn = tree->owner;
	uint64_t references;
	int ret;

	if (get64(node->disk.birth) > txn->shared_at)
		return CDX_HOLDERS_NONE;
	ret = parent ? cdx_child_borrowed(&txn->nodes, parent, index) : 0;
	if (ret)
		return ret < 0 ? ret : CDX_HOLDERS_BASE;
	ret = count_of(txn, node->address, &references);
	if (ret)
		return ret;
	return references > 1 ? CDX_HOLDERS_OTHERS : CDX_HOLDERS_NONE;
}

/* The copy of one that others have, too: its holder's pointer, unless that is borrowed, is gone. */
static int replace_shared(struct cdx_tree *tree, struct cdx_node *node, struct cdx_node *copy, bool borrowed)
{
	struct cdx_txn *txn = tree->owner;
	int ret;

	if (tree->borrows && !node->base) {
		/* The pointer becomes the copy's to its base. */
		copy->base = node->address;
		copy->base_crc = node->crc;
		copy->own = 0;
		return borrowed ? cdx_space_share(&txn->space, node->address, 1) : 0;
	}
	if (!tree->borrows)
		copy->base = 0;
	ret = borrowed ? 0 : cdx_space_unshare(&txn->space, node->address, 1);
	return ret ? ret : share_children(txn, node, tree->borrows);
}

static int replaced_shareable(struct cdx_tree *tree, struct cdx_node *parent, enum cdx_holders holders,
			      struct cdx_node *node, struct cdx_node *copy)
{
	int ret;

	if (holders == CDX_HOLDERS_BASE)
		cdx_node_own_more(parent);
	if (holders != CDX_HOLDERS_NONE)
		return replace_shared(tree, node, copy, holders == CDX_HOLDERS_BASE);
	ret = leave_node(tree->owner, node);
	return ret ? ret : taken_shareable(tree, copy);
}

/* ---- going ------------------------------------------------------------------------------------ */

static int dropped(struct cdx_tree *tree, const struct cdx_pointer *pointer)
{
	return cdx_limbo_drop(tree->owner, pointer);
}

static int is_dirty(void *arg, const struct cdx_pointer *pointer)
{
	(void)arg;
	return !pointer->data && cdx_is_dirty(pointer->start);
}

/*
 * When space is short a node full of pointers goes to limbo as a tree: one grain
 * and one entry, however many counts would have to be changed (R17).
 */
static int put_off(struct cdx_tree *tree, struct cdx_node *node)
{
	struct cdx_pointer pointer = {.count = 1, .kind = tree->kind, .level = node->disk.level};
	struct cdx_txn *txn = tree->owner;
	uint64_t grain;
	int ret;

	if (!txn->sparing || cdx_node_count(node) == 1)
		return 0;
	ret = cdx_node_pointers(&txn->nodes, node, is_dirty, NULL);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = cdx_node_leave_home(&txn->nodes, node);
	if (!ret)
		ret = cdx_alloc_fill(txn);
	if (!ret)
		ret = cdx_alloc_node(txn, &grain);
	if (!ret)
		ret = cdx_node_write(&txn->nodes, node, grain, &pointer.start, &pointer.crc);
	cdx_alloc_settle(txn);
	if (!ret)
		ret = cdx_limbo_drop(txn, &pointer);
	return ret ? ret : 1;
}

const struct cdx_tree_ops cdx_shareable_ops = {
	.holders = holders_shareable,
	.taken = taken_shareable,
	.replaced = replaced_shareable,
	.settle = settle,
	.based = based,
	.dropped = dropped,
	.put_off = put_off,
};
const struct cdx_tree_ops cdx_private_ops = {
	.holders = holders_private,
	.replaced = replaced_private,
	.dropped = dropped,
};
const struct cdx_tree_ops cdx_space_tree_ops = {
	.holders = holders_private,
	.replaced = replaced_private,
	.dropped = dropped,
	.push_down = cdx_space_push_down,
	.summarise = cdx_space_summarise,
};
