// SPDX-License-Identifier: LGPL-2.1-or-later
/* Shadowing and counts: I3, FORMAT 6.3. */
#include "txn/share.h"

/* Pointers to be counted once more; those to adjoining grains together. */
struct sharing {
	struct cdx_txn *txn;
	struct cdx_run run;
};

static int share_run(struct sharing *sharing)
{
	if (!sharing->run.count)
		return 0;
	return cdx_space_share(&sharing->txn->space, sharing->run.start, sharing->run.count);
}

static int share_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct sharing *sharing = arg;
	int ret;

	if (pointer->unwritten)
		cdx_promise_add(sharing->txn, pointer->count >> sharing->txn->super->grains_per_block_shift, 1);
	if (sharing->run.count && sharing->run.start + sharing->run.count == pointer->start) {
		sharing->run.count += pointer->count;
		return 0;
	}
	ret = share_run(sharing);
	sharing->run = (struct cdx_run){pointer->start, pointer->count};
	return ret;
}

static int share_children(struct cdx_txn *txn, struct cdx_node *node)
{
	struct sharing sharing = {.txn = txn};
	int ret = cdx_node_pointers(&txn->nodes, node, share_pointer, &sharing);

	return ret ? ret : share_run(&sharing);
}

/* The only holder of @node points to its copy now. */
static int leave_node(struct cdx_txn *txn, const struct cdx_node *node)
{
	if (get64(node->disk.birth) == txn->record.transaction)
		return cdx_runs_add(&txn->record.pool, node->address, 1);
	return cdx_limbo_add_run(txn, node->address, 1);
}

static int replaced_private(struct cdx_tree *tree, struct cdx_node *node)
{
	return leave_node(tree->owner, node);
}

static int replaced_shareable(struct cdx_tree *tree, struct cdx_node *node)
{
	struct cdx_txn *txn = tree->owner;
	uint64_t references, end;
	int ret;

	ret = cdx_space_count(&txn->space, node->address, &references, &end);
	if (ret)
		return ret;
	if (references == 0)
		return -EUCLEAN;
	if (references == 1)
		return leave_node(txn, node);
	ret = cdx_space_unshare(&txn->space, node->address, 1);
	return ret ? ret : share_children(txn, node);
}

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
	.replaced = replaced_shareable,
	.dropped = dropped,
	.put_off = put_off,
};
const struct cdx_tree_ops cdx_private_ops = {
	.replaced = replaced_private,
	.dropped = dropped,
};
const struct cdx_tree_ops cdx_space_tree_ops = {
	.replaced = replaced_private,
	.dropped = dropped,
	.push_down = cdx_space_push_down,
	.summarise = cdx_space_summarise,
};
