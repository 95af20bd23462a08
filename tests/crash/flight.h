/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has been stored and no fence has made durable yet, and the states in
 * which that may leave the media.
 *
 * A *piece* is a store's part of one word of 8 bytes, the most that is atomic.
 * What may persist of the pieces, by what stands behind the mapping:
 *
 *	non-temporal stores	any of them
 *	cached stores		of each cache line, the first few, in order
 *	page cache		of each page, the first few stores, in order
 *
 * and of what overlaps, always the later over the earlier.
 */
#ifndef CRASH_FLIGHT_H
#define CRASH_FLIGHT_H

#include <stdio.h>

#include "media.h"

struct piece {
	uint64_t value, mask;		/* bits of the word that it stores */
	uint32_t word;
	unsigned int handle;		/* whose fence makes it durable */
	size_t event;			/* of the store, in the journal */
};

struct flight {
	struct piece *piece;		/* in the order of the stores */
	size_t count, room;
	uint64_t *landed;		/* of each word of the media the bits that land; else 0 */
	size_t words;
};

/* A store of the journal takes off. */
void flight_add(struct flight *flight, const struct journal *journal, size_t event);
/* A fence of @handle: its pieces go into the media for good. */
void flight_land(struct flight *flight, unsigned int handle);
void flight_free(struct flight *flight);

/* Pieces that persist together in order: a cache line's or a page's. */
struct unit {
	uint32_t key;			/* its number in the image */
	uint32_t count;			/* pieces, or of a page: stores */
};

/* Some of the states are counted, the others random: see states.c. */
enum state_class {
	STATES_ENDS,			/* nothing, or all */
	STATES_LINES,			/* whole cache lines */
	STATES_SLOT,			/* words of a commit slot */
	STATES_PREFIXES,		/* the first stores to a cache line */
	STATES_PAGES,			/* the first stores to a page */
	STATES_CLASSES
};

struct states {
	const struct flight *flight;
	struct unit *line, *page;
	size_t lines, pages;
	uint32_t *line_of, *line_rank;	/* of each piece: its line, its place among the line's */
	uint32_t *page_of, *page_rank;	/* page, and the place of its store */
	size_t *slot;			/* pieces of commit slots */
	size_t slots;
	uint64_t counted[STATES_CLASSES];	/* how many of each class */
	uint64_t total;			/* their sum: numbers from here on are random ones */
	bool *take;			/* the pieces that persist in the state chosen */
	uint64_t *first;		/* so many pieces or stores of each unit persist in it */
	size_t room;
};

/* Look at all that is in flight.  Up to @exhaustive lines or pages: every subset. */
void states_prepare(struct states *states, const struct flight *flight, unsigned int exhaustive);
/* Fill in states->take for the state of this number. */
void states_choose(struct states *states, uint64_t number);
/* Put the chosen one into the media; media_revert takes it back. */
void states_apply(const struct states *states);
/* A number in any class with the same chance, or a random one: from a random number. */
uint64_t states_draw(const struct states *states, uint64_t random);
void states_print(FILE *file, const struct states *states);
void states_free(struct states *states);

#endif
