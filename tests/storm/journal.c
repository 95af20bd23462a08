// SPDX-License-Identifier: GPL-2.0-or-later
#include "storm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "stamp.h"

void file_path(char path[64], unsigned int worker, unsigned int file)
{
	snprintf(path, 64, "/w%u-%u", worker, file);
}

/* ---- what comes of a command ---------------------------------------------------------- */

static struct content *content_of(struct worker *worker, unsigned int file)
{
	return worker->affected & 1U << file ? &worker->then[file] : &worker->now[file];
}

static struct content *affect(struct worker *worker, unsigned int file)
{
	if (!(worker->affected & 1U << file))
		memcpy(&worker->then[file], &worker->now[file], sizeof(struct content));
	worker->affected |= 1U << file;
	return &worker->then[file];
}

static void resize(struct content *content, uint64_t size)
{
	if (size > content->size)
		memset(content->bytes + content->size, 0, size - content->size);
	content->size = size;
	content->exists = true;
}

static void put(struct content *content, const struct command *command)
{
	if (command->offset + command->length > content->size)
		resize(content, command->offset + command->length);
	if (command->version < 256)
		memset(content->bytes + command->offset, (int)command->version, command->length);
	else
		fill_version(content->bytes + command->offset, command->offset, command->length,
			     command->version);
}

static void apply(struct worker *worker, const struct command *command)
{
	const struct content *other = content_of(worker, command->other);
	struct content *content = affect(worker, command->file);

	switch (command->kind) {
	case REPLACE:
		resize(content, 0);
		put(content, command);
		break;
	case WRITE:
		put(content, command);
		break;
	case TRUNCATE:
		resize(content, command->offset);
		break;
	case PUNCH:
	case ZERO:
		for (uint64_t i = 0; i < command->length && command->offset + i < content->size; i++)
			content->bytes[command->offset + i] = 0;
		break;
	case CLONE:
		memcpy(content, other, sizeof(*content));
		break;
	case CLONE_RANGE:
		if (command->offset + command->length > content->size)
			resize(content, command->offset + command->length);
		memcpy(content->bytes + command->offset, other->bytes + command->from, command->length);
		break;
	case REMOVE:
		content->exists = false;
		content->size = 0;
		break;
	case UNSHARE:
	case KINDS:
		break;
	}
}

/* ---- choosing --------------------------------------------------------------------------- */

/* Mostly short, some above what is written under the commit lock. */
static uint64_t random_length(struct random *random)
{
	return 1 + random_below(random, random_one_in(random, 4) ? LONGEST * 2 / 3 : 150000);
}

static void choose_range(struct command *command, struct random *random)
{
	command->length = random_length(random);
	command->offset = random_below(random, LONGEST - command->length);
	if (random_one_in(random, 3)) {
		command->offset &= ~(BLOCK - 1);
		command->length = (command->length + BLOCK - 1) & ~(BLOCK - 1);
	}
}

static void choose_clone(struct worker *worker, struct command *command, struct random *random)
{
	const struct content *other;

	command->other = (command->file + 1 + (unsigned int)random_below(random, FILES - 1)) % FILES;
	other = content_of(worker, command->other);
	if (!other->exists)
		command->kind = REPLACE;
	if (command->kind != CLONE_RANGE)
		return;
	if (other->size < BLOCK) {
		command->kind = CLONE;
		return;
	}
	command->from = random_below(random, other->size / BLOCK) * BLOCK;
	command->length = BLOCK + random_below(random, (other->size - command->from) / BLOCK) * BLOCK;
	command->offset = random_below(random, (LONGEST - command->length) / BLOCK + 1) * BLOCK;
}

static void choose(struct worker *worker, struct command *command, struct random *random, uint64_t version)
{
	*command = (struct command){
		.kind = (enum kind)random_below(random, KINDS),
		.file = (unsigned int)random_below(random, FILES),
		.version = version,
	};
	choose_range(command, random);
	/* Removing as often as the rest would leave little to remove. */
	if (command->kind == REMOVE && !random_one_in(random, 3))
		command->kind = WRITE;
	if (!content_of(worker, command->file)->exists && command->kind != CLONE)
		command->kind = REPLACE;
	if (command->kind == CLONE || command->kind == CLONE_RANGE)
		choose_clone(worker, command, random);
}

void intend(struct worker *worker, struct random *random, uint64_t version)
{
	unsigned int commands = random_one_in(random, 4) ? 2 + (unsigned int)random_below(random, COMMANDS - 1) : 1;

	worker->affected = 0;
	worker->commands = 0;
	for (unsigned int i = 0; i < commands; i++) {
		choose(worker, &worker->command[i], random, version);
		apply(worker, &worker->command[i]);
		worker->commands++;
	}
	atomic_store(&worker->state, INTENDED);
}

void settle_done(struct worker *worker)
{
	for (unsigned int file = 0; file < FILES; file++)
		if (worker->affected & 1U << file)
			memcpy(&worker->now[file], &worker->then[file], sizeof(struct content));
	atomic_store(&worker->state, IDLE);
}

/* ---- looking ------------------------------------------------------------------------------- */

/* Whether the image's file is as @wanted says. */
static bool is_there(struct cowdax *fs, const char *path, const struct content *wanted)
{
	static unsigned char bytes[LONGEST + 1];
	struct cowdax_error error;
	uint64_t inode;
	ssize_t got;
	int ret;

	ret = cowdax_lookup(fs, path, &inode, &error);
	if (ret == -ENOENT)
		return !wanted->exists;
	if (ret)
		fail("%s: %s", path, error.text);
	got = cowdax_read(fs, inode, bytes, sizeof(bytes), 0, &error);
	if (got < 0)
		fail("%s: %s", path, error.text);
	return wanted->exists && (uint64_t)got == wanted->size && memcmp(bytes, wanted->bytes, wanted->size) == 0;
}

static bool all_there(struct cowdax *fs, unsigned int number, struct worker *worker, struct content *contents)
{
	char path[64];

	for (unsigned int file = 0; file < FILES; file++) {
		file_path(path, number, file);
		if (worker->affected & 1U << file && !is_there(fs, path, &contents[file]))
			return false;
	}
	return true;
}

static _Noreturn void fail_commands(unsigned int number, const struct worker *worker, enum state state)
{
	static const char *const names[] = {
		"write", "replace", "truncate", "punch", "zero", "unshare", "clone", "clone range", "remove",
	};

	for (unsigned int i = 0; i < worker->commands; i++) {
		const struct command *command = &worker->command[i];

		fprintf(stderr, "# %s file %u other %u offset %" PRIu64 " length %" PRIu64 " from %" PRIu64
			" version %" PRIu64 "\n", names[command->kind], command->file, command->other,
			command->offset, command->length, command->from, command->version);
	}
	fail("worker %u: its files are neither as before nor as after %s commands", number,
	     state == INTENDED ? "unacknowledged" : "refused");
}

void resolve(struct storm *storm, unsigned int number, struct cowdax *fs)
{
	struct worker *worker = &storm->journal->worker[number];
	enum state state = atomic_load(&worker->state);

	if (state == IDLE)
		return;
	if (state != DONE && all_there(fs, number, worker, worker->now)) {
		atomic_fetch_add(state == REFUSED ? &worker->refused : &worker->dropped, 1);
		atomic_store(&worker->state, IDLE);
		return;
	}
	if (state == REFUSED || (state == INTENDED && !all_there(fs, number, worker, worker->then)))
		fail_commands(number, worker, state);
	atomic_fetch_add(state == DONE ? &worker->done : &worker->kept, 1);
	atomic_store(&worker->state, DONE);
	settle_done(worker);
}

void judge_files(struct storm *storm, unsigned int number, struct cowdax *fs)
{
	struct worker *worker = &storm->journal->worker[number];
	char path[64];

	resolve(storm, number, fs);
	for (unsigned int file = 0; file < FILES; file++) {
		file_path(path, number, file);
		if (!is_there(fs, path, &worker->now[file]))
			fail("%s is not what the journal says", path);
	}
}
