// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking for filesystems, so that nobody makes one in the middle of another (law L5),
 * by their superblocks and backups (FORMAT 2.1).
 */
#include "api/find.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define STEP (UINT64_C(1) << 20)	/* where partitions start, and so images in them */
#define OLD_START (63 * 512)		/* where they did start */
#define MAX_LOOKS 65536			/* at one place after the other: 64 GiB of data */

struct search {
	const struct cdx_device *device;
	uint64_t offset, end;
	cowdax_found_fn *fn;
	void *arg;
};

/* The same file, with its filesystem elsewhere.  For cdx_device_pread() only. */
static struct cdx_device device_from(const struct cdx_device *device, uint64_t start)
{
	struct cdx_device from = *device;

	from.fs_offset = start;
	from.size = device->size > start ? device->size - start : 0;
	return from;
}

static int tell(const struct search *search, uint64_t start, uint64_t size)
{
	const struct cowdax_found found = {.fs_offset = start, .size = size};

	if (start >= search->end || start + size <= search->offset)
		return 0;
	return search->fn(search->arg, &found);
}

/* Whatever says that a filesystem starts at @start, be it damaged or of another version. */
static int look_at(const struct search *search, uint64_t start)
{
	struct cdx_device from = device_from(search->device, start);
	struct cdx_super super;
	bool backup = false;
	int ret = cdx_super_read(&from, &backup, &super, "", NULL);

	if (ret == 0)
		return tell(search, start, super.size);
	return ret == -EUCLEAN || ret == -ENOTSUP ? tell(search, start, from.size) : 0;
}

/* Enough to go by where there are many places: a superblock's or a slot's magic. */
static bool looks_like_one(const struct cdx_device *device, uint64_t start)
{
	uint8_t magic[8];
	le32 slot;

	if (cdx_device_pread(device, start, magic, sizeof(magic)) == 0 &&
	    memcmp(magic, CDX_SUPER_MAGIC, sizeof(magic)) == 0)
		return true;
	for (uint64_t at = start + CDX_SUPER_SIZE; at <= start + CDX_SUPER_SIZE + CDX_SLOT_SIZE; at += CDX_SLOT_SIZE)
		if (cdx_device_pread(device, at, &slot, sizeof(slot)) == 0 && get32(slot) == CDX_SLOT_MAGIC)
			return true;
	return false;
}

/* The next place from @at on that is not in a hole. */
static uint64_t skip_hole(const struct cdx_device *device, uint64_t at)
{
	off_t data;

	if (!device->regular)
		return at;
	data = lseek(device->fd, (off_t)at, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? UINT64_MAX : at;
	return (uint64_t)data - at < STEP ? at : (uint64_t)data & ~(STEP - 1);
}

static int look_at_steps(const struct search *search)
{
	uint64_t at = skip_hole(search->device, STEP);
	int ret = 0;

	for (int looks = 0; looks < MAX_LOOKS && at < search->end && !ret; looks++) {
		if (looks_like_one(search->device, at))
			ret = look_at(search, at);
		at = skip_hole(search->device, at + STEP);
	}
	return ret;
}

/* A backup at the end tells where its filesystem starts. */
static int look_at_end(const struct search *search)
{
	uint64_t size = search->device->size;
	int ret = 0;

	for (uint64_t block = CDX_MIN_BLOCK_SIZE; block <= CDX_MAX_BLOCK_SIZE && !ret; block *= 2) {
		uint64_t end = size & ~(block - 1);
		struct cdx_disk_super disk;
		struct cdx_super super;

		if (end < CDX_SUPER_SIZE ||
		    cdx_device_pread(search->device, end - CDX_SUPER_SIZE, &disk, sizeof(disk)) ||
		    cdx_super_decode(&super, &disk, "", NULL) || super.size > end)
			continue;
		ret = look_at(search, end - super.size);
	}
	return ret;
}

int cdx_find(const struct cdx_device *device, uint64_t offset, uint64_t length, cowdax_found_fn *fn, void *arg)
{
	const struct search search = {device, offset, offset + length, fn, arg};
	int ret = look_at(&search, offset);

	if (!ret && offset)
		ret = look_at(&search, 0);
	if (!ret && offset != OLD_START)
		ret = look_at(&search, OLD_START);
	if (!ret)
		ret = look_at_steps(&search);
	return ret ? ret : look_at_end(&search);
}

int cowdax_find(const char *path, uint64_t offset, uint64_t length, cowdax_found_fn *fn, void *arg,
		struct cowdax_error *error)
{
	struct cdx_device device;
	int ret;

	cdx_error_begin(error);
	ret = cdx_device_open(&device, path, 0, CDX_DEVICE_NO_LOCK, error);
	if (ret)
		return cdx_error_end(error, ret, path);
	if (offset >= device.size)
		length = 0;
	else if (length > device.size - offset)
		length = device.size - offset;
	ret = cdx_find(&device, offset, length, fn, arg);
	cdx_device_close(&device);
	return cdx_error_end(error, ret, path);
}
