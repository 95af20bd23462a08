// SPDX-License-Identifier: GPL-2.0-or-later
/* The side that libcowdax does. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "../bench/measure.h"
#include "beside.h"

#define IMAGE_SIZE (UINT64_C(512) << 20)	/* of a regular file; a device is taken whole */

static const char *path_of(unsigned int file)
{
	static const char *const paths[FILES] = {"/a", "/b", "/c", "/d", "/e", "/f"};

	return paths[file];
}

void image_open(struct image *image, const char *path)
{
	struct cowdax_mkfs_options options = {.seed = 1, .uuid = "beside an XFS"};
	struct cowdax_error error;
	struct stat st;

	image->path = path;
	if (stat(path, &st) || S_ISREG(st.st_mode)) {
		options.create = true;
		options.size = IMAGE_SIZE;
	}
	if (cowdax_mkfs(path, &options, NULL, &error) ||
	    cowdax_open(path, NULL, &image->fs, &error))
		die("%s", error.text);
}

void image_close(struct image *image)
{
	cowdax_close(image->fs);
	image->fs = NULL;
}

/* ---- operations ---------------------------------------------------------------------- */

static int fallocate_inode(struct cowdax *fs, uint64_t inode, const struct op *op,
			   struct cowdax_error *error)
{
	enum cowdax_fallocate_mode mode = COWDAX_FALLOCATE_UNWRITTEN;

	if (op->kind == OP_PUNCH)
		mode = COWDAX_FALLOCATE_PUNCH;
	else if (op->kind == OP_ZERO)
		mode = COWDAX_FALLOCATE_ZERO;
	else if (op->kind == OP_UNSHARE)
		mode = COWDAX_FALLOCATE_UNSHARE;
	return cowdax_fallocate(fs, inode, mode, op->offset, op->length, op->keep_size, NULL,
				error);
}

static int perform(struct cowdax *fs, uint64_t inode, const struct op *op, const void *bytes,
		   struct cowdax_error *error)
{
	switch (op->kind) {
	case OP_CREATE:
		return cowdax_create(fs, path_of(op->file), 0644, &inode, error);
	case OP_REMOVE:
		return cowdax_remove(fs, path_of(op->file), false, error);
	case OP_CLONE:
		return cowdax_clone(fs, path_of(op->from), path_of(op->file), NULL, error);
	case OP_CLONE_RANGE:
		return cowdax_clone_range(fs, path_of(op->from), op->from_offset, path_of(op->file),
					  op->offset, op->length, NULL, error);
	case OP_WRITE:
		return cowdax_write(fs, inode, bytes, op->length, op->offset, NULL, error);
	case OP_TRUNCATE:
		return cowdax_truncate(fs, inode, op->length, NULL, error);
	default:
		return fallocate_inode(fs, inode, op, error);
	}
}

static bool takes_paths(enum op_kind kind)
{
	return kind == OP_CREATE || kind == OP_REMOVE || kind == OP_CLONE || kind == OP_CLONE_RANGE;
}

int image_apply(struct image *image, const struct op *op, const void *bytes, uint64_t *nanoseconds,
		struct cowdax_error *error)
{
	uint64_t inode = 0, started;
	int ret = 0;

	/* The other side has its file open already: finding it is not what is compared. */
	if (!takes_paths(op->kind))
		ret = cowdax_lookup(image->fs, path_of(op->file), &inode, error);
	started = now();
	if (!ret)
		ret = perform(image->fs, inode, op, bytes, error);
	*nanoseconds = now() - started;
	return ret;
}

/* ---- looking ------------------------------------------------------------------------- */

static int add_extent(void *arg, const struct cowdax_extent *extent)
{
	struct layout *layout = arg;

	for (uint64_t done = 0; done < extent->map.length; done += BLOCK) {
		uint64_t index = (extent->map.offset + done) / BLOCK;

		if (index >= BLOCKS)
			die("cowdax: an extent past the longest file");
		layout->block[index] = (struct block){
			.type = extent->map.type,
			.shared = extent->map.flags & COWDAX_IOMAP_SHARED,
			.address = extent->map.address + done,
		};
	}
	return 0;
}

/* The inode of @file; false when there is none. */
static bool find(const struct image *image, unsigned int file, uint64_t *inode)
{
	struct cowdax_error error;
	int ret = cowdax_lookup(image->fs, path_of(file), inode, &error);

	if (ret && ret != -ENOENT)
		die("%s", error.text);
	return ret == 0;
}

void image_layout(const struct image *image, unsigned int file, struct layout *layout)
{
	struct cowdax_error error;
	struct cowdax_stat st;
	uint64_t inode;

	*layout = (struct layout){.exists = find(image, file, &inode)};
	if (!layout->exists)
		return;
	if (cowdax_stat(image->fs, inode, &st, &error) ||
	    cowdax_map(image->fs, inode, 0, COWDAX_TO_END, add_extent, layout, &error))
		die("%s", error.text);
	layout->size = st.size;
}

void image_read(const struct image *image, unsigned int file, void *bytes, uint64_t size)
{
	struct cowdax_error error = {0};
	uint64_t inode;
	ssize_t got = -ENOENT;

	if (find(image, file, &inode))
		got = cowdax_read(image->fs, inode, bytes, size, 0, &error);
	if (got != (ssize_t)size)
		die("cowdax: %s: %zd bytes read of %llu: %s", path_of(file), got,
		    (unsigned long long)size, error.text);
}

uint64_t image_limbo(const struct image *image)
{
	struct cowdax_error error;
	struct cowdax_info info;

	if (cowdax_info(image->fs, &info, &error))
		die("%s", error.text);
	return info.limbo_blocks;
}

/* A request for more than there is makes it give back all that it can. */
void image_drain(struct image *image)
{
	struct cowdax_error error;
	struct cowdax_info info;
	uint64_t inode;

	if (cowdax_info(image->fs, &info, &error) ||
	    cowdax_create(image->fs, "/too large", 0600, &inode, &error))
		die("%s", error.text);
	if (cowdax_fallocate(image->fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 2 * info.size, false,
			     NULL, &error) != -ENOSPC)
		die("cowdax: twice the image fits in it");
	if (cowdax_remove(image->fs, "/too large", false, &error))
		die("%s", error.text);
}

bool image_is_clean(const struct image *image)
{
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	if (cowdax_check(image->path, NULL, &summary, &error))
		die("%s", error.text);
	return summary.clean;
}
