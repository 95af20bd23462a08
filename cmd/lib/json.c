/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON (RFC 8259) that keeps every byte of a name: law L7. */
#include "json.h"

#include <inttypes.h>
#include <string.h>

#include "quote.h"

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

void json_transaction(struct json *json, uint64_t number)
{
	if (number)
		json_number(json, "transaction", number);
	else
		json_null(json, "transaction");
}

void json_time(struct json *json, const char *key, const struct timespec *time)
{
	put_key(json, key);
	fprintf(json->out, "%jd,\"%s_nanoseconds\":%ld", (intmax_t)time->tv_sec, key, time->tv_nsec);
}

/* JSON is whole, and harmless on a terminal: what is not lies in the first 2^16 code points. */
static void put_character(FILE *out, const char *text, size_t length, uint32_t point)
{
	if (point == '"' || point == '\\')
		fprintf(out, "\\%c", *text);
	else if (!quote_is_harmless(point))
		fprintf(out, "\\u%04x", point);
	else
		fwrite(text, 1, length, out);
}

static bool is_utf8(const char *text, size_t length)
{
	uint32_t point;
	size_t i, step;

	for (i = 0; i < length; i += step) {
		step = quote_utf8(text + i, length - i, &point);
		if (!step)
			return false;
	}
	return true;
}

static void put_text(FILE *out, const char *text, size_t length)
{
	uint32_t point;
	size_t i, step;

	putc('"', out);
	for (i = 0; i < length; i += step) {
		step = quote_utf8(text + i, length - i, &point);
		if (step)
			put_character(out, text + i, step, point);
		else
			fputs("\\ufffd", out);
		step = step ? step : 1;
	}
	putc('"', out);
}

static void put_hex(FILE *out, const char *bytes, size_t length)
{
	size_t i;

	putc('"', out);
	for (i = 0; i < length; i++)
		fprintf(out, "%02x", (unsigned char)bytes[i]);
	putc('"', out);
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

static void put_hex_key(struct json *json, const char *key)
{
	char hex_key[64];

	snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
	put_key(json, hex_key);
}

void json_name(struct json *json, const char *key, const char *name, size_t length)
{
	put_key(json, key);
	put_text(json->out, name, length);
	if (is_utf8(name, length))
		return;
	put_hex_key(json, key);
	put_hex(json->out, name, length);
}

void json_names(struct json *json, const char *key, char *const *names, int count)
{
	bool all_utf8 = true;
	int i;

	json_open(json, key, '[');
	for (i = 0; i < count; i++) {
		json_string(json, NULL, names[i]);
		all_utf8 = all_utf8 && is_utf8(names[i], strlen(names[i]));
	}
	json_close(json, ']');
	if (all_utf8)
		return;
	put_hex_key(json, key);
	putc('[', json->out);
	for (i = 0; i < count; i++) {
		fputs(i ? "," : "", json->out);
		put_hex(json->out, names[i], strlen(names[i]));
	}
	putc(']', json->out);
}
