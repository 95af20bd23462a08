/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text of any bytes, made fit for a terminal and for one line: law L7.  Names,
 * labels and arguments come from anywhere; printed as they are, they could move
 * the cursor, set titles and keys, or pretend to be other lines of output.
 */
#ifndef QUOTE_H
#define QUOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Room that quoting may need for so many bytes and a NUL. */
#define QUOTE_ROOM(bytes) (4 * (bytes) + 1)

/** Bytes of the UTF-8 sequence at @text and its code point; 0 when there is no valid one. */
size_t quote_utf8(const char *text, size_t left, uint32_t *point);
/** Neither C0, DEL nor C1, no separator of lines, nothing that turns the direction of text. */
bool quote_is_harmless(uint32_t point);
/**
 * Copy @length bytes of @text to @to, which has QUOTE_ROOM of them, and end them
 * with a NUL.  A control character, what is not UTF-8, and what breaks or turns
 * a line becomes \n, \t, \r or \OOO, a byte each; all else stays as it is, a
 * backslash too, so quoting twice is quoting once.  Returns @to.
 */
const char *quote_copy(char *to, const char *text, size_t length);
/** The same, printed. */
void quote_print(FILE *out, const char *text);

#endif
