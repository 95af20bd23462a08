/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attributes of an inode, as cowdax-stat and cowdax-ls print them. */
#ifndef INODE_PRINT_H
#define INODE_PRINT_H

#include <stdint.h>

#include "cowdax.h"

#define INODE_TIME_TEXT_MAX 64

struct json;

/** "file", "directory", …, of the S_IFMT bits of @mode. */
const char *inode_type_name(uint32_t mode);
/** "-rw-r--r--". */
const char *inode_mode_text(uint32_t mode, char text[11]);
/** "2024-01-31 23:59:59.000000000 +0000", in the local time zone. */
const char *inode_time_text(const struct timespec *time, char text[INODE_TIME_TEXT_MAX]);
/** mode, uid, gid, nlink, size: members of an open object. */
void inode_json_attributes(struct json *json, const struct cowdax_stat *st);
/** A name as a line of a list: as it is into a pipe or file, quoted on a terminal. */
void inode_print_name(const char *name);

#endif
