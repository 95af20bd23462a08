/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Problems by number, and what is told of one. */
#ifndef CDX_CHECK_PROBLEM_H
#define CDX_CHECK_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cowdax.h"

enum cdx_problem {
#define P(id, code, severity, pass, repair, message, damage) CDX_P_##id,
#include "check/problem_list.h"
	CDX_P_COUNT
};

enum cdx_mending { CDX_LEFT, CDX_SAFE, CDX_CHOICE, CDX_IN_SPACE };

struct cdx_problem_info {
	const char *code, *message;
	enum cowdax_severity severity;
	int pass;			/* 1 to 5; 0: any */
	enum cdx_mending mending;
};
extern const struct cdx_problem_info cdx_problem_table[CDX_P_COUNT];

/* Where something was found, and what.  Zeroed fields do not apply. */
struct cdx_finding {
	uint64_t inode;
	uint64_t grain, grains;
	bool compared;			/* whether found and expected mean anything */
	uint64_t found, expected;
};

#endif
