/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line split into words, quoted as for a POSIX shell. */
#ifndef SHELL_WORDS_H
#define SHELL_WORDS_H

/**
 * Split @line, in place, into @words (room for @room of them and a NULL).
 * Knows '…', "…", \ and comments, and expands nothing.  The number of words;
 * -EINVAL for a quote or backslash without its end, -E2BIG for too many words.
 */
int shell_words_split(char *line, char **words, int room);

#endif
