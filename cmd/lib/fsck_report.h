/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the checker found, for people or as JSON Lines. */
#ifndef FSCK_REPORT_H
#define FSCK_REPORT_H

#include "cowdax.h"

void fsck_report_problem(const char *image, const struct cowdax_problem *problem, bool json);
void fsck_report_summary(const char *image, const struct cowdax_check_summary *summary, bool json);

#endif
