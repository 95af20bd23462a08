// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams: all or nothing, in bounded memory, and nothing left of one that was killed. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "field.h"

/* ---- killed -------------------------------------------------------------------------- */

struct victim {
	const char *image, *path;
	uint64_t length, stop_at, chunk;
	bool append, truncate;
	struct gate there;
};

static void stop_here(void *arg)
{
	struct victim *victim = arg;

	gate_open(&victim->there);
	pause();
}

static void stream_and_stop(void *arg)
{
	struct victim *victim = arg;
	struct cowdax *fs = open_image(victim->image, 0);
	struct source source = {
		.length = victim->length, .version = 2, .stop_at = victim->stop_at, .stop = stop_here,
		.arg = victim,
	};
	struct cowdax_write_request request = {
		.path = victim->path, .append = victim->append, .truncate = victim->truncate,
		.length = COWDAX_TO_END, .chunk = victim->chunk, .source = source_bytes,
		.source_arg = &source,
	};

	MUST(cowdax_write_stream(fs, &request, NULL, &field_error));
}

/* Kill a stream into victim->path once it has taken victim->stop_at bytes. */
static void kill_stream(struct victim *victim)
{
	pid_t process;

	gate_make(&victim->there);
	process = start_process(stream_and_stop, victim);
	gate_pass(&victim->there);
	kill_process(process);
}

#define FILE_LENGTH (3 * MIB)

static const char *make_scene(uint64_t size)
{
	const char *image = make_image(size);
	struct cowdax *fs = open_image(image, 0);

	MUST(write_version(fs, make_file(fs, "/file"), 0, FILE_LENGTH, 1));
	make_file(fs, "/other");
	cowdax_close(fs);
	return image;
}

static uint64_t size_of(struct cowdax *fs, const char *path)
{
	struct cowdax_stat st;

	MUST(cowdax_stat(fs, find_file(fs, path), &st, &field_error));
	return st.size;
}

static void check_old(const char *image)
{
	struct cowdax *fs = open_image(image, COWDAX_RDONLY);

	CHECK_EQUAL(size_of(fs, "/file"), FILE_LENGTH);
	CHECK_EQUAL(read_version(fs, find_file(fs, "/file"), 0, FILE_LENGTH), 1);
	cowdax_close(fs);
	check_clean(image);
}

TEST("a stream killed half-way leaves the file as it was, and its space to the next write by anyone")
{
	static const struct victim victims[] = {
		{.path = "/file"}, {.path = "/file", .append = true}, {.path = "/file", .truncate = true},
		{.path = "/new"},
	};
	const char *image = make_scene(64 * MIB);
	uint64_t before = settled_space(image), inode;
	struct cowdax_info info, left;
	struct cowdax *fs;

	for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
		struct victim victim = victims[i];

		victim.image = image;
		victim.length = 40 * MIB;
		victim.stop_at = 33 * MIB;
		kill_stream(&victim);
		check_old(image);
		fs = open_image(image, 0);
		CHECK_EQUAL(cowdax_lookup(fs, "/new", &inode, &field_error), -ENOENT);
		MUST(cowdax_info(fs, &left, &field_error));
		MUST(write_version(fs, find_file(fs, "/other"), 0, 10, 3));
		MUST(cowdax_info(fs, &info, &field_error));
		CHECK(info.free_blocks + info.limbo_blocks >= left.free_blocks + left.limbo_blocks +
							       32 * MIB / BLOCK - 2);
		MUST(cowdax_truncate(fs, find_file(fs, "/other"), 0, NULL, &field_error));
		cowdax_close(fs);
		check_old(image);
		check_space(image, before);
	}
}

TEST("the space of several killed streams is there for one that needs all of it")
{
	const char *image = make_scene(64 * MIB);
	struct victim victim[3];
	struct cowdax *fs;
	pid_t process[3];

	/* All at once: each in a lane of its own. */
	for (int i = 0; i < 3; i++) {
		static const char *const paths[] = {"/one", "/two", "/three"};

		victim[i] = (struct victim){
			.image = image, .path = paths[i], .length = 30 * MIB, .stop_at = 18 * MIB,
		};
		gate_make(&victim[i].there);
		process[i] = start_process(stream_and_stop, &victim[i]);
		gate_pass(&victim[i].there);
	}
	for (int i = 0; i < 3; i++)
		kill_process(process[i]);
	fs = open_image(image, 0);
	MUST(stream_version(fs, "/all", 0, 50 * MIB, 4));
	CHECK_EQUAL(read_version(fs, find_file(fs, "/all"), 0, 50 * MIB), 4);
	cowdax_close(fs);
	check_old(image);
}

TEST("streams that fail by themselves leave nothing either")
{
	const char *image = make_scene(32 * MIB);
	uint64_t before = settled_space(image);
	struct cowdax *fs = open_image(image, 0);
	struct source source = {.length = 9 * MIB, .version = 2};
	struct cowdax_write_request request = {
		.path = "/file", .length = 10 * MIB, .source = source_bytes, .source_arg = &source,
	};

	CHECK_EQUAL(cowdax_write_stream(fs, &request, NULL, &field_error), -ENODATA);
	CHECK_EQUAL(stream_version(fs, "/file", 0, 40 * MIB, 2), -ENOSPC);
	check_old(image);
	CHECK_EQUAL(stream_version(fs, "/new", 0, 40 * MIB, 2), -ENOSPC);
	cowdax_close(fs);
	check_old(image);
	check_space(image, before);
}

/* ---- in chunks -------------------------------------------------------------------------- */

static void check_chunks(uint64_t chunk, uint64_t stop_at)
{
	const char *image = make_scene(96 * MIB);
	struct victim victim = {
		.image = image, .path = "/new", .length = 40 * MIB, .chunk = chunk, .stop_at = stop_at,
	};
	struct cowdax *fs;
	uint64_t there = stop_at / chunk * chunk, before;

	kill_stream(&victim);
	fs = open_image(image, 0);
	CHECK_EQUAL(size_of(fs, "/new"), there);
	CHECK_EQUAL(read_version(fs, find_file(fs, "/new"), 0, there), 2);
	MUST(write_version(fs, find_file(fs, "/other"), 0, 10, 3));
	cowdax_close(fs);
	before = settled_space(image);
	check_space(image, before);
	/* As many as there are bytes in the file, and no more, are in use. */
	fs = open_image(image, 0);
	MUST(cowdax_remove(fs, "/new", false, &field_error));
	cowdax_close(fs);
	check_space(image, before + (there + BLOCK - 1) / BLOCK);
}

TEST("a stream in chunks that is killed leaves whole chunks: short ones")
{
	check_chunks(MIB / 2, 4 * MIB + 1000);
}

TEST("a stream in chunks that is killed leaves whole chunks: long ones, not in blocks")
{
	check_chunks(6 * MIB + 1001, 17 * MIB);
}

TEST("a stream in chunks is whole at its end, its last chunk a short one")
{
	const char *image = make_scene(64 * MIB);
	struct cowdax *fs = open_image(image, 0);
	struct source source = {.length = 20 * MIB + 17, .version = 2};
	struct cowdax_write_request request = {
		.path = "/new", .length = COWDAX_TO_END, .chunk = 5 * MIB, .source = source_bytes,
		.source_arg = &source,
	};
	struct cowdax_result result = {0};

	MUST(cowdax_write_stream(fs, &request, &result, &field_error));
	CHECK_EQUAL(result.bytes_written, source.length);
	CHECK_EQUAL(size_of(fs, "/new"), source.length);
	CHECK_EQUAL(read_version(fs, find_file(fs, "/new"), 0, source.length), 2);
	cowdax_close(fs);
	check_clean(image);
}

/* ---- appending ---------------------------------------------------------------------------- */

struct appender {
	const char *image, *path;
	uint64_t length, version;
	struct gate there, go;
	unsigned int ended;
};

static void arrive(void *arg)
{
	struct appender *appender = arg;

	gate_open(&appender->there);
	gate_pass(&appender->go);
}

static void append(void *arg)
{
	struct appender *appender = arg;
	struct cowdax *fs = open_image(appender->image, 0);
	struct source source = {
		.length = appender->length, .version = appender->version, .stop_at = MIB, .stop = arrive,
		.arg = appender,
	};
	struct cowdax_write_request request = {
		.path = appender->path, .append = true, .length = COWDAX_TO_END, .source = source_bytes,
		.source_arg = &source,
	};

	MUST(cowdax_write_stream(fs, &request, NULL, &field_error));
	cowdax_close(fs);
}

/* Two appends that both began when the file was short; the second is behind the first, whole. */
static void append_twice(const char *path, uint64_t start, uint64_t length)
{
	const char *image = make_scene(64 * MIB);
	struct appender appender[2];
	unsigned char *bytes = malloc(length);
	struct cowdax *fs;
	pid_t process[2];
	uint64_t inode;

	for (uint64_t i = 0; i < 2; i++) {
		appender[i] = (struct appender){.image = image, .path = path, .length = length, .version = 5 + i};
		gate_make(&appender[i].there);
		gate_make(&appender[i].go);
		process[i] = start_process(append, &appender[i]);
		gate_pass(&appender[i].there);
	}
	for (int i = 0; i < 2; i++) {
		gate_open(&appender[i].go);
		end_process(process[i]);
	}
	fs = open_image(image, 0);
	inode = find_file(fs, path);
	CHECK_EQUAL(size_of(fs, path), start + 2 * length);
	for (uint64_t i = 0; i < 2; i++) {
		CHECK_EQUAL(cowdax_read(fs, inode, bytes, length, start + i * length, &field_error), length);
		/* As a source gives them: counted from its own start. */
		CHECK_EQUAL(version_of(bytes, 0, length), 5 + i);
	}
	if (start)
		CHECK_EQUAL(read_version(fs, inode, 0, start), 1);
	cowdax_close(fs);
	free(bytes);
	check_clean(image);
}

TEST("appends to one file that begin at once follow each other: long ones")
{
	append_twice("/file", FILE_LENGTH, 9 * MIB);
}

TEST("appends to one file that begin at once follow each other: not in blocks")
{
	append_twice("/file", FILE_LENGTH, 7 * MIB + 1235);
}

TEST("appends to one file that begin at once follow each other: short ones")
{
	append_twice("/file", FILE_LENGTH, 2 * MIB + 77);
}

TEST("appends that both find no file follow each other in the one that the first makes")
{
	append_twice("/new", 0, 8 * MIB + 333);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* KiB of this process's memory that are no file's. */
static uint64_t anonymous_memory(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	uint64_t value = UINT64_MAX;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		sscanf(line, "RssAnon: %" SCNu64, &value);
	if (status)
		fclose(status);
	if (value == UINT64_MAX)
		unit_skip("/proc/self/status does not tell the memory in use");
	return value;
}

struct gauge {
	uint64_t left, most;
};

static ssize_t measured_source(void *arg, void *buffer, size_t length)
{
	struct gauge *gauge = arg;
	uint64_t now = anonymous_memory();

	if (now > gauge->most)
		gauge->most = now;
	if (length > gauge->left)
		length = gauge->left;
	memset(buffer, 'x', length);
	gauge->left -= length;
	return (ssize_t)length;
}

static void check_memory(struct cowdax *fs, uint64_t length)
{
	struct gauge gauge = {.left = length};
	struct cowdax_write_request request = {
		.path = "/new", .length = COWDAX_TO_END, .source = measured_source, .source_arg = &gauge,
	};
	uint64_t start = anonymous_memory();

	MUST(cowdax_write_stream(fs, &request, NULL, &field_error));
	CHECK_EQUAL(size_of(fs, "/new"), length);
	unit_note("%" PRIu64 " KiB of memory at most, %" PRIu64 " before", gauge.most, start);
	CHECK(gauge.most < start + 64 * KIB);
	cowdax_close(fs);
}

TEST("a stream of hundreds of MiB takes no more than 64 MiB of memory")
{
	const char *image = make_image(320 * MIB);

	check_memory(open_image(image, 0), 288 * MIB);
	check_clean(image);
}

TEST("nor where the free space is in single blocks")
{
	const char *image = make_image(64 * MIB);
	struct cowdax *fs = open_image(image, 0);
	uint64_t inode = make_file(fs, "/sieve"), block;

	MUST(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 56 * MIB, false, NULL, &field_error));
	for (block = 0; block < 56 * MIB / BLOCK;) {
		MUST(cowdax_begin(fs, &field_error));
		for (int i = 0; i < 512; i++, block += 2)
			MUST(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, block * BLOCK, BLOCK, true,
					      NULL, &field_error));
		MUST(cowdax_commit(fs, &field_error));
	}
	check_memory(fs, 24 * MIB);
	check_clean(image);
}
