// SPDX-License-Identifier: LGPL-2.1-or-later
/* What files have lost and only bases keep (FORMAT 6.4) is given back, before the next change would do so. */
#include "api/image.h"
#include "txn/hidden.h"

struct unhide {
	uint64_t inode, block;		/* all before are done */
	bool all;			/* whatever borrows counts: what several share may hide as well */
	bool found;
};

/* The next node that borrows from what nobody else has takes that over (FORMAT 6.4). */
static int unhide_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	struct unhide *unhide = args;
	struct cdx_txn *txn = &fs->txn;
	struct cdx_inode inode;
	int ret;

	(void)error;
	unhide->found = false;
	while ((ret = cdx_inode_next_tree(txn, &unhide->inode)) > 0) {
		ret = cdx_inode_load(txn, unhide->inode, &inode);
		if (!ret)
			ret = cdx_extents_find_hiding(txn, &inode.extents, unhide->all, &unhide->block);
		if (ret < 0)
			return ret;
		if (ret)
			break;
		unhide->inode++;
		unhide->block = 0;
	}
	if (ret <= 0)
		return ret;
	unhide->found = true;
	ret = cdx_extents_settle(txn, &inode.extents, unhide->block);
	return ret ? ret : cdx_inode_store(txn, &inode);
}

int cdx_image_unhide(struct cowdax *fs, bool all, struct cowdax_error *error)
{
	struct unhide unhide = {.all = all};
	int ret;

	do {
		ret = cdx_image_change(fs, unhide_op, &unhide, NULL, fs->path, error);
	} while (!ret && unhide.found);
	return ret;
}

static int count_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	(void)error;
	return cdx_hidden_blocks(&fs->txn, args);
}

/*
 * From bases that nobody else has.  Where something is left, from those of several as well, for
 * which all that they share has to be counted.
 */
static int unhide(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t hidden;
	int ret = cdx_image_transactable(fs, error);

	for (int all = 0; all < 2 && !ret; all++) {
		ret = cdx_image_look(fs, count_op, &hidden, fs->path, error);
		if (ret || !hidden)
			return ret;
		ret = cdx_image_unhide(fs, all, error);
		if (!ret || ret == -ENOSPC)
			ret = cdx_image_make_room(fs, error);
	}
	return ret == -ENOSPC ? 0 : ret;
}

int cowdax_unhide(struct cowdax *fs, struct cowdax_error *error)
{
	cdx_image_enter(fs, error);
	return cdx_image_leave(fs, unhide(fs, error), fs->path, error);
}
