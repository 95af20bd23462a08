/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of a verb, between struct cli_option and argp. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "cli.h"

/** The list @options (may be NULL) as argp wants it, to be freed; NULL without memory. */
struct argp_option *options_for_argp(const struct cli_option *options);
/** The argp parser of the verb's own options. */
error_t options_parse(int key, char *text, struct argp_state *state);

#endif
