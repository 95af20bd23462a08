/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law L1 on images with all checksums right.  What fsck calls clean can be
 * used: every operation works, and the image stays clean.  On what it calls
 * damaged every operation works or fails with an error that says why, comes to
 * an end, and makes nothing worse: no new code appears, an image that could be
 * opened still can, and the bytes of files that it is not about stay.  What
 * fails has committed nothing.
 *
 *	usable			all images, all operations
 *	usable WHAT...		the images whose description contains WHAT
 */
#include "usable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 60		/* that one image may take, sanitizers included */
#define MAX_CODES 32
#define MAX_KEPT 8192		/* bytes of a bystander that are looked at */

static const struct damage *const tables[] = {
	crafted, EVERY_DAMAGE,
};

/* ---- verdicts --------------------------------------------------------------------- */

struct verdict {
	bool clean, opens;
	uint64_t transaction;
	const char *codes[MAX_CODES];
	unsigned int count;
	ssize_t kept;
	char bytes[MAX_KEPT];
};

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct verdict *verdict = arg;

	for (unsigned int i = 0; i < verdict->count; i++) {
		if (strcmp(verdict->codes[i], problem->code) == 0)
			return;
	}
	if (verdict->count < MAX_CODES)
		verdict->codes[verdict->count++] = problem->code;
}

static void read_bystander(struct verdict *verdict, const char *path, const char *file)
{
	struct cowdax_open_options options = {.flags = COWDAX_RDONLY};
	struct cowdax *fs;
	uint64_t inode;

	verdict->opens = cowdax_open(path, &options, &fs, NULL) == 0;
	if (!verdict->opens)
		return;
	verdict->kept = cowdax_lookup(fs, file, &inode, NULL);
	if (!verdict->kept)
		verdict->kept = cowdax_read(fs, inode, verdict->bytes, MAX_KEPT, 0, NULL);
	cowdax_close(fs);
}

static void judge(struct verdict *verdict, const char *path, enum base base)
{
	struct cowdax_check_options options = {.problem = note_problem, .problem_arg = verdict};
	struct cowdax_check_summary summary = {0};

	memset(verdict, 0, sizeof(*verdict));
	verdict->clean = cowdax_check(path, &options, &summary, NULL) == 0 && summary.clean;
	verdict->transaction = summary.transaction;
	read_bystander(verdict, path, base == PLAIN ? "/two" : "/shares");
}

static bool has_code(const struct verdict *verdict, const char *code)
{
	for (unsigned int i = 0; i < verdict->count; i++) {
		if (strcmp(verdict->codes[i], code) == 0)
			return true;
	}
	return false;
}

/* ---- one operation ------------------------------------------------------------------ */

struct trial {
	const struct damage *damage;
	const struct operation *operation;
	const char *path;
	struct verdict before;
};

static bool fail(const struct trial *trial, const char *what, const char *detail)
{
	printf("FAIL %s: %s: %s%s%s\n", trial->damage->what, trial->operation->name, what,
	       *detail ? ": " : "", detail);
	return false;
}

/* Numbers that are used up are no damage, nor is what has been removed: that is said. */
static bool may_fail(const struct damage *damage, int ret)
{
	if (ret == -ENOENT)
		return strncmp(damage->what, "removed ", 8) == 0;
	return ret == -EOVERFLOW && strncmp(damage->what, "no ", 3) == 0;
}

static bool judge_after(const struct trial *trial, int ret)
{
	static struct verdict after;

	judge(&after, trial->path, trial->damage->base);
	/* What is not there may be an orphan, which any writer takes apart first. */
	if (ret < 0 && ret != -ENOENT && !trial->operation->several && after.transaction != trial->before.transaction)
		return fail(trial, "fails, and has committed something", "");
	if (trial->before.clean && !after.clean)
		return fail(trial, "is not clean any more", after.count ? after.codes[0] : "");
	for (unsigned int i = 0; i < after.count; i++) {
		if (!has_code(&trial->before, after.codes[i]) &&
		    !may_appear(trial->damage, after.codes[i]))
			return fail(trial, "made it worse", after.codes[i]);
	}
	if (trial->before.opens && !after.opens)
		return fail(trial, "cannot be opened any more", "");
	if (trial->before.kept > 0 && !may_appear(trial->damage, "bytes") &&
	    (after.kept != trial->before.kept ||
	     memcmp(after.bytes, trial->before.bytes, (size_t)after.kept) != 0))
		return fail(trial, "changed the bytes of another file", "");
	return true;
}

static bool try_operation(const struct trial *trial)
{
	struct cowdax_error error = {0};
	struct cowdax *fs;
	int ret = cowdax_open(trial->path, NULL, &fs, &error);

	if (!ret) {
		ret = trial->operation->run(fs, trial->damage->base, &error);
		cowdax_close(fs);
	}
	if (ret < 0 && trial->before.clean && !may_fail(trial->damage, ret))
		return fail(trial, "fails though it is clean", error.text);
	if (ret < 0 && !error.text[0])
		return fail(trial, "fails and does not say why", strerror(-ret));
	return judge_after(trial, ret);
}

/* ---- one image ------------------------------------------------------------------------- */

static unsigned int try_all(const struct damage *damage, const struct image *image,
			    const char *path)
{
	static struct trial trial;
	unsigned int failed = 0;

	image_store(image, path, 0);
	trial = (struct trial){.damage = damage, .path = path};
	judge(&trial.before, path, damage->base);
	if (damage->code && !has_code(&trial.before, damage->code)) {
		printf("FAIL %s: is not named %s\n", damage->what, damage->code);
		failed++;
	}
	for (trial.operation = operations; trial.operation->name; trial.operation++) {
		image_store(image, path, 0);
		failed += !try_operation(&trial);
	}
	return failed;
}

/* In a child of its own, so that a death or an endless loop is one image's. */
static bool survives(const struct damage *damage, const struct image bases[2], const char *path)
{
	struct image image;
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		die("cannot fork");
	if (child == 0) {
		alarm(SECONDS);
		image_copy(&image, &bases[damage->base]);
		damage->apply(&image);
		status = try_all(damage, &image, path) != 0;
		image_free(&image);
		fflush(stdout);
		_exit(status);
	}
	if (waitpid(child, &status, 0) != child)
		die("cannot wait");
	if (WIFSIGNALED(status))
		printf("FAIL %s: %s\n", damage->what, WTERMSIG(status) == SIGALRM ?
		       "comes to no end" : strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool wanted(const struct damage *damage, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstr(damage->what, argv[i]))
			return true;
	}
	return argc == 1;
}

int main(int argc, char **argv)
{
	unsigned int tried = 0, failed = 0;
	struct image bases[2];
	char path[IMAGE_PATH];

	/* Nothing here is about what a power cut leaves: spare the disk. */
	setenv("PMEM_IS_PMEM_FORCE", "1", 1);
	cowdax_catch_faults();
	image_path(path, "usable", getpid());
	load_bases(bases, path);
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct damage *damage = tables[t]; damage->what; damage++) {
			if (damage->how != AS_IS || !wanted(damage, argc, argv))
				continue;
			tried++;
			failed += !survives(damage, bases, path);
		}
	}
	unlink(path);
	for (int base = PLAIN; base <= DEEP; base++)
		image_free(&bases[base]);
	printf("%u images, %u failures\n", tried, failed);
	return failed != 0;
}
