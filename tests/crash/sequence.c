// SPDX-License-Identifier: GPL-2.0-or-later
#include "sequence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "media.h"

double seconds(void)
{
	struct timespec time;

	timespec_get(&time, TIME_UTC);	/* clock_gettime() tells no time here */
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- names ------------------------------------------------------------------------ */

void sequence_print(FILE *file, const struct sequence *sequence)
{
	fprintf(file, "%s:", sequence->setup->name);
	for (unsigned int i = 0; i < sequence->steps; i++) {
		const struct step *step = &sequence->step[i];

		fprintf(file, "%s%s", i == 0 ? "" : step->peer ? "|" : step->same_handle ? "+" : ",",
			step->operation->name);
		if (step->kill != NEVER)
			fprintf(file, "@%zu.%u", step->kill, step->eighths);
	}
}

static const struct operation *find_operation(const char *name, size_t length)
{
	for (unsigned int i = 0; i < operation_count; i++) {
		if (strlen(operations[i].name) == length && strncmp(operations[i].name, name, length) == 0)
			return &operations[i];
	}
	return NULL;
}

bool sequence_parse(struct sequence *sequence, const char *text)
{
	size_t length = strcspn(text, ":");

	*sequence = (struct sequence){0};
	for (unsigned int i = 0; i < setup_count; i++) {
		if (strlen(setups[i].name) == length && strncmp(setups[i].name, text, length) == 0)
			sequence->setup = &setups[i];
	}
	if (!sequence->setup || text[length] != ':')
		return false;
	while (text[length] && sequence->steps < MAX_STEPS) {
		struct step *step = &sequence->step[sequence->steps++];
		char *end;

		step->same_handle = text[length] == '+';
		step->peer = text[length] == '|';
		step->kill = NEVER;
		text += length + 1;
		length = strcspn(text, ",+|@");
		step->operation = find_operation(text, length);
		if (!step->operation)
			return false;
		if (text[length] == '@') {
			step->kill = strtoull(text + length + 1, &end, 10);
			if (*end != '.')
				return false;
			step->eighths = (unsigned int)strtoul(end + 1, &end, 10);
			length = (size_t)(end - text);
		}
	}
	return sequence->steps && !text[length];
}

/* ---- bases --------------------------------------------------------------------------- */

static uint64_t base_hash(const struct setup *setup)
{
	return mix((uint64_t)(setup - setups), 1);
}

static void make_base(struct runner *runner, struct base *base, const struct setup *setup)
{
	struct cowdax_error error = {0};

	media_resize(setup->length);
	setup->make();
	media_forget(base_hash(setup));
	if (content_look(0, &base->content, &error))
		die("setup %s: %s", setup->name, error.text);
	if (!judge_older(&runner->judge, &base->older))
		die("setup %s: the image before the newest: %s", setup->name, runner->judge.why);
	base->bytes = get_array(NULL, media_length(), 1);
	memcpy(base->bytes, media_bytes(), media_length());
}

void runner_init(struct runner *runner)
{
	runner->base = get_array(NULL, setup_count, sizeof(*runner->base));
	for (unsigned int i = 0; i < setup_count; i++)
		make_base(runner, &runner->base[i], &setups[i]);
}

void runner_exit(struct runner *runner)
{
	for (unsigned int i = 0; i < setup_count; i++)
		free(runner->base[i].bytes);
	free(runner->base);
	journal_free(&runner->journal);
	flight_free(&runner->flight);
	states_free(&runner->states);
	judge_free(&runner->judge);
}

static const struct base *base_of(const struct runner *runner, const struct sequence *sequence)
{
	return &runner->base[sequence->setup - setups];
}

static void load_base(struct runner *runner, const struct sequence *sequence)
{
	media_resize(sequence->setup->length);
	memcpy(media_bytes(), base_of(runner, sequence)->bytes, media_length());
	media_forget(base_hash(sequence->setup));
	runner->judge.options.full = sequence->setup->full;
}

/* ---- running --------------------------------------------------------------------------- */

static bool complain(const struct sequence *sequence, const char *what, const char *reason)
{
	fprintf(stderr, "BAD ");
	sequence_print(stderr, sequence);
	fprintf(stderr, ": %s: %s\n", what, reason);
	return false;
}

static int perform(const struct step *step, struct cowdax **fs, struct cowdax_error *error)
{
	int ret;

	if (!*fs) {
		if (step->operation->remake)
			return step->operation->remake(error);
		ret = cowdax_open(media_path(), NULL, fs, error);
		if (ret)
			return ret;
	}
	return step->operation->run(*fs);
}

/* The first handle, and its peer. */
struct handles { struct cowdax *fs[2]; };

static void close_handles(struct handles *handles)
{
	for (int i = 0; i < 2; i++) {
		cowdax_close(handles->fs[i]);
		handles->fs[i] = NULL;
	}
}

/* The peer of a sequence that has one has seen the image as it was before. */
static bool open_peer(const struct sequence *sequence, struct handles *handles)
{
	struct cowdax_error error = {0};
	struct content content;
	bool wanted = false;

	for (unsigned int i = 0; i < sequence->steps; i++)
		wanted |= sequence->step[i].peer;
	if (wanted && (cowdax_open(media_path(), NULL, &handles->fs[1], &error) ||
		       content_take(handles->fs[1], &content, &error)))
		return complain(sequence, "peer", error.text);
	return true;
}

static bool run_step(struct runner *runner, const struct sequence *sequence, unsigned int number,
		     struct handles *handles)
{
	const struct step *step = &sequence->step[number];
	const struct content *before = number ? &runner->outcome[number - 1].content :
						&base_of(runner, sequence)->content;
	struct outcome *outcome = &runner->outcome[number];
	struct cowdax **fs = &handles->fs[step->peer];
	struct cowdax_error error = {0};
	bool killed;
	int ret;

	media_record(&runner->journal);
	/* A handle's last fence belongs to the step before. */
	if (!(step->same_handle || step->peer)) {
		cowdax_close(*fs);
		*fs = NULL;
	}
	journal_step(&runner->journal, number);
	media_kill_at(step->kill, step->eighths);
	ret = perform(step, fs, &error);
	killed = media_killed();
	if (killed) {
		cowdax_close(*fs);
		*fs = NULL;
	}
	media_kill(false);
	if (number + 1 == sequence->steps)
		close_handles(handles);
	media_record(NULL);
	if (ret && !killed && !operation_may_fail(ret))
		return complain(sequence, step->operation->name, error.text[0] ? error.text : strerror(-ret));
	if (content_look(0, &outcome->content, &error))
		return complain(sequence, "cannot be read after it", error.text);
	outcome->durable = !ret && !killed && outcome->content.transaction > before->transaction;
	if (ret && !killed && outcome->content.hash != before->hash)
		return complain(sequence, step->operation->name, "it failed and files have changed");
	return true;
}

bool run_plainly(struct runner *runner, const struct sequence *sequence)
{
	struct handles handles = {0};
	bool good;

	load_base(runner, sequence);
	journal_empty(&runner->journal);
	good = open_peer(sequence, &handles);
	for (unsigned int i = 0; i < sequence->steps && good; i++)
		good = run_step(runner, sequence, i, &handles);
	close_handles(&handles);
	media_undo(&runner->journal);
	if (good && memcmp(media_bytes(), base_of(runner, sequence)->bytes, media_length()) != 0)
		return complain(sequence, "run", "a store has gone around the funnel");
	return good;
}

/* ---- judging ------------------------------------------------------------------------------ */

/* Where in the sequence the lights go out. */
struct moment {
	const struct sequence *sequence;
	uint64_t fence;
	bool end;			/* all has been done */
	uint64_t state;
};

static const struct content *content_before(const struct runner *runner, const struct moment *moment,
					    unsigned int step)
{
	return step ? &runner->outcome[step - 1].content : &base_of(runner, moment->sequence)->content;
}

/* The last step's files are as before or as after; what a dead process did before it may be lost yet. */
static bool allowed(const struct runner *runner, const struct moment *moment, uint64_t content)
{
	unsigned int step = moment->sequence->steps - 1;

	if (content == runner->outcome[step].content.hash)
		return true;
	if (moment->end && runner->outcome[step].durable)
		return false;
	for (;; step--) {
		if (content == content_before(runner, moment, step)->hash)
			return true;
		if (step == 0 || runner->outcome[step - 1].durable)
			return false;
	}
}

static bool ever_seen(const struct runner *runner, const struct moment *moment, uint64_t content)
{
	if (content == base_of(runner, moment->sequence)->older)
		return true;
	for (unsigned int step = 0; step < moment->sequence->steps; step++) {
		if (content == content_before(runner, moment, step)->hash)
			return true;
	}
	return content == runner->outcome[moment->sequence->steps - 1].content.hash;
}

static bool tell(struct runner *runner, const struct moment *moment, const char *why)
{
	complain(moment->sequence, moment->end ? "at its end" : "at a fence", why);
	fprintf(stderr, "  again: --sequence ");
	sequence_print(stderr, moment->sequence);
	fprintf(stderr, " --fence %" PRIu64 " --state %" PRIu64 " --seed %" PRIu64 "\n", moment->fence,
		moment->state, runner->view.seed);
	states_print(stderr, &runner->states);
	return false;
}

static bool tell_content(struct runner *runner, const struct moment *moment, const char *why)
{
	unsigned int last = moment->sequence->steps - 1;
	struct cowdax_error error;

	tell(runner, moment, why);
	if (content_look(0, &runner->judge.found, &error))
		return false;
	fprintf(stderr, "  against before:\n");
	content_compare(stderr, content_before(runner, moment, last), &runner->judge.found);
	fprintf(stderr, "  against after:\n");
	content_compare(stderr, &runner->outcome[last].content, &runner->judge.found);
	return false;
}

static bool judge_files(struct runner *runner, const struct moment *moment)
{
	uint64_t content, random = mix(runner->view.seed, media_hash());

	if (!judge_state(&runner->judge, &content))
		return tell(runner, moment, runner->judge.why);
	if (!allowed(runner, moment, content))
		return tell_content(runner, moment, "files are neither as before nor as after");
	if (!runner->judge.options.older ||
	    (moment->state > 1 && random_below(&random, runner->judge.options.older) != 0))
		return true;
	if (!judge_older(&runner->judge, &content))
		return tell(runner, moment, runner->judge.why);
	if (content != CONTENT_VOID && !ever_seen(runner, moment, content))
		return tell(runner, moment, "the image before the newest shows what never was");
	return true;
}

/* The new filesystem or, unless all has been done, none; before it has begun, the old one or none. */
static bool made(const struct runner *runner, const struct moment *moment, bool begun, uint64_t content)
{
	if (!begun)
		return content == CONTENT_VOID || allowed(runner, moment, content);
	return content == runner->outcome[moment->sequence->steps - 1].content.hash ||
	       (content == CONTENT_VOID && !moment->end);
}

static bool judge_making(struct runner *runner, const struct moment *moment)
{
	bool begun = moment->end || moment->fence > 0;	/* the first makes the old one void */
	uint64_t content, backup;

	if (!judge_remake(&runner->judge, begun, &content, &backup))
		return tell(runner, moment, runner->judge.why);
	if (!made(runner, moment, begun, content))
		return tell_content(runner, moment, "it is neither void nor the new filesystem");
	if (!made(runner, moment, begun, backup))
		return tell(runner, moment, "the backup superblock shows what is neither void nor the new filesystem");
	return true;
}

static bool judge_one(struct runner *runner, struct moment *moment, uint64_t state)
{
	const struct step *last = &moment->sequence->step[moment->sequence->steps - 1];
	size_t mark = media_mark();
	bool good;

	if (runner->view.only_state >= 0 && state != (uint64_t)runner->view.only_state)
		return true;
	moment->state = state;
	states_choose(&runner->states, state);
	states_apply(&runner->states);
	runner->explored++;
	good = last->operation->remake ? judge_making(runner, moment) : judge_files(runner, moment);
	media_revert(mark);
	return good;
}

static bool out_of_time(const struct runner *runner)
{
	return runner->deadline > 0 && seconds() > runner->deadline;
}

/* Every state that what is in flight may leave, or a choice of them. */
static bool judge_fence(struct runner *runner, struct moment *moment)
{
	const struct view *view = &runner->view;
	uint64_t seed = mix(view->seed, moment->fence), total;
	bool good = true;

	if (view->only_fence >= 0 && moment->fence != (uint64_t)view->only_fence)
		return true;
	runner->fences++;
	states_prepare(&runner->states, &runner->flight, view->exhaustive);
	total = runner->states.total;
	if (view->only_state >= 0)
		return judge_one(runner, moment, (uint64_t)view->only_state);
	if (!runner->flight.count)
		return judge_one(runner, moment, 0);
	if (view->most && total + view->random > view->most) {
		good = judge_one(runner, moment, 0) && judge_one(runner, moment, 1);
		for (uint64_t i = 2; i < view->most && good; i++)
			good = judge_one(runner, moment, states_draw(&runner->states, mix(seed, i)));
		return good;
	}
	for (uint64_t i = 0; i < total + view->random && good && !out_of_time(runner); i++)
		good = judge_one(runner, moment, i < total ? i : total + (uint32_t)mix(seed, i));
	return good;
}

bool run_sequence(struct runner *runner, const struct sequence *sequence)
{
	struct moment moment = {.sequence = sequence};
	bool good = run_plainly(runner, sequence), last = false;
	size_t mark = media_mark();

	runner->flight.count = 0;
	for (size_t i = 0; i < runner->journal.count && good; i++) {
		const struct event *event = &runner->journal.event[i];

		if (event->kind == EVENT_STEP) {
			last = event->handle + 1 == sequence->steps;
		} else if (event->kind == EVENT_STORE) {
			flight_add(&runner->flight, &runner->journal, i);
		} else {
			good = !last || judge_fence(runner, &moment);
			moment.fence += last;
			flight_land(&runner->flight, event->handle);
		}
	}
	moment.end = true;
	good = good && judge_fence(runner, &moment);
	media_revert(mark);
	return good;
}
