// SPDX-License-Identifier: GPL-2.0-or-later
#include "storm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stamp.h"

/* ---- through the library ---------------------------------------------------------------- */

struct bytes {
	const struct command *command;
	uint64_t given;
};

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct bytes *bytes = arg;
	const struct command *command = bytes->command;

	if (length > command->length - bytes->given)
		length = command->length - bytes->given;
	if (command->version < 256)
		memset(buffer, (int)command->version, length);
	else
		fill_version(buffer, command->offset + bytes->given, length, command->version);
	bytes->given += length;
	return (ssize_t)length;
}

static int stream(struct cowdax *fs, const struct command *command, const char *path, struct cowdax_error *error)
{
	struct bytes bytes = {.command = command};
	struct cowdax_write_request request = {
		.path = path, .offset = command->offset, .truncate = command->kind == REPLACE,
		.length = command->offset % 2 ? COWDAX_TO_END : command->length, .source = give,
		.source_arg = &bytes,
	};

	return cowdax_write_stream(fs, &request, NULL, error);
}

static int write_at_once(struct cowdax *fs, const struct command *command, uint64_t inode,
			 struct cowdax_error *error)
{
	struct bytes bytes = {.command = command};
	void *buffer = malloc(command->length);
	int ret;

	if (!buffer)
		abort();
	give(&bytes, buffer, command->length);
	ret = cowdax_write(fs, inode, buffer, command->length, command->offset, NULL, error);
	free(buffer);
	return ret;
}

static int perform_one(struct cowdax *fs, unsigned int number, const struct command *command,
		       struct cowdax_error *error)
{
	static const enum cowdax_fallocate_mode modes[KINDS] = {
		[PUNCH] = COWDAX_FALLOCATE_PUNCH,
		[ZERO] = COWDAX_FALLOCATE_ZERO,
		[UNSHARE] = COWDAX_FALLOCATE_UNSHARE,
	};
	char path[64], other[64];
	uint64_t inode = 0;

	file_path(path, number, command->file);
	file_path(other, number, command->other);
	if (command->kind == CLONE)
		return cowdax_clone(fs, other, path, NULL, error);
	if (command->kind == CLONE_RANGE)
		return cowdax_clone_range(fs, other, command->from, path, command->offset, command->length, NULL,
					  error);
	if (command->kind == REMOVE)
		return cowdax_remove(fs, path, false, error);
	if (command->kind == REPLACE || (command->kind == WRITE && command->length % 2))
		return stream(fs, command, path, error);
	if (cowdax_lookup(fs, path, &inode, error))
		fail("%s: %s", path, error->text);
	if (command->kind == WRITE)
		return write_at_once(fs, command, inode, error);
	if (command->kind == TRUNCATE)
		return cowdax_truncate(fs, inode, command->offset, NULL, error);
	return cowdax_fallocate(fs, inode, modes[command->kind], command->offset, command->length, true, NULL,
				error);
}

int perform(struct worker *worker, unsigned int number, struct cowdax *fs)
{
	struct cowdax_error error = {0};
	int ret = 0;

	if (worker->commands > 1)
		ret = cowdax_begin(fs, &error);
	for (unsigned int i = 0; i < worker->commands && !ret; i++)
		ret = perform_one(fs, number, &worker->command[i], &error);
	if (worker->commands > 1) {
		if (ret)
			cowdax_abort(fs);
		else
			ret = cowdax_commit(fs, &error);
	}
	if (ret && ret != -ENOSPC && ret != -EAGAIN)
		fail("worker %u: %s", number, error.text);
	return ret;
}

/* ---- as programs ---------------------------------------------------------------------------- */

/* The command as a line of cowdax-batch, whose first word names its program. */
static void spell(char line[512], unsigned int number, const struct command *command)
{
	char path[64], other[64], range[128];

	file_path(path, number, command->file);
	file_path(other, number, command->other);
	snprintf(range, sizeof(range), "--offset=%" PRIu64 " --length=%" PRIu64, command->offset,
		 command->length);
	switch (command->kind) {
	case WRITE:
	case REPLACE:
		snprintf(line, 512, "write %s %s --pattern=%" PRIu64 "%s", path, range, command->version,
			 command->kind == REPLACE ? " --truncate" : "");
		break;
	case TRUNCATE:
		snprintf(line, 512, "truncate %s %" PRIu64, path, command->offset);
		break;
	case PUNCH:
	case ZERO:
	case UNSHARE:
		snprintf(line, 512, "fallocate %s %s --keep-size --%s", path, range,
			 command->kind == PUNCH ? "punch" : command->kind == ZERO ? "zero" : "unshare");
		break;
	case CLONE:
		snprintf(line, 512, "reflink %s %s", other, path);
		break;
	case CLONE_RANGE:
		snprintf(line, 512, "reflink %s %s --src-offset=%" PRIu64 " --dst-offset=%" PRIu64
			 " --length=%" PRIu64, other, path, command->from, command->offset, command->length);
		break;
	case REMOVE:
	case KINDS:
		snprintf(line, 512, "rm %s", path);
		break;
	}
}

static void redirect(const char *path, int flags, int to)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0 || dup2(fd, to) != to)
		fail("%s cannot be opened", path);
}

static _Noreturn void become_batch(struct storm *storm, unsigned int number)
{
	const struct worker *worker = &storm->journal->worker[number];
	char path[512], line[512];
	FILE *script;

	snprintf(path, sizeof(path), "%s/script-%u", storm->folder, number);
	script = fopen(path, "we");
	for (unsigned int i = 0; script && i < worker->commands; i++) {
		spell(line, number, &worker->command[i]);
		fprintf(script, "%s\n", line);
	}
	if (!script || fclose(script))
		fail("%s cannot be written", path);
	execlp("cowdax-batch", "cowdax-batch", "--quiet", "--atomic", storm->image, path, (char *)NULL);
	fail("cowdax-batch cannot be run");
}

_Noreturn void become_program(struct storm *storm, unsigned int number)
{
	const struct worker *worker = &storm->journal->worker[number];
	char line[512], path[512], program[64], *words[16];
	int count = 0;

	snprintf(path, sizeof(path), "%s/errors-%u", storm->folder, number);
	redirect(path, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
	redirect("/dev/null", O_WRONLY, STDOUT_FILENO);
	if (worker->commands > 1)
		become_batch(storm, number);
	spell(line, number, &worker->command[0]);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		words[count++] = word;
		if (count == 1)
			words[count++] = storm->image;
	}
	words[count] = NULL;
	snprintf(program, sizeof(program), "cowdax-%s", words[0]);
	words[0] = program;
	execvp(program, words);
	fail("%s cannot be run", program);
}
