// SPDX-License-Identifier: LGPL-2.1-or-later
/* Making a filesystem, whatever was there before: FORMAT 2, in the order of rule R4. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/find.h"
#include "api/image.h"
#include "txn/settle.h"

#define MIN_BLOCKS 64

uint64_t cowdax_mkfs_min_size(uint32_t block_size, uint32_t node_size)
{
	uint64_t pool = 512 * (uint64_t)(node_size ? node_size : CDX_DEFAULT_NODE_SIZE);
	uint64_t blocks = MIN_BLOCKS * (uint64_t)(block_size ? block_size : CDX_DEFAULT_BLOCK_SIZE);

	return blocks > pool ? blocks : pool;
}

static int make_super(struct cdx_super *super, const char *path, const struct cowdax_mkfs_options *options,
		      uint64_t available, struct cowdax_error *error)
{
	*super = (struct cdx_super){
		.block_size = options->block_size ? options->block_size : CDX_DEFAULT_BLOCK_SIZE,
		.node_size = options->node_size ? options->node_size : CDX_DEFAULT_NODE_SIZE,
		.size = options->size ? options->size : available,
		.seed = options->seed,
		.created = (uint64_t)options->time.tv_sec,
	};
	if (super->block_size & (super->block_size - 1) || super->block_size < CDX_MIN_BLOCK_SIZE ||
	    super->block_size > CDX_MAX_BLOCK_SIZE)
		return cdx_error(error, -EINVAL, "%s: block size %u is not a power of two from %d to %d", path,
				 super->block_size, CDX_MIN_BLOCK_SIZE, CDX_MAX_BLOCK_SIZE);
	if (super->size < cowdax_mkfs_min_size(super->block_size, super->node_size))
		return cdx_error(error, -EINVAL, "%s: %" PRIu64 " bytes are too few: at least %" PRIu64, path,
				 super->size, cowdax_mkfs_min_size(super->block_size, super->node_size));
	super->size &= ~(uint64_t)(super->block_size - 1);
	if (super->size > available)
		return cdx_error(error, -ENOSPC, "%s: has %" PRIu64 " bytes, %" PRIu64 " are asked for", path,
				 available, super->size);
	if (super->size > CDX_MAX_MAPPED)
		return cdx_error(error, -EFBIG, "%s: %" PRIu64 " bytes are more than a process can map: "
				 "at most %" PRIu64 " (64 TiB)", path, super->size, CDX_MAX_MAPPED);
	memcpy(super->uuid, options->uuid, sizeof(super->uuid));
	if (options->label) {
		if (strlen(options->label) > COWDAX_LABEL_MAX)
			return cdx_error(error, -EINVAL, "%s: a label has at most %d bytes", path,
					 COWDAX_LABEL_MAX);
		memcpy(super->label, options->label, strlen(options->label));
	}
	if (cdx_super_derive(super))
		return cdx_error(error, -EINVAL, "%s: no filesystem can have %" PRIu64
				 " bytes with blocks of %u and nodes of %u", path, super->size,
				 super->block_size, super->node_size);
	return 0;
}

/* ---- former lives ----------------------------------------------------------------- */

/* Where bytes lie that may be believed to be a superblock of this place's former filesystems. */
struct former {
	uint64_t offset[CDX_BACKUP_PLACES + 1];
	size_t n;
	uint64_t end;		/* of the last of them, bytes */
};

/* The backup of a filesystem with another start is none of ours. */
static bool is_super(const struct cdx_device *device, uint64_t offset)
{
	struct cdx_disk_super disk;

	return cdx_device_pread(device, offset, &disk, sizeof(disk)) == 0 &&
	       memcmp(disk.magic, CDX_SUPER_MAGIC, sizeof(disk.magic)) == 0 &&
	       (offset == 0 || get64(disk.size) == offset + CDX_SUPER_SIZE);
}

static void find_former(const struct cdx_device *device, struct former *former)
{
	uint64_t place[CDX_BACKUP_PLACES + 1] = {0};
	size_t n = 1 + cdx_super_backup_places(device, place + 1);

	former->n = 0;
	former->end = 0;
	for (size_t i = 0; i < n; i++) {
		if (!is_super(device, place[i]))
			continue;
		former->offset[former->n++] = place[i];
		if (place[i] + CDX_SUPER_SIZE > former->end)
			former->end = place[i] + CDX_SUPER_SIZE;
	}
}

/*
 * Nothing but superblocks, and durable, before anything else is stored (R4): whatever
 * a crash leaves of a former filesystem, it is the whole of it or nothing.
 */
static int void_former(struct cdx_pmem *pm, const struct former *former)
{
	int ret = 0;

	for (size_t i = 0; i < former->n && !ret; i++)
		ret = cdx_pmem_prepare(pm, former->offset[i], CDX_SUPER_SIZE);
	if (ret)
		return ret;
	for (size_t i = 0; i < former->n; i++)
		cdx_pmem_zero(pm, former->offset[i], CDX_SUPER_SIZE);
	return former->n ? cdx_pmem_fence(pm) : 0;
}

struct others {
	const char *path;
	uint64_t fs_offset;
	struct cowdax_error *error;
};

/* One that starts elsewhere and is partly overwritten: nobody is to write to the rest of it. */
static int void_other(void *arg, const struct cowdax_found *found)
{
	const struct others *others = arg;
	struct cdx_device device;
	struct former former;
	int ret;

	if (found->fs_offset == others->fs_offset)
		return 0;
	ret = cdx_device_open(&device, others->path, found->fs_offset, CDX_DEVICE_WRITABLE | CDX_DEVICE_NO_LOCK,
			      others->error);
	if (ret)
		return ret;
	find_former(&device, &former);
	if (former.n)
		ret = cdx_device_map(&device, others->path, former.end, others->error);
	if (!ret)
		ret = void_former(&device.pm, &former);
	cdx_device_close(&device);
	return ret;
}

static int void_others(const char *path, const struct cdx_device *device, uint64_t size,
		       struct cowdax_error *error)
{
	struct others others = {path, device->fs_offset, error};
	struct cdx_device all = *device;

	all.fs_offset = 0;
	all.size += device->fs_offset;
	return cdx_find(&all, device->fs_offset, size, void_other, &others);
}

/* ---- writing ---------------------------------------------------------------------- */

#define ENDS_LENGTH (CDX_SUPER_SIZE + 2 * CDX_SLOT_SIZE)	/* superblock and slots at either end */

#define FIRST_NODES 12	/* mkfs' own, those of a first commit, and those of removing what that has made */

/* The places of superblocks and slots, and those of the first nodes (R22, R17). */
static int prepare_ends(struct cdx_pmem *pm, const struct cdx_super *super)
{
	int ret = cdx_pmem_prepare(pm, 0, (super->head_grains + FIRST_NODES) << super->grain_shift);

	return ret ? ret : cdx_pmem_prepare(pm, super->size - ENDS_LENGTH, ENDS_LENGTH);
}

static int write_super(struct cdx_pmem *pm, const struct cdx_super *super, uint64_t offset)
{
	struct cdx_disk_super disk;

	cdx_super_encode(super, &disk);
	cdx_pmem_copy(pm, offset, &disk, sizeof(disk));
	return cdx_pmem_fence(pm);
}

static void fill_info(struct cowdax_info *info, const struct cdx_super *super, const struct cdx_device *device)
{
	*info = (struct cowdax_info){
		.block_size = super->block_size,
		.node_size = super->node_size,
		.size = super->size,
		.blocks = super->blocks,
		.inodes = 1,
		.transaction = CDX_FIRST_TRANSACTION,
		.mapping = device->pm.kind,
	};
	memcpy(info->uuid, super->uuid, sizeof(info->uuid));
	memcpy(info->label, super->label, sizeof(super->label));
	/* Of the pool, the root of the space tree and that of the fs tree are in use. */
	info->reserved_blocks = (cdx_txn_format_pool(super) - 2) >> super->grains_per_block_shift;
	info->free_blocks = (super->grains - 2 * super->head_grains - 2) >> super->grains_per_block_shift;
	info->available_blocks = (super->grains - 2 * super->head_grains - 2 - cdx_budget_kept_at_first(super)) >>
				 super->grains_per_block_shift;
}

/* The order is R4's: nothing is a filesystem until the last store is durable. */
static int format(struct cdx_device *device, const struct cdx_super *super, const struct former *former,
		  const char *path, const struct cowdax_mkfs_options *options, struct cowdax_error *error)
{
	struct cdx_txn txn;
	int ret;

	ret = void_others(path, device, super->size, error);
	if (!ret)
		ret = void_former(&device->pm, former);
	/* What cannot be given back is kept. */
	if (!ret && options->discard)
		cdx_pmem_give_back(&device->pm, 0, super->size);
	if (!ret)
		ret = prepare_ends(&device->pm, super);
	if (ret)
		return ret;
	/* The commit's first fence covers these. */
	cdx_pmem_zero(&device->pm, 0, ENDS_LENGTH);
	cdx_pmem_zero(&device->pm, super->size - ENDS_LENGTH, ENDS_LENGTH);
	ret = cdx_txn_init(&txn, device, super);
	if (!ret)
		ret = cdx_txn_format(&txn);
	if (!ret)
		ret = cdx_dir_make_root(&txn, &options->time, options->uid, options->gid);
	if (!ret)
		ret = cdx_txn_commit(&txn, error);
	if (!ret)
		ret = cdx_settle_fence(&txn);
	if (!ret)
		ret = write_super(&device->pm, super, super->size - CDX_SUPER_SIZE);
	if (!ret)
		ret = write_super(&device->pm, super, 0);
	cdx_txn_exit(&txn);
	return ret;
}

/* ---- the file or device ------------------------------------------------------------- */

/* What making has done to the file itself, to be undone when it fails. */
struct target {
	struct cdx_device device;
	bool open;
	bool created;
	bool grown;
	uint64_t former_size;		/* of the file, bytes */
};

/* A missing file can be made: in a dry run, could be. */
static int create(struct target *target, const char *path, const struct cowdax_mkfs_options *options,
		  struct cowdax_error *error)
{
	struct stat st;
	int fd;

	if (!options->create || lstat(path, &st) == 0)
		return cdx_device_no_file(path, -ENOENT, error);
	if (!options->size)
		return cdx_error(error, -ENOENT, "%s: does not exist, and no size was given to create it", path);
	if (options->dry_run) {
		const char *slash = strrchr(path, '/');
		char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
		int ret = !folder ? -ENOMEM : access(folder, W_OK | X_OK) ? -errno : 0;

		free(folder);
		return ret ? cdx_error_errno(error, ret, path) : 0;
	}
	do {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return cdx_error_errno(error, -errno, path);
	close(fd);
	target->created = true;
	return 0;
}

static int open_target(struct target *target, const char *path, const struct cowdax_mkfs_options *options,
		       struct cowdax_error *error)
{
	struct stat st;
	int ret;

	if (stat(path, &st)) {
		ret = errno == ENOENT ? create(target, path, options, error) : cdx_error_errno(error, -errno, path);
		if (ret || options->dry_run)
			return ret;
	}
	ret = cdx_device_open(&target->device, path, options->fs_offset,
			      CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE, error);
	if (ret)
		return ret;
	target->open = true;
	target->former_size = target->device.size + options->fs_offset;
	if (fstat(target->device.fd, &st) == 0 && S_ISREG(st.st_mode))
		target->former_size = (uint64_t)st.st_size;
	return 0;
}

/* A regular file that is too short for the size asked for grows, sparse. */
static int grow(struct target *target, const char *path, uint64_t size, struct cowdax_error *error)
{
	struct cdx_device *device = &target->device;
	int ret;

	if (!device->regular || device->size >= size)
		return 0;
	ret = cdx_device_resize(device, device->fs_offset + size);
	if (ret)
		return cdx_error_errno(error, ret, path);
	target->grown = true;
	device->size = size;
	return 0;
}

static void close_target(struct target *target, const char *path, bool failed)
{
	/* A file that cannot be cut again is longer than it was: there is nothing to be done about it. */
	if (failed && target->grown && cdx_device_resize(&target->device, target->former_size))
		target->grown = false;
	if (target->open)
		cdx_device_close(&target->device);
	if (failed && target->created)
		unlink(path);
}

/* Where the filesystem may end: a file can become as long as is asked for. */
static uint64_t available(const struct target *target, const struct cowdax_mkfs_options *options)
{
	if (!target->open)
		return options->size;
	return target->device.regular && options->size > target->device.size ? options->size :
									      target->device.size;
}

static int make(struct target *target, const char *path, const struct cowdax_mkfs_options *options,
		struct cowdax_info *info, struct cowdax_error *error)
{
	struct former former = {.n = 0};
	struct cdx_super super;
	int ret;

	ret = make_super(&super, path, options, available(target, options), error);
	if (ret)
		return ret;
	if (target->open) {
		find_former(&target->device, &former);
		if (options->dry_run)
			target->device.flags |= CDX_DEVICE_DISCARD;
		else
			ret = grow(target, path, super.size, error);
		if (!ret)
			ret = cdx_device_map(&target->device, path,
					     super.size > former.end ? super.size : former.end, error);
	} else {
		target->device.pm.kind = COWDAX_MAPPING_PAGE_CACHE;
	}
	if (!ret && !options->dry_run)
		ret = prepare_ends(&target->device.pm, &super);
	if (ret)
		return ret;
	fill_info(info, &super, &target->device);
	if (options->ready)
		ret = options->ready(options->ready_arg, info);
	if (!ret && !options->dry_run)
		ret = format(&target->device, &super, &former, path, options, error);
	return ret;
}

int cowdax_mkfs(const char *path, const struct cowdax_mkfs_options *options, struct cowdax_info *info,
		struct cowdax_error *error)
{
	struct target target = {.open = false};
	struct cowdax_info made;
	int ret;

	cdx_error_begin(error);
	if (options->size >= CDX_MAX_IMAGE || options->fs_offset >= CDX_MAX_IMAGE)
		return cdx_error(error, -EFBIG, "%s: beyond the largest image", path);
	ret = open_target(&target, path, options, error);
	if (!ret)
		ret = make(&target, path, options, &made, error);
	close_target(&target, path, ret != 0);
	if (!ret && info)
		*info = made;
	return cdx_error_end(error, ret, path);
}
