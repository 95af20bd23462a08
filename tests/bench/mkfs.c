// SPDX-License-Identifier: GPL-2.0-or-later
/* mkfs.cowdax of a sparse 1 TiB file, from its start to its end. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "process.h"

static void make_sparse(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)(1024 * GIB)))
		die("%s: cannot be made", path);
	close(fd);
}

void bench_mkfs(void)
{
	char path[256], program[256], text[64];
	const char *const command[] = {program, "--quiet", path, NULL};
	struct series times = {0};
	struct stat st = {0};

	unsetenv("PMEM_IS_PMEM_FORCE");		/* as a user would */
	snprintf(path, sizeof(path), "%s/mkfs", options.directory);
	snprintf(program, sizeof(program), "%s/mkfs.cowdax", options.programs);
	if (access(program, X_OK)) {
		report_skipped("mkfs of a sparse 1 TiB file", "mkfs.cowdax is not built");
		return;
	}
	for (int i = 0; i < repeat(50, 20); i++) {
		make_sparse(path);
		series_add(&times, run_program(command, NULL));
		if (stat(path, &st))
			die("%s: is gone", path);
		unlink(path);
	}
	report_time_goal("mkfs.cowdax of a sparse 1 TiB file, the whole process", &times, 20e6);
	snprintf(text, sizeof(text), "%lld bytes", (long long)st.st_blocks * 512);
	report_value("  what it allocates", text, "", "<= 1 MiB", (uint64_t)st.st_blocks * 512 <= MIB);
	series_clear(&times);
}
