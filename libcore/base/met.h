/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses met so far: what the image says of itself need not be a tree. */
#ifndef CDX_MET_H
#define CDX_MET_H

#include <stddef.h>
#include <stdint.h>

/* A hash table, at most half full; all zero is an empty one. */
struct cdx_met {
	uint64_t *address;		/* 0 is nobody's */
	size_t room, n;
};

/* 1 when @address, not 0, is new, 0 when it has been met, -ENOMEM. */
int cdx_meet(struct cdx_met *met, uint64_t address);
void cdx_met_exit(struct cdx_met *met);

#endif
