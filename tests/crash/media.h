/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory that holds the image under test: a memory file, mapped once.
 *
 * Whatever the library maps of it is this mapping, with a persistence backend
 * that keeps a journal: what was stored by whom over what, and where the fences
 * were.  So a run can be taken back and played again as the media saw it.
 */
#ifndef CRASH_MEDIA_H
#define CRASH_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_STORE,
	EVENT_FENCE,
	EVENT_STEP,			/* put there by the caller */
};

struct event {
	enum event_kind kind;
	unsigned int handle;		/* of whom; of a step, its number */
	uint64_t offset;		/* of a store, bytes */
	size_t length;
	size_t before, after;		/* the bytes there, before and after: in journal->bytes */
};

struct journal {
	struct event *event;
	size_t count, room;
	unsigned char *bytes;
	size_t used, bytes_room;
};

/* Of up to @most bytes. */
void media_make(uint64_t most);
/* As long as the image is that is to be in it; what it holds is lost. */
void media_resize(uint64_t length);
const char *media_path(void);
unsigned char *media_bytes(void);
uint64_t media_length(void);
/* The same bytes as when nothing had ever been stored: what a new image is made over. */
void media_stain(void);

/* ---- running ------------------------------------------------------------------ */

/* From now on stores and fences go into @journal too; NULL: no longer. */
void media_record(struct journal *journal);
void journal_step(struct journal *journal, unsigned int number);
void journal_empty(struct journal *journal);
void journal_free(struct journal *journal);
/* Take back all that the journal holds, or do it again; it stays as it is. */
void media_undo(const struct journal *journal);
void media_redo(const struct journal *journal);

#define NEVER SIZE_MAX
/*
 * Whoever is at work dies at the event of this number from now: a fence does not
 * take place, of a store the first @eighths eighths do.  What it does afterwards is
 * lost, and its fences fail.  NEVER: it lives.
 */
void media_kill_at(size_t event, unsigned int eighths);
/* Dead from now on, or alive again; whether it is dead. */
void media_kill(bool dead);
bool media_killed(void);

/* ---- word by word ---------------------------------------------------------------- */

/* Change a word of 8 bytes, to be taken back by media_revert. */
void media_poke(uint64_t word, uint64_t value);
uint64_t media_peek(uint64_t word);
size_t media_mark(void);
void media_revert(size_t mark);
/* Of the whole image, where it differs from what it was at the last media_forget. */
uint64_t media_hash(void);
/* What is poked so far stays. */
void media_forget(uint64_t hash);

#endif
