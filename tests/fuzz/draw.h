/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a case's decisions come from: the bytes of an input while there are some, so
 * that a fuzzer can learn what they do, then numbers that follow from a seed.
 */
#ifndef DRAW_H
#define DRAW_H

#include <stddef.h>
#include <stdint.h>

struct draw {
	const unsigned char *bytes;
	size_t left;
	uint64_t state;			/* SplitMix64 */
};

static inline uint64_t draw_number(struct draw *draw)
{
	uint64_t z = (draw->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number below @limit (0: 0); takes as many bytes of the input as that has. */
static inline uint64_t draw_below(struct draw *draw, uint64_t limit)
{
	uint64_t number = 0;

	if (limit < 2)
		return 0;
	if (!draw->left)
		return draw_number(draw) % limit;
	for (uint64_t rest = limit - 1; rest && draw->left; rest >>= 8, draw->left--)
		number = number << 8 | *draw->bytes++;
	return number % limit;
}

#endif
