// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * FORMAT 1 to 4: the geometry; which bytes count as a superblock (2.1), and as a commit
 * slot (4).
 */
#include "tree/super.h"

#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/err.h"

/* Of numbers that are not below a least one. */
static bool power_of_two(uint64_t value)
{
	return !(value & (value - 1));
}

int cdx_super_derive(struct cdx_super *super)
{
	le64 seed = put64(super->seed);

	if (!power_of_two(super->block_size) || super->block_size < CDX_MIN_BLOCK_SIZE ||
	    super->block_size > CDX_MAX_BLOCK_SIZE)
		return -EINVAL;
	if (!power_of_two(super->node_size) || super->node_size < CDX_MIN_NODE_SIZE ||
	    super->node_size > CDX_MAX_NODE_SIZE)
		return -EINVAL;
	if (super->size % super->block_size || super->size >= CDX_MAX_IMAGE)
		return -EINVAL;
	super->block_shift = (unsigned int)__builtin_ctz(super->block_size);
	super->grain_shift = (unsigned int)__builtin_ctz(super->node_size);
	super->grains_per_block_shift = super->block_shift - super->grain_shift;
	super->blocks = super->size >> super->block_shift;
	super->grains = super->size >> super->grain_shift;
	super->head_grains = ((CDX_SUPER_SIZE + 2 * CDX_SLOT_SIZE + super->block_size - 1) &
			      ~(uint64_t)(super->block_size - 1)) >> super->grain_shift;
	if (super->grains < 3 * super->head_grains)
		return -EINVAL;
	super->crc_seed = cdx_crc32c(cdx_crc32c(0, super->uuid, sizeof(super->uuid)), &seed, sizeof(seed));
	return 0;
}

void cdx_super_encode(const struct cdx_super *super, struct cdx_disk_super *disk)
{
	memset(disk, 0, sizeof(*disk));
	memcpy(disk->magic, CDX_SUPER_MAGIC, sizeof(disk->magic));
	disk->version = put32(CDX_VERSION);
	disk->block_size = put32(super->block_size);
	disk->node_size = put32(super->node_size);
	disk->size = put64(super->size);
	disk->compat = put64(super->compat);
	disk->ro_compat = put64(super->ro_compat);
	disk->incompat = put64(super->incompat);
	memcpy(disk->uuid, super->uuid, sizeof(disk->uuid));
	disk->seed = put64(super->seed);
	memcpy(disk->label, super->label, sizeof(disk->label));
	disk->created = put64(super->created);
	disk->crc = put32(cdx_crc32c(0, disk, offsetof(struct cdx_disk_super, crc)));
}

int cdx_super_decode(struct cdx_super *super, const struct cdx_disk_super *disk, const char *name,
		     struct cowdax_error *error)
{
	if (memcmp(disk->magic, CDX_SUPER_MAGIC, sizeof(disk->magic)) != 0)
		return cdx_error(error, -EINVAL, "%s: not a cowdax filesystem", name);
	if (get32(disk->crc) != cdx_crc32c(0, disk, offsetof(struct cdx_disk_super, crc)))
		return cdx_error(error, -EUCLEAN, "%s: superblock is damaged (checksum)", name);
	if (get32(disk->version) != CDX_VERSION)
		return cdx_error(error, -ENOTSUP, "%s: format version %" PRIu32 ", this program knows %d",
				 name, get32(disk->version), CDX_VERSION);
	if (get64(disk->incompat))
		return cdx_error(error, -ENOTSUP, "%s: has features this program does not know (%#" PRIx64 ")",
				 name, get64(disk->incompat));
	memset(super, 0, sizeof(*super));
	super->block_size = get32(disk->block_size);
	super->node_size = get32(disk->node_size);
	super->size = get64(disk->size);
	super->compat = get64(disk->compat);
	super->ro_compat = get64(disk->ro_compat);
	super->incompat = get64(disk->incompat);
	memcpy(super->uuid, disk->uuid, sizeof(super->uuid));
	super->seed = get64(disk->seed);
	memcpy(super->label, disk->label, sizeof(super->label));
	super->created = get64(disk->created);
	if (cdx_super_derive(super))
		return cdx_error(error, -EUCLEAN, "%s: superblock is damaged (geometry)", name);
	return 0;
}

/* ---- finding it ------------------------------------------------------------------- */

static int read_at(const struct cdx_device *device, uint64_t offset, struct cdx_super *super,
		   const char *name, struct cowdax_error *error)
{
	struct cdx_disk_super disk;
	int ret = cdx_device_pread(device, offset, &disk, sizeof(disk));

	if (ret == -ENODATA)
		return cdx_error(error, -EINVAL, "%s: not a cowdax filesystem (too short)", name);
	if (ret)
		return cdx_error_errno(error, ret, name);
	return cdx_super_decode(super, &disk, name, error);
}

static size_t add_place(uint64_t place[CDX_BACKUP_PLACES], size_t n, uint64_t end)
{
	if (end < 2 * CDX_SUPER_SIZE || end >= CDX_MAX_IMAGE)
		return n;
	for (size_t i = 0; i < n; i++) {
		if (place[i] == end - CDX_SUPER_SIZE)
			return n;
	}
	place[n] = end - CDX_SUPER_SIZE;
	return n + 1;
}

size_t cdx_super_backup_places(const struct cdx_device *device, uint64_t place[CDX_BACKUP_PLACES])
{
	struct cdx_disk_commit slot;
	struct cdx_super primary;
	size_t n = 0;

	if (read_at(device, 0, &primary, "", NULL) == 0)
		n = add_place(place, n, primary.size);
	for (int parity = 0; parity < 2; parity++) {
		uint64_t offset = CDX_SUPER_SIZE + (uint64_t)parity * CDX_SLOT_SIZE;

		if (cdx_device_pread(device, offset, &slot, sizeof(slot)) == 0 &&
		    get32(slot.magic) == CDX_SLOT_MAGIC)
			n = add_place(place, n, get64(slot.size));
	}
	for (uint64_t block = CDX_MIN_BLOCK_SIZE; block <= CDX_MAX_BLOCK_SIZE; block *= 2)
		n = add_place(place, n, device->size & ~(block - 1));
	return n;
}

enum slot_state { SLOT_LOST, SLOT_FOREIGN, SLOT_OWN };

static enum slot_state slot_state(const struct cdx_device *device, const struct cdx_super *super,
				  int parity, bool mirror)
{
	union { struct cdx_disk_commit commit; unsigned char bytes[CDX_SLOT_SIZE]; } slot;

	if (cdx_device_pread(device, cdx_slot_offset(super, parity, mirror), &slot, sizeof(slot)))
		return SLOT_LOST;
	if (cdx_slot_valid(super, &slot.commit, parity))
		return SLOT_OWN;
	return cdx_slot_foreign(super, &slot.commit) ? SLOT_FOREIGN : SLOT_LOST;
}

int cdx_super_check_slots(const struct cdx_device *device, const struct cdx_super *super)
{
	enum slot_state even = slot_state(device, super, 0, false);
	enum slot_state odd = slot_state(device, super, 1, false);

	if (even == SLOT_OWN || odd == SLOT_OWN)
		return 0;
	if (even == SLOT_FOREIGN || odd == SLOT_FOREIGN)
		return -EUCLEAN;
	even = slot_state(device, super, 0, true);
	odd = slot_state(device, super, 1, true);
	return even == SLOT_OWN || odd == SLOT_OWN ? 0 : -EUCLEAN;
}

int cdx_super_find_backup(const struct cdx_device *device, struct cdx_super *super)
{
	uint64_t place[CDX_BACKUP_PLACES];
	size_t n = cdx_super_backup_places(device, place);

	for (size_t i = 0; i < n; i++) {
		struct cdx_super found;

		if (read_at(device, place[i], &found, "", NULL) ||
		    found.size != place[i] + CDX_SUPER_SIZE || cdx_super_check_slots(device, &found))
			continue;
		*super = found;
		return 0;
	}
	return -ENOENT;
}

int cdx_super_read(const struct cdx_device *device, bool *backup, struct cdx_super *super,
		   const char *name, struct cowdax_error *error)
{
	struct cdx_super found;
	int ret = read_at(device, 0, &found, name, error);
	bool whole = ret == 0 || ret == -ENOTSUP;

	if (*backup && cdx_super_find_backup(device, super))
		return cdx_error(error, -EINVAL, "%s: has no backup superblock whose commit slots are its own",
				 name);
	if (*backup)
		return 0;
	if (!whole && cdx_super_find_backup(device, super) == 0) {
		*backup = true;
		return 0;
	}
	if (ret)
		return ret;
	if (found.size > device->size)
		return cdx_error(error, -EUCLEAN,
				 "%s: truncated: the filesystem has %" PRIu64 " bytes, the image only %" PRIu64,
				 name, found.size, device->size);
	*super = found;
	return 0;
}

int cdx_super_changeable(const struct cdx_super *super, const char *name, struct cowdax_error *error)
{
	if (!super->ro_compat)
		return 0;
	return cdx_error(error, -EROFS, "%s: has features that this program can only read (%#" PRIx64 ")", name,
			 super->ro_compat);
}

/* ---- slots ------------------------------------------------------------------------ */

static uint32_t slot_crc(const struct cdx_super *super, const struct cdx_disk_commit *slot, size_t length)
{
	return cdx_crc32c(super->crc_seed, (const unsigned char *)slot + 8, length - 8);
}

bool cdx_slot_valid(const struct cdx_super *super, const struct cdx_disk_commit *slot, int parity)
{
	size_t length = get32(slot->length);
	size_t needed = sizeof(*slot) +
			sizeof(struct cdx_disk_run) * ((size_t)get16(slot->n_pool) + get16(slot->n_window)) +
			sizeof(struct cdx_disk_limbo) * get16(slot->n_limbo) +
			sizeof(struct cdx_disk_amend) * get16(slot->n_amends);

	if (get32(slot->magic) != CDX_SLOT_MAGIC)
		return false;
	if (length < sizeof(*slot) || length > CDX_SLOT_SIZE || length != needed ||
	    get16(slot->n_amends) > CDX_MAX_AMENDS)
		return false;
	if ((int)(get64(slot->transaction) & 1) != parity || get64(slot->transaction) < CDX_FIRST_TRANSACTION ||
	    get64(slot->transaction) > CDX_LAST_TRANSACTION)
		return false;
	if (get64(slot->size) != super->size)
		return false;
	return get32(slot->crc) == slot_crc(super, slot, length);
}

/* Damage hardly makes another size that could be one; a life of the same size has been overwritten. */
bool cdx_slot_foreign(const struct cdx_super *super, const struct cdx_disk_commit *slot)
{
	uint64_t size = get64(slot->size);

	return get32(slot->magic) == CDX_SLOT_MAGIC && size != super->size && size &&
	       size % CDX_MIN_BLOCK_SIZE == 0 && size < CDX_MAX_IMAGE;
}

void cdx_slot_seal(const struct cdx_super *super, struct cdx_disk_commit *slot, size_t length)
{
	slot->magic = put32(CDX_SLOT_MAGIC);
	slot->length = put32((uint32_t)length);
	slot->size = put64(super->size);
	slot->crc = put32(slot_crc(super, slot, length));
}

/* The finalizer of SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

uint32_t cdx_node_crc(const struct cdx_super *super, const struct cdx_disk_node *node, size_t used)
{
	uint64_t place = mix(get64(node->address) ^ mix(get64(node->birth)));

	return cdx_crc32c(super->crc_seed ^ (uint32_t)place, (const unsigned char *)node + 8, used - 8);
}

bool cdx_super_limbo_whole(const struct cdx_super *super, const struct cdx_disk_limbo *limbo)
{
	uint64_t mask = (UINT64_C(1) << super->grains_per_block_shift) - 1;

	return limbo->type != CDX_LIMBO_DROP || !((get64(limbo->address) | get32(limbo->count_or_crc)) & mask);
}
