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

static struct known *find(struct judge *judge, uint64_t hash)
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

bool judge_count(struct judge *judge, uint64_t rules, uint64_t content)
{
	struct known *known;

	if (judge->known_count * 2 >= judge->known_room)
		grow(judge);
	known = find(judge, state_hash(rules));
	if (known->hash)
		return false;
	*known = (struct known){state_hash(rules), content};
	judge->known_count++;
	judge->judged++;
	return true;
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

/* What could be seen after each operation of the first use. */
struct history {
	struct judge *judge;
	uint64_t content[MAX_ENTRIES + 16];
	unsigned int steps;
	bool failed;
};

static void note_step(void *arg)
{
	struct history *history = arg;
	struct content content;
	struct cowdax_error error;

	media_record(NULL);
	if (history->steps + 1 == sizeof(history->content) / sizeof(history->content[0]) ||
	    content_look(0, &content, &error))
		history->failed = true;
	else
		history->content[++history->steps] = content.hash;
	media_record(&history->judge->journal);
	journal_step(&history->judge->journal, history->steps);
}

static bool use(struct judge *judge, struct history *history)
{
	struct use use = {
		.file = "/used",
		.clone = "/used-clone",
		.full = judge->options.full,
		.why = judge->why,
		.why_room = sizeof(judge->why),
		.step = history ? note_step : NULL,
		.step_arg = history,
	};
	bool good;

	media_record(&judge->journal);
	good = use_image(&use);
	media_record(NULL);
	return good;
}

/* The second crash is judged like the first, but that there is no third. */
static bool judge_again(struct judge *judge, const struct history *history, unsigned int step)
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
	if (content != history->content[step] && content != history->content[step + 1]) {
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

/* Play the first use up to one of its fences, and crash there. */
static bool crash_in_use(struct judge *judge, const struct history *history, uint64_t random)
{
	const struct journal *journal = &judge->journal;
	size_t fences = 0, stop, start = media_mark(), length;
	unsigned int step = 0;
	bool good;

	for (size_t i = 0; i < journal->count; i++)
		fences += journal->event[i].kind == EVENT_FENCE;
	if (!fences)
		return true;
	stop = random_below(&random, fences);
	judge->flight.count = 0;
	for (size_t i = 0; i < journal->count; i++) {
		const struct event *event = &journal->event[i];

		if (event->kind == EVENT_STORE) {
			flight_add(&judge->flight, journal, i);
		} else if (event->kind == EVENT_STEP) {
			step = event->handle;
		} else if (stop--) {
			flight_land(&judge->flight, event->handle);
		} else {
			break;
		}
	}
	states_prepare(&judge->states, &judge->flight, EXHAUSTIVE);
	states_choose(&judge->states, states_draw(&judge->states, random_next(&random)));
	states_apply(&judge->states);
	good = judge_again(judge, history, step);
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
	struct history history = {.judge = judge, .content = {content}};
	uint64_t random = mix(judge->options.seed, media_hash());
	bool nested = judge->options.nested && random_below(&random, judge->options.nested) == 0;
	bool good = use(judge, nested ? &history : NULL);

	media_undo(&judge->journal);
	if (good && nested && !history.failed)
		good = crash_in_use(judge, &history, random);
	journal_empty(&judge->journal);
	return good;
}

/* ---- judging --------------------------------------------------------------------------------- */

bool judge_state(struct judge *judge, uint64_t *content)
{
	const struct known *known = judge->known_room ? find(judge, state_hash(0)) : NULL;

	if (known && known->hash) {
		*content = known->content;
		return true;
	}
	if (!check_image(true, NULL, judge->why, sizeof(judge->why)) || !look(judge, 0, content) ||
	    !judge_use(judge, *content))
		return false;
	judge_count(judge, 0, *content);
	return true;
}
