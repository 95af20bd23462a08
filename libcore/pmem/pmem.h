/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The persistence funnel: every store to an image goes through here, and
 * nothing above knows whether it goes to persistent memory, to the page cache,
 * or to a recorder.  (The shape of PMDK's per-mapping operations table.)
 *
 * Stores are ordered by fences only: what was stored before cdx_pmem_fence()
 * returned 0 is durable, what came after may or may not be.  Stores of others
 * need a fence to be seen.
 */
#ifndef CDX_PMEM_H
#define CDX_PMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/le.h"
#include "cowdax.h"

struct cdx_pmem;

/* What a backend does; offsets are bytes in the mapping. */
struct cdx_pmem_ops {
	/* Streaming store of @length bytes: durable at the next fence. */
	void (*copy)(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
	void (*zero)(struct cdx_pmem *pm, uint64_t offset, size_t length);
	/* 0, or -EIO when durability could not be had. */
	int (*fence)(struct cdx_pmem *pm);
	void (*release)(struct cdx_pmem *pm);
};

/* A mapping with its backend.  Embedded in the device; backends extend it through `state`. */
struct cdx_pmem {
	const struct cdx_pmem_ops *ops;
	const unsigned char *base;	/* of the filesystem; read through cdx_pmem_read */
	uint64_t length;		/* bytes from base on */
	unsigned int page_shift;	/* of the kernel's pages, asked for once */
	enum cowdax_mapping kind;
	bool writable;
	bool discard;			/* dry run: stores go nowhere */
	void *map;			/* what to unmap: starts at or before base */
	size_t map_length;
	uint64_t *populated;		/* a bit for each page that surely has backing store, or NULL */
	size_t populated_length;	/* bytes mapped for it */
	bool host_full;			/* the last time that room was asked for, the file's filesystem had none */
	bool host_was_full;		/* ever since it was mapped, until nothing backed is left: prefer what is */
	int fault;			/* a store met a fault: the next fence says so */
	int fd;				/* to write through where a store meets bad media, or -1 */
	uint64_t fd_offset;		/* of base in it, bytes */
	void *state;			/* the backend's own */
};

enum cdx_pmem_flags { CDX_PMEM_WRITABLE = 1, CDX_PMEM_DISCARD = 2 };

/*
 * Map [offset, offset + length) of @fd.  Picks the backend: libpmem for device
 * DAX, MAP_SYNC and PMEM_IS_PMEM_FORCE=1 (loaded on demand: linking it costs
 * 2.5 ms at each start), else the page cache.  @fd may be closed afterwards.
 * The mapping is not inherited by forked children.
 */
int cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
		 unsigned int flags, struct cowdax_error *error);
/* For tests: like a mapping, over @bytes of memory and with a backend of the caller's. */
void cdx_pmem_wrap(struct cdx_pmem *pm, void *bytes, uint64_t length, const struct cdx_pmem_ops *ops,
		   void *state);
void cdx_pmem_unmap(struct cdx_pmem *pm);
/* In a forked child: forget the mapping, which it has not inherited. */
void cdx_pmem_disown(struct cdx_pmem *pm);

/*
 * Make sure that stores to the range find backing store (R22): a hole of a
 * sparse file is filled here, where -ENOSPC or -EIO can be returned, not by a
 * store, where it would be SIGBUS.  Cheap when the range is known to be backed.
 */
int cdx_pmem_prepare(struct cdx_pmem *pm, uint64_t offset, uint64_t length);

/*
 * Give whole pages of the range back to the host: a file gets a hole, a block device a
 * discard.  What they held is undefined afterwards, and they are prepared anew before the
 * next store.  -EOPNOTSUPP where there is nothing to give back (device DAX) or no way to.
 */
int cdx_pmem_give_back(struct cdx_pmem *pm, uint64_t offset, uint64_t length);
/* Another process may have: what is known to have backing store may have lost it. */
void cdx_pmem_forget_backing(struct cdx_pmem *pm);
/* The first part of a range that is no hole: false when there is none. */
bool cdx_pmem_next_data(const struct cdx_pmem *pm, uint64_t *offset, uint64_t *length);

/*
 * The range must have been prepared.  Where a store meets a fault, the bytes are
 * written through the file instead: that is what makes bad media good again on
 * a DAX file or a block device.  Where that fails too (device DAX has no write(2);
 * the file has been truncated) the next fence says -EIO.
 */
void cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void cdx_pmem_zero(struct cdx_pmem *pm, uint64_t offset, size_t length);
/* From one place of the mapping to another that does not overlap it.  -EIO like cdx_pmem_read. */
int cdx_pmem_move(struct cdx_pmem *pm, uint64_t to, uint64_t from, size_t length);
int cdx_pmem_fence(struct cdx_pmem *pm);
/* Whether a store has met a fault since the last fence; asking forgets it. */
int cdx_pmem_take_fault(struct cdx_pmem *pm);

/*
 * Copy @length bytes out of the mapping.  -EIO where the media cannot be read,
 * with @length bytes of *bytes undefined.
 */
int cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
/*
 * Read @count words at once, each as it is before or after what another process stores into
 * it meanwhile; of cdx_pmem_read() no two bytes need be of one time.  Offsets are multiples
 * of 8.  -EIO like cdx_pmem_read, if only one cannot be read.
 */
int cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
/* Whether a range can be read: 0, or -EIO with *bad its first byte that cannot. */
int cdx_pmem_probe(const struct cdx_pmem *pm, uint64_t offset, uint64_t length, uint64_t *bad);
/* The same as cdx_pmem_read from a place in the mapping that is known by its address. */
int cdx_pmem_fetch(void *bytes, const void *from, size_t length);

#endif
