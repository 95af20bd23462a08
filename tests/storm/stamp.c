// SPDX-License-Identifier: GPL-2.0-or-later
#include "stamp.h"

#include <stdlib.h>
#include <string.h>

static uint64_t stamp(uint64_t version, uint64_t word)
{
	return version << 32 | (word & UINT32_MAX);
}

void fill_version(void *bytes, uint64_t offset, size_t length, uint64_t version)
{
	unsigned char *to = bytes;

	for (size_t done = 0; done < length;) {
		uint64_t word = stamp(version, (offset + done) / 8), from = (offset + done) % 8;
		size_t part = 8 - from < length - done ? 8 - from : length - done;

		memcpy(to + done, (unsigned char *)&word + from, part);
		done += part;
	}
}

uint64_t version_of(const void *bytes, uint64_t offset, size_t length)
{
	uint64_t version, first = (8 - offset % 8) % 8;
	unsigned char *wanted;
	bool same;

	if (length < first + 8)
		return 0;
	memcpy(&version, (const unsigned char *)bytes + first, 8);
	version >>= 32;
	wanted = malloc(length);
	if (!wanted)
		abort();
	fill_version(wanted, offset, length, version);
	same = memcmp(wanted, bytes, length) == 0;
	free(wanted);
	return same ? version : 0;
}
