// SPDX-License-Identifier: GPL-2.0-or-later
#include "use.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/image.h"
#include "operation.h"

#define MAX_NODES 64		/* more than an empty filesystem ever needs */

static bool fail(struct use *use, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct use *use, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(use->why, use->why_room, format, args);
	va_end(args);
	return false;
}

/* ---- the checker -------------------------------------------------------------------- */

struct findings {
	bool crashed, bad;
	char *why;
	size_t why_room;
};

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct findings *findings = arg;

	if (findings->bad || (findings->crashed && problem->severity == COWDAX_NOTE))
		return;
	findings->bad = true;
	snprintf(findings->why, findings->why_room,
		 "fsck: %s: %s (block %" PRId64 ", %" PRId64 " of them, inode %" PRId64 ", found %" PRId64
		 ", expected %" PRId64 ")",
		 problem->code, problem->message, (int64_t)problem->block, (int64_t)problem->count,
		 (int64_t)problem->inode, (int64_t)problem->found, (int64_t)problem->expected);
}

bool check_image(bool crashed, uint64_t *nodes, char *why, size_t why_room)
{
	struct findings findings = {.crashed = crashed, .why = why, .why_room = why_room};
	struct cowdax_check_options options = {.problem = note_problem, .problem_arg = &findings};
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};

	if (cowdax_check(media_path(), &options, &summary, &error)) {
		snprintf(why, why_room, "fsck cannot run: %s", error.text);
		return false;
	}
	if (!findings.bad && !summary.clean) {
		snprintf(why, why_room, "fsck: not clean, without a reason");
		return false;
	}
	if (nodes)
		*nodes = summary.nodes;
	return !findings.bad;
}

/* ---- using ------------------------------------------------------------------------------ */

struct user {
	struct use *use;
	struct cowdax *fs;
	struct cowdax_error error;
	bool no_space;
};

static bool done(struct user *user, const char *what, int ret, bool may_lack_space)
{
	if (ret == -ENOSPC && may_lack_space) {
		user->no_space = true;
		return true;
	}
	if (ret)
		return fail(user->use, "first use: %s: %d %s", what, ret, user->error.text);
	if (user->use->step)
		user->use->step(user->use->step_arg);
	return true;
}

static bool reads_back(struct user *user, uint64_t inode, const unsigned char *expected, size_t length)
{
	unsigned char bytes[3 * BLOCK];
	ssize_t got = cowdax_read(user->fs, inode, bytes, sizeof(bytes), 0, &user->error);

	if (got < 0)
		return fail(user->use, "first use: read: %s", user->error.text);
	if ((size_t)got != length || memcmp(bytes, expected, length) != 0)
		return fail(user->use, "first use: what was written does not read back");
	return true;
}

static bool write_and_clone(struct user *user, bool full)
{
	unsigned char expected[1000 + BLOCK + 10] = {0};
	struct cowdax *fs = user->fs;
	uint64_t inode = 0, other;

	user->no_space = false;
	if (!done(user, "create", cowdax_create(fs, user->use->file, 0644, &inode, &user->error), full))
		return false;
	if (user->no_space)
		return true;
	fill_pattern(expected + 1000, BLOCK + 10, 17);
	if (!done(user, "write", cowdax_write(fs, inode, expected + 1000, BLOCK + 10, 1000, NULL, &user->error),
		  full))
		return false;
	if (user->no_space)
		return true;
	if (!done(user, "clone", cowdax_clone(fs, user->use->file, user->use->clone, NULL, &user->error),
		  full))
		return false;
	if (user->no_space)
		return reads_back(user, inode, expected, sizeof(expected));
	other = inode + 1;
	if (!done(user, "write to the clone", cowdax_write(fs, other, "changed", 7, 4093, NULL, &user->error),
		  full))
		return false;
	if (!reads_back(user, inode, expected, sizeof(expected)))
		return false;
	if (!user->no_space)
		memcpy(expected + 4093, "changed", 7);
	return reads_back(user, other, expected, sizeof(expected));
}

struct names { unsigned int count; char path[MAX_ENTRIES][MAX_PATH]; };

static int note_name(void *arg, const struct cowdax_dirent *dirent)
{
	struct names *names = arg;

	int length;

	if (names->count == MAX_ENTRIES)
		return -E2BIG;
	length = snprintf(names->path[names->count++], MAX_PATH, "/%.*s", (int)dirent->name_length,
			  dirent->name);
	return length < MAX_PATH ? 0 : -ENAMETOOLONG;
}

static bool remove_everything(struct user *user)
{
	struct names names = {0};
	int ret = cowdax_list(user->fs, COWDAX_ROOT_INODE, note_name, &names, &user->error);

	if (ret)
		return done(user, "list", ret, false);
	for (unsigned int i = 0; i < names.count; i++) {
		if (!done(user, names.path[i], cowdax_remove(user->fs, names.path[i], true, &user->error), false))
			return false;
	}
	return true;
}

/* All space is free, in reserve, in the newest entries of limbo, or in the few nodes of an empty filesystem. */
static bool nothing_leaked(struct user *user, uint64_t nodes)
{
	const struct cdx_record *record = &user->fs->txn.record;
	const struct cdx_super *super = &user->fs->super;
	uint64_t limbo = 0, accounted;

	if (record->staging.address)
		return fail(user->use, "first use: a staging entry stays for ever");
	if (record->limbo.address)
		return fail(user->use, "first use: limbo is not emptied");
	for (size_t i = 0; i < record->list.n; i++) {
		const struct cdx_limbo_entry *entry = &record->list.entry[i];

		if (entry->type != CDX_LIMBO_RUN || entry->transaction + 2 < record->transaction)
			return fail(user->use, "first use: a limbo entry stays for ever");
		limbo += entry->count;
	}
	accounted = 2 * super->head_grains + record->free_grains + record->pool.grains +
		    record->window.grains + limbo + nodes;
	if (accounted != super->grains || nodes > MAX_NODES || record->inodes != 1)
		return fail(user->use, "first use: of %" PRIu64 " grains %" PRIu64 " are accounted for, %" PRIu64
			    " in nodes; %" PRIu64 " inodes", super->grains, accounted, nodes, record->inodes);
	return true;
}

static bool use_handle(struct user *user)
{
	struct use *use = user->use;
	bool blocked;
	uint64_t nodes;
	int ret;

	if (!write_and_clone(user, use->full) || !remove_everything(user))
		return false;
	if (use->full && (!write_and_clone(user, false) || !remove_everything(user)))
		return false;
	ret = cdx_txn_drain_all(&user->fs->txn, &blocked, &user->error);
	if (!done(user, "drain", ret, false))
		return false;
	return check_image(false, &nodes, use->why, use->why_room) && nothing_leaked(user, nodes);
}

bool use_image(struct use *use)
{
	struct user user = {.use = use};
	bool good;

	if (cowdax_open(media_path(), NULL, &user.fs, &user.error))
		return fail(use, "first use: open: %s", user.error.text);
	good = use_handle(&user);
	cowdax_close(user.fs);
	return good;
}
