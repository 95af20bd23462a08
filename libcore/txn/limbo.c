// SPDX-License-Identifier: LGPL-2.1-or-later
/* Limbo (FORMAT 5): what was dropped, and undoing it when nobody sees it any more (I4, R2, R5). */
#include "txn/limbo.h"

#include <stdlib.h>

#include "base/count.h"
#include "tree/borrow.h"

#define MAX_ENTRY_GRAINS UINT32_MAX
#define MANY_ENTRIES (4 * CDX_MAX_RECORD_LIMBO)	/* of the list: only a large transaction has more */
/* Runs of one count that a dropped range may have before it is put off as a DROP. */
#define MAX_PIECES 8

/* ---- dropping --------------------------------------------------------------------- */

/* Let @have end where @next does, which must begin where it ends: whether they can be one entry. */
static bool join_behind(struct cdx_limbo_entry *have, const struct cdx_limbo_entry *next)
{
	if (have->transaction != next->transaction || have->type != CDX_LIMBO_RUN || next->type != CDX_LIMBO_RUN)
		return false;
	if (have->address + have->count != next->address || have->count + next->count > MAX_ENTRY_GRAINS)
		return false;
	have->count += next->count;
	return true;
}

static int add_entry(struct cdx_txn *txn, const struct cdx_limbo_entry *entry)
{
	struct cdx_limbo_list *list = &txn->record.list;

	/* Neighbours are dropped one after the other. */
	for (size_t i = list->n; i-- > 0 && list->n - i <= 4;) {
		struct cdx_limbo_entry *have = &list->entry[i], both;

		if (have->transaction != entry->transaction)
			break;
		if (join_behind(have, entry))
			return 0;
		if (entry->address + entry->count != have->address)
			continue;
		both = *entry;
		if (join_behind(&both, have)) {
			*have = both;
			return 0;
		}
	}
	return cdx_limbo_list_add(list, entry);
}

static int add_grains(struct cdx_txn *txn, uint8_t type, uint64_t start, uint64_t count)
{
	while (count) {
		struct cdx_limbo_entry entry = {
			.transaction = txn->record.transaction,
			.address = start,
			.count = count < MAX_ENTRY_GRAINS ? count : MAX_ENTRY_GRAINS & ~UINT64_C(127),
			.type = type,
		};
		int ret = add_entry(txn, &entry);

		if (ret)
			return ret;
		start += entry.count;
		count -= entry.count;
	}
	return 0;
}

int cdx_limbo_add_run(struct cdx_txn *txn, uint64_t start, uint64_t count)
{
	return add_grains(txn, CDX_LIMBO_RUN, start, count);
}

/* Drop up to @pieces runs of one count off the front of a range. */
static int drop_pieces(struct cdx_txn *txn, uint64_t *start, uint64_t *count, int pieces)
{
	while (*count && pieces--) {
		uint64_t references, end, part;
		int ret;

		ret = cdx_space_count(&txn->space, *start, &references, &end);
		if (ret)
			return ret;
		if (references == 0)
			return -EUCLEAN;
		part = end - *start < *count ? end - *start : *count;
		ret = references > 1 ? cdx_space_unshare(&txn->space, *start, part) :
				       cdx_limbo_add_run(txn, *start, part);
		if (ret)
			return ret;
		*start += part;
		*count -= part;
	}
	return 0;
}

/* Whether @transaction has an entry for @address already: keys are unique. */
static int is_taken(struct cdx_txn *txn, uint64_t transaction, uint64_t address)
{
	struct cdx_key key = {{transaction, address}};
	const struct cdx_limbo_list *list = &txn->record.list;
	struct cdx_cursor cursor;
	int ret;

	for (size_t i = 0; i < list->n; i++)
		if (list->entry[i].transaction == key.word[0] && list->entry[i].address == address)
			return 1;
	ret = cdx_cursor_seek(&cursor, &txn->limbo, &key);
	if (ret > 0)
		ret = cdx_cursor_at_item(&cursor) &&
		      cdx_key_compare(2, cdx_cursor_item(&cursor), &key) == 0;
	cdx_cursor_end(&cursor);
	return ret;
}

/*
 * Drop at least @pieces off the front of a range, so that what is left can be an
 * entry of @transaction: a range dropped twice in one transaction is put off
 * from different places.
 */
static int drop_front(struct cdx_txn *txn, uint64_t transaction, uint64_t *start, uint64_t *count, int pieces)
{
	int ret;

	do {
		ret = drop_pieces(txn, start, count, pieces);
		if (!ret && *count)
			ret = is_taken(txn, transaction, *start);
		pieces = pieces ? pieces : 1;
	} while (ret > 0);
	return ret;
}

static int drop_data(struct cdx_txn *txn, uint64_t start, uint64_t count)
{
	/* Where space is short even looking is put off: no count is changed. */
	int ret = drop_front(txn, txn->record.transaction, &start, &count, txn->sparing ? 0 : MAX_PIECES);

	return ret ? ret : add_grains(txn, CDX_LIMBO_DROP, start, count);
}

static int drop_tree(struct cdx_txn *txn, const struct cdx_pointer *pointer)
{
	struct cdx_limbo_entry entry = {
		.transaction = txn->record.transaction,
		.address = pointer->start,
		.count = 1,
		.crc = pointer->crc,
		.type = CDX_LIMBO_TREE,
		.kind = pointer->kind,
		.level = pointer->level,
	};
	uint64_t references, end;
	int ret;

	ret = cdx_space_count(&txn->space, pointer->start, &references, &end);
	if (ret)
		return ret;
	if (references == 0)
		return -EUCLEAN;
	if (references > 1)
		return cdx_space_unshare(&txn->space, pointer->start, 1);
	return add_entry(txn, &entry);
}

int cdx_limbo_drop(struct cdx_txn *txn, const struct cdx_pointer *pointer)
{
	int ret = 0;

	if (!pointer->data)
		return drop_tree(txn, pointer);
	if (pointer->unwritten)
		ret = cdx_promise_keep(txn, pointer->count >> txn->super->grains_per_block_shift, 1);
	return ret ? ret : drop_data(txn, pointer->start, pointer->count);
}

/* ---- undoing ------------------------------------------------------------------------- */

static int drop_child(void *arg, const struct cdx_pointer *pointer)
{
	return cdx_limbo_drop(arg, pointer);
}

static int by_address(const void *a, const void *b)
{
	const struct cdx_run *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/*
 * What undoing subtrees has brought into limbo is there once, or more pointers led to it
 * than its count says: then there can be any number of ways to it, each to be undone (R20).
 */
static int check_disjoint(const struct cdx_txn *txn)
{
	const struct cdx_limbo_list *list = &txn->record.list;
	struct cdx_run *runs;
	size_t n = 0;
	int ret = 0;

	if (!txn->unfolded)
		return 0;
	runs = malloc((list->n + 1) * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		if (list->entry[i].transaction == txn->record.transaction && list->entry[i].type != CDX_LIMBO_DROP)
			runs[n++] = (struct cdx_run){list->entry[i].address, list->entry[i].count};
	qsort(runs, n, sizeof(*runs), by_address);
	for (size_t i = 1; i < n && !ret; i++)
		if (runs[i - 1].start + runs[i - 1].count > runs[i].start)
			ret = -EUCLEAN;
	free(runs);
	return ret;
}

/* FORMAT 5: hand the node's pointers on, and its own grain to limbo. */
static int undo_tree(struct cdx_txn *txn, const struct cdx_limbo_entry *entry)
{
	struct cdx_node *node;
	int ret;

	ret = cdx_node_get(&txn->nodes, entry->address, entry->crc, entry->kind, entry->level, &node);
	if (ret)
		return ret;
	/* What had been dropped before it was written is not what was dropped. */
	ret = get64(node->disk.birth) > entry->transaction ? -EUCLEAN : 0;
	if (!ret)
		ret = cdx_node_counted(&txn->nodes, node, drop_child, txn);
	if (!ret && node->amended)
		cdx_amends_drop(&txn->nodes, entry->address);
	cdx_node_put(&txn->nodes, node);
	txn->unfolded = true;
	return ret ? ret : cdx_limbo_add_run(txn, entry->address, 1);
}

static int undo_drop(struct cdx_txn *txn, const struct cdx_limbo_entry *entry)
{
	struct cdx_limbo_entry rest = *entry;
	int ret = drop_front(txn, entry->transaction, &rest.address, &rest.count, 4 * MAX_PIECES);

	if (ret || !rest.count)
		return ret;
	return cdx_limbo_list_add(&txn->record.list, &rest);	/* under its own T still */
}

/* 1; 0 when it had better wait: then it stays an entry, as it was. */
static int undo(struct cdx_txn *txn, const struct cdx_limbo_entry *entry, bool insist)
{
	int ret;

	if (entry->type == CDX_LIMBO_RUN)
		return cdx_alloc_give_back(txn, entry->address, entry->count, insist);
	ret = entry->type == CDX_LIMBO_TREE ? undo_tree(txn, entry) : undo_drop(txn, entry);
	return ret ? ret : 1;
}

/* Runs first: they cost nothing and may pay for the rest. */
static int drain_list(struct cdx_txn *txn, uint64_t limit, int *budget, bool runs)
{
	struct cdx_limbo_list *list = &txn->record.list;

	for (size_t i = list->n; i-- > 0;) {
		struct cdx_limbo_entry entry = list->entry[i];
		int ret;

		if (entry.transaction > limit || (entry.type == CDX_LIMBO_RUN) != runs)
			continue;
		if (!runs && (*budget <= 0 || !cdx_budget_can_expand(txn)))
			break;
		ret = undo(txn, &entry, false);
		if (ret < 0)
			return ret;
		if (ret == 0)
			continue;
		/* New entries went to the end: this one is still where it was. */
		cdx_limbo_list_remove(list, i);
		if (!runs)
			--*budget;
	}
	return 0;
}

/* The newest entry of the tree that may be undone: so trees are taken apart depth first. */
static int find_in_tree(struct cdx_txn *txn, uint64_t limit, struct cdx_limbo_entry *entry)
{
	struct cdx_key key = {{limit, UINT64_MAX}};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, &txn->limbo, &key);
	if (ret > 0 && cdx_cursor_at_item(&cursor)) {
		int error = cdx_limbo_decode_checked(entry, cdx_cursor_item(&cursor), txn->super,
						     txn->record.transaction);

		ret = error ? error : ret;
	} else if (ret > 0) {
		ret = 0;
	}
	cdx_cursor_end(&cursor);
	return ret;
}

/* FORMAT 4: what an entry adds to limbo_grains.  What else a TREE or a DROP gives is not known. */
static uint64_t sure_grains(const struct cdx_limbo_entry *entry)
{
	if (entry->type == CDX_LIMBO_TREE)
		return 1;
	return entry->type == CDX_LIMBO_RUN ? entry->count : 0;
}

/* Take that entry out of the tree: 1, 0 when there is none. */
static int take_from_tree(struct cdx_txn *txn, uint64_t limit, struct cdx_limbo_entry *entry)
{
	int ret = find_in_tree(txn, limit, entry);
	struct cdx_key key;

	if (ret <= 0)
		return ret;
	key = (struct cdx_key){{entry->transaction, entry->address}};
	ret = cdx_tree_delete(&txn->limbo, &key);
	if (!ret)
		ret = cdx_lower(&txn->record.limbo_grains, sure_grains(entry));
	return ret ? ret : 1;
}

int cdx_limbo_drain(struct cdx_txn *txn, uint64_t limit, int budget)
{
	struct cdx_limbo_entry entry;
	int ret;

	ret = drain_list(txn, limit, &budget, true);
	if (!ret)
		ret = drain_list(txn, limit, &budget, false);
	while (!ret && txn->record.limbo.address && cdx_alloc_wants_grains(txn) && budget-- > 0 &&
	       cdx_budget_can_expand(txn)) {
		ret = take_from_tree(txn, limit, &entry);
		if (ret == 0)
			break;
		if (ret > 0)
			ret = undo(txn, &entry, true);
		ret = ret < 0 ? ret : 0;
	}
	return ret ? ret : check_disjoint(txn);
}

/* ---- undoing all ------------------------------------------------------------------------ */

/*
 * Give many runs back in the order of their addresses, neighbours as one: each
 * leaf of the space tree is changed once for all that lies in it.
 */
static int release_sorted(struct cdx_txn *txn, struct cdx_run *runs, size_t n)
{
	int ret = 0;

	qsort(runs, n, sizeof(*runs), by_address);
	for (size_t i = 0; i < n && ret >= 0;) {
		struct cdx_run run = runs[i++];

		while (i < n && runs[i].start == run.start + run.count)
			run.count += runs[i++].count;
		ret = cdx_alloc_give_back(txn, run.start, run.count, true);
	}
	return ret < 0 ? ret : 0;
}

/* The next entry to undo, out of the list while that has any, then of the tree. */
static int take_any(struct cdx_txn *txn, uint64_t limit, size_t *at, struct cdx_limbo_entry *entry)
{
	struct cdx_limbo_list *list = &txn->record.list;

	while (*at > 0) {
		if (list->entry[--*at].transaction > limit)
			continue;
		*entry = list->entry[*at];
		cdx_limbo_list_remove(list, *at);
		return 1;
	}
	return txn->record.limbo.address ? take_from_tree(txn, limit, entry) : 0;
}

int cdx_limbo_drain_hard(struct cdx_txn *txn, uint64_t limit, int budget)
{
	struct cdx_run *runs = malloc((size_t)budget * sizeof(*runs));
	size_t at = txn->record.list.n, n = 0;
	struct cdx_limbo_entry entry;
	int expanded = 0, ret = 0;

	if (!runs)
		return -ENOMEM;
	while (budget-- > 0 && (ret = take_any(txn, limit, &at, &entry)) > 0) {
		if (entry.type == CDX_LIMBO_RUN) {
			runs[n++] = (struct cdx_run){entry.address, entry.count};
			continue;
		}
		ret = undo(txn, &entry, true);
		if (ret < 0)
			break;
		expanded++;
		budget -= 3;
	}
	if (ret >= 0)
		ret = check_disjoint(txn);
	if (ret >= 0)
		ret = release_sorted(txn, runs, n);
	free(runs);
	return ret < 0 ? ret : expanded;
}

/* ---- undoing in passing -------------------------------------------------------------------- */

/* What one transaction may spend on it: entries, nodes made dirty, runs given back at once. */
#define PASSING_ENTRIES 256
#define PASSING_NODES 24
#define PASSING_RUNS 64
#define WORTH_ASKING 64		/* grains in runs of blocks: fewer wait until the list gets long */

/* A run of blocks pays for the leaf of the space tree that it changes. */
static bool run_pays(const struct cdx_txn *txn, const struct cdx_limbo_entry *entry)
{
	return entry->count > 1 && entry->count >= cdx_block_grains(txn);
}

bool cdx_limbo_has_work(const struct cdx_txn *txn)
{
	const struct cdx_limbo_list *list = &txn->record.list;
	uint64_t grains = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (list->entry[i].type != CDX_LIMBO_RUN)
			return true;
		if (run_pays(txn, &list->entry[i]))
			grains += list->entry[i].count;
	}
	return txn->record.limbo.address || grains >= WORTH_ASKING;
}

uint64_t cdx_limbo_grains(const struct cdx_txn *txn)
{
	uint64_t grains = txn->record.limbo_grains;

	for (size_t i = 0; i < txn->record.list.n; i++)
		grains += sure_grains(&txn->record.list.entry[i]);
	return grains;
}

/* A subtree, a splintered range or a run of blocks in the list that may be undone: taken out, 1; or 0. */
static int take_from_list(struct cdx_txn *txn, uint64_t limit, struct cdx_limbo_entry *entry)
{
	struct cdx_limbo_list *list = &txn->record.list;

	for (size_t i = list->n; i-- > 0;) {
		if (list->entry[i].transaction > limit)
			continue;
		if (list->entry[i].type == CDX_LIMBO_RUN && !run_pays(txn, &list->entry[i]))
			continue;
		*entry = list->entry[i];
		cdx_limbo_list_remove(list, i);
		return 1;
	}
	return 0;
}

static bool may_go_on(const struct cdx_txn *txn)
{
	return txn->nodes.dirty_count < PASSING_NODES && cdx_budget_can_give_back(txn);
}

static int by_place(const void *a, const void *b)
{
	const struct cdx_limbo_entry *left = a, *right = b;

	return left->address < right->address ? -1 : left->address > right->address;
}

/* Give runs back by address, so that those in one leaf cost one; what costs too much stays in limbo. */
static int give_back_runs(struct cdx_txn *txn, struct cdx_limbo_entry *runs, size_t n)
{
	int ret = 0;

	qsort(runs, n, sizeof(*runs), by_place);
	for (size_t i = 0; i < n && ret >= 0; i++) {
		bool insist = txn->nodes.dirty_count < 2 * PASSING_NODES;

		ret = cdx_alloc_give_back(txn, runs[i].address, runs[i].count, insist);
		if (!ret)
			ret = cdx_limbo_list_add(&txn->record.list, &runs[i]);
	}
	return ret < 0 ? ret : 0;
}

int cdx_limbo_give_back(struct cdx_txn *txn, uint64_t limit)
{
	struct cdx_limbo_entry runs[PASSING_RUNS], entry;
	size_t n = 0;
	int none = 0, ret;

	ret = drain_list(txn, limit, &none, true);
	for (int i = 0; i < PASSING_ENTRIES && n < PASSING_RUNS && !ret && may_go_on(txn); i++) {
		ret = take_from_list(txn, limit, &entry);
		if (!ret && txn->record.limbo.address)
			ret = take_from_tree(txn, limit, &entry);
		if (ret <= 0)
			break;
		ret = 0;
		if (entry.type == CDX_LIMBO_RUN)
			runs[n++] = entry;
		else
			ret = undo(txn, &entry, true);
		ret = ret < 0 ? ret : 0;
	}
	ret = ret < 0 ? ret : check_disjoint(txn);
	return ret < 0 ? ret : give_back_runs(txn, runs, n);
}

/* ---- the tree ---------------------------------------------------------------------------- */

bool cdx_limbo_empty(const struct cdx_txn *txn)
{
	return !txn->record.list.n && !txn->record.limbo.address;
}

static int by_age(const void *a, const void *b)
{
	const struct cdx_limbo_entry *left = a, *right = b;

	if (left->transaction != right->transaction)
		return left->transaction < right->transaction ? -1 : 1;
	return by_place(a, b);
}

/* What a large transaction has dropped here and there: the oldest first, and neighbours as one. */
static void join_entries(struct cdx_limbo_list *list)
{
	size_t n = 0;

	qsort(list->entry, list->n, sizeof(*list->entry), by_age);
	for (size_t i = 0; i < list->n; i++)
		if (!n || !join_behind(&list->entry[n - 1], &list->entry[i]))
			list->entry[n++] = list->entry[i];
	list->n = n;
}

/* Each node that leaves its home when it is written is one entry more. */
bool cdx_limbo_fits(const struct cdx_txn *txn)
{
	return txn->record.list.n + txn->nodes.homes <= CDX_MAX_RECORD_LIMBO;
}

int cdx_limbo_spill(struct cdx_txn *txn)
{
	struct cdx_limbo_list *list = &txn->record.list;
	size_t kept = CDX_MAX_RECORD_LIMBO / 2;
	int ret;

	if (list->n > MANY_ENTRIES)
		join_entries(list);
	if (cdx_limbo_fits(txn))
		return 0;
	while (list->n > kept) {
		struct cdx_disk_limbo disk;
		size_t oldest = 0;
		uint64_t grains;

		/* Inserting may add entries of this transaction at the end. */
		for (size_t i = 1; i < list->n && list->n < MANY_ENTRIES; i++)
			if (list->entry[i].transaction < list->entry[oldest].transaction)
				oldest = i;
		cdx_limbo_encode(&list->entry[oldest], &disk);
		grains = sure_grains(&list->entry[oldest]);
		cdx_limbo_list_remove(list, oldest);
		ret = cdx_tree_insert(&txn->limbo, &disk, sizeof(disk));
		if (ret)
			return ret == -EEXIST ? -EUCLEAN : ret;
		txn->record.limbo_grains += grains;
	}
	return 0;
}

int cdx_limbo_shorten(struct cdx_txn *txn, size_t most)
{
	if (txn->record.list.n > MANY_ENTRIES)
		join_entries(&txn->record.list);
	return txn->record.list.n <= most ? 0 : cdx_limbo_spill(txn);
}

int cdx_limbo_walk(struct cdx_txn *txn, cdx_limbo_fn *fn, void *arg)
{
	struct cdx_key key = {{0}};
	struct cdx_cursor cursor;
	int ret = 0;

	for (size_t i = 0; i < txn->record.list.n && !ret; i++)
		ret = fn(arg, &txn->record.list.entry[i]);
	if (ret)
		return ret;
	ret = cdx_cursor_seek(&cursor, &txn->limbo, &key);
	if (ret > 0 && !cdx_cursor_at_item(&cursor))
		ret = cdx_cursor_next(&cursor);
	for (; ret > 0; ret = cdx_cursor_next(&cursor)) {
		struct cdx_limbo_entry entry;

		ret = cdx_limbo_decode_checked(&entry, cdx_cursor_item(&cursor), txn->super,
					       txn->record.transaction);
		if (!ret)
			ret = fn(arg, &entry);
		if (ret)
			break;
	}
	cdx_cursor_end(&cursor);
	return ret;
}
