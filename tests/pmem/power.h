/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power cuts.  A guest works on an image in each kind of mapping, on emulated persistent
 * memory, and is killed at any moment; then the host looks into the files behind the DIMMs.
 * What must be there is in the storm's journal (see ../storm/storm.h), one for each image,
 * which lies on a DIMM of its own: acknowledging is a store, which the cut divides exactly
 * from all later ones.  The next cut goes on with the same images.
 *
 * Killing QEMU loses the guest's page cache, so that there what has not been synced is
 * gone.  Stores to a DIMM are all kept, flushed or not: cache lines that were lost are
 * simulated by tests/crash.
 */
#ifndef POWER_H
#define POWER_H

#include "../storm/storm.h"

#define IMAGES 3		/* device DAX, MAP_SYNC, page cache */
#define ACTIVE 3		/* workers of an image */

/* What was found after a cut. */
struct tally {
	uint64_t done, refused;		/* since the images were made */
	uint64_t whole, absent;		/* of what was in flight at all cuts */
	uint64_t shared;		/* acknowledged writes to the shared file */
	uint64_t shared_in_flight;	/* at this cut, until it is judged */
};

/* The @index-th of the journals, which lie one after the other. */
struct journal *journal_of(void *journals, unsigned int index);
/* Bytes of all journals, a multiple of 2 MiB. */
size_t journals_size(void);

/* ---- power_judge.c ---- */

/*
 * All must be as the journal says, nothing else there, and the image clean.  Nothing is
 * stored to it.
 */
void judge_image(struct storm *storm, uint64_t fs_offset);
/* @storm as it is, judged or not. */
struct tally tally_of(const struct storm *storm);

/* ---- power_load.c: in the guest ---- */

/* power work SEED JOURNALS IMAGE...: until the power is cut. */
_Noreturn void work(int argc, char **argv);

/* ---- power_guest.c: one life of it ---- */

enum dimm { JOURNAL_DIMM, DEVICE_DIMM, XFS_DIMM, BLOCK_DIMM, DIMMS };

struct guest {
	const char *folder;		/* for its files */
	char dimm[DIMMS][512];
	uint64_t extent;		/* where on the XFS its image lies, bytes */
};

struct moment {
	uint64_t commands;		/* acknowledged since the guest was ready... */
	long nanoseconds;		/* ...and so much later the power is cut */
};

/* Run the guest until then.  @arguments are the job's. */
void run_guest(struct guest *guest, const char *arguments, const struct moment *cut);

#endif
