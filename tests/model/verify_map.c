// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether the image's maps are what the model says stands behind each block. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "world.h"

struct walk {
	struct world *world;
	const struct entry *file;
	uint64_t at;			/* where the next extent begins */
	uint64_t mapped, shared;	/* bytes */
	struct cowdax_extent last;
	bool note;			/* keep the places, for verify_sharing() */
};

static const char *type_name(enum cowdax_iomap_type type)
{
	return type == COWDAX_HOLE ? "a hole" : type == COWDAX_MAPPED ? "mapped" : "unwritten";
}

static enum cowdax_iomap_type type_of(uint64_t number)
{
	return number == BLOCK_HOLE ? COWDAX_HOLE : number & BLOCK_UNWRITTEN ? COWDAX_UNWRITTEN : COWDAX_MAPPED;
}

static void note_place(struct world *world, const struct place *place)
{
	if (world->places == world->place_room) {
		world->place_room = 2 * world->place_room + 64;
		world->place = more_memory(world->place, world->place_room * sizeof(*world->place));
	}
	world->place[world->places++] = *place;
}

static int verify_blocks(struct walk *walk, const struct cowdax_iomap *map)
{
	uint64_t size = walk->world->config->block_size;

	for (uint64_t done = 0; done < map->length; done += size) {
		struct place place = {
			.address = map->address + done,
			.number = model_block(walk->file, (map->offset + done) / size),
			.shared = map->flags & COWDAX_IOMAP_SHARED,
			.path = walk->file->path,
		};

		if (type_of(place.number) != map->type)
			return world_fail(walk->world, "%s: the block at %" PRIu64 " is %s, should be %s",
					  walk->file->path, map->offset + done, type_name(map->type),
					  type_name(type_of(place.number)));
		if (map->type != COWDAX_HOLE && walk->note)
			note_place(walk->world, &place);
	}
	return 0;
}

static bool could_be_one(const struct cowdax_extent *a, const struct cowdax_extent *b)
{
	if (a->map.length == 0 || a->map.type != b->map.type || a->map.flags != b->map.flags ||
	    a->references != b->references)
		return false;
	return a->map.type == COWDAX_HOLE || a->map.address + a->map.length == b->map.address;
}

static int verify_extent(void *arg, const struct cowdax_extent *extent)
{
	const struct cowdax_iomap *map = &extent->map;
	struct walk *walk = arg;
	uint64_t size = walk->world->config->block_size;

	if (map->offset != walk->at || map->length == 0 || map->offset % size || map->length % size)
		return world_fail(walk->world, "%s: an extent at %" PRIu64 " of %" PRIu64 " bytes, should start at %"
				  PRIu64, walk->file->path, map->offset, map->length, walk->at);
	if (map->type != COWDAX_HOLE &&
	    (map->address % size || map->address + map->length > walk->world->config->image_size ||
	     map->address == 0 || extent->references == 0))
		return world_fail(walk->world, "%s: an extent at address %" PRIu64 " with %" PRIu64 " references",
				  walk->file->path, map->address, extent->references);
	if (map->flags & ~(unsigned int)COWDAX_IOMAP_SHARED || (map->type == COWDAX_HOLE && map->flags))
		return world_fail(walk->world, "%s: an extent with flags %#x", walk->file->path, map->flags);
	if (could_be_one(&walk->last, extent))
		return world_fail(walk->world, "%s: the extents at %" PRIu64 " and %" PRIu64 " are one",
				  walk->file->path, walk->last.map.offset, map->offset);
	if (verify_blocks(walk, map))
		return -1;
	if (map->type != COWDAX_HOLE) {
		walk->mapped += map->length;
		walk->shared += map->flags & COWDAX_IOMAP_SHARED ? map->length : 0;
	}
	walk->at += map->length;
	walk->last = *extent;
	return 0;
}

/* Where the file, or its last extent, ends. */
static uint64_t end_of(const struct world *world, const struct entry *file)
{
	uint64_t size = world->config->block_size, blocks = (file->size + size - 1) / size;

	return (blocks > file->blocks ? blocks : file->blocks) * size;
}

int verify_map(struct world *world, struct cowdax *fs, const struct entry *file, const struct cowdax_stat *st)
{
	struct walk walk = {.world = world, .file = file, .note = true};
	struct cowdax_error error = {0};
	uint64_t size = world->config->block_size;

	if (cowdax_map(fs, st->inode, 0, COWDAX_TO_END, verify_extent, &walk, &error))
		return world_fail(world, "%s: map: %s", file->path, error.text);
	if (walk.at != end_of(world, file))
		return world_fail(world, "%s: the map ends at %" PRIu64 ", should end at %" PRIu64, file->path,
				  walk.at, end_of(world, file));
	if (st->blocks != walk.mapped / size || st->shared_blocks != walk.shared / size)
		return world_fail(world, "%s: stat counts %" PRIu64 " blocks, %" PRIu64 " shared; the map %" PRIu64
				  ", %" PRIu64, file->path, st->blocks, st->shared_blocks, walk.mapped / size,
				  walk.shared / size);
	return 0;
}

/* The same map, seen through a window. */
int verify_map_range(struct world *world, struct cowdax *fs, const struct entry *file, uint64_t offset,
		     uint64_t length)
{
	uint64_t size = world->config->block_size, end = end_of(world, file), start = offset / size * size;
	struct walk walk = {.world = world, .file = file, .at = start};
	struct cowdax_error error = {0};
	uint64_t inode;

	if (file->directory || cowdax_lookup(fs, file->path, &inode, &error))
		return 0;
	if (cowdax_map(fs, inode, offset, length, verify_extent, &walk, &error))
		return world_fail(world, "%s: map: %s", file->path, error.text);
	if (length < end && (offset + length + size - 1) / size * size < end)
		end = (offset + length + size - 1) / size * size;
	if (start >= end)
		end = start;
	return walk.at == end ? 0 : world_fail(world, "%s: the map of %" PRIu64 " bytes at %" PRIu64 " ends at %" PRIu64
					       ", should end at %" PRIu64, file->path, length, offset, walk.at, end);
}

/* ---- sharing --------------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

static int by_number(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* The same address where the model has the same number, and nowhere else. */
static int verify_identity(struct world *world)
{
	struct place *place = world->place;

	qsort(place, world->places, sizeof(*place), by_number);
	for (size_t i = 1; i < world->places; i++)
		if (place[i].number == place[i - 1].number && place[i].address != place[i - 1].address)
			return world_fail(world, "%s and %s do not share a block that they should share: %" PRIu64
					  ", %" PRIu64, place[i - 1].path, place[i].path, place[i - 1].address,
					  place[i].address);
	qsort(place, world->places, sizeof(*place), by_address);
	for (size_t i = 1; i < world->places; i++)
		if (place[i].number != place[i - 1].number && place[i].address == place[i - 1].address)
			return world_fail(world, "%s and %s share the block at %" PRIu64 ", and should not",
					  place[i - 1].path, place[i].path, place[i].address);
	return 0;
}

/* Whether a node of the image borrows: then a base may be what shares a block. */
static bool borrows(struct world *world)
{
	struct cowdax_check_summary summary;

	return verify_fsck(world, &summary) == 0 && summary.borrowing_nodes;
}

/*
 * Of the places noted since world->places was 0, all of an image: a block that
 * two use is shared.  One that a single place uses may be called shared while
 * limbo holds another pointer to it, or a base that is not its file's alone, and not
 * when limbo is drained and no node borrows.
 */
int verify_sharing(struct world *world, bool drained)
{
	const struct place *place = world->place;

	if (world->places && verify_identity(world))
		return -1;
	for (size_t i = 0; i < world->places; i++) {
		bool shared = (i > 0 && place[i - 1].address == place[i].address) ||
			      (i + 1 < world->places && place[i + 1].address == place[i].address);

		if (shared && !place[i].shared)
			return world_fail(world, "%s: the block at address %" PRIu64 " is shared, and not said to be",
					  place[i].path, place[i].address);
		if (!shared && place[i].shared && drained && !borrows(world))
			return world_fail(world, "%s: the block at address %" PRIu64 " is said to be shared, and is not",
					  place[i].path, place[i].address);
	}
	return 0;
}
