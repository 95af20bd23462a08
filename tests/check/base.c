/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clean images that the damages start from, made by the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "damage.h"

struct maker {
	struct cowdax *fs;
	uint32_t block;
	struct cowdax_error error;
};

static void must(struct maker *maker, const char *what, int ret)
{
	if (ret < 0)
		die("%s: %s", what, maker->error.text);
}

static uint64_t lookup(struct maker *maker, const char *path)
{
	uint64_t inode;

	must(maker, path, cowdax_lookup(maker->fs, path, &inode, &maker->error));
	return inode;
}

static void create(struct maker *maker, const char *path)
{
	uint64_t inode;

	must(maker, path, cowdax_create(maker->fs, path, 0644, &inode, &maker->error));
}

static void write_bytes(struct maker *maker, const char *path, uint64_t offset, size_t length)
{
	struct cowdax_result result = {0};
	unsigned char *bytes = malloc(length);

	if (!bytes)
		die("out of memory");
	memset(bytes, 0x5a, length);
	must(maker, path,
	     cowdax_write(maker->fs, lookup(maker, path), bytes, length, offset, &result,
			  &maker->error));
	free(bytes);
}

/* Blocks @first, @first + 2, ...: each an extent of its own. */
static void write_islands(struct maker *maker, const char *path, unsigned int first,
			  unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		write_bytes(maker, path, (first + 2ull * i) * maker->block, maker->block);
}

static void fill_plain(struct maker *maker)
{
	struct cowdax_result result = {0};

	create(maker, "/one"); /* one extent, and bytes past the end of file */
	write_bytes(maker, "/one", 0, 2ull * maker->block + 100);
	create(maker, "/two");				/* two extents in the inode */
	write_islands(maker, "/two", 0, 2);
	create(maker, "/many");				/* a tree, shared with its clone */
	write_islands(maker, "/many", 0, 6);
	must(maker, "/clone", cowdax_clone(maker->fs, "/many", "/clone", &result, &maker->error));
	create(maker, "/own");				/* a tree of its own */
	write_islands(maker, "/own", 0, 6);
	must(maker, "/dir", cowdax_mkdir(maker->fs, "/dir/sub", 0755, true, &maker->error));
	create(maker, "/dir/sub/deep");
	create(maker, "/empty");
	create(maker, "/more");				/* unwritten past its end of file */
	must(maker, "/more",
	     cowdax_fallocate(maker->fs, lookup(maker, "/more"), COWDAX_FALLOCATE_UNWRITTEN, 0,
			      2ull * maker->block, true, &result, &maker->error));
	create(maker, "/gone");				/* its tree ends in limbo */
	write_islands(maker, "/gone", 0, 6);
	must(maker, "/gone", cowdax_remove(maker->fs, "/gone", false, &maker->error));
	create(maker, "/lender");			/* a tree that its clone borrows from */
	write_islands(maker, "/lender", 0, 6);
	must(maker, "/borrower",
	     cowdax_clone(maker->fs, "/lender", "/borrower", &result, &maker->error));
	write_bytes(maker, "/borrower", 2ull * maker->block, maker->block);
}

static void fill_deep(struct maker *maker)
{
	struct cowdax_result result = {0};
	char path[32];

	create(maker, "/islands");
	write_islands(maker, "/islands", 0, 100);
	create(maker, "/sieve");			/* free space in many runs */
	write_bytes(maker, "/sieve", 0, 200ull * maker->block);
	for (unsigned int i = 0; i < 100; i++)
		must(maker, "/sieve",
		     cowdax_fallocate(maker->fs, lookup(maker, "/sieve"), COWDAX_FALLOCATE_PUNCH,
				      2ull * i * maker->block, maker->block, true, &result,
				      &maker->error));
	for (uint64_t i = 0; i < 50; i++)		/* counts in many runs */
		must(maker, "/shares",
		     cowdax_clone_range(maker->fs, "/islands", 4 * i * maker->block, "/shares",
					i * maker->block, maker->block, &result, &maker->error));
	for (unsigned int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "/file-%u", i);
		create(maker, path);
	}
	create(maker, "/lender");			/* inner nodes, too, borrow */
	write_islands(maker, "/lender", 0, 100);
	must(maker, "/borrower",
	     cowdax_clone(maker->fs, "/lender", "/borrower", &result, &maker->error));
	write_bytes(maker, "/borrower", 2ull * maker->block, maker->block);
}

void make_base(enum base base, const char *path)
{
	struct cowdax_mkfs_options options = {
		.block_size = base == PLAIN ? 16384 : 4096,
		.node_size = base == PLAIN ? 4096 : 512,
		.size = 8 << 20,
		.label = "damage",
		.uuid = "0123456789abcde",
		.seed = 1,
		.create = true,
	};
	struct maker maker = {.block = options.block_size};

	unlink(path);
	must(&maker, "mkfs", cowdax_mkfs(path, &options, NULL, &maker.error));
	must(&maker, "open", cowdax_open(path, NULL, &maker.fs, &maker.error));
	if (base == PLAIN)
		fill_plain(&maker);
	else
		fill_deep(&maker);
	cowdax_close(maker.fs);
}

void load_bases(struct image bases[2], const char *path)
{
	for (int base = PLAIN; base <= DEEP; base++) {
		make_base(base, path);
		image_load(&bases[base], path);
	}
	unlink(path);
}
