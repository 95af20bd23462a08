/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs, from their start to their end. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>

/*
 * Run command[0] (looked for in PATH when it has no slash), its input from the
 * file @input (NULL: /dev/null), its output dropped: nanoseconds until it has
 * ended.  Dies when it fails.
 */
double run_program(const char *const *command, const char *input);
/* The same, and whether it succeeded. */
bool try_program(const char *const *command, const char *input, double *taken);
/* Whether PATH, or a folder of administrators' programs, has it. */
bool has_program(const char *name);

#endif
