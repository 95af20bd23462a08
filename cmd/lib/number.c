/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers of bytes, as people write and read them: 1024-based units, no overflow unnoticed. */
#include "number.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char units[] = "kmgtpe";

static int digit_value(char digit, unsigned int base)
{
	if (isdigit((unsigned char)digit))
		return digit - '0';
	if (base == 16 && isxdigit((unsigned char)digit))
		return tolower((unsigned char)digit) - 'a' + 10;
	return -1;
}

/* The power of two that a suffix stands for, or -EINVAL. */
static int suffix_shift(const char *suffix)
{
	const char *unit;

	if (!*suffix)
		return 0;
	unit = strchr(units, tolower((unsigned char)*suffix));
	if (!unit || (suffix[1] && strcasecmp(suffix + 1, "ib") != 0))
		return -EINVAL;
	return 10 * (int)(unit - units + 1);
}

int number_parse(const char *text, uint64_t *value)
{
	unsigned int base = 10;
	uint64_t number = 0;
	const char *start;
	bool overflow = false;
	int digit, shift;

	if (text[0] == '0' && tolower((unsigned char)text[1]) == 'x') {
		base = 16;
		text += 2;
	}
	for (start = text; (digit = digit_value(*text, base)) >= 0; text++) {
		overflow |= __builtin_mul_overflow(number, base, &number);
		overflow |= __builtin_add_overflow(number, digit, &number);
	}
	shift = suffix_shift(text);
	if (text == start || shift < 0)
		return -EINVAL;
	if (overflow || number > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*value = number << shift;
	return 0;
}

const char *number_brief(uint64_t bytes, char text[NUMBER_TEXT_MAX])
{
	uint64_t unit = 1, tenths;
	int i = -1;

	while (bytes / unit >= 1024 && units[i + 1]) {
		unit <<= 10;
		i++;
	}
	tenths = bytes / unit * 10 + (bytes % unit * 10 + unit - 1) / unit;
	if (i < 0)
		snprintf(text, NUMBER_TEXT_MAX, "%u", (unsigned int)bytes);
	else if (tenths < 100)
		snprintf(text, NUMBER_TEXT_MAX, "%u.%u%c", (unsigned int)(tenths / 10),
			 (unsigned int)(tenths % 10), toupper((unsigned char)units[i]));
	else
		snprintf(text, NUMBER_TEXT_MAX, "%u%c", (unsigned int)((tenths + 9) / 10),
			 toupper((unsigned char)units[i]));
	return text;
}

const char *number_human(uint64_t bytes, char text[NUMBER_TEXT_MAX])
{
	double scaled = (double)bytes;
	int unit = -1;

	while (scaled >= 1024 && units[unit + 1]) {
		scaled /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, NUMBER_TEXT_MAX, "%u bytes", (unsigned int)bytes);
	else
		snprintf(text, NUMBER_TEXT_MAX, "%.4g %ciB", scaled,
			 toupper((unsigned char)units[unit]));
	return text;
}
