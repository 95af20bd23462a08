/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts that come from media are changed here and nowhere else (L6): a hostile
 * or damaged one that is too low, or too high, is damage, and wraps at no end.
 */
#ifndef CDX_COUNT_H
#define CDX_COUNT_H

#include <errno.h>
#include <stdint.h>

/* Take @by off *@counter; -EUCLEAN, and nothing changed, when there is not that much. */
static inline int cdx_lower(uint64_t *counter, uint64_t by)
{
	if (*counter < by)
		return -EUCLEAN;
	*counter -= by;
	return 0;
}

static inline int cdx_lower32(uint32_t *counter, uint32_t by)
{
	if (*counter < by)
		return -EUCLEAN;
	*counter -= by;
	return 0;
}

/* Add @by to *@counter; -EUCLEAN, and nothing changed, when that passes @most. */
static inline int cdx_raise(uint64_t *counter, uint64_t by, uint64_t most)
{
	if (*counter > most || by > most - *counter)
		return -EUCLEAN;
	*counter += by;
	return 0;
}

#endif
