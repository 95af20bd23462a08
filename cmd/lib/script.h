/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lines of a batch, as words. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdio.h>

#include "cli.h"

struct script;

/** Open @name, or stdin for NULL and "-"; NULL with cli->error set. */
struct script *script_open(struct cli *cli, const char *name);
/**
 * The words of the next line that has any, valid until the next call, with a
 * NULL behind them: their number, 0 at the end, or -errno in cli->error.
 */
int script_next(struct cli *cli, struct script *script, char ***words);
/** The number of the line that script_next() was last about, from 1. */
unsigned long script_line(const struct script *script);
bool script_is_stdin(const struct script *script);
/** NULL is allowed. */
void script_close(struct script *script);

#endif
