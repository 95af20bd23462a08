// SPDX-License-Identifier: GPL-2.0-or-later
/* Do an operation to the image and to the model. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "world.h"

#define HUGE_OFFSET (UINT64_C(1) << 61)	/* no generated range lies there that is allowed */

/* ---- names ------------------------------------------------------------------------------- */

/* "//", "/./", a way down and up again, no "/" in front: it is the same path. */
char *world_spell(const struct model *model, const char *path, uint64_t seed)
{
	struct random random = {seed};
	const struct entry *entry = NULL;
	size_t length = 3 * strlen(path) + COWDAX_NAME_MAX + 64, first = strcspn(path + !!*path, "/") + 1;
	char *spelled = get_memory(length), *at = spelled, *top = get_string(path);

	if (!*path) {
		free(top);
		snprintf(spelled, length, "%s", random_one_in(&random, 2) ? "/" : "/.");
		return spelled;
	}
	top[first] = '\0';
	entry = model_find(model, top);
	if (entry && entry->directory && random_one_in(&random, 8))
		at += snprintf(at, length, "%s/..", top);
	free(top);
	for (const char *from = path; *from; from++) {
		if (*from == '/' && random_one_in(&random, 16))
			at = stpcpy(at, random_one_in(&random, 2) ? "/" : "/.");
		*at++ = *from;
	}
	entry = model_find(model, path);
	if (entry && entry->directory && random_one_in(&random, 8))
		*at++ = '/';
	if (random_one_in(&random, 8) && strncmp(spelled, "/ino:", 5) != 0)
		memmove(spelled, spelled + 1, strlen(spelled));
	return spelled;
}

static int apply_create(struct world *world, const struct op *op, struct cowdax *fs)
{
	const struct entry *entry = NULL;
	int want = model_walk(world->model, op->path, &entry), ret;
	char *path = world_spell(world->model, op->path, op->seed);
	struct cowdax_error error = {0};
	uint64_t inode = 0;

	if (!want && entry)
		want = -EEXIST;
	ret = cowdax_create(fs, path, op->mode, &inode, &error);
	free(path);
	ret = world_outcome(world, ret, want, &error);
	if (ret > 0)
		model_add(world->model, op->path, false, op->mode)->inode = inode;
	return ret < 0 ? ret : 0;
}

/* The path cut after its first @length bytes and the rest of that name; *length moves on. */
static char *next_part(const char *path, size_t *length)
{
	char *part = get_string(path);

	*length += 1 + strcspn(path + *length + 1, "/");
	part[*length] = '\0';
	return part;
}

static int add_parents(struct world *world, const struct op *op, struct cowdax *fs)
{
	int ret = 0;

	for (size_t at = 0; op->path[at];) {
		char *part = next_part(op->path, &at);

		if (!model_find(world->model, part))
			model_add(world->model, part, true, op->mode);
		free(part);
	}
	for (size_t at = 0; op->path[at] && !ret;) {
		char *part = next_part(op->path, &at);

		ret = verify_path(world, fs, world->model, part, 0, 0);
		free(part);
	}
	return ret;
}

/* What mkdir -p of the path meets: its components from the top, until one is in the way. */
static int walk_parents(const struct model *model, const char *path)
{
	bool in_the_way = false;
	int ret = 0;

	for (size_t at = 0, before = 0; path[at] && !ret; before = at) {
		char *part = next_part(path, &at);
		const struct entry *entry = model_find(model, part);

		/* Where a name is looked for comes before the name itself. */
		if (in_the_way)
			ret = -EEXIST;
		else if (at - before > 1 + COWDAX_NAME_MAX)
			ret = -ENAMETOOLONG;
		in_the_way = entry && !entry->directory;
		free(part);
	}
	return !ret && in_the_way ? -EEXIST : ret;
}

static int apply_mkdir(struct world *world, const struct op *op, struct cowdax *fs)
{
	const struct entry *entry = NULL;
	struct cowdax_error error = {0};
	char *path;
	int want, ret;

	if (op->parents)
		want = walk_parents(world->model, op->path);
	else
		want = model_walk(world->model, op->path, &entry);
	if (!want && entry)
		want = -EEXIST;
	path = world_spell(world->model, op->path, op->seed);
	ret = cowdax_mkdir(fs, path, op->mode, op->parents, &error);
	free(path);
	if (op->parents && want == -EEXIST && ret == -ENOTDIR)
		want = ret;
	ret = world_outcome(world, ret, want, &error);
	return ret > 0 ? add_parents(world, op, fs) : ret;
}

static int apply_remove(struct world *world, const struct op *op, struct cowdax *fs)
{
	const struct entry *entry = NULL;
	int want = model_walk(world->model, op->path, &entry), ret;
	char *path = world_spell(world->model, op->path, op->seed);
	struct cowdax_error error = {0};

	if (!want && !entry)
		want = -ENOENT;
	else if (!want && !op->path[0])
		want = -EBUSY;
	else if (!want && entry->directory && !op->recursive)
		want = -EISDIR;
	ret = cowdax_remove(fs, path, op->recursive, &error);
	free(path);
	/* However full the image is; unless a reader, or this transaction, holds what is freed. */
	if (ret == -ENOSPC && want == 0 && !world->reader && !world->before)
		return world_fail(world, "cannot be removed: %s", error.text);
	ret = world_outcome(world, ret, want, &error);
	if (ret > 0)
		model_remove(world->model, op->path);
	return ret < 0 ? ret : 0;
}

/* ---- data --------------------------------------------------------------------------------- */

/* The inode at a path, through the image: 1; 0 when there is none, and should not be. */
static int find_inode(struct world *world, const struct op *op, struct cowdax *fs, uint64_t *inode)
{
	const struct entry *entry = NULL;
	int want = model_walk(world->model, op->path, &entry), ret;
	char *path = world_spell(world->model, op->path, op->seed);
	struct cowdax_error error = {0};

	if (!want && !entry)
		want = -ENOENT;
	ret = cowdax_lookup(fs, path, inode, &error);
	free(path);
	if (ret != want)
		return world_fail(world, "lookup ends with %d (%s), should be %d", ret, error.text, want);
	return ret == 0;
}

/* What every change of bytes in this range must end with. */
static int wanted(const struct world *world, const struct op *op)
{
	if (op->offset >= HUGE_OFFSET)
		return -EFBIG;
	return model_find(world->model, op->path)->directory ? -EISDIR : 0;
}

static int apply_write(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode)
{
	const struct entry *file = model_find(world->model, op->path);
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};
	int ret;

	world_bytes(world, op->seed, op->length);
	ret = cowdax_write(fs, inode, world->bytes, op->length, op->offset, &result, &error);
	/* A transaction may have used up, or a reader may hold, what a commit needs. */
	if (ret == -ENOSPC && !world->reader && !world->before && op->offset < HUGE_OFFSET &&
	    model_promised(world->model, file, op->offset, op->length))
		return world_fail(world, "what is preallocated cannot be written: %s", error.text);
	ret = world_outcome(world, ret, wanted(world, op), &error);
	if (ret == 0)
		return world_check_refused(world, &result);
	if (ret < 0 || world_check_write(world, file, op, &result))
		return -1;
	model_write(world->model, model_edit(world->model, op->path), op->offset, world->bytes, op->length);
	return 0;
}

static int apply_read(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode)
{
	const struct entry *file = model_find(world->model, op->path);
	uint64_t want = op->offset < file->size ? file->size - op->offset : 0;
	struct cowdax_error error = {0};
	ssize_t got = cowdax_read(fs, inode, world_back(world, op->length), op->length, op->offset, &error);

	if (file->directory)
		return got == -EISDIR ? 0 : world_fail(world, "reading a directory gives %zd", got);
	if (want > op->length)
		want = op->length;
	if (got < 0 || (uint64_t)got != want)
		return world_fail(world, "read gives %zd (%s), should be %" PRIu64, got, error.text, want);
	if (want && memcmp(world->back, file->bytes + op->offset, want) != 0)
		return world_fail(world, "read gives other bytes than were written");
	return 0;
}

static int apply_truncate(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode)
{
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};
	int ret = cowdax_truncate(fs, inode, op->length, &result, &error);

	ret = world_outcome(world, ret, wanted(world, op), &error);
	if (ret == 0)
		return world_check_refused(world, &result);
	if (ret > 0)
		model_truncate(world->model, model_edit(world->model, op->path), op->length);
	return ret < 0 ? ret : 0;
}

static int count_shared(void *arg, const struct cowdax_extent *extent)
{
	uint64_t *bytes = arg;

	if (extent->map.type == COWDAX_MAPPED && extent->map.flags & COWDAX_IOMAP_SHARED)
		*bytes += extent->map.length;
	return 0;
}

/* Private blocks are not copied, nor are holes. */
static int check_unshare(struct world *world, const struct cowdax_result *result, uint64_t shared)
{
	if (result->bytes_copied > shared || result->bytes_zeroed || result->bytes_written)
		return world_fail(world, "unshare copied %" PRIu64 " bytes of %" PRIu64 " shared, zeroed %" PRIu64
				  ", wrote %" PRIu64, result->bytes_copied, shared, result->bytes_zeroed,
				  result->bytes_written);
	return 0;
}

static int apply_fallocate(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode)
{
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};
	int want = op->length ? wanted(world, op) : -EINVAL, ret;
	uint64_t shared = 0;

	if (!want && cowdax_map(fs, inode, op->offset, op->length, count_shared, &shared, &error))
		return world_fail(world, "map: %s", error.text);

	ret = cowdax_fallocate(fs, inode, op->fallocate, op->offset, op->length, op->keep_size, &result,
			       &error);
	ret = world_outcome(world, ret, want, &error);
	if (ret == 0)
		return world_check_refused(world, &result);
	if (ret > 0 && op->fallocate == COWDAX_FALLOCATE_UNSHARE && check_unshare(world, &result, shared))
		return -1;
	if (ret > 0)
		model_fallocate(world->model, model_edit(world->model, op->path), op->fallocate, op->offset,
				op->length, op->keep_size);
	return ret < 0 ? ret : 0;
}

#define FILLERS 400	/* names, at most */
#define PIECES 16	/* of what is preallocated, written at random */

/* Nobody gets a block any more... */
static int fill_blocks(struct world *world, struct cowdax *fs)
{
	uint64_t length = world->config->image_size, at = 0, filler;
	struct cowdax_error error = {0};
	int ret = cowdax_create(fs, "/filler/blocks", 0600, &filler, &error);

	while (!ret && length >= world->config->block_size) {
		ret = cowdax_fallocate(fs, filler, COWDAX_FALLOCATE_UNWRITTEN, at, length, false, NULL, &error);
		if (ret && ret != -ENOSPC)
			break;
		at += ret ? 0 : length;
		length /= ret ? 2 : 1;
		ret = 0;
	}
	return ret && ret != -ENOSPC ? world_fail(world, "filling up: %s", error.text) : 0;
}

/* ...nor a name. */
static int fill_names(struct world *world, struct cowdax *fs)
{
	struct cowdax_error error = {0};
	uint64_t inode;
	char path[300];
	int ret = 0;

	for (int i = 0; i < FILLERS && !ret; i++) {
		snprintf(path, sizeof(path), "/filler/%0200d", i);
		ret = cowdax_create(fs, path, 0600, &inode, &error);
	}
	return ret && ret != -ENOSPC ? world_fail(world, "filling up: %s", error.text) : 0;
}

/* A piece of the range of @op must find room where it is, if it is still promised. */
static int write_piece(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode, uint64_t from,
		       uint64_t length)
{
	struct op piece = *op;

	piece.offset = op->offset + from;
	piece.length = length > op->length - from ? op->length - from : length;
	piece.seed += from;
	if (!model_promised(world->model, model_find(world->model, op->path), piece.offset, piece.length))
		return 0;
	return apply_write(world, &piece, fs, inode);
}

/* Something in every other block, which makes the most extents; then pieces within and across them. */
static int write_promised(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode)
{
	uint64_t size = world->config->block_size;
	struct random random = {op->seed};
	int ret = 0;

	for (uint64_t from = 0; from < op->length && !ret; from += 2 * size)
		ret = write_piece(world, op, fs, inode, from, 1);
	for (int i = 0; i < PIECES && !ret; i++) {
		uint64_t from = random_below(&random, op->length);

		ret = write_piece(world, op, fs, inode, from, 1 + random_below(&random, 2 * size));
	}
	return ret;
}

/* One after the other: a whole folder may stay to be taken apart later. */
static int remove_fillers(struct world *world, struct cowdax *fs)
{
	struct cowdax_error error = {0};
	int ret = cowdax_remove(fs, "/filler/blocks", false, &error);
	char path[300];

	for (int i = 0; i < FILLERS && (!ret || ret == -ENOENT); i++) {
		snprintf(path, sizeof(path), "/filler/%0200d", i);
		ret = cowdax_remove(fs, path, false, &error);
		if (ret == -ENOENT)
			break;
	}
	if (!ret || ret == -ENOENT)
		ret = cowdax_remove(fs, "/filler", true, &error);
	return ret ? world_fail(world, "the filler cannot be removed: %s", error.text) : 0;
}

static int apply_promise(struct world *world, const struct op *op, struct cowdax *fs, uint64_t inode)
{
	struct cowdax_error error = {0};
	bool full;
	int ret;

	/* A reader may hold what removing needs. */
	if (world->before || world->reader || wanted(world, op))
		return 0;
	ret = apply_fallocate(world, op, fs, inode);
	if (ret || world->refused)
		return ret;
	full = cowdax_mkdir(fs, "/filler", 0700, false, &error) != 0;
	if (!full)
		ret = fill_blocks(world, fs);
	if (!full && !ret)
		ret = fill_names(world, fs);
	if (!ret)
		ret = write_promised(world, op, fs, inode);
	if (full || ret)
		return ret;
	return remove_fillers(world, fs);
}

/* A write through a handle that only pretends: it ends as it would, and no byte of the image changes. */
static uint64_t hash_image(const struct world *world)
{
	uint64_t length = world->config->fs_offset + world->config->image_size, hash = 0;
	const uint64_t *words = mmap(NULL, length, PROT_READ, MAP_SHARED, world->fd, 0);

	for (uint64_t i = 0; i < length / sizeof(*words); i++)
		hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
	munmap((void *)(uintptr_t)words, length);
	return hash;
}

static int apply_dry_run(struct world *world, const struct op *op)
{
	struct cowdax_open_options options = {
		.flags = COWDAX_DRY_RUN, .fs_offset = world->config->fs_offset,
	};
	const struct entry *entry = model_find(world_committed(world), op->path);
	uint64_t before = hash_image(world), inode;
	struct cowdax_error error = {0};
	struct cowdax *fs;
	char *path;
	int ret;

	if (cowdax_open(world->image, &options, &fs, &error))
		return world_fail(world, "open for a dry run: %s", error.text);
	path = world_spell(world_committed(world), op->path, op->seed);
	ret = cowdax_lookup(fs, path, &inode, &error);
	free(path);
	if ((ret == 0) != (entry != NULL)) {
		world_fail(world, "a dry run's lookup ends with %d", ret);
	} else if (entry) {
		int want = op->offset >= HUGE_OFFSET ? -EFBIG : entry->directory ? -EISDIR : 0;

		world_bytes(world, op->seed, op->length);
		ret = cowdax_write(fs, inode, world->bytes, op->length, op->offset, NULL, &error);
		if (ret != want && ret != -ENOSPC)
			world_fail(world, "a dry run ends with %d (%s), should be %d", ret, error.text, want);
	}
	cowdax_close(fs);
	if (hash_image(world) != before)
		return world_fail(world, "a dry run changed the image");
	return world->failure[0] ? -1 : 0;
}

/* ---- cloning ------------------------------------------------------------------------------- */

/* What two paths to files must end with before any byte is looked at; *to is NULL for a new file. */
static int wanted_of_clone(const struct world *world, const struct op *op, const struct entry **from,
			   const struct entry **to)
{
	int want;

	*from = *to = NULL;
	want = model_walk(world->model, op->path, from);
	if (!want && !*from)
		want = -ENOENT;
	if (!want && (*from)->directory)
		want = -EISDIR;
	if (!want)
		want = model_walk(world->model, op->path2, to);
	if (!want && *to && (*to)->directory)
		want = -EISDIR;
	return want;
}

static int apply_clone(struct world *world, const struct op *op, struct cowdax *fs)
{
	const struct entry *from, *to;
	int want = wanted_of_clone(world, op, &from, &to), ret;
	char *path = world_spell(world->model, op->path, op->seed);
	char *path2 = world_spell(world->model, op->path2, op->seed + 1);
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};

	if (!want && from == to)
		want = -EINVAL;
	ret = cowdax_clone(fs, path, path2, &result, &error);
	free(path);
	free(path2);
	ret = world_outcome(world, ret, want, &error);
	if (ret == 0)
		return world_check_refused(world, &result);
	if (ret < 0)
		return ret;
	if (!to)
		model_add(world->model, op->path2, false, from->mode);
	model_clone(world->model, model_edit(world->model, op->path2), from);
	return 0;
}

static int apply_clone_range(struct world *world, const struct op *op, struct cowdax *fs)
{
	struct model *after = model_copy(world->model);
	const struct entry *from, *to;
	int want = wanted_of_clone(world, op, &from, &to), ret;
	char *path = world_spell(world->model, op->path, op->seed);
	char *path2 = world_spell(world->model, op->path2, op->seed + 1);
	uint64_t length = op->length;
	struct cowdax_result result = {0};
	struct cowdax_error error = {0};

	if (!want) {
		struct entry *edited;

		if (!to)
			model_add(after, op->path2, false, from->mode);
		edited = model_edit(after, op->path2);
		if ((length == 0 || length == COWDAX_TO_END) && op->offset2 <= from->size)
			length = from->size - op->offset2;
		want = model_clone_range(after, edited, op->offset, from == to ? edited : from, op->offset2,
					 length);
	}
	ret = cowdax_clone_range(fs, path, op->offset2, path2, op->offset, op->length, &result, &error);
	free(path);
	free(path2);
	ret = world_outcome(world, ret, want, &error);
	if (ret > 0) {
		model_free(world->model);
		world->model = after;
		return 0;
	}
	model_free(after);
	return ret < 0 ? ret : world_check_refused(world, &result);
}

/* ---- handles and transactions ---------------------------------------------------------------- */

static void go_back(struct world *world)
{
	model_free(world->model);
	world->model = world->before;
	world->before = NULL;
}

static int apply_begin(struct world *world, const struct op *op)
{
	struct cowdax_error error = {0};
	int ret;

	if (world->before)
		return 0;
	ret = cowdax_begin(world->handle[op->handle], &error);
	ret = world_outcome(world, ret, 0, &error);
	if (ret > 0) {
		world->txn_handle = op->handle;
		world->before = model_copy(world->model);
		ret = 0;
	}
	return ret;
}

static int apply_commit(struct world *world, int want)
{
	struct cowdax_error error = {0};
	int ret;

	if (!world->before)
		return 0;
	ret = cowdax_commit(world->handle[world->txn_handle], &error);
	ret = world_outcome(world, ret, want, &error);
	if (ret > 0) {
		model_free(world->before);
		world->before = NULL;
		return 0;
	}
	go_back(world);
	return ret;
}

static int apply_abort(struct world *world)
{
	if (!world->before)
		return 0;
	cowdax_abort(world->handle[world->txn_handle]);
	go_back(world);
	return 0;
}

/* A transaction in which something failed can only be aborted; to commit it is to be told so. */
static int end_refused(struct world *world, const struct op *op)
{
	int ret = op->seed & 64 ? apply_commit(world, -ECANCELED) : apply_abort(world);

	return ret ? ret : verify_committed(world);
}

static int apply_reopen(struct world *world)
{
	world_close_handles(world);
	if (world->before)
		go_back(world);
	return world_open_handles(world);
}

static int apply_reader(struct world *world)
{
	struct cowdax_open_options options = {
		.flags = COWDAX_RDONLY, .fs_offset = world->config->fs_offset,
	};
	struct cowdax_error error = {0};
	int ret;

	if (!world->reader) {
		if (cowdax_open(world->image, &options, &world->reader, &error))
			return world_fail(world, "open for reading: %s", error.text);
		world->reader_model = model_copy(world_committed(world));
		return 0;
	}
	ret = verify_all(world, world->reader, world->reader_model, false);
	if (ret)
		world_fail(world, "a reader sees a change");
	cowdax_close(world->reader);
	model_free(world->reader_model);
	world->reader = NULL;
	world->reader_model = NULL;
	return ret;
}

/*
 * Asking for more than there can be makes the image undo all that limbo holds
 * before it refuses.  Then everything has exactly the pointers it should have.
 */
int world_drain(struct world *world)
{
	struct cowdax *fs = world->handle[0];
	struct cowdax_error error = {0};
	uint64_t inode = 0;
	int ret;

	if (world->before)
		return 0;
	ret = cowdax_create(fs, "/too large", 0600, &inode, &error);
	if (ret == -ENOSPC)
		return 0;
	if (ret)
		return world_fail(world, "create: %s", error.text);
	ret = cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 2 * world->config->image_size, false,
			       NULL, &error);
	if (ret != -ENOSPC)
		return world_fail(world, "twice the image fits in it: %d, %s", ret, error.text);
	ret = cowdax_remove(fs, "/too large", false, &error);
	if (ret && !world->reader)
		return world_fail(world, "remove: %s", error.text);
	if (ret || world->reader)
		return 0;
	ret = verify_all(world, fs, world->model, true);
	return ret ? ret : verify_space(world);
}

int world_clear(struct world *world)
{
	struct model *model = world->model;

	if (world->before)
		return 0;
	while (model->entries > 1) {
		char *path = get_string(model->entry[1]->path);
		struct cowdax_error error = {0};
		int ret;

		*strchrnul(path + 1, '/') = '\0';
		ret = cowdax_remove(world->handle[0], path, true, &error);
		if (!ret)
			model_remove(model, path);
		free(path);
		if (ret)
			return ret == -ENOSPC && world->reader ? 0 :
			       world_fail(world, "remove: %s", error.text);
	}
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------------- */

static int apply_to_inode(struct world *world, const struct op *op, struct cowdax *fs)
{
	uint64_t inode = 0;
	int ret = find_inode(world, op, fs, &inode);

	if (ret <= 0)
		return ret;
	switch (op->kind) {
	case OP_WRITE:
		return apply_write(world, op, fs, inode);
	case OP_READ:
		return apply_read(world, op, fs, inode);
	case OP_TRUNCATE:
		return apply_truncate(world, op, fs, inode);
	case OP_FALLOCATE:
		return apply_fallocate(world, op, fs, inode);
	case OP_PROMISE:
		return apply_promise(world, op, fs, inode);
	default:
		return verify_map_range(world, fs, model_find(world->model, op->path), op->offset, op->length);
	}
}

static int apply(struct world *world, const struct op *op)
{
	struct cowdax *fs = world_handle(world, op);

	switch (op->kind) {
	case OP_CREATE:
		return apply_create(world, op, fs);
	case OP_MKDIR:
		return apply_mkdir(world, op, fs);
	case OP_REMOVE:
		return apply_remove(world, op, fs);
	case OP_STREAM:
		return world_apply_stream(world, op, fs);
	case OP_CLONE:
		return apply_clone(world, op, fs);
	case OP_CLONE_RANGE:
		return apply_clone_range(world, op, fs);
	case OP_BEGIN:
		return apply_begin(world, op);
	case OP_COMMIT:
		return apply_commit(world, 0);
	case OP_ABORT:
		return apply_abort(world);
	case OP_REOPEN:
		return apply_reopen(world);
	case OP_READER:
		return apply_reader(world);
	case OP_DRY_RUN:
		return apply_dry_run(world, op);
	case OP_DRAIN:
		return world_drain(world);
	case OP_CLEAR:
		return world_clear(world);
	default:
		return apply_to_inode(world, op, fs);
	}
}

int world_apply(struct world *world, const struct op *op)
{
	int ret;

	world->refused = false;
	ret = apply(world, op);
	if (ret || !world->refused)
		return ret;
	if (world->before)
		return end_refused(world, op);
	/* Whatever was refused has changed nothing anywhere. */
	return world->full % 8 ? 0 : verify_all(world, world->handle[0], world->model, false);
}
