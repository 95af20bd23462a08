/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going through a tree of directories, each of them once whatever the image says. */
#ifndef WALK_H
#define WALK_H

#include <stdint.h>

/* A directory to be visited.  It stays in memory to the end: none is visited twice. */
struct walk_directory {
	struct walk_directory *next;	/* on the stack */
	uint64_t inode;
	char path[];
};

/* Starts as zeros. */
struct walk {
	struct walk_directory *stack;
	void *seen;			/* a tree of all that were ever on the stack */
};

/** @parent with @name behind it, to be freed; NULL without memory.  "" is @parent itself. */
char *walk_join(const char *parent, const char *name);
/**
 * Let the directory @name in @parent be the next to visit.  0, -ENOMEM, or
 * -EUCLEAN when it was met before: then the image is damaged (R20).
 */
int walk_push(struct walk *walk, const char *parent, const char *name, uint64_t inode);
/** The next one, or NULL; valid until walk_release(). */
const struct walk_directory *walk_pop(struct walk *walk);
void walk_release(struct walk *walk);

#endif
