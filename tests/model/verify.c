// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether the image holds what the model holds: names, sizes, bytes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "memory.h"
#include "world.h"

/* ---- bytes --------------------------------------------------------------------------------- */

static int report_difference(struct world *world, const struct entry *file, uint64_t from, uint64_t length)
{
	static const char *const old = "<OLD MEDIA DATA><OLD MEDIA DATA>";
	char found[9] = {0};
	uint64_t at = 0;

	while (world->back[at] == file->bytes[from + at])
		at++;
	memcpy(found, world->back + at, length - at < 8 ? length - at : 8);
	return world_fail(world, "%s: byte %" PRIu64 " of %" PRIu64 " is %#x, should be %#x%s", file->path,
			  from + at, file->size, world->back[at], file->bytes[from + at],
			  length - at >= 8 && strstr(old, found) ? ": what was on the media before mkfs" : "");
}

static int verify_bytes(struct world *world, struct cowdax *fs, const struct entry *file, uint64_t inode,
			uint64_t from, uint64_t to)
{
	struct cowdax_error error = {0};
	uint64_t length;
	ssize_t got;

	if (to > file->size)
		to = file->size;
	if (from >= to)
		return 0;
	length = to - from;
	world_back(world, length);
	got = cowdax_read(fs, inode, world->back, length, from, &error);
	if (got != (ssize_t)length)
		return world_fail(world, "%s: read gives %zd (%s), should be %" PRIu64, file->path, got,
				  error.text, length);
	return memcmp(world->back, file->bytes + from, length) == 0 ? 0 :
	       report_difference(world, file, from, length);
}

/* ---- names ---------------------------------------------------------------------------------- */

struct listing {
	struct world *world;
	const struct model *model;
	const char *directory;
	size_t entries;
};

static int verify_dirent(void *arg, const struct cowdax_dirent *dirent)
{
	struct listing *listing = arg;
	size_t length = strlen(listing->directory) + 1 + dirent->name_length + 1;
	char *path = get_memory(length);
	const struct entry *entry;
	int ret = 0;

	snprintf(path, length, "%s/%.*s", listing->directory, (int)dirent->name_length, dirent->name);
	entry = model_find(listing->model, path);
	if (!entry || !model_is_child(path, listing->directory))
		ret = world_fail(listing->world, "%s: is listed and should not be there", path);
	else if (entry->directory != (dirent->type == S_IFDIR))
		ret = world_fail(listing->world, "%s: is listed with type %o", path, dirent->type);
	else if (entry->inode && entry->inode != dirent->inode)
		ret = world_fail(listing->world, "%s: is listed with inode %" PRIu64 ", should be %" PRIu64,
				 path, dirent->inode, entry->inode);
	listing->entries++;
	free(path);
	return ret;
}

static int verify_directory(struct world *world, struct cowdax *fs, const struct model *model,
			    const struct entry *directory, const struct cowdax_stat *st)
{
	struct listing listing = {.world = world, .model = model, .directory = directory->path};
	struct cowdax_error error = {0};
	size_t directories, entries = model_children(model, directory->path, &directories);

	if (cowdax_list(fs, st->inode, verify_dirent, &listing, &error))
		return world_fail(world, "%s: list: %s", directory->path, error.text);
	if (listing.entries != entries || st->size != entries || st->nlink != 2 + directories)
		return world_fail(world, "%s: %zu entries listed, size %" PRIu64 ", %u links; should be %zu, %zu, %zu",
				  directory->path, listing.entries, st->size, st->nlink, entries, entries,
				  2 + directories);
	return 0;
}

/* ---- one path --------------------------------------------------------------------------------- */

static int verify_stat(struct world *world, const struct entry *entry, const struct cowdax_stat *st)
{
	if (entry->inode && entry->inode != st->inode)
		return world_fail(world, "%s: inode %" PRIu64 ", should be %" PRIu64, entry->path, st->inode,
				  entry->inode);
	if (!S_ISDIR(st->mode) != !entry->directory || (st->mode & 07777) != entry->mode)
		return world_fail(world, "%s: mode %o, should be %o", entry->path, st->mode, entry->mode);
	if (!entry->directory && (st->size != entry->size || st->nlink != 1))
		return world_fail(world, "%s: size %" PRIu64 ", %u links; should be %" PRIu64 ", 1", entry->path,
				  st->size, st->nlink, entry->size);
	return 0;
}

/* A number that was given out once is not given out again. */
static int learn_inode(struct world *world, const char *path, uint64_t inode)
{
	struct entry *entry = model_edit(world->model, path);

	if (inode <= world->model->last_inode)
		return world_fail(world, "%s: has inode %" PRIu64 ", which others had up to %" PRIu64, path, inode,
				  world->model->last_inode);
	entry->inode = inode;
	if (inode > world->model->new_inode)
		world->model->new_inode = inode;
	return 0;
}

int verify_path(struct world *world, struct cowdax *fs, const struct model *model, const char *path,
		uint64_t from, uint64_t to)
{
	const struct entry *entry = NULL;
	int want = model_walk(model, path, &entry), ret;
	struct cowdax_error error = {0};
	struct cowdax_stat st;
	uint64_t inode;

	if (!want && !entry)
		want = -ENOENT;
	ret = cowdax_lookup(fs, path[0] ? path : "/", &inode, &error);
	if (ret != want)
		return world_fail(world, "%s: lookup ends with %d (%s), should be %d", path, ret, error.text, want);
	if (!entry || want)
		return 0;
	if (!entry->inode && model == world->model) {
		if (learn_inode(world, path, inode))
			return -1;
		entry = model_find(model, path);
	}
	if (cowdax_stat_blocks(fs, inode, &st, &error))
		return world_fail(world, "%s: stat: %s", path, error.text);
	if (verify_stat(world, entry, &st))
		return -1;
	if (entry->directory)
		return verify_directory(world, fs, model, entry, &st);
	if (verify_bytes(world, fs, entry, inode, from, to))
		return -1;
	return verify_map(world, fs, entry, &st);
}

/* ---- all of them -------------------------------------------------------------------------------- */

int verify_all(struct world *world, struct cowdax *fs, const struct model *model, bool drained)
{
	world->places = 0;
	for (size_t i = 0; i < model->entries; i++)
		if (verify_path(world, fs, model, model->entry[i]->path, 0, UINT64_MAX))
			return -1;
	return verify_sharing(world, drained);
}

/* What others see while a transaction is open, and all when none is. */
int verify_committed(struct world *world)
{
	unsigned int handle = world->before ? !world->txn_handle : 0;

	return verify_all(world, world->handle[handle], world_committed(world), false);
}
