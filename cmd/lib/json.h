/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON on a stream, written front to back.  A key is NULL inside a list.
 * Write errors stay with the stream: see cli_flush().
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

struct json {
	FILE *out;
	bool comma;		/* something stands before in this object or list */
};

/** Begin a line of output with one object: {"cowdax_json":1,"command":@command. */
struct json json_begin(FILE *out, const char *command);
/** End it, and the line. */
void json_end(struct json *json);

/** Open an object or a list: @bracket is '{' or '['. */
void json_open(struct json *json, const char *key, char bracket);
/** Close it: '}' or ']'. */
void json_close(struct json *json, char bracket);

void json_number(struct json *json, const char *key, uint64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/** "transaction", null for 0: none, or one that may still be undone. */
void json_transaction(struct json *json, uint64_t number);
/** Two members: KEY, whole seconds since 1970, and KEY_nanoseconds, those after them. */
void json_time(struct json *json, const char *key, const struct timespec *time);
/** NULL is written as null. */
void json_string(struct json *json, const char *key, const char *text);
/**
 * A name of any bytes, not in a list.  What is not UTF-8 shows as U+FFFD, a
 * character a byte, and then a second member KEY_hex holds all bytes of the name.
 */
void json_name(struct json *json, const char *key, const char *name, size_t length);
/** A list of such names; where one needs it, a second list KEY_hex holds the bytes of all. */
void json_names(struct json *json, const char *key, char *const *names, int count);

#endif
