// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* posix_spawn() is a vfork: the size of this process is not measured along. */
bool try_program(const char *const *command, const char *input, double *taken)
{
	posix_spawn_file_actions_t files;
	uint64_t started;
	pid_t child;
	int status = -1;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, input ? input : "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	started = now();
	if (posix_spawnp(&child, command[0], &files, NULL, (char *const *)(uintptr_t)command, environ) == 0)
		waitpid(child, &status, 0);
	*taken = (double)(now() - started);
	posix_spawn_file_actions_destroy(&files);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

double run_program(const char *const *command, const char *input)
{
	double taken;

	if (!try_program(command, input, &taken))
		die("%s fails", command[0]);
	return taken;
}

bool has_program(const char *name)
{
	const char *path = getenv("PATH");
	char *folders, *rest, *folder, file[512];
	bool found = false;

	if (!path || asprintf(&folders, "%s:/usr/sbin:/sbin", path) < 0)
		return false;
	for (rest = folders; !found && (folder = strsep(&rest, ":"));) {
		snprintf(file, sizeof(file), "%s/%s", folder, name);
		found = access(file, X_OK) == 0;
	}
	free(folders);
	return found;
}
