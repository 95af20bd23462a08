/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Little-endian integers as types of their own, so that a plain use does not compile. */
#ifndef CDX_LE_H
#define CDX_LE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { uint16_t raw; } le16;
typedef struct { uint32_t raw; } le32;
typedef struct { uint64_t raw; } le64;

static inline uint16_t get16(le16 v) { return le16toh(v.raw); }
static inline uint32_t get32(le32 v) { return le32toh(v.raw); }
static inline uint64_t get64(le64 v) { return le64toh(v.raw); }
static inline le16 put16(uint16_t v) { return (le16){htole16(v)}; }
static inline le32 put32(uint32_t v) { return (le32){htole32(v)}; }
static inline le64 put64(uint64_t v) { return (le64){htole64(v)}; }

/* Many at once. */
static inline void put64s(le64 *to, const uint64_t *from, size_t n)
{
	if (__BYTE_ORDER == __LITTLE_ENDIAN)
		memcpy(to, from, n * sizeof(*to));
	else
		for (size_t i = 0; i < n; i++)
			to[i] = put64(from[i]);
}

#endif
