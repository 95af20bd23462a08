// SPDX-License-Identifier: LGPL-2.1-or-later
/* The table of problems, from problem_list.h, and its public face. */
#include "check/problem.h"

const struct cdx_problem_info cdx_problem_table[CDX_P_COUNT] = {
#define P(id, code, severity, pass, repair, message, damage) \
	[CDX_P_##id] = {code, message, COWDAX_##severity, pass, CDX_##repair},
#include "check/problem_list.h"
};

const char *cowdax_problem_code(size_t index, const char **message)
{
	if (index >= CDX_P_COUNT)
		return NULL;
	if (message)
		*message = cdx_problem_table[index].message;
	return cdx_problem_table[index].code;
}
