/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The good images that hostile ones are made from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

struct maker {
	struct cowdax *fs;
	struct cowdax_error error;
};

static void must(struct maker *maker, const char *what, int ret)
{
	if (ret < 0)
		die("%s: %s", what, maker->error.text);
}

static void open_new(struct maker *maker, const char *path, uint64_t size)
{
	struct cowdax_mkfs_options options = {
		.block_size = 4096, .node_size = 512, .size = size, .uuid = "fedcba987654321", .seed = 7,
		.create = true,
	};

	unlink(path);
	must(maker, "mkfs", cowdax_mkfs(path, &options, NULL, &maker->error));
	must(maker, "open", cowdax_open(path, NULL, &maker->fs, &maker->error));
}

static uint64_t create(struct maker *maker, const char *path)
{
	uint64_t inode;

	must(maker, path, cowdax_create(maker->fs, path, 0644, &inode, &maker->error));
	return inode;
}

static int put(struct maker *maker, uint64_t inode, uint64_t offset, size_t length)
{
	static const char bytes[65536];
	struct cowdax_result result = {0};

	return cowdax_write(maker->fs, inode, bytes, length, offset, &result, &maker->error);
}

/* Trees and runs by the hundred in limbo, and so a limbo tree: a reader kept them there. */
static void make_limbo(const char *path)
{
	struct maker maker = {0};
	struct cowdax *reader;
	char name[32];

	open_new(&maker, path, 8 << 20);
	for (unsigned int i = 0; i < 40; i++) {
		uint64_t inode;

		snprintf(name, sizeof(name), "/file-%u", i);
		inode = create(&maker, name);
		for (unsigned int k = 0; k < 20; k++)
			must(&maker, name, put(&maker, inode, 8192 * k, 4096));
	}
	must(&maker, "reader", cowdax_open(path, &(struct cowdax_open_options){.flags = COWDAX_RDONLY},
					   &reader, &maker.error));
	for (unsigned int i = 0; i < 40; i += 2) {
		snprintf(name, sizeof(name), "/file-%u", i);
		must(&maker, name, cowdax_remove(maker.fs, name, false, &maker.error));
		snprintf(name, sizeof(name), "/file-%u", i + 1);
		for (unsigned int k = 0; k < 20; k += 2) {
			struct cowdax_result result = {0};
			uint64_t inode;

			must(&maker, name, cowdax_lookup(maker.fs, name, &inode, &maker.error));
			must(&maker, name, cowdax_fallocate(maker.fs, inode, COWDAX_FALLOCATE_PUNCH, 8192 * k,
							    4096, true, &result, &maker.error));
		}
	}
	cowdax_close(reader);
	cowdax_close(maker.fs);
}

static ssize_t dying_source(void *arg, void *buffer, size_t length)
{
	uint64_t *given = arg;

	if (*given > (3 << 20))
		_exit(0);
	memset(buffer, 'd', length);
	*given += length;
	return (ssize_t)length;
}

/* Two writers died over their long writes.  And names of one hash (FORMAT 9.2) under this UUID and seed. */
static void make_staging_left(const char *path)
{
	struct maker maker = {0};

	open_new(&maker, path, 16 << 20);
	must(&maker, "/kept", put(&maker, create(&maker, "/kept"), 0, 65536));
	create(&maker, "/" COLLIDING_1);
	create(&maker, "/" COLLIDING_2);
	must(&maker, "/dir", cowdax_mkdir(maker.fs, "/dir/sub", 0755, true, &maker.error));
	cowdax_close(maker.fs);
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		int status;

		if (child < 0)
			die("cannot fork");
		if (child == 0) {
			uint64_t given = 0;
			struct cowdax_write_request request = {
				.path = "/kept", .length = COWDAX_TO_END, .source = dying_source,
				.source_arg = &given,
			};
			struct cowdax_result result = {0};

			must(&maker, "open", cowdax_open(path, NULL, &maker.fs, &maker.error));
			cowdax_write_stream(maker.fs, &request, &result, &maker.error);
			_exit(1);	/* it was to die before */
		}
		if (waitpid(child, &status, 0) != child || status)
			die("the writer did not die as it should");
	}
}

/* Nearly nothing is free, and that in single blocks. */
static void make_full(const char *path)
{
	struct maker maker = {0};
	uint64_t inode;

	open_new(&maker, path, 4 << 20);
	must(&maker, "/dir", cowdax_mkdir(maker.fs, "/dir/sub", 0755, true, &maker.error));
	inode = create(&maker, "/big");
	for (uint64_t at = 0; put(&maker, inode, at, 65536) == 0; at += 65536)
		;
	for (uint64_t at = 0; at < 400000; at += 40960) {
		struct cowdax_result result = {0};

		must(&maker, "/big", cowdax_fallocate(maker.fs, inode, COWDAX_FALLOCATE_PUNCH, at, 4096, true,
						      &result, &maker.error));
	}
	cowdax_close(maker.fs);
}

static void hide_children(struct image *image, const struct cdx_disk_ref *tree)
{
	struct cdx_disk_node *root = image_node(image, get64(tree->address));

	for (unsigned int i = 0; tree->level && i < get16(root->count) && i < 8 && amend_fits(image); i++)
		hide_child(image, root, i);
}

/* Of the trees in a record, and of times. */
static void amend_base(struct image *image)
{
	hide_children(image, &image->record->fs);
	hide_children(image, &image->record->limbo);
	hide_children(image, &image->record->space);
	for (unsigned int i = 0; i < 8 && amend_fits(image); i++)
		amend_times(image, find_inode(image, inode_of(image, "file-1") + 2 * i));
	if (get16(image->record->n_amends) < 12)
		die("the trees have too few nodes to be amended");
	image_seal(image);
}

void make_bases(struct image bases[BASES], const char *path)
{
	void (*const makers[])(const char *) = {make_limbo, make_staging_left, make_full};

	load_bases(bases, path);
	for (int i = 0; i < 3; i++) {
		makers[i](path);
		image_load(&bases[DEEP + 1 + i], path);
	}
	amend_base(&bases[DEEP + 1]);
	if (name_hash(&bases[DEEP + 2], COLLIDING_1) != name_hash(&bases[DEEP + 2], COLLIDING_2))
		die("the names do not collide any more");
	unlink(path);
}

void make_case(struct image *image, const struct image bases[BASES], struct draw *draw)
{
	image_copy(image, &bases[draw_below(draw, BASES)]);
	if (draw_below(draw, 2))
		reshape(image, draw);
	else
		mutate(image, draw);
}
