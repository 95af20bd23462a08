/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An operation on a file that is mapped through the page cache, looked at at each
 * of its msync() calls: in what order things reach the file, and what a crash there
 * would leave of it (writeback.h).  What is wrong ends the test.
 */
#ifndef CRASH_RUN_H
#define CRASH_RUN_H

#include <time.h>

#include "judge.h"
#include "operation.h"

/* What is being done, and what may be seen of it. */
struct run {
	const char *setup, *operation;
	void (*judge_state)(void *run);	/* NULL: only the order is looked at */
	struct judge judge;
	uint64_t before[2];		/* what the image showed; and if another process died: before that */
	uint64_t after;
	bool begun;			/* mkfs: the old filesystem is void for good */
	bool done;			/* the operation has returned */
	unsigned int msyncs, all_msyncs;
	uint64_t states, images;
	time_t deadline;
	unsigned int left_out;		/* operations, for want of time */
};

/* A run and a file; @judge, if not NULL, is one of the next two: for each state. */
struct run run_new(void (*judge)(void *run));
void run_judge_files(void *run);
void run_judge_making(void *run);
/* True, and counted, when the test had better come to its end. */
bool run_out_of_time(struct run *run);
/* Tell how much has been seen. */
void run_say(const struct run *run);

/* Make the image on the media, and the file like them. */
void run_make_image(struct run *run, const struct setup *setup);
/* As run_make_image() has left them, where media_mark() gave @mark. */
void run_restore_image(size_t mark);
struct cowdax *run_open_file(void);
uint64_t run_media_content(void);
/* Whether the media have no superblock at this byte. */
bool run_super_void(uint64_t super);

/* Fill in what the file shows before and after an operation: found out on the media, with no msync(). */
void run_foresee(struct run *run, int (*operate)(struct cowdax *fs));
/* From here to run_finish(), which gets what the operation has returned, the file is watched. */
void run_start(struct run *run);
void run_finish(struct run *run, int ret);
/* Close the handle of what has been done: then nothing that commits waits for an msync(). */
void run_close(struct run *run, struct cowdax *fs);

#endif
