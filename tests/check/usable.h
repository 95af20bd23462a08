/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef USABLE_H
#define USABLE_H

#include "damage.h"

/* What a user may do to an image; 0 or more, or -errno and why. */
struct operation {
	const char *name;
	int (*run)(struct cowdax *fs, enum base base, struct cowdax_error *error);
	bool several;			/* transactions, of which some may have gone well */
};
extern const struct operation operations[];

/* Images that come to harm, or do, though each of their nodes looks good. */
extern const struct damage crafted[];

/* Whether @code may newly appear on that image: what only a whole check could have foreseen. */
bool may_appear(const struct damage *damage, const char *code);

#endif
