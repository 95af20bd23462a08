// SPDX-License-Identifier: GPL-2.0-or-later
#include "field.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 5		/* seconds for which to look for a waiter */

_Thread_local struct cowdax_error field_error;

_Noreturn void field_failed(const char *file, int line, const char *what, long long ret)
{
	unit_note("%s: %s", what, field_error.text);
	unit_unequal(file, line, what, ret, 0);
}

/* ---- images ------------------------------------------------------------------------- */

const char *make_image(uint64_t size)
{
	struct cowdax_mkfs_options options = {.size = size, .create = true, .uuid = "storm", .seed = 7};
	static char path[512];

	snprintf(path, sizeof(path), "%s", unit_path("image"));
	MUST(cowdax_mkfs(path, &options, NULL, &field_error));
	return path;
}

struct cowdax *open_image(const char *image, unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags};
	struct cowdax *fs;

	MUST(cowdax_open(image, &options, &fs, &field_error));
	return fs;
}

uint64_t find_file(struct cowdax *fs, const char *path)
{
	uint64_t inode;

	MUST(cowdax_lookup(fs, path, &inode, &field_error));
	return inode;
}

uint64_t make_file(struct cowdax *fs, const char *path)
{
	uint64_t inode;

	MUST(cowdax_create(fs, path, 0644, &inode, &field_error));
	return inode;
}

static void *allocate(size_t length)
{
	void *bytes = malloc(length ? length : 1);

	if (!bytes)
		abort();
	return bytes;
}

int write_version(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, uint64_t version)
{
	void *bytes = allocate(length);
	int ret;

	fill_version(bytes, offset, length, version);
	ret = cowdax_write(fs, inode, bytes, length, offset, NULL, &field_error);
	free(bytes);
	return ret;
}

int stream_version(struct cowdax *fs, const char *path, uint64_t offset, uint64_t length, uint64_t version)
{
	struct source source = {.offset = offset, .length = length, .version = version};

	return write_source(fs, path, &source);
}

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	(void)arg;
	unit_note("fsck: %s: %s (found %" PRIu64 ", expected %" PRIu64 ")", problem->code,
		  problem->message, problem->found, problem->expected);
}

void check_clean(const char *image)
{
	struct cowdax_check_options options = {.problem = note_problem};
	struct cowdax_check_summary summary;

	MUST(cowdax_check(image, &options, &summary, &field_error));
	CHECK(summary.clean);
}

uint64_t settled_space(const char *image)
{
	struct cowdax *fs = open_image(image, 0);
	struct cowdax_check_summary summary;
	struct cowdax_info info;
	uint64_t inode = make_file(fs, "/drain");

	/* What is asked for when space runs out. */
	CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, UINT64_C(1) << 40, false, NULL,
				     &field_error), -ENOSPC);
	MUST(cowdax_remove(fs, "/drain", false, &field_error));
	MUST(cowdax_info(fs, &info, &field_error));
	cowdax_close(fs);
	MUST(cowdax_check(image, NULL, &summary, &field_error));
	CHECK(summary.clean);
	return info.free_blocks + info.limbo_blocks + summary.nodes * info.node_size / info.block_size;
}

void check_space(const char *image, uint64_t before)
{
	uint64_t after = settled_space(image);

	unit_note("%" PRIu64 " blocks free or with nodes, %" PRIu64 " before", after, before);
	/* Each of free, limbo and nodes is rounded to blocks. */
	CHECK(after + 3 > before && before + 3 > after);
}

/* ---- what bytes say ------------------------------------------------------------------- */

uint64_t read_version(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length)
{
	void *bytes = allocate(length);
	uint64_t version = 0;
	ssize_t got = cowdax_read(fs, inode, bytes, length, offset, &field_error);

	MUST(got);
	if ((uint64_t)got == length)
		version = version_of(bytes, offset, length);
	free(bytes);
	return version;
}

/* ---- meeting ---------------------------------------------------------------------------- */

void gate_make(struct gate *gate)
{
	CHECK_EQUAL(pipe(gate->fd), 0);
}

void gate_open(const struct gate *gate)
{
	CHECK_EQUAL(write(gate->fd[1], "", 1), 1);
}

void gate_pass(const struct gate *gate)
{
	char byte;

	CHECK_EQUAL(read(gate->fd[0], &byte, 1), 1);
}

ssize_t source_bytes(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;
	uint64_t left = source->length - source->given;

	if (source->stop && source->given == source->stop_at) {
		source->stop(source->arg);
		source->stop = NULL;
	}
	if (source->stop && source->given < source->stop_at)
		left = source->stop_at - source->given;
	if (length > left)
		length = left;
	fill_version(buffer, source->offset + source->given, length, source->version);
	source->given += length;
	return (ssize_t)length;
}

int write_source(struct cowdax *fs, const char *path, struct source *source)
{
	struct cowdax_write_request request = {
		.path = path, .offset = source->offset,
		.length = source->endless ? COWDAX_TO_END : source->length,
		.source = source_bytes, .source_arg = source,
	};

	return cowdax_write_stream(fs, &request, NULL, &field_error);
}

void *share(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

pid_t start_process(void (*run)(void *arg), void *arg)
{
	pid_t process;

	fflush(stdout);
	process = fork();
	CHECK(process >= 0);
	if (process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test that fails leaves nobody behind */
		run(arg);
		exit(EXIT_SUCCESS);
	}
	return process;
}

void end_process(pid_t process)
{
	int status;

	CHECK_EQUAL(waitpid(process, &status, 0), process);
	if (status)
		unit_fail(__FILE__, __LINE__, "a process of the test failed");
}

void kill_process(pid_t process)
{
	int status;

	CHECK_EQUAL(kill(process, SIGKILL), 0);
	CHECK_EQUAL(waitpid(process, &status, 0), process);
	CHECK(WIFSIGNALED(status));
}

unsigned int count_waiters(const char *image)
{
	FILE *locks = fopen("/proc/locks", "re");
	unsigned int count = 0;
	char line[256], file[64];
	struct stat st;

	CHECK_EQUAL(stat(image, &st), 0);
	snprintf(file, sizeof(file), " %02x:%02x:%ju ", major(st.st_dev), minor(st.st_dev), (uintmax_t)st.st_ino);
	while (locks && fgets(line, sizeof(line), locks))
		count += strstr(line, "->") && strstr(line, file);
	if (locks)
		fclose(locks);
	return count;
}

void wait_for_waiters(const char *image, unsigned int count, const volatile unsigned int *ended)
{
	time_t start = time(NULL);

	while (count_waiters(image) < count && !(ended && *ended) && time(NULL) - start < PATIENCE)
		sched_yield();
}
