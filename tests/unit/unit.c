// SPDX-License-Identifier: GPL-2.0-or-later
#include "unit.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT 120		/* seconds, of one test */
#define EXIT_SKIP 77

static struct unit_test *first, **last = &first;
static char folder[256];

void unit_add(struct unit_test *test)
{
	*last = test;
	last = &test->next;
}

_Noreturn void unit_fail(const char *file, int line, const char *what)
{
	unit_note("%s:%d: %s", file, line, what);
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

_Noreturn void unit_unequal(const char *file, int line, const char *what, long long got, long long expected)
{
	char text[512];

	snprintf(text, sizeof(text), "%s is %lld, not %lld", what, got, expected);
	unit_fail(file, line, text);
}

_Noreturn void unit_skip(const char *why)
{
	unit_note("skipped: %s", why);
	fflush(stdout);
	_exit(EXIT_SKIP);
}

void unit_note(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

const char *unit_path(const char *name)
{
	static char paths[16][512];
	static unsigned int turn;
	char *path = paths[turn++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t unit_below(uint64_t *state, uint64_t limit)
{
	return unit_random(state) % limit;
}

static void make_folder(void)
{
	const char *parent = getenv("TMPDIR");

	if (!parent || !*parent)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(folder, sizeof(folder), "%s/cowdax-unit-XXXXXX", parent);
	if (!mkdtemp(folder)) {
		perror(folder);
		exit(EXIT_FAILURE);
	}
}

static void remove_folder(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlink(unit_path(entry->d_name));
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
}

/* Run @test in a child; its exit status as waitpid() gives it. */
static int run_apart(const struct unit_test *test)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child < 0) {
		perror("fork");
		exit(EXIT_FAILURE);
	}
	if (child == 0) {
		alarm(TIME_LIMIT);
		test->run();
		exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) < 0) {
		perror("waitpid");
		exit(EXIT_FAILURE);
	}
	return status;
}

static bool wanted(const struct unit_test *test, char **words)
{
	if (!*words)
		return true;
	for (; *words; words++) {
		if (strstr(test->sentence, *words))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	int number = 0, failed = 0;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct unit_test *test = first; test; test = test->next) {
		int status;

		if (!wanted(test, argv + 1))
			continue;
		make_folder();
		status = run_apart(test);
		remove_folder();
		if (WIFSIGNALED(status))
			unit_note("killed by signal %d", WTERMSIG(status));
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
			printf("ok %d - %s # SKIP\n", ++number, test->sentence);
		} else if (status == 0) {
			printf("ok %d - %s\n", ++number, test->sentence);
		} else {
			printf("not ok %d - %s\n", ++number, test->sentence);
			failed++;
		}
	}
	printf("1..%d\n", number);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
