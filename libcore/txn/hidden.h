/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What only bases have of files' data (FORMAT 6.4). */
#ifndef CDX_HIDDEN_H
#define CDX_HIDDEN_H

#include "txn/state.h"

/*
 * How many blocks of data no file has that a base keeps.  Reads every node of files,
 * each once, and takes a bit of memory for each block of the image.
 */
int cdx_hidden_blocks(struct cdx_txn *txn, uint64_t *blocks);

#endif
