/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold of every state that a crash leaves. */
#ifndef CRASH_JUDGE_H
#define CRASH_JUDGE_H

#include <stdio.h>

#include "content.h"
#include "flight.h"

struct judge_options {
	unsigned int nested;		/* crash again in one of so many first uses; 0: never */
	unsigned int older;		/* look at the image before in one of so many; 0: never */
	uint64_t seed;
	bool full;			/* there may be no space left in the image */
};

struct judge {
	struct judge_options options;
	uint64_t judged;		/* different states */
	uint64_t nested;		/* of these, after a second crash */
	char why[768];			/* what was wrong with the last one */
	struct content found;		/* what it shows */
	struct known *known;		/* what has been judged, by hash */
	size_t known_count, known_room;
	struct journal journal;		/* of the first use */
	unsigned int steps;		/* operations in it */
	struct flight flight;
	struct states states;
};

/*
 * Judge the media as they are, which they are again afterwards.  True when
 * all is well: then *content is what the image shows.  It may be known from before.
 */
bool judge_state(struct judge *judge, uint64_t *content);
/*
 * The same when a filesystem is being made: there may be none yet.  Unless the one
 * before may be there still, what can be opened is complete: @begun.
 */
bool judge_remake(struct judge *judge, bool begun, uint64_t *content, uint64_t *backup_content);
/* Take the newest commit away: the one before is whole, too; *content is what it shows. */
bool judge_older(struct judge *judge, uint64_t *content);
/* Whether the state that the media have has been judged before by the same rules: with this result. */
bool judge_knows(const struct judge *judge, uint64_t rules, uint64_t *content);
/* From now on it has; false when it had. */
bool judge_note(struct judge *judge, uint64_t rules, uint64_t content);
/* The same, and count it if it had not. */
bool judge_count(struct judge *judge, uint64_t rules, uint64_t content);
/* Whether the image can be used, and again after another crash; *content is what it shows. */
bool judge_use(struct judge *judge, uint64_t content);
void judge_free(struct judge *judge);

#endif
