// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The storm itself: start workers, kill them, and judge what is left.
 *
 *	storm [--seconds=N] [--seed=N]
 */
#include "storm.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IMAGE_SIZE (UINT64_C(72) << 20)		/* at times it is full */
#define CALM_EVERY 2				/* seconds */

struct weather {
	struct storm storm;
	struct random random;
	pid_t process[WORKERS];		/* 0: none */
	uint64_t started, killed, calms;
	time_t seconds;
	bool failed;
};

_Noreturn void fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	fprintf(stderr, "# ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	_exit(2);
}

struct cowdax *open_image(const struct storm *storm, unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags};
	struct cowdax_error error;
	struct cowdax *fs;

	while (cowdax_open(storm->image, &options, &fs, &error))
		if (error.code != -EAGAIN && error.code != -EBUSY)
			fail("%s", error.text);
	return fs;
}

/* ---- processes ---------------------------------------------------------------------------- */

static void start_worker(struct weather *weather, unsigned int number)
{
	uint64_t seed = random_next(&weather->random);
	pid_t process;

	fflush(stdout);
	process = fork();
	if (process < 0)
		fail("fork: %s", strerror(errno));
	if (process == 0)
		run_child(&weather->storm, number, seed);
	weather->process[number] = process;
	weather->started++;
}

/* A program that failed must have had a reason that is none of ours. */
static void check_complaint(struct weather *weather, unsigned int number)
{
	char path[512], line[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/errors-%u", weather->storm.folder, number);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file) || !strstr(line, "No space left")) {
		printf("# a command failed: %s\n", line);
		weather->failed = true;
	}
	if (file)
		fclose(file);
}

/* Worker @number's process is gone. */
static void note_end(struct weather *weather, unsigned int number, int status)
{
	struct worker *worker = &weather->storm.journal->worker[number];
	enum state state = atomic_load(&worker->state);

	weather->process[number] = 0;
	end_shared(&weather->storm, worker);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		weather->killed++;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		/* Only a program ends between the two. */
		if (state == INTENDED)
			atomic_store(&worker->state, DONE);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 1) {
		atomic_store(&worker->state, REFUSED);
		check_complaint(weather, number);
	} else {
		printf("# worker %u ended with status %#x\n", number, (unsigned int)status);
		weather->failed = true;
	}
}

static void reap(struct weather *weather, int options)
{
	pid_t process;
	int status;

	while ((process = waitpid(-1, &status, options)) > 0)
		for (unsigned int number = 0; number < WORKERS; number++)
			if (weather->process[number] == process)
				note_end(weather, number, status);
}

static void kill_worker(struct weather *weather, unsigned int number)
{
	if (weather->process[number])
		kill(weather->process[number], SIGKILL);
}

/* ---- judging -------------------------------------------------------------------------------- */

static void print_problem(void *arg, const struct cowdax_problem *problem)
{
	(void)arg;
	printf("# fsck: %s: %s (block %" PRIu64 ", count %" PRIu64 ", found %" PRIu64 ", expected %" PRIu64
	       ")\n", problem->code, problem->message, problem->block, problem->count, problem->found,
	       problem->expected);
}

static uint64_t check_clean(struct storm *storm)
{
	struct cowdax_check_options options = {.problem = print_problem};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	if (cowdax_check(storm->image, &options, &summary, &error))
		fail("fsck: %s", error.text);
	fflush(stdout);
	if (!summary.clean)
		fail("the image is not clean");
	return summary.nodes;
}

/* Nobody is at work: all must be as the journal says. */
static void judge_all(struct storm *storm)
{
	struct cowdax *fs;

	check_clean(storm);
	fs = open_image(storm, 0);
	for (unsigned int number = 0; number < WORKERS; number++)
		judge_files(storm, number, fs);
	judge_shared(storm, fs, 0);
	cowdax_close(fs);
}

/* In a process of its own, so that a failure is one more line. */
static void calm(struct weather *weather, bool kill_all, void (*judge)(struct storm *storm))
{
	pid_t process;
	int status;

	atomic_store(&weather->storm.journal->stop, true);
	for (unsigned int number = 0; number < WORKERS; number++)
		if (kill_all || random_one_in(&weather->random, 2))
			kill_worker(weather, number);
	reap(weather, 0);
	fflush(stdout);
	process = fork();
	if (process == 0) {
		alarm(120);
		judge(&weather->storm);
		exit(EXIT_SUCCESS);
	}
	waitpid(process, &status, 0);
	weather->failed = weather->failed || status;
	atomic_store(&weather->storm.journal->stop, false);
	weather->calms++;
}

/* Undo all that was dropped: what is asked for when space runs out. */
static void drain(struct cowdax *fs)
{
	struct cowdax_error error;
	uint64_t inode;
	int ret;

	if (cowdax_create(fs, "/drain", 0644, &inode, &error))
		fail("%s", error.text);
	ret = cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_UNWRITTEN, 0, 2 * IMAGE_SIZE, false, NULL, &error);
	if (ret != -ENOSPC)
		fail("twice the image's size fits into it");
	if (cowdax_remove(fs, "/drain", false, &error))
		fail("%s", error.text);
}

/* Blocks that hold no file's bytes. */
static uint64_t spare_blocks(struct storm *storm)
{
	struct cowdax *fs = open_image(storm, 0);
	struct cowdax_error error;
	struct cowdax_info info;

	drain(fs);
	if (cowdax_info(fs, &info, &error))
		fail("%s", error.text);
	cowdax_close(fs);
	return info.free_blocks + info.limbo_blocks + check_clean(storm) * info.node_size / info.block_size;
}

static void judge_space(struct storm *storm)
{
	struct cowdax *fs = open_image(storm, 0);
	uint64_t spare, blocks = IMAGE_SIZE / BLOCK;
	struct cowdax_error error;
	char path[64];
	int ret;

	for (unsigned int number = 0; number < WORKERS; number++)
		for (unsigned int file = 0; file < FILES; file++) {
			file_path(path, number, file);
			ret = cowdax_remove(fs, path, false, &error);
			if (ret && ret != -ENOENT)
				fail("%s", error.text);
		}
	if (cowdax_remove(fs, "/shared", false, &error))
		fail("%s", error.text);
	cowdax_close(fs);
	spare = spare_blocks(storm);
	printf("# all removed: of %" PRIu64 " blocks %" PRIu64 " are free or nodes\n", blocks, spare);
	/* Three at either end; free, limbo and nodes are rounded to blocks. */
	if (spare + 6 + 3 < blocks || spare + 6 > blocks + 1)
		fail("space was lost");
}

/* ---- the storm -------------------------------------------------------------------------------- */

static void blow(struct weather *weather)
{
	time_t start = time(NULL), calm_at = start + CALM_EVERY;
	struct timespec pause = {0};

	while (!weather->failed && time(NULL) - start < weather->seconds) {
		for (unsigned int number = 0; number < WORKERS; number++)
			if (!weather->process[number])
				start_worker(weather, number);
		pause.tv_nsec = (long)random_below(&weather->random, 4000000);
		nanosleep(&pause, NULL);
		if (random_one_in(&weather->random, 8))
			kill_worker(weather, (unsigned int)random_below(&weather->random, WORKERS));
		reap(weather, WNOHANG);
		if (time(NULL) >= calm_at) {
			calm(weather, false, judge_all);
			calm_at = time(NULL) + CALM_EVERY;
		}
	}
	calm(weather, true, judge_all);
	if (!weather->failed)
		calm(weather, true, judge_space);
}

static bool in_path(const char *program)
{
	const char *folders = getenv("PATH");
	char *path = folders ? strdup(folders) : NULL, name[512];
	bool found = false;

	if (!path)
		return false;
	for (char *folder = strtok(path, ":"); folder && !found; folder = strtok(NULL, ":")) {
		snprintf(name, sizeof(name), "%s/%s", folder, program);
		found = access(name, X_OK) == 0;
	}
	free(path);
	return found;
}

static void prepare(struct storm *storm, const char *folder)
{
	struct cowdax_mkfs_options options = {.size = IMAGE_SIZE, .create = true, .uuid = "storm", .seed = 3};
	struct cowdax_error error;
	struct cowdax *fs;

	storm->folder = folder;
	snprintf(storm->image, sizeof(storm->image), "%s/image", folder);
	storm->programs = in_path("cowdax-batch");
	storm->journal = mmap(NULL, sizeof(*storm->journal), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm->journal == MAP_FAILED)
		fail("no memory for the journal");
	if (cowdax_mkfs(storm->image, &options, NULL, &error))
		fail("%s", error.text);
	fs = open_image(storm, 0);
	make_shared(storm, fs);
	cowdax_close(fs);
}

static void clean_up(const struct storm *storm)
{
	char path[512];

	for (unsigned int number = 0; number < WORKERS; number++) {
		snprintf(path, sizeof(path), "%s/script-%u", storm->folder, number);
		unlink(path);
		snprintf(path, sizeof(path), "%s/errors-%u", storm->folder, number);
		unlink(path);
	}
	unlink(storm->image);
	rmdir(storm->folder);
}

static void report(const struct weather *weather)
{
	uint64_t done = 0, refused = 0, dropped = 0, kept = 0;

	for (int i = 0; i < WORKERS; i++) {
		done += weather->storm.journal->worker[i].done;
		refused += weather->storm.journal->worker[i].refused;
		dropped += weather->storm.journal->worker[i].dropped;
		kept += weather->storm.journal->worker[i].kept;
	}
	printf("# %" PRIu64 " processes, %" PRIu64 " killed%s; %" PRIu64 " changes acknowledged, %" PRIu64
	       " refused; unacknowledged: %" PRIu64 " whole, %" PRIu64 " absent; %" PRIu64
	       " writes to shared ranges; judged %" PRIu64 " times\n", weather->started, weather->killed,
	       weather->storm.programs ? "" : " (no programs in PATH)", done, refused, kept, dropped,
	       (uint64_t)weather->storm.journal->versions, weather->calms);
}

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end)
		fail("%s: not a number", text);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'r'}, {0},
	};
	const char *parent = getenv("TMPDIR");
	struct weather weather = {.seconds = 10, .random = {(uint64_t)time(NULL)}};
	char folder[256];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			return EXIT_FAILURE;
		if (option == 's')
			weather.seconds = (time_t)parse_number(optarg);
		else
			weather.random.state = parse_number(optarg);
	}
	if (!parent || !*parent)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(folder, sizeof(folder), "%s/cowdax-storm-XXXXXX", parent);
	if (!mkdtemp(folder))
		fail("%s: %s", folder, strerror(errno));
	printf("# storm --seconds=%jd --seed=%" PRIu64 "\n", (intmax_t)weather.seconds, weather.random.state);
	prepare(&weather.storm, folder);
	blow(&weather);
	report(&weather);
	if (!weather.failed)
		clean_up(&weather.storm);
	else
		printf("# left for a look: %s\n", folder);
	printf("%s\n", weather.failed ? "FAILED" : "ok");
	return weather.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
