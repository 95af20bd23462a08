/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes that tell which write they are of. */
#ifndef STAMP_H
#define STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of @version at [offset, offset + length) of a file: each 8 bytes say
 * the version and where they are.
 */
void fill_version(void *bytes, uint64_t offset, size_t length, uint64_t version);
/* The one version of all bytes of a file's range; 0 when there are several, or what is no version. */
uint64_t version_of(const void *bytes, uint64_t offset, size_t length);

#endif
