/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unit tests' harness.  A test is a sentence about what must hold; it runs
 * in a process of its own, so that one that crashes or hangs fails alone, and
 * makes one line of TAP.
 *
 *	program			run all tests
 *	program WORD...		those whose sentence contains a WORD
 *
 * A sentence that starts with "R5:" is what shows that design rule R5 is kept.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_test {
	const char *sentence;
	void (*run)(void);
	struct unit_test *next;
};
void unit_add(struct unit_test *test);

#define UNIT_JOIN(a, b) a##b
#define UNIT_DEFINE(sentence_, id)                                                                 \
	static void UNIT_JOIN(test_, id)(void);                                                    \
	__attribute__((constructor)) static void UNIT_JOIN(add_test_, id)(void)                    \
	{                                                                                          \
		static struct unit_test test = {(sentence_), UNIT_JOIN(test_, id), NULL};          \
		unit_add(&test);                                                                   \
	}                                                                                          \
	static void UNIT_JOIN(test_, id)(void)
#define UNIT_DEFINE_AT(sentence_, line) UNIT_DEFINE(sentence_, line)
/* TEST("what must hold") { ... } */
#define TEST(sentence_) UNIT_DEFINE_AT(sentence_, __LINE__)

/* End the test as failed unless the condition holds. */
#define CHECK(condition) ((condition) ? (void)0 : unit_fail(__FILE__, __LINE__, #condition))
/* The same for integers, telling both. */
#define CHECK_EQUAL(got, expected)                                                                 \
	do {                                                                                       \
		long long got_ = (long long)(got), expected_ = (long long)(expected);              \
                                                                                                   \
		if (got_ != expected_)                                                             \
			unit_unequal(__FILE__, __LINE__, #got, got_, expected_);                   \
	} while (0)

_Noreturn void unit_fail(const char *file, int line, const char *what);
_Noreturn void unit_unequal(const char *file, int line, const char *what, long long got,
			    long long expected);
/* End the test: what it needs is not to be had here. */
_Noreturn void unit_skip(const char *why);
/* Say something about the test that runs. */
void unit_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The path of a file in a folder that goes away with the test; free()d by nobody. */
const char *unit_path(const char *name);

/* A reproducible sequence (splitmix64) and a number below @limit out of it. */
uint64_t unit_random(uint64_t *state);
uint64_t unit_below(uint64_t *state, uint64_t limit);

#endif
