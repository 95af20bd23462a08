/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An open image: what cowdax.h's handle is inside. */
#ifndef CDX_IMAGE_H
#define CDX_IMAGE_H

#include "fs/orphan.h"
#include "fs/path.h"
#include "pmem/range.h"
#include "iomap/stage.h"

struct cowdax {
	char *path;			/* for messages */
	unsigned int flags;		/* enum cowdax_open_flags */
	struct cdx_device device;
	struct cdx_super super;
	bool backup_super;		/* which is the backup */
	struct cdx_txn txn;
	struct cdx_stage stage;		/* the one long write this handle may have under way */
	struct cdx_range range;		/* the one range of a file that this handle has locked */
	struct { uint64_t inode, first, count; } wanted;	/* the one that was found busy */
	bool explicit_txn;		/* opened by cowdax_begin */
	bool failed;			/* and something in it went wrong */
	bool sparing;			/* the second try, space having run out in the first */
	bool held_back;			/* a reader kept some of what was freed from being used again */
	const volatile unsigned char *alive;	/* reads 0 in a forked child (R10) */
	void *scratch;			/* a block's worth */
	struct { uint64_t inode; char *path; } known;	/* looked up last: for messages */
	uint64_t subject;		/* the inode that is worked on, where no path is given */
};

/* @inode was found at @path: messages about it can say so. */
void cdx_image_remember(struct cowdax *fs, const char *path, uint64_t inode);
/*
 * What every public function on a handle begins and ends with, by itself or in
 * cdx_image_change() and cdx_image_look(): see cdx_error_begin().  A failure has a
 * sentence about @what (NULL: fs->subject) or, where that is more to the point, the image.
 */
void cdx_image_enter(struct cowdax *fs, struct cowdax_error *error);
int cdx_image_leave(const struct cowdax *fs, int code, const char *what, struct cowdax_error *error);
/* -EPERM in a process that did not open the handle. */
int cdx_image_usable(const struct cowdax *fs, struct cowdax_error *error);
/* The same, and -EROFS where nothing can be changed, nor is in a dry run. */
int cdx_image_writable(const struct cowdax *fs, struct cowdax_error *error);
/* For what takes transactions of its own: usable, none is open (-EINVAL), and not opened for reading only (-EROFS). */
int cdx_image_transactable(const struct cowdax *fs, struct cowdax_error *error);

/*
 * Run @op in a transaction: the open one, or one of its own that is committed
 * when it succeeds.  When space runs out, limbo is drained and @op gets a second
 * chance; @op must then start from nothing.  @what names the object in messages;
 * NULL: by fs->subject.
 */
typedef int cdx_image_op(struct cowdax *fs, void *args, struct cowdax_error *error);
int cdx_image_change(struct cowdax *fs, cdx_image_op *op, void *args, struct cowdax_result *result,
		     const char *what, struct cowdax_error *error);
/*
 * For operations that change a file's data: is [offset, offset + length) of it
 * under another handle's long write?  Then -EINPROGRESS, and the operation is
 * run again when the range is free.  COWDAX_TO_END as length for all that follows.
 */
int cdx_image_check_range(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length);
/*
 * The operation has taken no space for data: what else it takes was set aside when its
 * blocks were preallocated, and may be drawn upon.  Not so among other changes.
 */
void cdx_image_claim_promised(struct cowdax *fs);
/* Lock a range for a long write, before its first transaction. */
int cdx_image_lock_range(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length,
			 struct cowdax_error *error);
/* Run @op on one commit: the open transaction's state, or the newest there is. */
int cdx_image_look(struct cowdax *fs, cdx_image_op *op, void *args, const char *what,
		   struct cowdax_error *error);
/* Make room after ENOSPC, as much as there is to make: try again.  -ENOSPC in a dry run. */
int cdx_image_make_room(struct cowdax *fs, struct cowdax_error *error);

/*
 * Take over what bases keep that nobody else has; with @all, what several have as well.  In
 * transactions of its own: what is done when it fails stays done.
 */
int cdx_image_unhide(struct cowdax *fs, bool all, struct cowdax_error *error);

/*
 * After a removal was committed: take apart what it left as orphans.  -EUCLEAN, @what
 * named, when that met damage; what else stops it is left to later writers.
 */
int cdx_image_tidy(struct cowdax *fs, const char *what, struct cowdax_error *error);

/*
 * After ENOSPC of a change that takes from @inode what lies between two blocks: make
 * the ways to both its own, node by node, each in a transaction.  Nothing of it can be
 * seen.  1 when that came to something, so that the change is worth another try.
 */
int cdx_image_own(struct cowdax *fs, uint64_t inode, uint64_t from, uint64_t to, struct cowdax_error *error);

/* Writes longer than this are staged: their bytes are not copied under the commit lock. */
#define CDX_IMAGE_LONG (UINT64_C(1) << 20)
/* A long write of bytes in memory, between cdx_image_enter() and cdx_image_leave(). */
int cdx_image_write_staged(struct cowdax *fs, uint64_t inode, const void *bytes, uint64_t length,
			   uint64_t offset, struct cowdax_result *result, struct cowdax_error *error);

#endif
