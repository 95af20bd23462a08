/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts about an image, as cowdax-info and mkfs.cowdax print them. */
#ifndef GEOMETRY_H
#define GEOMETRY_H

#include "cowdax.h"

struct json;

/** A transaction of 0 is one that is not committed. */
void geometry_print(const struct cowdax_info *info);
/** As members of an open object. */
void geometry_print_json(struct json *json, const struct cowdax_info *info);
/** Whether stores to the image go to persistent memory. */
bool geometry_is_pmem(const struct cowdax_info *info);
/** When what a command has stored survives a power failure. */
const char *geometry_durability(const struct cowdax_info *info);
/** Every feature there is, a line each. */
void geometry_list_features(void);

#endif
