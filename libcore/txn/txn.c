// SPDX-License-Identifier: LGPL-2.1-or-later
/* One root, one commit point (I1): beginning, writing out, and publishing a transaction. */
#include "txn/txn.h"

#include <inttypes.h>

#include "txn/drain.h"
#include "txn/settle.h"
#include "txn/share.h"

/* Before a long transaction writes out what it has: nodes, limbo entries. */
#define MAX_DIRTY 4096
#define MAX_DIRTY_UNFIT (4 * MAX_DIRTY)	/* of removals that have not the space to write them out */
#define MAX_ENTRIES 4096
#define MOST_HOMES 16		/* dirty nodes that may stay where they are, when a transaction commits */

struct cdx_tree cdx_txn_extents(struct cdx_txn *txn, struct cdx_ref *root)
{
	return (struct cdx_tree){
		.nodes = &txn->nodes,
		.ops = &cdx_shareable_ops,
		.owner = txn,
		.root = root,
		.kind = CDX_KIND_EXTENT,
		.upper = {{CDX_MAX_FILE >> txn->super->block_shift}},
	};
}

/* ---- setting up ------------------------------------------------------------------------ */

static void init_tree(struct cdx_txn *txn, struct cdx_tree *tree, struct cdx_ref *root, uint8_t kind,
		      const struct cdx_tree_ops *ops)
{
	*tree = (struct cdx_tree){
		.nodes = &txn->nodes,
		.ops = ops,
		.owner = txn,
		.root = root,
		.kind = kind,
		.upper = cdx_key_infinite,
	};
}

int cdx_txn_init(struct cdx_txn *txn, struct cdx_device *device, const struct cdx_super *super)
{
	memset(txn, 0, sizeof(*txn));
	txn->device = device;
	txn->super = super;
	if (cdx_nodes_init(&txn->nodes, &device->pm, super))
		return -ENOMEM;
	txn->nodes.left = cdx_share_left;
	txn->nodes.owner = txn;
	init_tree(txn, &txn->fs, &txn->record.fs, CDX_KIND_FS, &cdx_shareable_ops);
	init_tree(txn, &txn->limbo, &txn->record.limbo, CDX_KIND_LIMBO, &cdx_private_ops);
	init_tree(txn, &txn->staging, &txn->record.staging, CDX_KIND_STAGING, &cdx_private_ops);
	cdx_space_init(&txn->space, &txn->nodes, &cdx_space_tree_ops, txn, &txn->record.space, &txn->record.free_grains);
	return 0;
}

void cdx_txn_exit(struct cdx_txn *txn)
{
	cdx_txn_abort(txn);
	/* What it tells, the primary has said already. */
	if (txn->mirror_due)
		cdx_settle_fence(txn);
	cdx_txn_release_view(txn);
	cdx_nodes_exit(&txn->nodes);
	cdx_record_exit(&txn->committed);
	cdx_record_exit(&txn->record);
}

void cdx_txn_disown(struct cdx_txn *txn)
{
	if (cdx_txn_is_open(txn))
		cdx_phase_enter(txn, CDX_PHASE_IDLE);
	txn->epoch = 0;
	txn->mirror_due = false;
	txn->idle = false;
}

/* ---- beginning ------------------------------------------------------------------------------ */

int cdx_txn_start(struct cdx_txn *txn)
{
	int ret;

	if (txn->committed.transaction >= CDX_LAST_TRANSACTION)
		return -EOVERFLOW;
	ret = cdx_view_lists(txn);
	if (!ret)
		ret = cdx_view_reset(txn);
	if (ret)
		return ret;
	txn->busy = txn->took_data;
	txn->took_data = false;
	txn->unfolded = false;
	txn->working = CDX_WORKING_CHANGED;
	txn->record.transaction++;
	txn->nodes.transaction = txn->record.transaction;
	if (!txn->now_is_given)
		clock_gettime(CLOCK_REALTIME, &txn->now);
	return 0;
}

/* Start, and undo what is old.  Damage in limbo costs space, not the transaction: fsck reports it. */
static int start_and_drain(struct cdx_txn *txn)
{
	int ret = cdx_txn_start(txn);

	if (!ret)
		ret = cdx_drain_in_passing(txn);
	if (ret != -EUCLEAN && ret != -EIO && ret != -ENOSPC)
		return ret;
	if (ret != -ENOSPC)
		txn->drain = CDX_DRAIN_BROKEN;
	return cdx_txn_start(txn);
}

static void let_go(struct cdx_txn *txn, enum cdx_phase next)
{
	bool locked = txn->phase != CDX_PHASE_DRY;

	cdx_phase_enter(txn, next);
	if (locked)
		cdx_device_unlock(txn->device, txn->device->lock.commit, 1);
}

/* Forget the transaction and let go of the commit lock. */
static void leave(struct cdx_txn *txn, enum cdx_phase next)
{
	if (txn->drain == CDX_DRAIN_LATER)
		txn->drain = CDX_DRAIN_DUE;
	cdx_view_reset(txn);
	let_go(txn, next);
}

/* Take the commit lock, and see what to build upon. */
static int lock(struct cdx_txn *txn, struct cowdax_error *error)
{
	bool wait = !(txn->device->flags & CDX_DEVICE_NO_WAIT);
	int ret;

	if (!(txn->device->flags & CDX_DEVICE_WRITABLE))
		return cdx_error(error, -EROFS, "%s: the image is open for reading only", txn->device->path);
	cdx_txn_rest(txn);
	ret = cdx_device_lock(txn->device, txn->device->lock.commit, 1, true, wait);
	if (ret == -EAGAIN)
		return cdx_error(error, ret, "%s: another process is writing to the image", txn->device->path);
	if (ret)
		return ret;
	cdx_phase_enter(txn, CDX_PHASE_LOCKED);
	cdx_pmem_take_fault(&txn->device->pm);	/* of what was aborted */
	ret = cdx_settle(txn);
	if (ret == -EUCLEAN)
		cdx_error(error, ret, "%s: no valid commit record: the image is damaged", txn->device->path);
	if (ret)
		let_go(txn, CDX_PHASE_IDLE);
	return ret;
}

static int begin(struct cdx_txn *txn, int (*how)(struct cdx_txn *), struct cowdax_error *error)
{
	bool dry = txn->device->flags & CDX_DEVICE_DISCARD;
	int ret = cdx_phase_may_begin(txn);

	if (ret == -EBUSY)
		return cdx_error(error, ret, "%s: a transaction is open already", txn->device->path);
	if (ret)
		return cdx_error(error, ret, "%s: an earlier commit failed and its outcome is unknown: open the image again",
				 txn->device->path);
	ret = dry ? cdx_txn_view(txn, error) : lock(txn, error);
	if (ret)
		return ret;
	ret = how(txn);
	if (!ret)
		return cdx_phase_enter(txn, dry ? CDX_PHASE_DRY : CDX_PHASE_OPEN);
	if (!dry)
		leave(txn, CDX_PHASE_IDLE);
	return ret;
}

int cdx_txn_begin(struct cdx_txn *txn, struct cowdax_error *error)
{
	return begin(txn, start_and_drain, error);
}

int cdx_txn_begin_undrained(struct cdx_txn *txn, struct cowdax_error *error)
{
	return begin(txn, cdx_txn_start, error);
}

void cdx_txn_abort(struct cdx_txn *txn)
{
	if (cdx_txn_is_open(txn))
		leave(txn, CDX_PHASE_IDLE);
}

/* ---- committing ------------------------------------------------------------------------------- */

/*
 * Nodes leave their homes before what that takes in limbo is made to fit: all, where more than
 * @most have one, since what changes many nodes is not told as amendments; and always those that
 * were written in this very transaction, whose homes go back to the pool, which is not to change
 * while nodes take their places from it.
 */
static int leave_homes(struct cdx_txn *txn, size_t most)
{
	struct cdx_nodes *nodes = &txn->nodes;
	bool all = nodes->homes > most;
	int ret = 0;

	if (!all && nodes->newest < txn->record.transaction)
		return 0;	/* nothing has been written yet */
	for (size_t slot = 0; nodes->homes && slot < nodes->slots_used && !ret; slot++) {
		struct cdx_node *node = nodes->dirty[slot];

		if (node && node->home && (all || node->home_birth == txn->record.transaction))
			ret = cdx_node_leave_home(nodes, node);
	}
	return ret;
}

/* Spilling, trimming and refilling change trees, which takes nodes, which ...: until all fit. */
static int make_fit(struct cdx_txn *txn)
{
	int ret;

	do {
		ret = leave_homes(txn, MOST_HOMES);
		if (!ret)
			ret = cdx_limbo_spill(txn);
		if (!ret)
			ret = cdx_alloc_reserve(txn);
	} while (!ret && !cdx_limbo_fits(txn));
	return ret;
}

static int write_tree(struct cdx_txn *txn, struct cdx_tree *tree)
{
	return cdx_tree_write(&txn->nodes, tree->root, tree->kind, cdx_alloc_node, txn);
}

static int write_trees(struct cdx_txn *txn)
{
	int ret;

	ret = write_tree(txn, &txn->fs);
	if (!ret)
		ret = write_tree(txn, &txn->staging);
	if (!ret)
		ret = write_tree(txn, &txn->limbo);
	if (!ret)
		ret = write_tree(txn, &txn->space.tree);
	cdx_alloc_settle(txn);
	return ret;
}

/* All that a commit writes before its record. */
static int finish(struct cdx_txn *txn)
{
	int ret = make_fit(txn);

	return ret ? ret : write_trees(txn);
}

int cdx_txn_relieve(struct cdx_txn *txn)
{
	int ret = 0;

	if (txn->nodes.dirty_count < MAX_DIRTY && txn->record.list.n < MAX_ENTRIES)
		return 0;
	if (txn->device->flags & CDX_DEVICE_DISCARD)
		return 0;
	if (txn->record.list.n >= MAX_ENTRIES)
		ret = cdx_limbo_shorten(txn, MAX_ENTRIES / 2);
	if (ret || txn->nodes.dirty_count < MAX_DIRTY)
		return ret;
	ret = leave_homes(txn, 0);
	if (ret)
		return ret;
	/* The reserves may be as splintered as they like until the commit. */
	ret = cdx_alloc_fill(txn);
	/* What is removed one by one may all be gone in the end, and need no space. */
	if (ret == -ENOSPC && txn->claim == CDX_CLAIM_KEPT && txn->nodes.dirty_count < MAX_DIRTY_UNFIT)
		return 0;
	return ret ? ret : write_trees(txn);
}

int cdx_txn_prepare(struct cdx_txn *txn)
{
	return txn->device->flags & CDX_DEVICE_DISCARD ? 0 : finish(txn);
}

/* When the primary's fence fails nobody knows what has happened: *unknown (R3). */
static int publish(struct cdx_txn *txn, bool *unknown, struct cowdax_error *error)
{
	union cdx_slot slot;
	int ret;

	cdx_record_encode(&txn->record, &txn->nodes.amends, txn->super, &slot.commit);
	ret = cdx_settle_fence(txn);
	if (ret)
		return cdx_error(error, ret, "%s: what was written could not be made durable: nothing has changed",
				 txn->device->path);
	/* No store of a slot may lack room: nobody could tell what came of it (R22). */
	for (int mirror = 0; mirror < 2 && !ret; mirror++)
		ret = cdx_pmem_prepare(&txn->device->pm,
				       cdx_slot_offset(txn->super, (int)(txn->record.transaction & 1), mirror),
				       CDX_SLOT_SIZE);
	if (ret)
		return ret;
	ret = cdx_slot_store(txn, &slot);
	if (ret) {
		*unknown = true;
		return cdx_error(error, ret, "%s: the commit itself failed: it is not known whether it took place",
				 txn->device->path);
	}
	/* Committed.  Without its mirror the handle must store the slot again first. */
	txn->seen = cdx_slot_store_mirror(txn, &slot) == 0 ? CDX_SEEN_OWN : CDX_SEEN_SLOT;
	return 0;
}

/* What was being built is what is committed now. */
static void turn_over(struct cdx_txn *txn)
{
	struct cdx_record old = txn->committed;

	txn->committed = txn->record;
	txn->record = old;
	if (txn->nodes.reamended)
		cdx_amends_copy(&txn->amends, &txn->nodes.amends);
	txn->nodes.reamended = false;
	txn->working = CDX_WORKING_STALE;
}

int cdx_txn_commit(struct cdx_txn *txn, struct cowdax_error *error)
{
	bool unknown = false;
	int ret;

	if (!cdx_txn_is_open(txn))
		return cdx_error(error, -EINVAL, "%s: no transaction is open", txn->device->path);
	if (txn->phase == CDX_PHASE_DRY) {
		cdx_txn_abort(txn);
		return 0;
	}
	ret = finish(txn);
	if (!ret && txn->nodes.dirty_count)
		ret = -ENOTRECOVERABLE;		/* a dirty node that no tree reaches: never seen */
	/* What comes after publishing cannot fail: the record committed now takes the new one's copy. */
	if (!ret)
		ret = cdx_record_make_room(&txn->committed, &txn->record);
	if (!ret)
		ret = publish(txn, &unknown, error);
	if (!ret)
		turn_over(txn);
	leave(txn, unknown ? CDX_PHASE_DEAD : CDX_PHASE_IDLE);
	return ret;
}

/* ---- sharing ----------------------------------------------------------------------------------------- */

/*
 * A shared node is as it lies on media (FORMAT 4.3): make those dirty that are amended and lie
 * in this tree, by the way to the child that is elsewhere.
 */
static int unfold(struct cdx_txn *txn, struct cdx_ref *root, const struct cdx_disk_amend *amend)
{
	struct cdx_tree tree = cdx_txn_extents(txn, root);
	struct cdx_cursor cursor;
	struct cdx_node *child;
	struct cdx_path path;
	struct cdx_key key;
	int ret;

	tree.borrows = true;
	if (amend->kind != CDX_KIND_EXTENT || amend->level > root->level)
		return 0;
	ret = cdx_node_get(&txn->nodes, get64(amend->value), get32(amend->more), CDX_KIND_EXTENT,
			   (uint8_t)(amend->level - 1), &child);
	if (ret)
		return ret;
	key = cdx_item_key(child, cdx_node_item(child, 0));
	cdx_node_put(&txn->nodes, child);
	ret = cdx_cursor_seek(&cursor, &tree, &key);
	if (ret > 0)
		ret = cursor.node[amend->level]->address == get64(amend->node);
	cdx_cursor_end(&cursor);
	return ret > 0 ? cdx_path_seek(&path, &tree, &key) : ret;
}

static int unfold_all(struct cdx_txn *txn, struct cdx_ref *root)
{
	struct cdx_amends amends;
	int ret = 0;

	cdx_amends_copy(&amends, &txn->nodes.amends);
	for (unsigned int i = 0; i < amends.n && !ret; i++)
		ret = unfold(txn, root, &amends.entry[i]);
	return ret;
}

/* Whether any node of an extent tree may not be as it lies on media. */
static bool may_be_amended(const struct cdx_txn *txn, const struct cdx_ref *root)
{
	const struct cdx_amends *amends = &txn->nodes.amends;
	unsigned int i = 0;

	while (i < amends->n && amends->entry[i].kind != CDX_KIND_EXTENT)
		i++;
	return i < amends->n || cdx_is_dirty(root->address);
}

/* Write its nodes anew where they are not. */
static int write_as_is(struct cdx_txn *txn, struct cdx_ref *root)
{
	struct cdx_tree tree = cdx_txn_extents(txn, root);
	int ret = leave_homes(txn, 0);

	if (!ret)
		ret = unfold_all(txn, root);
	if (!ret)
		ret = leave_homes(txn, 0);
	if (ret || !cdx_is_dirty(root->address))
		return ret;
	ret = cdx_alloc_fill(txn);
	if (!ret)
		ret = write_tree(txn, &tree);
	cdx_alloc_settle(txn);
	return ret;
}

int cdx_txn_share_tree(struct cdx_txn *txn, struct cdx_ref *root)
{
	int ret = may_be_amended(txn, root) ? write_as_is(txn, root) : 0;

	if (ret)
		return ret;
	txn->shared_at = txn->record.transaction;
	return cdx_space_share(&txn->space, root->address, 1);
}
