// SPDX-License-Identifier: GPL-2.0-or-later
/* In the guest: processes at work on the images, by the library and by commands. */
#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct cowdax *open_image(const struct storm *storm, unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags};
	struct cowdax_error error;
	struct cowdax *fs;

	if (cowdax_open(storm->image, &options, &fs, &error))
		fail("%s", error.text);
	return fs;
}

/* ---- one change after the other ----------------------------------------------------------- */

/* What a program complained of. */
static void read_complaint(const struct storm *storm, unsigned int number, char line[512])
{
	char path[600];
	FILE *file;

	line[0] = '\0';
	snprintf(path, sizeof(path), "%s/errors-%u", storm->folder, number);
	file = fopen(path, "re");
	if (!file)
		return;
	if (!fgets(line, 512, file))
		line[0] = '\0';
	fclose(file);
}

/* The only reason for a program to fail is a full image. */
static enum state outcome(const struct storm *storm, unsigned int number, int status)
{
	char line[512];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return DONE;
	read_complaint(storm, number, line);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1 || !strstr(line, "No space left"))
		fail("a command ended with status %#x: %s", (unsigned int)status, line);
	return REFUSED;
}

static void change_by_program(struct storm *storm, unsigned int number, struct random *random)
{
	struct worker *worker = &storm->journal->worker[number];
	pid_t process;
	int status;

	intend(worker, random, random_below(random, 256));
	process = fork();
	if (process < 0)
		fail("fork: %s", strerror(errno));
	if (process == 0)
		become_program(storm, number);
	if (waitpid(process, &status, 0) != process)
		fail("waitpid: %s", strerror(errno));
	atomic_store(&worker->state, outcome(storm, number, status));
}

static void change_by_library(struct storm *storm, unsigned int number, struct cowdax *fs,
			      struct random *random)
{
	struct worker *worker = &storm->journal->worker[number];

	intend(worker, random, 256 + random_below(random, 1 << 30));
	atomic_store(&worker->state, perform(worker, number, fs) ? REFUSED : DONE);
}

/* For the host to count; what is acknowledged says the journal. */
static void tell(const char *line)
{
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		fail("standard output: %s", strerror(errno));
}

static _Noreturn void run_worker(struct storm *storm, unsigned int number, uint64_t seed)
{
	struct random random = {seed};
	struct cowdax *fs = open_image(storm, 0);

	for (;;) {
		switch (random_below(&random, 8)) {
		case 0:
			change_by_program(storm, number, &random);
			break;
		case 1:
			write_shared(storm, &storm->journal->worker[number], fs, &random);
			break;
		default:
			change_by_library(storm, number, fs, &random);
			break;
		}
		resolve(storm, number, fs);
		tell("done\n");
	}
}

/* ---- all of them -------------------------------------------------------------------------- */

static void *map_journals(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *journals = MAP_FAILED;

	if (fd >= 0)
		journals = mmap(NULL, journals_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (journals == MAP_FAILED)
		fail("%s: %s", path, strerror(errno));
	close(fd);
	return journals;
}

static void check_mapping(struct cowdax *fs, unsigned int index)
{
	static const enum cowdax_mapping mappings[IMAGES] = {
		COWDAX_MAPPING_DEVDAX, COWDAX_MAPPING_SYNC, COWDAX_MAPPING_PAGE_CACHE,
	};
	struct cowdax_error error;
	struct cowdax_info info;

	if (cowdax_info(fs, &info, &error))
		fail("%s", error.text);
	if (info.mapping != mappings[index])
		fail("image %u: the mapping is %s", index, cowdax_mapping_name(info.mapping));
}

/* As it was found after the last cut, or a first time. */
static void prepare(struct storm *storm, unsigned int index, const char *image, void *journals)
{
	static char folders[IMAGES][32];
	struct cowdax *fs;

	snprintf(folders[index], sizeof(folders[index]), "/tmp/image-%u", index);
	storm->folder = folders[index];
	storm->journal = journal_of(journals, index);
	snprintf(storm->image, sizeof(storm->image), "%s", image);
	if (mkdir(storm->folder, 0777))
		fail("%s: %s", storm->folder, strerror(errno));
	if (storm->journal->versions)
		judge_image(storm, 0);
	fs = open_image(storm, 0);
	check_mapping(fs, index);
	if (!storm->journal->versions)
		make_shared(storm, fs);
	cowdax_close(fs);
}

_Noreturn void work(int argc, char **argv)
{
	static struct storm storms[IMAGES];
	struct random random;
	void *journals;

	if (argc != 4 + IMAGES)
		fail("usage: power work SEED JOURNALS IMAGE...");
	random.state = strtoull(argv[2], NULL, 0);
	journals = map_journals(argv[3]);
	for (unsigned int index = 0; index < IMAGES; index++)
		prepare(&storms[index], index, argv[4 + index], journals);
	tell("ready\n");
	for (unsigned int i = 0; i < IMAGES * ACTIVE; i++) {
		uint64_t seed = random_next(&random);

		if (fork() == 0)
			run_worker(&storms[i % IMAGES], i / IMAGES, seed);
	}
	wait(NULL);
	fail("a worker ended");
}
