/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker's own test: break one invariant of a good image at a time and see
 * exactly the code that stands for it reported, and no other.  A code whose
 * case, named in check/problem_list.h, is missing is a failure too.
 *
 *	damage			all of them
 *	damage WHAT...		those whose description contains WHAT; images are kept
 */
#include "damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CODES 128
#define OFFSET 1536		/* where AT_OFFSET puts the filesystem */

struct outcome {
	const char *codes[MAX_CODES];	/* reported, each once */
	unsigned int count;
	const char *wanted_path;
	bool path_seen;
	const char *image;
	uint64_t cut;			/* what to leave of it when pass 1 ... */
	uint64_t cut_at;		/* ... has come so far; 0: never */
};

static const struct damage *const tables[] = {
	EVERY_DAMAGE,
};

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct outcome *outcome = arg;

	if (problem->path && outcome->wanted_path &&
	    strcmp(problem->path, outcome->wanted_path) == 0)
		outcome->path_seen = true;
	for (unsigned int i = 0; i < outcome->count; i++) {
		if (strcmp(outcome->codes[i], problem->code) == 0)
			return;
	}
	if (outcome->count < MAX_CODES)
		outcome->codes[outcome->count++] = problem->code;
}

static void note_progress(void *arg, int pass, uint64_t current, uint64_t maximum)
{
	struct outcome *outcome = arg;

	if (pass < 1 || pass > 5 || current > maximum)
		die("progress of pass %d: %llu of %llu", pass, (unsigned long long)current,
		    (unsigned long long)maximum);
	if (pass == 1 && current && current == outcome->cut_at &&
	    truncate(outcome->image, (off_t)outcome->cut))
		die("%s: cannot truncate", outcome->image);
}

static bool check(const struct damage *damage, const char *path, uint64_t cut)
{
	struct outcome outcome = {
		.wanted_path = damage->path,
		.image = path,
		.cut = cut,
		.cut_at = damage->how == LOSE_MEDIA ? 2 : damage->how == LOSE_SLOTS ? 1 : 0,
	};
	struct cowdax_check_options options = {
		.fs_offset = damage->how == AT_OFFSET ? OFFSET : 0,
		.backup_super = damage->how == BACKUP,
		.problem = note_problem,
		.problem_arg = &outcome,
		.progress = note_progress,
		.progress_arg = &outcome,
	};
	struct cowdax_check_summary summary;
	struct cowdax_error error;
	bool good;

	if (cowdax_check(path, &options, &summary, &error)) {
		printf("FAIL %s (%s): %s\n", damage->what, damage->code, error.text);
		return false;
	}
	if (damage->code)
		good = outcome.count == 1 && strcmp(outcome.codes[0], damage->code) == 0;
	else
		good = outcome.count == 0 && summary.clean;
	if (damage->path && !outcome.path_seen) {
		printf("%s is not named: ", damage->path);
		good = false;
	}
	printf("%s %s:", good ? "ok" : "FAIL", damage->what);
	for (unsigned int i = 0; i < outcome.count; i++)
		printf(" %s", outcome.codes[i]);
	printf(good ? "\n" : ", should be: %s\n", damage->code ? damage->code : "nothing");
	return good;
}

static bool run(const struct damage *damage, const struct image bases[2], unsigned int number,
		bool keep)
{
	struct image image;
	char path[IMAGE_PATH];
	bool good;

	image_path(path, "damage", number);
	image_copy(&image, &bases[damage->base]);
	damage->apply(&image);
	image_store(&image, path, damage->how == AT_OFFSET ? OFFSET : 0);
	image_free(&image);
	good = check(damage, path, image.cut);
	if (!keep)
		unlink(path);
	return good;
}

static bool wanted(const struct damage *damage, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstr(damage->what, argv[i]))
			return true;
	}
	return argc == 1;
}

/* The case that the list of problems names for each code. */
static const struct { const char *code, *what; } promised[] = {
#define P(id, code, severity, pass, repair, message, damage) {code, damage},
#include "check/problem_list.h"
};

static bool has_damage(const char *code, const char *what)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct damage *damage = tables[t]; damage->what; damage++) {
			if (strcmp(damage->what, what) == 0 && damage->code)
				return strcmp(damage->code, code) == 0;
		}
	}
	return false;
}

static unsigned int broken_promises(void)
{
	unsigned int failed = 0;

	for (size_t i = 0; i < sizeof(promised) / sizeof(promised[0]); i++) {
		if (has_damage(promised[i].code, promised[i].what))
			continue;
		printf("FAIL %s: no case \"%s\" brings it about\n", promised[i].code,
		       promised[i].what);
		failed++;
	}
	return failed;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"damage-plain", "damage-deep"};
	char paths[2][IMAGE_PATH];
	unsigned int failed = broken_promises(), number = 0;
	struct image bases[2];

	cowdax_catch_faults();
	for (int base = PLAIN; base <= DEEP; base++) {
		image_path(paths[base], names[base], getpid());
		make_base(base, paths[base]);
		image_load(&bases[base], paths[base]);
	}
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct damage *damage = tables[t]; damage->what; damage++, number++) {
			if (wanted(damage, argc, argv) && !run(damage, bases, number, argc > 1))
				failed++;
		}
	}
	for (int base = PLAIN; base <= DEEP; base++) {
		image_free(&bases[base]);
		if (argc == 1)
			unlink(paths[base]);
	}
	printf("%u damages, %u failures\n", number, failed);
	return failed != 0;
}
