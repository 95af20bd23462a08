// SPDX-License-Identifier: LGPL-2.1-or-later
/* cowdax_info() and cowdax_space(): facts about an image, and what its space is used for (FORMAT 4, 5, 7). */
#include "api/image.h"

#include "base/count.h"
#include "base/met.h"
#include "tree/borrow.h"
#include "txn/hidden.h"

struct space_sums { uint64_t shared; };

static int sum_space(void *arg, uint64_t start_grain, uint64_t count, uint64_t references)
{
	struct space_sums *sums = arg;

	(void)start_grain;
	if (references > 1)
		sums->shared += count;
	return 0;
}

struct limbo_sums {
	struct cdx_txn *txn;
	struct cdx_met met;		/* nodes */
	uint64_t grains;
};

/* What is counted is never more than there is: many ways may lead to one crafted node. */
static int add_up(struct limbo_sums *sums, uint64_t grains)
{
	return cdx_raise(&sums->grains, grains, sums->txn->super->grains);
}

static int sum_pointer(void *arg, const struct cdx_pointer *pointer);

/* What comes free when a run's pointer has been undone. */
static int sum_run(struct limbo_sums *sums, uint64_t at, uint64_t count)
{
	while (count) {
		uint64_t references, end, part;
		int ret = cdx_space_count(&sums->txn->space, at, &references, &end);

		if (ret)
			return ret;
		part = end - at < count ? end - at : count;
		ret = references == 1 ? add_up(sums, part) : 0;
		if (ret)
			return ret;
		at += part;
		count -= part;
	}
	return 0;
}

/* The same for a subtree that has no other pointer; as deep as its level. */
static int sum_tree(struct limbo_sums *sums, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level)
{
	struct cdx_node *node;
	uint64_t references, end;
	int ret;

	ret = cdx_space_count(&sums->txn->space, address, &references, &end);
	if (ret || references != 1)
		return ret;
	ret = cdx_meet(&sums->met, address);
	if (ret <= 0)
		return ret;
	ret = add_up(sums, 1);
	if (ret)
		return ret;
	ret = cdx_node_get(&sums->txn->nodes, address, crc, kind, level, &node);
	if (ret)
		return ret;
	ret = cdx_node_counted(&sums->txn->nodes, node, sum_pointer, sums);
	cdx_node_put(&sums->txn->nodes, node);
	return ret;
}

static int sum_pointer(void *arg, const struct cdx_pointer *pointer)
{
	if (pointer->data)
		return sum_run(arg, pointer->start, pointer->count);
	return sum_tree(arg, pointer->start, pointer->crc, pointer->kind, pointer->level);
}

static int sum_entry(void *arg, const struct cdx_limbo_entry *entry)
{
	if (entry->type == CDX_LIMBO_TREE)
		return sum_tree(arg, entry->address, entry->crc, entry->kind, entry->level);
	return sum_run(arg, entry->address, entry->count);
}

/* What limbo is sure to give; nothing while an older image is being read. */
static int limbo_grains(struct cowdax *fs, uint64_t *grains)
{
	uint64_t where;
	int ret = cdx_device_lock_test(&fs->device, fs->device.lock.readers, fs->txn.record.transaction, &where);

	*grains = ret == 0 ? cdx_limbo_grains(&fs->txn) : 0;
	return ret < 0 ? ret : 0;
}

/* What writers left that are dead; nothing while one is alive. */
static int abandoned_grains(struct cowdax *fs, uint64_t *grains)
{
	uint64_t where;
	int ret = fs->txn.record.staged_blocks && !fs->stage.open;

	*grains = 0;
	if (!ret)
		return 0;
	ret = cdx_device_lock_test(&fs->device, fs->device.lock.lanes, CDX_MAX_LANE + 1, &where);
	if (ret == 0)
		*grains = fs->txn.record.staged_blocks << fs->super.grains_per_block_shift;
	return ret < 0 ? ret : 0;
}

static int available_grains(struct cowdax *fs, uint64_t *grains)
{
	struct cdx_budget budget = cdx_budget(&fs->txn);
	uint64_t limbo, abandoned, spoken_for;
	int ret;

	ret = limbo_grains(fs, &limbo);
	if (!ret)
		ret = abandoned_grains(fs, &abandoned);
	if (ret)
		return ret;
	/* What is kept may wait in limbo too. */
	budget.held += limbo + abandoned;
	spoken_for = budget.kept + budget.promised + budget.needed;
	*grains = budget.held > spoken_for ? budget.held - spoken_for : 0;
	return 0;
}

static int space_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	unsigned int shift = fs->super.grains_per_block_shift;
	struct cowdax_space *space = args;
	uint64_t available;
	int ret = cdx_view_lists(&fs->txn);

	(void)error;
	if (!ret)
		ret = available_grains(fs, &available);
	if (ret)
		return ret;
	*space = (struct cowdax_space){
		.block_size = fs->super.block_size,
		.blocks = fs->super.blocks,
		.inodes = fs->txn.record.inodes,
		.free_blocks = cdx_budget(&fs->txn).held >> shift,
		.available_blocks = available >> shift,
	};
	return 0;
}

int cowdax_space(struct cowdax *fs, struct cowdax_space *space, struct cowdax_error *error)
{
	return cdx_image_look(fs, space_op, space, fs->path, error);
}

static int info_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	const struct cdx_record *record = &fs->txn.record;
	unsigned int shift = fs->super.grains_per_block_shift;
	struct limbo_sums limbo = {.txn = &fs->txn};
	struct space_sums space = {0};
	struct cowdax_info *info = args;
	uint64_t available, reserved;
	int ret;

	(void)error;
	ret = cdx_view_lists(&fs->txn);
	if (!ret)
		ret = cdx_space_walk(&fs->txn.space, sum_space, &space);
	if (!ret)
		ret = cdx_limbo_walk(&fs->txn, sum_entry, &limbo);
	cdx_met_exit(&limbo.met);
	if (!ret)
		ret = available_grains(fs, &available);
	if (ret)
		return ret;
	reserved = record->pool.grains + record->window.grains;
	*info = (struct cowdax_info){
		.block_size = fs->super.block_size,
		.node_size = fs->super.node_size,
		.size = fs->super.size,
		.blocks = fs->super.blocks,
		.free_blocks = (record->free_grains + reserved) >> shift,
		.available_blocks = available >> shift,
		.limbo_blocks = limbo.grains >> shift,
		.shared_blocks = space.shared >> shift,
		.hidden_blocks = UINT64_MAX,
		.reserved_blocks = reserved >> shift,
		.inodes = record->inodes,
		.transaction = record->transaction,
		.compat = fs->super.compat,
		.ro_compat = fs->super.ro_compat,
		.incompat = fs->super.incompat,
		.mapping = fs->device.pm.kind,
	};
	memcpy(info->uuid, fs->super.uuid, sizeof(info->uuid));
	memcpy(info->label, fs->super.label, sizeof(fs->super.label));
	return 0;
}

int cowdax_info(struct cowdax *fs, struct cowdax_info *info, struct cowdax_error *error)
{
	return cdx_image_look(fs, info_op, info, fs->path, error);
}

static int info_hidden_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	struct cowdax_info *info = args;
	uint64_t hidden;
	int ret = cdx_hidden_blocks(&fs->txn, &hidden);

	if (!ret)
		ret = info_op(fs, info, error);
	if (!ret)
		info->hidden_blocks = hidden;
	return ret;
}

int cowdax_info_hidden(struct cowdax *fs, struct cowdax_info *info, struct cowdax_error *error)
{
	return cdx_image_look(fs, info_hidden_op, info, fs->path, error);
}
