// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether both sides hold the same bytes, and share the same blocks. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../model/memory.h"
#include "beside.h"

bool run_fail(struct run *run, const char *format, ...)
{
	va_list arguments;

	if (run->failure[0])
		return false;
	va_start(arguments, format);
	vsnprintf(run->failure, sizeof(run->failure), format, arguments);
	va_end(arguments);
	return false;
}

/* ---- contents ------------------------------------------------------------------------ */

static bool compare_sizes(struct run *run, unsigned int file)
{
	const struct layout *xfs = &run->now.xfs[file], *cowdax = &run->now.cowdax[file];

	if (xfs->exists != cowdax->exists)
		return run_fail(run, "file %c is there only %s", 'a' + (int)file,
				xfs->exists ? "on XFS" : "in cowdax");
	if (xfs->size != cowdax->size)
		return run_fail(run, "file %c has %" PRIu64 " bytes on XFS, %" PRIu64 " in cowdax",
				'a' + (int)file, xfs->size, cowdax->size);
	return true;
}

bool compare_contents(struct run *run, unsigned int file)
{
	static unsigned char xfs[MAX_FILE], cowdax[MAX_FILE];
	uint64_t size = run->now.xfs[file].size, at = 0;

	if (!compare_sizes(run, file))
		return false;
	if (!run->now.xfs[file].exists)
		return true;
	xfs_read(run->xfs, file, xfs, size);
	image_read(run->image, file, cowdax, size);
	if (memcmp(xfs, cowdax, size) == 0)
		return true;
	while (xfs[at] == cowdax[at])
		at++;
	return run_fail(run,
			"file %c: the byte at %" PRIu64 " (block %" PRIu64 ", %" PRIu64
			" in it) is %#x on XFS, %#x in cowdax",
			'a' + (int)file, at, at / BLOCK, at % BLOCK, xfs[at], cowdax[at]);
}

bool compare_all_contents(struct run *run)
{
	for (unsigned int file = 0; file < FILES; file++)
		if (!compare_contents(run, file))
			return false;
	return true;
}

/* ---- types --------------------------------------------------------------------------- */

static const char *type_name(enum cowdax_iomap_type type)
{
	return type == COWDAX_HOLE ? "a hole" : type == COWDAX_MAPPED ? "mapped" : "unwritten";
}

static bool compare_types(struct run *run, unsigned int file)
{
	for (uint64_t i = 0; i < BLOCKS; i++) {
		enum cowdax_iomap_type xfs = run->now.xfs[file].block[i].type;
		enum cowdax_iomap_type cowdax = run->now.cowdax[file].block[i].type;
		enum reason *mark = &run->mark[file][i];

		if (xfs != cowdax && !reason_allows(*mark, xfs, cowdax))
			return run_fail(run, "file %c, block %" PRIu64 ": %s on XFS, %s in cowdax",
					'a' + (int)file, i, type_name(xfs), type_name(cowdax));
		if (xfs == cowdax && xfs != COWDAX_MAPPED)
			*mark = NO_REASON;
	}
	return true;
}

/* ---- sharing ------------------------------------------------------------------------- */

struct place {
	unsigned int file;
	uint64_t index;
	struct block *block;		/* of the side looked at */
	const struct block *other;
	enum reason mark;
};

static int by_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->block->address > y->block->address) - (x->block->address < y->block->address);
}

/* All places of one side that have a block, in the order of their addresses. */
static size_t list_places(struct run *run, struct layout *side, const struct layout *other,
			  struct place *places)
{
	size_t count = 0;

	for (unsigned int file = 0; file < FILES; file++)
		for (uint64_t i = 0; i < BLOCKS; i++)
			if (side[file].block[i].type != COWDAX_HOLE)
				places[count++] = (struct place){
					.file = file, .index = i, .block = &side[file].block[i],
					.other = &other[file].block[i], .mark = run->mark[file][i],
				};
	qsort(places, count, sizeof(*places), by_address);
	return count;
}

/* Flags must be true: a block is shared when another place has it too. */
static bool compare_flags(struct run *run, struct place *places, size_t count, bool xfs,
			  bool excess_allowed)
{
	for (size_t i = 0; i < count; i++) {
		struct block *block = places[i].block;
		bool shared = (i > 0 && places[i - 1].block->address == block->address) ||
			      (i + 1 < count && places[i + 1].block->address == block->address);

		if (shared != block->shared && (shared || !excess_allowed))
			return run_fail(run,
					"file %c, block %" PRIu64
					": %s says that it is %s, and it is not",
					'a' + (int)places[i].file, places[i].index,
					xfs ? "XFS" : "cowdax", shared ? "private" : "shared");
		run->limbo += shared != block->shared;
		block->shared = shared;
	}
	return true;
}

/* Places that are one block on this side are one on the other, but for those with a copy there. */
static bool compare_groups(struct run *run, const struct place *places, size_t count,
			   bool on_xfs)
{
	const struct place *first = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct place *place = &places[i];

		if (place->block->type != COWDAX_MAPPED || place->other->type != COWDAX_MAPPED ||
		    reason_copies(place->mark, !on_xfs))
			continue;
		if (first && first->block->address == place->block->address &&
		    first->other->address != place->other->address)
			return run_fail(run,
					"file %c, block %" PRIu64 " and file %c, block %" PRIu64
					" are one block %s, and two %s",
					'a' + (int)first->file, first->index,
					'a' + (int)place->file, place->index,
					on_xfs ? "on XFS" : "in cowdax",
					on_xfs ? "in cowdax" : "on XFS");
		first = place;
	}
	return true;
}

/* A block that is private on both sides is no part of any difference. */
static void unmark_private(struct run *run)
{
	for (unsigned int file = 0; file < FILES; file++)
		for (uint64_t i = 0; i < BLOCKS; i++) {
			const struct block *xfs = &run->now.xfs[file].block[i],
					   *cowdax = &run->now.cowdax[file].block[i];

			if (xfs->type == COWDAX_MAPPED && cowdax->type == COWDAX_MAPPED &&
			    !xfs->shared && !cowdax->shared)
				run->mark[file][i] = NO_REASON;
		}
}

bool compare_layouts(struct run *run, bool drained)
{
	static struct place places[FILES * BLOCKS];
	size_t count;

	run->limbo = 0;
	for (unsigned int file = 0; file < FILES; file++)
		if (!compare_sizes(run, file) || !compare_types(run, file))
			return false;
	count = list_places(run, run->now.xfs, run->now.cowdax, places);
	if (!compare_flags(run, places, count, true, false) ||
	    !compare_groups(run, places, count, true))
		return false;
	count = list_places(run, run->now.cowdax, run->now.xfs, places);
	if (!compare_flags(run, places, count, false, !drained) ||
	    !compare_groups(run, places, count, false))
		return false;
	unmark_private(run);
	return true;
}
