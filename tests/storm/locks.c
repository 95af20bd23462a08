// SPDX-License-Identifier: GPL-2.0-or-later
/* Writers among themselves: what runs at once, what waits, and that all get their turn. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "field.h"

#define PROCESSES 3
#define THREADS 2
#define STRIPES (PROCESSES * THREADS)
#define TURNS 6
#define STRIPE (5 * MIB / 2 + 1000)	/* not a whole number of blocks: neighbours share one */

/* ---- many writers ------------------------------------------------------------------- */

struct stripe {
	const char *image, *path;
	uint64_t number, offset;
};

static void *write_stripe(void *arg)
{
	struct stripe *stripe = arg;
	struct cowdax *fs = open_image(stripe->image, 0);
	uint64_t inode = find_file(fs, stripe->path), state = stripe->number;

	for (uint64_t turn = 1; turn <= TURNS; turn++) {
		uint64_t version = stripe->number * TURNS + turn, length = STRIPE;

		if (turn % 3 == 0)
			MUST(stream_version(fs, stripe->path, stripe->offset, STRIPE, version));
		else if (turn % 3 == 1)
			MUST(write_version(fs, inode, stripe->offset, STRIPE, version));
		else
			for (uint64_t done = 0; done < STRIPE; done += length) {
				length = 1 + unit_below(&state, 200 * KIB);
				if (length > STRIPE - done)
					length = STRIPE - done;
				MUST(write_version(fs, inode, stripe->offset + done, length, version));
			}
		CHECK_EQUAL(read_version(fs, inode, stripe->offset, STRIPE), version);
	}
	cowdax_close(fs);
	return NULL;
}

static void write_stripes(void *arg)
{
	struct stripe *stripe = arg;
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		CHECK_EQUAL(pthread_create(&thread[i], NULL, write_stripe, &stripe[i]), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQUAL(pthread_join(thread[i], NULL), 0);
}

/* All stripes at once, each in files[i]; then all must be there. */
static void run_stripes(const char *image, const char *const *files, const uint64_t *offsets)
{
	struct stripe stripes[STRIPES];
	pid_t process[PROCESSES];
	struct cowdax *fs;

	for (uint64_t i = 0; i < STRIPES; i++)
		stripes[i] = (struct stripe){image, files[i], i + 1, offsets[i]};
	for (int i = 0; i < PROCESSES; i++)
		process[i] = start_process(write_stripes, &stripes[i * THREADS]);
	for (int i = 0; i < PROCESSES; i++)
		end_process(process[i]);
	fs = open_image(image, COWDAX_RDONLY);
	for (int i = 0; i < STRIPES; i++)
		CHECK_EQUAL(read_version(fs, find_file(fs, files[i]), offsets[i], STRIPE),
			    stripes[i].number * TURNS + TURNS);
	cowdax_close(fs);
	check_clean(image);
}

TEST("processes and threads write disjoint ranges of one file at once, long and short, edges shared")
{
	const char *image = make_image(128 * MIB), *files[STRIPES];
	struct cowdax *fs = open_image(image, 0);
	uint64_t offsets[STRIPES];

	make_file(fs, "/file");
	cowdax_close(fs);
	for (uint64_t i = 0; i < STRIPES; i++) {
		files[i] = "/file";
		offsets[i] = i * STRIPE;
	}
	run_stripes(image, files, offsets);
}

TEST("processes and threads write different files at once")
{
	static const char *const files[STRIPES] = {"/a", "/b", "/c", "/d", "/e", "/f"};
	const char *image = make_image(128 * MIB);
	struct cowdax *fs = open_image(image, 0);
	uint64_t offsets[STRIPES];

	for (uint64_t i = 0; i < STRIPES; i++) {
		make_file(fs, files[i]);
		offsets[i] = i * 777;
	}
	cowdax_close(fs);
	run_stripes(image, files, offsets);
}

/* ---- overlapping writes --------------------------------------------------------------- */

#define OVERLAP (3 * MIB)
#define SHIFT (MIB + 5)

struct rival {
	const char *image;
	uint64_t number;
};

static void write_overlapping(void *arg)
{
	struct rival *rival = arg;
	struct cowdax *fs = open_image(rival->image, 0);
	uint64_t inode = find_file(fs, "/file"), small = find_file(fs, "/small");

	for (uint64_t turn = 1; turn <= TURNS; turn++) {
		uint64_t version = rival->number * TURNS + turn;

		MUST(rival->number % 2 ? write_version(fs, inode, SHIFT, OVERLAP, version) :
					 stream_version(fs, "/file", SHIFT, OVERLAP, version));
		MUST(write_version(fs, small, 3, 100 * KIB, version));
		/* Whoever wrote last: one of them, and all of it. */
		CHECK(read_version(fs, inode, SHIFT, OVERLAP) != 0);
		CHECK(read_version(fs, small, 3, 100 * KIB) != 0);
	}
	cowdax_close(fs);
}

TEST("of writes to the same range one is the last, whole, and none is ever seen in part")
{
	const char *image = make_image(64 * MIB);
	struct cowdax *fs = open_image(image, 0);
	struct rival rival[PROCESSES];
	pid_t process[PROCESSES];

	make_file(fs, "/file");
	make_file(fs, "/small");
	cowdax_close(fs);
	for (uint64_t i = 0; i < PROCESSES; i++) {
		rival[i] = (struct rival){image, i + 1};
		process[i] = start_process(write_overlapping, &rival[i]);
	}
	for (int i = 0; i < PROCESSES; i++)
		end_process(process[i]);
	check_clean(image);
}

/* ---- who waits for whom ------------------------------------------------------------------ */

/* A long write of [0, LONG) of /file that holds its range until it is told to go on. */
#define LONG (9 * MIB)

struct holder {
	const char *image, *path;
	uint64_t offset, length, version;
	bool endless;
	struct gate holds, go;
};

static void hold(void *arg)
{
	struct holder *holder = arg;

	gate_open(&holder->holds);
	gate_pass(&holder->go);
}

static void write_and_hold(void *arg)
{
	struct holder *holder = arg;
	struct cowdax *fs = open_image(holder->image, 0);
	struct source source = {
		.offset = holder->offset, .length = holder->length, .version = holder->version,
		.stop = hold, .arg = holder, .stop_at = holder->length - MIB,
		.endless = holder->endless,
	};

	MUST(write_source(fs, holder->path, &source));
	cowdax_close(fs);
}

static void make_holder(struct holder *holder, const char *image)
{
	*holder = (struct holder){.image = image, .path = "/file", .length = LONG, .version = 7};
	gate_make(&holder->holds);
	gate_make(&holder->go);
}

static const char *make_files(void)
{
	const char *image = make_image(128 * MIB);
	struct cowdax *fs = open_image(image, 0);

	MUST(write_version(fs, make_file(fs, "/file"), 0, LONG + 3 * MIB, 1));
	MUST(write_version(fs, make_file(fs, "/other"), 0, MIB, 1));
	cowdax_close(fs);
	return image;
}

static int begin_and_end(struct cowdax *fs)
{
	int ret = cowdax_begin(fs, &field_error);

	return ret ? ret : cowdax_commit(fs, &field_error);
}

TEST("told not to wait, whatever meets a long write's range says EAGAIN, and only that")
{
	const char *image = make_files();
	uint64_t inode, other;
	struct holder holder;
	struct cowdax *fs;
	pid_t process;

	alarm(30);	/* who waits, waits for ever */
	make_holder(&holder, image);
	process = start_process(write_and_hold, &holder);
	gate_pass(&holder.holds);
	fs = open_image(image, COWDAX_NO_WAIT);
	inode = find_file(fs, "/file");
	other = find_file(fs, "/other");
	CHECK_EQUAL(write_version(fs, inode, LONG - 10, 5, 2), -EAGAIN);
	CHECK_EQUAL(write_version(fs, inode, LONG - 10, 2 * MIB, 2), -EAGAIN);
	CHECK_EQUAL(stream_version(fs, "/file", 0, 10, 2), -EAGAIN);
	CHECK_EQUAL(stream_version(fs, "/file", 0, LONG, 2), -EAGAIN);
	CHECK_EQUAL(cowdax_truncate(fs, inode, LONG, NULL, &field_error), -EAGAIN);
	CHECK_EQUAL(cowdax_fallocate(fs, inode, COWDAX_FALLOCATE_PUNCH, 0, MIB, true, NULL, &field_error),
		    -EAGAIN);
	CHECK_EQUAL(cowdax_clone(fs, "/other", "/file", NULL, &field_error), -EAGAIN);
	CHECK_EQUAL(begin_and_end(fs), -EAGAIN);
	/* Behind the range, in other files, and reading: as if it were not there. */
	CHECK_EQUAL(write_version(fs, inode, LONG, 5, 2), 0);
	CHECK_EQUAL(write_version(fs, inode, LONG, 2 * MIB, 2), 0);
	CHECK_EQUAL(stream_version(fs, "/other", 0, LONG, 2), 0);
	CHECK_EQUAL(write_version(fs, other, 0, 5, 3), 0);
	CHECK_EQUAL(cowdax_clone(fs, "/file", "/clone", NULL, &field_error), 0);
	CHECK_EQUAL(read_version(fs, inode, 0, LONG), 1);
	gate_open(&holder.go);
	end_process(process);
	CHECK_EQUAL(write_version(fs, inode, LONG - 16, 16, 4), 0);
	CHECK_EQUAL(begin_and_end(fs), 0);
	CHECK_EQUAL(read_version(fs, inode, 0, LONG - 16), 7);
	CHECK_EQUAL(read_version(fs, inode, LONG - 16, 16), 4);
	CHECK_EQUAL(read_version(fs, inode, LONG, 2 * MIB), 2);
	CHECK_EQUAL(read_version(fs, find_file(fs, "/clone"), 0, LONG), 1);
	cowdax_close(fs);
	check_clean(image);
}

TEST("a stream of unknown length holds all of the file behind its start")
{
	const char *image = make_files();
	struct holder holder;
	struct cowdax *fs;
	uint64_t inode;
	pid_t process;

	make_holder(&holder, image);
	holder.offset = MIB;
	holder.endless = true;
	process = start_process(write_and_hold, &holder);
	gate_pass(&holder.holds);
	fs = open_image(image, COWDAX_NO_WAIT);
	inode = find_file(fs, "/file");
	CHECK_EQUAL(write_version(fs, inode, LONG + MIB, 5, 2), -EAGAIN);
	CHECK_EQUAL(write_version(fs, inode, LONG * LONG, 5, 2), -EAGAIN);
	CHECK_EQUAL(write_version(fs, inode, MIB - 5, 5, 2), 0);
	cowdax_close(fs);
	gate_open(&holder.go);
	end_process(process);
	check_clean(image);
}

/* Something in the way of a holder, in a process of its own. */
struct late {
	const char *image;
	void (*run)(struct cowdax *fs, uint64_t inode);
	unsigned int ended;
};

static void run_late(void *arg)
{
	struct late *late = arg;
	struct cowdax *fs = open_image(late->image, 0);

	late->run(fs, find_file(fs, "/file"));
	late->ended = 1;
	cowdax_close(fs);
}

/* Start @run while a long write holds [0, LONG), and let both end; the file's version at 0 and at LONG. */
static void run_into_holder(void (*run)(struct cowdax *fs, uint64_t inode), uint64_t version[2])
{
	const char *image = make_files();
	struct holder holder;
	struct late *late = share(sizeof(*late));
	struct cowdax *fs;
	pid_t process[2];
	uint64_t inode;

	*late = (struct late){.image = image, .run = run};
	make_holder(&holder, image);
	process[0] = start_process(write_and_hold, &holder);
	gate_pass(&holder.holds);
	process[1] = start_process(run_late, late);
	wait_for_waiters(image, 1, &late->ended);
	CHECK(!late->ended);
	gate_open(&holder.go);
	end_process(process[0]);
	end_process(process[1]);
	fs = open_image(image, COWDAX_RDONLY);
	inode = find_file(fs, "/file");
	version[0] = read_version(fs, inode, 0, 4 * KIB);
	version[1] = read_version(fs, inode, LONG, 4 * KIB);
	cowdax_close(fs);
	check_clean(image);
}

static void write_short(struct cowdax *fs, uint64_t inode)
{
	MUST(write_version(fs, inode, 0, 100 * KIB, 8));
}

TEST("a short write into a long write's range waits for its end, and is the later one")
{
	uint64_t version[2];

	run_into_holder(write_short, version);
	CHECK_EQUAL(version[0], 8);
	CHECK_EQUAL(version[1], 1);
}

static void write_long(struct cowdax *fs, uint64_t inode)
{
	MUST(write_version(fs, inode, 0, LONG + MIB, 8));
}

TEST("a long write into a long write's range waits for its end, and is the later one")
{
	uint64_t version[2];

	run_into_holder(write_long, version);
	CHECK_EQUAL(version[0], 8);
	CHECK_EQUAL(version[1], 8);
}

static void write_transaction(struct cowdax *fs, uint64_t inode)
{
	MUST(cowdax_begin(fs, &field_error));
	MUST(write_version(fs, inode, 0, 100 * KIB, 8));
	MUST(write_version(fs, inode, LONG, 2 * MIB, 8));
	MUST(cowdax_commit(fs, &field_error));
}

TEST("R12: a transaction of several operations waits for long writes before its first")
{
	uint64_t version[2];

	run_into_holder(write_transaction, version);
	CHECK_EQUAL(version[0], 8);
	CHECK_EQUAL(version[1], 8);
}

static void replace(struct cowdax *fs, uint64_t inode)
{
	(void)inode;
	MUST(cowdax_clone(fs, "/other", "/file", NULL, &field_error));
}

TEST("a clone onto a file that is being written waits, and replaces all of it")
{
	uint64_t version[2];

	run_into_holder(replace, version);
	CHECK_EQUAL(version[0], 1);
	CHECK_EQUAL(version[1], 0);
}

/* ---- no deadlock, no starvation -------------------------------------------------------------- */

#define ROUNDS 25

struct party {
	const char *image;
	uint64_t number;
};

static void stream_rounds(void *arg)
{
	struct party *party = arg;
	struct cowdax *fs = open_image(party->image, 0);

	for (uint64_t round = 1; round <= ROUNDS; round++)
		MUST(stream_version(fs, "/file", party->number * 3 * MIB, 5 * MIB, party->number));
	cowdax_close(fs);
}

static void batch_rounds(void *arg)
{
	struct party *party = arg;
	struct cowdax *fs = open_image(party->image, 0);
	uint64_t inode = find_file(fs, "/file"), other = find_file(fs, "/other");

	for (uint64_t round = 1; round <= 2 * ROUNDS; round++) {
		MUST(cowdax_begin(fs, &field_error));
		MUST(write_version(fs, other, 0, 64 * KIB, party->number));
		MUST(write_version(fs, inode, 4 * MIB, 64 * KIB, party->number));
		MUST(write_version(fs, other, 64 * KIB, 64 * KIB, party->number));
		if (round % 5)
			MUST(cowdax_commit(fs, &field_error));
		else
			cowdax_abort(fs);
	}
	cowdax_close(fs);
}

static void short_rounds(void *arg)
{
	struct party *party = arg;
	struct cowdax *fs = open_image(party->image, 0);
	uint64_t inode = find_file(fs, "/file"), other = find_file(fs, "/other");

	for (uint64_t round = 1; round <= 4 * ROUNDS; round++) {
		MUST(write_version(fs, inode, round * 111 * KIB, 5000, party->number));
		MUST(write_version(fs, other, 0, 128 * KIB, party->number));
	}
	cowdax_close(fs);
}

TEST("R12: transactions, long and short writes over each other never wait in a circle")
{
	static void (*const run[])(void *) = {
		stream_rounds, stream_rounds, batch_rounds, batch_rounds, short_rounds,
	};
	enum { PARTIES = sizeof(run) / sizeof(run[0]) };
	const char *image = make_files();
	struct party party[PARTIES];
	pid_t process[PARTIES];
	struct cowdax *fs;

	alarm(60);
	for (uint64_t i = 0; i < PARTIES; i++) {
		party[i] = (struct party){image, i + 1};
		process[i] = start_process(run[i], &party[i]);
	}
	for (int i = 0; i < PARTIES; i++)
		end_process(process[i]);
	fs = open_image(image, COWDAX_RDONLY);
	CHECK(read_version(fs, find_file(fs, "/other"), 0, 128 * KIB) != 0);
	cowdax_close(fs);
	check_clean(image);
}

#define MAX_TURNS 60

/* Two that take turns so that one of them always holds its range. */
struct relay {
	const char *image;
	atomic_uint turns;		/* of both */
	atomic_uint turn[2];		/* of each, the last: its number among all */
	atomic_bool served;		/* the one who wants all ranges has been */
};

struct runner {
	struct relay *relay;
	int number;
};

/* Hold the range until the other has got its own later, or two wait: the other is behind somebody. */
static void pass_on(void *arg)
{
	struct runner *runner = arg;
	struct relay *relay = runner->relay;
	unsigned int turn = ++relay->turns;

	relay->turn[runner->number] = turn;
	while (relay->turn[!runner->number] < turn && !relay->served && relay->turns < MAX_TURNS &&
	       count_waiters(relay->image) < 2)
		sched_yield();
}

static void run_relay(void *arg)
{
	struct runner *runner = arg;
	struct relay *relay = runner->relay;
	struct cowdax *fs = open_image(relay->image, 0);

	while (!relay->served && relay->turns < MAX_TURNS) {
		struct source source = {
			.offset = (uint64_t)runner->number * 6 * MIB, .length = 5 * MIB, .version = 2,
			.stop = pass_on, .arg = runner, .stop_at = 9 * MIB / 2,
		};

		MUST(write_source(fs, "/file", &source));
	}
	cowdax_close(fs);
}

static void wait_for_all(void (*want)(struct cowdax *fs, uint64_t inode))
{
	const char *image = make_files();
	struct relay *relay = share(sizeof(*relay));
	struct runner runner[2] = {{relay, 0}, {relay, 1}};
	struct cowdax *fs;
	pid_t process[2];
	unsigned int turns;

	relay->image = image;
	for (int i = 0; i < 2; i++)
		process[i] = start_process(run_relay, &runner[i]);
	while (!relay->turn[0] || !relay->turn[1])
		sched_yield();
	fs = open_image(image, 0);
	turns = relay->turns;
	want(fs, find_file(fs, "/file"));
	turns = relay->turns - turns;
	relay->served = true;
	cowdax_close(fs);
	for (int i = 0; i < 2; i++)
		end_process(process[i]);
	unit_note("served after %u turns of others", turns);
	CHECK(turns < MAX_TURNS / 2);
	check_clean(image);
}

static void want_file(struct cowdax *fs, uint64_t inode)
{
	MUST(cowdax_truncate(fs, inode, 20 * MIB, NULL, &field_error));
}

TEST("R13: who wants a whole file gets it though two others keep parts of it locked in turn")
{
	wait_for_all(want_file);
}

static void want_everything(struct cowdax *fs, uint64_t inode)
{
	(void)inode;
	MUST(begin_and_end(fs));
}

TEST("R13: a transaction of several operations begins though two others keep ranges locked in turn")
{
	wait_for_all(want_everything);
}
