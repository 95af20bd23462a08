// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The states in which a flight may leave the media, by number.  First come the
 * counted ones, class by class:
 *
 *	ENDS		nothing; all
 *	LINES		every subset of the cache lines when they are few; else
 *			one, all but one, two of them
 *	SLOT		of what a commit slot takes: the first words, the last, one,
 *			all but one; all of the rest
 *	PREFIXES	of one cache line the first words; nothing or all of the rest
 *	PAGES		every choice of first stores to each page when these are few;
 *			else of one page, and nothing or all of the rest
 *
 * Any further number is the seed of a random one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "flight.h"

#define LINE_SHIFT 3		/* words in a line, as a power of two */
#define PAGE_SHIFT 9
#define MAX_CHOICES 4096

/* ---- looking at the flight -------------------------------------------------------- */

static struct unit *find_unit(struct unit *unit, size_t *count, uint32_t key, size_t likely)
{
	if (likely < *count && unit[likely].key == key)
		return &unit[likely];
	for (size_t i = *count; i-- > 0;) {
		if (unit[i].key == key)
			return &unit[i];
	}
	unit[*count] = (struct unit){.key = key};
	return &unit[(*count)++];
}

static void sort_into_units(struct states *states)
{
	const struct flight *flight = states->flight;
	size_t last_event = NEVER, line = 0, page = 0;
	uint32_t last_page = UINT32_MAX;

	states->lines = 0;
	states->pages = 0;
	states->slots = 0;
	for (size_t i = 0; i < flight->count; i++) {
		const struct piece *piece = &flight->piece[i];
		struct unit *unit;

		unit = find_unit(states->line, &states->lines, piece->word >> LINE_SHIFT, line);
		line = (size_t)(unit - states->line);
		states->line_of[i] = (uint32_t)line;
		states->line_rank[i] = unit->count++;

		unit = find_unit(states->page, &states->pages, piece->word >> PAGE_SHIFT, page);
		page = (size_t)(unit - states->page);
		if (piece->event != last_event || unit->key != last_page)
			unit->count++;
		states->page_of[i] = (uint32_t)page;
		states->page_rank[i] = unit->count - 1;
		last_event = piece->event;
		last_page = unit->key;

		if (is_slot(8 * (uint64_t)piece->word))
			states->slot[states->slots++] = i;
	}
}

static void make_tables(struct states *states)
{
	size_t room = states->room;

	if (states->flight->count <= room)
		return;
	while (room < states->flight->count)
		room = room ? 2 * room : 1024;
	states->room = room;
	states->line = get_array(states->line, room, sizeof(*states->line));
	states->page = get_array(states->page, room, sizeof(*states->page));
	states->line_of = get_array(states->line_of, room, sizeof(*states->line_of));
	states->line_rank = get_array(states->line_rank, room, sizeof(*states->line_rank));
	states->page_of = get_array(states->page_of, room, sizeof(*states->page_of));
	states->page_rank = get_array(states->page_rank, room, sizeof(*states->page_rank));
	states->slot = get_array(states->slot, room, sizeof(*states->slot));
	states->take = get_array(states->take, room, sizeof(*states->take));
	states->first = get_array(states->first, room, sizeof(*states->first));
}

static uint64_t sum_of_prefixes(const struct unit *unit, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += unit[i].count - 1;
	return sum;
}

/* Ways to take the first few stores to each page, or 0 when there are too many. */
static uint64_t page_choices(const struct states *states)
{
	uint64_t choices = 1;

	for (size_t i = 0; i < states->pages && choices <= MAX_CHOICES; i++)
		choices *= states->page[i].count + 1;
	return choices <= MAX_CHOICES ? choices : 0;
}

static bool every_subset(const struct states *states)
{
	return states->counted[STATES_LINES] == UINT64_C(1) << (states->lines < 63 ? states->lines : 63);
}

void states_prepare(struct states *states, const struct flight *flight, unsigned int exhaustive)
{
	uint64_t *counted = states->counted, lines;

	states->flight = flight;
	make_tables(states);
	sort_into_units(states);
	lines = states->lines;
	memset(counted, 0, sizeof(states->counted));
	counted[STATES_ENDS] = 1;
	states->total = 1;
	if (!flight->count)
		return;
	counted[STATES_ENDS] = 2;
	counted[STATES_LINES] = lines <= exhaustive ? UINT64_C(1) << lines :
				2 * lines + lines * (lines - 1) / 2;
	if (states->slots)
		counted[STATES_SLOT] = 4 * (uint64_t)states->slots - 2;
	counted[STATES_PREFIXES] = 2 * sum_of_prefixes(states->line, states->lines);
	counted[STATES_PAGES] = page_choices(states);
	if (!counted[STATES_PAGES])
		counted[STATES_PAGES] = 2 * sum_of_prefixes(states->page, states->pages);
	states->total = 0;
	for (int i = 0; i < STATES_CLASSES; i++)
		states->total += counted[i];
}

void states_free(struct states *states)
{
	free(states->line);
	free(states->page);
	free(states->line_of);
	free(states->line_rank);
	free(states->page_of);
	free(states->page_rank);
	free(states->slot);
	free(states->take);
	free(states->first);
	*states = (struct states){0};
}

/* ---- choosing ------------------------------------------------------------------------- */

static void take_all(struct states *states, bool take)
{
	for (size_t i = 0; i < states->flight->count; i++)
		states->take[i] = take;
}

static void take_line(struct states *states, uint64_t line, bool take)
{
	for (size_t i = 0; i < states->flight->count; i++) {
		if (states->line_of[i] == line)
			states->take[i] = take;
	}
}

static void choose_lines(struct states *states, uint64_t number)
{
	uint64_t lines = states->lines;

	if (every_subset(states)) {
		for (size_t i = 0; i < states->flight->count; i++)
			states->take[i] = number >> states->line_of[i] & 1;
		return;
	}
	take_all(states, number >= lines && number < 2 * lines);
	if (number < 2 * lines) {
		take_line(states, number % lines, number < lines);
		return;
	}
	number -= 2 * lines;
	for (uint64_t first = 0; first < lines; first++) {
		if (number < lines - 1 - first) {
			take_line(states, first, true);
			take_line(states, first + 1 + number, true);
			return;
		}
		number -= lines - 1 - first;
	}
}

/* Of each unit as many as states->first says. */
static void take_first(struct states *states, const uint32_t *unit_of, const uint32_t *rank)
{
	for (size_t i = 0; i < states->flight->count; i++)
		states->take[i] = rank[i] < states->first[unit_of[i]];
}

static void choose_slot_words(struct states *states, uint64_t number)
{
	uint64_t n = states->slots;
	bool all_but_one = number >= 3 * n - 2;

	take_all(states, true);
	for (uint64_t i = 0; i < n; i++) {
		bool take;

		if (number < n - 1)
			take = i <= number;
		else if (number < 2 * n - 2)
			take = i > number - (n - 1);
		else if (!all_but_one)
			take = i == number - (2 * n - 2);
		else
			take = i != number - (3 * n - 2);
		states->take[states->slot[i]] = take;
	}
}

/* Of one of the units so many pieces, of the others none or all. */
static void choose_prefix(struct states *states, const struct unit *unit, const uint32_t *unit_of,
			  const uint32_t *rank, uint64_t number)
{
	bool rest = number & 1;
	uint32_t chosen = 0;

	for (number /= 2; number >= unit[chosen].count - 1; chosen++)
		number -= unit[chosen].count - 1;
	for (size_t i = 0; i < states->flight->count; i++)
		states->take[i] = unit_of[i] == chosen ? rank[i] <= number : rest;
}

static void choose_pages(struct states *states, uint64_t number)
{
	if (!page_choices(states)) {
		choose_prefix(states, states->page, states->page_of, states->page_rank, number);
		return;
	}
	for (uint32_t page = 0; page < states->pages; page++) {
		states->first[page] = number % (states->page[page].count + 1);
		number /= states->page[page].count + 1;
	}
	take_first(states, states->page_of, states->page_rank);
}

static void choose_random_units(struct states *states, const struct unit *unit, size_t units,
				const uint32_t *unit_of, const uint32_t *rank, uint64_t *random)
{
	for (size_t u = 0; u < units; u++)
		states->first[u] = random_below(random, unit[u].count + 1);
	take_first(states, unit_of, rank);
}

static void choose_at_random(struct states *states, uint64_t seed)
{
	static const unsigned int percent[] = {2, 10, 50, 90, 98};
	uint64_t random = seed, model = random_below(&random, 4), chance;

	chance = percent[random_below(&random, 5)];
	switch (model) {
	case 0:
		for (size_t i = 0; i < states->flight->count; i++)
			states->take[i] = random_below(&random, 100) < chance;
		break;
	case 1:
		for (size_t line = 0; line < states->lines; line++)
			states->first[line] = random_below(&random, 100) < chance ? states->line[line].count : 0;
		take_first(states, states->line_of, states->line_rank);
		break;
	case 2:
		choose_random_units(states, states->line, states->lines, states->line_of, states->line_rank,
				    &random);
		break;
	default:
		choose_random_units(states, states->page, states->pages, states->page_of, states->page_rank,
				    &random);
	}
}

void states_choose(struct states *states, uint64_t number)
{
	uint64_t seed = number, start = 0;
	int class;

	for (class = 0; class < STATES_CLASSES && number - start >= states->counted[class]; class++)
		start += states->counted[class];
	number -= start;
	switch (class) {
	case STATES_ENDS:
		take_all(states, number);
		break;
	case STATES_LINES:
		choose_lines(states, number);
		break;
	case STATES_SLOT:
		choose_slot_words(states, number);
		break;
	case STATES_PREFIXES:
		choose_prefix(states, states->line, states->line_of, states->line_rank, number);
		break;
	case STATES_PAGES:
		choose_pages(states, number);
		break;
	default:
		choose_at_random(states, seed);
	}
}

uint64_t states_draw(const struct states *states, uint64_t random)
{
	uint64_t class = random_below(&random, STATES_CLASSES + 1), start = 0;

	for (uint64_t i = 0; i < class && i < STATES_CLASSES; i++)
		start += states->counted[i];
	if (class < STATES_CLASSES && states->counted[class])
		return start + random_below(&random, states->counted[class]);
	return states->total + random_below(&random, UINT64_C(1) << 32);
}

/* ---- saying ------------------------------------------------------------------------------ */

/* A line of it: which of its words persisted, first to last; '.' is one not stored to. */
static void print_line(FILE *file, const struct states *states, size_t line)
{
	uint64_t offset = (uint64_t)states->line[line].key << (LINE_SHIFT + 3);
	char words[9] = "........";
	size_t taken = 0;

	for (size_t i = 0; i < states->flight->count; i++) {
		if (states->line_of[i] != line)
			continue;
		taken += states->take[i];
		words[states->flight->piece[i].word % 8] = states->take[i] ? '1' : '0';
	}
	if (taken)
		fprintf(file, "    %#10" PRIx64 "%s %s\n", offset, is_slot(offset) ? " (slot)" : "", words);
}

void states_print(FILE *file, const struct states *states)
{
	size_t taken = 0;

	for (size_t i = 0; i < states->flight->count; i++)
		taken += states->take[i];
	fprintf(file, "  in flight: %zu words in %zu lines and %zu pages; persisted: %zu words\n",
		states->flight->count, states->lines, states->pages, taken);
	if (taken == states->flight->count)
		return;
	for (size_t line = 0; line < states->lines; line++)
		print_line(file, states, line);
}
