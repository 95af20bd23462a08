/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that fail when they are told to.  The test is linked with --wrap for each
 * (see Makemodule.am), so that what the library calls is counted here first.
 */
#ifndef FAIL_INJECT_H
#define FAIL_INJECT_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
	FAULT_ALLOCATION,		/* malloc and its kind: NULL */
	FAULT_READ,			/* of the media: -EIO */
	FAULT_PREPARE,			/* no backing store: -ENOSPC */
	FAULT_LOCK,			/* taking one, or asking for one: ENOLCK */
	FAULT_UNLOCK,			/* it stays locked */
	FAULT_FENCE,			/* -EIO */
	FAULT_MAPPING,			/* mmap: ENOMEM */
	FAULTS
};
extern const char *const fault_names[FAULTS];
/* The errno, positive, that says so. */
extern const int fault_codes[FAULTS];

/* Which call fails: the n-th of its kind, counted from 1, and all after it if it fails for good. */
struct injection {
	enum fault fault;
	uint64_t n;			/* 0: none */
	bool for_good;
};

/* From here to the end calls are counted. */
void inject_start(const struct injection *injection);
/* Whether the n-th call has been reached.  Calls of each kind: in inject_calls. */
bool inject_end(void);
extern uint64_t inject_calls[FAULTS];

/* Bytes of the media, [start, end), that cannot be read at all; by cdx_pmem_read(). */
struct inject_bad { uint64_t start, end; };
extern struct inject_bad inject_bad[2];

/* Stores to where there is no backing store, since preparing it has failed: SIGBUS, were it true. */
extern uint64_t inject_unbacked_stores;

/* Pieces of memory that have been allocated and not freed; pins of nodes that are held. */
extern int64_t inject_memory, inject_pins;

#endif
