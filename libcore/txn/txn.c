// SPDX-License-Identifier: LGPL-2.1-or-later
#include "txn/txn.h"

#include <inttypes.h>
#include <unistd.h>

#include "txn/share.h"

#define DRAIN_BUDGET 16		/* of a transaction that does something else */
#define DRAIN_ALL_BUDGET 4096	/* of one that only drains */
#define DRAIN_COST 8		/* nodes that undoing one entry may take until it pays */
#define LAZY_LIMBO 24		/* entries that may wait before readers are asked about */
#define MAX_DIRTY 8192		/* nodes before a long transaction writes some out */

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

/* Grains that only removals and drains may use (R17). */
static uint64_t removal_reserve(const struct cdx_super *super)
{
	uint64_t reserve = super->grains / 128;

	return reserve < 32 ? 32 : reserve > 128 ? 128 : reserve;
}

int cdx_txn_init(struct cdx_txn *txn, struct cdx_device *device, const struct cdx_super *super)
{
	memset(txn, 0, sizeof(*txn));
	txn->device = device;
	txn->super = super;
	if (cdx_nodes_init(&txn->nodes, &device->pm, super))
		return -ENOMEM;
	txn->reserve = removal_reserve(super);
	init_tree(txn, &txn->fs, &txn->record.fs, CDX_KIND_FS, &cdx_shareable_ops);
	init_tree(txn, &txn->limbo, &txn->record.limbo, CDX_KIND_LIMBO, &cdx_private_ops);
	init_tree(txn, &txn->staging, &txn->record.staging, CDX_KIND_STAGING, &cdx_private_ops);
	cdx_space_init(&txn->space, &txn->nodes, &cdx_space_tree_ops, txn, &txn->record.space, &txn->record.free_grains);
	return 0;
}

void cdx_txn_exit(struct cdx_txn *txn)
{
	if (txn->open)
		cdx_txn_abort(txn);
	cdx_txn_release_view(txn);
	cdx_nodes_exit(&txn->nodes);
	cdx_record_exit(&txn->committed);
	cdx_record_exit(&txn->record);
}

void cdx_txn_disown(struct cdx_txn *txn)
{
	txn->open = false;
	txn->locked = false;
	txn->epoch = 0;
}

/* Make the working state the one last seen committed. */
static int reset(struct cdx_txn *txn)
{
	bool same = txn->unchanged;

	cdx_nodes_forget_all(&txn->nodes);
	txn->nodes.transaction = txn->committed.transaction;
	txn->space.run_end = 0;
	txn->taking.count = 0;
	txn->removing = false;
	txn->unchanged = true;
	return same ? 0 : cdx_record_copy(&txn->record, &txn->committed);
}

/* ---- seeing ------------------------------------------------------------------------------ */

static int adopt(struct cdx_txn *txn, const union cdx_slot *slot)
{
	int ret;

	/* Looking does not make this handle forget that it made this commit durable. */
	if (txn->own_newest && get64(slot->commit.transaction) == txn->committed.transaction)
		return reset(txn);
	ret = cdx_record_decode(&txn->committed, txn->super, &slot->commit);
	txn->own_newest = false;
	txn->unchanged = false;
	return ret ? ret : reset(txn);
}

static int peek_newest(struct cdx_txn *txn, struct cdx_slots *slots, uint64_t *newest)
{
	int ret = cdx_slots_read(&txn->device->pm, txn->super, slots);

	if (!ret)
		*newest = get64(cdx_slots_newest(slots)->commit.transaction);
	return ret;
}

void cdx_txn_release_view(struct cdx_txn *txn)
{
	if (txn->epoch)
		cdx_device_unlock(txn->device, CDX_LOCK_READERS + txn->epoch, 1);
	txn->epoch = 0;
}

/*
 * Lock the newest number known, then look again and use the newest (I5): a
 * writer that asked for readers before the lock was there undoes nothing that
 * the image seen now can reach.
 */
int cdx_txn_view(struct cdx_txn *txn, struct cowdax_error *error)
{
	struct cdx_slots slots;
	uint64_t known, newest;
	int ret;

	if (txn->epoch)
		return 0;
	for (int tries = 0; tries < 1000; tries++) {
		ret = peek_newest(txn, &slots, &known);
		if (ret == -EUCLEAN)
			continue;	/* both slots may be changing under us */
		if (ret)
			return ret;
		ret = cdx_device_lock(txn->device, CDX_LOCK_READERS + known, 1, false, true);
		if (ret)
			return ret;
		txn->epoch = known;
		ret = peek_newest(txn, &slots, &newest);
		if (!ret && newest >= known)
			return adopt(txn, cdx_slots_newest(&slots));
		cdx_txn_release_view(txn);
	}
	return cdx_error(error, -EUCLEAN, "no valid commit record: the image is damaged");
}

/* ---- beginning ------------------------------------------------------------------------------ */

static void put_slot(struct cdx_txn *txn, const union cdx_slot *slot, bool mirror)
{
	int parity = (int)(get64(slot->commit.transaction) & 1);

	cdx_pmem_copy(&txn->device->pm, cdx_slot_offset(txn->super, parity, mirror), slot,
		      get32(slot->commit.length));
}

static int store_slot(struct cdx_txn *txn, const union cdx_slot *slot, bool mirror)
{
	put_slot(txn, slot, mirror);
	return cdx_pmem_fence(&txn->device->pm);
}

/*
 * What others committed may be visible and not durable: store it again, and make
 * all copies agree (R1, R3).  Only the newest primary needs a fence of its own:
 * a commit's first fence, before it stores a slot anew, is there for the others.
 */
static int settle_slots(struct cdx_txn *txn, const struct cdx_slots *slots)
{
	const union cdx_slot *newest = cdx_slots_newest(slots);
	int parity = (int)(get64(newest->commit.transaction) & 1), other = !parity;
	const union cdx_slot *old = &slots->copy[other][0], *mirror = &slots->copy[other][1];
	int ret;

	ret = store_slot(txn, newest, false);
	if (ret)
		return ret;
	put_slot(txn, newest, true);
	if (!slots->valid[other][0] && !slots->valid[other][1])
		return 0;
	if (!slots->valid[other][0] ||
	    (slots->valid[other][1] && get64(mirror->commit.transaction) > get64(old->commit.transaction)))
		put_slot(txn, mirror, false);
	else if (!slots->valid[other][1] || get64(mirror->commit.transaction) != get64(old->commit.transaction))
		put_slot(txn, old, true);
	return 0;
}

/* Whether nobody has committed since this handle did: its two numbers stand in the slots. */
static bool still_newest(const struct cdx_txn *txn)
{
	uint64_t newest = txn->committed.transaction;
	struct cdx_disk_commit head[2];

	if (!txn->own_newest)
		return false;
	for (int parity = 0; parity < 2; parity++) {
		if (cdx_pmem_read(&txn->device->pm, cdx_slot_offset(txn->super, parity, false), &head[parity],
				  offsetof(struct cdx_disk_commit, next_inode)))
			return false;
	}
	return get64(head[newest & 1].transaction) == newest && get64(head[!(newest & 1)].transaction) < newest;
}

static int see_for_writing(struct cdx_txn *txn)
{
	struct cdx_slots slots;
	int ret;

	if (still_newest(txn))
		return 0;
	ret = cdx_slots_read(&txn->device->pm, txn->super, &slots);
	for (int i = 0; i < 4 && !ret; i++)
		ret = cdx_pmem_prepare(&txn->device->pm, cdx_slot_offset(txn->super, i / 2, i % 2),
				       CDX_SLOT_SIZE);
	if (!ret)
		ret = settle_slots(txn, &slots);
	return ret ? ret : adopt(txn, cdx_slots_newest(&slots));
}

/*
 * The newest T whose entries may be undone: two commits old, and no image
 * before it is being read, by others or by this handle (R2, R6).
 */
static int drain_limit(struct cdx_txn *txn, uint64_t *limit)
{
	uint64_t where;
	int ret;

	*limit = txn->record.transaction - 2;
	if (txn->epoch && txn->epoch < *limit)
		*limit = txn->epoch;
	while ((ret = cdx_device_lock_test(txn->device, CDX_LOCK_READERS, *limit, &where)) > 0)
		*limit = where - CDX_LOCK_READERS;
	return ret;
}

static int drain(struct cdx_txn *txn)
{
	bool wanted = txn->record.limbo.address && cdx_alloc_wants_grains(txn);
	uint64_t limit;
	int ret;

	if (txn->drain_broken || cdx_limbo_empty(txn))
		return 0;
	if (!wanted && txn->record.list.n < LAZY_LIMBO)
		return 0;
	ret = drain_limit(txn, &limit);
	return ret ? ret : cdx_limbo_drain(txn, limit, DRAIN_BUDGET);
}

static int start(struct cdx_txn *txn)
{
	int ret;

	if (txn->committed.transaction >= CDX_LAST_TRANSACTION)
		return -EOVERFLOW;
	ret = reset(txn);
	if (ret)
		return ret;
	txn->open = true;
	txn->unchanged = false;
	txn->record.transaction++;
	txn->nodes.transaction = txn->record.transaction;
	clock_gettime(CLOCK_REALTIME, &txn->now);
	return 0;
}

/* Start, and undo what is old.  Damage in limbo costs space, not the transaction: fsck reports it. */
static int start_and_drain(struct cdx_txn *txn)
{
	int ret = start(txn);

	if (!ret)
		ret = drain(txn);
	if (ret != -EUCLEAN && ret != -EIO && ret != -ENOSPC)
		return ret;
	txn->drain_broken = ret != -ENOSPC;
	return start(txn);
}

static void unlock(struct cdx_txn *txn)
{
	if (txn->locked)
		cdx_device_unlock(txn->device, CDX_LOCK_COMMIT, 1);
	txn->locked = false;
}

static int begin(struct cdx_txn *txn, int (*how)(struct cdx_txn *), struct cowdax_error *error)
{
	bool wait = !(txn->device->flags & CDX_DEVICE_NO_WAIT);
	int ret;

	if (txn->open)
		return cdx_error(error, -EBUSY, "a transaction is open already");
	if (txn->dead)
		return cdx_error(error, -EIO, "an earlier commit failed and its outcome is unknown: open the image again");
	if (txn->device->flags & CDX_DEVICE_DISCARD) {
		ret = cdx_txn_view(txn, error);
		return ret ? ret : how(txn);
	}
	if (!(txn->device->flags & CDX_DEVICE_WRITABLE))
		return cdx_error(error, -EROFS, "the image is open for reading only");
	ret = cdx_device_lock(txn->device, CDX_LOCK_COMMIT, 1, true, wait);
	if (ret == -EAGAIN)
		return cdx_error(error, ret, "another process is writing to the image");
	if (ret)
		return ret;
	txn->locked = true;
	cdx_pmem_take_fault(&txn->device->pm);	/* of what was aborted */
	ret = see_for_writing(txn);
	if (ret == -EUCLEAN)
		cdx_error(error, ret, "no valid commit record: the image is damaged");
	if (!ret)
		ret = how(txn);
	if (ret) {
		txn->open = false;
		unlock(txn);
	}
	return ret;
}

int cdx_txn_begin(struct cdx_txn *txn, struct cowdax_error *error)
{
	return begin(txn, start_and_drain, error);
}

void cdx_txn_abort(struct cdx_txn *txn)
{
	if (!txn->open)
		return;
	txn->open = false;
	reset(txn);
	unlock(txn);
}

/* ---- committing ------------------------------------------------------------------------------- */

/* Spilling, trimming and refilling change trees, which takes nodes, which ...: until all fit. */
static int make_fit(struct cdx_txn *txn)
{
	int ret;

	for (int round = 0; round < 64; round++) {
		ret = cdx_limbo_spill(txn);
		if (!ret)
			ret = cdx_alloc_reserve(txn);
		if (ret)
			return ret;
		if (txn->record.list.n <= CDX_MAX_RECORD_LIMBO)
			return 0;
	}
	return -ENOSPC;
}

static int write_tree(struct cdx_txn *txn, struct cdx_tree *tree)
{
	return cdx_tree_write(&txn->nodes, tree->root, tree->kind, cdx_alloc_node, txn);
}

static int write_trees(struct cdx_txn *txn)
{
	int ret;

	ret = make_fit(txn);
	if (!ret)
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

int cdx_txn_relieve(struct cdx_txn *txn)
{
	if (txn->nodes.dirty_count < MAX_DIRTY || (txn->device->flags & CDX_DEVICE_DISCARD))
		return 0;
	return write_trees(txn);
}

int cdx_txn_prepare(struct cdx_txn *txn)
{
	return txn->device->flags & CDX_DEVICE_DISCARD ? 0 : write_trees(txn);
}

static int publish(struct cdx_txn *txn, struct cowdax_error *error)
{
	union cdx_slot slot;
	int ret;

	cdx_record_encode(&txn->record, txn->super, &slot.commit);
	ret = cdx_pmem_fence(&txn->device->pm);
	if (ret)
		return cdx_error(error, ret, "what was written could not be made durable: nothing has changed");
	ret = store_slot(txn, &slot, false);
	if (ret) {
		txn->dead = true;
		return cdx_error(error, ret, "the commit itself failed: it is not known whether it took place");
	}
	/* Committed.  Without its mirror the handle must store the slot again first. */
	txn->own_newest = store_slot(txn, &slot, true) == 0;
	return 0;
}

int cdx_txn_commit(struct cdx_txn *txn, struct cowdax_error *error)
{
	struct cdx_record old;
	int ret;

	if (!txn->open)
		return cdx_error(error, -EINVAL, "no transaction is open");
	if (txn->device->flags & CDX_DEVICE_DISCARD) {
		cdx_txn_abort(txn);
		return 0;
	}
	ret = write_trees(txn);
	if (!ret && txn->nodes.dirty_count)
		ret = -ENOTRECOVERABLE;		/* a dirty node that no tree reaches: never seen */
	if (!ret)
		ret = publish(txn, error);
	if (ret) {
		cdx_txn_abort(txn);
		return ret;
	}
	old = txn->committed;
	txn->committed = txn->record;
	txn->record = old;
	/* Committed it is: a handle that cannot remember what it did is of no more use. */
	txn->dead = cdx_record_copy(&txn->record, &txn->committed) != 0;
	txn->open = false;
	txn->unchanged = true;
	txn->removing = false;
	unlock(txn);
	return 0;
}

/* ---- making room --------------------------------------------------------------------------------- */

static uint64_t free_anywhere(const struct cdx_record *record)
{
	return record->free_grains + record->pool.grains + record->window.grains;
}

/* As much as the free space there is can pay for, 1/@share of that. */
static int drain_budget(const struct cdx_txn *txn, unsigned int share)
{
	uint64_t budget = free_anywhere(&txn->record) / DRAIN_COST / share;

	if (budget > DRAIN_ALL_BUDGET)
		return DRAIN_ALL_BUDGET;
	return budget ? (int)budget : 1;
}

/* One commit that undoes entries; how many of them will yield more, or -errno. */
static int drain_once(struct cdx_txn *txn, unsigned int share, bool *blocked, struct cowdax_error *error)
{
	int expanded = 0, budget, ret;
	uint64_t limit;

	ret = begin(txn, start, error);
	if (ret)
		return ret;
	txn->removing = true;
	budget = drain_budget(txn, share);
	ret = drain_limit(txn, &limit);
	if (!ret) {
		*blocked = limit + 2 < txn->record.transaction;
		ret = expanded = cdx_limbo_drain_hard(txn, limit, budget);
	}
	if (ret >= 0 && budget == DRAIN_ALL_BUDGET)
		ret = cdx_alloc_return_all(txn);
	if (ret < 0)
		cdx_txn_abort(txn);
	else
		ret = cdx_txn_commit(txn, error);
	return ret ? ret : expanded;
}

int cdx_txn_drain_all(struct cdx_txn *txn, bool *blocked, struct cowdax_error *error)
{
	unsigned int share = 1;
	uint64_t most = 0;
	int idle = 0, ret;

	*blocked = false;
	txn->drained = true;
	/* Two commits pass before an entry can be undone, and so between a tree and its children. */
	while (idle < 4) {
		ret = drain_once(txn, share, blocked, error);
		if (ret == -ENOSPC && share < DRAIN_ALL_BUDGET) {
			share *= 4;
			continue;
		}
		if (ret < 0)
			return ret;
		share = 1;
		idle = ret ? 0 : idle + 1;
		if (free_anywhere(&txn->committed) > most) {
			most = free_anywhere(&txn->committed);
			idle = 0;
		}
	}
	return 0;
}

/* ---- sharing ----------------------------------------------------------------------------------------- */

int cdx_txn_share_tree(struct cdx_txn *txn, struct cdx_ref *root)
{
	int ret;

	if (cdx_is_dirty(root->address)) {
		ret = make_fit(txn);
		if (!ret)
			ret = cdx_tree_write(&txn->nodes, root, CDX_KIND_EXTENT, cdx_alloc_node, txn);
		cdx_alloc_settle(txn);
		if (ret)
			return ret;
	}
	return cdx_space_share(&txn->space, root->address, 1);
}

/* ---- mkfs ---------------------------------------------------------------------------------------------- */

uint64_t cdx_txn_format_pool(const struct cdx_super *super)
{
	uint64_t block = UINT64_C(1) << super->grains_per_block_shift;

	return (2 * removal_reserve(super) + 64 + block - 1) & ~(block - 1);
}

int cdx_txn_format(struct cdx_txn *txn)
{
	const struct cdx_super *super = txn->super;
	uint64_t pool = cdx_txn_format_pool(super);
	uint64_t tail = super->grains - super->head_grains, low = super->head_grains;
	struct cdx_disk_space items[] = {
		{put64(0), put64(1)},
		{put64(low + pool), put64(0)},
		{put64(tail), put64(1)},
	};
	int ret = 0;

	if (low + pool >= tail)
		return -ENOSPC;
	txn->committed.transaction = CDX_FIRST_TRANSACTION - 1;
	txn->committed.next_inode = COWDAX_ROOT_INODE;
	txn->committed.next_nonce = 1;
	txn->committed.free_grains = tail - low - pool;
	ret = cdx_runs_add(&txn->committed.pool, low, pool);
	if (!ret)
		ret = start(txn);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]) && !ret; i++)
		ret = cdx_tree_insert(&txn->space.tree, &items[i], sizeof(items[i]));
	return ret;
}
