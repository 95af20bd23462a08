/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_DIR_H
#define CDX_CHECK_DIR_H

#include "check/files.h"

/* Pass 3, directories: names against inodes.  Paths can be had from then on. */
int cdx_check_directories(struct cdx_check *ck, struct cdx_files *files);

#endif
