// SPDX-License-Identifier: GPL-2.0-or-later
/* The images on which operations are interrupted. */
#include <errno.h>
#include <stdio.h>

#include "api/image.h"
#include "media.h"
#include "operation.h"

static struct cowdax_error error;

static void must(const char *what, int ret)
{
	if (ret)
		die("setting up: %s: %d %s", what, ret, error.text);
}

void setup_options(struct cowdax_mkfs_options *options)
{
	*options = (struct cowdax_mkfs_options){
		.block_size = BLOCK,
		.node_size = NODE,
		.size = media_length(),
		.label = "crash",
		.uuid = "0123456789abcde",
		.seed = 1,
	};
}

bool is_slot(uint64_t offset)
{
	if (offset >= media_length() / 2)
		offset = media_length() - 1 - offset;
	return offset >= CDX_SUPER_SIZE && offset < CDX_SUPER_SIZE + 2 * CDX_SLOT_SIZE;
}

static struct cowdax *open_image(unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags};
	struct cowdax *fs;

	must("open", cowdax_open(media_path(), &options, &fs, &error));
	return fs;
}

static uint64_t create(struct cowdax *fs, const char *path)
{
	uint64_t inode;

	must(path, cowdax_create(fs, path, 0644, &inode, &error));
	return inode;
}

static void write_at(struct cowdax *fs, uint64_t inode, uint64_t offset, size_t length)
{
	unsigned char bytes[24 * BLOCK];

	fill_pattern(bytes, length, (unsigned int)(offset + inode));
	must("write", cowdax_write(fs, inode, bytes, length, offset, NULL, &error));
}

/* Every other block is mapped, so that each is an extent. */
static void write_islands(struct cowdax *fs, const char *path, unsigned int count)
{
	uint64_t inode = create(fs, path);

	for (unsigned int i = 0; i < count; i++)
		write_at(fs, inode, 2 * (uint64_t)i * BLOCK, BLOCK);
}

static void clone(struct cowdax *fs, const char *from, const char *to)
{
	must(to, cowdax_clone(fs, from, to, NULL, &error));
}

/* One extent whose every other block @pieces shares. */
static void write_sieve(struct cowdax *fs, const char *path, const char *pieces)
{
	write_at(fs, create(fs, path), 0, 20 * BLOCK);
	for (uint64_t block = 0; block < 20; block += 2)
		must(pieces, cowdax_clone_range(fs, path, block * BLOCK, pieces, block * BLOCK, BLOCK, NULL,
						&error));
}

static void write_mixed(struct cowdax *fs, const char *path)
{
	uint64_t inode = create(fs, path);

	write_at(fs, inode, 0, BLOCK);
	write_at(fs, inode, 3 * BLOCK, 1234);
	must(path, cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 2 * BLOCK, BLOCK, true, NULL, &error));
	must(path, cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 5 * BLOCK, 2 * BLOCK, true, NULL,
				    &error));
}

/* What a long write leaves whose process was killed. */
static void abandon_lane(void)
{
	struct cowdax *fs = open_image(0);
	unsigned char bytes[3 * BLOCK];

	fill_pattern(bytes, sizeof(bytes), 13);
	must("stage", cdx_stage_open(&fs->stage, &fs->txn, 0, 0, fs->scratch, &error));
	must("stage", cdx_stage_append(&fs->stage, bytes, sizeof(bytes), &error));
	media_kill(true);
	cowdax_close(fs);
	media_kill(false);
}

/* A clone that borrows from what nobody else has any more. */
static void leave_borrower(struct cowdax *fs)
{
	uint64_t inode;

	write_islands(fs, "/lender", 12);
	clone(fs, "/lender", "/borrower");
	must("/borrower", cowdax_lookup(fs, "/borrower", &inode, &error));
	write_at(fs, inode, 4 * BLOCK, BLOCK);
	must("/lender", cowdax_remove(fs, "/lender", false, &error));
}

static void fill_mixed(void)
{
	struct cowdax_mkfs_options options;
	struct cowdax *fs;
	uint64_t inode;

	setup_options(&options);
	media_stain();
	must("mkfs", cowdax_mkfs(media_path(), &options, NULL, &error));
	fs = open_image(0);
	must("/dir", cowdax_mkdir(fs, "/dir/sub", 0755, true, &error));
	write_islands(fs, "/tree", 24);
	clone(fs, "/tree", "/tree-clone");
	write_islands(fs, "/own", 24);
	inode = create(fs, "/small");
	write_at(fs, inode, 0, 2 * BLOCK + 100);
	clone(fs, "/small", "/small-clone");
	write_mixed(fs, "/mixed");
	write_sieve(fs, "/sieve", "/pieces");
	inode = create(fs, "/dir/file");
	write_at(fs, inode, 0, BLOCK);
	inode = create(fs, "/dir/sub/deep");
	write_at(fs, inode, 0, 100);
	create(fs, "/dir/empty");
	leave_borrower(fs);
	cowdax_close(fs);
}

static void make_mixed(void)
{
	fill_mixed();
	abandon_lane();
}

/* Limbo: its tree has entries, its list nearly enough for writers to begin with undoing them. */
static void make_limbo(void)
{
	struct cowdax *fs, *reader;
	uint64_t inode;

	fill_mixed();
	fs = open_image(0);
	write_islands(fs, "/gone", 24);
	write_sieve(fs, "/sieve-gone", "/pieces-gone");
	reader = open_image(COWDAX_RDONLY);
	must("/gone", cowdax_remove(fs, "/gone", false, &error));
	must("/sieve-gone", cowdax_remove(fs, "/sieve-gone", false, &error));
	must("/own", cowdax_lookup(fs, "/own", &inode, &error));
	for (unsigned int i = 0; i < 24; i++)
		write_at(fs, inode, 2 * (uint64_t)(i % 6) * BLOCK, BLOCK);
	cowdax_close(reader);
	cowdax_close(fs);
}

/* Full of blocks that nobody reads, so that looking at the image does not take long. */
static void make_full(void)
{
	struct cowdax *fs;
	uint64_t inode, block;
	int ret = 0;

	fill_mixed();
	fs = open_image(0);
	inode = create(fs, "/filler");
	for (block = 0; !ret; block++)
		ret = cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, block * BLOCK, BLOCK, true, NULL,
				       &error);
	if (ret != -ENOSPC)
		must("fill", ret);
	must("punch", cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 0, 3 * BLOCK, true, NULL, &error));
	cowdax_close(fs);
}

const struct setup setups[] = {
	{"mixed", LONGEST_IMAGE, make_mixed, false},
	{"limbo", LONGEST_IMAGE, make_limbo, false},
	{"full", LONGEST_IMAGE, make_full, true},
	{"small", UINT64_C(1) << 20, make_limbo, true},
};
const unsigned int setup_count = sizeof(setups) / sizeof(setups[0]);
