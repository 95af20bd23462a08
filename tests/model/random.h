/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random numbers that are the same everywhere for the same seed (splitmix64). */
#ifndef MODEL_RANDOM_H
#define MODEL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. limit - 1; 0 when there is no such number. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
	return limit ? random_next(random) % limit : 0;
}

static inline bool random_one_in(struct random *random, uint64_t n)
{
	return random_below(random, n) == 0;
}

static inline void random_fill(uint64_t seed, unsigned char *bytes, uint64_t length)
{
	struct random random = {seed};

	while (length) {
		uint64_t word = random_next(&random), part = length < 8 ? length : 8;

		memcpy(bytes, &word, part);
		bytes += part;
		length -= part;
	}
}

#endif
