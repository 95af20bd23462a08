// SPDX-License-Identifier: LGPL-2.1-or-later
/* The first transaction of a new filesystem (R4; FORMAT 4, 7). */
#include "txn/txn.h"

uint64_t cdx_txn_format_pool(const struct cdx_super *super)
{
	uint64_t block = UINT64_C(1) << super->grains_per_block_shift;

	return (2 * cdx_budget_kept_at_first(super) + 64 + block - 1) & ~(block - 1);
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
	/* Nobody else is there: mkfs has the device to itself. */
	if (!ret)
		ret = cdx_phase_enter(txn, CDX_PHASE_LOCKED);
	if (!ret)
		ret = cdx_txn_start(txn);
	if (!ret)
		ret = cdx_phase_enter(txn, CDX_PHASE_OPEN);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]) && !ret; i++)
		ret = cdx_tree_insert(&txn->space.tree, &items[i], sizeof(items[i]));
	return ret;
}
