/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations beside those of the crash enumerator: such as look, are long, or make handles. */
#ifndef FAIL_MORE_H
#define FAIL_MORE_H

#include "operation.h"

extern const struct operation more_operations[];
extern const unsigned int more_count;

/* A hash of all that the last operation has told. */
extern uint64_t more_told;

/* Write in chunks: some of them may be there when it fails. */
int write_chunks(struct cowdax *fs);
/* Whether what is there of them is whole chunks, of the right bytes. */
bool chunks_are_whole(struct cowdax *fs);
/* For "check-bad-media": some of the media, data and a node, cannot be read; or all can again. */
void spoil_media(bool bad);

#endif
