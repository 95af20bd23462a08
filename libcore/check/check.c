// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checking an image against doc/FORMAT, pass by pass.  Only this file knows all
 * of them; a pass knows what stands above it in libcore/Makemodule.am.
 *
 *	1  superblocks and commit slots		media.c
 *	2  inodes, names and extents		fs.c, extent.c
 *	3  directories				dir.c
 *	4  reserves, limbo, staging		held.c
 *	5  space, and all reference counts	space.c, refs.c
 *	   what only bases have		hidden.c
 *	   the data itself, on request		data.c
 *
 * Before the trees are walked, the record's amendments of their nodes are read; when all have
 * been, it is asked where these nodes are (amend.c).
 *
 * Last of all, what the media has lost is laid to the files that own it
 * (owners.c).
 *
 * A pass collects facts and reports what contradicts FORMAT.  Where part of a
 * tree cannot be used, the checks that would need it to be known are left out:
 * that is what each *incomplete stands for.
 */
#include <stdlib.h>

#include "base/err.h"
#include "check/amend.h"
#include "check/check.h"
#include "check/data.h"
#include "check/dir.h"
#include "check/extent.h"
#include "check/files.h"
#include "check/fs.h"
#include "check/held.h"
#include "check/hidden.h"
#include "check/media.h"
#include "check/owners.h"
#include "check/space.h"

/* The context, and what one pass leaves for another. */
struct checking {
	struct cdx_check ck;
	struct cdx_trees trees;
	struct cdx_files files;
	struct cdx_event_set mapped;	/* the data to be read, if it is to be */
	struct cdx_bad_runs bad;	/* what of it cannot be */
};

static char *path_of(void *arg, uint64_t inode)
{
	struct checking *checking = arg;

	return cdx_files_path(&checking->ck, &checking->files, inode);
}

static int check_files(struct checking *checking)
{
	struct cdx_check *ck = &checking->ck;
	int ret;

	ret = cdx_report_hold(ck);
	if (!ret)
		ret = cdx_check_fs(ck, &checking->files,
				   ck->options->check_data ? &checking->mapped : NULL);
	return ret ? ret : cdx_check_directories(ck, &checking->files);
}

static int check_space(struct cdx_check *ck)
{
	int ret = cdx_check_space(ck);

	if (!ret) {
		cdx_check_count_shared(ck);
		cdx_check_amended(ck);
	}
	return ret ? ret : cdx_check_hidden(ck);
}

static int check_trees(struct checking *checking)
{
	struct cdx_check *ck = &checking->ck;
	int ret;

	ck->trees = &checking->trees;
	checking->mapped.shift = ck->super.grains_per_block_shift;
	ret = cdx_trees_init(ck->trees, &ck->super);
	if (!ret) {
		cdx_check_amends(ck);
		ret = check_files(checking);
	}
	if (!ret)
		ret = cdx_check_held(ck);
	if (!ret)
		ret = check_space(ck);
	if (!ret && ck->options->check_data)
		ret = cdx_check_data(ck, &checking->mapped, &checking->bad);
	return ret ? ret : cdx_check_owners(ck, &checking->bad);
}

static void release_all(struct checking *checking)
{
	cdx_report_release(&checking->ck);
	cdx_trees_exit(&checking->trees);
	cdx_files_exit(&checking->files);
	free(checking->mapped.events);
	free(checking->bad.runs);
	cdx_device_close(&checking->ck.device);
	free(checking);
}

int cdx_check_image(const char *path, const struct cowdax_check_options *options, cdx_checked_fn *checked,
		    void *arg, struct cowdax_check_summary *summary, struct cowdax_error *error)
{
	static const struct cowdax_check_options defaults;
	struct checking *checking = calloc(1, sizeof(*checking));
	struct cdx_check *ck;
	bool go_on = false;
	int ret;

	cdx_error_begin(error);
	if (!checking)
		return cdx_error_end(error, -ENOMEM, path);
	ck = &checking->ck;
	ck->options = options ? options : &defaults;
	ck->path = path_of;
	ck->path_arg = checking;
	ck->summary.clean = true;
	ret = cdx_device_open(&ck->device, path, ck->options->fs_offset, 0, error);
	if (!ret)
		ret = cdx_check_media(ck, path, &go_on, error);
	if (!ret && go_on)
		ret = check_trees(checking);
	if (!ret && go_on && checked)
		ret = checked(arg, ck);
	if (!ret) {
		ck->summary.transaction = ck->transaction;
		ck->summary.blocks = ck->super.blocks;
		*summary = ck->summary;
	}
	release_all(checking);
	return cdx_error_end(error, ret, path);
}

int cowdax_check(const char *path, const struct cowdax_check_options *options,
		 struct cowdax_check_summary *summary, struct cowdax_error *error)
{
	return cdx_check_image(path, options, NULL, NULL, summary, error);
}
