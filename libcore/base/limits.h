/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How large things may be: FORMAT 1 and 12.  Each bound is written here, once. */
#ifndef CDX_LIMITS_H
#define CDX_LIMITS_H

#include <stdint.h>

#define CDX_MIN_BLOCK_SIZE 4096
#define CDX_MAX_BLOCK_SIZE 65536
#define CDX_MIN_NODE_SIZE 512
#define CDX_MAX_NODE_SIZE 4096
#define CDX_DEFAULT_BLOCK_SIZE 4096
#define CDX_DEFAULT_NODE_SIZE 1024
#define CDX_MAX_LEVEL 15		/* a tree has at most 16 levels */
#define CDX_MAX_IMAGE (UINT64_C(1) << 62)	/* bytes */
/* What any process can surely map: on x86-64 programs are loaded at two thirds of 2^47 bytes,
 * so that there may be no more than 85 TiB in one piece. */
#define CDX_MAX_MAPPED (UINT64_C(1) << 46)
#define CDX_MAX_FILE ((UINT64_C(1) << 62) - 65536)	/* bytes: whole blocks of any size */
#define CDX_MAX_EXTENT_BLOCKS (UINT32_MAX)
#define CDX_INLINE_EXTENTS 3
#define CDX_NAME_MAX 255
#define CDX_FIRST_TRANSACTION UINT64_C(2)
#define CDX_LAST_TRANSACTION ((UINT64_C(1) << 48) - 1)	/* what the lock space has room for */
#define CDX_MAX_LANE 65535
#define CDX_MAX_AMENDS 32		/* in a commit record: each commit stores and checks them all */
#define CDX_LAST_INODE ((UINT64_C(1) << 63) - 1)
#define CDX_LAST_NONCE ((UINT64_C(1) << 63) - 1)

#endif
