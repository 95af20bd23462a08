// SPDX-License-Identifier: LGPL-2.1-or-later
/* CRC32C as doc/FORMAT defines it: the processor's instructions where it has them, else bit by bit. */
#include "base/crc32c.h"

#ifdef __x86_64__
#include <immintrin.h>

/* Eight bytes wherever they lie. */
typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned;
#define WORD(at) (*(const unaligned *)(at))
#endif

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
#define INSTRUCTIONS __attribute__((target("sse4.2,pclmul")))

__attribute__((target("sse4.2"))) static uint32_t update_in_one(uint32_t crc, const unsigned char *bytes, size_t length)
{
	uint64_t wide = crc;

	for (; length >= 32; length -= 32, bytes += 32) {
		wide = _mm_crc32_u64(wide, WORD(bytes));
		wide = _mm_crc32_u64(wide, WORD(bytes + 8));
		wide = _mm_crc32_u64(wide, WORD(bytes + 16));
		wide = _mm_crc32_u64(wide, WORD(bytes + 24));
	}
	for (; length >= 8; length -= 8, bytes += 8)
		wide = _mm_crc32_u64(wide, WORD(bytes));
	crc = (uint32_t)wide;
	for (; length; length--)
		crc = _mm_crc32_u8(crc, *bytes++);
	return crc;
}

/*
 * The instruction takes one operand a cycle and answers after three: three streams side by
 * side keep it busy.  What comes behind a stream multiplies its remainder by x^(8 * length),
 * here x^(8 * length - 33) and a carry-less product, which is one bit short, reduced as the
 * instruction does it, by x^32 (Gopal et al., Fast CRC Computation for iSCSI Polynomial, 2011).
 */
struct stride {
	size_t length;			/* of a stream, bytes */
	uint32_t behind_one, behind_two;	/* streams */
};

static const struct stride long_stride = {256, 0xb9e02b86, 0xdd7e3b0c};
static const struct stride short_stride = {64, 0x9e4addf8, 0x0d3b6092};

INSTRUCTIONS static inline __m128i product(uint64_t crc, uint32_t factor)
{
	return _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)factor), 0);
}

#define STEP(at) do { \
	one = _mm_crc32_u64(one, WORD(bytes + (at))); \
	two = _mm_crc32_u64(two, WORD(bytes + stride->length + (at))); \
	three = _mm_crc32_u64(three, WORD(bytes + 2 * stride->length + (at))); \
} while (0)

/* Three streams of @stride, one behind the other. */
INSTRUCTIONS static inline uint32_t update_in_three(uint32_t crc, const unsigned char *bytes,
						    const struct stride *stride)
{
	const unsigned char *end = bytes + stride->length;
	uint64_t one = crc, two = 0, three = 0;

	for (; bytes < end; bytes += 32) {
		STEP(0);
		STEP(8);
		STEP(16);
		STEP(24);
	}
	one = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(product(one, stride->behind_two),
							product(two, stride->behind_one)));
	return (uint32_t)(_mm_crc32_u64(0, one) ^ three);
}

INSTRUCTIONS static uint32_t update(uint32_t crc, const unsigned char *bytes, size_t length)
{
	for (; length >= 3 * long_stride.length; length -= 3 * long_stride.length, bytes += 3 * long_stride.length)
		crc = update_in_three(crc, bytes, &long_stride);
	for (; length >= 3 * short_stride.length;
	     length -= 3 * short_stride.length, bytes += 3 * short_stride.length)
		crc = update_in_three(crc, bytes, &short_stride);
	return update_in_one(crc, bytes, length);
}
#endif

uint32_t cdx_crc32c(uint32_t crc, const void *bytes, size_t length)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
		return ~update(~crc, bytes, length);
	if (__builtin_cpu_supports("sse4.2"))
		return ~update_in_one(~crc, bytes, length);
#endif
	return ~update_portable(~crc, bytes, length);
}
