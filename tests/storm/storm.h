/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random commands from many processes, which are killed at any moment, and a
 * journal outside the image that says what must be in it.
 *
 * Each worker has files of its own, whose content the journal knows; a command
 * is written down before it is begun and acknowledged after, so that one whose
 * process was killed between may be there, whole, or not at all.  All write to
 * the regions of one shared file, each write with a version of its own: what a
 * region holds must be one of them that no later one has surely replaced.
 */
#ifndef STORM_H
#define STORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../model/random.h"
#include "cowdax.h"

#define WORKERS 6
#define FILES 4				/* of a worker */
#define LONGEST (UINT64_C(3) << 20)	/* bytes, of a file */
#define COMMANDS 4			/* of a transaction, at most */
#define REGIONS 6			/* of the shared file */
#define VERSIONS (1 << 20)
#define BLOCK UINT64_C(4096)

enum kind { WRITE, REPLACE, TRUNCATE, PUNCH, ZERO, UNSHARE, CLONE, CLONE_RANGE, REMOVE, KINDS };

struct command {
	enum kind kind;
	unsigned int file, other;	/* of the worker; other: what is cloned */
	uint64_t offset, length, from;	/* from: where in the other */
	uint64_t version;		/* below 256: that byte, over and over */
};

struct content {
	bool exists;
	uint64_t size;
	unsigned char bytes[LONGEST];
};

/* What is known of the commands that were begun last. */
enum state {
	IDLE,			/* the files are `now` */
	INTENDED,		/* `now`, or `then` where a file is affected */
	REFUSED,		/* said to have failed: `now` */
	DONE,			/* acknowledged: `then`, which is yet to be copied to `now` */
};

struct worker {
	struct content now[FILES], then[FILES];
	struct command command[COMMANDS];
	unsigned int commands, affected;	/* affected: a bit for each file */
	_Atomic enum state state;
	_Atomic uint64_t version;	/* being written to the shared file; 0: none */
	_Atomic uint64_t done, refused, dropped, kept;	/* commands; unacknowledged ones not there, there */
};

/* A write to a region of the shared file; its number is its version. */
struct shared_write {
	unsigned int region;
	_Atomic uint64_t start, end;	/* ticks; end 0: under way */
	_Atomic bool acknowledged;
};

struct journal {
	_Atomic uint64_t tick;
	_Atomic uint64_t versions;	/* given out */
	_Atomic bool stop;		/* nothing new is begun */
	struct shared_write shared[VERSIONS];
	struct worker worker[WORKERS];
};

struct storm {
	const char *folder;		/* of what is not in the image */
	char image[512];
	bool programs;			/* the commands are in PATH */
	struct journal *journal;
};

/* Say what is wrong, and end this process. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct cowdax *open_image(const struct storm *storm, unsigned int flags);

/* ---- journal.c: what must be there ---- */

/* Choose commands that can succeed, and write them down as intended, with what comes of them. */
void intend(struct worker *worker, struct random *random, uint64_t version);
/* What was acknowledged counts. */
void settle_done(struct worker *worker);
/* Find out by looking what became of the worker's last commands. */
void resolve(struct storm *storm, unsigned int number, struct cowdax *fs);
/* Compare all files of a worker that has nothing open. */
void judge_files(struct storm *storm, unsigned int number, struct cowdax *fs);
void file_path(char path[64], unsigned int worker, unsigned int file);

/* ---- shared.c: the file that all write to ---- */

void make_shared(struct storm *storm, struct cowdax *fs);
/* Write a random region; 0 or -errno. */
int write_shared(struct storm *storm, struct worker *worker, struct cowdax *fs, struct random *random);
/* The writer is gone, acknowledged or not. */
void end_shared(struct storm *storm, struct worker *worker);
/* The time, for what may have been replaced. */
uint64_t tick(struct storm *storm);
/* @seen: when @fs began to see what it sees; 0: it sees the newest at each read. */
void judge_shared(struct storm *storm, struct cowdax *fs, uint64_t seen);

/* ---- perform.c: doing it ---- */

/* Do what is intended through the library; 0 or -errno. */
int perform(struct worker *worker, unsigned int number, struct cowdax *fs);
/* Become the program that does it. */
_Noreturn void become_program(struct storm *storm, unsigned int number);

/* ---- child.c: a worker's process ---- */

_Noreturn void run_child(struct storm *storm, unsigned int number, uint64_t seed);

#endif
