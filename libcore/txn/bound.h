/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many nodes a removal can need, at most (R17): computed from the trees as
 * the record has them.  doc/ARCHITECTURE 3 has the same in prose.
 */
#ifndef CDX_BOUND_H
#define CDX_BOUND_H

#include "tree/record.h"

#define CDX_BOUND_EDGES 2	/* of a range that is cut out: each may need a block of data, besides the nodes */

/* Removing one more entry of a directory in a transaction that removes. */
uint64_t cdx_bound_entry(const struct cdx_super *super, const struct cdx_record *record);
/* What the commit needs besides the nodes that are dirty. */
uint64_t cdx_bound_commit(const struct cdx_super *super, const struct cdx_record *record);
/* Any one removing transaction, and any one step of undoing limbo, all told. */
uint64_t cdx_bound_removal(const struct cdx_super *super, const struct cdx_record *record);

#endif
