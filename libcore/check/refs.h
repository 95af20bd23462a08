/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting the pointers to every grain (I3).  Each pointer met is an event in
 * a flat array; sorted, they are swept along the runs of the space tree.
 */
#ifndef CDX_CHECK_REFS_H
#define CDX_CHECK_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CDX_NO_OWNER UINT32_MAX

/* Who points.  What one kind holds, certain others must not. */
enum cdx_ref_class {
	CDX_REF_NODE,		/* a node, an inode or the record, to a node */
	CDX_REF_SPACE,		/* the same, to one of the space tree's own */
	CDX_REF_DATA,		/* an extent, to blocks */
	CDX_REF_LIMBO,		/* a RUN or TREE of limbo, to grains that nothing else points to */
	CDX_REF_DROP,		/* a DROP of limbo, to data */
	CDX_REF_RESERVE,	/* the record, to its pool and window */
	CDX_REF_REGION,		/* the superblock, to head and tail region */
	CDX_REF_CLASSES
};

struct cdx_event {
	uint64_t start;		/* grains */
	uint32_t count;		/* units of 1 << shift grains, not 0 */
	uint32_t owner;		/* the caller's */
};

struct cdx_event_set {
	struct cdx_event *events;
	uint64_t *ends;		/* once sorted */
	size_t count, capacity;
	size_t started, ended;	/* how many the sweep has passed */
	unsigned int shift;
};

struct cdx_refs {
	struct cdx_event_set set[CDX_REF_CLASSES];
};

/* Append a stretch of @count units from grain @start on; 0 or -ENOMEM. */
int cdx_events_add(struct cdx_event_set *set, uint64_t start, uint64_t count, uint32_t owner);
/* By ascending start; 0 or -ENOMEM. */
int cdx_events_sort(struct cdx_event_set *set);
/* The grain after the last one of event @index. */
uint64_t cdx_event_end(const struct cdx_event_set *set, size_t index);

/* Make room for one more of @size bytes in an array of @count; 0 or -ENOMEM. */
int cdx_array_grow(void *array, size_t *capacity, size_t count, size_t size);

void cdx_refs_init(struct cdx_refs *refs, unsigned int grains_per_block_shift);
void cdx_refs_exit(struct cdx_refs *refs);
/* A pointer to @count units (blocks for DATA, else grains) from grain @start on; 0 or -ENOMEM. */
int cdx_refs_add(struct cdx_refs *refs, enum cdx_ref_class class, uint64_t start, uint64_t count,
		 uint32_t owner);
/* No more will come. */
int cdx_refs_sort(struct cdx_refs *refs);
/*
 * The pointers to grain @at by class, and in *@next the first grain above @at
 * where any of them changes.  Must be called with ascending @at.
 */
void cdx_refs_sweep(struct cdx_refs *refs, uint64_t at, uint64_t depth[CDX_REF_CLASSES],
		    uint64_t *next);
/* An owner of data at @at, the grain last swept to, if one is close by. */
uint32_t cdx_refs_data_owner(const struct cdx_refs *refs, uint64_t at);
/* Whether data event @index shares a grain with another one. */
bool cdx_refs_data_overlaps(const struct cdx_refs *refs, size_t index, uint64_t *furthest);

#endif
