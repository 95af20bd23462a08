// SPDX-License-Identifier: GPL-2.0-or-later
/* A sparse image on a filesystem that is full: what the image gives back is used again (R17, R22). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

#define FILES 400	/* more than the host holds */
#define ROUNDS 5

static const char *name_of(int file)
{
	static char name[32];

	snprintf(name, sizeof(name), "/%d", file);
	return name;
}

static int write_new(struct cowdax *fs, const char *name, uint64_t length, struct cowdax_error *error)
{
	static unsigned char bytes[2 * MIB];
	uint64_t inode;
	int ret = cowdax_create(fs, name, 0644, &inode, error);

	memset(bytes, name[1], length);
	if (ret)
		return ret;
	ret = cowdax_write(fs, inode, bytes, length, 0, NULL, error);
	if (ret)
		rig_remove(fs, name);
	return ret;
}

/* As a command does it, by a handle of its own: whether there was room.  If not, the host is named. */
static bool put_file(const char *path, int file, uint64_t length)
{
	struct cowdax *fs = rig_open(path, 0);
	struct cowdax_error error = {0};
	int ret = write_new(fs, name_of(file), length, &error);

	if (ret) {
		CHECK_EQUAL(ret, -ENOSPC);
		CHECK(strstr(error.text, "the filesystem that holds the image is full"));
	}
	cowdax_close(fs);
	return !ret;
}

static void remove_file(const char *path, int file)
{
	struct cowdax *fs = rig_open(path, 0);

	rig_remove(fs, name_of(file));
	cowdax_close(fs);
}

/* Fill the host, remove half of the files, and write nearly as many again, time after time. */
static void reuse(uint64_t host, uint64_t length)
{
	bool there[FILES] = {false};
	const char *path;
	int files = 0;

	rig_small_host(host);
	path = rig_make("image", 64 * MIB, 0, 0);
	while (files < FILES && put_file(path, files, length))
		there[files++] = true;
	CHECK(files < FILES);
	CHECK((uint64_t)files * length > host / 2);
	for (int round = 0; round < ROUNDS; round++) {
		int gone = 0, again = 0;

		for (int i = round % 2; i < files; i += 2) {
			if (there[i])
				remove_file(path, i);
			gone += there[i];
			there[i] = false;
		}
		for (int i = 0; i < files && again < gone; i++) {
			if (!there[i])
				there[i] = put_file(path, i, length);
			again += i % 2 == round % 2 && there[i];
		}
		CHECK(10 * again >= 8 * gone);
		rig_check(path);
	}
	for (int i = 0; i < files; i++)
		if (there[i])
			remove_file(path, i);
	rig_check(path);
}

TEST("R17: what small files give back on a full host is used again")
{
	reuse(8 * MIB, 40 << 10);
}

TEST("R17: what larger files give back on a full host is used again")
{
	reuse(8 * MIB, 200 << 10);
}

TEST("R17: what files that are staged give back on a full host is used again")
{
	reuse(24 * MIB, 3 * MIB / 2);
}

/* Somebody else takes all that the host has left. */
static void take_the_rest(void)
{
	static const unsigned char page[4096] = {1};
	int fd = open(unit_path("other"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	while (write(fd, page, sizeof(page)) == sizeof(page))
		;
	close(fd);
}

TEST("R17: removing works on a host that others have filled, from the first commit on")
{
	const char *path;

	rig_small_host(8 * MIB);
	path = rig_make("image", 64 * MIB, 0, 0);
	CHECK(put_file(path, 0, 40 << 10));
	CHECK(put_file(path, 1, 400 << 10));
	take_the_rest();
	remove_file(path, 0);
	remove_file(path, 1);
	rig_check(path);
	CHECK(put_file(path, 1, 400 << 10));
	rig_check(path);
}

TEST("R17: space of files that never had data does not keep others from what the host backs")
{
	struct cowdax *fs;
	const char *path;
	uint64_t inode;

	rig_small_host(8 * MIB);
	path = rig_make("image", 64 * MIB, 0, 0);
	for (int i = 0; i < 20; i++)
		CHECK(put_file(path, i, 40 << 10));
	fs = rig_open(path, 0);
	inode = rig_create(fs, "/reserved");
	/* Too little to go back to the space tree: it comes to stay in the reserves. */
	for (uint64_t at = 0; at < 256; at += 8)
		CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, at << 12, 4 << 12, false,
					     NULL, NULL), 0);
	take_the_rest();
	rig_remove(fs, "/reserved");
	rig_drain(fs);
	cowdax_close(fs);
	for (int i = 0; i < 20; i++)
		remove_file(path, i);
	for (int i = 0; i < 16; i++)
		CHECK(put_file(path, i, 40 << 10));
	rig_check(path);
}

TEST("R17: an empty file on an image that was hardly ever written to can be removed on a full host")
{
	/* With nodes of a page each no new one lies in a page that an old one has. */
	static const uint32_t node_sizes[] = {512, 4096};

	for (int n = 0; n < 2; n++) {
		for (int files = 1; files <= 10; files++) {
			const char *path;
			struct cowdax *fs;

			rig_small_host(8 * MIB);
			path = rig_make("image", 64 * MIB, 0, node_sizes[n]);
			fs = rig_open(path, 0);
			for (int i = 0; i < files; i++)
				rig_create(fs, name_of(i));
			cowdax_close(fs);
			take_the_rest();
			for (int i = 0; i < files; i++)
				remove_file(path, i);
			rig_check(path);
		}
	}
}
