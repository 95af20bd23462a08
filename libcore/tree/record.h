/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commit record (FORMAT 4) in DRAM, and finding the newest one. */
#ifndef CDX_RECORD_H
#define CDX_RECORD_H

#include "tree/node.h"

/* Limits for what is written; in DRAM the lists may be longer for a while. */
#define CDX_MAX_RECORD_RUNS 128		/* pool and window together */
#define CDX_MAX_RECORD_LIMBO \
	((CDX_SLOT_SIZE - sizeof(struct cdx_disk_commit) - \
	  CDX_MAX_RECORD_RUNS * sizeof(struct cdx_disk_run) - \
	  CDX_MAX_AMENDS * sizeof(struct cdx_disk_amend)) / sizeof(struct cdx_disk_limbo))

struct cdx_run { uint64_t start, count; };	/* grains */

/* Runs of grains, disjoint and apart, in ascending order. */
struct cdx_runs {
	struct cdx_run *run;
	size_t n, room;
	uint64_t grains;		/* their sum */
	uint64_t least;			/* no run is shorter */
};

struct cdx_limbo_entry {
	uint64_t transaction;
	uint64_t address;		/* grains */
	uint64_t count;			/* RUN, DROP: grains */
	uint32_t crc;			/* TREE */
	uint8_t type, kind, level;
};

struct cdx_limbo_list {
	struct cdx_limbo_entry *entry;
	size_t n, room;
};

struct cdx_record {
	uint64_t transaction, next_inode, inodes, free_grains, next_nonce, orphans;
	uint64_t limbo_grains, staged_blocks, trimmed;
	uint64_t unwritten_blocks, unwritten_extents;
	struct cdx_ref fs, space, limbo, staging;
	struct cdx_runs pool, window;
	struct cdx_limbo_list list;
};

/* Let the lists of @to have room for those of @from, so that copying cannot fail. */
int cdx_record_make_room(struct cdx_record *to, const struct cdx_record *from);
/* All of it, or -ENOMEM and nothing changed. */
int cdx_record_copy(struct cdx_record *to, const struct cdx_record *from);
void cdx_record_exit(struct cdx_record *record);

/* Add a run, joined to a neighbour when there is one.  -EUCLEAN when it overlaps. */
int cdx_runs_add(struct cdx_runs *runs, uint64_t start, uint64_t count);
void cdx_runs_remove(struct cdx_runs *runs, size_t index);
/* Take the first @count grains off a run that has at least as many. */
void cdx_runs_cut(struct cdx_runs *runs, size_t index, uint64_t count);
int cdx_limbo_list_add(struct cdx_limbo_list *list, const struct cdx_limbo_entry *entry);
void cdx_limbo_list_remove(struct cdx_limbo_list *list, size_t index);

/* Decode a valid slot; -EUCLEAN when it points where nothing can be. */
int cdx_record_decode(struct cdx_record *record, const struct cdx_super *super,
		      const struct cdx_disk_commit *slot);
/* The same in two steps: all but the lists, which are empty then; and these, which they are if it fails. */
int cdx_record_decode_roots(struct cdx_record *record, const struct cdx_super *super,
			    const struct cdx_disk_commit *slot);
int cdx_record_decode_lists(struct cdx_record *record, const struct cdx_super *super,
			    const struct cdx_disk_commit *slot);
/* Encode and seal, with @amends (NULL: none); the lists are within the limits.  Returns the length. */
size_t cdx_record_encode(const struct cdx_record *record, const struct cdx_amends *amends,
			 const struct cdx_super *super, struct cdx_disk_commit *slot);

void cdx_limbo_encode(const struct cdx_limbo_entry *entry, struct cdx_disk_limbo *disk);
/* Decode an entry of transaction @newest or before; -EUCLEAN when it cannot be that. */
int cdx_limbo_decode_checked(struct cdx_limbo_entry *entry, const struct cdx_disk_limbo *disk,
			     const struct cdx_super *super, uint64_t newest);

/* A slot as it lies on media. */
union cdx_slot {
	struct cdx_disk_commit commit;
	unsigned char bytes[CDX_SLOT_SIZE];
};
/* All four copies; valid[parity][mirror]. */
struct cdx_slots {
	union cdx_slot copy[2][2];
	bool valid[2][2];
};
int cdx_slots_read(const struct cdx_pmem *pm, const struct cdx_super *super, struct cdx_slots *slots);
/* The newest valid copy, NULL when there is none. */
const union cdx_slot *cdx_slots_newest(const struct cdx_slots *slots);

/*
 * The same for less, where nothing is odd: for readers, who store nothing.  First the number
 * that the newest commit has if it is whole, then its record.  What they tell is what
 * cdx_slots_newest() would have, or was committed meanwhile; or they tell nothing (false), and
 * only cdx_slots_read() can say why.
 */
bool cdx_slots_peek(const struct cdx_pmem *pm, const struct cdx_super *super, uint64_t *number);
/* *slot is filled in up to its length; without a meaning when this is false. */
bool cdx_slots_fetch(const struct cdx_pmem *pm, const struct cdx_super *super, uint64_t number,
		     union cdx_slot *slot);

#endif
