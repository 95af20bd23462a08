// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where XFS and cowdax may differ, and why.  Each reason is a rule about what an
 * operation does to a block in a given state; a block keeps its reason until an
 * operation gives it the same state on both sides.  What no rule has marked must
 * not differ.
 */
#include <errno.h>
#include <string.h>

#include "beside.h"

typedef enum reason marks[FILES][BLOCKS];

const char *reason_text(enum reason reason)
{
	static const char *const texts[REASONS] = {
		[REASON_CLONE_UNWRITTEN] =
		"a range cloned: of an unwritten block cowdax shares it, XFS makes a hole, or leaves "
		"the unwritten block that was there",
		[REASON_CLONE_PAST_END] =
		"a file cloned whole: cowdax shares what is allocated past its end too, XFS does not",
		[REASON_SIZE_FREES] =
		"a file truncated to the size it has: XFS frees what is allocated past it, cowdax does not",
		[REASON_UNSHARE_ALLOCATES] =
		"a range unshared: XFS allocates its holes too, as unwritten, and on DAX writes zeros to "
		"them and to unwritten blocks; cowdax keeps both",
		[REASON_UNSHARE_SKIPS] =
		"a range unshared: XFS on DAX skips shared blocks right behind, on the media, those it "
		"has just written zeros to",
		[REASON_END_ZEROED] =
		"the end moved up or set anew: XFS zeroes the rest of the last block again and so copies "
		"it when shared; in cowdax it is zeros already",
		[REASON_PAST_END_COPIED] =
		"a part of the last block, past the end, zeroed, punched or unshared: cowdax copies the "
		"block when shared, XFS leaves it",
		[REASON_UNWRITTEN_SHARED] =
		"an unwritten block that cowdax shares: XFS never does",
		[REASON_LIMBO] =
		"a block that cowdax calls shared, its other pointer being dropped but not undone yet",
		[REASON_CLONE_NOTHING] =
		"a clone of no bytes that would break the rules: success on XFS, which looks at the "
		"length first, EINVAL in cowdax",
	};

	return texts[reason];
}

bool reason_allows(enum reason reason, enum cowdax_iomap_type xfs, enum cowdax_iomap_type cowdax)
{
	switch (reason) {
	case REASON_CLONE_UNWRITTEN:
	case REASON_CLONE_PAST_END:
	case REASON_SIZE_FREES:
		return xfs == COWDAX_HOLE && cowdax == COWDAX_UNWRITTEN;
	case REASON_UNSHARE_ALLOCATES:
		return (xfs == COWDAX_UNWRITTEN && cowdax == COWDAX_HOLE) ||
		       (xfs == COWDAX_MAPPED && cowdax != COWDAX_MAPPED);
	default:
		return false;
	}
}

bool reason_copies(enum reason reason, bool on_xfs)
{
	if (on_xfs)
		return reason == REASON_END_ZEROED;
	return reason == REASON_PAST_END_COPIED || reason == REASON_UNSHARE_SKIPS;
}

enum reason reason_for_results(const struct op *op, const struct sides *before, int xfs, int cowdax)
{
	const struct layout *from = &before->xfs[op->from];
	bool nothing;

	if (op->kind == OP_CLONE)
		nothing = op->file == op->from && from->exists && from->size == 0;
	else
		nothing = op->kind == OP_CLONE_RANGE && from->exists &&
			  op->from_offset == from->size && op->length == 0;
	return nothing && xfs == 0 && cowdax == -EINVAL ? REASON_CLONE_NOTHING : NO_REASON;
}

/* ---- rules about parts of operations ------------------------------------------------- */

static void forget(marks mark, unsigned int file, uint64_t first, uint64_t last)
{
	for (; first < last && first < BLOCKS; first++)
		mark[file][first] = NO_REASON;
}

/* XFS zeroes from the end of file on to where the file grows to, or to the end of its block. */
static void end_is_zeroed(marks mark, const struct sides *before, unsigned int file)
{
	uint64_t size = before->xfs[file].size, last = size / BLOCK;
	const struct block *xfs = &before->xfs[file].block[last],
			   *cowdax = &before->cowdax[file].block[last];

	if (size % BLOCK && xfs->type == COWDAX_MAPPED && cowdax->type == COWDAX_MAPPED &&
	    xfs->shared)
		mark[file][last] = cowdax->shared ? REASON_END_ZEROED : NO_REASON;
}

/* Truncating to no less than before still gives back, on XFS, what lies past an end that stays. */
static void size_is_set(marks mark, const struct sides *before, unsigned int file, uint64_t size)
{
	end_is_zeroed(mark, before, file);
	if (size > before->xfs[file].size)
		return;
	for (uint64_t i = round_up(size) / BLOCK; i < BLOCKS; i++)
		mark[file][i] = before->cowdax[file].block[i].type == COWDAX_UNWRITTEN
					? REASON_SIZE_FREES
					: NO_REASON;
}

/*
 * Which reason a clone of this block has, and a reason of its own when none.
 * @onto: what XFS has where it goes to.
 */
static enum reason mark_of_clone(const marks mark, const struct sides *before, unsigned int file,
				 uint64_t index, enum cowdax_iomap_type onto)
{
	enum cowdax_iomap_type xfs = before->xfs[file].block[index].type;
	enum reason old = mark[file][index];
	bool past_end = index >= round_up(before->cowdax[file].size) / BLOCK;

	/* Of an unwritten block that only XFS has, the clone is a hole; or what it has there stays. */
	if (old == REASON_UNSHARE_ALLOCATES && xfs == COWDAX_UNWRITTEN)
		return onto == COWDAX_UNWRITTEN ? old : NO_REASON;
	if (old == NO_REASON && before->cowdax[file].block[index].type == COWDAX_UNWRITTEN)
		return past_end ? REASON_CLONE_PAST_END : REASON_CLONE_UNWRITTEN;
	return old;
}

/* From @from on, XFS finds nothing to do in what lies past the end of file. */
static void past_end_is_copied(marks mark, const struct sides *before, unsigned int file,
			       uint64_t from)
{
	uint64_t size = before->xfs[file].size, end = size / BLOCK;

	if (size % BLOCK && from >= size && from / BLOCK == end &&
	    before->cowdax[file].block[end].type == COWDAX_MAPPED)
		mark[file][end] =
			before->xfs[file].block[end].shared ? REASON_PAST_END_COPIED : NO_REASON;
}

/* Zeroing or punching @from to @to, the size before being @size. */
static void zero_ends(marks mark, const struct sides *before, unsigned int file, uint64_t from,
		      uint64_t to)
{
	uint64_t size = before->xfs[file].size, first = from / BLOCK, last = (to - 1) / BLOCK;

	/* Partial blocks are copied when shared, and written where they are on XFS when not. */
	if (from < size && before->cowdax[file].block[first].type == COWDAX_MAPPED)
		forget(mark, file, first, first + 1);
	if (last * BLOCK < size && before->cowdax[file].block[last].type == COWDAX_MAPPED)
		forget(mark, file, last, last + 1);
	forget(mark, file, round_up(from) / BLOCK, to / BLOCK);
	past_end_is_copied(mark, before, file, from);
}

/* ---- rules about operations ---------------------------------------------------------- */

static void after_write(marks mark, const struct op *op, const struct sides *before)
{
	if (op->offset > before->xfs[op->file].size)
		end_is_zeroed(mark, before, op->file);
	forget(mark, op->file, op->offset / BLOCK, round_up(op->offset + op->length) / BLOCK);
}

static void after_truncate(marks mark, const struct op *op, const struct sides *before)
{
	if (op->length && op->length >= before->xfs[op->file].size) {
		size_is_set(mark, before, op->file, op->length);
		return;
	}
	/* Cut, and the part of the last block zeroed, on both sides. */
	forget(mark, op->file, round_up(op->length) / BLOCK, BLOCKS);
	if (op->length % BLOCK &&
	    before->cowdax[op->file].block[op->length / BLOCK].type == COWDAX_MAPPED)
		forget(mark, op->file, op->length / BLOCK, op->length / BLOCK + 1);
}

static void after_clone(marks mark, const struct op *op, const struct sides *before)
{
	for (uint64_t i = 0; i < BLOCKS; i++)
		mark[op->file][i] = mark_of_clone(mark, before, op->from, i, COWDAX_HOLE);
}

static void after_clone_range(marks mark, const struct op *op, const struct sides *before)
{
	uint64_t size = before->xfs[op->from].size, blocks;
	enum reason copy[BLOCKS];

	/* A length of 0 goes to the end. */
	blocks = round_up(op->length ? op->length : size - op->from_offset) / BLOCK;
	if (!blocks)
		return;
	/* First: the block may be among those that are cloned. */
	if (op->offset > before->xfs[op->file].size)
		end_is_zeroed(mark, before, op->file);
	for (uint64_t i = 0; i < blocks; i++)
		copy[i] = mark_of_clone(mark, before, op->from, op->from_offset / BLOCK + i,
					before->xfs[op->file].block[op->offset / BLOCK + i].type);
	memcpy(mark[op->file] + op->offset / BLOCK, copy, blocks * sizeof(*copy));
}

static void after_fallocate(marks mark, const struct op *op, const struct sides *before)
{
	uint64_t end = op->offset + op->length;
	bool grows = (op->kind == OP_ALLOCATE || op->kind == OP_ZERO) && !op->keep_size &&
		     end > before->xfs[op->file].size;

	if (op->kind == OP_ZERO || op->kind == OP_PUNCH)
		zero_ends(mark, before, op->file, op->offset, end);
	if (grows)
		size_is_set(mark, before, op->file, end);
}

/* Whether the block lies right behind one that was no block, or that was skipped itself. */
static bool after_zeros(const struct layout *before, const struct layout *now, uint64_t index,
			bool skipped)
{
	const struct block *block = &now->block[index];

	return block->type == COWDAX_MAPPED && block[-1].type == COWDAX_MAPPED &&
	       block[-1].address + BLOCK == block->address &&
	       (skipped || before->block[index - 1].type != COWDAX_MAPPED);
}

static void after_unshare(marks mark, const struct op *op, const struct sides *before,
			  const struct layout *now)
{
	bool skips = false;
	uint64_t last = round_up(op->offset + op->length) / BLOCK;

	for (uint64_t i = op->offset / BLOCK; i < last; i++) {
		const struct block *block = &before->cowdax[op->file].block[i];

		skips = i > op->offset / BLOCK && after_zeros(&before->xfs[op->file], now, i, skips);
		if (block->type != COWDAX_MAPPED)
			mark[op->file][i] = REASON_UNSHARE_ALLOCATES;
		else
			mark[op->file][i] = skips ? REASON_UNSHARE_SKIPS : NO_REASON;
	}
	past_end_is_copied(mark, before, op->file, op->offset);
}

void reason_update(enum reason mark[FILES][BLOCKS], const struct op *op,
		   const struct sides *before, const struct sides *after)
{
	switch (op->kind) {
	case OP_CREATE:
	case OP_REMOVE:
		forget(mark, op->file, 0, BLOCKS);
		break;
	case OP_WRITE:
		after_write(mark, op, before);
		break;
	case OP_TRUNCATE:
		after_truncate(mark, op, before);
		break;
	case OP_CLONE:
		after_clone(mark, op, before);
		break;
	case OP_CLONE_RANGE:
		after_clone_range(mark, op, before);
		break;
	case OP_UNSHARE:
		after_unshare(mark, op, before, &after->xfs[op->file]);
		break;
	default:
		after_fallocate(mark, op, before);
	}
}
