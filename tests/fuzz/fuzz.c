/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile images: none crashes, hangs or leaks, whatever is done to it, and each is held
 * to the law (law.c).  Deterministic: the same seed makes the same image and does the same.
 *
 *	fuzz [--iterations N] [--seed S]	the finds and damages, then N images made from seeds
 *	fuzz --replay NAME|SEED|FILE		one find or damage by name, one seed, or one input
 *	fuzz --corpus DIRECTORY			each input there (see target.c)
 *
 * Images are judged in child processes, so that a death names its seed.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 25
#define WAYS 4		/* in which a damage is worked on */
#define SECONDS 120	/* that a batch may take, sanitizers included */

static const struct damage *const tables[] = {
	finds, EVERY_DAMAGE,
};

struct fuzz {
	struct image bases[BASES];
	char path[IMAGE_PATH];
};

static bool judge(struct fuzz *fuzz, const struct image *image, struct draw *draw)
{
	const char *wrong = judge_law(image, fuzz->path, draw);

	if (wrong)
		printf("BREACH %s\n", wrong);
	return !wrong;
}

/* Each damage, worked on in several ways. */
static bool try_damage(struct fuzz *fuzz, const struct damage *damage)
{
	struct image image;
	bool good = true;

	image_copy(&image, &fuzz->bases[damage->base]);
	damage->apply(&image);
	for (uint64_t way = 0; way < WAYS && good; way++)
		good = judge(fuzz, &image, &(struct draw){.state = way});
	image_free(&image);
	return good;
}

static bool try_draw(struct fuzz *fuzz, struct draw *draw)
{
	struct image image;
	bool good;

	make_case(&image, fuzz->bases, draw);
	good = judge(fuzz, &image, draw);
	image_free(&image);
	return good;
}

static bool try_file(struct fuzz *fuzz, const char *path)
{
	unsigned char bytes[4096];
	FILE *file = fopen(path, "rb");
	struct draw draw = {.bytes = bytes};

	if (!file)
		die("%s: cannot read", path);
	draw.left = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	return try_draw(fuzz, &draw);
}

struct job {
	const struct damage *damage;	/* or, when NULL: */
	const char *file;		/* or, when NULL: */
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
		bool good = true;

		alarm(SECONDS);
		if (job->damage)
			good = try_damage(fuzz, job->damage);
		if (job->file)
			good = try_file(fuzz, job->file);
		for (uint64_t i = 0; i < job->count && good; i++)
			good = try_draw(fuzz, &(struct draw){.state = job->seed + i});
		for (int base = 0; base < BASES; base++)
			image_free(&fuzz->bases[base]);
		exit(!good);
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
			printf("FAIL %s: replay with fuzz --replay '%s'\n", damage->what, damage->what);
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

static unsigned int run_corpus(struct fuzz *fuzz, const char *directory)
{
	struct dirent **names;
	int count = scandir(directory, &names, NULL, alphasort);
	unsigned int failed = 0;
	char path[1024];

	if (count < 0)
		die("%s: cannot read", directory);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && !survives(fuzz, &(struct job){.file = path})) {
			printf("FAIL %s: replay with fuzz --replay %s\n", path, path);
			failed++;
		}
		free(names[i]);
	}
	free(names);
	return failed;
}

static unsigned int replay(struct fuzz *fuzz, const char *name)
{
	char *end;
	uint64_t seed = strtoull(name, &end, 10);

	if (*end == '\0')
		return !try_draw(fuzz, &(struct draw){.state = seed});
	if (access(name, R_OK) == 0)
		return !try_file(fuzz, name);
	return run_tables(fuzz, name);
}

int main(int argc, char **argv)
{
	const char *corpus = NULL, *one = NULL;
	uint64_t iterations = 300, seed = 1;
	unsigned int failed = 0;
	struct fuzz fuzz = {0};

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--iterations") == 0)
			iterations = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--corpus") == 0)
			corpus = argv[i + 1];
		else if (strcmp(argv[i], "--replay") == 0)
			one = argv[i + 1];
		else
			die("unknown option %s", argv[i]);
	}
	cowdax_catch_faults();
	image_path(fuzz.path, "fuzz", getpid());
	make_bases(fuzz.bases, fuzz.path);
	if (one) {
		failed = replay(&fuzz, one);
	} else if (corpus) {
		failed = run_corpus(&fuzz, corpus);
	} else {
		failed = run_tables(&fuzz, NULL);
		failed += run_seeds(&fuzz, seed, iterations);
		printf("%llu images from seed %llu, %u failures\n", (unsigned long long)iterations,
		       (unsigned long long)seed, failed);
	}
	if (!one || !failed)
		unlink(fuzz.path);
	for (int base = 0; base < BASES; base++)
		image_free(&fuzz.bases[base]);
	return failed != 0;
}
