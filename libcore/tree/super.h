/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image's identity and its commit slots: FORMAT 1 to 4. */
#ifndef CDX_SUPER_H
#define CDX_SUPER_H

#include "pmem/device.h"
#include "tree/ondisk.h"

/* The decoded superblock and what follows from it. */
struct cdx_super {
	uint32_t block_size, node_size;
	unsigned int block_shift, grain_shift;
	unsigned int grains_per_block_shift;
	uint64_t size;			/* bytes */
	uint64_t blocks, grains;
	uint64_t head_grains;		/* grains of the head region, and of the tail region */
	uint64_t compat, ro_compat, incompat;
	uint8_t uuid[16];
	uint64_t seed;
	uint8_t label[64];
	uint64_t created;
	uint32_t crc_seed;		/* CRC32C of uuid and seed: start every other checksum with it */
};

/* Check and decode; -EUCLEAN, -EINVAL (foreign) or -ENOTSUP with a reason in @error. */
int cdx_super_decode(struct cdx_super *super, const struct cdx_disk_super *disk, const char *name,
		     struct cowdax_error *error);
void cdx_super_encode(const struct cdx_super *super, struct cdx_disk_super *disk);
/* Fill in the derived fields; -EINVAL when the geometry is not allowed. */
int cdx_super_derive(struct cdx_super *super);
/*
 * Read the superblock of an opened, unmapped device; the backup where it is lost, or
 * where *backup asks for it.  *backup then tells which it is.
 */
int cdx_super_read(const struct cdx_device *device, bool *backup, struct cdx_super *super,
		   const char *name, struct cowdax_error *error);
/* Whether this program may change such a filesystem: 0, or -EROFS for features that it can only read. */
int cdx_super_changeable(const struct cdx_super *super, const char *name, struct cowdax_error *error);
/* Find a backup that counts, whatever the superblock says: 0 or -ENOENT. */
int cdx_super_find_backup(const struct cdx_device *device, struct cdx_super *super);
/* Whether the slots on @device are those of @super (FORMAT 2.1): 0, or -EUCLEAN. */
int cdx_super_check_slots(const struct cdx_device *device, const struct cdx_super *super);
/*
 * Where backups of this filesystem, or of a former one with the same start, may lie:
 * fills in up to CDX_BACKUP_PLACES offsets, likeliest first; returns how many.
 */
#define CDX_BACKUP_PLACES 8
size_t cdx_super_backup_places(const struct cdx_device *device, uint64_t place[CDX_BACKUP_PLACES]);

/* Where slot @parity (0 or 1) lies, bytes. */
static inline uint64_t cdx_slot_offset(const struct cdx_super *super, int parity, bool mirror)
{
	uint64_t slot = (uint64_t)parity * CDX_SLOT_SIZE;

	if (mirror)
		return super->size - CDX_SUPER_SIZE - 2 * CDX_SLOT_SIZE + slot;
	return CDX_SUPER_SIZE + slot;
}
/* Whether @slot (CDX_SLOT_SIZE bytes) is a valid record for slot @parity. */
bool cdx_slot_valid(const struct cdx_super *super, const struct cdx_disk_commit *slot, int parity);
/* Whether @slot, which is not valid, shows that another filesystem has taken the place of @super's. */
bool cdx_slot_foreign(const struct cdx_super *super, const struct cdx_disk_commit *slot);
/* Set magic, length, size and crc. */
void cdx_slot_seal(const struct cdx_super *super, struct cdx_disk_commit *slot, size_t length);
/*
 * The checksum of a node of @used bytes (FORMAT 6.1).  It starts from a mixture
 * of address and birth: CRCs are linear, and with a plain seed a child's and its
 * parent's changes can cancel out, so that two parents written at one address in
 * two transactions have one CRC and name different children (R8).
 */
uint32_t cdx_node_crc(const struct cdx_super *super, const struct cdx_disk_node *node, size_t used);
/* Whether grains [start, start + count) lie between head and tail region. */
static inline bool cdx_super_allocatable(const struct cdx_super *super, uint64_t start, uint64_t count)
{
	uint64_t low = super->head_grains, high = super->grains - super->head_grains;

	return count && start >= low && start < high && count <= high - start;
}
/* Whether a limbo entry covers whole aligned blocks, as a DROP must: what it drops is data. */
bool cdx_super_limbo_whole(const struct cdx_super *super, const struct cdx_disk_limbo *limbo);

#endif
