/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel may have written back of a file that is mapped through the page
 * cache (file.h), while the media (media.h) hold what it has promised: of every
 * page that was stored to, what it had before, what it has now, or what it had at
 * an earlier msync(); of a page that commits, also a part.
 */
#ifndef CRASH_WRITEBACK_H
#define CRASH_WRITEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Nothing is known: what is in the file is what the media hold. */
void writeback_forget(void);
/* Look at the file: at each msync(), and where a process ends. */
void writeback_look(void);
/* What has not been synced by now is others' business, unless it is stored to again. */
void writeback_disown(void);
/* The pages [first, end) of the file are durable. */
void writeback_land(uint64_t first, uint64_t end);
/* The media get what the file shows, to be taken back by media_revert. */
void writeback_land_all(void);
/* The same for bytes that a page has had. */
void writeback_poke(uint64_t page, const unsigned char *bytes);

/*
 * A page that commits (a slot with a record in it, a superblock) and has no copy yet
 * that is durable reaches the file alone, when all else is there.  NULL, or what is wrong.
 */
const char *writeback_order(void);
/*
 * No page that commits waits to be written; while its handle is not closed one may whose other
 * copy is durable.  NULL, or what is wrong.
 */
const char *writeback_settled(bool closed);

/* Put each state into the media, and call @judge. */
void writeback_try(void (*judge)(void *arg), void *arg, uint64_t seed);
/* Tell of the state that is being judged. */
void writeback_print(FILE *stream);

#endif
