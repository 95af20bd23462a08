/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image in a file of an ordinary filesystem, which the library maps through
 * the page cache, by the backend that is shipped.  Its calls of msync() are traced
 * (linked with --wrap=msync).
 */
#ifndef CRASH_FILE_H
#define CRASH_FILE_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096

struct file_watch {
	/* Something is about to be synced. */
	void (*before)(void *arg);
	/* It has been: the pages [first, end) of the file. */
	void (*after)(void *arg, uint64_t first, uint64_t end);
	void *arg;
};

/* Make it, without a name, in the working directory or wherever there is more than a tmpfs. */
void file_make(void);
/* Whether the kernel maps it as persistent memory: asked by ourselves, not by the library. */
bool file_is_dax(void);
/* Give it the length and the bytes of the media. */
void file_load(void);
const char *file_path(void);
/* What any process sees in it, synced or not. */
const unsigned char *file_bytes(void);
/* From now on tell @watch; NULL: nobody. */
void file_trace(const struct file_watch *watch);

#endif
