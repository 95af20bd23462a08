// SPDX-License-Identifier: GPL-2.0-or-later
/* One byte written by a command, from the process's start to its end. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "process.h"

static void write_byte_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1)
		die("%s: cannot be made", path);
	close(fd);
}

static void compare(const char *const *ours, const char *const *theirs, const char *input,
		    const struct line *line)
{
	struct pair pair = {0};

	for (int batch = 0; batch < repeat(20, 5); batch++) {
		for (int turn = 0; turn < 20; turn++) {
			side_add_time(&pair.a, run_program(ours, input));
			side_add_time(&pair.b, run_program(theirs, input));
		}
		pair_end_batch(&pair);
	}
	report_pair(line, &pair);
	pair_clear(&pair);
}

void bench_start(void)
{
	char input[256], output[256], program[256], from[300], to[300];
	struct image image = {0};
	const char *const cowdax[] = {program, image.path, "/file", NULL};
	const char *const dd[] = {"dd", from, to, "bs=1", "count=1", "conv=notrunc", "status=none", NULL};
	const char *const xfs_io[] = {"xfs_io", "-c", "pwrite 0 1", output, NULL};
	const char *const debugfs[] = {"debugfs", "-R", "quit", NULL};
	struct line line = {"cowdax-write of 1 byte, the whole process", "dd", AT_MOST, 1.5};

	unsetenv("PMEM_IS_PMEM_FORCE");		/* a regular file is page cache */
	snprintf(input, sizeof(input), "%s/byte", options.directory);
	snprintf(output, sizeof(output), "%s/output", options.directory);
	snprintf(from, sizeof(from), "if=%s", input);
	snprintf(to, sizeof(to), "of=%s", output);
	snprintf(program, sizeof(program), "%s/cowdax-write", options.programs);
	if (access(program, X_OK)) {
		report_skipped(line.what, "cowdax-write is not built");
		return;
	}
	write_byte_file(input);
	write_byte_file(output);
	image_make(&image, "start", 64 * MIB, true);
	cowdax_close(image.fs);
	image.fs = NULL;
	compare(cowdax, dd, input, &line);
	line = (struct line){"  against xfs_io", "xfs_io pwrite", NO_GOAL, 0};
	if (has_program("xfs_io"))
		compare(cowdax, xfs_io, input, &line);
	else
		report_skipped("  against xfs_io", "needs xfsprogs");
	line.what = "  against debugfs";
	line.against = "debugfs, doing nothing";
	if (has_program("debugfs"))
		compare(cowdax, debugfs, input, &line);
	else
		report_skipped("  against debugfs", "needs e2fsprogs");
	image_remove(&image);
}
