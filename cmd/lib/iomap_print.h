/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Iomaps, and the steps of an operation, as they are printed. */
#ifndef IOMAP_PRINT_H
#define IOMAP_PRINT_H

#include <stdio.h>

#include "cowdax.h"

struct json;

/** "hole", "mapped" or "unwritten". */
const char *iomap_type_name(enum cowdax_iomap_type type);
/** The flags of an iomap, for people: "new,shared", or "-". */
const char *iomap_flags_text(unsigned int flags);
/** The members of an iomap, into an object that is open. */
void iomap_json(struct json *json, const struct cowdax_iomap *map);
/** A step as an object of a list. */
void iomap_json_step(struct json *json, const struct cowdax_step *step);
/** The heads of the columns, and a step below them. */
void iomap_table_head(FILE *out);
void iomap_table_step(FILE *out, const struct cowdax_step *step);

#endif
