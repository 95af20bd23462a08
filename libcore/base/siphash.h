/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDX_SIPHASH_H
#define CDX_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of @length bytes under the key @k0, @k1. */
uint64_t cdx_siphash(uint64_t k0, uint64_t k1, const void *bytes, size_t length);

#endif
