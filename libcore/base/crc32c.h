/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_CRC32C_H
#define CDX_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC32C (Castagnoli, RFC 3720 B.4) of @length bytes, going on from @crc, the
 * result for the bytes before (0 at the start).
 */
uint32_t cdx_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
