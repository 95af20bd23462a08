// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pass 1: superblocks and commit slots (FORMAT 2 and 4).
 *
 * What a crash at any store may leave of the four slot copies, N being the
 * newest valid transaction: its primary is whole, since the primary is durable
 * before the mirror is stored; its mirror is whole, old or torn.  Of the other
 * slot, which held N - 1 in both copies when N was committed, the primary may
 * be torn by the writer of N + 1, the mirror is whole.  Anything else is damage.
 */
#include "check/media.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define STABLE_TRIES 100

/* ---- superblocks ------------------------------------------------------------ */

struct super_copy {
	unsigned char bytes[CDX_SUPER_SIZE];
	struct cdx_super super;
	struct cowdax_error error;
	int ret;			/* 0: valid */
};

static void load_super(struct cdx_check *ck, uint64_t offset, const char *path,
		       struct super_copy *copy)
{
	struct cdx_disk_super disk;

	memset(copy, 0, sizeof(*copy));
	copy->ret = cdx_device_pread(&ck->device, offset, copy->bytes, sizeof(copy->bytes));
	if (copy->ret == -ENODATA)
		copy->ret = cdx_error(&copy->error, -EINVAL,
				      "%s: not a cowdax filesystem (too short)", path);
	if (copy->ret) {
		cdx_error_errno(&copy->error, copy->ret, path);
		return;
	}
	memcpy(&disk, copy->bytes, sizeof(disk));
	copy->ret = cdx_super_decode(&copy->super, &disk, path, &copy->error);
}

/* The backup lies at the filesystem's end, which without a primary has to be found (FORMAT 2.1). */
static void load_backup(struct cdx_check *ck, const char *path, const struct super_copy *primary,
			struct super_copy *backup)
{
	uint64_t end = primary->super.size;
	struct cdx_super found;

	if (primary->ret) {
		backup->ret = cdx_super_find_backup(&ck->device, &found);
		if (backup->ret) {
			backup->ret = cdx_error(&backup->error, -EINVAL, "%s: has no backup superblock whose "
						"commit slots are its own", path);
			return;
		}
		end = found.size;
	}
	load_super(ck, end - CDX_SUPER_SIZE, path, backup);
	if (backup->ret == 0 && backup->super.size != end)
		backup->ret = cdx_error(&backup->error, -EUCLEAN,
					"%s: backup superblock is of another size", path);
}

static void check_super_reserved(struct cdx_check *ck, const struct super_copy *copy)
{
	const struct cdx_disk_super *disk = (const void *)copy->bytes;

	if (copy->ret)
		return;
	if (get32(disk->reserved0) || !cdx_all_zero(disk->reserved, sizeof(disk->reserved)) ||
	    !cdx_all_zero(copy->bytes + sizeof(*disk), sizeof(copy->bytes) - sizeof(*disk)))
		cdx_report(ck, CDX_P_RESERVED_FIELD, &(struct cdx_finding){.grains = 1});
}

static int judge_supers(struct cdx_check *ck, const char *path, const struct super_copy *primary,
			const struct super_copy *backup, struct cowdax_error *error)
{
	const struct super_copy *chosen =
		ck->options->backup_super || primary->ret ? backup : primary;

	/* A whole superblock of a version that is not known here is not damage. */
	if (primary->ret == -ENOTSUP && !ck->options->backup_super)
		chosen = primary;
	if (chosen->ret) {
		if (!ck->options->backup_super)
			chosen = primary;
		if (error)
			*error = chosen->error;
		return chosen->ret;
	}
	if (chosen == backup && cdx_super_check_slots(&ck->device, &backup->super))
		return cdx_error(error, -EUCLEAN, "%s: the backup superblock is not that of the commit slots",
				 path);
	ck->super = chosen->super;
	if (ck->super.size > ck->device.size) {
		cdx_report(ck, CDX_P_TRUNCATED, &(struct cdx_finding){
			.compared = true, .found = ck->device.size, .expected = ck->super.size});
		return 0;
	}
	if (primary->ret)
		cdx_report(ck, CDX_P_SUPER_PRIMARY, &(struct cdx_finding){.grains = 1});
	else if (backup->ret)
		cdx_report(ck, CDX_P_SUPER_BACKUP, &(struct cdx_finding){
			.grain = ck->super.grains - 1, .grains = 1});
	else if (memcmp(primary->bytes, backup->bytes, sizeof(struct cdx_disk_super)) != 0)
		cdx_report(ck, CDX_P_SUPER_DIFFER, &(struct cdx_finding){.grains = 1});
	check_super_reserved(ck, primary);
	check_super_reserved(ck, backup);
	return 0;
}

static int check_supers(struct cdx_check *ck, const char *path, struct cowdax_error *error)
{
	struct super_copy *copies = malloc(2 * sizeof(*copies));
	int ret;

	if (!copies)
		return -ENOMEM;
	load_super(ck, 0, path, &copies[0]);
	load_backup(ck, path, &copies[0], &copies[1]);
	ret = judge_supers(ck, path, &copies[0], &copies[1], error);
	free(copies);
	return ret;
}

/* ---- slots -------------------------------------------------------------------- */

/* Mirrors come first: read in this order, none is newer than its primary while commits go on. */
enum { MIRROR, PRIMARY };

struct slot_copies {
	struct {
		union {
			struct cdx_disk_commit record;
			unsigned char bytes[CDX_SLOT_SIZE];
		};
		bool valid;
		bool failed;		/* the media cannot be read */
	} copy[2][2];			/* [MIRROR or PRIMARY][parity] */
	uint64_t newest;
};

static uint64_t copy_transaction(const struct slot_copies *slots, int which, int parity)
{
	return get64(slots->copy[which][parity].record.transaction);
}

static bool copy_holds(const struct slot_copies *slots, int which, uint64_t transaction)
{
	int parity = transaction & 1;

	return slots->copy[which][parity].valid &&
	       copy_transaction(slots, which, parity) == transaction;
}

/* False when no copy is valid. */
static bool read_slots(struct cdx_check *ck, struct slot_copies *slots)
{
	bool any = false;

	memset(slots, 0, sizeof(*slots));
	for (int which = MIRROR; which <= PRIMARY; which++) {
		for (int parity = 0; parity < 2; parity++) {
			uint64_t offset = cdx_slot_offset(&ck->super, parity, which == MIRROR);
			unsigned char *bytes = slots->copy[which][parity].bytes;

			if (cdx_pmem_read(&ck->device.pm, offset, bytes, CDX_SLOT_SIZE)) {
				slots->copy[which][parity].failed = true;
				continue;
			}
			if (!cdx_slot_valid(&ck->super, &slots->copy[which][parity].record, parity))
				continue;
			slots->copy[which][parity].valid = true;
			if (!any || copy_transaction(slots, which, parity) > slots->newest)
				slots->newest = copy_transaction(slots, which, parity);
			any = true;
		}
	}
	return any;
}

static bool same_slots(const struct slot_copies *a, const struct slot_copies *b)
{
	for (int i = 0; i < 4; i++) {
		if (memcmp(a->copy[i / 2][i % 2].bytes, b->copy[i / 2][i % 2].bytes,
			   CDX_SLOT_SIZE) != 0)
			return false;
	}
	return true;
}

/*
 * Read the slots until they hold still, under a reader epoch (FORMAT 11), so
 * that what the newest names stays as it is.  The lock goes with the device;
 * where it cannot be had, nothing that writes could have one either.
 */
static bool read_slots_stable(struct cdx_check *ck, struct slot_copies pair[2])
{
	bool any = read_slots(ck, &pair[0]);
	uint64_t epoch = pair[0].newest;

	if (any)
		cdx_device_lock(&ck->device, ck->device.lock.readers + epoch, 1, false, false);
	for (int try = 0; try < STABLE_TRIES; try++) {
		any = read_slots(ck, &pair[0]);
		read_slots(ck, &pair[1]);
		if (same_slots(&pair[0], &pair[1]) && (!any || pair[0].newest >= epoch))
			break;
	}
	return any;
}

static void report_slot(struct cdx_check *ck, enum cdx_problem problem, int which, int parity)
{
	uint64_t offset = cdx_slot_offset(&ck->super, parity, which == MIRROR);

	cdx_report(ck, problem, &(struct cdx_finding){
		.grain = offset >> ck->super.grain_shift, .grains = 1});
}

static void check_slot_copies(struct cdx_check *ck, const struct slot_copies *slots)
{
	for (int parity = 0; parity < 2; parity++) {
		uint64_t transaction = copy_transaction(slots, PRIMARY, parity);

		for (int which = MIRROR; which <= PRIMARY; which++) {
			if (slots->copy[which][parity].failed)
				report_slot(ck, CDX_P_MEDIA_ERROR, which, parity);
		}
		if (!copy_holds(slots, PRIMARY, transaction) ||
		    !copy_holds(slots, MIRROR, transaction))
			continue;
		if (memcmp(slots->copy[PRIMARY][parity].bytes, slots->copy[MIRROR][parity].bytes,
			   get32(slots->copy[PRIMARY][parity].record.length)) != 0)
			report_slot(ck, CDX_P_SLOT_DIFFER, PRIMARY, parity);
	}
}

/* A copy does not hold what it should.  One that cannot be read has been reported as that. */
static void report_lost(struct cdx_check *ck, const struct slot_copies *slots,
			enum cdx_problem problem, int which, int parity)
{
	if (!slots->copy[which][parity].failed)
		report_slot(ck, problem, which, parity);
}

static void check_newest(struct cdx_check *ck, const struct slot_copies *slots)
{
	int parity = slots->newest & 1;

	if (!copy_holds(slots, PRIMARY, slots->newest))
		report_lost(ck, slots, CDX_P_SLOT_PRIMARY, PRIMARY, parity);
	else if (!copy_holds(slots, MIRROR, slots->newest))
		report_lost(ck, slots, CDX_P_SLOT_MIRROR, MIRROR, parity);
}

static void check_older(struct cdx_check *ck, const struct slot_copies *slots)
{
	uint64_t older = slots->newest - 1;
	int parity = older & 1;
	bool primary, mirror;

	if (slots->newest <= CDX_FIRST_TRANSACTION)
		return;
	primary = copy_holds(slots, PRIMARY, older);
	mirror = copy_holds(slots, MIRROR, older);
	if (!primary && !mirror)
		report_lost(ck, slots, CDX_P_SLOT_OLDER, PRIMARY, parity);
	else if (!mirror)
		report_lost(ck, slots, CDX_P_SLOT_MIRROR, MIRROR, parity);
	else if (!primary && slots->copy[PRIMARY][parity].valid)
		report_lost(ck, slots, CDX_P_SLOT_PRIMARY, PRIMARY, parity);
	else if (!primary)
		report_lost(ck, slots, CDX_P_SLOT_TORN, PRIMARY, parity);
}

static void check_record_reserved(struct cdx_check *ck)
{
	const struct cdx_disk_commit *record = &ck->record;
	bool zero = !get32(record->reserved1) &&
		    cdx_all_zero(&record->snapshots, sizeof(record->snapshots));

	if (!zero)
		report_slot(ck, CDX_P_RESERVED_FIELD, PRIMARY, ck->transaction & 1);
}

static int check_slots(struct cdx_check *ck, bool *go_on)
{
	struct slot_copies *pair = malloc(2 * sizeof(*pair));
	int which, parity;

	if (!pair)
		return -ENOMEM;
	*go_on = read_slots_stable(ck, pair);
	if (!*go_on) {
		cdx_report(ck, CDX_P_SLOT_NONE, &(struct cdx_finding){0});
		goto out;
	}
	check_slot_copies(ck, pair);
	check_newest(ck, pair);
	check_older(ck, pair);
	parity = pair->newest & 1;
	which = copy_holds(pair, PRIMARY, pair->newest) ? PRIMARY : MIRROR;
	memcpy(ck->slot, pair->copy[which][parity].bytes, sizeof(ck->slot));
	ck->transaction = pair->newest;
	check_record_reserved(ck);
out:
	free(pair);
	return 0;
}

int cdx_check_media(struct cdx_check *ck, const char *path, bool *go_on, struct cowdax_error *error)
{
	int ret;

	*go_on = false;
	cdx_check_progress(ck, 1, 0, 2);
	ret = check_supers(ck, path, error);
	if (ret || ck->super.size > ck->device.size)
		return ret;
	ret = cdx_device_map(&ck->device, path, ck->super.size, error);
	if (ret)
		return ret;
	cdx_check_progress(ck, 1, 1, 2);
	ret = check_slots(ck, go_on);
	cdx_check_progress(ck, 1, 2, 2);
	return ret;
}
