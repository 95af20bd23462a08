/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one place that quotes what a terminal gets: law L7 (UTF-8 as of RFC 3629). */
#include "quote.h"

#include <string.h>

/* The smallest code point that takes a sequence of so many bytes. */
static const uint32_t smallest_of_length[] = { 0, 0, 0x80, 0x800, 0x10000 };

static size_t sequence_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t quote_utf8(const char *text, size_t left, uint32_t *point)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t i, length = sequence_length(bytes[0]);

	if (length == 0 || length > left)
		return 0;
	*point = length == 1 ? bytes[0] : bytes[0] & (0x7f >> length);
	for (i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (bytes[i] & 0x3f);
	}
	if (*point < smallest_of_length[length] || *point > 0x10ffff ||
	    (*point >= 0xd800 && *point <= 0xdfff))
		return 0;
	return length;
}

bool quote_is_harmless(uint32_t point)
{
	if (point < 0x20 || (point >= 0x7f && point < 0xa0))
		return false;
	if (point == 0x61c || point == 0x200e || point == 0x200f)
		return false;
	return !(point >= 0x2028 && point <= 0x202e) && !(point >= 0x2066 && point <= 0x2069);
}

static char *put_escape(char *to, unsigned char byte)
{
	static const char named[] = "\nn\tt\rr";
	const char *name = byte ? strchr(named, byte) : NULL;

	if (name && (name - named) % 2 == 0)
		return to + sprintf(to, "\\%c", name[1]);
	return to + sprintf(to, "\\%03o", byte);
}

const char *quote_copy(char *to, const char *text, size_t length)
{
	char *end = to;
	uint32_t point;
	size_t i, j, step;

	for (i = 0; i < length; i += step) {
		step = quote_utf8(text + i, length - i, &point);
		if (step && quote_is_harmless(point)) {
			end = mempcpy(end, text + i, step);
			continue;
		}
		step = step ? step : 1;
		for (j = 0; j < step; j++)
			end = put_escape(end, (unsigned char)text[i + j]);
	}
	*end = '\0';
	return to;
}

void quote_print(FILE *out, const char *text)
{
	char quoted[QUOTE_ROOM(4)];
	size_t left = strlen(text), step;
	uint32_t point;

	for (; left > 0; text += step, left -= step) {
		step = quote_utf8(text, left, &point);
		step = step ? step : 1;
		fputs(quote_copy(quoted, text, step), out);
	}
}
