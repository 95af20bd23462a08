// SPDX-License-Identifier: GPL-2.0-or-later
#include "flight.h"

#include <stdlib.h>
#include <string.h>

#include "crash.h"

static uint64_t load_word(const unsigned char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, 8);
	return value;
}

/* The bits of the word at @at that lie in [from, to), all in bytes. */
static uint64_t bits_within(uint64_t at, uint64_t from, uint64_t to)
{
	unsigned char mask[8];

	for (unsigned int i = 0; i < 8; i++)
		mask[i] = at + i >= from && at + i < to ? 0xff : 0;
	return load_word(mask);
}

/* The bytes of a store as a word, where it has them. */
static uint64_t word_within(uint64_t at, uint64_t from, uint64_t to, const unsigned char *bytes)
{
	unsigned char value[8] = {0};

	for (unsigned int i = 0; i < 8; i++) {
		if (at + i >= from && at + i < to)
			value[i] = bytes[at + i - from];
	}
	return load_word(value);
}

void flight_add(struct flight *flight, const struct journal *journal, size_t number)
{
	const struct event *event = &journal->event[number];
	const unsigned char *bytes = journal->bytes + event->after;
	uint64_t from = event->offset, to = from + event->length;

	flight->piece = make_room(flight->piece, &flight->room, flight->count + event->length / 8 + 2,
				  sizeof(*flight->piece));
	for (uint64_t at = from & ~UINT64_C(7); at < to; at += 8) {
		struct piece *piece = &flight->piece[flight->count++];
		bool whole = at >= from && at + 8 <= to;

		*piece = (struct piece){
			.value = whole ? load_word(bytes + (at - from)) : word_within(at, from, to, bytes),
			.mask = whole ? UINT64_MAX : bits_within(at, from, to),
			.word = (uint32_t)(at / 8),
			.handle = event->handle,
			.event = number,
		};
	}
}

static void land(const struct piece *piece)
{
	media_poke(piece->word, (media_peek(piece->word) & ~piece->mask) | (piece->value & piece->mask));
}

/* What others stored before a piece that lands, and is not durable, is overwritten by it. */
static void overtake(struct flight *flight, unsigned int handle)
{
	size_t words = (size_t)(media_length() / 8);

	if (flight->words < words) {
		flight->landed = get_array(flight->landed, words, sizeof(*flight->landed));
		flight->words = words;
	}
	for (size_t i = flight->count; i-- > 0;) {
		struct piece *piece = &flight->piece[i];

		if (piece->handle == handle)
			flight->landed[piece->word] |= piece->mask;
		else
			piece->mask &= ~flight->landed[piece->word];
	}
	for (size_t i = 0; i < flight->count; i++)
		flight->landed[flight->piece[i].word] = 0;
}

void flight_land(struct flight *flight, unsigned int handle)
{
	bool others = false;
	size_t kept = 0;

	for (size_t i = 0; i < flight->count; i++) {
		if (flight->piece[i].handle == handle)
			land(&flight->piece[i]);
		else
			others = true;
	}
	if (others)
		overtake(flight, handle);
	for (size_t i = 0; i < flight->count; i++) {
		if (flight->piece[i].handle != handle && flight->piece[i].mask)
			flight->piece[kept++] = flight->piece[i];
	}
	flight->count = kept;
}

void flight_free(struct flight *flight)
{
	free(flight->piece);
	free(flight->landed);
	*flight = (struct flight){0};
}

void states_apply(const struct states *states)
{
	for (size_t i = 0; i < states->flight->count; i++) {
		if (states->take[i])
			land(&states->flight->piece[i]);
	}
}
