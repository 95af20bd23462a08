/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile images must not crash, hang or leak, whatever is done to them.
 * Deterministic: the same seed makes the same images.
 *
 *	fuzz [--iterations N] [--seed S]	the finds and damages, then N mutated images
 *	fuzz --replay NAME|SEED			one find or damage by name, or one mutated image
 *
 * Images are exercised in child processes, so that a death names its seed.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 25
#define SECONDS 120	/* that a batch may take, sanitizers included */

static const struct damage *const tables[] = {
	finds, media_damages, node_damages, file_damages, held_damages, space_damages,
};

struct fuzz {
	struct image bases[2];
	char path[64];
};

static void try_damage(struct fuzz *fuzz, const struct damage *damage)
{
	struct image image;

	image_copy(&image, &fuzz->bases[damage->base]);
	damage->apply(&image);
	image_store(&image, fuzz->path, 0);
	image_free(&image);
	exercise(fuzz->path);
}

static void try_seed(struct fuzz *fuzz, uint64_t seed)
{
	struct image image;

	image_copy(&image, &fuzz->bases[seed % 2]);
	mutate(&image, seed);
	image_store(&image, fuzz->path, 0);
	image_free(&image);
	exercise(fuzz->path);
}

struct job {
	const struct damage *damage;	/* or, when NULL: */
	uint64_t seed, count;
};

/* Whether the child that does @job ends as it should. */
static bool survives(struct fuzz *fuzz, const struct job *job)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child < 0)
		die("cannot fork");
	if (child == 0) {
		alarm(SECONDS);
		if (job->damage)
			try_damage(fuzz, job->damage);
		for (uint64_t i = 0; i < job->count; i++)
			try_seed(fuzz, job->seed + i);
		for (int base = PLAIN; base <= DEEP; base++)
			image_free(&fuzz->bases[base]);
		exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		die("cannot wait");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static unsigned int run_tables(struct fuzz *fuzz, const char *only)
{
	unsigned int failed = 0;

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct damage *damage = tables[t]; damage->what; damage++) {
			if (only && strcmp(only, damage->what) != 0)
				continue;
			if (survives(fuzz, &(struct job){.damage = damage}))
				continue;
			printf("FAIL %s: replay with fuzz --replay '%s'\n", damage->what,
			       damage->what);
			failed++;
		}
	}
	return failed;
}

static unsigned int run_seeds(struct fuzz *fuzz, uint64_t seed, uint64_t iterations)
{
	unsigned int failed = 0;

	for (uint64_t done = 0; done < iterations; done += BATCH) {
		uint64_t count = iterations - done < BATCH ? iterations - done : BATCH;

		if (survives(fuzz, &(struct job){.seed = seed + done, .count = count}))
			continue;
		for (uint64_t i = 0; i < count; i++) {
			uint64_t one = seed + done + i;

			if (survives(fuzz, &(struct job){.seed = one, .count = 1}))
				continue;
			printf("FAIL seed %llu: replay with fuzz --replay %llu\n",
			       (unsigned long long)one, (unsigned long long)one);
			failed++;
		}
	}
	return failed;
}

static void make_bases(struct fuzz *fuzz)
{
	snprintf(fuzz->path, sizeof(fuzz->path), "fuzz-%ld.img", (long)getpid());
	for (int base = PLAIN; base <= DEEP; base++) {
		make_base(base, fuzz->path);
		image_load(&fuzz->bases[base], fuzz->path);
	}
}

static int replay(struct fuzz *fuzz, const char *name)
{
	char *end;
	uint64_t seed = strtoull(name, &end, 10);

	if (*end == '\0')
		try_seed(fuzz, seed);
	else
		return run_tables(fuzz, name) != 0;
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t iterations = 300, seed = 1;
	unsigned int failed;
	struct fuzz fuzz = {0};

	make_bases(&fuzz);
	if (argc == 3 && strcmp(argv[1], "--replay") == 0)
		return replay(&fuzz, argv[2]);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--iterations") == 0)
			iterations = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else
			die("unknown option %s", argv[i]);
	}
	failed = run_tables(&fuzz, NULL);
	failed += run_seeds(&fuzz, seed, iterations);
	unlink(fuzz.path);
	for (int base = PLAIN; base <= DEEP; base++)
		image_free(&fuzz.bases[base]);
	printf("%llu mutated images from seed %llu, %u failures\n", (unsigned long long)iterations,
	       (unsigned long long)seed, failed);
	return failed != 0;
}
