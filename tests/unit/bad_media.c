// SPDX-License-Identifier: GPL-2.0-or-later
/* R22: pages of the media go bad.  What needs them is EIO and says where; what does not goes on. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "poison.h"
#include "rig.h"

#define BLOCK UINT64_C(4096)

static int take_address(void *arg, const struct cowdax_extent *extent)
{
	*(uint64_t *)arg = extent->map.address;
	return 1;
}

static uint64_t address_of(struct cowdax *fs, uint64_t inode, uint64_t offset)
{
	uint64_t address = 0;

	CHECK_EQUAL(cowdax_map(fs, inode, offset, 1, take_address, &address, NULL), 1);
	return address;
}

struct scene {
	struct cowdax *fs;
	uint64_t a, b, address;		/* two files; where the bad page is */
};

/* Through a new mapping: one with what is bad now. */
static void see_anew(struct scene *scene)
{
	struct cowdax *before = scene->fs;

	scene->fs = rig_again(before);
	cowdax_close(before);
}

/* /a and /b have 16 blocks each; the page of /a's sixth is bad from the next mapping on. */
static struct scene make_scene(void)
{
	struct scene scene = {.fs = rig_new(4 * MIB, 0, 0)};

	if (!poison_is_real())
		unit_note("no userfaultfd poison here: an empty file is mapped over the page");
	CHECK_EQUAL(cowdax_catch_faults(), 0);
	scene.a = rig_create(scene.fs, "/a");
	scene.b = rig_create(scene.fs, "/b");
	rig_write(scene.fs, scene.a, 0, 16 * BLOCK, 'a');
	rig_write(scene.fs, scene.b, 0, 16 * BLOCK, 'b');
	scene.address = address_of(scene.fs, scene.a, 5 * BLOCK);
	poison_page(scene.address);
	see_anew(&scene);
	CHECK_EQUAL(rig_lookup(scene.fs, "/a"), scene.a);
	return scene;
}

static void expect_named(const struct cowdax_error *error, const char *what)
{
	if (strcmp(error->text, what) != 0)
		unit_note("\"%s\"", error->text);
	CHECK_EQUAL(error->code, -EIO);
	CHECK(strcmp(error->text, what) == 0);
}

#define BAD_SIXTH "/a: offset 20480: cannot be read from the media: Input/output error"

TEST("R22: reading a bad page is EIO that names file and offset; what is around it reads")
{
	struct scene scene = make_scene();
	unsigned char bytes[16 * BLOCK];
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_read(scene.fs, scene.a, bytes, sizeof(bytes), 0, &error), -EIO);
	expect_named(&error, BAD_SIXTH);
	CHECK_EQUAL(cowdax_read(scene.fs, scene.a, bytes, 7, 6 * BLOCK - 7, &error), -EIO);
	expect_named(&error, "/a: offset 24569: cannot be read from the media: Input/output error");
	rig_expect(scene.fs, scene.a, 0, 5 * BLOCK, 'a');
	rig_expect(scene.fs, scene.a, 6 * BLOCK, 10 * BLOCK, 'a');
	rig_expect(scene.fs, scene.b, 0, 16 * BLOCK, 'b');
	cowdax_close(scene.fs);
}

TEST("R22: a file that was not looked up by a path is named by its number")
{
	struct scene scene = make_scene();
	unsigned char bytes[BLOCK];
	struct cowdax_error error;

	rig_lookup(scene.fs, "/b");
	CHECK_EQUAL(cowdax_read(scene.fs, scene.a, bytes, BLOCK, 5 * BLOCK, &error), -EIO);
	expect_named(&error, "ino:2: offset 20480: cannot be read from the media: Input/output error");
	cowdax_close(scene.fs);
}

struct output { int fd; uint64_t done; };

static int write_out(void *arg, const void *bytes, size_t length)
{
	struct output *output = arg;

	while (length) {
		ssize_t done = write(output->fd, bytes, length);

		if (done < 0)
			return -errno;
		output->done += (uint64_t)done;
		bytes = (const char *)bytes + done;
		length -= (size_t)done;
	}
	return 0;
}

TEST("R22: so is handing one to write(2), which has then had all bytes before it")
{
	struct scene scene = make_scene();
	struct output output = {.fd = open(unit_path("out"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
	struct cowdax_error error;

	CHECK(output.fd >= 0);
	CHECK_EQUAL(cowdax_read_through(scene.fs, scene.a, 0, COWDAX_TO_END, write_out, &output, &error), -EIO);
	expect_named(&error, BAD_SIXTH);
	CHECK_EQUAL(output.done, 5 * BLOCK);
	/* One that cannot write at all is not the media's fault. */
	output.fd = -1;
	CHECK_EQUAL(cowdax_read_through(scene.fs, scene.a, 0, COWDAX_TO_END, write_out, &output, &error), -EBADF);
	cowdax_close(scene.fs);
}

static int add_up(void *arg, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		*(uint64_t *)arg += ((const unsigned char *)bytes)[i];
	return 0;
}

TEST("R22: so is handing one to a sink that just looks at the bytes: it meets no fault")
{
	struct scene scene = make_scene();
	struct cowdax_error error;
	uint64_t sum = 0;

	CHECK_EQUAL(cowdax_read_to(scene.fs, scene.a, 100, COWDAX_TO_END, add_up, &sum, &error), -EIO);
	expect_named(&error, BAD_SIXTH);
	CHECK_EQUAL(sum, (5 * BLOCK - 100) * 'a');
	sum = 0;
	CHECK_EQUAL(cowdax_read_to(scene.fs, scene.b, 0, COWDAX_TO_END, add_up, &sum, &error), 0);
	CHECK_EQUAL(sum, 16 * BLOCK * 'b');
	cowdax_close(scene.fs);
}

TEST("R22: an aligned write over a bad page succeeds, and what it wrote reads")
{
	struct scene scene = make_scene();

	rig_write(scene.fs, scene.a, 5 * BLOCK, BLOCK, 'n');
	rig_expect(scene.fs, scene.a, 0, 5 * BLOCK, 'a');
	rig_expect(scene.fs, scene.a, 5 * BLOCK, BLOCK, 'n');
	rig_expect(scene.fs, scene.a, 6 * BLOCK, 10 * BLOCK, 'a');
	rig_check(scene.fs->path);
	cowdax_close(scene.fs);
}

TEST("R22: a long write whose edges are elsewhere does too")
{
	struct scene scene = make_scene();
	unsigned char *bytes = malloc(2 * MIB);

	CHECK(bytes);
	memset(bytes, 'n', 2 * MIB);
	CHECK_EQUAL(cowdax_write(scene.fs, scene.a, bytes, 2 * MIB, 4 * BLOCK + 1, NULL, NULL), 0);
	rig_expect(scene.fs, scene.a, 0, 4 * BLOCK + 1, 'a');
	rig_expect(scene.fs, scene.a, 4 * BLOCK + 1, 2 * MIB, 'n');
	rig_check(scene.fs->path);
	free(bytes);
	cowdax_close(scene.fs);
}

/* Fails for the bad page, naming the place, and has changed nothing.  (What a long write
 * has staged by then goes with the next writer.) */
#define REFUSED(scene, call, place)                                                                \
	do {                                                                                       \
		struct cowdax_error error_;                                                        \
		uint64_t free_;                                                                    \
                                                                                                   \
		rig_drain((scene).fs);                                                             \
		free_ = rig_free_blocks((scene).fs);                                               \
		CHECK_EQUAL((call), -EIO);                                                         \
		expect_named(&error_, place);                                                      \
		rig_expect((scene).fs, (scene).a, 0, 5 * BLOCK, 'a');                              \
		rig_expect((scene).fs, (scene).a, 6 * BLOCK, 10 * BLOCK, 'a');                     \
		rig_drain((scene).fs);                                                             \
		CHECK_EQUAL(rig_free_blocks((scene).fs), free_);                                   \
		rig_check((scene).fs->path);                                                       \
	} while (0)

TEST("R22: what must copy from a bad page is EIO that names it, and changes nothing")
{
	struct scene scene = make_scene();
	unsigned char *bytes = calloc(1, 2 * MIB);

	CHECK(bytes);
	REFUSED(scene, cowdax_write(scene.fs, scene.a, "x", 1, 5 * BLOCK + 100, NULL, &error_), BAD_SIXTH);
	REFUSED(scene, cowdax_write(scene.fs, scene.a, "x", 1, 5 * BLOCK, NULL, &error_),
		"/a: offset 20481: cannot be read from the media: Input/output error");
	REFUSED(scene, cowdax_write(scene.fs, scene.a, bytes, 2 * MIB, 5 * BLOCK + 1, NULL, &error_), BAD_SIXTH);
	REFUSED(scene,
		cowdax_fallocate(scene.fs, scene.a, COWDAX_FALLOCATE_PUNCH, 0, 5 * BLOCK + 1, false, NULL, &error_),
		"/a: offset 20481: cannot be read from the media: Input/output error");
	CHECK_EQUAL(cowdax_clone(scene.fs, "/a", "/c", NULL, NULL), 0);
	REFUSED(scene,
		cowdax_fallocate(scene.fs, scene.a, COWDAX_FALLOCATE_UNSHARE, 0, 16 * BLOCK, false, NULL, &error_),
		BAD_SIXTH);
	free(bytes);
	cowdax_close(scene.fs);
}

/* Every block of data there is, in one file. */
static uint64_t fill_image(struct cowdax *fs, uint64_t inode)
{
	unsigned char bytes[BLOCK];
	uint64_t offset = 0;

	memset(bytes, 'f', sizeof(bytes));
	for (;;) {
		int ret = cowdax_write(fs, inode, bytes, sizeof(bytes), offset, NULL, NULL);

		if (ret == -ENOSPC)
			return offset;
		CHECK_EQUAL(ret, 0);
		offset += BLOCK;
	}
}

TEST("R22: a bad page that is free again is stored to through the file, which heals it")
{
	struct scene scene = make_scene();
	uint64_t inode, size, at;
	bool met = false;

	if (!poison_is_real())
		unit_skip("needs userfaultfd poison: over an empty file there is nothing to heal");
	rig_remove(scene.fs, "/a");
	rig_drain(scene.fs);
	inode = rig_create(scene.fs, "/full");
	size = fill_image(scene.fs, inode);
	for (at = 0; at < size && !met; at += BLOCK)
		met = address_of(scene.fs, inode, at) == scene.address;
	CHECK(met);
	poison_heal();
	see_anew(&scene);
	rig_expect(scene.fs, inode, 0, size, 'f');
	rig_check(scene.fs->path);
	cowdax_close(scene.fs);
}

TEST("R1: where neither copy of a commit slot can be read nobody takes the other for the newest commit")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0), *again = NULL;
	struct cowdax_open_options options = {0};
	struct cowdax_error error;
	uint64_t inode = rig_create(fs, "/a");
	int newest;

	CHECK_EQUAL(cowdax_catch_faults(), 0);
	rig_write(fs, inode, 0, 100, 'a');
	newest = (int)(fs->txn.committed.transaction & 1);
	poison_page(cdx_slot_offset(&fs->super, newest, false));
	poison_page(cdx_slot_offset(&fs->super, newest, true));
	CHECK_EQUAL(cowdax_open(fs->path, &options, &again, &error), 0);
	CHECK_EQUAL(cowdax_lookup(again, "/a", &inode, &error), -EIO);
	CHECK_EQUAL(cowdax_create(again, "/b", 0644, &inode, &error), -EIO);
	cowdax_close(again);
	/* One of the two is enough. */
	poison_heal();
	poison_page(cdx_slot_offset(&fs->super, newest, false));
	again = rig_again(fs);
	rig_expect(again, inode, 0, 100, 'a');
	cowdax_close(again);
	poison_heal();
	again = rig_again(fs);
	rig_expect(again, inode, 0, 100, 'a');
	rig_create(again, "/b");
	cowdax_close(again);
	rig_check(fs->path);
	cowdax_close(fs);
}
