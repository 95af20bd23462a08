// SPDX-License-Identifier: LGPL-2.1-or-later
/* Orphans (FORMAT 9.3): removed trees, and taking them apart in pieces of bounded size (R17, R18). */
#include "fs/orphan.h"

#include <sys/stat.h>

#include "base/count.h"

/* One transaction's share of the work. */
struct piece {
	struct cdx_txn *txn;
	int budget;			/* entries that may go */
	bool sparing;			/* space has run out in a larger piece */
	int done;			/* and have gone */
	uint64_t made[CDX_ORPHAN_PIECE];	/* directories that became orphans meanwhile */
	int n_made;
};

/* ---- the items ------------------------------------------------------------------------ */

static struct cdx_key orphan_key(uint64_t number)
{
	return (struct cdx_key){{CDX_ORPHAN_INODE, CDX_ITEM_ORPHAN, number}};
}

/* @inode has no name any more: note that, and that it is nowhere. */
static int add_orphan(struct cdx_txn *txn, struct cdx_inode *inode)
{
	struct cdx_disk_fs_item item = {
		.item = put64(CDX_ITEM_ORPHAN),
		.hash = put64(inode->number),
	};
	int ret;

	inode->parent = 0;
	ret = cdx_inode_store(txn, inode);
	if (!ret)
		ret = cdx_tree_insert(&txn->fs, &item, sizeof(item));
	if (ret)
		return ret == -EEXIST ? -EUCLEAN : ret;
	txn->record.orphans++;
	if (txn->orphans.from > inode->number)
		txn->orphans.from = inode->number;
	return 0;
}

static int remove_orphan(struct cdx_txn *txn, uint64_t number)
{
	struct cdx_key key = orphan_key(number);
	int ret = cdx_lower(&txn->record.orphans, 1);

	return ret ? ret : cdx_tree_delete(&txn->fs, &key);
}

/* The first orphan from *number on: 1, or 0. */
static int find_orphan(struct cdx_txn *txn, uint64_t *number)
{
	struct cdx_key key = orphan_key(*number), end = {{CDX_ORPHAN_INODE + 1}};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek_from(&cursor, &txn->fs, &key);
	if (ret > 0) {
		const struct cdx_disk_fs_item *item = cdx_cursor_item(&cursor);

		if (cdx_key_compare(3, (const le64 *)item, &end) >= 0)
			ret = 0;
		else if (get64(item->item) != CDX_ITEM_ORPHAN)
			ret = -EUCLEAN;
		else
			*number = get64(item->hash);
	}
	cdx_cursor_end(&cursor);
	return ret;
}

/* ---- taking apart ------------------------------------------------------------------------ */

/* What a name in @dir stands for; -EUCLEAN when it cannot be what is there. */
static int load_child(struct cdx_txn *txn, uint64_t dir, const struct cdx_dir_entry *entry,
		      struct cdx_inode *inode)
{
	int ret = cdx_inode_load(txn, entry->inode, inode);

	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	if ((inode->mode & S_IFMT) != entry->type)
		return -EUCLEAN;
	/* A directory that says it is elsewhere has another name: so no loop is followed. */
	if (S_ISDIR(inode->mode) && (inode->parent != dir || inode->number == COWDAX_ROOT_INODE))
		return -EUCLEAN;
	return 0;
}

/* 1 when @dir has no entries, by its fields and in fact; 0 when it has. */
static int is_empty(struct cdx_txn *txn, const struct cdx_inode *dir)
{
	struct cdx_dir_entry entry;
	uint64_t cursor = 0;
	int ret = cdx_dir_next(txn, dir->number, &cursor, &entry);

	if (ret < 0)
		return ret;
	if (ret == 0 && (dir->size || dir->nlink != 2))
		return -EUCLEAN;
	return ret == 0;
}

/* @inode has lost a name.  1 when it is an orphan now. */
static int lose_name(struct cdx_txn *txn, struct cdx_inode *inode)
{
	int ret;

	if (S_ISDIR(inode->mode)) {
		ret = is_empty(txn, inode);
		if (ret > 0)
			return cdx_inode_remove(txn, inode);
		if (!ret)
			ret = add_orphan(txn, inode);
		return ret ? ret : 1;
	}
	if (inode->nlink <= 1)
		return cdx_inode_remove(txn, inode);
	ret = cdx_lower32(&inode->nlink, 1);
	if (ret)
		return ret;
	inode->ctime = txn->now;
	return cdx_inode_store(txn, inode);
}

/* Remove the first entry of @dir: 1, or 0 when there is none. */
static int take_entry(struct piece *piece, struct cdx_inode *dir)
{
	struct cdx_dir_entry entry;
	struct cdx_inode inode;
	uint64_t cursor = 0;
	int ret;

	ret = cdx_dir_next(piece->txn, dir->number, &cursor, &entry);
	if (ret <= 0)
		return ret;
	ret = load_child(piece->txn, dir->number, &entry, &inode);
	if (!ret)
		ret = cdx_dir_remove_at(piece->txn, dir, cursor - 1, entry.type);
	if (!ret)
		ret = lose_name(piece->txn, &inode);
	if (ret > 0)
		piece->made[piece->n_made++] = inode.number;
	return ret < 0 ? ret : 1;
}

static bool may_go_on(const struct piece *piece)
{
	return piece->done < piece->budget && cdx_budget_has_room(piece->txn);
}

/* Take orphan @number apart as far as the piece goes: 1 when nothing is left of it. */
static int take_apart(struct piece *piece, uint64_t number)
{
	struct cdx_txn *txn = piece->txn;
	struct cdx_inode dir;
	int ret = cdx_inode_load(txn, number, &dir);

	if (ret)
		return ret == -ENOENT ? -EUCLEAN : ret;
	/* What is somewhere still is no orphan, whatever the item says. */
	if (!S_ISDIR(dir.mode) || dir.parent)
		return -EUCLEAN;
	while (may_go_on(piece)) {
		ret = take_entry(piece, &dir);
		if (ret < 0)
			return ret;
		if (ret == 0) {
			ret = dir.size || dir.nlink != 2 ? -EUCLEAN : cdx_inode_remove(txn, &dir);
			if (!ret)
				ret = remove_orphan(txn, number);
			piece->done += !ret;
			return ret ? ret : 1;
		}
		piece->done++;
	}
	return cdx_inode_store(txn, &dir);
}

/* Take the orphans apart that the piece has made, and those made by that. */
static int take_apart_made(struct piece *piece)
{
	int ret = 1;

	while (ret > 0 && piece->n_made && may_go_on(piece))
		ret = take_apart(piece, piece->made[--piece->n_made]);
	return ret < 0 ? ret : 0;
}

/* ---- removing ------------------------------------------------------------------------------- */

int cdx_orphan_unlink(struct cdx_txn *txn, uint64_t dir_number, const char *name, size_t length)
{
	struct piece piece = {.txn = txn, .budget = txn->sparing ? 0 : CDX_ORPHAN_PIECE};
	struct cdx_dir_entry entry = {0};
	struct cdx_inode dir, inode;
	uint64_t at;
	int ret;

	ret = cdx_inode_load(txn, dir_number, &dir);
	if (!ret)
		ret = cdx_dir_locate(txn, dir_number, name, length, &entry, &at);
	if (!ret)
		ret = load_child(txn, dir_number, &entry, &inode);
	if (!ret)
		ret = cdx_dir_remove_at(txn, &dir, at, entry.type);
	if (!ret)
		ret = cdx_inode_store(txn, &dir);
	if (!ret)
		ret = lose_name(txn, &inode);
	if (ret <= 0)
		return ret;
	piece.made[piece.n_made++] = inode.number;
	ret = take_apart_made(&piece);
	txn->orphans.own = true;
	return ret;
}

/* ---- later ------------------------------------------------------------------------------------- */

bool cdx_orphans_wait(const struct cdx_txn *txn)
{
	return txn->record.orphans > txn->orphans.left && !(txn->device->flags & CDX_DEVICE_DISCARD);
}

/*
 * Orphans in turn, each with what it makes orphans: so a wide tree leaves few
 * behind.  *at is the one that was worked on last.
 */
static int take_piece(struct piece *piece, uint64_t *at)
{
	struct cdx_txn *txn = piece->txn;
	int ret;

	do {
		*at = txn->orphans.from;
		ret = find_orphan(txn, at);
		if (ret == 0)
			txn->orphans.left = txn->record.orphans;
		if (ret <= 0 || !may_go_on(piece))
			return ret < 0 ? ret : 0;
		ret = take_apart(piece, *at);
		if (ret > 0)
			ret = take_apart_made(piece);
	} while (!ret);
	return ret;
}

/* One transaction.  *damaged: what was found, and not the transaction, is at fault. */
static int sweep_once(struct piece *piece, uint64_t *at, bool *damaged, struct cowdax_error *error)
{
	struct cdx_txn *txn = piece->txn;
	int ret = cdx_txn_begin(txn, error);

	*damaged = false;
	if (ret)
		return ret;
	txn->claim = CDX_CLAIM_KEPT;
	txn->sparing = piece->sparing;
	ret = take_piece(piece, at);
	*damaged = ret == -EUCLEAN || ret == -EIO;
	if (!ret && piece->done)
		return cdx_txn_commit(txn, error);
	cdx_txn_abort(txn);
	return ret;
}

/* A handle meets a damaged orphan once. */
static void leave_to_fsck(struct cdx_txn *txn, uint64_t number)
{
	txn->orphans.broken++;
	if (number == UINT64_MAX)
		txn->orphans.left = txn->record.orphans;
	else
		txn->orphans.from = number + 1;
}

int cdx_orphan_sweep(struct cdx_txn *txn, int most, struct cowdax_error *error)
{
	bool sparing = false;
	int budget = most;

	for (;;) {
		struct piece piece = {.txn = txn, .budget = budget, .sparing = sparing};
		bool damaged;
		uint64_t at;
		int ret = sweep_once(&piece, &at, &damaged, error);

		if (!ret && piece.done)
			return 1;
		if (!ret)
			return cdx_orphans_wait(txn) ? -ENOSPC : 0;
		if (!damaged && ret != -ENOSPC)
			return ret;
		/* What went well before it is worth a transaction. */
		if (piece.done) {
			budget = damaged ? piece.done : piece.done / 2;
			sparing = !damaged;
			if (budget)
				continue;
		}
		if (!damaged)
			return ret;
		leave_to_fsck(txn, at);
		return 1;
	}
}
