// SPDX-License-Identifier: GPL-2.0-or-later
/* One life of the guest, as the host sees it. */
#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT "600"	/* seconds, for one guest */
#define NO_VERDICT 125		/* the exit status of "guest run" when its guest was killed */

static void name_file(const struct guest *guest, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", guest->folder, name);
}

static void write_arguments(const struct guest *guest, const char *arguments)
{
	char path[512];
	FILE *file;

	name_file(guest, "arguments", path);
	file = fopen(path, "we");
	if (!file || fprintf(file, "%s\n", arguments) < 0 || fclose(file))
		fail("%s: %s", path, strerror(errno));
}

static void name_source(const char *name, char path[512])
{
	const char *folder = getenv("abs_top_srcdir");

	snprintf(path, 512, "%s/tests/pmem/%s", folder ? folder : ".", name);
}

static _Noreturn void become_guest(struct guest *guest, int output)
{
	char program[512], job[512], self[512] = "";
	char pid[512], console[512], arguments[512], errors[512];
	const char *words[64] = {
		program, "run", "--job", job, "--timeout", TIME_LIMIT,
		"--pidfile", pid, "--console", console, "--add", arguments, "--add", self,
	};
	int count = 0, fd;

	name_source("guest", program);
	name_source("power_job", job);
	name_file(guest, "pid", pid);
	name_file(guest, "console", console);
	name_file(guest, "arguments", arguments);
	name_file(guest, "errors", errors);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		fail("/proc/self/exe: %s", strerror(errno));
	while (words[count])
		count++;
	for (int dimm = 0; dimm < DIMMS; dimm++) {
		words[count++] = "--dimm";
		words[count++] = guest->dimm[dimm];
	}
	fd = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		fail("%s: %s", errors, strerror(errno));
	execv(words[0], (char **)(uintptr_t)words);
	fail("%s: %s", words[0], strerror(errno));
}

static pid_t start(struct guest *guest, FILE **output)
{
	pid_t process;
	int ends[2];

	fflush(stdout);
	if (pipe2(ends, O_CLOEXEC))
		fail("pipe: %s", strerror(errno));
	process = fork();
	if (process < 0)
		fail("fork: %s", strerror(errno));
	if (process == 0)
		become_guest(guest, ends[1]);
	close(ends[1]);
	*output = fdopen(ends[0], "r");
	return process;
}

/* Read what the guest says until it has said @wanted so many times. */
static void await(struct guest *guest, FILE *output, const char *wanted, uint64_t times)
{
	char line[600];

	while (times) {
		if (!fgets(line, sizeof(line), output))
			fail("the guest ended by itself: see %s/errors", guest->folder);
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, wanted) == 0)
			times--;
		else if (strcmp(line, "done") != 0 &&
			 sscanf(line, "extent %" SCNu64, &guest->extent) != 1)
			printf("# the guest: %s\n", line);
	}
}

static void cut_power(const struct guest *guest)
{
	char path[512];
	FILE *file;
	int qemu = 0;

	name_file(guest, "pid", path);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &qemu) != 1 || qemu <= 1 || kill(qemu, SIGKILL))
		fail("%s: no process to kill", path);
	fclose(file);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void run_guest(struct guest *guest, const char *arguments, const struct moment *cut)
{
	struct timespec pause = {.tv_nsec = cut->nanoseconds};
	double begin = now(), ready;
	char line[600];
	FILE *output;
	pid_t process;
	int status;

	write_arguments(guest, arguments);
	process = start(guest, &output);
	await(guest, output, "ready", 1);
	ready = now();
	await(guest, output, "done", cut->commands);
	nanosleep(&pause, NULL);
	cut_power(guest);
	printf("# ready after %.1f s; cut %.1f s later, after %" PRIu64 " commands and %.3f s\n",
	       ready - begin, now() - ready, cut->commands, (double)cut->nanoseconds / 1e9);
	while (fgets(line, sizeof(line), output))
		if (strcmp(line, "done\n") != 0 && strchr(line, '\n'))
			fail("the guest: %s", line);
	fclose(output);
	if (waitpid(process, &status, 0) != process || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != NO_VERDICT)
		fail("the guest ended with status %#x", (unsigned int)status);
}
