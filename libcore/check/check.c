// SPDX-License-Identifier: LGPL-2.1-or-later
#include "check/check.h"

#include <stdlib.h>

#include "base/err.h"

static int check_trees(struct cdx_check *ck)
{
	int ret;

	cdx_refs_init(&ck->refs, ck->super.grains_per_block_shift);
	ck->media.mapped.shift = ck->super.grains_per_block_shift;
	ret = cdx_seen_init(ck);
	if (!ret)
		ret = cdx_report_hold(ck);
	if (!ret)
		ret = cdx_check_fs(ck);
	if (!ret)
		ret = cdx_check_directories(ck);
	if (!ret)
		ret = cdx_check_held(ck);
	if (!ret)
		ret = cdx_check_space(ck);
	if (!ret)
		ret = cdx_check_data(ck);
	if (!ret)
		ret = cdx_check_owners(ck);
	return ret;
}

static void release_all(struct cdx_check *ck)
{
	cdx_report_release(ck);
	cdx_refs_exit(&ck->refs);
	cdx_seen_exit(ck);
	free(ck->files.inodes);
	free(ck->files.names);
	free(ck->files.chain);
	free(ck->space);
	free(ck->drops);
	free(ck->media.mapped.events);
	free(ck->media.data.runs);
	cdx_device_close(&ck->device);
	free(ck);
}

int cowdax_check(const char *path, const struct cowdax_check_options *options,
		 struct cowdax_check_summary *summary, struct cowdax_error *error)
{
	static const struct cowdax_check_options defaults;
	struct cdx_check *ck = calloc(1, sizeof(*ck));
	bool go_on = false;
	int ret;

	if (error)
		*error = (struct cowdax_error){0};
	if (!ck)
		return cdx_error_errno(error, -ENOMEM, path);
	ck->options = options ? options : &defaults;
	ck->summary.clean = true;
	ret = cdx_device_open(&ck->device, path, ck->options->fs_offset, 0, error);
	if (!ret)
		ret = cdx_check_media(ck, path, &go_on, error);
	if (!ret && go_on)
		ret = check_trees(ck);
	if (!ret) {
		ck->summary.transaction = ck->transaction;
		ck->summary.blocks = ck->super.blocks;
		*summary = ck->summary;
	}
	release_all(ck);
	return ret ? cdx_error_errno(error, ret, path) : 0;
}
