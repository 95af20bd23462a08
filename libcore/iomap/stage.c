// SPDX-License-Identifier: LGPL-2.1-or-later
/* Lanes: blocks allocated ahead, filled without the commit lock, then mapped at once (FORMAT 10, R9). */
#include "iomap/stage.h"

#include "base/count.h"

#define MAX_RUNS 64		/* of one short transaction */
#define EXTENTS_BETWEEN_RELIEFS 256
#define FEW_QUESTIONS 2		/* by a transaction that does something else: of one lane each, */
#define FEW_DROPS 3		/* and what it drops of lanes without owners */
#define SELDOM 4		/* where lanes are many, one call of so many does either */
#define MANY_DROPS 256		/* by one that does nothing else */

static uint64_t block_size(const struct cdx_stage *stage)
{
	return stage->txn->super->block_size;
}

static unsigned int block_shift(const struct cdx_stage *stage)
{
	return stage->txn->super->block_shift;
}

/* ---- entries ------------------------------------------------------------------------ */

/* The entry of the lowest lane from @lane on: 1, or 0. */
static int find_entry(struct cdx_txn *txn, uint64_t lane, struct cdx_disk_staging *entry)
{
	struct cdx_key key = {{lane}};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek_from(&cursor, &txn->staging, &key);
	if (ret > 0)
		*entry = *(struct cdx_disk_staging *)cdx_cursor_item(&cursor);
	cdx_cursor_end(&cursor);
	return ret;
}

/* A tree that is one leaf goes extent by extent, so that at once it is known what comes free. */
static int drop_map(struct cdx_txn *txn, struct cdx_extents *map)
{
	struct cdx_extent extent;
	int ret;

	if (map->root.level)
		return cdx_extents_cut(txn, map, 0, CDX_MAX_FILE >> txn->super->block_shift);
	while ((ret = cdx_extents_find(txn, map, 0, &extent, NULL, NULL)) > 0) {
		ret = cdx_extents_cut(txn, map, extent.file_block, extent.file_block + extent.count);
		if (ret)
			break;
	}
	return ret;
}

/* Drop an entry and the blocks that it holds. */
static int drop_entry(struct cdx_txn *txn, const struct cdx_disk_staging *entry)
{
	struct cdx_key key = {{get64(entry->lane)}};
	struct cdx_ref root = cdx_ref_decode(&entry->extents);
	struct cdx_extents map = {.layout = CDX_LAYOUT_TREE, .root = root};
	int ret = 0;

	if (root.address)
		ret = drop_map(txn, &map);
	if (!ret)
		ret = cdx_lower(&txn->record.staged_blocks, get64(entry->blocks));
	return ret ? ret : cdx_tree_delete(&txn->staging, &key);
}

/* ---- sweeping ------------------------------------------------------------------------ */

struct sweep {
	struct cdx_txn *txn;
	const struct cdx_stage *own;
	bool any_held;			/* some lane has an owner */
	uint64_t held;			/* one that has */
	unsigned int questions;		/* that may still be asked, of one lane each */
	unsigned int most;		/* entries that may still be dropped */
};

/* Whether nobody owns a lane that has an entry: 1, 0, or -errno. */
static int is_dead(struct sweep *sweep, uint64_t lane)
{
	uint64_t where;
	int ret;

	if (sweep->own && sweep->own->open && sweep->own->lane == lane)
		return 0;	/* the kernel does not report this handle's own lock (R6) */
	if (!sweep->any_held)
		return 1;
	if (sweep->held == lane || !sweep->questions)
		return 0;
	sweep->questions--;
	ret = cdx_device_lock_test(sweep->txn->device, sweep->txn->device->lock.lanes + lane, 1, &where);
	return ret < 0 ? ret : !ret;
}

/* Entries of lanes [lane, end). */
static int sweep_lanes(struct sweep *sweep, uint64_t lane, uint64_t end)
{
	struct cdx_disk_staging entry;
	int ret = 0;

	while (sweep->most && (sweep->questions || !sweep->any_held)) {
		ret = find_entry(sweep->txn, lane, &entry);
		if (ret <= 0 || get64(entry.lane) >= end)
			break;
		lane = get64(entry.lane) + 1;
		ret = is_dead(sweep, get64(entry.lane));
		if (ret > 0) {
			ret = drop_entry(sweep->txn, &entry);
			sweep->most--;
		}
		if (ret < 0)
			break;
	}
	return ret < 0 ? ret : 0;
}

/*
 * More lanes than a leaf holds.  A question or a drop costs as much as half a small write;
 * for that many it had to be paid by very many writes in a row.
 */
static bool are_many(const struct cdx_txn *txn)
{
	return txn->record.staging.level > 0;
}

/*
 * Which turn it is.  Handles begin anywhere, since many live for one transaction only, and then
 * count: the numbers of the transactions that ask may all leave one remainder.
 */
static uint64_t next_turn(struct cdx_txn *txn)
{
	if (!txn->sweeps)
		txn->sweeps = (txn->record.transaction * UINT64_C(0x9e3779b97f4a7c15) >> 40) * SELDOM + SELDOM;
	return txn->sweeps++;
}

/* Where to begin: elsewhere in each turn, so that all lanes have theirs. */
static int first_lane(struct cdx_txn *txn, uint64_t turn, uint64_t *lane)
{
	struct cdx_key last = {{CDX_MAX_LANE}};
	struct cdx_cursor cursor;
	int ret;

	ret = cdx_cursor_seek(&cursor, &txn->staging, &last);
	if (ret > 0 && cdx_cursor_at_item(&cursor)) {
		const struct cdx_disk_staging *entry = cdx_cursor_item(&cursor);

		*lane = turn / (are_many(txn) ? SELDOM : 1) * FEW_QUESTIONS % (get64(entry->lane) + 1);
	}
	cdx_cursor_end(&cursor);
	return ret < 0 ? ret : 0;
}

int cdx_stage_sweep(struct cdx_txn *txn, const struct cdx_stage *own, bool thorough)
{
	struct sweep sweep = {
		.txn = txn, .own = own,
		.questions = thorough ? CDX_MAX_LANE + 1 : FEW_QUESTIONS,
		.most = thorough ? MANY_DROPS : FEW_DROPS,
	};
	unsigned int most = sweep.most;
	uint64_t lane = 0, turn;
	int ret;

	if (!txn->record.staging.address)
		return 0;
	turn = next_turn(txn);
	if (!thorough && are_many(txn) && turn % SELDOM)
		return 0;
	ret = cdx_device_lock_test(txn->device, txn->device->lock.lanes, CDX_MAX_LANE + 1, &sweep.held);
	if (ret < 0)
		return ret;
	sweep.any_held = ret > 0;
	sweep.held -= txn->device->lock.lanes;
	ret = first_lane(txn, turn, &lane);
	if (!ret)
		ret = sweep_lanes(&sweep, lane, CDX_MAX_LANE + 1);
	if (!ret)
		ret = sweep_lanes(&sweep, 0, lane);
	return ret ? ret : (int)(most - sweep.most);
}

/* ---- a lane of one's own ---------------------------------------------------------------- */

/* The entry of this stage's own lane, proven to be its own (R9). */
static int own_entry(struct cdx_stage *stage, struct cdx_disk_staging *entry)
{
	int ret = find_entry(stage->txn, stage->lane, entry);

	if (ret < 0)
		return ret;
	return ret && get64(entry->lane) == stage->lane && get64(entry->nonce) == stage->nonce ? 0 : -ESTALE;
}

/* The record's sum is kept with the entry that says how many blocks @map has. */
static int store_entry(struct cdx_stage *stage, const struct cdx_extents *map, uint64_t blocks)
{
	struct cdx_record *record = &stage->txn->record;
	struct cdx_disk_staging entry;
	int ret = own_entry(stage, &entry);

	if (!ret)
		ret = cdx_lower(&record->staged_blocks, get64(entry.blocks));
	if (ret)
		return ret;
	record->staged_blocks += blocks;
	entry.blocks = put64(blocks);
	cdx_ref_encode(&entry.extents, &map->root);
	return cdx_tree_replace(&stage->txn->staging, &entry, sizeof(entry));
}

/* Blocks from the first staged one up to @end, which the map has but for holes. */
static uint64_t blocks_up_to(const struct cdx_stage *stage, uint64_t end)
{
	return end - (stage->start >> block_shift(stage)) - stage->passed;
}

/* ---- opening and closing ------------------------------------------------------------------ */

int cdx_stage_open(struct cdx_stage *stage, struct cdx_txn *txn, uint64_t inode, uint64_t start, void *scratch,
		   struct cowdax_error *error)
{
	int ret = -EAGAIN;

	*stage = (struct cdx_stage){
		.txn = txn, .inode = inode, .start = start, .position = start, .scratch = scratch,
	};
	for (stage->lane = 0; stage->lane <= CDX_MAX_LANE; stage->lane++) {
		ret = cdx_device_lock(txn->device, txn->device->lock.lanes + stage->lane, 1, true, false);
		if (ret != -EAGAIN)
			break;
	}
	if (ret)
		return cdx_error(error, ret, "%s: no staging lane is free: too many long writes at once",
				 stage->txn->device->path);
	stage->open = true;
	return 0;
}

void cdx_stage_close(struct cdx_stage *stage)
{
	struct cdx_disk_staging entry;

	if (!stage->open)
		return;
	/* Best effort: what stays is swept by the next writer. */
	if (stage->nonce && cdx_txn_begin(stage->txn, NULL) == 0) {
		stage->txn->claim = CDX_CLAIM_KEPT;
		if (own_entry(stage, &entry) == 0 && drop_entry(stage->txn, &entry) == 0)
			cdx_txn_commit(stage->txn, NULL);
		else
			cdx_txn_abort(stage->txn);
	}
	cdx_device_unlock(stage->txn->device, stage->txn->device->lock.lanes + stage->lane, 1);
	stage->open = false;
}

/* ---- staging ---------------------------------------------------------------------------------- */

struct piece {
	struct cdx_run run[MAX_RUNS];	/* blocks */
	int runs;
	uint64_t blocks;		/* their sum */
};

/* The lane's map, made when there is none, and what a former owner left dropped (R9). */
static int open_map(struct cdx_stage *stage, struct cdx_extents *map)
{
	struct cdx_disk_staging entry = {.lane = put64(stage->lane)};
	int ret;

	*map = (struct cdx_extents){.layout = CDX_LAYOUT_TREE};
	if (stage->nonce) {
		ret = own_entry(stage, &entry);
		if (!ret)
			map->root = cdx_ref_decode(&entry.extents);
		return ret;
	}
	if (!cdx_next_nonce_possible(stage->txn->record.next_nonce))
		return -EUCLEAN;
	if (stage->txn->record.next_nonce > CDX_LAST_NONCE)
		return -EOVERFLOW;
	ret = find_entry(stage->txn, stage->lane, &entry);
	if (ret > 0 && get64(entry.lane) == stage->lane)
		ret = drop_entry(stage->txn, &entry);
	if (ret < 0)
		return ret;
	entry = (struct cdx_disk_staging){
		.lane = put64(stage->lane),
		.nonce = put64(stage->txn->record.next_nonce),
	};
	return cdx_tree_insert(&stage->txn->staging, &entry, sizeof(entry));
}

int cdx_stage_mark(struct cdx_stage *stage)
{
	struct cdx_extents map;
	int ret = open_map(stage, &map);

	if (!ret && !stage->nonce)
		stage->nonce = stage->txn->record.next_nonce++;
	return ret;
}

/*
 * Blocks for [file_block, + blocks): those that the file has there, unwritten and its
 * own, get the lane as a second pointer, so that nobody else stores to them or uses
 * them again; up to the next such, new ones.
 */
static int find_run(struct cdx_stage *stage, struct cdx_inode *inode, uint64_t file_block, uint64_t blocks,
		    struct cdx_run *run)
{
	struct cdx_txn *txn = stage->txn;
	unsigned int shift = block_shift(stage), grains = txn->super->grains_per_block_shift;
	struct cowdax_iomap own;
	int ret = 0;

	if (inode)
		ret = cdx_iomap_find_own(txn, inode, file_block << shift, (file_block + blocks) << shift, &own);
	if (ret < 0)
		return ret;
	if (ret && own.offset == file_block << shift) {
		*run = (struct cdx_run){own.address >> shift, own.length >> shift};
		return cdx_space_share(&txn->space, run->start << grains, run->count << grains);
	}
	if (ret)
		blocks = (own.offset >> shift) - file_block;
	stage->allocated = true;
	return cdx_alloc_data(txn, blocks, &run->start, &run->count);
}

static int allocate_runs(struct cdx_stage *stage, struct cdx_extents *map, struct cdx_inode *inode,
			 uint64_t blocks, struct piece *piece)
{
	uint64_t file_block = stage->position >> block_shift(stage);

	/* An attempt before, cut short by an error, may have left blocks here. */
	if (map->root.address) {
		int ret = cdx_extents_cut(stage->txn, map, file_block, CDX_MAX_FILE >> block_shift(stage));

		if (ret)
			return ret;
		map->layout = CDX_LAYOUT_TREE;
	}
	piece->runs = 0;
	for (piece->blocks = 0; piece->blocks < blocks && piece->runs < MAX_RUNS; piece->runs++) {
		struct cdx_run *run = &piece->run[piece->runs];
		struct cdx_extent extent = {.file_block = file_block + piece->blocks};
		int ret = find_run(stage, inode, extent.file_block, blocks - piece->blocks, run);

		if (ret)
			return ret;
		extent.disk_block = run->start;
		extent.count = run->count;
		ret = cdx_extents_insert(stage->txn, map, &extent);
		if (ret)
			return ret;
		piece->blocks += run->count;
	}
	return 0;
}

/* The file that the bytes are for, when there may be blocks of its own to use: 1, 0 or -errno. */
static int load_target(struct cdx_stage *stage, struct cdx_inode *inode)
{
	int ret;

	if (!stage->inode || !stage->txn->record.unwritten_extents)
		return 0;
	ret = cdx_inode_load(stage->txn, stage->inode, inode);
	if (ret == -ESTALE || ret == -ENOENT)
		return 0;	/* removed: the last transaction says so */
	return ret ? ret : 1;
}

/* One short transaction: blocks for the next bytes, held by the lane. */
static int allocate_piece(struct cdx_stage *stage, uint64_t blocks, struct piece *piece,
			  struct cowdax_error *error)
{
	struct cdx_txn *txn = stage->txn;
	uint64_t nonce = stage->nonce;
	struct cdx_extents map;
	struct cdx_inode inode;
	int ret, found = 0;

	ret = cdx_txn_begin(txn, error);
	if (ret)
		return ret;
	ret = open_map(stage, &map);
	if (!ret && !stage->nonce)
		stage->nonce = txn->record.next_nonce++;
	if (!ret)
		ret = found = load_target(stage, &inode);
	if (ret >= 0)
		ret = allocate_runs(stage, &map, found ? &inode : NULL, blocks, piece);
	if (!ret)
		ret = store_entry(stage, &map,
				  blocks_up_to(stage, (stage->position >> block_shift(stage)) + piece->blocks));
	if (!ret && !txn->took_data)
		txn->claim = CDX_CLAIM_KEPT;	/* promised when the blocks were */
	if (ret)
		cdx_txn_abort(txn);
	else
		ret = cdx_txn_commit(txn, error);
	if (ret)
		stage->nonce = nonce;
	return ret;
}

/* Store [from, to) of a block, zeros around it: what else belongs there is known at the end. */
static int fill_partial(struct cdx_stage *stage, uint64_t block, const void *bytes, uint64_t from, uint64_t to)
{
	struct cdx_pmem *pm = &stage->txn->device->pm;

	memset(stage->scratch, 0, block_size(stage));
	memcpy(stage->scratch + from, bytes, to - from);
	cdx_pmem_copy(pm, block << block_shift(stage), stage->scratch, block_size(stage));
	return 0;
}

/* Fill a run with the next bytes; returns how many it took. */
static int64_t fill_run(struct cdx_stage *stage, const struct cdx_run *run, const unsigned char *bytes,
			uint64_t length)
{
	uint64_t size = block_size(stage), from = stage->position & (size - 1);
	uint64_t room = (run->count << block_shift(stage)) - from, part, block = run->start, done = 0;
	struct cdx_pmem *pm = &stage->txn->device->pm;
	int ret;

	if (length > room)
		length = room;
	ret = cdx_pmem_prepare(pm, block << block_shift(stage), run->count << block_shift(stage));
	if (!ret && from) {
		part = length < size - from ? length : size - from;
		ret = fill_partial(stage, block++, bytes, from, from + part);
		done = part;
	}
	part = (length - done) & ~(size - 1);
	if (!ret && part)
		cdx_pmem_copy(pm, block << block_shift(stage), bytes + done, part);
	done += part;
	block += part >> block_shift(stage);
	if (!ret && done < length)
		ret = fill_partial(stage, block, bytes + done, 0, length - done);
	/* No fence of this transaction will tell: there is none until the next one's. */
	if (!ret)
		ret = cdx_pmem_take_fault(pm);
	return ret ? ret : (int64_t)length;
}

int cdx_stage_append(struct cdx_stage *stage, const void *bytes, uint64_t length,
		     struct cowdax_error *error)
{
	const unsigned char *from = bytes;

	while (length) {
		uint64_t skew = stage->position & (block_size(stage) - 1);
		uint64_t blocks = (skew + length + block_size(stage) - 1) >> block_shift(stage);
		struct piece piece;
		int ret;

		ret = allocate_piece(stage, blocks, &piece, error);
		if (ret)
			return ret;
		for (int i = 0; i < piece.runs; i++) {
			int64_t done = fill_run(stage, &piece.run[i], from, length);

			if (done < 0)
				return (int)done;
			from += done;
			length -= (uint64_t)done;
			stage->position += (uint64_t)done;
		}
	}
	return 0;
}

void cdx_stage_pass(struct cdx_stage *stage, uint64_t length)
{
	uint64_t to = stage->position + length;

	stage->passed += (to >> block_shift(stage)) - (stage->position >> block_shift(stage));
	stage->position = to;
}

/* ---- finishing ------------------------------------------------------------------------------------ */

/*
 * A block at an end of the range is the file's as well: what the file has around
 * the staged bytes [from, to) of it is copied from the source map, once, under
 * the commit lock, or stays zero where that is no mapped block.
 */
static int fill_around(struct cdx_stage *stage, struct cdx_inode *inode, struct cowdax_step *step,
		       struct cowdax_result *result)
{
	uint64_t size = block_size(stage), from = step->offset - step->destination.offset;
	uint64_t to = from + step->length, edges = from + (size - to);
	struct cdx_pmem *pm = &stage->txn->device->pm;
	int ret;

	step->has_source = true;
	result->source_lookups++;
	ret = cdx_iomap_lookup(stage->txn, inode, step->destination.offset, step->destination.offset + size,
			       result->step != NULL, &step->source);
	if (ret)
		return ret;
	if (step->source.type != COWDAX_MAPPED) {
		result->bytes_zeroed += edges;
		return 0;
	}
	ret = cdx_iomap_read(stage->txn, inode, &step->source, step->source.offset, stage->scratch, size);
	if (!ret)
		ret = cdx_pmem_read(pm, step->destination.address + from, stage->scratch + from, to - from);
	if (ret)
		return ret;
	cdx_pmem_copy(pm, step->destination.address, stage->scratch, size);
	result->bytes_copied += edges;
	return 0;
}

/* Report and complete the turns that one staged extent stands for. */
static int finish_extent(struct cdx_stage *stage, struct cdx_inode *inode, const struct cdx_extent *extent,
			 unsigned int flags, struct cowdax_result *result)
{
	uint64_t size = block_size(stage), at = extent->file_block << block_shift(stage);
	uint64_t end = at + (extent->count << block_shift(stage)), delta = extent->disk_block - extent->file_block;

	while (at < end) {
		uint64_t first = at < stage->start ? stage->start : at;
		uint64_t last = end < stage->position ? end : stage->position;
		bool partial = first != at || last < at + size;
		struct cowdax_step step = {0};
		int ret = 0;

		if (partial && last > at + size)
			last = at + size;
		else if (!partial)
			last &= ~(size - 1);
		step.offset = first;
		step.length = last - first;
		step.destination = (struct cowdax_iomap){
			.offset = at,
			.length = (last - at + size - 1) & ~(size - 1),
			.address = at + (delta << block_shift(stage)),
			.type = COWDAX_MAPPED,
			.flags = flags,
		};
		if (partial)
			ret = fill_around(stage, inode, &step, result);
		if (ret)
			return ret;
		result->bytes_written += step.length;
		if (result->step)
			result->step(result->step_arg, &step);
		at += step.destination.length;
	}
	return 0;
}

/* Everything into the tree, so that memory stays bounded (R18). */
static int relieve(struct cdx_stage *stage, struct cdx_inode *inode, struct cdx_extents *map, uint64_t left)
{
	struct cdx_disk_staging entry;
	int ret;

	ret = cdx_inode_store(stage->txn, inode);
	if (!ret)
		ret = store_entry(stage, map, left);
	if (!ret)
		ret = cdx_txn_relieve(stage->txn);
	if (!ret)
		ret = cdx_inode_load(stage->txn, inode->number, inode);
	if (!ret)
		ret = own_entry(stage, &entry);
	if (!ret)
		map->root = cdx_ref_decode(&entry.extents);
	return ret;
}

int cdx_stage_inode(struct cdx_stage *stage, struct cdx_inode *inode)
{
	struct cdx_disk_staging entry;
	int ret = own_entry(stage, &entry);

	if (ret)
		return ret;
	*inode = (struct cdx_inode){.size = stage->position};
	inode->extents.layout = CDX_LAYOUT_TREE;
	inode->extents.root = cdx_ref_decode(&entry.extents);
	return 0;
}

/* The blocks have other pointers than the file's and the lane's: a copy of what was staged in them. */
static int copy_out(struct cdx_stage *stage, struct cdx_extent *extent)
{
	struct cdx_txn *txn = stage->txn;
	unsigned int shift = block_shift(stage), grains = txn->super->grains_per_block_shift;
	struct cdx_pointer old = {.data = true, .start = extent->disk_block << grains};
	uint64_t from = extent->disk_block << shift, bytes;
	int ret;

	txn->claim = CDX_CLAIM_AVAILABLE;
	ret = cdx_alloc_data(txn, extent->count, &extent->disk_block, &extent->count);
	if (ret)
		return ret;
	bytes = extent->count << shift;
	old.count = extent->count << grains;
	ret = cdx_pmem_prepare(&txn->device->pm, extent->disk_block << shift, bytes);
	if (!ret)
		ret = cdx_pmem_move(&txn->device->pm, extent->disk_block << shift, from, bytes);
	return ret ? ret : cdx_limbo_drop(txn, &old);
}

/*
 * Cut the extent to what is alike, and make it the lane's alone but for the file itself.
 * No blocks are ever mapped by one and unwritten by another: who has them last would
 * store to them while an older image, with the first, is still seen.
 */
static int settle_extent(struct cdx_stage *stage, struct cdx_inode *inode, struct cdx_extent *extent,
			 unsigned int *flags)
{
	unsigned int grains = stage->txn->super->grains_per_block_shift;
	uint64_t references, end;
	int ret;

	ret = cdx_space_count(&stage->txn->space, extent->disk_block << grains, &references, &end);
	if (ret)
		return ret;
	end = (end >> grains) - extent->disk_block;
	if (end < extent->count)
		extent->count = end;
	*flags = COWDAX_IOMAP_NEW;
	if (references <= 1)
		return 0;
	ret = references == 2 ? cdx_extents_hold(stage->txn, &inode->extents, extent) : 0;
	if (ret > 0)
		*flags = 0;
	return ret < 0 ? ret : ret ? 0 : copy_out(stage, extent);
}

/* Take the first @count blocks of an extent out of the lane's tree: their pointers are the caller's. */
static int take_out(struct cdx_stage *stage, struct cdx_extents *map, struct cdx_extent extent, uint64_t count)
{
	struct cdx_tree tree = cdx_txn_extents(stage->txn, &map->root);
	struct cdx_key key = {{extent.file_block}};
	int ret = cdx_tree_delete(&tree, &key);

	extent.file_block += count;
	extent.disk_block += count;
	extent.count -= count;
	return ret || !extent.count ? ret : cdx_extents_insert(stage->txn, map, &extent);
}

/* Move one extent, or the front of it, from the lane to the file. */
static int move_extent(struct cdx_stage *stage, struct cdx_inode *inode, struct cdx_extents *map,
		       const struct cdx_extent *staged, uint64_t *left, struct cowdax_result *result)
{
	struct cdx_extent extent = *staged;
	unsigned int flags;
	int ret;

	ret = settle_extent(stage, inode, &extent, &flags);
	if (!ret)
		ret = finish_extent(stage, inode, &extent, flags, result);
	/* The pointer moves from the lane to the file: no count changes. */
	if (!ret)
		ret = take_out(stage, map, *staged, extent.count);
	if (!ret)
		ret = cdx_extents_remap(stage->txn, &inode->extents, &extent);
	return ret ? ret : cdx_lower(left, extent.count);
}

/* What was passed over from *@at to @to is a hole of the file, too; the next extent begins at @next. */
static int finish_hole(struct cdx_stage *stage, struct cdx_inode *inode, uint64_t *at, uint64_t to,
		       uint64_t next, struct cowdax_result *result)
{
	int ret = 0;

	if (*at < to)
		ret = cdx_file_write_hole(stage->txn, inode, to - *at, *at, stage->scratch, result);
	*at = next;
	return ret;
}

int cdx_stage_finish(struct cdx_stage *stage, struct cdx_inode *inode, struct cowdax_result *result)
{
	struct cdx_extents map = {.layout = CDX_LAYOUT_TREE};
	struct cdx_disk_staging entry;
	struct cdx_key lane = {{stage->lane}};
	struct cdx_extent extent;
	unsigned int moved = 0, shift = block_shift(stage);
	uint64_t left, at = stage->start;
	int ret;

	ret = own_entry(stage, &entry);
	if (ret)
		return ret;
	if (!stage->allocated)
		stage->txn->claim = CDX_CLAIM_KEPT;	/* promised when the blocks were */
	map.root = cdx_ref_decode(&entry.extents);
	left = get64(entry.blocks);
	while ((ret = cdx_extents_find(stage->txn, &map, 0, &extent, NULL, NULL)) > 0) {
		ret = finish_hole(stage, inode, &at, extent.file_block << shift,
				  (extent.file_block + extent.count) << shift, result);
		if (!ret)
			ret = move_extent(stage, inode, &map, &extent, &left, result);
		if (!ret && ++moved % EXTENTS_BETWEEN_RELIEFS == 0)
			ret = relieve(stage, inode, &map, left);
		if (ret)
			return ret;
	}
	if (!ret)
		ret = finish_hole(stage, inode, &at, stage->position, stage->position, result);
	if (!ret)
		ret = own_entry(stage, &entry);
	if (!ret)
		ret = cdx_lower(&stage->txn->record.staged_blocks, get64(entry.blocks));
	if (!ret)
		ret = cdx_tree_delete(&stage->txn->staging, &lane);
	if (ret)
		return ret;
	if (stage->position > inode->size)
		inode->size = stage->position;
	cdx_inode_modified(stage->txn, inode);
	return 0;
}
