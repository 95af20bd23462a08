/* SPDX-License-Identifier: GPL-2.0-or-later */
/* $SOURCE_DATE_EPOCH: the time that stands for "now", so that images can be made again. */
#ifndef SOURCE_DATE_H
#define SOURCE_DATE_H

#include "cli.h"

/** 1 and the time when it is set, 0 when it is not, -errno in cli->error when it is no time. */
int source_date(struct cli *cli, struct timespec *time);

#endif
