/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command line, into struct cli. */
#ifndef PARSE_H
#define PARSE_H

#include "cli.h"

/** 0, ENOMEM, or, of a line of a batch, EINVAL after a message; else wrong usage exits. */
int parse_command_line(struct cli *cli, int argc, char **argv);

#endif
