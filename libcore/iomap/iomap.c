// SPDX-License-Identifier: LGPL-2.1-or-later
/* The two-map iterator: begin and end of each operation, and the loop that cuts turns (ARCHITECTURE 1). */
#include "iomap/iomap.h"

#define TURNS_BETWEEN_RELIEFS 256

static unsigned int block_shift(const struct cdx_iter *it)
{
	return it->txn->super->block_shift;
}

static uint64_t block_size(const struct cdx_iter *it)
{
	return it->txn->super->block_size;
}

static uint64_t round_down(const struct cdx_iter *it, uint64_t bytes)
{
	return bytes & ~(block_size(it) - 1);
}

static uint64_t round_up(const struct cdx_iter *it, uint64_t bytes)
{
	return round_down(it, bytes + block_size(it) - 1);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- looking up ---------------------------------------------------------------------- */

int cdx_iomap_lookup(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t end,
		     bool want_shared, struct cowdax_iomap *map)
{
	unsigned int shift = txn->super->block_shift;
	uint64_t block = offset >> shift, run = 0, last;
	struct cdx_extent extent;
	bool shared = false;
	int ret;

	end = (end + txn->super->block_size - 1) & ~(uint64_t)(txn->super->block_size - 1);
	ret = cdx_extents_find(txn, &inode->extents, block, &extent, want_shared ? &shared : NULL, &run);
	if (ret < 0)
		return ret;
	*map = (struct cowdax_iomap){.offset = block << shift, .type = COWDAX_HOLE};
	if (ret == 0 || extent.file_block > block) {
		last = ret ? extent.file_block << shift : end;
		map->length = least(last, end) - map->offset;
		return 0;
	}
	last = want_shared ? block + run : extent.file_block + extent.count;
	map->length = least(last << shift, end) - map->offset;
	map->address = (extent.disk_block + (block - extent.file_block)) << shift;
	map->type = extent.unwritten ? COWDAX_UNWRITTEN : COWDAX_MAPPED;
	map->flags = shared ? COWDAX_IOMAP_SHARED : 0;
	return 0;
}

int cdx_iomap_find_own(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t end,
		       struct cowdax_iomap *map)
{
	if (!txn->record.unwritten_extents)
		return 0;
	for (; offset < end; offset = cdx_iomap_end(map)) {
		int ret = cdx_iomap_lookup(txn, inode, offset, end, false, map);

		if (!ret && map->type == COWDAX_UNWRITTEN)
			ret = cdx_iomap_lookup(txn, inode, offset, end, true, map);
		if (ret)
			return ret;
		if (map->type == COWDAX_UNWRITTEN && !(map->flags & COWDAX_IOMAP_SHARED))
			return 1;
	}
	return 0;
}

int cdx_iomap_probe(struct cdx_txn *txn, const struct cdx_inode *inode, const struct cowdax_iomap *map,
		    uint64_t offset, uint64_t length)
{
	uint64_t address = map->address + (offset - map->offset), bad;

	if (cdx_pmem_probe(&txn->device->pm, address, length, &bad) != -EIO)
		return 0;
	txn->unreadable.inode = inode->number;
	txn->unreadable.offset = offset + (bad - address);
	return -EIO;
}

int cdx_iomap_read(struct cdx_txn *txn, const struct cdx_inode *inode, const struct cowdax_iomap *map,
		   uint64_t offset, void *bytes, uint64_t length)
{
	int ret = cdx_pmem_read(&txn->device->pm, map->address + (offset - map->offset), bytes, length);

	if (ret == -EIO)
		cdx_iomap_probe(txn, inode, map, offset, length);
	return ret;
}

/* The source map: where the bytes from the position on are now, up to @end. */
static int find_source(struct cdx_iter *it, uint64_t end, bool want_shared)
{
	it->step.has_source = true;
	it->result->source_lookups++;
	return cdx_iomap_lookup(it->txn, it->inode, it->position, end,
				want_shared || it->result->step != NULL, &it->step.source);
}

/* Let the destination be a new map of up to @blocks blocks at the position's. */
static int allocate(struct cdx_iter *it, uint64_t blocks, enum cowdax_iomap_type type)
{
	struct cowdax_iomap *map = &it->step.destination;
	int ret;

	if (!it->run.count) {
		uint64_t end = least(round_up(it, it->end), it->own.length ? it->own.offset : UINT64_MAX);
		uint64_t want = (end - round_down(it, it->position)) >> block_shift(it);

		/* A whole write is allocated together, so that it lies together. */
		if (want < blocks || it->ops != &cdx_iomap_write)
			want = blocks;
		ret = cdx_alloc_data(it->txn, want, &it->run.start, &it->run.count);
		if (ret)
			return ret;
	}
	*map = (struct cowdax_iomap){
		.offset = round_down(it, it->position),
		.length = least(blocks, it->run.count) << block_shift(it),
		.address = it->run.start << block_shift(it),
		.type = type,
		.flags = COWDAX_IOMAP_NEW,
	};
	return 0;
}

/* ---- making the file map it --------------------------------------------------------------- */

static int flush_pending(struct cdx_iter *it)
{
	int ret = 0;

	if (it->pending.count && it->pending_in_place)
		ret = cdx_extents_set_written(it->txn, &it->inode->extents, &it->pending);
	else if (it->pending.count)
		ret = cdx_extents_remap(it->txn, &it->inode->extents, &it->pending);
	it->pending.count = 0;
	return ret;
}

static int map_extent(struct cdx_iter *it, const struct cdx_extent *extent, bool in_place)
{
	int ret;

	if (it->pending.count && it->pending_in_place == in_place &&
	    cdx_extent_continues(&it->pending, extent)) {
		it->pending.count += extent->count;
		return 0;
	}
	ret = flush_pending(it);
	it->pending = *extent;
	it->pending_in_place = in_place;
	return ret;
}

/* The blocks of the destination that this turn has covered. */
static struct cdx_extent covered(const struct cdx_iter *it)
{
	const struct cowdax_iomap *map = &it->step.destination;
	uint64_t end = least(round_up(it, it->step.offset + it->step.length), cdx_iomap_end(map));

	return (struct cdx_extent){
		.file_block = map->offset >> block_shift(it),
		.disk_block = map->address >> block_shift(it),
		.count = (end - map->offset) >> block_shift(it),
		.unwritten = map->type == COWDAX_UNWRITTEN,
	};
}

static int end_allocated(struct cdx_iter *it)
{
	struct cdx_extent extent;

	if (!(it->step.destination.flags & COWDAX_IOMAP_NEW))
		return 0;
	extent = covered(it);
	it->run.start += extent.count;
	it->run.count -= extent.count;
	return map_extent(it, &extent, false);
}

/* ---- the operations --------------------------------------------------------------------------- */

/*
 * Whether the position lies in unwritten blocks that are the file's alone: 1, 0 or
 * -errno.  They are looked up once for all turns up to their end.
 */
static int in_own(struct cdx_iter *it)
{
	int ret = 0;

	if (it->position < it->own.offset)
		return 0;
	if (it->position >= cdx_iomap_end(&it->own))
		ret = cdx_iomap_find_own(it->txn, it->inode, it->position, it->end, &it->own);
	else
		return 1;
	if (ret == 0)	/* none up to the end */
		it->own = (struct cowdax_iomap){.offset = round_up(it, it->end), .length = block_size(it)};
	return ret < 0 ? ret : it->position >= it->own.offset;
}

/* Let the destination be the file's own blocks from the position's on, up to @end. */
static void take_own(struct cdx_iter *it, uint64_t end, enum cowdax_iomap_type type)
{
	struct cowdax_iomap *map = &it->step.destination;

	*map = it->own;
	map->offset = round_down(it, it->position);
	map->length = least(end, cdx_iomap_end(&it->own)) - map->offset;
	map->address += map->offset - it->own.offset;
	map->type = type;
}

/*
 * Whole blocks need no source.  A partial block, the first or the last, is a
 * turn of its own and the only kind that looks one up.
 */
static int begin_write(struct cdx_iter *it)
{
	uint64_t block = round_down(it, it->position), end, whole;
	int own = in_own(it);

	if (own < 0)
		return own;
	end = own ? it->end : least(it->end, it->own.offset);
	whole = round_down(it, end) - block;
	if (block == it->position && whole && own) {
		take_own(it, block + whole, COWDAX_MAPPED);
	} else if (block == it->position && whole) {
		return allocate(it, whole >> block_shift(it), COWDAX_MAPPED);
	} else if (own) {
		take_own(it, block + block_size(it), COWDAX_MAPPED);
		it->step.source = it->step.destination;
		it->step.source.type = COWDAX_UNWRITTEN;
		it->step.has_source = true;
		it->result->source_lookups++;
	} else {
		int ret = allocate(it, 1, COWDAX_MAPPED);

		return ret ? ret : find_source(it, block + block_size(it), false);
	}
	return 0;
}

static int end_write(struct cdx_iter *it)
{
	struct cdx_extent extent;

	if (it->step.destination.flags & COWDAX_IOMAP_NEW)
		return end_allocated(it);
	extent = covered(it);
	return map_extent(it, &extent, true);
}
const struct cdx_iomap_ops cdx_iomap_write = {begin_write, end_write};

/* What is not mapped reads as zeros already; what is, gets a copy with the rest of its blocks. */
static int begin_zero(struct cdx_iter *it)
{
	int ret = find_source(it, it->end, false);

	if (ret)
		return ret;
	it->step.destination = it->step.source;
	if (it->step.source.type != COWDAX_MAPPED)
		return 0;
	return allocate(it, it->step.source.length >> block_shift(it), COWDAX_MAPPED);
}
const struct cdx_iomap_ops cdx_iomap_zero = {begin_zero, end_allocated};

static int begin_clear(struct cdx_iter *it)
{
	int ret = begin_zero(it);

	if (ret || it->step.source.type != COWDAX_HOLE)
		return ret;
	return allocate(it, it->step.source.length >> block_shift(it), COWDAX_UNWRITTEN);
}
const struct cdx_iomap_ops cdx_iomap_clear = {begin_clear, end_allocated};

/* Holes stay holes, private blocks stay where they are. */
static int begin_unshare(struct cdx_iter *it)
{
	int ret = find_source(it, it->end, true);

	if (ret)
		return ret;
	it->step.destination = it->step.source;
	if (it->step.source.type != COWDAX_MAPPED || !(it->step.source.flags & COWDAX_IOMAP_SHARED))
		return 0;
	return allocate(it, it->step.source.length >> block_shift(it), COWDAX_MAPPED);
}
const struct cdx_iomap_ops cdx_iomap_unshare = {begin_unshare, end_allocated};

static int begin_reserve(struct cdx_iter *it)
{
	int ret = cdx_iomap_lookup(it->txn, it->inode, it->position, it->end, false, &it->step.destination);

	if (ret || it->step.destination.type != COWDAX_HOLE)
		return ret;
	return allocate(it, it->step.destination.length >> block_shift(it), COWDAX_UNWRITTEN);
}
const struct cdx_iomap_ops cdx_iomap_reserve = {begin_reserve, end_allocated};

static int begin_replace(struct cdx_iter *it)
{
	int own = in_own(it);

	if (own < 0)
		return own;
	if (!own)
		return allocate(it, (least(it->end, it->own.offset) - it->position) >> block_shift(it),
				COWDAX_UNWRITTEN);
	take_own(it, it->end, COWDAX_UNWRITTEN);
	return 0;
}
const struct cdx_iomap_ops cdx_iomap_replace = {begin_replace, end_allocated};

static int begin_reflink(struct cdx_iter *it)
{
	struct cowdax_iomap *source = &it->step.source;
	uint64_t at = it->from_offset + (it->position - it->start);
	int ret;

	it->step.has_source = true;
	it->result->source_lookups++;
	ret = cdx_iomap_lookup(it->txn, it->from, at, it->from_offset + (it->end - it->start), false, source);
	if (ret)
		return ret;
	/* The same blocks, as the other file has them now and this one will. */
	it->step.destination = *source;
	it->step.destination.offset = it->position;
	if (source->type != COWDAX_HOLE) {
		source->flags = COWDAX_IOMAP_SHARED;
		it->step.destination.flags = COWDAX_IOMAP_SHARED;
	}
	return 0;
}

static int end_reflink(struct cdx_iter *it)
{
	unsigned int grains = it->txn->super->grains_per_block_shift;
	struct cdx_extent extent = covered(it);
	int ret;

	if (it->step.destination.type == COWDAX_HOLE) {
		ret = flush_pending(it);
		return ret ? ret : cdx_extents_cut(it->txn, &it->inode->extents, extent.file_block,
						   extent.file_block + extent.count);
	}
	ret = cdx_space_share(&it->txn->space, extent.disk_block << grains, extent.count << grains);
	if (ret)
		return ret;
	it->result->bytes_shared += it->step.length;
	return map_extent(it, &extent, false);
}
const struct cdx_iomap_ops cdx_iomap_reflink = {begin_reflink, end_reflink};

/* ---- the iterator -------------------------------------------------------------------------------- */

void cdx_iter_start(struct cdx_iter *it, struct cdx_txn *txn, struct cdx_inode *inode,
		    const struct cdx_iomap_ops *ops, uint64_t offset, uint64_t length,
		    struct cowdax_result *result)
{
	*it = (struct cdx_iter){
		.txn = txn,
		.inode = inode,
		.ops = ops,
		.result = result,
		.start = offset,
		.position = offset,
		.end = offset + length,
	};
}

static int finish_turn(struct cdx_iter *it)
{
	int ret = it->ops->end(it);

	if (ret)
		return ret;
	if (it->result->step)
		it->result->step(it->result->step_arg, &it->step);
	it->position += it->step.length;
	return 0;
}

/* Bound memory: let dirty nodes go to the media, and see both inodes anew (R18). */
static int relieve(struct cdx_iter *it)
{
	int ret = flush_pending(it);

	if (!ret)
		ret = cdx_inode_store(it->txn, it->inode);
	if (!ret)
		ret = cdx_txn_relieve(it->txn);
	if (!ret)
		ret = cdx_inode_load(it->txn, it->inode->number, it->inode);
	if (!ret && it->from && it->from != it->inode)
		ret = cdx_inode_load(it->txn, it->from->number, it->from);
	return ret;
}

int cdx_iter_next(struct cdx_iter *it)
{
	uint64_t end;
	int ret;

	if (it->running) {
		ret = finish_turn(it);
		if (!ret && ++it->turns % TURNS_BETWEEN_RELIEFS == 0)
			ret = relieve(it);
		if (ret)
			return ret;
	}
	it->running = it->position < it->end;
	if (!it->running)
		return flush_pending(it);

	memset(&it->step, 0, sizeof(it->step));
	it->step.offset = it->position;
	ret = it->ops->begin(it);
	if (ret)
		return ret;
	/* Cut the turn to the shorter of the two maps. */
	end = least(it->end, cdx_iomap_end(&it->step.destination));
	if (it->step.has_source && it->ops != &cdx_iomap_reflink)
		end = least(end, cdx_iomap_end(&it->step.source));
	if (end <= it->position)
		return -EUCLEAN;
	it->step.length = end - it->position;
	return 1;
}
