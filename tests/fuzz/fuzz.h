/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FUZZ_H
#define FUZZ_H

#include "damage.h"

/* Look at all of the image at @path, change it, and check it before and after. */
void exercise(const char *path);

/* Change @image by the numbers that follow from @seed. */
void mutate(struct image *image, uint64_t seed);

/* Hostile images that were found to matter, by name. */
extern const struct damage finds[];

#endif
