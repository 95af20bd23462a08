// SPDX-License-Identifier: LGPL-2.1-or-later
/* Superblocks and commit slots that are lost are made again from their copies (FORMAT 2.1 and 4). */
#include "repair/media.h"

#include "base/err.h"
#include "repair/space.h"

static bool says(const struct cdx_device *device, uint64_t offset, const struct cdx_disk_super *disk)
{
	struct cdx_disk_super found;

	return cdx_pmem_read(&device->pm, offset, &found, sizeof(found)) == 0 &&
	       memcmp(&found, disk, sizeof(found)) == 0;
}

/* Whether there is a superblock of this filesystem, though maybe of another label or another time. */
static bool is_whole(const struct cdx_device *device, uint64_t offset, uint64_t size)
{
	struct cdx_disk_super disk;
	struct cdx_super found;

	return cdx_pmem_read(&device->pm, offset, &disk, sizeof(disk)) == 0 &&
	       cdx_super_decode(&found, &disk, device->path, NULL) == 0 && found.size == size;
}

/* The superblock that is not believed says what the other one does. */
static int mend_super(struct cdx_device *device, const struct cdx_super *super, bool backup, bool choose)
{
	uint64_t offset = backup ? 0 : super->size - CDX_SUPER_SIZE;
	union {
		struct cdx_disk_super disk;
		unsigned char bytes[CDX_SUPER_SIZE];
	} page = {.bytes = {0}};
	int ret;

	cdx_super_encode(super, &page.disk);
	if (says(device, offset, &page.disk) || (!choose && is_whole(device, offset, super->size)))
		return 0;
	ret = cdx_pmem_prepare(&device->pm, offset, sizeof(page));
	if (ret)
		return ret;
	cdx_pmem_copy(&device->pm, offset, &page, sizeof(page));
	return cdx_pmem_fence(&device->pm);
}

static int rebuild(struct cdx_txn *txn, const struct cdx_repair_media *what, struct cowdax_error *error)
{
	if (txn->committed.transaction != what->transaction)
		return cdx_error(error, -EBUSY, "%s: somebody has changed it since it was checked",
				 txn->device->path);
	return what->recount ? cdx_repair_space(txn, what->recount) : 0;
}

/* A commit has the copies of the slot before it agree, and writes both of the other one (R1, R3). */
static int mend_commit(struct cdx_device *device, const struct cdx_super *super,
		       const struct cdx_repair_media *what, struct cowdax_error *error)
{
	struct cdx_txn txn;
	int ret = cdx_txn_init(&txn, device, super);

	if (!ret)
		ret = cdx_txn_begin_undrained(&txn, error);
	if (!ret)
		ret = rebuild(&txn, what, error);
	if (!ret)
		ret = cdx_txn_commit(&txn, error);
	cdx_txn_exit(&txn);
	return ret;
}

static int mend(struct cdx_device *device, const struct cdx_repair_media *what, struct cowdax_error *error)
{
	bool backup = what->backup_super;
	struct cdx_super super;
	int ret = cdx_super_read(device, &backup, &super, device->path, error);

	if (!ret)
		ret = cdx_super_changeable(&super, device->path, error);
	if (!ret)
		ret = cdx_device_map(device, device->path, super.size, error);
	if (!ret)
		ret = mend_super(device, &super, backup, what->choose);
	return ret || !what->commit ? ret : mend_commit(device, &super, what, error);
}

int cdx_repair_media(const char *path, const struct cdx_repair_media *what, struct cowdax_error *error)
{
	struct cdx_device device;
	int ret = cdx_device_open(&device, path, what->fs_offset, CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE, error);

	if (!ret)
		ret = mend(&device, what, error);
	cdx_device_close(&device);
	return ret;
}
