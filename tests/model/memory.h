/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory or the end: a test has nothing to do without. */
#ifndef MODEL_MEMORY_H
#define MODEL_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *more_memory(void *old, size_t length)
{
	void *memory = realloc(old, length ? length : 1);

	if (!memory) {
		fputs("Bail out! out of memory\n", stdout);
		exit(99);
	}
	return memory;
}

/* Zeroed. */
static inline void *get_memory(size_t length)
{
	return memset(more_memory(NULL, length), 0, length);
}

static inline char *get_string(const char *string)
{
	size_t length = strlen(string) + 1;

	return memcpy(more_memory(NULL, length), string, length);
}

#endif
