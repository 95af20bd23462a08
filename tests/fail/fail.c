// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fail-nth, after SQLite's tests of the same kind: in each operation, on images that
 * have everything in them, each call that can fail does, one after the other, once
 * and for good.  The law: the operation says so with the errno of what failed, and
 * the image is as before; or it does without what failed, and the image is as after.
 * Nothing is leaked, and the next operation works.
 *
 *	fail.t					bounded, by STRIDE
 *	fail.t --stride 1			every call
 *	fail.t --setup S --operation O --fault F --n N [--for-good] [--used]
 *						one again
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "api/image.h"
#include "content.h"
#include "inject.h"
#include "media.h"
#include "more.h"
#include "use.h"

/* A call of so many, on average; sanitizers are slow. */
#if defined(__SANITIZE_ADDRESS__)
#define STRIDE 30
#else
#define STRIDE 6
#endif

/* What is wanted: NULL, or FAULTS, or 0 stands for all. */
struct options {
	const char *setup, *operation;
	enum fault fault;
	uint64_t n;
	bool for_good, used;
	uint64_t stride;		/* on average one call of so many fails */
	uint64_t seed;
};

struct trial {
	const struct setup *setup;
	const struct operation *operation;
	struct injection injection;
	bool used;			/* the handle has committed before */
	struct cowdax *fs;
	int ret;			/* of the operation */
	uint64_t told;
	struct cowdax_error error;
	struct journal journal;
	/* When nothing fails: */
	struct content before, after;
	int right_ret;
	uint64_t right_told;
	uint64_t done, wrong;		/* trials */
	bool is_wrong;
};

static void wrong(struct trial *trial, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct trial *trial, const char *format, ...)
{
	const struct injection *injection = &trial->injection;
	va_list args;

	if (!trial->is_wrong)
		printf("# --setup %s --operation %s --fault %s --n %" PRIu64 "%s%s\n", trial->setup->name,
		       trial->operation->name, fault_names[injection->fault], injection->n,
		       injection->for_good ? " --for-good" : "", trial->used ? " --used" : "");
	trial->is_wrong = true;
	printf("#    returned %d (%s): ", trial->ret, trial->error.text);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* ---- what there is ---------------------------------------------------------------------- */

static bool is(const struct trial *trial, const char *name)
{
	return strcmp(trial->operation->name, name) == 0;
}

/* A filesystem is made: while it is, there is none. */
static bool is_mkfs(const struct trial *trial)
{
	return strncmp(trial->operation->name, "mkfs", 4) == 0;
}

/* Of several steps, in a transaction that is opened for them; its results are of one step. */
static bool is_explicit(const struct trial *trial)
{
	return is(trial, "batch") || is(trial, "abort") || is(trial, "look-at-own-changes");
}

/* By functions that leave the words to their callers. */
static bool is_internal(const struct trial *trial)
{
	return is(trial, "stage-in-vain") || is(trial, "drain");
}

static bool look(struct content *content, struct cowdax_error *error)
{
	return content_look(0, content, error) == 0;
}

/* Whether the call that was to fail has been reached; trial->ret is what the operation returns. */
static bool operate(struct trial *trial, const struct injection *injection)
{
	bool reached;

	if (is(trial, "check-bad-media"))
		spoil_media(true);
	operation_result = (struct cowdax_result){0};
	operation_error = (struct cowdax_error){0};
	more_told = 0;
	inject_start(injection);
	trial->ret = trial->operation->remake ? trial->operation->remake(&operation_error) :
		     trial->operation->run(trial->fs);
	reached = inject_end();
	spoil_media(false);
	trial->error = operation_error;
	trial->told = more_told;
	return reached;
}

/* Something that has nothing to do with the operation, and leaves no trace. */
static int create_and_remove(struct trial *trial, struct cowdax_error *error)
{
	uint64_t inode;
	int ret = cowdax_create(trial->fs, "/next", 0600, &inode, error);

	if (!ret)
		ret = cowdax_remove(trial->fs, "/next", false, error);
	return ret == -ENOSPC && trial->setup->full ? 0 : ret;
}

static bool open_handle(struct trial *trial)
{
	struct cowdax_error error = {0};
	struct cowdax_open_options options = {.flags = COWDAX_NO_WAIT};
	int ret = trial->operation->remake ? 0 : cowdax_open(media_path(), &options, &trial->fs, &error);

	if (!ret && trial->fs && trial->used)
		ret = create_and_remove(trial, &error);
	if (ret)
		wrong(trial, "open: %d %s", ret, error.text);
	return !ret;
}

static void close_handle(struct trial *trial)
{
	cowdax_close(trial->fs);
	trial->fs = NULL;
}

/* ---- the law ------------------------------------------------------------------------------- */

/* One thing more that cannot be read is a problem more. */
static bool finds_more(const struct trial *trial)
{
	return is(trial, "check-bad-media") && trial->injection.fault == FAULT_READ;
}

static bool outcome_unknown(const struct trial *trial)
{
	return trial->ret == -EIO && strstr(trial->error.text, "it is not known whether");
}

/* A sentence about the image, or about a file by its path or number. */
static bool says_what_and_why(const char *text)
{
	bool what = strstr(text, media_path()) || text[0] == '/' || strncmp(text, "ino:", 4) == 0;

	return what && strstr(text, ": ");
}

/* What it said: the errno, words for it, and results of nothing. */
static void check_words(struct trial *trial)
{
	static const struct cowdax_result nothing;
	int code = -fault_codes[trial->injection.fault];

	if (is(trial, "check") && trial->ret == -EUCLEAN && code == -EIO)
		return;
	if (trial->ret != code && trial->ret != trial->right_ret)
		wrong(trial, "should be %d (%s)", code, strerror(-code));
	if (is_internal(trial) || trial->ret == trial->right_ret)
		return;
	if (trial->error.code != trial->ret || !says_what_and_why(trial->error.text))
		wrong(trial, "the error's code is %d, its text '%s'", trial->error.code, trial->error.text);
	/* What is durable of a write in chunks is said after a failure too; the model holds that to the bytes. */
	if (is(trial, "write-chunks"))
		operation_result.bytes_committed = 0;
	if (!is_explicit(trial) && memcmp(&operation_result, &nothing, sizeof(nothing)) != 0)
		wrong(trial, "the result is not as it was");
}

/* What the image holds; true when that is what it holds after the operation. */
static bool check_image_content(struct trial *trial)
{
	struct cowdax_error error = {0};
	struct content found;
	char why[700];

	if (!look(&found, &error)) {
		if (!is_mkfs(trial) || trial->ret >= 0)
			wrong(trial, "the image cannot be read: %s", error.text);
		return false;
	}
	/* Where mkfs has failed the superblock may be missing, its backup being there. */
	if (!(is_mkfs(trial) && trial->ret < 0) && !check_image(true, NULL, why, sizeof(why)))
		wrong(trial, "%s", why);
	if (trial->ret >= 0 && !is_explicit(trial) && operation_result.transaction &&
	    operation_result.transaction != found.transaction)
		wrong(trial, "it names transaction %" PRIu64 ", but %" PRIu64 " is the newest",
		      operation_result.transaction, found.transaction);
	if (found.hash == trial->after.hash && (trial->ret >= 0 || outcome_unknown(trial) || is_mkfs(trial)))
		return true;
	if (found.hash == trial->before.hash && trial->ret < 0)
		return found.hash == trial->after.hash;
	if (is(trial, "write-chunks") && trial->ret < 0) {
		if (!chunks_are_whole(trial->fs))
			wrong(trial, "part of a chunk is in the file");
		return false;
	}
	wrong(trial, "the image is not as %s:", trial->ret < 0 ? "before" : "after");
	content_compare(stdout, trial->ret < 0 ? &trial->before : &trial->after, &found);
	return false;
}

static void check_lock(struct trial *trial, struct cowdax *other, const char *name, uint64_t start, uint64_t length)
{
	uint64_t where;

	if (cdx_device_lock_test(&other->device, start, length, &where))
		wrong(trial, "a %s lock is left", name);
}

/* Another handle finds no lock, but for the handle's own that says it is open. */
static void check_locks(struct trial *trial)
{
	struct cowdax_error error = {0};
	struct cowdax *other;

	if (trial->injection.fault == FAULT_UNLOCK || is_mkfs(trial))
		return;
	if (cowdax_open(media_path(), NULL, &other, &error)) {
		wrong(trial, "another handle: %s", error.text);
		return;
	}
	check_lock(trial, other, "commit", other->device.lock.commit, 1);
	check_lock(trial, other, "lane", other->device.lock.lanes, CDX_MAX_LANE + 1);
	check_lock(trial, other, "turnstile", other->device.lock.turnstiles, CDX_LOCK_HASHES);
	check_lock(trial, other, "reader's", other->device.lock.readers, CDX_LAST_TRANSACTION + 1);
	check_lock(trial, other, "range", other->device.lock.ranges, CDX_LOCK_HASHES * CDX_LOCK_COLUMN);
	cowdax_close(other);
}

/* What the handle knows is what is committed, and it holds on to nothing. */
static void check_handle(struct trial *trial)
{
	const struct cdx_txn *txn = trial->fs ? &trial->fs->txn : NULL;

	if (inject_pins)
		wrong(trial, "%" PRId64 " pins of nodes are left", inject_pins);
	if (!txn)
		return;
	if (txn->nodes.dirty_count)
		wrong(trial, "%zu dirty nodes are left", txn->nodes.dirty_count);
	if (txn->working == CDX_WORKING_SAME && (txn->record.free_grains != txn->committed.free_grains ||
						 txn->record.pool.grains != txn->committed.pool.grains ||
						 txn->record.window.grains != txn->committed.window.grains ||
						 txn->record.list.n != txn->committed.list.n))
		wrong(trial, "the handle's counts of space are not those of the commit");
}

/* After a commit of which nobody can tell whether it took place, or what it was. */
static bool is_dead(struct trial *trial)
{
	struct cowdax_error error = {0};
	int ret = create_and_remove(trial, &error);

	if (ret == -EIO && strstr(error.text, "open the image again"))
		return true;
	if (ret)
		wrong(trial, "the next operation: %d %s", ret, error.text);
	return false;
}

/* The next operation works; and the one that has failed, now. */
static void check_next(struct trial *trial, bool took_place)
{
	static const struct injection nothing;
	struct content found;
	struct cowdax_error error = {0};
	int ret;

	if (trial->fs && is_dead(trial)) {
		/*
		 * Nobody is told how closing a stage ends, also that of a write which fails without
		 * a fault, or taking apart what is removed already.
		 */
		bool fails_anyway = trial->ret < 0 && trial->ret == trial->right_ret;

		if (!outcome_unknown(trial) && !fails_anyway && !is(trial, "stage-in-vain") &&
		    !is(trial, "remove-in-pieces"))
			wrong(trial, "the handle is dead");
		close_handle(trial);
		if (!open_handle(trial))
			return;
		is_dead(trial);
	} else if (trial->fs && outcome_unknown(trial)) {
		wrong(trial, "the handle is not dead");
	}
	if (took_place && !is_mkfs(trial))
		return;
	operate(trial, &nothing);
	ret = trial->ret;
	if (ret != trial->right_ret && !(ret == -ENOSPC && trial->setup->full))
		wrong(trial, "again: %d %s", ret, trial->error.text);
	else if (!look(&found, &error))
		wrong(trial, "again: %s", error.text);
	else if (ret == trial->right_ret && found.hash != trial->after.hash)
		wrong(trial, "again: the image is not as after");
}

/* Nothing is left that a dead writer leaves, once another has written. */
static void check_leftovers(struct trial *trial)
{
	char why[700] = "";
	struct use use = {
		.file = "/use", .clone = "/use-clone", .full = trial->setup->full,
		.why = why, .why_room = sizeof(why),
	};

	if (trial->done % 16 == 0 ? !use_image(&use) : !check_image(true, NULL, why, sizeof(why)))
		wrong(trial, "%s", why);
}

/* ---- one trial ------------------------------------------------------------------------------- */

/* Whether the call that was to fail has been reached. */
static bool try_one(struct trial *trial)
{
	int64_t memory = inject_memory, pins = inject_pins;
	bool reached, took_place;

	trial->is_wrong = false;
	journal_empty(&trial->journal);
	media_record(&trial->journal);
	if (!open_handle(trial))
		exit(1);
	reached = operate(trial, &trial->injection);
	if (reached) {
		trial->done++;
		if (trial->ret < 0)
			check_words(trial);
		else if (trial->told != trial->right_told && !finds_more(trial))
			wrong(trial, "what it told is not what there is");
		if (inject_unbacked_stores)
			wrong(trial, "%" PRIu64 " stores where there is no backing store", inject_unbacked_stores);
		check_handle(trial);
		check_locks(trial);
		took_place = check_image_content(trial);
		check_next(trial, took_place);
	}
	close_handle(trial);
	if (inject_memory != memory)
		wrong(trial, "%" PRId64 " pieces of memory are leaked", inject_memory - memory);
	inject_memory = memory;
	inject_pins = pins;
	if (reached)
		check_leftovers(trial);
	media_record(NULL);
	media_undo(&trial->journal);
	trial->wrong += trial->is_wrong;
	return reached;
}

/* What happens when nothing fails. */
static bool foresee(struct trial *trial)
{
	struct cowdax_error error = {0};

	trial->injection = (struct injection){0};
	journal_empty(&trial->journal);
	media_record(&trial->journal);
	if (!look(&trial->before, &error) || !open_handle(trial))
		die("%s: %s", trial->setup->name, error.text);
	operate(trial, &trial->injection);
	trial->right_ret = trial->ret;
	trial->right_told = trial->told;
	if (!look(&trial->after, &error))
		die("%s: %s: %s", trial->setup->name, trial->operation->name, error.text);
	/* The journal grows here, and not later, when memory is counted. */
	if (trial->fs)
		is_dead(trial);
	close_handle(trial);
	media_record(NULL);
	media_undo(&trial->journal);
	return trial->right_ret >= 0 || operation_may_fail(trial->right_ret);
}

/* ---- all of them -------------------------------------------------------------------------------- */

static void try_calls(struct trial *trial, const struct options *options, enum fault fault, bool for_good,
		      uint64_t *random)
{
	uint64_t n = options->n ? options->n : 1 + random_below(random, options->stride);

	for (;; n += 1 + random_below(random, 2 * options->stride - 1)) {
		trial->injection = (struct injection){fault, n, for_good};
		if (!try_one(trial) || options->n)
			return;
	}
}

/* Once and for good. */
static void try_faults(struct trial *trial, const struct options *options, uint64_t *random)
{
	for (unsigned int i = 0; i < 2 * FAULTS; i++) {
		enum fault fault = i / 2;
		bool for_good = i & 1;

		if (options->fault != FAULTS && options->fault != fault)
			continue;
		if (options->n && options->for_good != for_good)
			continue;
		try_calls(trial, options, fault, for_good, random);
	}
}

static void try_setup(const struct setup *setup, const struct operation *operation,
		      const struct options *options, uint64_t *done, uint64_t *bad)
{
	struct trial trial = {.setup = setup, .operation = operation};
	uint64_t random = options->seed;

	for (const char *at = operation->name; *at; at++)
		random = random * 31 + (unsigned char)*at;
	/* By a new handle and by a used one, which remembers. */
	for (int used = 0; used <= (operation->run ? 1 : 0); used++) {
		trial.used = used;
		if (options->n && options->used != trial.used)
			continue;
		if (foresee(&trial)) {
			try_faults(&trial, options, &random);
		} else {
			wrong(&trial, "with no fault");
			trial.wrong++;
		}
	}
	journal_free(&trial.journal);
	*done += trial.done;
	*bad += trial.wrong;
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"setup", required_argument, NULL, 's'}, {"operation", required_argument, NULL, 'o'},
		{"fault", required_argument, NULL, 'f'}, {"n", required_argument, NULL, 'n'},
		{"for-good", no_argument, NULL, 'g'}, {"used", no_argument, NULL, 'u'},
		{"stride", required_argument, NULL, 't'}, {"seed", required_argument, NULL, 'r'}, {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 's':
			options->setup = optarg;
			break;
		case 'o':
			options->operation = optarg;
			break;
		case 'f':
			for (options->fault = 0; options->fault < FAULTS; options->fault++)
				if (strcmp(optarg, fault_names[options->fault]) == 0)
					break;
			break;
		case 'n':
			options->n = strtoull(optarg, NULL, 0);
			break;
		case 'g':
			options->for_good = true;
			break;
		case 'u':
			options->used = true;
			break;
		case 't':
			options->stride = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			options->seed = strtoull(optarg, NULL, 0);
			break;
		default:
			exit(2);
		}
	}
	if (!options->stride)
		options->stride = 1;
}

static const struct operation *operation_at(unsigned int i)
{
	return i < operation_count ? &operations[i] : &more_operations[i - operation_count];
}

int main(int argc, char **argv)
{
	struct options options = {.fault = FAULTS, .stride = STRIDE, .seed = 1};
	unsigned int all = operation_count + more_count, lines = 0, failed = 0;

	parse(&options, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	media_make(LONGEST_IMAGE);
	for (unsigned int s = 0; s < setup_count; s++) {
		const struct setup *setup = &setups[s];

		if (options.setup && strcmp(options.setup, setup->name) != 0)
			continue;
		media_resize(setup->length);
		setup->make();
		for (unsigned int i = 0; i < all; i++) {
			const struct operation *operation = operation_at(i);
			uint64_t done = 0, bad = 0;

			if (options.operation && strcmp(options.operation, operation->name) != 0)
				continue;
			try_setup(setup, operation, &options, &done, &bad);
			failed += bad != 0;
			printf("%s %u - %s on the image '%s': whatever fails in it, it says so and nothing "
			       "has changed, or it has done its work (%" PRIu64 " calls failed)\n",
			       bad ? "not ok" : "ok", ++lines, operation->name, setup->name, done);
		}
	}
	printf("1..%u\n", lines);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
