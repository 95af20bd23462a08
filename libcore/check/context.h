/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every pass of the checker has: the image, what is known of its newest
 * commit, and where findings go.
 *
 * The checker judges independently: of the layers that change images it uses
 * nothing but the structures and the geometry (tree/ondisk.h, tree/super.h).  A
 * pass has a header of its own, which only check.c includes; what passes share
 * stands above them all in libcore/Makemodule.am: this, the trees (tree.h), the
 * extents in them (extent.h), the files found (files.h).
 */
#ifndef CDX_CHECK_CONTEXT_H
#define CDX_CHECK_CONTEXT_H

#include "check/problem.h"
#include "tree/super.h"

#define CDX_NONE UINT32_MAX		/* no index into a table */

struct cdx_trees;
struct cdx_held_finding;

struct cdx_check {
	const struct cowdax_check_options *options;
	struct cdx_device device;
	struct cdx_super super;
	union {
		struct cdx_disk_commit record;	/* the newest; its lists follow it */
		unsigned char slot[CDX_SLOT_SIZE];
	};
	uint64_t transaction;
	struct cowdax_check_summary summary;
	struct cdx_trees *trees;
	bool in_space;			/* what is reported now is of the space tree */
	bool beyond;			/* there is damage that neither copies nor a recount mend */

	/* A path to an inode, to be freed; NULL when there is none. */
	char *(*path)(void *path_arg, uint64_t inode);
	void *path_arg;
	struct cdx_held_finding *held;	/* findings kept until their paths are known; or NULL */
	size_t held_count;
};

void cdx_report(struct cdx_check *ck, enum cdx_problem problem, const struct cdx_finding *finding);
/* From hold to release, findings wait for the names that lead to their inodes. */
int cdx_report_hold(struct cdx_check *ck);
void cdx_report_release(struct cdx_check *ck);
void cdx_check_progress(struct cdx_check *ck, int pass, uint64_t current, uint64_t maximum);

static inline void cdx_report_inode(struct cdx_check *ck, enum cdx_problem problem, uint64_t inode)
{
	cdx_report(ck, problem, &(struct cdx_finding){.inode = inode});
}

/* Bytes that may be anything. */
bool cdx_all_zero(const void *bytes, size_t length);

#endif
