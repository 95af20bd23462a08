// SPDX-License-Identifier: GPL-2.0-or-later
/* Makes a command one whose image has bad pages: at the addresses in $POISON. */
#include <stdlib.h>

#include "poison.h"

__attribute__((constructor)) static void poison_some(void)
{
	char *next = getenv("POISON");

	while (next && *next)
		poison_page(strtoull(next, &next, 0));
}
