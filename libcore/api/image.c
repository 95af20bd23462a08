// SPDX-License-Identifier: LGPL-2.1-or-later
/* The frame of every public function: opening, looking under a view, changing in a transaction that makes room (R7, R17). */
#include "api/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

const char *cowdax_version(void)
{
	return PACKAGE_VERSION;
}

const char *cowdax_mapping_name(enum cowdax_mapping mapping)
{
	switch (mapping) {
	case COWDAX_MAPPING_DEVDAX:
		return "device DAX";
	case COWDAX_MAPPING_SYNC:
		return "MAP_SYNC";
	case COWDAX_MAPPING_FORCED:
		return "forced PM";
	case COWDAX_MAPPING_PAGE_CACHE:
		return "page cache";
	}
	return "unknown";
}

const char *cowdax_feature_name(int word, int bit)
{
	(void)word;
	(void)bit;
	return NULL;		/* version 1 has none */
}

/* ---- opening ------------------------------------------------------------------------ */

static unsigned int device_flags(unsigned int flags)
{
	unsigned int device = 0;

	if (flags & COWDAX_DRY_RUN)
		device |= CDX_DEVICE_DISCARD;
	else if (!(flags & COWDAX_RDONLY))
		device |= CDX_DEVICE_WRITABLE;
	if (flags & COWDAX_NO_WAIT)
		device |= CDX_DEVICE_NO_WAIT;
	return device;
}

/* A byte that a forked child sees as 0: cheaper to ask than the kernel. */
static int watch_forks(struct cowdax *fs)
{
	size_t length = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *page = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -errno;
	madvise(page, length, MADV_WIPEONFORK);
	*page = 1;
	fs->alive = page;
	return 0;
}

int cdx_image_usable(const struct cowdax *fs, struct cowdax_error *error)
{
	if (*fs->alive)
		return 0;
	return cdx_error(error, -EPERM, "%s: this handle belongs to the process that opened it", fs->path);
}

int cdx_image_writable(const struct cowdax *fs, struct cowdax_error *error)
{
	if ((fs->flags & (COWDAX_RDONLY | COWDAX_DRY_RUN)) == COWDAX_RDONLY)
		return cdx_error(error, -EROFS, "%s: the image is open for reading only", fs->path);
	return cdx_image_usable(fs, error);
}

int cdx_image_transactable(const struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cdx_image_usable(fs, error);

	if (ret)
		return ret;
	if (fs->explicit_txn)
		return cdx_error(error, -EINVAL, "%s: a transaction is open", fs->path);
	if (fs->flags & COWDAX_RDONLY)
		return cdx_error(error, -EROFS, "%s: the image is open for reading only", fs->path);
	return 0;
}

static int open_image(struct cowdax *fs, const struct cowdax_open_options *options,
		      struct cowdax_error *error)
{
	int ret;

	ret = cdx_device_open(&fs->device, fs->path, options->fs_offset, device_flags(fs->flags), error);
	if (ret)
		return ret;
	fs->backup_super = fs->flags & COWDAX_BACKUP_SUPER;
	ret = cdx_super_read(&fs->device, &fs->backup_super, &fs->super, fs->path, error);
	if (!ret && !(fs->flags & COWDAX_RDONLY))
		ret = cdx_super_changeable(&fs->super, fs->path, error);
	if (ret)
		return ret;
	ret = cdx_device_map(&fs->device, fs->path, fs->super.size, error);
	if (!ret)
		ret = watch_forks(fs);
	if (!ret)
		ret = cdx_txn_init(&fs->txn, &fs->device, &fs->super);
	if (ret)
		return ret;
	fs->txn.lingers = fs->flags & COWDAX_LINGER;
	if (options->time) {
		fs->txn.now = *options->time;
		fs->txn.now_is_given = true;
	}
	fs->scratch = malloc(fs->super.block_size);
	if (!fs->scratch)
		return -ENOMEM;
	if (fs->flags & (COWDAX_RDONLY | COWDAX_DRY_RUN))
		ret = cdx_txn_view(&fs->txn, error);
	return ret;
}

int cowdax_open(const char *path, const struct cowdax_open_options *options, struct cowdax **out,
		struct cowdax_error *error)
{
	static const struct cowdax_open_options defaults;
	struct cowdax *fs = calloc(1, sizeof(*fs));
	int ret;

	cdx_error_begin(error);
	if (!options)
		options = &defaults;
	if (!fs)
		return cdx_error_end(error, -ENOMEM, path);
	fs->device.fd = -1;
	fs->flags = options->flags;
	fs->path = strdup(path);
	ret = fs->path ? open_image(fs, options, error) : -ENOMEM;
	if (ret)
		cowdax_close(fs);
	else
		*out = fs;
	return cdx_error_end(error, ret, path);
}

void cowdax_close(struct cowdax *fs)
{
	if (!fs)
		return;
	if (fs->alive && *fs->alive) {
		cdx_stage_close(&fs->stage);
	} else {
		cdx_txn_disown(&fs->txn);
		cdx_pmem_disown(&fs->device.pm);
	}
	if (fs->txn.device)
		cdx_txn_exit(&fs->txn);
	cdx_device_close(&fs->device);
	if (fs->alive)
		munmap((void *)(uintptr_t)fs->alive, (size_t)sysconf(_SC_PAGESIZE));
	free(fs->scratch);
	free(fs->known.path);
	free(fs->path);
	free(fs);
}

uint64_t cowdax_transaction(const struct cowdax *fs)
{
	return fs->txn.record.transaction;
}

bool cowdax_uses_backup(const struct cowdax *fs)
{
	return fs->backup_super;
}

uint32_t cowdax_block_size(const struct cowdax *fs)
{
	return fs->super.block_size;
}

/* ---- transactions --------------------------------------------------------------------------- */

void cdx_image_remember(struct cowdax *fs, const char *path, uint64_t inode)
{
	if (!fs->known.path || strcmp(fs->known.path, path) != 0) {
		free(fs->known.path);
		fs->known.path = strdup(path);
	}
	fs->known.inode = inode;
}

static int explain(const struct cowdax *fs, int code, const char *what, struct cowdax_error *error)
{
	char number[32];

	if (code == -EIO && cdx_device_has_shrunk(&fs->device))
		return cdx_error(error, code, "%s: was cut short while in use: %s", fs->path, strerror(EIO));
	if (code == -ENOSPC && fs->device.pm.host_full)
		return cdx_error(error, code, "%s: the filesystem that holds the image is full: %s", fs->path,
				 strerror(ENOSPC));
	if (error && error->code == code && error->text[0])
		return code;
	if (!what && fs->known.path && fs->known.inode == fs->subject)
		what = fs->known.path;
	if (!what) {
		snprintf(number, sizeof(number), "ino:%" PRIu64, fs->subject);
		what = number;
	}
	if (code == -EIO && fs->txn.unreadable.inode)
		return cdx_error(error, code, "%s: offset %" PRIu64 ": cannot be read from the media: %s",
				 what, fs->txn.unreadable.offset, strerror(EIO));
	if (code == -ENOSPC && fs->held_back)
		return cdx_error(error, code, "%s: %s: a reader still holds what was freed", what,
				 strerror(ENOSPC));
	if (code == -EUCLEAN && what == fs->path)
		return cdx_error(error, code, "%s: the image is damaged: run fsck.cowdax", what);
	if (code == -EUCLEAN)
		return cdx_error(error, code, "%s: %s: the image is damaged: run fsck.cowdax", fs->path, what);
	return cdx_error_errno(error, code, what);
}

void cdx_image_enter(struct cowdax *fs, struct cowdax_error *error)
{
	fs->txn.unreadable.inode = 0;
	fs->device.pm.host_full = false;
	cdx_error_begin(error);
}

int cdx_image_leave(const struct cowdax *fs, int code, const char *what, struct cowdax_error *error)
{
	if (code < 0)
		code = explain(fs, code, what, error);
	return cdx_error_end(error, code, fs->path);
}

/* ---- ranges ---- */

static int lock_range(struct cowdax *fs, uint64_t inode, uint64_t first, uint64_t count,
		      struct cowdax_error *error)
{
	bool wait = !(fs->flags & COWDAX_NO_WAIT);
	int ret;

	if (fs->flags & (COWDAX_DRY_RUN | COWDAX_RDONLY))
		return 0;
	cdx_txn_rest(&fs->txn);
	ret = cdx_range_lock(&fs->device, &fs->range, inode, first, count, wait);
	if (ret == -EAGAIN)
		return cdx_error(error, ret, "%s: another process is writing there", fs->path);
	return ret;
}

static void to_blocks(const struct cowdax *fs, uint64_t offset, uint64_t length, uint64_t *first, uint64_t *count)
{
	unsigned int shift = fs->super.block_shift;

	*first = offset >> shift;
	*count = length == COWDAX_TO_END || !length ? 0 : ((offset + length - 1) >> shift) - *first + 1;
}

int cdx_image_lock_range(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length,
			 struct cowdax_error *error)
{
	uint64_t first, count;

	to_blocks(fs, offset, length, &first, &count);
	return lock_range(fs, inode, first, count, error);
}

int cdx_image_check_range(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length)
{
	uint64_t first, count;
	int ret;

	if (fs->range.length || (fs->flags & COWDAX_DRY_RUN))
		return 0;	/* its own is what it needs, or nothing is changed */
	/* Nobody has anything staged.  Who holds the range and is about to will map
	 * its bytes after this change, over it: the same as if this had come first. */
	if (!fs->txn.record.staging.address)
		return 0;
	to_blocks(fs, offset, length, &first, &count);
	ret = cdx_range_busy(&fs->device, inode, first, count);
	if (ret <= 0)
		return ret;
	fs->wanted.inode = inode;
	fs->wanted.first = first;
	fs->wanted.count = count;
	return -EINPROGRESS;
}

void cdx_image_claim_promised(struct cowdax *fs)
{
	if (!fs->explicit_txn && !fs->txn.took_data)
		fs->txn.claim = CDX_CLAIM_KEPT;
}

/*
 * Begin; if there are orphans, take a piece of them apart first.  That is not this
 * caller's work: what goes wrong with it goes wrong for whoever comes next, too.
 */
static int begin_swept(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cdx_txn_begin(&fs->txn, error);

	if (ret || !cdx_orphans_wait(&fs->txn))
		return ret;
	cdx_txn_abort(&fs->txn);
	cdx_orphan_sweep(&fs->txn, CDX_ORPHAN_PIECE, NULL);
	return cdx_txn_begin(&fs->txn, error);
}

static int start(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = begin_swept(fs, error);

	if (ret)
		return ret;
	ret = cdx_stage_sweep(&fs->txn, &fs->stage, false);
	if (ret >= 0)
		return 0;
	/* Damage or a full image there must not keep others from their work. */
	if (ret == -EUCLEAN || ret == -EIO || ret == -ENOSPC) {
		cdx_txn_abort(&fs->txn);
		ret = cdx_txn_begin(&fs->txn, error);
	} else {
		cdx_txn_abort(&fs->txn);
	}
	return ret;
}

/* An explicit transaction cannot be tried again when space runs out: make room before it. */
static int start_roomy(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = start(fs, error);

	if (ret || !cdx_budget_is_low(&fs->txn) || (fs->flags & COWDAX_DRY_RUN))
		return ret;
	cdx_txn_abort(&fs->txn);
	ret = cdx_txn_drain_all(&fs->txn, &fs->held_back, error);
	return ret && ret != -ENOSPC ? ret : start(fs, error);
}

/*
 * Inside, nothing can be waited for (R12).  While nobody has anything staged no range is in
 * the way, and nobody stages while the commit lock is held; else all ranges come first.
 */
static int start_in_ranges(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = start_roomy(fs, error);

	if (ret || !fs->txn.record.staging.address)
		return ret;
	cdx_txn_abort(&fs->txn);
	ret = lock_range(fs, CDX_RANGE_ALL, 0, 0, error);
	if (ret)
		return ret;
	ret = start_roomy(fs, error);
	if (ret)
		cdx_range_unlock(&fs->device, &fs->range);
	return ret;
}

static int begin(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cdx_image_usable(fs, error);

	if (ret)
		return ret;
	fs->held_back = false;
	ret = start_in_ranges(fs, error);
	if (ret)
		return ret;
	if (fs->txn.drain == CDX_DRAIN_DUE)
		fs->txn.drain = CDX_DRAIN_LATER;
	fs->explicit_txn = true;
	fs->failed = false;
	return 0;
}

int cowdax_begin(struct cowdax *fs, struct cowdax_error *error)
{
	cdx_image_enter(fs, error);
	return cdx_image_leave(fs, begin(fs, error), fs->path, error);
}

/* Nothing comes free before the commit: many changes at once can need what each by itself does not (R17). */
static int too_many(const struct cowdax *fs, uint64_t grains, struct cowdax_error *error)
{
	if (fs->device.pm.host_full)
		return -ENOSPC;
	return cdx_error(error, -ENOSPC, "%s: %s: the transaction's changes may take %" PRIu64
			 " KiB before they give any back: make fewer at once", fs->path, strerror(ENOSPC),
			 ((grains << fs->super.grain_shift) + 1023) >> 10);
}

static int commit(struct cowdax *fs, struct cowdax_error *error)
{
	int ret = cdx_image_usable(fs, error);
	uint64_t grains;

	if (ret)
		return ret;
	if (!fs->explicit_txn)
		return cdx_error(error, -EINVAL, "%s: no transaction is open", fs->path);
	if (fs->failed) {
		cowdax_abort(fs);
		return cdx_error(error, -ECANCELED, "%s: an operation of the transaction failed", fs->path);
	}
	fs->explicit_txn = false;
	grains = cdx_budget_transaction(&fs->txn);
	ret = cdx_txn_commit(&fs->txn, error);
	cdx_range_unlock(&fs->device, &fs->range);
	if (ret == -ENOSPC)
		return too_many(fs, grains, error);
	return ret ? ret : cdx_image_tidy(fs, fs->path, error);
}

int cowdax_commit(struct cowdax *fs, struct cowdax_error *error)
{
	cdx_image_enter(fs, error);
	return cdx_image_leave(fs, commit(fs, error), fs->path, error);
}

void cowdax_abort(struct cowdax *fs)
{
	if (!*fs->alive)
		return;
	cdx_txn_abort(&fs->txn);
	if (fs->explicit_txn)
		cdx_range_unlock(&fs->device, &fs->range);
	fs->explicit_txn = false;
	fs->failed = false;
}

/* What dead writers staged, given to limbo: transactions of its own, and none for nothing. */
static int sweep_lanes(struct cowdax *fs, struct cowdax_error *error)
{
	for (;;) {
		int ret = cdx_txn_begin(&fs->txn, error);

		if (ret)
			return ret;
		fs->txn.claim = CDX_CLAIM_KEPT;
		if (cdx_stage_sweep(&fs->txn, &fs->stage, true) <= 0) {
			cdx_txn_abort(&fs->txn);
			return 0;
		}
		ret = cdx_txn_commit(&fs->txn, error);
		if (ret)
			return ret;
	}
}

/* Take all orphans apart; *some: that came to something.  -ENOSPC: not before limbo is drained. */
static int sweep_orphans(struct cowdax *fs, bool *some, struct cowdax_error *error)
{
	int ret = 0;

	*some = false;
	while (cdx_orphans_wait(&fs->txn)) {
		ret = cdx_orphan_sweep(&fs->txn, CDX_ORPHAN_PIECE, error);
		if (ret <= 0)
			return ret;
		*some = true;
	}
	return 0;
}

/* Take orphans apart and drain limbo, which pays for more of that, until nothing comes of it. */
static int take_apart(struct cowdax *fs, bool drain, bool *blocked, struct cowdax_error *error)
{
	bool some, drained_once = false;
	int ret;

	for (;;) {
		ret = sweep_orphans(fs, &some, error);
		if (ret && ret != -ENOSPC)
			return ret;
		if (drain || ret == -ENOSPC) {
			int drained = cdx_txn_drain_all(&fs->txn, blocked, error);

			if (drained && drained != -ENOSPC)
				return drained;
		}
		if (ret == 0 || (drained_once && !some))
			return ret;
		drained_once = true;
	}
}

int cdx_image_tidy(struct cowdax *fs, const char *what, struct cowdax_error *error)
{
	uint64_t broken = fs->txn.orphans.broken;
	bool blocked;

	if (!fs->txn.orphans.own)
		return 0;
	fs->txn.orphans.own = false;
	/* What fails here is done later, by others: what was asked for has been done. */
	take_apart(fs, false, &blocked, NULL);
	if (fs->txn.orphans.broken == broken)
		return 0;
	return cdx_error(error, -EUCLEAN, "%s: removed, but what was below it is damaged: run fsck.cowdax", what);
}

/* One node more that is the file's own: 1, or 0 when all are. */
static int own_once(struct cowdax *fs, uint64_t number, uint64_t from, uint64_t to, struct cowdax_error *error)
{
	struct cdx_txn *txn = &fs->txn;
	struct cdx_inode inode;
	int ret = cdx_txn_begin(txn, error), committed;

	if (ret)
		return ret;
	txn->claim = CDX_CLAIM_KEPT;
	txn->sparing = true;
	ret = cdx_inode_load(txn, number, &inode);
	if (!ret)
		ret = cdx_extents_own(txn, &inode.extents, from);
	if (!ret)
		ret = cdx_extents_own(txn, &inode.extents, to);
	if (ret > 0) {
		committed = cdx_inode_store(txn, &inode);
		if (!committed)
			committed = cdx_txn_commit(txn, error);
		ret = committed ? committed : 1;
	}
	cdx_txn_abort(txn);
	return ret;
}

int cdx_image_own(struct cowdax *fs, uint64_t inode, uint64_t from, uint64_t to, struct cowdax_error *error)
{
	int some = 0, ret;

	if (fs->explicit_txn || (fs->flags & COWDAX_DRY_RUN))
		return 0;
	for (;;) {
		ret = own_once(fs, inode, from, to, error);
		if (ret == -ENOSPC) {
			ret = cdx_image_make_room(fs, error);
			if (!ret)
				ret = own_once(fs, inode, from, to, error);
		}
		if (ret <= 0)
			return ret ? ret : some;
		some = 1;
	}
}

int cdx_image_make_room(struct cowdax *fs, struct cowdax_error *error)
{
	bool blocked = false;
	int ret;

	if (fs->device.flags & CDX_DEVICE_DISCARD)
		return -ENOSPC;
	ret = sweep_lanes(fs, error);
	if (ret && ret != -ENOSPC)
		return ret;
	ret = take_apart(fs, true, &blocked, error);
	if (ret && ret != -ENOSPC)
		return ret;
	cdx_image_enter(fs, error);
	fs->held_back = blocked;
	return 0;
}

/* Tell the caller what is about to be committed, once it cannot fail for want of space. */
static int announce(struct cowdax *fs, struct cowdax_result *result)
{
	int ret = cdx_txn_prepare(&fs->txn);

	if (ret)
		return ret;
	result->transaction = fs->txn.record.transaction;
	return result->ready(result->step_arg, result);
}

static int in_own_transaction(struct cowdax *fs, cdx_image_op *op, void *args,
			      struct cowdax_result *result, struct cowdax_error *error)
{
	int ret = start(fs, error);

	if (ret)
		return ret;
	fs->txn.sparing = fs->sparing;
	ret = op(fs, args, error);
	if (!ret && result && result->ready)
		ret = announce(fs, result);
	if (ret) {
		cdx_txn_abort(&fs->txn);
		return ret;
	}
	return cdx_txn_commit(&fs->txn, error);
}

/* The same, waiting for long writes that are in the way. */
static int when_free(struct cowdax *fs, cdx_image_op *op, void *args, struct cowdax_result *result,
		     struct cowdax_error *error)
{
	int ret = in_own_transaction(fs, op, args, result, error);

	if (ret != -EINPROGRESS)
		return ret;
	cdx_image_enter(fs, error);
	ret = lock_range(fs, fs->wanted.inode, fs->wanted.first, fs->wanted.count, error);
	if (ret)
		return ret;
	ret = in_own_transaction(fs, op, args, result, error);
	cdx_range_unlock(&fs->device, &fs->range);
	return ret;
}

static int change_explicitly(struct cowdax *fs, cdx_image_op *op, void *args, struct cowdax_error *error)
{
	int ret = op(fs, args, error);

	/* However many operations there are, memory is bounded (R18). */
	if (!ret) {
		ret = cdx_txn_relieve(&fs->txn);
		if (ret == -ENOSPC)
			too_many(fs, cdx_budget_transaction(&fs->txn), error);
	}
	fs->failed = fs->failed || ret;
	return ret;
}

/* In a transaction of its own; when space runs out, in another, once room has been made. */
static int change_roomily(struct cowdax *fs, cdx_image_op *op, void *args, struct cowdax_result *result,
			  const struct cowdax_result *before, struct cowdax_error *error)
{
	int ret;

	fs->held_back = false;
	ret = when_free(fs, op, args, result, error);
	if (ret != -ENOSPC)
		return ret;
	ret = cdx_image_make_room(fs, error);
	if (ret)
		return ret;
	if (result) {
		*result = *before;
		if (result->step)
			result->step(result->step_arg, NULL);
	}
	fs->sparing = true;
	ret = when_free(fs, op, args, result, error);
	fs->sparing = false;
	return ret;
}

int cdx_image_change(struct cowdax *fs, cdx_image_op *op, void *args, struct cowdax_result *result,
		     const char *what, struct cowdax_error *error)
{
	struct cowdax_result before = {0};
	int ret;

	cdx_image_enter(fs, error);
	if (result)
		before = *result;
	ret = cdx_image_usable(fs, error);
	if (!ret && fs->explicit_txn)
		ret = change_explicitly(fs, op, args, error);
	else if (!ret)
		ret = change_roomily(fs, op, args, result, &before, error);
	if (result && ret)
		*result = before;
	else if (result)
		result->transaction = fs->txn.record.transaction;
	return cdx_image_leave(fs, ret, what, error);
}

int cdx_image_look(struct cowdax *fs, cdx_image_op *op, void *args, const char *what,
		   struct cowdax_error *error)
{
	bool own_view = !cdx_txn_is_open(&fs->txn) && !cdx_view_is_held(&fs->txn);
	int ret;

	cdx_image_enter(fs, error);
	ret = cdx_image_usable(fs, error);
	if (!ret && own_view)
		ret = cdx_txn_view(&fs->txn, error);
	if (!ret)
		ret = op(fs, args, error);
	if (own_view)
		cdx_txn_release_view(&fs->txn);
	return cdx_image_leave(fs, ret, what, error);
}
