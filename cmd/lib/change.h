/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs that change data or names share: transactions, creation, reports. */
#ifndef CHANGE_H
#define CHANGE_H

#include "cli.h"

/** A wants_transaction(): when there are several operands, or a report but no result. */
bool change_of_names(struct cli *cli);
/** A wants_transaction(): when the file has to be created too. */
bool change_creates_file(struct cli *cli);
/** The inode at @path, which is created (0644) in a transaction when it is missing. */
int change_lookup_or_create(struct cli *cli, const char *path, uint64_t *inode);

/** When it is going to be printed: have the steps kept, and all printed before the commit. */
void change_start(struct cli *cli, const char *path);
/** A verb's report(): of the data changed, to stdout. */
void change_report_data(struct cli *cli);
/** The same to @out, but to stdout as JSON. */
void change_report_data_to(struct cli *cli, FILE *out);
/** A verb's report(): of the operands, names made or removed. */
void change_report_names(struct cli *cli);

#endif
