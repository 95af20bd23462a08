// SPDX-License-Identifier: GPL-2.0-or-later
#include "judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/image.h"
#include "operation.h"
#include "use.h"

#define EXHAUSTIVE 4		/* lines of a nested crash */
#define NESTED UINT64_C(0x6e6573746564)

/* ---- what is known -------------------------------------------------------------- */

struct known { uint64_t hash, content; };

static struct known *find(const struct judge *judge, uint64_t hash)
{
	size_t mask = judge->known_room - 1, at = hash & mask;

	while (judge->known[at].hash && judge->known[at].hash != hash)
		at = (at + 1) & mask;
	return &judge->known[at];
}

static void grow(struct judge *judge)
{
	struct known *old = judge->known;
	size_t room = judge->known_room;

	judge->known_room = room ? 2 * room : 1 << 16;
	judge->known = calloc(judge->known_room, sizeof(*judge->known));
	if (!judge->known)
		die("out of memory");
	for (size_t i = 0; i < room; i++) {
		if (old[i].hash)
			*find(judge, old[i].hash) = old[i];
	}
	free(old);
}

static uint64_t state_hash(uint64_t rules)
{
	uint64_t hash = media_hash() ^ rules;

	return hash ? hash : 1;
}

bool judge_knows(const struct judge *judge, uint64_t rules, uint64_t *content)
{
	const struct known *known = judge->known_room ? find(judge, state_hash(rules)) : NULL;

	if (!known || !known->hash)
		return false;
	*content = known->content;
	return true;
}

bool judge_note(struct judge *judge, uint64_t rules, uint64_t content)
{
	struct known *known;

	if (judge->known_count * 2 >= judge->known_room)
		grow(judge);
	known = find(judge, state_hash(rules));
	if (known->hash)
		return false;
	*known = (struct known){state_hash(rules), content};
	judge->known_count++;
	return true;
}

bool judge_count(struct judge *judge, uint64_t rules, uint64_t content)
{
	bool different = judge_note(judge, rules, content);

	judge->judged += different;
	return different;
}

void judge_free(struct judge *judge)
{
	free(judge->known);
	journal_free(&judge->journal);
	flight_free(&judge->flight);
	states_free(&judge->states);
}

/* ---- looking ------------------------------------------------------------------------- */

static bool look(struct judge *judge, unsigned int flags, uint64_t *content)
{
	struct cowdax_error error = {0};

	if (content_look(flags, &judge->found, &error)) {
		snprintf(judge->why, sizeof(judge->why), "it cannot be read: %s", error.text);
		return false;
	}
	*content = judge->found.hash;
	return true;
}

/* ---- using, and crashing again in it ------------------------------------------------------ */

static void note_step(void *arg)
{
	struct judge *judge = arg;

	journal_step(&judge->journal, ++judge->steps);
}

static bool use(struct judge *judge)
{
	struct use use = {
		.file = "/used",
		.clone = "/used-clone",
		.full = judge->options.full,
		.why = judge->why,
		.why_room = sizeof(judge->why),
		.step = note_step,
		.step_arg = judge,
	};
	bool good;

	judge->steps = 0;
	media_record(&judge->journal);
	good = use_image(&use);
	media_record(NULL);
	return good;
}

/* The second crash is judged like the first, but that there is no third. */
static bool judge_again(struct judge *judge, uint64_t before, uint64_t after)
{
	struct use again = {
		.file = "/used-again",
		.clone = "/used-again-clone",
		.full = judge->options.full,
		.why = judge->why,
		.why_room = sizeof(judge->why),
	};
	struct journal journal = {0};	/* the judge's own is being played */
	uint64_t content;
	bool good;

	if (!check_image(true, NULL, judge->why, sizeof(judge->why)) || !look(judge, 0, &content))
		return false;
	if (content != before && content != after) {
		snprintf(judge->why, sizeof(judge->why), "files are neither as before nor as after");
		return false;
	}
	media_record(&journal);
	good = use_image(&again);
	media_record(NULL);
	media_undo(&journal);
	journal_free(&journal);
	judge->nested += good && judge_count(judge, NESTED, content);
	return good;
}

/* What can be seen after operation @step of the first use, if it has come so far. */
static bool look_after(struct judge *judge, unsigned int step, uint64_t *content)
{
	struct journal part = judge->journal;
	bool good;

	for (part.count = 0; part.count < judge->journal.count; part.count++) {
		const struct event *event = &part.event[part.count];

		if (event->kind == EVENT_STEP && event->handle == step)
			break;
	}
	if (part.count == judge->journal.count)
		return true;
	media_redo(&part);
	good = look(judge, 0, content);
	media_undo(&part);
	return good;
}

/* The operation that a fence of the first use belongs to, counted from 0. */
static unsigned int step_of_fence(const struct journal *journal, uint64_t fence)
{
	unsigned int step = 0;

	for (size_t i = 0; i < journal->count; i++) {
		if (journal->event[i].kind == EVENT_STEP)
			step = journal->event[i].handle;
		else if (journal->event[i].kind == EVENT_FENCE && !fence--)
			break;
	}
	return step;
}

/* Play the first use up to its fence of this number. */
static void play_to_fence(struct judge *judge, uint64_t stop)
{
	const struct journal *journal = &judge->journal;

	judge->flight.count = 0;
	for (size_t i = 0; i < journal->count; i++) {
		const struct event *event = &journal->event[i];

		if (event->kind == EVENT_STORE)
			flight_add(&judge->flight, journal, i);
		else if (event->kind == EVENT_FENCE && stop--)
			flight_land(&judge->flight, event->handle);
		else if (event->kind == EVENT_FENCE)
			break;
	}
}

/* Crash at one of the fences of the first use; before it @before could be seen. */
static bool crash_in_use(struct judge *judge, uint64_t before, uint64_t random)
{
	const struct journal *journal = &judge->journal;
	size_t fences = 0, start = media_mark(), length;
	uint64_t after, stop;
	unsigned int step;
	bool good;

	for (size_t i = 0; i < journal->count; i++)
		fences += journal->event[i].kind == EVENT_FENCE;
	if (!fences)
		return true;
	stop = random_below(&random, fences);
	step = step_of_fence(journal, stop);
	good = !step || look_after(judge, step, &before);
	after = before;
	good = good && look_after(judge, step + 1, &after);
	if (good) {
		play_to_fence(judge, stop);
		states_prepare(&judge->states, &judge->flight, EXHAUSTIVE);
		states_choose(&judge->states, states_draw(&judge->states, random_next(&random)));
		states_apply(&judge->states);
		good = judge_again(judge, before, after);
	}
	media_revert(start);
	if (!good) {
		length = strlen(judge->why);
		snprintf(judge->why + length, sizeof(judge->why) - length,
			 " (after a second crash, in operation %u of the first use)", step);
	}
	return good;
}

bool judge_use(struct judge *judge, uint64_t content)
{
	uint64_t random = mix(judge->options.seed, media_hash());
	bool nested = judge->options.nested && random_below(&random, judge->options.nested) == 0;
	bool good = use(judge);

	media_undo(&judge->journal);
	if (good && nested)
		good = crash_in_use(judge, content, random);
	journal_empty(&judge->journal);
	return good;
}

/* ---- judging --------------------------------------------------------------------------------- */

bool judge_state(struct judge *judge, uint64_t *content)
{
	if (judge_knows(judge, 0, content))
		return true;
	if (!check_image(true, NULL, judge->why, sizeof(judge->why)) || !look(judge, 0, content) ||
	    !judge_use(judge, *content))
		return false;
	judge_count(judge, 0, *content);
	return true;
}
