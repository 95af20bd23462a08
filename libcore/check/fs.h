/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_FS_H
#define CDX_CHECK_FS_H

#include "check/files.h"
#include "check/refs.h"

/*
 * Pass 2, the file tree and all extents: fills in @files.  @mapped, which may be
 * NULL, takes in where files have data.
 */
int cdx_check_fs(struct cdx_check *ck, struct cdx_files *files, struct cdx_event_set *mapped);

#endif
