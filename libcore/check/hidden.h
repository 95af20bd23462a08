/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only bases have of files' data (FORMAT 6.4). */
#ifndef CDX_CHECK_HIDDEN_H
#define CDX_CHECK_HIDDEN_H

#include "check/tree.h"

/* Count the blocks of data that no file maps, but that a base keeps; after all trees. */
int cdx_check_hidden(struct cdx_check *ck);

#endif
