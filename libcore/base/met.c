// SPDX-License-Identifier: LGPL-2.1-or-later
/* A set of addresses, by open addressing. */
#include "base/met.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t *place_of(const struct cdx_met *met, uint64_t address)
{
	size_t at = (size_t)(address * UINT64_C(0x9e3779b97f4a7c15)) & (met->room - 1);

	while (met->address[at] && met->address[at] != address)
		at = (at + 1) & (met->room - 1);
	return &met->address[at];
}

static int grow(struct cdx_met *met)
{
	struct cdx_met more = {.room = met->room ? 2 * met->room : 1024, .n = met->n};

	more.address = calloc(more.room, sizeof(*more.address));
	if (!more.address)
		return -ENOMEM;
	for (size_t i = 0; i < met->room; i++)
		if (met->address[i])
			*place_of(&more, met->address[i]) = met->address[i];
	free(met->address);
	*met = more;
	return 0;
}

int cdx_meet(struct cdx_met *met, uint64_t address)
{
	uint64_t *place;
	int ret = met->n < met->room / 2 ? 0 : grow(met);

	if (ret)
		return ret;
	place = place_of(met, address);
	if (*place)
		return 0;
	*place = address;
	met->n++;
	return 1;
}

void cdx_met_exit(struct cdx_met *met)
{
	free(met->address);
	*met = (struct cdx_met){0};
}
