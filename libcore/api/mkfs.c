// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/image.h"

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
	super->size &= ~(uint64_t)(super->block_size - 1);
	if (super->size > available)
		return cdx_error(error, -ENOSPC, "%s: has %" PRIu64 " bytes, %" PRIu64 " are asked for", path,
				 available, super->size);
	if (super->size < cowdax_mkfs_min_size(super->block_size, super->node_size))
		return cdx_error(error, -EINVAL, "%s: %" PRIu64 " bytes are too few: at least %" PRIu64, path,
				 super->size, cowdax_mkfs_min_size(super->block_size, super->node_size));
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

/* Zero what would say that there is, or was, a filesystem (R4). */
static int void_old(struct cdx_pmem *pm, const struct cdx_super *super)
{
	uint64_t tail = super->size - CDX_SUPER_SIZE - 2 * CDX_SLOT_SIZE;
	uint64_t length = CDX_SUPER_SIZE + 2 * CDX_SLOT_SIZE;
	int ret;

	ret = cdx_pmem_prepare(pm, 0, length);
	if (!ret)
		ret = cdx_pmem_prepare(pm, tail, length);
	if (ret)
		return ret;
	cdx_pmem_zero(pm, 0, CDX_SUPER_SIZE);
	cdx_pmem_zero(pm, super->size - CDX_SUPER_SIZE, CDX_SUPER_SIZE);
	ret = cdx_pmem_fence(pm);
	if (ret)
		return ret;
	cdx_pmem_zero(pm, CDX_SUPER_SIZE, 2 * CDX_SLOT_SIZE);
	cdx_pmem_zero(pm, tail, 2 * CDX_SLOT_SIZE);
	return 0;		/* the commit's first fence covers these */
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
}

/* The order is R4's: nothing is a filesystem until the last store is durable. */
static int format(struct cdx_device *device, const struct cdx_super *super,
		  const struct cowdax_mkfs_options *options, struct cowdax_info *info,
		  struct cowdax_error *error)
{
	struct cdx_txn txn;
	int ret;

	ret = void_old(&device->pm, super);
	if (ret)
		return ret;
	ret = cdx_txn_init(&txn, device, super);
	if (!ret)
		ret = cdx_txn_format(&txn);
	if (!ret)
		ret = cdx_dir_make_root(&txn, &options->time, options->uid, options->gid);
	if (!ret)
		ret = cdx_txn_commit(&txn, error);
	if (!ret)
		ret = write_super(&device->pm, super, super->size - CDX_SUPER_SIZE);
	if (!ret)
		ret = write_super(&device->pm, super, 0);
	if (!ret && info)
		fill_info(info, super, device);
	cdx_txn_exit(&txn);
	return ret;
}

/* A file that is missing is made; *created tells. */
static int make_file(const char *path, const struct cowdax_mkfs_options *options, bool *created,
		     struct cowdax_error *error)
{
	struct stat st;
	uint64_t size = options->fs_offset + options->size;
	int fd, ret = 0;

	*created = false;
	if (stat(path, &st) == 0) {
		/* A regular file that is too short for the size asked for grows, sparse. */
		if (S_ISREG(st.st_mode) && options->size && (uint64_t)st.st_size < size &&
		    truncate(path, (off_t)size))
			return cdx_error_errno(error, -errno, path);
		return 0;
	}
	if (errno != ENOENT || !options->create)
		return cdx_error_errno(error, -errno, path);
	if (!options->size)
		return cdx_error(error, -ENOENT, "%s: does not exist, and no size was given to create it", path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return cdx_error_errno(error, -errno, path);
	*created = true;
	if (ftruncate(fd, (off_t)size))
		ret = cdx_error_errno(error, -errno, path);
	close(fd);
	return ret;
}

static int dry_run(const char *path, const struct cowdax_mkfs_options *options, struct cowdax_info *info,
		   struct cowdax_error *error)
{
	struct cdx_device device = {.pm.kind = COWDAX_MAPPING_PAGE_CACHE};
	uint64_t available = options->size;
	struct cdx_super super;
	int ret = 0;

	if (access(path, F_OK) == 0) {
		if (access(path, W_OK))
			return cdx_error_errno(error, -errno, path);
		ret = cdx_device_open(&device, path, options->fs_offset, CDX_DEVICE_NO_LOCK, error);
		if (ret)
			return ret;
		if (device.read_only)
			ret = cdx_error(error, -EROFS, "%s: read-only device", path);
		if (device.size > available || !device.regular)
			available = device.size;
	} else if (!options->create || !options->size) {
		ret = cdx_error_errno(error, -ENOENT, path);
	}
	if (!ret)
		ret = make_super(&super, path, options, available, error);
	if (!ret && device.regular + device.block + device.device_dax > 0 && device.size >= super.size)
		ret = cdx_device_map(&device, path, super.size, error);
	if (!ret && info)
		fill_info(info, &super, &device);
	if (device.fd > 0)
		cdx_device_close(&device);
	return ret;
}

int cowdax_mkfs(const char *path, const struct cowdax_mkfs_options *options, struct cowdax_info *info,
		struct cowdax_error *error)
{
	struct cdx_device device;
	struct cdx_super super;
	bool created;
	int ret;

	if (error)
		*error = (struct cowdax_error){0};
	if (options->size >= CDX_MAX_IMAGE || options->fs_offset >= CDX_MAX_IMAGE)
		return cdx_error(error, -EFBIG, "%s: beyond the largest image", path);
	if (options->dry_run)
		return dry_run(path, options, info, error);
	ret = make_file(path, options, &created, error);
	if (ret) {
		if (created)
			unlink(path);
		return ret;
	}
	ret = cdx_device_open(&device, path, options->fs_offset, CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE,
			      error);
	if (!ret) {
		ret = make_super(&super, path, options, device.size, error);
		if (!ret)
			ret = cdx_device_map(&device, path, super.size, error);
		if (!ret)
			ret = format(&device, &super, options, info, error);
		cdx_device_close(&device);
	}
	if (ret && created)
		unlink(path);
	return ret ? cdx_error_errno(error, ret, path) : 0;
}
