/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "json.h"

#include <inttypes.h>
#include <string.h>

static void put_key(struct json *json, const char *key)
{
	if (json->comma)
		putc(',', json->out);
	json->comma = true;
	if (key)
		fprintf(json->out, "\"%s\":", key);
}

struct json json_begin(FILE *out, const char *command)
{
	struct json json = { .out = out };

	json_open(&json, NULL, '{');
	json_number(&json, "cowdax_json", 1);
	json_string(&json, "command", command);
	return json;
}

void json_end(struct json *json)
{
	json_close(json, '}');
	putc('\n', json->out);
}

void json_open(struct json *json, const char *key, char bracket)
{
	put_key(json, key);
	putc(bracket, json->out);
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	putc(bracket, json->out);
	json->comma = true;
}

void json_number(struct json *json, const char *key, uint64_t number)
{
	put_key(json, key);
	fprintf(json->out, "%" PRIu64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	put_key(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key)
{
	put_key(json, key);
	fputs("null", json->out);
}

void json_time(struct json *json, const char *key, const struct timespec *time)
{
	put_key(json, key);
	fprintf(json->out, "%jd.%09ld", (intmax_t)time->tv_sec, time->tv_nsec);
}

/* The smallest code point that takes a sequence of so many bytes. */
static const uint32_t smallest_of_length[] = { 0, 0, 0x80, 0x800, 0x10000 };

/* Bytes of the UTF-8 sequence at @text, 0 when there is no valid one (RFC 3629). */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	size_t i, length;
	uint32_t point;

	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	if (length > left)
		return 0;
	point = text[0] & (0x7f >> length);
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (point < smallest_of_length[length] || point > 0x10ffff ||
	    (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return length;
}

static void put_ascii(FILE *out, unsigned char byte)
{
	if (byte == '"' || byte == '\\')
		fprintf(out, "\\%c", byte);
	else if (byte < 0x20 || byte == 0x7f)
		fprintf(out, "\\u%04x", byte);
	else
		putc(byte, out);
}

/* Returns whether all of it was UTF-8. */
static bool put_text(FILE *out, const char *text, size_t length)
{
	bool valid = true;
	size_t i, step;

	putc('"', out);
	for (i = 0; i < length; i += step) {
		step = utf8_length((const unsigned char *)text + i, length - i);
		if (step == 1) {
			put_ascii(out, (unsigned char)text[i]);
		} else if (step > 1) {
			fwrite(text + i, 1, step, out);
		} else {
			fputs("\\ufffd", out);
			valid = false;
			step = 1;
		}
	}
	putc('"', out);
	return valid;
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (!text) {
		json_null(json, key);
		return;
	}
	put_key(json, key);
	put_text(json->out, text, strlen(text));
}

void json_name(struct json *json, const char *key, const char *name, size_t length)
{
	size_t i;

	put_key(json, key);
	if (put_text(json->out, name, length) || !key)
		return;
	fprintf(json->out, ",\"%s_hex\":\"", key);
	for (i = 0; i < length; i++)
		fprintf(json->out, "%02x", (unsigned char)name[i]);
	putc('"', json->out);
}
