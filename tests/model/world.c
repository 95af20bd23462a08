// SPDX-License-Identifier: GPL-2.0-or-later
#include "world.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define CACHE_EVERY 4		/* steps between looks at what is in memory */
#define MARGIN 4096	/* of the file behind the filesystem */

int world_fail(struct world *world, const char *format, ...)
{
	va_list arguments;

	if (world->failure[0])
		return -1;	/* the first is the cause */
	va_start(arguments, format);
	vsnprintf(world->failure, sizeof(world->failure), format, arguments);
	va_end(arguments);
	for (const char *at = format; *at; at++)
		world->failure_kind = world->failure_kind * 31 + (unsigned char)*at;
	world->failure_kind = 1 + world->failure_kind % 125;
	return -1;
}

/* ---- the image ------------------------------------------------------------------------- */

/* Whatever shows this in a file shows what was on the media before. */
static void fill_with_old_bytes(unsigned char *at, uint64_t length)
{
	static const char old[] = "<OLD MEDIA DATA>";

	for (uint64_t i = 0; i < length; i++)
		at[i] = (unsigned char)old[i % (sizeof(old) - 1)];
}

/* Memory with a name: nothing to remove when the test is stopped. */
static int make_image(struct world *world)
{
	uint64_t length = world->config->fs_offset + world->config->image_size + MARGIN;
	unsigned char *at;

	world->fd = memfd_create("model", MFD_CLOEXEC);
	if (world->fd < 0 || ftruncate(world->fd, (off_t)length))
		return world_fail(world, "no memory for an image");
	at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, world->fd, 0);
	if (at == MAP_FAILED)
		return world_fail(world, "no memory for an image");
	fill_with_old_bytes(at, length);
	munmap(at, length);
	snprintf(world->image, sizeof(world->image), "/proc/self/fd/%d", world->fd);
	return 0;
}

static int format(struct world *world, uint64_t seed)
{
	struct cowdax_mkfs_options options = {
		.block_size = world->config->block_size,
		.node_size = world->config->node_size,
		.size = world->config->image_size,
		.fs_offset = world->config->fs_offset,
		.label = "model",
		.seed = seed,
		.time = {1000000000, 0},
	};
	struct cowdax_error error;

	random_fill(seed, options.uuid, sizeof(options.uuid));
	if (cowdax_mkfs(world->image, &options, NULL, &error))
		return world_fail(world, "mkfs: %s", error.text);
	return 0;
}

int world_open_handles(struct world *world)
{
	/* Nobody else is there: what would have to wait has found a lock that was forgotten. */
	struct cowdax_open_options options = {
		.flags = COWDAX_NO_WAIT, .fs_offset = world->config->fs_offset,
	};
	struct cowdax_error error;

	for (int i = 0; i < 2; i++)
		if (cowdax_open(world->image, &options, &world->handle[i], &error))
			return world_fail(world, "open: %s", error.text);
	return 0;
}

void world_close_handles(struct world *world)
{
	for (int i = 0; i < 2; i++) {
		cowdax_close(world->handle[i]);
		world->handle[i] = NULL;
	}
}

int world_open(struct world *world, const struct config *config, uint64_t seed, uint64_t check_every)
{
	*world = (struct world){.config = config, .fd = -1, .check_every = check_every};
	if (config->forced_pm)
		setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	else
		unsetenv("PMEM_IS_PMEM_FORCE");
	world->model = model_new(config->block_size);
	if (make_image(world) || format(world, seed))
		return -1;
	return world_open_handles(world);
}

void world_close(struct world *world)
{
	world_close_handles(world);
	cowdax_close(world->reader);
	model_free(world->reader_model);
	model_free(world->before);
	model_free(world->model);
	free(world->bytes);
	free(world->back);
	free(world->place);
	if (world->fd >= 0)
		close(world->fd);
}

struct cowdax *world_handle(const struct world *world, const struct op *op)
{
	return world->handle[world->before ? world->txn_handle : op->handle];
}

struct model *world_committed(const struct world *world)
{
	return world->before ? world->before : world->model;
}

unsigned char *world_bytes(struct world *world, uint64_t seed, uint64_t length)
{
	world->bytes = more_memory(world->bytes, length);
	random_fill(seed, world->bytes, length);
	return world->bytes;
}

unsigned char *world_back(struct world *world, uint64_t length)
{
	if (length > world->back_length) {
		world->back = more_memory(world->back, length);
		world->back_length = length;
	}
	return world->back;
}

/* ---- steps ------------------------------------------------------------------------------- */

/* In a long file, look at what was touched and what lies around it; now and then at all. */
static int verify_touched(struct world *world, const struct op *op, const char *path)
{
	uint64_t around = 4 * (uint64_t)world->config->block_size, from = 0, to = UINT64_MAX;
	const struct entry *entry = path ? model_find(world->model, path) : NULL;

	if (!path)
		return 0;
	if (entry && entry->size > (UINT64_C(256) << 10) && world->step % 8 && op->kind != OP_CLONE &&
	    op->kind != OP_TRUNCATE && op->length < UINT64_MAX / 4 && op->offset < UINT64_MAX / 4) {
		from = op->offset > around ? op->offset - around : 0;
		to = op->offset + op->length + around;
	}
	return verify_path(world, world_handle(world, op), world->model, path, from, to);
}

int world_step(struct world *world, const struct op *op)
{
	world->step++;
	if (world_apply(world, op))
		return -1;
	if (verify_touched(world, op, op->path) || verify_touched(world, op, op->path2))
		return -1;
	world->model->last_inode = world->model->new_inode;
	if (world->step % CACHE_EVERY == 0 &&
	    (verify_cache(world, world->handle[0]) || verify_cache(world, world->handle[1])))
		return -1;
	if (world->step % world->check_every == 0 && verify_fsck(world, NULL))
		return -1;
	if (world->step % (4 * world->check_every) == 0) {
		if (verify_all(world, world_handle(world, op), world->model, false))
			return -1;
		if (world->before && verify_committed(world))
			return -1;
	}
	return 0;
}

int world_finish(struct world *world)
{
	const struct op end = {.kind = OP_ABORT}, reader = {.kind = OP_READER};

	if (world->before && world_apply(world, &end))
		return -1;
	if (world->reader && world_apply(world, &reader))
		return -1;
	if (verify_all(world, world->handle[0], world->model, false) || world_drain(world))
		return -1;
	if (world_clear(world) || world_drain(world))
		return -1;
	return verify_fsck(world, NULL);
}
