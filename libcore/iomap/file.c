// SPDX-License-Identifier: LGPL-2.1-or-later
/* Operations on a file's data as loops over the iterator; bytes past the end stay zeros (FORMAT 8). */
#include "iomap/file.h"

#include <stdlib.h>
#include <sys/stat.h>

#define ZEROS_LENGTH 65536
#define COPY_LENGTH ((size_t)65536)	/* handed to a sink at a time */
#define FAULT_LENGTH ((size_t)4096)	/* and where some of it cannot be read */

int cdx_file_check_range(uint64_t offset, uint64_t length)
{
	return offset > CDX_MAX_FILE || length > CDX_MAX_FILE - offset ? -EFBIG : 0;
}

static uint64_t round_down(const struct cdx_txn *txn, uint64_t bytes)
{
	return bytes & ~(uint64_t)(txn->super->block_size - 1);
}

static uint64_t round_up(const struct cdx_txn *txn, uint64_t bytes)
{
	return round_down(txn, bytes + txn->super->block_size - 1);
}

/* ---- writing --------------------------------------------------------------------------- */

/*
 * Fill the bytes of a new block around [from, to) of it: copied from the source
 * when that is mapped, else zeros.  A hole or unwritten source is never read.
 */
static int fill_edges(struct cdx_iter *it, unsigned char *block, uint64_t from, uint64_t to)
{
	const struct cowdax_iomap *source = &it->step.source;
	uint64_t size = it->txn->super->block_size, edges = from + (size - to);
	int ret;

	if (!it->step.has_source || source->type != COWDAX_MAPPED) {
		memset(block, 0, from);
		memset(block + to, 0, size - to);
		it->result->bytes_zeroed += edges;
		return 0;
	}
	ret = cdx_iomap_read(it->txn, it->inode, source, source->offset, block, from);
	if (!ret)
		ret = cdx_iomap_read(it->txn, it->inode, source, source->offset + to, block + to, size - to);
	if (!ret)
		it->result->bytes_copied += edges;
	return ret;
}

/* A partial block is put together in DRAM and stored once. */
static int write_partial(struct cdx_iter *it, const void *bytes, unsigned char *block)
{
	const struct cowdax_iomap *map = &it->step.destination;
	uint64_t from = it->step.offset - map->offset, to = from + it->step.length;
	int ret;

	ret = fill_edges(it, block, from, to);
	if (ret)
		return ret;
	memcpy(block + from, bytes, it->step.length);
	ret = cdx_pmem_prepare(&it->txn->device->pm, map->address, it->txn->super->block_size);
	if (!ret)
		cdx_pmem_copy(&it->txn->device->pm, map->address, block, it->txn->super->block_size);
	return ret;
}

static int write_whole(struct cdx_iter *it, const void *bytes)
{
	const struct cowdax_iomap *map = &it->step.destination;
	int ret = cdx_pmem_prepare(&it->txn->device->pm, map->address, it->step.length);

	if (!ret)
		cdx_pmem_copy(&it->txn->device->pm, map->address, bytes, it->step.length);
	return ret;
}

static int write_turn(struct cdx_iter *it, const unsigned char *bytes, unsigned char *scratch)
{
	int ret;

	bytes += it->step.offset - it->start;
	ret = it->step.has_source ? write_partial(it, bytes, scratch) : write_whole(it, bytes);
	if (!ret)
		it->result->bytes_written += it->step.length;
	return ret;
}

/* The file has what was written there, and reaches as far. */
static void note_written(const struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length)
{
	if (length && offset + length > inode->size)
		inode->size = offset + length;
	cdx_inode_modified(txn, inode);
}

int cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
		   uint64_t offset, void *scratch, struct cowdax_result *result)
{
	struct cdx_iter it;
	int ret;

	cdx_iter_start(&it, txn, inode, &cdx_iomap_write, offset, length, result);
	while ((ret = cdx_iter_next(&it)) > 0) {
		ret = write_turn(&it, bytes, scratch);
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	note_written(txn, inode, offset, length);
	return 0;
}

/* ---- zeroing and cutting ------------------------------------------------------------------- */

static int zero_turn(struct cdx_iter *it, unsigned char *block)
{
	const struct cowdax_iomap *map = &it->step.destination;
	uint64_t from = it->step.offset - map->offset, to = from + it->step.length;
	int ret;

	if (!(map->flags & COWDAX_IOMAP_NEW) || map->type != COWDAX_MAPPED)
		return 0;
	ret = fill_edges(it, block, from, to);
	if (ret)
		return ret;
	memset(block + from, 0, it->step.length);
	it->result->bytes_zeroed += it->step.length;
	ret = cdx_pmem_prepare(&it->txn->device->pm, map->address, it->txn->super->block_size);
	if (!ret)
		cdx_pmem_copy(&it->txn->device->pm, map->address, block, it->txn->super->block_size);
	return ret;
}

/* Make [from, to), a part of one block, read as zeros. */
static int zero_part(struct cdx_txn *txn, struct cdx_inode *inode, const struct cdx_iomap_ops *ops,
		     uint64_t from, uint64_t to, void *scratch, struct cowdax_result *result)
{
	struct cdx_iter it;
	int ret;

	if (from >= to)
		return 0;
	cdx_iter_start(&it, txn, inode, ops, from, to - from, result);
	while ((ret = cdx_iter_next(&it)) > 0) {
		ret = zero_turn(&it, scratch);
		if (ret)
			return ret;
	}
	return ret;
}

static int cut(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t from, uint64_t to)
{
	unsigned int shift = txn->super->block_shift;

	return cdx_extents_cut(txn, &inode->extents, from >> shift, to >> shift);
}

int cdx_file_truncate(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t size, void *scratch,
		      struct cowdax_result *result)
{
	uint64_t end = round_up(txn, size);
	int ret = 0;

	if (size < inode->size || size == 0) {
		ret = cut(txn, inode, end, CDX_MAX_FILE);
		/* Bytes past the end are zeros, always. */
		if (!ret && size < end)
			ret = zero_part(txn, inode, &cdx_iomap_zero, size, end, scratch, result);
	}
	if (ret)
		return ret;
	inode->size = size;
	cdx_inode_modified(txn, inode);
	return 0;
}

/* ---- fallocate -------------------------------------------------------------------------------- */

static int run_without_data(struct cdx_txn *txn, struct cdx_inode *inode, const struct cdx_iomap_ops *ops,
			    uint64_t from, uint64_t to, struct cowdax_result *result)
{
	struct cdx_iter it;
	int ret;

	cdx_iter_start(&it, txn, inode, ops, from, to - from, result);
	while ((ret = cdx_iter_next(&it)) > 0)
		;
	return ret;
}

/* The whole blocks of [from, to): [*first, *last), which for a part of one block is empty and lies at @to. */
static void whole_blocks(const struct cdx_txn *txn, uint64_t from, uint64_t to, uint64_t *first, uint64_t *last)
{
	*first = round_up(txn, from);
	*last = round_down(txn, to);
	if (*first > *last)
		*first = *last = to;
}

static int punch(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t from, uint64_t to, void *scratch,
		 struct cowdax_result *result)
{
	uint64_t first, last;
	int ret;

	whole_blocks(txn, from, to, &first, &last);
	ret = zero_part(txn, inode, &cdx_iomap_zero, from, first, scratch, result);
	if (!ret && first < last)
		ret = cut(txn, inode, first, last);
	return ret ? ret : zero_part(txn, inode, &cdx_iomap_zero, last, to, scratch, result);
}

int cdx_file_write_hole(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t length, uint64_t offset,
			void *scratch, struct cowdax_result *result)
{
	int ret = punch(txn, inode, offset, offset + length, scratch, result);

	if (ret)
		return ret;
	note_written(txn, inode, offset, length);
	return 0;
}

/* Like XFS: partial blocks in holes become allocated too, as the whole ones do. */
static int zero(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t from, uint64_t to, void *scratch,
		struct cowdax_result *result)
{
	uint64_t first, last;
	int ret;

	whole_blocks(txn, from, to, &first, &last);
	ret = zero_part(txn, inode, &cdx_iomap_clear, from, first, scratch, result);
	if (!ret && first < last)
		ret = run_without_data(txn, inode, &cdx_iomap_replace, first, last, result);
	return ret ? ret : zero_part(txn, inode, &cdx_iomap_clear, last, to, scratch, result);
}

static int copy_turn(struct cdx_iter *it)
{
	struct cdx_pmem *pm = &it->txn->device->pm;
	int ret;

	if (!(it->step.destination.flags & COWDAX_IOMAP_NEW))
		return 0;
	ret = cdx_pmem_prepare(pm, it->step.destination.address, it->step.length);
	if (!ret)
		ret = cdx_pmem_move(pm, it->step.destination.address, it->step.source.address,
				    it->step.length);
	if (!ret)
		it->result->bytes_copied += it->step.length;
	if (ret == -EIO)
		cdx_iomap_probe(it->txn, it->inode, &it->step.source, it->step.offset, it->step.length);
	return ret;
}

static int unshare(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t from, uint64_t to,
		   struct cowdax_result *result)
{
	uint64_t end = round_up(txn, inode->size);
	struct cdx_iter it;
	int ret;

	from = round_down(txn, from);
	to = round_up(txn, to);
	if (to > end)
		to = end;
	if (from >= to)
		return 0;
	cdx_iter_start(&it, txn, inode, &cdx_iomap_unshare, from, to - from, result);
	while ((ret = cdx_iter_next(&it)) > 0) {
		ret = copy_turn(&it);
		if (ret)
			return ret;
	}
	return ret;
}

int cdx_file_fallocate(struct cdx_txn *txn, struct cdx_inode *inode, enum cowdax_fallocate_mode mode,
		       uint64_t offset, uint64_t length, bool keep_size, void *scratch,
		       struct cowdax_result *result)
{
	uint64_t end = offset + length;
	int ret = -EINVAL;

	switch (mode) {
	case COWDAX_FALLOCATE_PUNCH:
		ret = punch(txn, inode, offset, end, scratch, result);
		keep_size = true;
		break;
	case COWDAX_FALLOCATE_ZERO:
		ret = zero(txn, inode, offset, end, scratch, result);
		break;
	case COWDAX_FALLOCATE_UNSHARE:
		ret = unshare(txn, inode, offset, end, result);
		keep_size = true;
		break;
	case COWDAX_FALLOCATE_UNWRITTEN:
		ret = run_without_data(txn, inode, &cdx_iomap_reserve, round_down(txn, offset),
				       round_up(txn, end), result);
		break;
	}
	if (ret)
		return ret;
	if (!keep_size && end > inode->size)
		inode->size = end;
	cdx_inode_modified(txn, inode);
	return 0;
}

/* ---- sharing ----------------------------------------------------------------------------------- */

int cdx_file_clone(struct cdx_txn *txn, struct cdx_inode *to, struct cdx_inode *from,
		   struct cowdax_result *result)
{
	int ret;

	ret = cut(txn, to, 0, CDX_MAX_FILE);
	if (!ret)
		ret = cdx_extents_clone(txn, &to->extents, &from->extents);
	if (ret)
		return ret;
	to->size = from->size;
	result->bytes_shared += from->size;
	cdx_inode_modified(txn, to);
	return 0;
}

int cdx_file_clone_range(struct cdx_txn *txn, struct cdx_inode *to, uint64_t to_offset,
			 struct cdx_inode *from, uint64_t from_offset, uint64_t length,
			 struct cowdax_result *result)
{
	uint64_t mask = txn->super->block_size - 1;
	struct cdx_iter it;
	int ret;

	if (!length && from_offset == from->size)
		return 0;	/* as on Linux, whatever the alignment */
	if ((to_offset | from_offset) & mask)
		return -EINVAL;
	if (from_offset > from->size || length > from->size - from_offset)
		return -EINVAL;
	/* A partial last block can only become the other file's last block. */
	if (length & mask && (from_offset + length != from->size || to_offset + length < to->size))
		return -EINVAL;
	if (cdx_file_check_range(to_offset, length))
		return -EFBIG;
	if (to == from && from_offset < to_offset + length && to_offset < from_offset + length)
		return -EINVAL;
	if (!length)
		return 0;
	cdx_iter_start(&it, txn, to, &cdx_iomap_reflink, to_offset, length, result);
	it.from = from;
	it.from_offset = from_offset;
	while ((ret = cdx_iter_next(&it)) > 0)
		;
	if (ret)
		return ret;
	if (to_offset + length > to->size)
		to->size = to_offset + length;
	cdx_inode_modified(txn, to);
	return 0;
}

/* ---- looking ------------------------------------------------------------------------------------ */

static int sink_zeros(uint64_t length, cowdax_sink_fn *sink, void *arg)
{
	static const unsigned char zeros[ZEROS_LENGTH];
	int ret = 0;

	while (length && !ret) {
		size_t part = length < sizeof(zeros) ? (size_t)length : sizeof(zeros);

		ret = sink(arg, zeros, part);
		length -= part;
	}
	return ret;
}

/* Hand over mapped bytes where they lie.  The sink is told of bad media by the kernel
 * (write(2) of such bytes is EFAULT) or by cdx_pmem_fetch(): then it is the file's fault. */
static int sink_mapped(struct cdx_txn *txn, const struct cdx_inode *inode, const struct cowdax_iomap *map,
		       uint64_t offset, uint64_t length, cowdax_sink_fn *sink, void *arg)
{
	int ret = sink(arg, txn->device->pm.base + map->address + (offset - map->offset), length);

	if ((ret == -EFAULT || ret == -EIO) && cdx_iomap_probe(txn, inode, map, offset, length))
		return -EIO;
	return ret;
}

int cdx_file_read_mapped(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length,
			 cowdax_sink_fn *sink, void *arg)
{
	uint64_t end;
	int ret = 0;

	if (offset >= inode->size)
		return 0;
	end = length < inode->size - offset ? offset + length : inode->size;
	while (offset < end && !ret) {
		struct cowdax_iomap map;
		uint64_t part;

		ret = cdx_iomap_lookup(txn, inode, offset, end, false, &map);
		if (ret)
			break;
		part = (cdx_iomap_end(&map) < end ? cdx_iomap_end(&map) : end) - offset;
		ret = map.type == COWDAX_MAPPED ?
		      sink_mapped(txn, inode, &map, offset, part, sink, arg) :
		      sink_zeros(part, sink, arg);
		offset += part;
	}
	return ret;
}

/* A sink that is not the library's own, with the buffer that stands before it. */
struct copying {
	const struct cdx_pmem *pm;
	unsigned char *buffer;
	cowdax_sink_fn *sink;
	void *arg;
};

/* Up to the page that cannot be read, the sink gets what can. */
static int sink_before_fault(const struct copying *copying, const unsigned char *bytes, size_t length)
{
	for (size_t done = 0, part; done < length; done += part) {
		uint64_t offset = (uint64_t)(bytes + done - copying->pm->base);
		int ret;

		part = FAULT_LENGTH - (offset & (FAULT_LENGTH - 1));
		part = part < length - done ? part : length - done;
		ret = cdx_pmem_fetch(copying->buffer, bytes + done, part);
		if (!ret)
			ret = copying->sink(copying->arg, copying->buffer, part);
		if (ret)
			return ret;
	}
	return 0;
}

static int sink_copy(void *arg, const void *from, size_t length)
{
	const struct copying *copying = arg;
	const unsigned char *bytes = from, *base = copying->pm->base;
	int ret = 0;

	if (bytes < base || bytes >= base + copying->pm->length)
		return copying->sink(copying->arg, bytes, length);	/* zeros of a hole */
	for (size_t part; length && !ret; bytes += part, length -= part) {
		part = length < COPY_LENGTH ? length : COPY_LENGTH;
		ret = cdx_pmem_fetch(copying->buffer, bytes, part);
		if (ret)
			return sink_before_fault(copying, bytes, part);
		ret = copying->sink(copying->arg, copying->buffer, part);
	}
	return ret;
}

int cdx_file_read(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length,
		  cowdax_sink_fn *sink, void *arg)
{
	struct copying copying = {&txn->device->pm, malloc(COPY_LENGTH), sink, arg};
	int ret;

	if (!copying.buffer)
		return -ENOMEM;
	ret = cdx_file_read_mapped(txn, inode, offset, length, sink_copy, &copying);
	free(copying.buffer);
	return ret;
}

static bool goes_on(const struct cowdax_extent *extent, const struct cowdax_extent *next)
{
	return extent->map.type == next->map.type && extent->map.flags == next->map.flags &&
	       extent->references == next->references &&
	       (extent->map.type == COWDAX_HOLE ||
		extent->map.address + extent->map.length == next->map.address);
}

static int references_of(struct cdx_txn *txn, const struct cowdax_iomap *map, uint64_t *references)
{
	uint64_t end;

	*references = 0;
	if (map->type == COWDAX_HOLE)
		return 0;
	return cdx_space_count(&txn->space, map->address >> txn->super->grain_shift, references, &end);
}

/* Where the last extent or the file ends, whichever is later, in whole blocks. */
static int map_end(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t *end)
{
	unsigned int shift = txn->super->block_shift;
	uint64_t block = round_up(txn, inode->size) >> shift;
	struct cdx_extent extent;
	int ret;

	while ((ret = cdx_extents_find(txn, &inode->extents, block, &extent, NULL, NULL)) > 0)
		block = extent.file_block + extent.count;
	*end = block << shift;
	return ret;
}

int cdx_file_map(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t offset, uint64_t length,
		 cowdax_map_fn *fn, void *arg)
{
	struct cowdax_extent extent = {0}, next;
	uint64_t end;
	int ret;

	ret = map_end(txn, inode, &end);
	if (ret)
		return ret;
	if (offset < end && length < end - offset)
		end = round_up(txn, offset + length);
	offset = round_down(txn, offset);
	for (; offset < end; offset = cdx_iomap_end(&next.map)) {
		ret = cdx_iomap_lookup(txn, inode, offset, end, true, &next.map);
		if (!ret)
			ret = references_of(txn, &next.map, &next.references);
		if (ret)
			return ret;
		if (extent.map.length && goes_on(&extent, &next)) {
			extent.map.length += next.map.length;
			continue;
		}
		ret = extent.map.length ? fn(arg, &extent) : 0;
		if (ret)
			return ret;
		extent = next;
	}
	return extent.map.length ? fn(arg, &extent) : 0;
}

struct count { uint64_t bytes, shared; };

static int count_extent(void *arg, const struct cowdax_extent *extent)
{
	struct count *count = arg;

	if (extent->map.type == COWDAX_HOLE)
		return 0;
	count->bytes += extent->map.length;
	if (extent->map.flags & COWDAX_IOMAP_SHARED)
		count->shared += extent->map.length;
	return 0;
}

int cdx_file_count(struct cdx_txn *txn, struct cdx_inode *inode, uint64_t *blocks, uint64_t *shared)
{
	struct count count = {0};
	int ret;

	ret = cdx_file_map(txn, inode, 0, CDX_MAX_FILE, count_extent, &count);
	if (ret)
		return ret;
	*blocks = count.bytes >> txn->super->block_shift;
	*shared = count.shared >> txn->super->block_shift;
	return 0;
}
