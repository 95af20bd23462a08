/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every command that is made of struct cli_verb. */
#ifndef VERBS_H
#define VERBS_H

#include "lib/cli.h"

extern const struct cli_verb batch_verb;
extern const struct cli_verb fallocate_verb;
extern const struct cli_verb fsck_verb;
extern const struct cli_verb info_verb;
extern const struct cli_verb ls_verb;
extern const struct cli_verb map_verb;
extern const struct cli_verb mkdir_verb;
extern const struct cli_verb mkfs_verb;
extern const struct cli_verb read_verb;
extern const struct cli_verb reflink_verb;
extern const struct cli_verb rm_verb;
extern const struct cli_verb stat_verb;
extern const struct cli_verb trim_verb;
extern const struct cli_verb truncate_verb;
extern const struct cli_verb write_verb;

#endif
