// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a failure says.  Of each function of cowdax.h that takes a struct cowdax_error
 * there are calls here: right ones, in which each call that can fail does in turn, and
 * wrong ones.  The law: a failure has a sentence of its own, with its errno, about the
 * image, the path or the inode; a success has none; nothing of an earlier failure is left.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/image.h"
#include "inject.h"
#include "media.h"
#include "operation.h"

#define STALE "an earlier failure"
#define NOWHERE "/nowhere/image"
#define NOBODY 4711			/* no inode */

typedef int call_fn(struct cowdax *fs, struct cowdax_error *error);

struct function {
	const char *name;
	const char *subject[4];		/* what a sentence is about, if not the image */
	call_fn *right;
	call_fn *wrong[10];		/* each fails */
	bool changes;			/* not with a handle that may only read */
	bool no_handle;
};

static uint64_t small;			/* an inode: of "/small" */

/* ---- opening --------------------------------------------------------------------- */

static int open_with(const char *path, unsigned int flags, uint64_t fs_offset, struct cowdax_error *error)
{
	struct cowdax_open_options options = {.flags = flags, .fs_offset = fs_offset};
	struct cowdax *fs;
	int ret = cowdax_open(path, &options, &fs, error);

	if (!ret)
		cowdax_close(fs);
	return ret;
}

static int open_right(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return open_with(media_path(), 0, 0, error);
}

static int open_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return open_with(NOWHERE, 0, 0, error);
}

static int open_aslant(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return open_with(media_path(), 0, 100, error);
}

static int open_behind(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return open_with(media_path(), COWDAX_RDONLY, UINT64_C(1) << 40, error);
}

static int open_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return open_with(media_path(), COWDAX_RDONLY, UINT64_MAX & ~UINT64_C(511), error);
}

static int info(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_info facts;

	return cowdax_info(fs, &facts, error);
}

static int info_hidden(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_info facts;

	return cowdax_info_hidden(fs, &facts, error);
}

static int space(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_space facts;

	return cowdax_space(fs, &facts, error);
}

/* ---- transactions ---------------------------------------------------------------- */

static int begin(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cowdax_begin(fs, error);

	if (!ret)
		cowdax_abort(fs);
	return ret;
}

static int begin_twice(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cowdax_begin(fs, error);

	if (!ret)
		ret = cowdax_begin(fs, error);
	cowdax_abort(fs);
	return ret;
}

static int commit(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_error other;
	int ret = cowdax_begin(fs, error);

	/* Something to be written, on top of which the error is made stale again. */
	if (ret)
		return ret;
	if (cowdax_mkdir(fs, "/made", 0700, false, &other)) {
		*error = other;
		cowdax_abort(fs);
		return other.code;
	}
	*error = (struct cowdax_error){-ENOMEM, STALE};
	return cowdax_commit(fs, error);
}

static int commit_nothing(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_commit(fs, error);
}

static int commit_failed(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cowdax_begin(fs, error);

	if (!ret)
		cowdax_mkdir(fs, "/small", 0700, false, NULL);
	return ret ? ret : cowdax_commit(fs, error);
}

/* ---- names ----------------------------------------------------------------------- */

static int lookup(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_lookup(fs, "/dir/sub/deep", &inode, error);
}

static int lookup_missing(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_lookup(fs, "/dir/missing", &inode, error);
}

static int lookup_below_file(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_lookup(fs, "/dir/file/deep", &inode, error);
}

static int lookup_empty(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_lookup(fs, "", &inode, error);
}

static int lookup_number(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_lookup(fs, "ino:4711", &inode, error);
}

static int lookup_no_number(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_lookup(fs, "ino:12x", &inode, error);
}

static int lookup_long(struct cowdax *fs, struct cowdax_error *error)
{
	char path[300] = "/dir/";
	uint64_t inode;

	memset(path + 5, 'n', COWDAX_NAME_MAX + 1);
	return cowdax_lookup(fs, path, &inode, error);
}

static int create(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_create(fs, "/dir/new", 0600, &inode, error);
}

static int create_existing(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_create(fs, "/dir/file", 0600, &inode, error);
}

static int create_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_create(fs, "/dir/no/file", 0600, &inode, error);
}

static int create_slash(struct cowdax *fs, struct cowdax_error *error)
{
	uint64_t inode;

	return cowdax_create(fs, "/dir/new/", 0600, &inode, error);
}

static int make_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_mkdir(fs, "/dir/a/b", 0700, true, error);
}

static int make_existing(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_mkdir(fs, "/dir/sub", 0700, false, error);
}

static int make_below_file(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_mkdir(fs, "/dir/file/sub", 0700, true, error);
}

static int remove_tree(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_remove(fs, "/dir", true, error);
}

static int remove_missing(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_remove(fs, "/dir/missing", true, error);
}

static int remove_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_remove(fs, "/dir", false, error);
}

static int remove_root(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_remove(fs, "/dir/..", true, error);
}

static int stat_it(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_stat st;

	return cowdax_stat(fs, small, &st, error);
}

static int stat_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_stat st;

	return cowdax_stat(fs, NOBODY, &st, error);
}

static int stat_blocks(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_stat st;

	return cowdax_stat_blocks(fs, small, &st, error);
}

static int stat_blocks_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_stat st;

	return cowdax_stat_blocks(fs, UINT64_MAX, &st, error);
}

static int go_on(void *arg, const struct cowdax_dirent *entry)
{
	(void)arg;
	(void)entry;
	return 0;
}

static int stop_at(void *arg, const struct cowdax_dirent *entry)
{
	(void)arg;
	(void)entry;
	return -ECANCELED;
}

static int list(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_list(fs, COWDAX_ROOT_INODE, go_on, NULL, error);
}

static int list_stopped(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_list(fs, COWDAX_ROOT_INODE, stop_at, NULL, error);
}

static int list_file(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_list(fs, small, go_on, NULL, error);
}

static int list_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_list(fs, NOBODY, go_on, NULL, error);
}

/* ---- data ------------------------------------------------------------------------ */

static unsigned char bytes[CDX_IMAGE_LONG + BLOCK];

static int read_it(struct cowdax *fs, struct cowdax_error *error)
{
	return (int)cowdax_read(fs, small, bytes, 3 * BLOCK, 7, error);
}

static int read_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return (int)cowdax_read(fs, COWDAX_ROOT_INODE, bytes, BLOCK, 0, error);
}

static int read_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return (int)cowdax_read(fs, NOBODY, bytes, BLOCK, 0, error);
}

static int take(void *arg, const void *some, size_t length)
{
	(void)arg;
	(void)some;
	(void)length;
	return 0;
}

static int refuse(void *arg, const void *some, size_t length)
{
	(void)arg;
	(void)some;
	(void)length;
	return -EPIPE;
}

static int read_to(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_read_to(fs, small, 0, COWDAX_TO_END, take, NULL, error);
}

static int read_to_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_read_to(fs, NOBODY, 0, COWDAX_TO_END, take, NULL, error);
}

static int read_to_refused(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_read_to(fs, small, 0, COWDAX_TO_END, refuse, NULL, error);
}

static int read_through(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_read_through(fs, small, 0, COWDAX_TO_END, take, NULL, error);
}

static int read_through_refused(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_read_through(fs, small, 0, COWDAX_TO_END, refuse, NULL, error);
}

static int write_it(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, small, bytes, 2 * BLOCK, 99, NULL, error);
}

static int write_long(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, small, bytes, sizeof(bytes), 99, NULL, error);
}

static int write_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, small, bytes, BLOCK, UINT64_MAX - 7, NULL, error);
}

static int write_long_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, small, bytes, sizeof(bytes), UINT64_C(1) << 62, NULL, error);
}

static int write_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, NOBODY, bytes, BLOCK, 0, NULL, error);
}

static int write_long_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, NOBODY, bytes, sizeof(bytes), 0, NULL, error);
}

static int write_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_write(fs, COWDAX_ROOT_INODE, bytes, BLOCK, 0, NULL, error);
}

static ssize_t give(void *arg, void *buffer, size_t length)
{
	size_t *left = arg;

	if (length > *left)
		length = *left;
	*left -= length;
	memset(buffer, 5, length);
	return (ssize_t)length;
}

static ssize_t give_nothing(void *arg, void *buffer, size_t length)
{
	(void)arg;
	(void)buffer;
	(void)length;
	return -ECONNRESET;
}

static int stream(struct cowdax *fs, struct cowdax_write_request request, size_t length,
		  struct cowdax_error *error)
{
	request.source = request.source ? request.source : give;
	request.source_arg = &length;
	request.length = request.length ? request.length : COWDAX_TO_END;
	return cowdax_write_stream(fs, &request, NULL, error);
}

static int stream_short(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .append = true}, 3 * BLOCK + 1, error);
}

static int stream_long(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .append = true},
		      4 * CDX_IMAGE_LONG + BLOCK + 1, error);
}

static int stream_chunks(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .chunk = BLOCK}, 3 * BLOCK + 1, error);
}

static int stream_no_create(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/dir/x", .no_create = true}, BLOCK, error);
}

static int stream_to_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/dir"}, BLOCK, error);
}

static int stream_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/dir/file/x"}, BLOCK, error);
}

static int stream_too_short(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .length = 100}, 99, error);
}

static int stream_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .offset = UINT64_MAX - 5}, 99, error);
}

static int stream_broken(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .source = give_nothing}, 99, error);
}

static int stream_broken_chunk(struct cowdax *fs, struct cowdax_error *error)
{
	return stream(fs, (struct cowdax_write_request){.path = "/small", .source = give_nothing, .chunk = BLOCK},
		      99, error);
}

static int clone(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone(fs, "/tree", "/dir/new", NULL, error);
}

static int clone_missing(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone(fs, "/dir/missing", "/dir/new", NULL, error);
}

static int clone_to_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone(fs, "/small", "/dir/file/new", NULL, error);
}

static int clone_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone(fs, "/dir", "/dir/new", NULL, error);
}

static int clone_to_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone(fs, "/small", "/dir", NULL, error);
}

static int clone_to_itself(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone(fs, "/small", "/dir/../small", NULL, error);
}

static int clone_range(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone_range(fs, "/tree", 2 * BLOCK, "/small", BLOCK, 4 * BLOCK, NULL, error);
}

static int clone_range_aslant(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone_range(fs, "/small", 1, "/tree", BLOCK, BLOCK, NULL, error);
}

static int clone_range_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone_range(fs, "/small", 0, "/tree", UINT64_MAX & ~(uint64_t)(BLOCK - 1), BLOCK, NULL, error);
}

static int clone_range_missing(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_clone_range(fs, "/dir/missing", 0, "/tree", 0, BLOCK, NULL, error);
}

static int truncate_it(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_truncate(fs, small, BLOCK + 1, NULL, error);
}

static int truncate_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_truncate(fs, small, UINT64_MAX, NULL, error);
}

static int truncate_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_truncate(fs, COWDAX_ROOT_INODE, 0, NULL, error);
}

static int truncate_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_truncate(fs, NOBODY, 0, NULL, error);
}

static int fallocate_it(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_fallocate(fs, small, COWDAX_FALLOCATE_PUNCH, 100, BLOCK, true, NULL, error);
}

static int fallocate_nothing(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_fallocate(fs, small, COWDAX_FALLOCATE_UNWRITTEN, 0, 0, false, NULL, error);
}

static int fallocate_too_much(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_fallocate(fs, small, COWDAX_FALLOCATE_UNWRITTEN, 0, UINT64_C(1) << 40, false, NULL, error);
}

static int fallocate_beyond(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_fallocate(fs, small, COWDAX_FALLOCATE_ZERO, UINT64_MAX, UINT64_MAX, false, NULL, error);
}

static int fallocate_nobody(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_fallocate(fs, NOBODY, COWDAX_FALLOCATE_PUNCH, 0, BLOCK, false, NULL, error);
}

static int see(void *arg, const struct cowdax_extent *extent)
{
	(void)arg;
	(void)extent;
	return 0;
}

static int see_nothing(void *arg, const struct cowdax_extent *extent)
{
	(void)arg;
	(void)extent;
	return -ENOBUFS;
}

static int map(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_map(fs, small, 0, COWDAX_TO_END, see, NULL, error);
}

static int map_refused(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_map(fs, small, 0, COWDAX_TO_END, see_nothing, NULL, error);
}

static int map_directory(struct cowdax *fs, struct cowdax_error *error)
{
	return cowdax_map(fs, COWDAX_ROOT_INODE, 0, COWDAX_TO_END, see, NULL, error);
}

static int trim(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_trimmed trimmed = {0};

	return cowdax_trim(fs, true, NULL, NULL, &trimmed, error);
}

static int trim_inside(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cowdax_begin(fs, NULL);

	ret = ret ? 0 : trim(fs, error);
	cowdax_abort(fs);
	return ret;
}

static int unhide_inside(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cowdax_begin(fs, NULL);

	ret = ret ? 0 : cowdax_unhide(fs, error);
	cowdax_abort(fs);
	return ret;
}

/* ---- images ---------------------------------------------------------------------- */

static int no_geometry(void *arg, const struct cowdax_info *facts)
{
	(void)arg;
	(void)facts;
	return -ECANCELED;
}

static int mkfs_right(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_in_blocks(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	options.block_size = 5000;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_small(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	options.size = BLOCK;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_large(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	options.size = UINT64_MAX;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_nodes(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	options.node_size = 777;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_label(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;
	char label[] = "a label of more than sixty-four bytes: that is one, two, three more ...";

	(void)fs;
	setup_options(&options);
	options.label = label;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_given_up(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	options.ready = no_geometry;
	return cowdax_mkfs(media_path(), &options, NULL, error);
}

static int mkfs_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	struct cowdax_mkfs_options options;

	(void)fs;
	setup_options(&options);
	options.create = true;
	return cowdax_mkfs(NOWHERE, &options, NULL, error);
}

static int nothing_found(void *arg, const struct cowdax_found *found)
{
	(void)arg;
	(void)found;
	return 0;
}

static int all_found(void *arg, const struct cowdax_found *found)
{
	(void)arg;
	(void)found;
	return -ECANCELED;
}

static int find(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return cowdax_find(media_path(), 0, UINT64_MAX, nothing_found, NULL, error);
}

static int find_refused(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return cowdax_find(media_path(), 0, UINT64_MAX, all_found, NULL, error);
}

static int find_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return cowdax_find(NOWHERE, 0, UINT64_MAX, nothing_found, NULL, error);
}

static int check_at(const char *path, uint64_t fs_offset, struct cowdax_error *error)
{
	const struct cowdax_check_options options = {.fs_offset = fs_offset, .check_data = true};
	struct cowdax_check_summary summary;

	return cowdax_check(path, &options, &summary, error);
}

static int check(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return check_at(media_path(), 0, error);
}

static int repair_at(const char *path, struct cowdax_error *error)
{
	const struct cowdax_repair_options options = {.choose = true};
	struct cowdax_check_summary summary;

	return cowdax_repair(path, &options, &summary, error);
}

static int repair(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return repair_at(media_path(), error);
}

static int repair_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return repair_at(NOWHERE, error);
}

static int check_nowhere(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return check_at(NOWHERE, 0, error);
}

static int check_nothing(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return check_at(media_path(), 3 * BLOCK, error);
}

static int check_aslant(struct cowdax *fs, struct cowdax_error *error)
{
	(void)fs;
	return check_at(media_path(), 3, error);
}

static const struct function functions[] = {
	{.name = "cowdax_open", .right = open_right, .no_handle = true,
	 .wrong = {open_nowhere, open_aslant, open_behind, open_beyond}},
	{.name = "cowdax_info", .right = info},
	{.name = "cowdax_info_hidden", .right = info_hidden},
	{.name = "cowdax_space", .right = space},
	{.name = "cowdax_begin", .right = begin, .changes = true, .wrong = {begin_twice}},
	{.name = "cowdax_commit", .right = commit, .changes = true, .subject = {"/made"},
	 .wrong = {commit_nothing, commit_failed}},
	{.name = "cowdax_lookup", .right = lookup, .subject = {"/dir/", "ino:", "\"\""},
	 .wrong = {lookup_missing, lookup_below_file, lookup_long, lookup_empty, lookup_number,
		   lookup_no_number}},
	{.name = "cowdax_create", .right = create, .changes = true, .subject = {"/dir/"},
	 .wrong = {create_existing, create_nowhere, create_slash}},
	{.name = "cowdax_mkdir", .right = make_directory, .changes = true, .subject = {"/dir/"},
	 .wrong = {make_existing, make_below_file}},
	{.name = "cowdax_remove", .right = remove_tree, .changes = true, .subject = {"/dir"},
	 .wrong = {remove_missing, remove_directory, remove_root}},
	{.name = "cowdax_stat", .right = stat_it, .subject = {"ino:"}, .wrong = {stat_nobody}},
	{.name = "cowdax_stat_blocks", .right = stat_blocks, .subject = {"ino:"},
	 .wrong = {stat_blocks_nobody}},
	{.name = "cowdax_list", .right = list, .subject = {"ino:"},
	 .wrong = {list_stopped, list_file, list_nobody}},
	{.name = "cowdax_read", .right = read_it, .subject = {"ino:"},
	 .wrong = {read_directory, read_nobody}},
	{.name = "cowdax_read_to", .right = read_to, .subject = {"ino:"},
	 .wrong = {read_to_nobody, read_to_refused}},
	{.name = "cowdax_read_through", .right = read_through, .subject = {"ino:"},
	 .wrong = {read_through_refused}},
	{.name = "cowdax_write", .right = write_it, .changes = true, .subject = {"ino:"},
	 .wrong = {write_beyond, write_nobody, write_directory}},
	{.name = "cowdax_write", .right = write_long, .changes = true, .subject = {"ino:"},
	 .wrong = {write_long_beyond, write_long_nobody}},
	{.name = "cowdax_write_stream", .right = stream_short, .changes = true,
	 .subject = {"/small", "/dir", "input"},
	 .wrong = {stream_no_create, stream_to_directory, stream_nowhere, stream_too_short,
		   stream_beyond, stream_broken, stream_broken_chunk}},
	{.name = "cowdax_write_stream", .right = stream_long, .changes = true, .subject = {"/small"}},
	{.name = "cowdax_write_stream", .right = stream_chunks, .changes = true, .subject = {"/small"}},
	{.name = "cowdax_clone", .right = clone, .changes = true, .subject = {"/tree", "/dir", "/small"},
	 .wrong = {clone_missing, clone_to_nowhere, clone_directory, clone_to_directory,
		   clone_to_itself}},
	{.name = "cowdax_clone_range", .right = clone_range, .changes = true,
	 .subject = {"/tree", "/small", "/dir/missing"},
	 .wrong = {clone_range_aslant, clone_range_beyond, clone_range_missing}},
	{.name = "cowdax_truncate", .right = truncate_it, .changes = true, .subject = {"ino:"},
	 .wrong = {truncate_beyond, truncate_directory, truncate_nobody}},
	{.name = "cowdax_fallocate", .right = fallocate_it, .changes = true, .subject = {"ino:"},
	 .wrong = {fallocate_nothing, fallocate_too_much, fallocate_beyond, fallocate_nobody}},
	{.name = "cowdax_map", .right = map, .subject = {"ino:"}, .wrong = {map_refused, map_directory}},
	{.name = "cowdax_unhide", .right = cowdax_unhide, .changes = true, .wrong = {unhide_inside}},
	{.name = "cowdax_trim", .right = trim, .changes = true, .wrong = {trim_inside}},
	{.name = "cowdax_mkfs", .right = mkfs_right, .no_handle = true,
	 .wrong = {mkfs_in_blocks, mkfs_small, mkfs_large, mkfs_nodes, mkfs_label, mkfs_given_up,
		   mkfs_nowhere}},
	{.name = "cowdax_find", .right = find, .no_handle = true, .wrong = {find_refused, find_nowhere}},
	{.name = "cowdax_check", .right = check, .no_handle = true,
	 .wrong = {check_nowhere, check_nothing, check_aslant}},
	{.name = "cowdax_repair", .right = repair, .no_handle = true, .wrong = {repair_nowhere}},
};
#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

/* ---- the law --------------------------------------------------------------------- */

static const char *complaint(const struct function *function, int ret, const struct cowdax_error *error)
{
	if (strstr(error->text, STALE))
		return "an earlier failure's words are left";
	if (ret >= 0)
		return error->code || error->text[0] ? "a success says something" : NULL;
	if (error->code != ret)
		return "the code is not what it returned";
	if (!error->text[0])
		return "it says nothing";
	if (!strstr(error->text, ": "))
		return "it does not say why";
	if (strstr(error->text, media_path()) || strstr(error->text, NOWHERE))
		return NULL;
	for (unsigned int i = 0; function->subject[i]; i++)
		if (strstr(error->text, function->subject[i]))
			return NULL;
	return "it does not say of what";
}

static bool obeys(const struct function *function, const char *how, int ret, const struct cowdax_error *error)
{
	const char *wrong = complaint(function, ret, error);

	if (wrong)
		printf("# %s, %s: %d, code %d, '%s': %s\n", function->name, how, ret, error->code, error->text, wrong);
	return !wrong;
}

static struct cowdax *open_handle(const struct function *function, unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags};
	struct cowdax_error error;
	struct cowdax *fs;

	if (function->no_handle)
		return NULL;
	if (cowdax_open(media_path(), &options, &fs, &error))
		die("open: %s", error.text);
	return fs;
}

/* What was left in *error had the code that will be returned, too: the likeliest to be taken for new. */
static int try_call(call_fn *call, struct cowdax *fs, int code, struct cowdax_error *error)
{
	*error = (struct cowdax_error){code, STALE};
	return call(fs, error);
}

/* ---- what fails below ------------------------------------------------------------ */

/* Whether the call that was to fail has been reached.  The journal must have room for all already. */
static bool try_injected(const struct function *function, const struct injection *injection,
			 struct journal *journal, bool *good)
{
	struct cowdax_error error;
	struct cowdax *fs;
	char how[80];
	bool reached;
	int ret;

	journal_empty(journal);
	media_record(journal);
	fs = open_handle(function, COWDAX_NO_WAIT);
	inject_start(injection);
	ret = try_call(function->right, fs, -fault_codes[injection->fault], &error);
	reached = inject_end();
	snprintf(how, sizeof(how), "%s %" PRIu64 "%s fails", fault_names[injection->fault], injection->n,
		 injection->for_good ? " and all after it" : "");
	if (reached || ret >= 0)
		*good &= obeys(function, how, ret, &error);
	else
		die("%s: %s", function->name, error.text);
	cowdax_close(fs);
	media_record(NULL);
	media_undo(journal);
	return reached;
}

static bool try_faults(const struct function *function)
{
	struct injection injection = {0};
	struct journal journal = {0};
	bool good = true;

	try_injected(function, &injection, &journal, &good);
	for (injection.fault = 0; injection.fault < FAULTS; injection.fault++)
		for (int for_good = 0; for_good < 2; for_good++) {
			injection.for_good = for_good;
			injection.n = 1;
			while (try_injected(function, &injection, &journal, &good))
				injection.n += 1 + injection.n / 8;
		}
	journal_free(&journal);
	return good;
}

/* ---- what is asked wrongly ------------------------------------------------------- */

static bool try_wrong(const struct function *function, call_fn *call, struct cowdax *fs, const char *how)
{
	struct cowdax_error error, again;
	int ret = try_call(call, fs, 0, &error);

	if (ret >= 0)
		printf("# %s, %s: it does not fail\n", function->name, how);
	if (!obeys(function, how, ret, &error) || ret >= 0)
		return false;
	/* With what is likeliest to be taken for its own. */
	ret = try_call(call, fs, error.code, &again);
	return obeys(function, how, ret, &again);
}

static bool try_wrong_calls(const struct function *function)
{
	bool good = true;

	for (unsigned int i = 0; function->wrong[i]; i++) {
		struct cowdax *fs = open_handle(function, 0);
		char how[40];

		snprintf(how, sizeof(how), "its wrong call %u", i);
		good &= try_wrong(function, function->wrong[i], fs, how);
		cowdax_close(fs);
	}
	return good;
}

static bool try_in_child(const struct function *function)
{
	struct cowdax *fs = open_handle(function, 0);
	int status = 1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		bool good = try_wrong(function, function->right, fs, "in a forked child");

		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	cowdax_close(fs);
	return status == 0;
}

static bool try_read_only(const struct function *function)
{
	struct cowdax *fs = open_handle(function, COWDAX_RDONLY);
	bool good = try_wrong(function, function->right, fs, "for reading only");

	cowdax_close(fs);
	return good;
}

static bool try_locked_out(const struct function *function)
{
	struct cowdax *other = open_handle(function, 0), *fs = open_handle(function, COWDAX_NO_WAIT);
	bool good;

	if (cowdax_begin(other, NULL))
		die("begin");
	good = try_wrong(function, function->right, fs, "locked out");
	cowdax_close(fs);
	cowdax_close(other);
	return good;
}

static bool try_all_wrong(const struct function *function)
{
	bool good = try_wrong_calls(function);

	if (!function->no_handle)
		good &= try_in_child(function);
	if (function->changes)
		good = try_read_only(function) && try_locked_out(function) && good;
	return good;
}

/* ---- all functions --------------------------------------------------------------- */

static bool is_listed(const char *name, size_t length)
{
	for (size_t i = 0; i < FUNCTIONS; i++)
		if (strlen(functions[i].name) == length && memcmp(functions[i].name, name, length) == 0)
			return true;
	return false;
}

/* The name of the function that @text, comments before it included, declares; its length. */
static size_t find_name(const char *text, const char **name)
{
	size_t found = 0;

	*name = text;
	for (const char *at = text; (at = strstr(at, "cowdax_")); at++) {
		size_t length = 0;

		while (isalnum((unsigned char)at[length]) || at[length] == '_')
			length++;
		if (at[length] != '(')
			continue;
		*name = at;
		found = length;
	}
	return found;
}

static char *read_header(void)
{
	const char *top = getenv("abs_top_srcdir");
	char *text = calloc(1, 1 << 17), path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/libcore/cowdax.h", top ? top : "..");
	file = fopen(path, "r");
	if (!file)
		die("cannot open %s", path);
	if (!text || !fread(text, 1, (1 << 17) - 1, file))
		die("cannot read %s", path);
	fclose(file);
	return text;
}

/* Each declaration that ends so has a case. */
static bool lists_all(void)
{
	char *header = read_header(), *rest = header, *text;
	unsigned int found = 0;
	bool good = true;

	while ((text = strsep(&rest, ";"))) {
		const char *name;
		size_t length;

		if (!strstr(text, "struct cowdax_error *error)") || strstr(text, "typedef"))
			continue;
		length = find_name(text, &name);
		found++;
		if (length && is_listed(name, length))
			continue;
		printf("# no case for %.*s\n", (int)length, name);
		good = false;
	}
	free(header);
	return good && found;
}

static void result(bool good, unsigned int *line, unsigned int *failed, const char *function, const char *law)
{
	printf("%s %u - %s%s\n", good ? "ok" : "not ok", ++*line, function, law);
	*failed += !good;
}

int main(void)
{
	unsigned int line = 0, failed = 0;
	struct cowdax_error error;
	struct cowdax *fs;

	setvbuf(stdout, NULL, _IOLBF, 0);
	media_make(LONGEST_IMAGE);
	media_resize(setups[0].length);
	setups[0].make();
	if (cowdax_open(media_path(), NULL, &fs, &error) || cowdax_lookup(fs, "/small", &small, &error))
		die("%s", error.text);
	cowdax_close(fs);
	result(lists_all(), &line, &failed, "each function of cowdax.h that says why it failed", " is called here");
	for (size_t i = 0; i < FUNCTIONS; i++) {
		const struct function *function = &functions[i];

		result(try_all_wrong(function), &line, &failed, function->name,
		       ": what is asked wrongly is answered in words, about what and why");
		result(try_faults(function), &line, &failed, function->name,
		       ": so is whatever fails below it, and a success leaves none");
	}
	printf("1..%u\n", line);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
