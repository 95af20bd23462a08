// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random operations on an image and on plain byte arrays, which must stay the
 * same; the full checker after every few.
 *
 *	model [--seed S] [--ops N] [--rounds R] [--config C] [--check-every N] [--shrink]
 *
 * Each configuration runs N operations from seed S, and from the R - 1 seeds
 * after it.  A failure prints what to call it with to see it again; --shrink
 * then looks for fewer operations that fail.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

static const struct config configs[] = {
	/* block, node, image, offset, forced PM, crowded, longest file, entries */
	{4096, 512, 16 * MIB, 0, false, false, 256 * KIB, 60},
	{4096, 1024, 16 * MIB, 0, true, false, 256 * KIB, 60},
	{4096, 4096, 16 * MIB, 0, false, false, 256 * KIB, 60},
	{8192, 512, 16 * MIB, 512, false, false, 256 * KIB, 40},
	{16384, 2048, 24 * MIB, 0, true, false, 512 * KIB, 30},
	{65536, 4096, 32 * MIB, 3584, false, false, 2 * MIB, 15},
	{65536, 512, 32 * MIB, 0, false, false, 2 * MIB, 15},
	/* Long files in splinters, staged writes. */
	{4096, 512, 64 * MIB, 0, true, false, 8 * MIB, 12},
	{4096, 1024, 48 * MIB, 0, false, false, 6 * MIB, 12},
	/* Full, or nearly. */
	{4096, 512, 256 * KIB, 0, false, true, 64 * KIB, 30},
	{4096, 1024, 1 * MIB, 0, true, true, 256 * KIB, 40},
	{4096, 512, 4 * MIB, 0, false, true, 4 * MIB, 40},
	{4096, 4096, 2 * MIB, 0, false, true, 512 * KIB, 60},
	{65536, 512, 4 * MIB, 0, true, true, 1 * MIB, 20},
	{16384, 4096, 4 * MIB, 512, false, true, 1 * MIB, 30},
};
#define CONFIGS (sizeof(configs) / sizeof(*configs))

struct options {
	uint64_t seed, ops, rounds, check_every;
	uint64_t config;		/* from 1; 0: all */
	bool shrink;
};

static uint64_t number(const char *option, const char *value)
{
	char *end;
	uint64_t result = value ? strtoull(value, &end, 0) : 0;

	if (!value || !*value || *end) {
		fprintf(stderr, "model: %s: a number is needed\n", option);
		exit(2);
	}
	return result;
}

static void parse(struct options *options, int argc, char **argv)
{
	const struct { const char *name; uint64_t *value; } numbers[] = {
		{"--seed", &options->seed}, {"--ops", &options->ops}, {"--rounds", &options->rounds},
		{"--config", &options->config}, {"--check-every", &options->check_every},
	};

	for (int i = 1; i < argc; i++) {
		size_t n = 0;

		if (strcmp(argv[i], "--shrink") == 0) {
			options->shrink = true;
			continue;
		}
		while (n < sizeof(numbers) / sizeof(*numbers) && strcmp(argv[i], numbers[n].name) != 0)
			n++;
		if (n == sizeof(numbers) / sizeof(*numbers)) {
			fprintf(stderr, "model: %s: unknown option\n", argv[i]);
			exit(2);
		}
		*numbers[n].value = number(argv[i], argv[i + 1]);
		i++;
	}
	if (options->config > CONFIGS || !options->check_every) {
		fprintf(stderr, "model: configurations are 1 to %zu\n", CONFIGS);
		exit(2);
	}
}

static bool run_one(const struct options *options, size_t config, uint64_t seed, uint64_t line)
{
	const struct config *c = &configs[config];
	struct run run = {
		.config = c, .seed = seed, .ops = options->ops, .check_every = options->check_every,
	};
	bool good = run_all(&run);

	printf("%s %" PRIu64 " - block %u, node %u, %" PRIu64 " KiB%s%s, %" PRIu64 " operations (%" PRIu64
	       " without space), seed %" PRIu64 "\n", good ? "ok" : "not ok", line, c->block_size, c->node_size,
	       c->image_size / KIB, c->crowded ? ", crowded" : "", c->forced_pm ? ", forced PM" : "", run.done,
	       run.full, seed);
	if (!good) {
		printf("# again: model --config %zu --seed %" PRIu64 " --ops %" PRIu64 " --check-every %" PRIu64
		       "\n", config + 1, seed, run.done, options->check_every);
		if (options->shrink)
			run_shrink(&run);
	}
	fflush(stdout);
	return good;
}

int main(int argc, char **argv)
{
	struct options options = {.seed = 1, .ops = RUN_OPS, .rounds = 1, .check_every = 8};
	uint64_t line = 0, bad = 0;

	parse(&options, argc, argv);
	printf("1..%" PRIu64 "\n", options.rounds * (options.config ? 1 : CONFIGS));
	for (uint64_t round = 0; round < options.rounds; round++)
		for (size_t i = 0; i < CONFIGS; i++)
			if (!options.config || options.config == i + 1)
				bad += !run_one(&options, i, options.seed + round, ++line);
	return bad ? 1 : 0;
}
