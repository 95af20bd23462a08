// SPDX-License-Identifier: LGPL-2.1-or-later
/* Pass 3: names against inodes, and the way from each directory to the root (FORMAT 9). */
#include "check/dir.h"

#define PROGRESS_STEP 4096

static void report_compared(struct cdx_check *ck, enum cdx_problem problem, uint64_t inode,
			    uint64_t found, uint64_t expected)
{
	if (found != expected)
		cdx_report(ck, problem, &(struct cdx_finding){
			.inode = inode, .compared = true, .found = found, .expected = expected});
}

/* ---- names ----------------------------------------------------------------------- */

static uint64_t directory_number(const struct cdx_files *files, const struct cdx_seen_name *name)
{
	return name->directory == CDX_NONE ? 0 : files->inodes[name->directory].inode;
}

/* One name leads to @inode: count it, and keep the one to make paths of. */
static void link_name(struct cdx_files *files, uint32_t index, struct cdx_seen_inode *inode)
{
	const struct cdx_seen_name *name = &files->names[index];
	bool directory = inode->flags & CDX_INODE_DIRECTORY;

	inode->names++;
	if (inode->name == CDX_NONE)
		inode->name = index;
	if (name->directory == CDX_NONE)
		return;
	if (directory)
		files->inodes[name->directory].subdirectories++;
	if (directory && inode->parent == files->inodes[name->directory].inode) {
		inode->flags |= CDX_INODE_PARENT_OK;
		inode->name = index;
	}
}

static void link_names(struct cdx_files *files)
{
	for (size_t i = 0; i < files->name_count; i++) {
		const struct cdx_seen_name *name = &files->names[i];
		struct cdx_seen_inode *inode = cdx_files_find(files, name->target);

		if (name->directory != CDX_NONE)
			files->inodes[name->directory].entries++;
		if (inode)
			link_name(files, (uint32_t)i, inode);
	}
}

static void judge_targets(struct cdx_check *ck, const struct cdx_files *files)
{
	for (size_t i = 0; i < files->name_count; i++) {
		const struct cdx_seen_name *name = &files->names[i];
		const struct cdx_seen_inode *inode = cdx_files_find(files, name->target);

		if (!inode && !files->incomplete)
			cdx_report(ck, CDX_P_DIRENT_DANGLING, &(struct cdx_finding){
				.inode = directory_number(files, name),
				.compared = true, .found = name->target, .expected = UINT64_MAX});
		if (inode && !(inode->flags & CDX_INODE_BAD))
			report_compared(ck, CDX_P_DIRENT_TYPE, inode->inode, name->type,
					inode->type);
	}
}

/* ---- orphans --------------------------------------------------------------------- */

static void mark_orphans(const struct cdx_files *files)
{
	for (size_t i = 0; i < files->orphan_count; i++) {
		struct cdx_seen_inode *inode = cdx_files_find(files, files->orphans[i]);

		if (inode)
			inode->flags |= CDX_INODE_REMOVED;
	}
}

/* FORMAT 9.3: an orphan is a directory that no name leads to. */
static void judge_orphans(struct cdx_check *ck, const struct cdx_files *files)
{
	for (size_t i = 0; i < files->orphan_count; i++) {
		const struct cdx_seen_inode *inode = cdx_files_find(files, files->orphans[i]);

		if (!inode || !(inode->flags & CDX_INODE_DIRECTORY))
			cdx_report_inode(ck, CDX_P_ORPHAN_MISSING, files->orphans[i]);
		else if (inode->names || inode->inode == COWDAX_ROOT_INODE)
			cdx_report_inode(ck, CDX_P_ORPHAN_LINKED, files->orphans[i]);
	}
}

/* ---- inodes ---------------------------------------------------------------------- */

static void judge_directory(struct cdx_check *ck, const struct cdx_files *files,
			    const struct cdx_seen_inode *inode)
{
	bool root = inode->inode == COWDAX_ROOT_INODE;

	report_compared(ck, CDX_P_DIR_SIZE, inode->inode, inode->size, inode->entries);
	report_compared(ck, CDX_P_INODE_LINKS, inode->inode, inode->nlink,
			(uint64_t)inode->subdirectories + 2);
	if (inode->names > !root)
		cdx_report_inode(ck, CDX_P_DIR_LINKS, inode->inode);
	if (root)
		report_compared(ck, CDX_P_INODE_PARENT, inode->inode, inode->parent,
				COWDAX_ROOT_INODE);
	else if (!inode->names && (inode->flags & CDX_INODE_REMOVED))
		report_compared(ck, CDX_P_INODE_PARENT, inode->inode, inode->parent, 0);
	else if (inode->names && !(inode->flags & CDX_INODE_PARENT_OK))
		report_compared(ck, CDX_P_INODE_PARENT, inode->inode, inode->parent,
				directory_number(files, &files->names[inode->name]));
}

static void judge_inode_links(struct cdx_check *ck, const struct cdx_files *files,
			      const struct cdx_seen_inode *inode)
{
	if (inode->flags & CDX_INODE_ABSENT)
		return;
	if (inode->names == 0 && inode->inode != COWDAX_ROOT_INODE &&
	    !(inode->flags & CDX_INODE_REMOVED))
		cdx_report_inode(ck, CDX_P_INODE_ORPHAN, inode->inode);
	if (inode->flags & CDX_INODE_BAD)
		return;
	if (inode->flags & CDX_INODE_DIRECTORY) {
		judge_directory(ck, files, inode);
		return;
	}
	if (inode->names)
		report_compared(ck, CDX_P_INODE_LINKS, inode->inode, inode->nlink, inode->names);
	report_compared(ck, CDX_P_INODE_PARENT, inode->inode, inode->parent, 0);
}

/* ---- reaching the root -------------------------------------------------------------- */

/* Climb until it is known how the way ends, then note it for all on the way. */
static void climb(const struct cdx_files *files, struct cdx_seen_inode *start)
{
	const uint8_t known = CDX_INODE_CLIMBING | CDX_INODE_CONNECTED | CDX_INODE_DETACHED;
	struct cdx_seen_inode *at = start, *next;
	uint16_t end;

	while (!(at->flags & known) && (next = cdx_files_above(files, at))) {
		at->flags |= CDX_INODE_CLIMBING;
		at = next;
	}
	if (at->flags & (CDX_INODE_CONNECTED | CDX_INODE_DETACHED)) {
		end = at->flags & (CDX_INODE_CONNECTED | CDX_INODE_DETACHED);
	} else {
		end = at->inode == COWDAX_ROOT_INODE ? CDX_INODE_CONNECTED : CDX_INODE_DETACHED;
		if (at->flags & CDX_INODE_CLIMBING)
			at->flags |= CDX_INODE_LOOP;
		at->flags |= end;
	}
	for (at = start; at && (at->flags & CDX_INODE_CLIMBING); at = cdx_files_above(files, at)) {
		at->flags &= (uint16_t)~CDX_INODE_CLIMBING;
		at->flags |= end;
	}
}

/* ---- the pass ------------------------------------------------------------------------ */

int cdx_check_directories(struct cdx_check *ck, struct cdx_files *files)
{
	struct cdx_seen_inode *root = &files->inodes[0];

	cdx_check_progress(ck, 3, 0, files->inode_count);
	link_names(files);
	mark_orphans(files);
	for (size_t i = 0; i < files->inode_count; i++)
		climb(files, &files->inodes[i]);
	cdx_report_release(ck);
	judge_targets(ck, files);
	if (files->incomplete)
		return 0;	/* what is missing may be right where it was */
	if ((root->flags & CDX_INODE_ABSENT) || !(root->flags & CDX_INODE_DIRECTORY))
		cdx_report_inode(ck, CDX_P_ROOT_MISSING, COWDAX_ROOT_INODE);
	judge_orphans(ck, files);
	for (size_t i = 0; i < files->inode_count; i++) {
		ck->summary.removed_inodes += (files->inodes[i].flags & CDX_INODE_DETACHED) != 0;
		judge_inode_links(ck, files, &files->inodes[i]);
		if (files->inodes[i].flags & CDX_INODE_LOOP)
			cdx_report_inode(ck, CDX_P_DIR_LOOP, files->inodes[i].inode);
		if (i % PROGRESS_STEP == 0)
			cdx_check_progress(ck, 3, i, files->inode_count);
	}
	cdx_check_progress(ck, 3, files->inode_count, files->inode_count);
	return 0;
}
