/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command from its start to its end. */
#ifndef RUN_H
#define RUN_H

#include "cli.h"

/** main() of a command. */
int run_main(const struct cli_verb *verb, int argc, char **argv);
/** Run the parsed command on cli->fs, in a transaction where it needs one. */
int run_command(struct cli *cli);
/** Call @run in a transaction; committed unless it fails, returns a status or it is a dry run. */
int run_in_transaction(struct cli *cli, int (*run)(struct cli *cli));
/** Let go of what parsing and running acquired, but not of cli->fs. */
void run_release(struct cli *cli);

#endif
