// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page-cache backend, as it is shipped, on a file of an ordinary filesystem:
 * the crash enumerator's operations on the crash enumerator's images, looked at
 * at every msync().  Before one, the kernel may have written back any of the pages
 * that wait for it; after it, its pages are durable and nothing else is.
 */
#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "file.h"
#include "api/image.h"
#include "media.h"
#include "run.h"
#include "writeback.h"

#define EXIT_SURVIVED 3
#define SCATTERED 80
#define LONG_WRITE (CDX_IMAGE_LONG + 3 * BLOCK + 5)
#define LONG_STREAM ((UINT64_C(4) << 20) + 3 * BLOCK + 5)

/* ---- operations ---------------------------------------------------------------------------- */

static void run_operation(struct run *run, struct cowdax *fs, const struct operation *operation)
{
	run->operation = operation->name;
	run_foresee(run, operation->run);
	run->before[1] = run->before[0];
	run_start(run);
	run_finish(run, operation->run(fs));
}

static int create_another(struct cowdax *fs)
{
	uint64_t inode;

	return cowdax_create(fs, "/another", 0644, &inode, NULL);
}

static const struct operation another = {"create, after that,", .run = create_another};

/* The operation, and one more by the same handle, which goes on from what it has stored itself. */
static void run_both(struct run *run, const struct operation *operation)
{
	size_t mark = media_mark();
	struct cowdax *fs = run_open_file();

	run_operation(run, fs, operation);
	run_operation(run, fs, &another);
	run_close(run, fs);
	run_restore_image(mark);
}

static void run_all(struct run *run, unsigned int images)
{
	for (unsigned int i = 0; i < images; i++) {
		run_make_image(run, &setups[i]);
		for (unsigned int j = 0; j < operation_count; j++) {
			if (operations[j].run && !run_out_of_time(run))
				run_both(run, &operations[j]);
		}
	}
	run_say(run);
}

TEST("an ordinary file is mapped through the page cache: msync() is called, libpmem is not even loaded")
{
	struct run run = run_new(NULL);
	char line[512];
	FILE *maps;

	run_make_image(&run, &setups[0]);
	run_both(&run, &operations[0]);
	CHECK(run.all_msyncs > 0);
	maps = fopen("/proc/self/maps", "re");
	CHECK(maps);
	while (fgets(line, sizeof(line), maps))
		CHECK(!strstr(line, "libpmem"));
	fclose(maps);
}

TEST("nothing of a commit slot may reach the file before what it points to")
{
	struct run run = run_new(NULL);

	run_all(&run, 1);
}

TEST("whatever has been written back at an msync(), an operation is done or is not")
{
	struct run run = run_new(run_judge_files);

	run_all(&run, setup_count);
	judge_free(&run.judge);
}

/* ---- long writes --------------------------------------------------------------------------- */

static int write_long(struct cowdax *fs)
{
	unsigned char *bytes = get_array(NULL, LONG_WRITE, 1);
	uint64_t inode;
	int ret = cowdax_lookup(fs, "/tree-clone", &inode, NULL);

	fill_pattern(bytes, LONG_WRITE - 8, 5);
	if (!ret)
		ret = cowdax_write(fs, inode, bytes, LONG_WRITE, 3 * BLOCK + 7, NULL, NULL);
	free(bytes);
	return ret;
}

struct source { uint64_t left; };

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;

	if (length > source->left)
		length = source->left;
	memset(buffer, (int)(source->left % 251), length);
	source->left -= length;
	return (ssize_t)length;
}

static int write_long_stream(struct cowdax *fs)
{
	struct source source = {LONG_STREAM};
	struct cowdax_write_request request = {
		.path = "/long",
		.length = COWDAX_TO_END,
		.source = give,
		.source_arg = &source,
	};

	return cowdax_write_stream(fs, &request, NULL, NULL);
}

TEST("the blocks of a long write are durable before the file has them")
{
	static const struct operation longer[] = {
		{"long write", .run = write_long},
		{"long stream", .run = write_long_stream},
	};
	struct run run = run_new(run_judge_files);

	run_make_image(&run, &setups[0]);
	for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++)
		run_both(&run, &longer[i]);
	run_say(&run);
	judge_free(&run.judge);
}

/* All that is free lies in single blocks, with more between any two than the backend takes for one place. */
static void make_scattered(void)
{
	struct cowdax *fs;
	uint64_t inode;
	bool blocked;
	int ret;

	setups[2].make();
	ret = cowdax_open(media_path(), NULL, &fs, NULL);
	if (!ret)
		ret = cowdax_lookup(fs, "/filler", &inode, NULL);
	for (uint64_t block = 8; block < 8 + 4 * SCATTERED && !ret; block += 4)
		ret = cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, block * BLOCK, BLOCK, true, NULL, NULL);
	if (!ret)
		ret = cdx_txn_drain_all(&fs->txn, &blocked, NULL);
	if (ret)
		die("cannot make a setup: %s", strerror(-ret));
	cowdax_close(fs);
}

static int write_scattered(struct cowdax *fs)
{
	unsigned char bytes[SCATTERED / 2 * BLOCK];
	uint64_t inode;
	int ret = cowdax_lookup(fs, "/small", &inode, NULL);

	fill_pattern(bytes, sizeof(bytes), 3);
	return ret ? ret : cowdax_write(fs, inode, bytes, sizeof(bytes), 100, NULL, NULL);
}

TEST("so are blocks in more places than the backend keeps apart")
{
	static const struct setup setup = {"scattered", LONGEST_IMAGE, make_scattered, true};
	static const struct operation operation = {"write", .run = write_scattered};
	struct run run = run_new(run_judge_files);

	run_make_image(&run, &setup);
	run_both(&run, &operation);
	run_say(&run);
	judge_free(&run.judge);
}

/* ---- mkfs ------------------------------------------------------------------------------------ */

static int make(const char *path, uint64_t seed)
{
	struct cowdax_mkfs_options options;

	setup_options(&options);
	options.seed = seed;
	return cowdax_mkfs(path, &options, NULL, NULL);
}

static void run_making(struct run *run, uint64_t seed)
{
	struct journal journal = {0};
	size_t mark = media_mark();
	int ret;

	run->operation = "mkfs";
	run->begun = false;
	run->before[0] = run_super_void(0) ? CONTENT_VOID : run_media_content();
	media_record(&journal);
	ret = make(media_path(), seed);
	media_record(NULL);
	run->after = run_media_content();
	media_undo(&journal);
	journal_free(&journal);
	CHECK_EQUAL(ret, 0);
	run_start(run);
	run_finish(run, make(file_path(), seed));
	run_restore_image(mark);
}

TEST("mkfs: whatever has been written back at an msync(), there is the old filesystem, none, or the new one")
{
	static const struct setup blank = {"a blank file", LONGEST_IMAGE, media_stain, false};
	struct run run = run_new(run_judge_making);

	run_make_image(&run, &setups[0]);
	run_making(&run, 1);
	run_making(&run, 2);
	run_make_image(&run, &blank);
	run_making(&run, 1);
	run_say(&run);
	judge_free(&run.judge);
}

/* ---- a process that dies --------------------------------------------------------------------- */

/* Of a process that dies: at which msync(), and where it says what it has synced before. */
struct death {
	unsigned int until;
	int pipe;
};

static void die_before(void *arg)
{
	struct death *death = arg;

	if (death->until-- == 0)
		_exit(EXIT_SUCCESS);
}

struct synced { uint64_t page; unsigned char bytes[PAGE]; };

static void report_after(void *arg, uint64_t first, uint64_t end)
{
	const struct death *death = arg;
	struct synced synced;

	for (uint64_t page = first; page < end; page++) {
		synced.page = page;
		memcpy(synced.bytes, file_bytes() + page * PAGE, PAGE);
		if (write(death->pipe, &synced, sizeof(synced)) != sizeof(synced))
			_exit(EXIT_FAILURE);
	}
}

static _Noreturn void run_and_die(const struct operation *operation, struct death *death)
{
	const struct file_watch watch = {.before = die_before, .after = report_after, .arg = death};
	struct cowdax *fs = run_open_file();

	file_trace(&watch);
	operation->run(fs);
	_exit(EXIT_SURVIVED);
}

/* Let another process die in the operation; false when it did not live to see so many msync() calls. */
static bool kill_at(const struct operation *operation, unsigned int msync_number)
{
	struct death death = {.until = msync_number};
	struct synced synced;
	int pipes[2], status;
	ssize_t length;
	pid_t child;

	CHECK_EQUAL(pipe(pipes), 0);
	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(pipes[0]);
		death.pipe = pipes[1];
		run_and_die(operation, &death);
	}
	close(pipes[1]);
	/* A pipe hands out what is in it at once, and a page and its number may lie in two pieces. */
	for (size_t have = 0; (length = read(pipes[0], (char *)&synced + have, sizeof(synced) - have)) > 0;) {
		have = (have + (size_t)length) % sizeof(synced);
		if (have == 0)
			writeback_poke(synced.page, synced.bytes);
	}
	close(pipes[0]);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) != EXIT_FAILURE);
	return WEXITSTATUS(status) == EXIT_SUCCESS;
}

static bool run_after_death(struct run *run, const struct operation *operation, unsigned int msync_number)
{
	uint64_t before = run_media_content();
	size_t mark = media_mark();
	struct cowdax *fs;
	bool died = kill_at(operation, msync_number);

	if (died) {
		run->operation = operation->name;
		run_foresee(run, create_another);
		run->before[1] = before;
		run_start(run);
		fs = run_open_file();
		run_finish(run, create_another(fs));
		run_close(run, fs);
	}
	run_restore_image(mark);
	return died;
}

TEST("R1: what a process left behind that died at an msync() is durable before it is built upon")
{
	struct run run = run_new(run_judge_files);
	unsigned int deaths = 0;

	for (unsigned int i = 0; i < 2; i++) {
		run_make_image(&run, &setups[i]);
		for (unsigned int j = 0; j < operation_count; j++) {
			if (!operations[j].chained || run_out_of_time(&run))
				continue;
			for (unsigned int at = 0; run_after_death(&run, &operations[j], at); at++)
				deaths++;
		}
	}
	CHECK(deaths > 0);
	unit_note("%u deaths", deaths);
	run_say(&run);
	judge_free(&run.judge);
}
