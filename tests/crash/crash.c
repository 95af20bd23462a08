// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The crash enumerator: every operation, and every two, on images that have
 * everything in them, cut short at every fence; see flight.h for what the media
 * may hold then, and judge.h for what must be true of it.
 */
#include "crash.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/ondisk.h"
#include "sequence.h"

/* ---- the plan ------------------------------------------------------------------------- */

struct plan {
	struct sequence *sequence;
	size_t count, room;
	size_t done;			/* have been run */
	size_t singles;			/* of one operation; they come first */
};

static struct sequence *add(struct plan *plan, const struct setup *setup)
{
	struct sequence *sequence;

	plan->sequence = make_room(plan->sequence, &plan->room, plan->count + 1, sizeof(*plan->sequence));
	sequence = &plan->sequence[plan->count++];
	*sequence = (struct sequence){.setup = setup};
	return sequence;
}

static void add_step(struct sequence *sequence, const struct operation *operation)
{
	sequence->step[sequence->steps++] = (struct step){.operation = operation, .kill = NEVER};
}

/* Where the first operation of a sequence had better die: at each fence, and within slots. */
struct deaths {
	size_t kill[256];
	unsigned int eighths[256], count;
};

static void add_death(struct deaths *deaths, size_t event, unsigned int eighths)
{
	if (deaths->count == sizeof(deaths->kill) / sizeof(deaths->kill[0]))
		return;
	deaths->kill[deaths->count] = event;
	deaths->eighths[deaths->count++] = eighths;
}

static void find_deaths(struct runner *runner, const struct setup *setup, const struct operation *operation,
			struct deaths *deaths)
{
	struct sequence sequence = {.setup = setup};
	size_t number = 0;

	deaths->count = 0;
	add_step(&sequence, operation);
	if (!run_plainly(runner, &sequence))
		exit(1);
	for (size_t i = 0; i < runner->journal.count; i++) {
		const struct event *event = &runner->journal.event[i];

		if (event->kind == EVENT_FENCE)
			add_death(deaths, number, 0);
		if (event->kind == EVENT_STORE && is_slot(event->offset)) {
			add_death(deaths, number, 1);
			add_death(deaths, number, 7);
		}
		number += event->kind != EVENT_STEP;
	}
}

/* The same operations, the last one by a handle that has been open all the time. */
static void add_peer(struct plan *plan, const struct sequence *like)
{
	struct sequence sequence = *like;

	sequence.step[sequence.steps - 1].same_handle = false;
	sequence.step[sequence.steps - 1].peer = true;
	*add(plan, like->setup) = sequence;
}

/* What a process that dies leaves to the next, and two of them to a third. */
static void plan_deaths(struct plan *plan, struct runner *runner, const struct setup *setup,
			const struct operation *first)
{
	struct deaths deaths;

	if (first->remake)
		return;
	find_deaths(runner, setup, first, &deaths);
	for (unsigned int i = 0; i < deaths.count; i++) {
		for (unsigned int j = 0; j < operation_count; j++) {
			struct sequence *sequence = add(plan, setup);

			add_step(sequence, first);
			sequence->step[0].kill = deaths.kill[i];
			sequence->step[0].eighths = deaths.eighths[i];
			add_step(sequence, &operations[j]);
			if (first->chained && !operations[j].remake)
				add_peer(plan, sequence);
		}
		for (unsigned int j = 0; j < operation_count && first->chained; j++) {
			struct sequence *sequence = add(plan, setup);

			add_step(sequence, first);
			add_step(sequence, first);
			for (unsigned int k = 0; k < 2; k++) {
				sequence->step[k].kill = deaths.kill[i];
				sequence->step[k].eighths = deaths.eighths[i];
			}
			add_step(sequence, &operations[j]);
		}
	}
}

static void plan_pairs(struct plan *plan, const struct setup *setup, const struct operation *first)
{
	for (unsigned int j = 0; j < operation_count; j++) {
		struct sequence *sequence = add(plan, setup);

		add_step(sequence, first);
		add_step(sequence, &operations[j]);
		if (first->remake || operations[j].remake)
			continue;
		sequence = add(plan, setup);
		add_step(sequence, first);
		add_step(sequence, &operations[j]);
		sequence->step[1].same_handle = true;
		add_peer(plan, sequence);
		if (!operations[j].chained)
			continue;
		/* Two handles in turn. */
		sequence = add(plan, setup);
		*sequence = sequence[-1];
		add_step(sequence, first);
		sequence->step[2].same_handle = true;
	}
}

/* Of the setups from @start to @end. */
static void make_plan(struct plan *plan, struct runner *runner, unsigned int length, unsigned int start,
		      unsigned int end)
{
	uint64_t random = runner->view.seed;

	start *= operation_count;
	end *= operation_count;
	for (unsigned int i = start; i < end; i++)
		add_step(add(plan, &setups[i / operation_count]), &operations[i % operation_count]);
	plan->singles = plan->count;
	for (unsigned int i = start; i < end && length > 1; i++) {
		plan_pairs(plan, &setups[i / operation_count], &operations[i % operation_count]);
		plan_deaths(plan, runner, &setups[i / operation_count], &operations[i % operation_count]);
	}
	for (size_t i = plan->count; i-- > plan->singles;) {
		size_t other = plan->singles + random_below(&random, i - plan->singles + 1);
		struct sequence swap = plan->sequence[i];

		plan->sequence[i] = plan->sequence[other];
		plan->sequence[other] = swap;
	}
}

/* ---- the program ------------------------------------------------------------------------ */

struct options {
	double seconds;
	uint64_t unique;		/* stop at so many; 0: never */
	uint64_t most_single, most_pair;	/* states at a fence of sequences of one, and of more */
	unsigned int length;
	unsigned int first_setup, end_setup;
	const char *sequence;
};

static const char usage[] =
	"Usage: crash [OPTION]...\n"
	"  --seconds=N      stop after so many, twice as many within single operations; 0: when all is done\n"
	"  --unique=N       stop after so many different states; 0: when all is done\n"
	"  --setup=NAME     on this image only: no state is one of another image, too\n"
	"  --length=N       sequences of up to N operations: 1, or 2\n"
	"  --most=N[,N]     states at each fence, of one operation and of more; 0: all\n"
	"  --lines=N        every subset of up to N cache lines in flight\n"
	"  --random=N       random states at each fence\n"
	"  --nested=N       crash again in one of N first uses; 0: never\n"
	"  --older=N        see in one of N states that the image before is whole; 0: never\n"
	"  --seed=N\n"
	"  --sequence=SETUP:OPERATION[@EVENT.EIGHTHS][,OPERATION|+OPERATION]...\n"
	"  --fence=N        with --sequence: this one only\n"
	"  --state=N        and this state only\n"
	"  --list           setups and operations\n";

static void list(void)
{
	for (unsigned int i = 0; i < setup_count; i++)
		printf("setup %s\n", setups[i].name);
	for (unsigned int i = 0; i < operation_count; i++)
		printf("operation %s\n", operations[i].name);
}

static void choose_setup(struct options *options, const char *name)
{
	for (unsigned int i = 0; i < setup_count; i++) {
		if (strcmp(setups[i].name, name) == 0) {
			options->first_setup = i;
			options->end_setup = i + 1;
			return;
		}
	}
	die("%s: no such setup", name);
}

static void parse(int argc, char **argv, struct options *options, struct runner *runner)
{
	static const struct option known[] = {
		{"seconds", required_argument, NULL, 's'}, {"unique", required_argument, NULL, 'u'},
		{"setup", required_argument, NULL, 'S'},
		{"length", required_argument, NULL, 'l'}, {"most", required_argument, NULL, 'm'},
		{"lines", required_argument, NULL, 'i'}, {"random", required_argument, NULL, 'r'},
		{"nested", required_argument, NULL, 'n'}, {"older", required_argument, NULL, 'o'},
		{"seed", required_argument, NULL, 'd'}, {"sequence", required_argument, NULL, 'q'},
		{"fence", required_argument, NULL, 'f'}, {"state", required_argument, NULL, 't'},
		{"list", no_argument, NULL, 'L'}, {"help", no_argument, NULL, 'h'}, {0},
	};
	struct view *view = &runner->view;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
		const char *comma = optarg ? strchr(optarg, ',') : NULL;

		switch (option) {
		case 's': options->seconds = (double)number; break;
		case 'u': options->unique = number; break;
		case 'S': choose_setup(options, optarg ? optarg : ""); break;
		case 'l': options->length = (unsigned int)number; break;
		case 'm':
			options->most_single = number;
			options->most_pair = comma ? strtoull(comma + 1, NULL, 10) : number;
			break;
		case 'i': view->exhaustive = (unsigned int)number; break;
		case 'r': view->random = number; break;
		case 'n': runner->judge.options.nested = (unsigned int)number; break;
		case 'o': runner->judge.options.older = (unsigned int)number; break;
		case 'd': view->seed = number; break;
		case 'q': options->sequence = optarg; break;
		case 'f': view->only_fence = (int64_t)number; break;
		case 't': view->only_state = (int64_t)number; break;
		case 'L': list(); exit(0);
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	}
}

/* The sequences from number @start to @end, as a test with a line of TAP. */
static bool run_plan(struct runner *runner, const struct options *options, struct plan *plan, size_t start,
		     size_t end, const char *sentence)
{
	size_t i;
	bool good = true;

	for (i = start; i < end && good; i++) {
		if (runner->deadline > 0 && seconds() > runner->deadline)
			break;
		if (options->unique && runner->judge.judged >= options->unique)
			break;
		good = run_sequence(runner, &plan->sequence[i]);
	}
	printf("%s - %s (%zu of %zu)\n", good ? "ok" : "not ok", sentence, i - start, end - start);
	plan->done += i - start;
	fflush(stdout);
	return good;
}

static void report(const struct runner *runner, const struct plan *plan, unsigned int images, double elapsed)
{
	const struct judge *judge = &runner->judge;

	printf("# %u operations on %u images; %zu sequences, %" PRIu64 " fences\n", operation_count, images,
	       plan->done, runner->fences);
	printf("# %" PRIu64 " states explored, %" PRIu64 " unique (%" PRIu64 " after a second crash), %.0f states/s\n",
	       runner->explored, judge->judged, judge->nested, (double)judge->judged / elapsed);
}

int main(int argc, char **argv)
{
	struct options options = {.seconds = 20, .length = 2, .most_single = 24, .most_pair = 12,
				  .end_setup = setup_count};
	struct runner runner = {
		.view = {.exhaustive = 12, .random = 32, .seed = 1, .only_fence = -1, .only_state = -1},
		.judge.options = {.nested = 8, .older = 8},
	};
	double start = seconds();
	struct plan plan = {0};
	bool good;

	parse(argc, argv, &options, &runner);
	runner.judge.options.seed = runner.view.seed;
	media_make(LONGEST_IMAGE);
	runner_init(&runner);
	if (options.sequence) {
		if (!sequence_parse(add(&plan, &setups[0]), options.sequence))
			die("%s: no such sequence", options.sequence);
		plan.singles = 1;
	} else {
		make_plan(&plan, &runner, options.length, options.first_setup, options.end_setup);
	}
	/* On a slow machine what comes first had better come to its end. */
	runner.deadline = options.seconds > 0 ? start + 2 * options.seconds : 0;
	printf("1..%d\n", plan.count > plan.singles ? 2 : 1);
	runner.view.most = options.most_single;
	good = run_plan(&runner, &options, &plan, 0, plan.singles,
			"after any crash an operation is done or is not");
	runner.view.most = options.most_pair;
	runner.deadline = options.seconds > 0 ? start + options.seconds : 0;
	if (good && plan.count > plan.singles)
		good = run_plan(&runner, &options, &plan, plan.singles, plan.count,
				"so is one after another, whole or cut short");
	report(&runner, &plan, options.end_setup - options.first_setup, seconds() - start);
	free(plan.sequence);
	runner_exit(&runner);
	return good ? 0 : 1;
}
