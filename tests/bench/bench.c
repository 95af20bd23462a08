// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bench: each row sets two subjects side by side, in turn and in one run,
 * so that the ratio stands whatever the machine.
 *
 *	bench [--quick] [--row NAME]... [--list]
 *
 * A goal that is missed is said, and is no failure.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct options options = {
	.directory = "/dev/shm/cowdax-bench-XXXXXX",
	.programs = "cmd",
};

static const struct {
	const char *name;
	void (*run)(void);
} rows[] = {
	{"components", bench_components},
	{"small-write", bench_small_write},
	{"aligned-write", bench_aligned_write},
	{"peers", bench_peers},
	{"stream", bench_stream},
	{"open", bench_open},
	{"mkfs", bench_mkfs},
	{"start", bench_start},
	{"fragmented", bench_fragmented},
	{"many-extents", bench_many_extents},
	{"overwrite", bench_overwrite},
	{"clone", bench_clone},
	{"check", bench_check},
	{"writers", bench_writers},
	{"readers", bench_readers},
	{"locks", bench_locks},
	{"dead-writer", bench_dead_writer},
	{"crowd", bench_crowd},
	{"parts", bench_parts},
	{"memory", bench_memory},
	{"instructions", bench_instructions},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- measuring ------------------------------------------------------------------------ */

static void measure(void (*run)(void))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A file on tmpfs stands for persistent memory, in the library and beside it. */
	setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	calibrate_clock();
	run();
	exit(0);
}

/* ---- and cleaning up --------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	if (walk->level)
		remove(path);
	return 0;
}

static void remove_files(void)
{
	nftw(options.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Measure one row in a child of its own: however it ends, what it made is removed. */
static bool supervise(size_t row)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		die("fork: %s", strerror(errno));
	if (child == 0)
		measure(rows[row].run);
	while (waitpid(child, &status, 0) < 0) {
		if (errno == EINTR && interrupted)
			kill(child, SIGKILL);
	}
	remove_files();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (interrupted)
		return false;
	if (WIFSIGNALED(status))
		fprintf(stderr, "bench: %s: ended by signal %d\n", rows[row].name, WTERMSIG(status));
	report_skipped(rows[row].name, "FAILED, see above");
	return false;
}

static int run_rows(const bool *wanted)
{
	struct sigaction action = {.sa_handler = interrupt};
	int failed = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	report_head();
	for (size_t i = 0; i < ROWS && !interrupted; i++) {
		if (wanted[i] && !supervise(i))
			failed = 1;
	}
	rmdir(options.directory);
	return interrupted ? 128 + interrupted : failed;
}

/* ---- arguments -------------------------------------------------------------------------- */

static void choose_row(bool *wanted, const char *name)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			wanted[i] = true;
			return;
		}
	}
	die("no row '%s': see --list", name);
}

static void list_rows(void)
{
	for (size_t i = 0; i < ROWS; i++)
		puts(rows[i].name);
	exit(0);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{"quick", no_argument, NULL, 'q'},	{"row", required_argument, NULL, 'r'},
		{"list", no_argument, NULL, 'l'},	{"programs", required_argument, NULL, 'p'},
		{"operations", required_argument, NULL, 'o'},	/* for the bench itself, see instructions.c */
		{0},
	};
	bool wanted[ROWS] = {false}, chosen = false;
	const char *operations = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'q':
			options.quick = true;
			break;
		case 'r':
			choose_row(wanted, optarg);
			chosen = true;
			break;
		case 'l':
			list_rows();
			break;
		case 'p':
			options.programs = optarg;
			break;
		case 'o':
			operations = optarg;
			break;
		default:
			fputs("usage: bench [--quick] [--row NAME]... [--list] [--programs FOLDER]\n", stderr);
			return 2;
		}
	}
	if (operations && argv[optind]) {
		instructions_operate(operations, argv[optind]);
		return 0;
	}
	if (!chosen)
		memset(wanted, true, sizeof(wanted));
	if (!mkdtemp(options.directory))
		die("%s: %s", options.directory, strerror(errno));
	return run_rows(wanted);
}
