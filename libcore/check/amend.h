/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record's amendments (FORMAT 4.3); what they do to a node is in tree.c. */
#ifndef CDX_CHECK_AMEND_H
#define CDX_CHECK_AMEND_H

#include "check/tree.h"

/* Before any tree is walked: which of them make sense. */
void cdx_check_amends(struct cdx_check *ck);
/* When all nodes have been met, and cdx_check_count_shared(): where those are that are amended. */
void cdx_check_amended(struct cdx_check *ck);

#endif
