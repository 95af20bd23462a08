/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FUZZ_H
#define FUZZ_H

#include "damage.h"
#include "draw.h"

/*
 * The first law (ARCHITECTURE 7): clean means usable.  An image that the checker calls clean lets every
 * operation work and stays clean.  One that it does not: each operation works or fails
 * with an error that says why, in bounded time, and makes nothing worse.  @image is
 * stored at @path and worked on as @draw says.  NULL, or a sentence: what broke it.
 */
const char *judge_law(const struct image *image, const char *path, struct draw *draw);

/* Change bytes of @image, as @draw says; most of the time with all checksums right again. */
void mutate(struct image *image, struct draw *draw);
/* Change what it means, with all bookkeeping right again. */
void reshape(struct image *image, struct draw *draw);
/* Link counts, reference counts, a new space tree, checksums: as the names and pointers have it. */
void rebuild(struct image *image);
/* All checksums, of all that looks like a node. */
void seal_everything(struct image *image);

/* Good images to start from: those of the damages, and more. */
#define BASES 5
/* Two names of one hash, in the base with dead writers. */
#define COLLIDING_1 "23022f6a5b7127"
#define COLLIDING_2 "9a7ef412a9a2cb"
void make_bases(struct image bases[BASES], const char *path);
/* An image as the input or seed behind @draw makes it. */
void make_case(struct image *image, const struct image bases[BASES], struct draw *draw);

/* Hostile images that were found to matter, by name. */
extern const struct damage finds[];

#endif
