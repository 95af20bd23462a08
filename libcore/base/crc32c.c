// SPDX-License-Identifier: LGPL-2.1-or-later
/* CRC32C as doc/FORMAT defines it: the processor's instruction where there is one, else bit by bit. */
#include "base/crc32c.h"

#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78)	/* reflected */

/* Bit by bit: for processors without the instruction. */
static uint32_t update_portable(uint32_t crc, const unsigned char *bytes, size_t length)
{
	for (; length; length--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (POLYNOMIAL & -(crc & 1));
	}
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t crc, const unsigned char *bytes,
								size_t length)
{
	uint64_t wide = crc;

	for (; length >= 8; length -= 8, bytes += 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	for (; length; length--)
		crc = __builtin_ia32_crc32qi(crc, *bytes++);
	return crc;
}
#endif

uint32_t cdx_crc32c(uint32_t crc, const void *bytes, size_t length)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~update_sse42(~crc, bytes, length);
#endif
	return ~update_portable(~crc, bytes, length);
}
