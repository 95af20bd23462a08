/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CHECK_MEDIA_H
#define CDX_CHECK_MEDIA_H

#include "check/context.h"

/*
 * Pass 1, superblocks and commit slots: fills in the context's super, record and
 * transaction; *@go_on tells whether there is a record.
 */
int cdx_check_media(struct cdx_check *ck, const char *path, bool *go_on,
		    struct cowdax_error *error);

#endif
