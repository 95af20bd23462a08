// SPDX-License-Identifier: LGPL-2.1-or-later
/* cowdax_info(): facts about an image, and what its space is used for. */
#include "api/image.h"

#include "base/count.h"

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
	ret = add_up(sums, 1);
	if (ret)
		return ret;
	ret = cdx_node_get(&sums->txn->nodes, address, crc, kind, level, &node);
	if (ret)
		return ret;
	ret = cdx_node_pointers(&sums->txn->nodes, node, sum_pointer, sums);
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

static int info_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	const struct cdx_record *record = &fs->txn.record;
	unsigned int shift = fs->super.grains_per_block_shift;
	uint64_t reserved = record->pool.grains + record->window.grains;
	struct limbo_sums limbo = {.txn = &fs->txn};
	struct space_sums space = {0};
	struct cowdax_info *info = args;
	int ret;

	(void)error;
	ret = cdx_space_walk(&fs->txn.space, sum_space, &space);
	if (!ret)
		ret = cdx_limbo_walk(&fs->txn, sum_entry, &limbo);
	if (ret)
		return ret;
	*info = (struct cowdax_info){
		.block_size = fs->super.block_size,
		.node_size = fs->super.node_size,
		.size = fs->super.size,
		.blocks = fs->super.blocks,
		.free_blocks = (record->free_grains + reserved) >> shift,
		.limbo_blocks = limbo.grains >> shift,
		.shared_blocks = space.shared >> shift,
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
