// SPDX-License-Identifier: GPL-2.0-or-later
/* How operations end: with the right error, and with a true account of what they did. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "world.h"

static const char *name_of(int code)
{
	return code ? strerrorname_np(-code) : "success";
}

/*
 * 1 when the change took place, 0 when it was refused as it should be, or for
 * want of space, which is always allowed here; -1 when it should have ended
 * otherwise.
 */
int world_outcome(struct world *world, int ret, int want, const struct cowdax_error *error)
{
	if (ret == 0 && want == 0)
		return 1;
	world->refused = true;
	if (ret == 0)
		return world_fail(world, "success, should be %s", name_of(want));
	if (ret != want && ret != -ENOSPC)
		return world_fail(world, "%s (%s), should be %s", name_of(ret), error->text, name_of(want));
	/* "WHAT: reason", if that is not too long. */
	if (error->code != ret ||
	    (strlen(error->text) + 1 < sizeof(error->text) && !strstr(error->text, ": ")))
		return world_fail(world, "%s is explained as %s, \"%s\"", name_of(ret), name_of(error->code),
				  error->text);
	world->full += ret == -ENOSPC;
	return 0;
}

int world_check_refused(struct world *world, const struct cowdax_result *result)
{
	static const struct cowdax_result nothing;

	if (memcmp(result, &nothing, sizeof(nothing)) != 0)
		return world_fail(world, "a result is written although the operation failed");
	return 0;
}

/* What a partial block had behind it decides where the rest of it came from. */
static void count_edge(const struct entry *file, uint64_t index, uint64_t edge, uint64_t *copied, uint64_t *zeroed)
{
	uint64_t number = model_block(file, index);

	if (number == BLOCK_HOLE || number & BLOCK_UNWRITTEN)
		*zeroed += edge;
	else
		*copied += edge;
}

/* @file is as it was before. */
int world_check_write(struct world *world, const struct entry *file, const struct op *op,
		      const struct cowdax_result *result)
{
	uint64_t size = world->config->block_size, end = op->offset + op->length;
	uint64_t head = op->offset % size, tail = (size - end % size) % size;
	uint64_t first = op->offset / size, last = (end - 1) / size, copied = 0, zeroed = 0, lookups;

	if (op->length == 0)
		return 0;
	if (head)
		count_edge(file, first, head, &copied, &zeroed);
	if (tail)
		count_edge(file, last, tail, &copied, &zeroed);
	lookups = first == last ? head || tail : (head != 0) + (tail != 0);
	if (result->bytes_written != op->length)
		return world_fail(world, "%" PRIu64 " bytes are said to be written of %" PRIu64,
				  result->bytes_written, op->length);
	if (result->bytes_copied != copied || result->bytes_zeroed != zeroed)
		return world_fail(world, "%" PRIu64 " bytes copied and %" PRIu64 " zeroed, should be %" PRIu64
				  " and %" PRIu64, result->bytes_copied, result->bytes_zeroed, copied, zeroed);
	if (result->source_lookups != lookups)
		return world_fail(world, "%" PRIu64 " source lookups, should be %" PRIu64,
				  result->source_lookups, lookups);
	return 0;
}
