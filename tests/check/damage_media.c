/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pass 1: superblocks and commit slots. */
#include <string.h>

#include "base/crc32c.h"
#include "damage.h"

static struct cdx_disk_super *super_at(struct image *image, bool backup)
{
	return (void *)(image->bytes + (backup ? image->super.size - CDX_SUPER_SIZE : 0));
}

static void seal_super(struct cdx_disk_super *super)
{
	super->crc = put32(cdx_crc32c(0, super, offsetof(struct cdx_disk_super, crc)));
}

static void nothing(struct image *image)
{
	(void)image;
}

/* What sealing does to a good image: nothing. */
static void only_seal(struct image *image)
{
	image_seal(image);
}

static void super_primary(struct image *image)
{
	super_at(image, false)->label[0] ^= 1;
}

static void super_backup(struct image *image)
{
	super_at(image, true)->label[0] ^= 1;
}

static void super_differ(struct image *image)
{
	super_at(image, true)->label[0] ^= 1;
	seal_super(super_at(image, true));
}

static void super_reserved(struct image *image)
{
	super_at(image, false)->reserved[0] = 1;
	seal_super(super_at(image, false));
	*super_at(image, true) = *super_at(image, false);
}

static void super_rest(struct image *image)
{
	image->bytes[CDX_SUPER_SIZE - 1] = 1;
}

static void truncated(struct image *image)
{
	image->size -= image->super.block_size;
}

static void spoil(struct image *image, bool older, bool mirror)
{
	image_slot(image, image_parity(image) ^ older, mirror)->magic = put32(0);
}

static void slot_none(struct image *image)
{
	spoil(image, false, false);
	spoil(image, false, true);
	spoil(image, true, false);
	spoil(image, true, true);
}

static void slot_differ(struct image *image)
{
	struct cdx_disk_commit *mirror = image_slot(image, image_parity(image), true);

	add64(&mirror->next_nonce, 1);
	cdx_slot_seal(&image->super, mirror, get32(mirror->length));
}

static void slot_primary(struct image *image)
{
	spoil(image, false, false);
}

/* A writer's own primary holds what came before its newest mirror. */
static void slot_primary_old(struct image *image)
{
	struct cdx_disk_commit *primary = image_slot(image, !image_parity(image), false);

	add64(&primary->transaction, (uint64_t)-2);
	cdx_slot_seal(&image->super, primary, get32(primary->length));
}

static void slot_older(struct image *image)
{
	spoil(image, true, false);
	spoil(image, true, true);
}

static void slot_mirror(struct image *image)
{
	spoil(image, false, true);
}

static void slot_older_mirror(struct image *image)
{
	spoil(image, true, true);
}

static void slot_torn(struct image *image)
{
	spoil(image, true, false);
}

static void record_reserved(struct image *image)
{
	image->record->reserved1 = put32(1);
	image_seal(image);
}

static void record_snapshots(struct image *image)
{
	image->record->snapshots.level = 1;
	image_seal(image);
}

static void lose_trees(struct image *image)
{
	image->cut = 16384;
}

static void lose_tail(struct image *image)
{
	struct cdx_disk_extent *extent = inline_extents(inode_at(image, "one"));
	uint64_t end = get64(extent->disk_block) + get32(extent->count);

	image->cut = (end - 1) << image->super.block_shift;
}

static void lose_mirrors(struct image *image)
{
	image->cut = image->super.size - image->super.block_size;
}

const struct damage media_damages[] = {
	{NULL, "nothing, plain", PLAIN, nothing, AS_IS, NULL},
	{NULL, "nothing, deep", DEEP, nothing, AS_IS, NULL},
	{NULL, "sealing, plain", PLAIN, only_seal, AS_IS, NULL},
	{NULL, "sealing, deep", DEEP, only_seal, AS_IS, NULL},
	{"super-primary", "superblock damaged", PLAIN, super_primary, AS_IS, NULL},
	{"super-primary", "superblock damaged, backup believed", PLAIN, super_primary, BACKUP,
	 NULL},
	{NULL, "nothing, backup believed", PLAIN, nothing, BACKUP, NULL},
	{NULL, "nothing, at an offset", PLAIN, nothing, AT_OFFSET, NULL},
	{"super-backup", "backup superblock damaged", PLAIN, super_backup, AS_IS, NULL},
	{"super-differ", "backup superblock of another label", PLAIN, super_differ, AS_IS, NULL},
	{"reserved-field", "reserved bytes of both superblocks", PLAIN, super_reserved, AS_IS,
	 NULL},
	{"reserved-field", "bytes after the superblock", PLAIN, super_rest, AS_IS, NULL},
	{"truncated", "image cut by a block", PLAIN, truncated, AS_IS, NULL},
	{"slot-none", "all four slots void", PLAIN, slot_none, AS_IS, NULL},
	{"slot-differ", "mirror of another content", PLAIN, slot_differ, AS_IS, NULL},
	{"slot-primary", "newest slot void, its mirror whole", PLAIN, slot_primary, AS_IS, NULL},
	{"slot-primary", "older slot behind its mirror", PLAIN, slot_primary_old, AS_IS, NULL},
	{"slot-older", "older slot void, and its mirror", PLAIN, slot_older, AS_IS, NULL},
	{"slot-mirror", "newest mirror void", PLAIN, slot_mirror, AS_IS, NULL},
	{"slot-mirror", "older mirror void", PLAIN, slot_older_mirror, AS_IS, NULL},
	{"slot-torn", "older slot void", PLAIN, slot_torn, AS_IS, NULL},
	{"reserved-field", "reserved bytes of the record", PLAIN, record_reserved, AS_IS, NULL},
	{"reserved-field", "snapshots reference", PLAIN, record_snapshots, AS_IS, NULL},
	{"media-error", "trees cannot be read", PLAIN, lose_trees, LOSE_MEDIA, NULL},
	{"media-error", "end of a file cannot be read", PLAIN, lose_tail, LOSE_MEDIA, "/one"},
	{"media-error", "mirrors cannot be read", PLAIN, lose_mirrors, LOSE_SLOTS, NULL},
	{0},
};
