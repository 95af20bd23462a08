/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extents (FORMAT 8), wherever they are: a file's, and what limbo and staging hold. */
#ifndef CDX_CHECK_EXTENT_H
#define CDX_CHECK_EXTENT_H

#include "check/tree.h"

/*
 * Over an extent tree.  The walk's arg, which may be NULL, is a set of events
 * that takes in what is mapped and not unwritten.
 */
extern const struct cdx_walk_ops cdx_extent_walk_ops;

struct cdx_file_extents {
	const struct cdx_disk_inode *disk;
	const void *value;		/* what follows the inode: inline extents or a reference */
	uint64_t inode;
	uint32_t leaf;			/* index of the node that the inode is in */
	bool directory;
	struct cdx_event_set *mapped;	/* as the walk's arg */
};
/* The extents of one inode, whose layout and length fit. */
int cdx_check_file_extents(struct cdx_check *ck, const struct cdx_file_extents *file);
/* Counts extents and shared ones, when all have been met and sorted. */
void cdx_check_count_shared(struct cdx_check *ck);

#endif
