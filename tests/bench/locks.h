/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often the library has called fcntl() for a lock so far. */
#ifndef BENCH_LOCKS_H
#define BENCH_LOCKS_H

#include <stdint.h>

uint64_t lock_calls(void);

#endif
