// SPDX-License-Identifier: GPL-2.0-or-later
/* Readers among writers: each sees one commit, blocks nobody, and leaves nothing behind. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pmem/device.h"
#include "field.h"

#define SIZE (16 * MIB)		/* of the image: little more than the files and one more version of them */
#define LONG (3 * MIB)
#define SHORT (600 * KIB)
#define COMMITS 150

/* One writes, others read, all the time. */
struct scene {
	const char *image;
	volatile unsigned int commits, refused;	/* of the writer; refused: a reader held the space */
	volatile unsigned int ended;
};

static struct scene *make_scene(void)
{
	struct scene *scene = share(sizeof(*scene));
	struct cowdax *fs;

	scene->image = make_image(SIZE);
	fs = open_image(scene->image, 0);
	MUST(write_version(fs, make_file(fs, "/long"), 0, LONG, 1));
	MUST(write_version(fs, make_file(fs, "/short"), 0, SHORT, 1));
	/* What is left does not hold two more of each. */
	MUST(write_version(fs, make_file(fs, "/filler"), 0, SIZE - 2 * LONG - 2 * SHORT - 2 * MIB, 1));
	cowdax_close(fs);
	return scene;
}

/* Again until there is space: it comes back when readers go on. */
static void write_anyway(struct scene *scene, struct cowdax *fs, uint64_t inode, uint64_t length, uint64_t version)
{
	int ret;

	while ((ret = write_version(fs, inode, 0, length, version)) == -ENOSPC) {
		scene->refused++;
		sched_yield();
	}
	MUST(ret);
	scene->commits++;
}

static void write_versions(void *arg)
{
	struct scene *scene = arg;
	struct cowdax *fs = open_image(scene->image, 0);
	uint64_t long_file = find_file(fs, "/long"), short_file = find_file(fs, "/short");

	for (uint64_t version = 2; version < COMMITS; version++) {
		write_anyway(scene, fs, short_file, SHORT, version);
		if (version % 3 == 0)
			write_anyway(scene, fs, long_file, LONG, version);
	}
	scene->ended = 1;
	cowdax_close(fs);
}

static void read_often_by(struct scene *scene, unsigned int flags)
{
	struct cowdax *fs = open_image(scene->image, flags);
	uint64_t long_file = find_file(fs, "/long"), short_file = find_file(fs, "/short");

	while (!scene->ended) {
		CHECK(read_version(fs, long_file, 0, LONG) != 0);
		CHECK(read_version(fs, short_file, 0, SHORT) != 0);
	}
	cowdax_close(fs);
}

static void read_often(void *arg)
{
	read_often_by(arg, 0);
}

static void read_lingering(void *arg)
{
	read_often_by(arg, COWDAX_LINGER);
}

TEST("every read sees one version, whole, while a writer makes new ones on a nearly full image")
{
	struct scene *scene = make_scene();
	pid_t reader[2], writer;

	for (int i = 0; i < 2; i++)
		reader[i] = start_process(i ? read_lingering : read_often, scene);
	writer = start_process(write_versions, scene);
	end_process(writer);
	for (int i = 0; i < 2; i++)
		end_process(reader[i]);
	unit_note("%u commits, %u times without space", scene->commits, scene->refused);
	check_clean(scene->image);
}

/* ---- overtaken ------------------------------------------------------------------------ */

static void (*before_view)(void *arg);	/* called once, before the next reader's lock is taken */
static void *before_view_arg;

int __real_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);
int __wrap_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);

int __wrap_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait)
{
	void (*call)(void *arg) = before_view;

	if (call && start >= device->lock.readers && start <= device->lock.readers + CDX_LAST_TRANSACTION) {
		before_view = NULL;
		call(before_view_arg);
	}
	return __real_cdx_device_lock(device, start, length, exclusive, wait);
}

static void overtake(void *scene)
{
	end_process(start_process(write_versions, scene));
}

TEST("a reader that a writer overtakes, between looking and locking, sees what is newest then")
{
	struct scene *scene = make_scene();
	struct cowdax *fs;

	before_view_arg = scene;
	before_view = overtake;
	fs = open_image(scene->image, COWDAX_RDONLY);
	CHECK(scene->ended);
	CHECK_EQUAL(read_version(fs, find_file(fs, "/short"), 0, SHORT), COMMITS - 1);
	CHECK(read_version(fs, find_file(fs, "/long"), 0, LONG) != 0);
	cowdax_close(fs);
	check_clean(scene->image);
}

/* ---- taking their time ---------------------------------------------------------------- */

/* Until the writer is some commits further, or can go no further. */
static void let_write(struct scene *scene)
{
	unsigned int commits = scene->commits, refused = scene->refused;

	while (!scene->ended && scene->commits < commits + 4 && scene->refused < refused + 2)
		sched_yield();
}

static void hold_views(void *arg)
{
	struct scene *scene = arg;

	while (!scene->ended) {
		struct cowdax *fs = open_image(scene->image, COWDAX_RDONLY);
		uint64_t transaction = cowdax_transaction(fs), first[2];
		uint64_t long_file = find_file(fs, "/long"), short_file = find_file(fs, "/short");

		first[0] = read_version(fs, long_file, 0, LONG);
		first[1] = read_version(fs, short_file, 0, SHORT);
		CHECK(first[0] != 0 && first[1] != 0);
		for (int i = 0; i < 3; i++) {
			let_write(scene);
			CHECK_EQUAL(read_version(fs, long_file, 0, LONG), first[0]);
			CHECK_EQUAL(read_version(fs, short_file, 0, SHORT), first[1]);
			CHECK_EQUAL(cowdax_transaction(fs), transaction);
		}
		cowdax_close(fs);
	}
}

TEST("a handle opened for reading sees one commit for its life, however far the writer gets")
{
	struct scene *scene = make_scene();
	pid_t reader, writer;

	reader = start_process(hold_views, scene);
	writer = start_process(write_versions, scene);
	end_process(writer);
	end_process(reader);
	CHECK(scene->refused > 0);
	unit_note("%u commits, %u times without space", scene->commits, scene->refused);
	check_clean(scene->image);
}

struct sink {
	struct scene *scene;
	unsigned char *bytes;
	size_t length;
};

/* A pipe that takes its time. */
static int take_slowly(void *arg, const void *bytes, size_t length)
{
	struct sink *sink = arg;

	memcpy(sink->bytes + sink->length, bytes, length / 2);
	let_write(sink->scene);
	memcpy(sink->bytes + sink->length + length / 2, (const char *)bytes + length / 2, length - length / 2);
	sink->length += length;
	return 0;
}

static void read_slowly(void *arg)
{
	struct sink sink = {.scene = arg, .bytes = malloc(LONG)};
	struct cowdax *fs = open_image(sink.scene->image, 0);
	uint64_t inode = find_file(fs, "/long");

	while (!sink.scene->ended) {
		sink.length = 0;
		MUST(cowdax_read_to(fs, inode, 0, COWDAX_TO_END, take_slowly, &sink, &field_error));
		CHECK_EQUAL(sink.length, LONG);
		CHECK(version_of(sink.bytes, 0, LONG) != 0);
	}
	cowdax_close(fs);
	free(sink.bytes);
}

TEST("a slow read sees one version, from its first byte to its last")
{
	struct scene *scene = make_scene();
	pid_t reader, writer;

	reader = start_process(read_slowly, scene);
	writer = start_process(write_versions, scene);
	end_process(writer);
	end_process(reader);
	check_clean(scene->image);
}

/* ---- holding space -------------------------------------------------------------------- */

struct viewer {
	const char *image;
	struct gate views, look, seen;
};

/* See the files, tell, and see them again when asked. */
static void view(void *arg)
{
	struct viewer *viewer = arg;
	struct cowdax *fs = open_image(viewer->image, COWDAX_RDONLY);
	uint64_t inode = find_file(fs, "/filler"), length = SIZE - 2 * LONG - 2 * SHORT - 2 * MIB;

	CHECK_EQUAL(read_version(fs, inode, 0, length), 1);
	gate_open(&viewer->views);
	gate_pass(&viewer->look);
	CHECK_EQUAL(read_version(fs, inode, 0, length), 1);
	gate_open(&viewer->seen);
	gate_pass(&viewer->look);
}

/* Fill the image with @path until there is no more space; MiBs written. */
static unsigned int fill_up(const char *image, const char *path)
{
	struct cowdax *fs = open_image(image, 0);
	unsigned int written = 0;
	int ret;

	while ((ret = stream_version(fs, path, written * MIB, MIB, 5)) == 0)
		written++;
	CHECK_EQUAL(ret, -ENOSPC);
	cowdax_close(fs);
	return written;
}

TEST("what a reader sees is not used again until it is killed, and then all of it is")
{
	struct scene *scene = make_scene();
	struct viewer viewer = {.image = scene->image};
	struct cowdax *fs;
	unsigned int without, with;
	pid_t process;

	gate_make(&viewer.views);
	gate_make(&viewer.look);
	gate_make(&viewer.seen);
	process = start_process(view, &viewer);
	gate_pass(&viewer.views);
	fs = open_image(scene->image, 0);
	MUST(cowdax_remove(fs, "/filler", false, &field_error));
	with = fill_up(scene->image, "/new");
	CHECK_EQUAL(stream_version(fs, "/new", with * MIB, MIB, 5), -ENOSPC);
	CHECK(strstr(field_error.text, "reader"));
	gate_open(&viewer.look);
	gate_pass(&viewer.seen);
	kill_process(process);
	MUST(cowdax_remove(fs, "/new", false, &field_error));
	without = fill_up(scene->image, "/new");
	CHECK_EQUAL(read_version(fs, find_file(fs, "/new"), 0, without * MIB), 5);
	cowdax_close(fs);
	unit_note("%u MiB beside the reader, %u without it", with, without);
	CHECK(without >= with + (SIZE - 2 * LONG - 2 * SHORT - 2 * MIB) / MIB - 1);
	check_clean(scene->image);
}

/* ---- forked children --------------------------------------------------------------------- */

struct child {
	struct cowdax *fs;
	void *mapping;
	struct gate tried, go;
};

static void try_handle(void *arg)
{
	struct child *child = arg;
	struct cowdax_info info;
	uint64_t inode;
	char byte;

	CHECK_EQUAL(cowdax_lookup(child->fs, "/long", &inode, &field_error), -EPERM);
	CHECK_EQUAL(cowdax_read(child->fs, 2, &byte, 1, 0, &field_error), -EPERM);
	CHECK_EQUAL(cowdax_write(child->fs, 2, "x", 1, 0, NULL, &field_error), -EPERM);
	CHECK_EQUAL(write_version(child->fs, 2, 0, 2 * MIB, 2), -EPERM);
	CHECK_EQUAL(stream_version(child->fs, "/long", 0, 10, 2), -EPERM);
	CHECK_EQUAL(stream_version(child->fs, "/long", 0, 5 * MIB, 2), -EPERM);
	CHECK_EQUAL(cowdax_begin(child->fs, &field_error), -EPERM);
	CHECK_EQUAL(cowdax_commit(child->fs, &field_error), -EPERM);
	CHECK_EQUAL(cowdax_info(child->fs, &info, &field_error), -EPERM);
	cowdax_abort(child->fs);
	cowdax_close(child->fs);
	gate_open(&child->tried);
	gate_pass(&child->go);
}

TEST("R10: a forked child cannot use its parent's handle, nor do anything to its transaction")
{
	struct scene *scene = make_scene();
	struct child child = {.fs = open_image(scene->image, 0)};
	uint64_t inode = find_file(child.fs, "/long");
	struct cowdax *other;
	pid_t process;

	alarm(30);	/* a child that is let in waits for its parent for ever */
	gate_make(&child.tried);
	gate_make(&child.go);
	MUST(cowdax_begin(child.fs, &field_error));
	MUST(write_version(child.fs, inode, 0, SHORT, 2));
	process = start_process(try_handle, &child);
	gate_pass(&child.tried);
	/* The parent's locks are its own still, though the child has even closed the handle. */
	other = open_image(scene->image, COWDAX_NO_WAIT);
	CHECK_EQUAL(cowdax_create(other, "/other", 0644, NULL, &field_error), -EAGAIN);
	CHECK_EQUAL(write_version(other, inode, 0, 5, 3), -EAGAIN);
	MUST(cowdax_commit(child.fs, &field_error));
	CHECK_EQUAL(read_version(other, inode, 0, SHORT), 2);
	gate_open(&child.go);
	end_process(process);
	cowdax_close(child.fs);
	cowdax_close(other);
	check_clean(scene->image);
}

static void linger(void *arg)
{
	struct child *child = arg;

	gate_open(&child->tried);
	gate_pass(&child->go);
}

TEST("R10: once a handle is closed nothing is locked, though a forked child lives on")
{
	struct scene *scene = make_scene();
	struct cowdax_mkfs_options options = {.size = SIZE, .uuid = "again", .seed = 8};
	struct child child;
	struct cowdax *writer = open_image(scene->image, 0), *reader = open_image(scene->image, COWDAX_RDONLY);
	pid_t process;

	gate_make(&child.tried);
	gate_make(&child.go);
	MUST(cowdax_begin(writer, &field_error));
	process = start_process(linger, &child);
	gate_pass(&child.tried);
	cowdax_close(writer);
	cowdax_close(reader);
	writer = open_image(scene->image, COWDAX_NO_WAIT);
	CHECK_EQUAL(write_version(writer, find_file(writer, "/long"), 0, 2 * MIB, 3), 0);
	cowdax_close(writer);
	/* Not even that it is open: mkfs takes the image for itself. */
	MUST(cowdax_mkfs(scene->image, &options, NULL, &field_error));
	gate_open(&child.go);
	end_process(process);
}

static void drop_handle(void *arg)
{
	struct child *child = arg;

	cowdax_close(child->fs);
	gate_open(&child->tried);
	gate_pass(&child->go);
}

/* Begin a transaction, fork, and be killed: the grandchild has closed the handle. */
static void begin_and_fork(void *arg)
{
	struct child *child = arg;

	child->fs = open_image(unit_path("image"), 0);
	MUST(cowdax_begin(child->fs, &field_error));
	if (fork() == 0) {
		alarm(60);
		drop_handle(child);
		_exit(EXIT_SUCCESS);
	}
	pause();
}

/* Where the image is mapped. */
static void *find_mapping(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t start = 0;
	char line[1024];

	while (maps && fgets(line, sizeof(line), maps) && !start)
		if (strstr(line, "/image\n"))
			start = strtoull(line, NULL, 16);
	if (maps)
		fclose(maps);
	if (!start)
		unit_skip("/proc/self/maps does not tell where the image is");
	return (void *)(uintptr_t)start;
}

/* The parent's mapping is not in the child, which may have put something else there. */
static void close_over(void *arg)
{
	struct child *child = arg;
	unsigned char *own = mmap(child->mapping, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(own == child->mapping);
	cowdax_close(child->fs);
	memset(own, 1, SIZE);
}

TEST("R10: a forked child that closes the handle keeps the memory that is its own")
{
	struct scene *scene = make_scene();
	struct child child = {.fs = open_image(scene->image, 0)};

	child.mapping = find_mapping();
	end_process(start_process(close_over, &child));
	MUST(write_version(child.fs, find_file(child.fs, "/long"), 0, SHORT, 3));
	cowdax_close(child.fs);
	check_clean(scene->image);
}

TEST("R10: a forked child that has closed the handle does not keep its dead parent's locks")
{
	struct scene *scene = make_scene();
	struct child child;
	struct cowdax *fs;
	pid_t process;

	gate_make(&child.tried);
	gate_make(&child.go);
	process = start_process(begin_and_fork, &child);
	gate_pass(&child.tried);
	kill_process(process);
	fs = open_image(scene->image, COWDAX_NO_WAIT);
	CHECK_EQUAL(write_version(fs, find_file(fs, "/long"), 0, SHORT, 3), 0);
	cowdax_close(fs);
	gate_open(&child.go);
	check_clean(scene->image);
}
