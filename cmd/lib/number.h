/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers of bytes, as people write and read them. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define NUMBER_TEXT_MAX 32

/**
 * Parse decimal or 0x hexadecimal digits with an optional k, m, g, t, p or e
 * (or KiB, MiB, …), 1024-based, upper or lower case.  0, -EINVAL when it is
 * no such number, -ERANGE above 2^63 - 1, the largest file offset.
 */
int number_parse(const char *text, uint64_t *value);

/** "1.5 GiB"; returns @text. */
const char *number_human(uint64_t bytes, char text[NUMBER_TEXT_MAX]);

/** "1.5K", "20M", rounded up, as ls -h has it; returns @text. */
const char *number_brief(uint64_t bytes, char text[NUMBER_TEXT_MAX]);

#endif
