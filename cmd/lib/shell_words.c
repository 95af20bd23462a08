/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line split into words, quoted as for a POSIX shell; nothing is expanded. */
#include "shell_words.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char blanks[] = " \t\n";

/* Move the text up to the closing quote from *@from to *@to. */
static int unquote(char **from, char **to)
{
	char quote = *(*from)++;

	for (; **from != quote; *(*to)++ = *(*from)++) {
		if (quote == '"' && **from == '\\' && (*from)[1] && strchr("\\\"$`", (*from)[1]))
			(*from)++;
		if (!**from)
			return -EINVAL;
	}
	(*from)++;
	return 0;
}

/* Move one word from *@from to @to, and end it there. */
static int take_word(char **from, char *to)
{
	bool last;

	while (**from && !strchr(blanks, **from)) {
		if (**from == '\'' || **from == '"') {
			if (unquote(from, &to))
				return -EINVAL;
			continue;
		}
		if (**from == '\\' && !*++*from)
			return -EINVAL;
		*to++ = *(*from)++;
	}
	last = !**from;
	*to = '\0';
	if (!last)
		(*from)++;
	return 0;
}

int shell_words_split(char *line, char **words, int room)
{
	int count = 0;

	for (;;) {
		line += strspn(line, blanks);
		if (!*line || *line == '#')
			break;
		if (count == room)
			return -E2BIG;
		words[count++] = line;
		if (take_word(&line, words[count - 1]))
			return -EINVAL;
	}
	words[count] = NULL;
	return count;
}
