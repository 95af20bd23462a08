/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all parts of the crash enumerator use. */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cowdax.h"

/* The program cannot go on. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* @array with room for @wanted items of @size, *@room items being there. */
void *make_room(void *array, size_t *room, size_t wanted, size_t size);
/* @array, what is in it lost, of @count items. */
void *get_array(void *array, size_t count, size_t size);

/* A reproducible sequence (splitmix64): the next number of it; one below @limit. */
uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t limit);
/* Whether a commit slot, or its mirror, lies at @offset. */
bool is_slot(uint64_t offset);
/* Two numbers as one. */
uint64_t mix(uint64_t a, uint64_t b);

#endif
