// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams: all or nothing, in bounded memory, and nothing left of one that was killed. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "field.h"
#include "iomap/file.h"

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

/* ---- appends of many ----------------------------------------------------------------------- */

#define APPENDERS 4
#define APPENDS 14		/* of each */
#define FIRST_VERSION 100

static bool long_append;	/* one is under way here */
static uint64_t written_again;	/* bytes of it that were not left where they had been staged */

int __real_cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
			  uint64_t offset, void *scratch, struct cowdax_result *result);
int __wrap_cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
			  uint64_t offset, void *scratch, struct cowdax_result *result);
int __wrap_cdx_file_write(struct cdx_txn *txn, struct cdx_inode *inode, const void *bytes, uint64_t length,
			  uint64_t offset, void *scratch, struct cowdax_result *result)
{
	written_again += long_append ? length : 0;
	return __real_cdx_file_write(txn, inode, bytes, length, offset, scratch, result);
}

struct crowd {
	const char *image;
	uint64_t number;
	uint64_t version;	/* being appended */
};

/* Some bytes, some blocks, or more than is read before it is known to be long. */
static uint64_t length_of(uint64_t version)
{
	uint64_t state = version;

	if (version % 7 == 0)
		return 4 * MIB + 100 + unit_below(&state, MIB);
	return 16 + unit_below(&state, version % 7 < 3 ? 600 * KIB : 9000);
}

static void make_directory(void *arg)
{
	const struct crowd *crowd = arg;
	struct cowdax *fs = open_image(crowd->image, 0);
	char path[32];

	alarm(60);	/* for ever, if somebody copies with the commit lock */
	snprintf(path, sizeof(path), "/%u", (unsigned int)crowd->version);
	MUST(cowdax_mkdir(fs, path, 0755, false, &field_error));
	cowdax_close(fs);
}

/* Nobody goes on until another process has made a directory. */
static void meanwhile(void *arg)
{
	end_process(start_process(make_directory, arg));
}

static void append_version(struct cowdax *fs, struct crowd *crowd)
{
	uint64_t length = length_of(crowd->version);
	struct source source = {.length = length, .version = crowd->version, .arg = crowd};
	struct cowdax_write_request request = {
		.path = "/file", .append = true, .length = COWDAX_TO_END, .source = source_bytes,
		.source_arg = &source,
	};

	long_append = length > 4 * MIB;
	if (long_append) {
		source.stop = meanwhile;
		source.stop_at = length - 10;
	}
	MUST(cowdax_write_stream(fs, &request, NULL, &field_error));
	CHECK_EQUAL(written_again, 0);
	long_append = false;
}

static void append_in_crowd(void *arg)
{
	struct crowd *crowd = arg;
	struct cowdax *fs = open_image(crowd->image, 0);

	for (uint64_t i = 0; i < APPENDS; i++) {
		crowd->version = FIRST_VERSION + crowd->number * APPENDS + i;
		append_version(fs, crowd);
	}
	cowdax_close(fs);
}

/* From @at on there is nothing but the appends of all, each whole, and of each one in its order. */
static void check_appends(struct cowdax *fs, uint64_t at)
{
	uint64_t size = size_of(fs, "/file"), next[APPENDERS] = {0}, count = 0;
	unsigned char *bytes = malloc(size);

	CHECK(bytes);
	CHECK_EQUAL(cowdax_read(fs, find_file(fs, "/file"), bytes, size, 0, &field_error), size);
	for (; at < size; count++) {
		uint64_t word, version, number;

		CHECK(size - at >= 8);
		memcpy(&word, bytes + at, 8);
		version = word >> 32;
		CHECK(version >= FIRST_VERSION && version < FIRST_VERSION + APPENDERS * APPENDS);
		number = (version - FIRST_VERSION) / APPENDS;
		CHECK_EQUAL((version - FIRST_VERSION) % APPENDS, next[number]++);
		CHECK(length_of(version) <= size - at);
		CHECK_EQUAL(version_of(bytes + at, 0, length_of(version)), version);
		at += length_of(version);
	}
	CHECK_EQUAL(count, APPENDERS * APPENDS);
	free(bytes);
}

TEST("appends of several processes, long and short, are all there, each in one piece; one killed is not; others make directories meanwhile")
{
	const char *image = make_scene(160 * MIB);
	struct victim victim = {
		.image = image, .path = "/file", .append = true, .length = 9 * MIB, .stop_at = 6 * MIB,
	};
	struct crowd crowd[APPENDERS];
	pid_t process[APPENDERS];
	struct cowdax *fs;

	for (uint64_t i = 0; i < APPENDERS; i++) {
		crowd[i] = (struct crowd){.image = image, .number = i};
		process[i] = start_process(append_in_crowd, &crowd[i]);
	}
	kill_stream(&victim);
	for (int i = 0; i < APPENDERS; i++)
		end_process(process[i]);
	fs = open_image(image, 0);
	CHECK_EQUAL(read_version(fs, find_file(fs, "/file"), 0, FILE_LENGTH), 1);
	check_appends(fs, FILE_LENGTH);
	for (uint64_t version = FIRST_VERSION; version < FIRST_VERSION + APPENDERS * APPENDS; version++) {
		char path[32];

		snprintf(path, sizeof(path), "/%u", (unsigned int)version);
		if (length_of(version) > 4 * MIB)
			find_file(fs, path);
	}
	cowdax_close(fs);
	check_clean(image);
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
