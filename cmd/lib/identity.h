/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tells one new filesystem from the next: UUID, time and seed. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "cowdax.h"

struct cli;

/** "random", "clear" or a UUID; -EINVAL. */
int identity_parse_uuid(const char *text, uint8_t uuid[16]);
/**
 * Fill in time, seed and, unless @uuid_given, uuid.  Random, but with a UUID
 * given and SOURCE_DATE_EPOCH set the seed comes of both.  -errno in cli->error.
 */
int identity_choose(struct cli *cli, struct cowdax_mkfs_options *options, bool uuid_given);

#endif
