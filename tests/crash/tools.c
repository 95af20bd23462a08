// SPDX-License-Identifier: GPL-2.0-or-later
#include "crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("crash: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

void *get_array(void *array, size_t count, size_t size)
{
	free(array);
	array = calloc(count, size);
	if (!array)
		die("out of memory");
	return array;
}

void *make_room(void *array, size_t *room, size_t wanted, size_t size)
{
	size_t more = *room ? *room : 1024;

	if (wanted <= *room)
		return array;
	while (more < wanted)
		more *= 2;
	array = realloc(array, more * size);
	if (!array)
		die("out of memory");
	*room = more;
	return array;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return random_next(state) % limit;
}

uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t state = a * UINT64_C(0xd6e8feb86659fd93) + b;

	return random_next(&state);
}
