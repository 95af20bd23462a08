// SPDX-License-Identifier: GPL-2.0-or-later
/* CRC32C and SipHash against published vectors. */
#include "base/crc32c.h"
#include "base/siphash.h"
#include "unit.h"

/* The library's file once more under another name, to reach what it keeps to itself. */
#define cdx_crc32c library_crc32c
uint32_t library_crc32c(uint32_t crc, const void *bytes, size_t length);
#include "../../libcore/base/crc32c.c"
#undef cdx_crc32c

/* RFC 3720 B.4 */
TEST("CRC32C gives the values of RFC 3720")
{
	unsigned char bytes[32];

	CHECK_EQUAL(cdx_crc32c(0, "123456789", 9), 0xe3069283);
	CHECK_EQUAL(cdx_crc32c(0, "", 0), 0);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQUAL(cdx_crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	CHECK_EQUAL(cdx_crc32c(0, bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (unsigned char)i;
	CHECK_EQUAL(cdx_crc32c(0, bytes, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		bytes[i] = (unsigned char)(31 - i);
	CHECK_EQUAL(cdx_crc32c(0, bytes, 32), 0x113fdb5c);
}

TEST("CRC32C of two pieces is that of the whole, wherever it is cut")
{
	unsigned char bytes[67];
	uint64_t seed = 1;
	uint32_t whole;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)unit_random(&seed);
	whole = cdx_crc32c(0, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		CHECK_EQUAL(cdx_crc32c(cdx_crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}

TEST("CRC32C is the same with and without the processor's instruction")
{
	unsigned char bytes[4096];
	uint64_t seed = 2;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)unit_random(&seed);
	for (size_t length = 0; length < 1200; length++)
		CHECK_EQUAL((uint32_t)~update_portable(~7U, bytes + length % 9, length),
			    cdx_crc32c(7, bytes + length % 9, length));
	for (int i = 0; i < 200; i++) {
		size_t start = unit_below(&seed, 64), length = unit_below(&seed, sizeof(bytes) - 64);
		uint32_t before = (uint32_t)unit_random(&seed);

		CHECK_EQUAL((uint32_t)~update_portable(~before, bytes + start, length),
			    cdx_crc32c(before, bytes + start, length));
#ifdef __x86_64__
		/* What processors take that have the one instruction and not the other. */
		if (__builtin_cpu_supports("sse4.2"))
			CHECK_EQUAL((uint32_t)~update_in_one(~before, bytes + start, length),
				    cdx_crc32c(before, bytes + start, length));
#endif
	}
}

/* From the reference implementation: key 00 01 .. 0f, messages of 00 01 02 .. */
TEST("SipHash-2-4 gives the values of its authors")
{
	static const struct { size_t length; uint64_t hash; } vectors[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)},
		{1, UINT64_C(0x74f839c593dc67fd)},
		{7, UINT64_C(0xab0200f58b01d137)},
		{8, UINT64_C(0x93f5f5799a932462)},
		{15, UINT64_C(0xa129ca6149be45e5)},
		{63, UINT64_C(0x958a324ceb064572)},
	};
	unsigned char message[64];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		CHECK_EQUAL(cdx_siphash(UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908), message,
					vectors[i].length), vectors[i].hash);
}
