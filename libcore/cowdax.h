/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file cowdax.h
 * The public interface of libcowdax: a copy-on-write filesystem image on
 * persistent memory, worked on without mounting it.
 *
 * Conventions, unless a function says otherwise:
 *  - Functions return 0 (or a count >= 0) on success and a negative errno on
 *    failure; then *error, when the caller passed one, holds a sentence of the
 *    form "WHAT: reason", about the image, or a path or inode ("ino:N") in it; after a
 *    success it is empty.  -EUCLEAN means that the image is damaged.
 *  - Outputs are written only on success.
 *  - Sizes, offsets and addresses are bytes; addresses count from the start of
 *    the filesystem, not of the file it lies in.
 *  - A handle belongs to one thread at a time and to the process that opened
 *    it.  Threads that work at once open a handle each: the handle is the unit
 *    of locking.  fork() closes the handle's descriptor in the child, so that the
 *    child does not keep its locks; a child made around fork() (clone(2), _Fork())
 *    must call exec, or keeps them for as long as it lives.
 *  - Functions that change the image run in the handle's open transaction, or,
 *    when none is open, in one of their own that is durable when they return 0.
 *    When a function fails inside an explicit transaction, that transaction can
 *    only be aborted.
 */
#ifndef COWDAX_H
#define COWDAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COWDAX_NAME_MAX 255		/* bytes in a file name */
#define COWDAX_LABEL_MAX 64		/* bytes in a label */
#define COWDAX_TO_END UINT64_MAX	/* "as far as it goes", as a length */
#define COWDAX_ROOT_INODE 1

struct cowdax;				/* an open image */

/** Why a call failed.  The caller owns it; any function may overwrite it. */
struct cowdax_error {
	int code;			/* the negative errno returned */
	char text[512];			/* "WHAT: reason", no newline */
};

/** The version of the library, as "1.2.3". */
const char *cowdax_version(void);

/**
 * Opt in to have faults on an image's memory (bad media, an image truncated
 * while in use, a full host disk) reported as -EIO rather than kill the process:
 * installs a SIGBUS handler, once for the process.  Faults elsewhere go on to
 * the handler that was there before.
 */
int cowdax_catch_faults(void);

/* ---- opening ---------------------------------------------------------- */

enum cowdax_open_flags {
	COWDAX_RDONLY = 1,		/* map read-only, see one commit for the handle's life */
	COWDAX_DRY_RUN = 2,		/* compute everything, store nothing (maps read-only, but needs to be allowed to write) */
	COWDAX_NO_WAIT = 4,		/* -EAGAIN rather than wait for a lock */
	COWDAX_BACKUP_SUPER = 8,	/* use the backup superblock, even if the other is whole */
	COWDAX_LINGER = 16,		/* for many small reads: hold on to space between them, see below */
};

/*
 * Reading an image that others change takes a lock that keeps what is read from being used
 * again, and gives it back: two calls of the kernel, which are half of what a small read costs.
 * With COWDAX_LINGER the handle gives it back later: when it reads again and has held it for 8
 * commits or, with a newer one there, for 64 reads; when it begins a change; when it is closed.
 * It sees the newest commit all the same, each time.  But until then, for ever if it does
 * nothing, none of the space that was freed since the lock was taken can be used again by
 * others: their small writes are dearer by two fifths for it, and may get ENOSPC.
 * COWDAX_RDONLY and COWDAX_DRY_RUN hold what they see for the handle's life anyway.
 */

/** How to open; zeroed means defaults. */
struct cowdax_open_options {
	unsigned int flags;		/* enum cowdax_open_flags */
	uint64_t fs_offset;		/* where the filesystem starts in the image, bytes, a multiple of 512 */
	const struct timespec *time;	/* what changes are stamped with, copied; NULL: the clock's */
};

/**
 * Open the image at @path.  @options may be NULL.  Where its superblock is lost the
 * backup is used: see cowdax_uses_backup().
 */
int cowdax_open(const char *path, const struct cowdax_open_options *options,
		struct cowdax **fs, struct cowdax_error *error);
/** Abort what is open and let go of every lock.  NULL is allowed. */
void cowdax_close(struct cowdax *fs);

/** Whether the image was opened by its backup superblock, asked for or not: time for fsck.cowdax. */
bool cowdax_uses_backup(const struct cowdax *fs);

/** What stands behind the mapping, and so what "durable" means. */
enum cowdax_mapping {
	COWDAX_MAPPING_DEVDAX,		/* device DAX: persistent memory */
	COWDAX_MAPPING_SYNC,		/* MAP_SYNC file: persistent memory */
	COWDAX_MAPPING_FORCED,		/* PMEM_IS_PMEM_FORCE=1: treated as persistent memory */
	COWDAX_MAPPING_PAGE_CACHE,	/* page cache, made durable by msync */
};
/** "device DAX", "MAP_SYNC", "forced PM", "page cache". */
const char *cowdax_mapping_name(enum cowdax_mapping mapping);

/** Facts about an image, see cowdax_info(). */
struct cowdax_info {
	uint8_t uuid[16];
	char label[COWDAX_LABEL_MAX + 1];
	uint32_t block_size, node_size;
	uint64_t size;			/* bytes, a multiple of block_size */
	uint64_t blocks, free_blocks, limbo_blocks, shared_blocks;
	uint64_t available_blocks;	/* as struct cowdax_space has it */
	uint64_t hidden_blocks;		/* as struct cowdax_check_summary has it; UINT64_MAX: not counted */
	uint64_t reserved_blocks;	/* held for metadata and small writes; counted in free_blocks */
	uint64_t inodes;
	uint64_t transaction;
	uint64_t compat, ro_compat, incompat;
	enum cowdax_mapping mapping;
};
/** Walks the space tree and limbo, each node once: O(extents), not for hot paths. */
int cowdax_info(struct cowdax *fs, struct cowdax_info *info, struct cowdax_error *error);
/**
 * The same, with hidden_blocks.  Reads the inodes and extents of all files as well, each node
 * once, and takes memory: a bit for each block of the image.
 */
int cowdax_info_hidden(struct cowdax *fs, struct cowdax_info *info, struct cowdax_error *error);

/** How full an image is, as statfs(2) says it; see cowdax_space(). */
struct cowdax_space {
	uint32_t block_size;
	uint64_t blocks, inodes;
	uint64_t free_blocks;		/* nobody points to them: the reserves are among them */
	/*
	 * What a writer can get now: free, less what is kept for removals and commits and
	 * promised to what is preallocated; and
	 * what it gets by undoing limbo and taking what dead writers left.  Never more than
	 * that; less while subtrees wait in limbo, whose size is not known before they are
	 * taken apart (commits that write no data do so, a part each), while an older image
	 * is being read, and, by what dead writers left, while a long write is under way.
	 */
	uint64_t available_blocks;
};
/** Constant time: three lock queries at most, no tree is read. */
int cowdax_space(struct cowdax *fs, struct cowdax_space *space, struct cowdax_error *error);
/** The transaction that the handle sees (the open one's number while one is open). */
uint64_t cowdax_transaction(const struct cowdax *fs);
/** Block size in bytes. */
uint32_t cowdax_block_size(const struct cowdax *fs);
/** One feature by position in @word (0 compat, 1 ro_compat, 2 incompat): its name, or NULL when there is no such feature. */
const char *cowdax_feature_name(int word, int bit);

/* ---- transactions ----------------------------------------------------- */

/** Start a transaction: holds the commit lock until commit or abort. */
int cowdax_begin(struct cowdax *fs, struct cowdax_error *error);
/** Make all of it durable at once.  On failure nothing has changed, except
 *  after -EIO from the commit's own fence, which says "outcome unknown". */
int cowdax_commit(struct cowdax *fs, struct cowdax_error *error);
/** Forget all of it. */
void cowdax_abort(struct cowdax *fs);

/* ---- iomaps and what an operation did --------------------------------- */

enum cowdax_iomap_type { COWDAX_HOLE, COWDAX_MAPPED, COWDAX_UNWRITTEN };
enum cowdax_iomap_flags {
	COWDAX_IOMAP_NEW = 1,		/* allocated by this operation */
	COWDAX_IOMAP_SHARED = 2,	/* reached through a reference count above one */
};
struct cowdax_iomap {
	uint64_t offset, length;	/* bytes in the file */
	uint64_t address;		/* bytes in the filesystem; meaningless for a hole */
	enum cowdax_iomap_type type;
	unsigned int flags;
};

/** One turn of the two-map iterator. */
struct cowdax_step {
	uint64_t offset, length;	/* what the caller asked for in this turn */
	struct cowdax_iomap destination;
	bool has_source;		/* whether a source was looked up at all */
	struct cowdax_iomap source;
};
/** Called for every step, after its bytes are in place, before the commit.
 *  A NULL step says: the operation starts anew, forget the steps before. */
typedef void cowdax_step_fn(void *arg, const struct cowdax_step *step);

/** What an operation did; counted up, so zero it first.  As it was after a failure, but
 *  for bytes_committed. */
struct cowdax_result {
	uint64_t inode;
	uint64_t offset, length;	/* the range it worked on */
	uint64_t bytes_written;		/* the caller's bytes, holes not counted */
	uint64_t bytes_copied;		/* read from a source map */
	uint64_t bytes_zeroed;		/* zero-filled in new blocks around the caller's bytes */
	uint64_t bytes_shared;		/* made reachable a second time */
	uint64_t source_lookups;
	uint64_t bytes_committed;	/* of a write in chunks: those durable, after a failure too */
	uint64_t transaction;		/* the commit that holds it */
	cowdax_step_fn *step;		/* set by the caller, may be NULL */
	/* Set by the caller, may be NULL: called once all but the commit is done, with
	 * this result; a negative return aborts (not -ENOSPC: that makes room and tries
	 * again).  Not inside an explicit transaction. */
	int (*ready)(void *step_arg, const struct cowdax_result *result);
	void *step_arg;			/* for step and ready */
};

/* ---- names ------------------------------------------------------------- */

/** Path to inode number.  A path is absolute, with or without its leading
 *  "/"; "ino:N" names an inode.  "." and ".." work; a trailing "/" asks for a
 *  directory. */
int cowdax_lookup(struct cowdax *fs, const char *path, uint64_t *inode, struct cowdax_error *error);
/** Create an empty file; -EEXIST when something has that name. */
int cowdax_create(struct cowdax *fs, const char *path, mode_t mode, uint64_t *inode, struct cowdax_error *error);
/** Create a directory; with @parents also those above it, and an existing directory is fine. */
int cowdax_mkdir(struct cowdax *fs, const char *path, mode_t mode, bool parents, struct cowdax_error *error);
/** Remove a file, or with @recursive whatever is there; all of it or nothing.
 *  A tree is gone with one small transaction, and taken apart by more (after the
 *  commit of the caller's, if one is open), which give its space back; what a stop
 *  leaves of that is done by whoever writes next.  -EUCLEAN with "removed, but" in
 *  its text when that met damage. */
int cowdax_remove(struct cowdax *fs, const char *path, bool recursive, struct cowdax_error *error);

struct cowdax_stat {
	uint64_t inode;
	uint32_t mode;			/* type and permissions, as in st_mode */
	uint32_t uid, gid, nlink;
	uint64_t size;			/* bytes; of a directory: its entries */
	uint64_t blocks;		/* blocks mapped, of block_size (only from cowdax_stat_blocks) */
	uint64_t shared_blocks;		/* of these, reached through a count above one */
	struct timespec atime, mtime, ctime, btime;
};
/** Constant time; blocks and shared_blocks are 0. */
int cowdax_stat(struct cowdax *fs, uint64_t inode, struct cowdax_stat *st, struct cowdax_error *error);
/** The same with the blocks counted: O(extents). */
int cowdax_stat_blocks(struct cowdax *fs, uint64_t inode, struct cowdax_stat *st, struct cowdax_error *error);

struct cowdax_dirent {
	uint64_t inode;
	uint32_t type;			/* S_IFMT bits */
	const char *name;		/* valid during the call */
	size_t name_length;
};
/** Return 0 to go on, anything else to stop with that. */
typedef int cowdax_list_fn(void *arg, const struct cowdax_dirent *entry);
/** Each entry of a directory, in no useful order, without "." and "..". */
int cowdax_list(struct cowdax *fs, uint64_t inode, cowdax_list_fn *fn, void *arg, struct cowdax_error *error);

/* ---- data --------------------------------------------------------------- */

/** Bytes read: short only at end of file; holes and unwritten ranges read as zeros. */
ssize_t cowdax_read(struct cowdax *fs, uint64_t inode, void *buffer, size_t length, uint64_t offset,
		    struct cowdax_error *error);
/** Write all of @length bytes at @offset, extending the file as needed. */
int cowdax_write(struct cowdax *fs, uint64_t inode, const void *buffer, size_t length, uint64_t offset,
		 struct cowdax_result *result, struct cowdax_error *error);

/** Fill up to @length bytes of @buffer; bytes given, 0 at the end, or -errno. */
typedef ssize_t cowdax_source_fn(void *arg, void *buffer, size_t length);

/**
 * Pass over a hole of the source: up to @length bytes that are zeros and need not be given;
 * bytes passed, 0 when what comes next is bytes or the end, or -errno.  Asked before each
 * call of the source, which then gives at most what comes before the next hole.  What is
 * asked holds no lock that a source does not hold, too.
 */
typedef int64_t cowdax_hole_fn(void *arg, uint64_t length);

/** A write whose bytes come from a stream of known or unknown length. */
struct cowdax_write_request {
	const char *path;
	uint64_t offset;		/* ignored with append */
	bool append;			/* start at the end of file, as of the commit */
	bool truncate;			/* the file is just what is written (and zeros up to offset) */
	bool no_create;			/* -ENOENT rather than create it, mode 0644 */
	uint64_t length;		/* COWDAX_TO_END, or exactly so many, holes included: a source that ends early is -ENODATA and changes nothing */
	uint64_t chunk;			/* 0: one transaction for all; else one for each so many bytes that the source gives */
	cowdax_source_fn *source;
	/*
	 * May be NULL: the source has no holes.  Where it has one the file reads zero, and holds
	 * no block that the hole covers wholly, whatever was there before; a block of which the
	 * source gives a byte is written.  A hole costs the same whatever its length.
	 */
	cowdax_hole_fn *hole;
	void *source_arg;		/* for source and hole, which must not use the handle */
};
/** Write a stream into @request->path: all or nothing unless chunk is set. */
int cowdax_write_stream(struct cowdax *fs, const struct cowdax_write_request *request,
			struct cowdax_result *result, struct cowdax_error *error);

/** Where the bytes of a file go to, see cowdax_read_to(); 0 or -errno. */
typedef int cowdax_sink_fn(void *arg, const void *bytes, size_t length);
/** Hand [offset, offset+length) (cut at end of file) to @sink piece by piece: copies,
 *  so that it meets no fault. */
int cowdax_read_to(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length,
		   cowdax_sink_fn *sink, void *arg, struct cowdax_error *error);
/** The same without copies, for a sink that touches no byte itself and only lets the
 *  kernel do so, as write(2) does: where the media cannot be read that is -EFAULT, which
 *  the sink returns. */
int cowdax_read_through(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length,
			cowdax_sink_fn *sink, void *arg, struct cowdax_error *error);

/** Make @dst_path (created when missing) a clone of all of @src_path: constant time. */
int cowdax_clone(struct cowdax *fs, const char *src_path, const char *dst_path,
		 struct cowdax_result *result, struct cowdax_error *error);
/** Share a range, by the rules of FICLONERANGE; length COWDAX_TO_END or 0 is "to the end of src".
 *  @dst_path is created when missing. */
int cowdax_clone_range(struct cowdax *fs, const char *src_path, uint64_t src_offset,
		       const char *dst_path, uint64_t dst_offset, uint64_t length,
		       struct cowdax_result *result, struct cowdax_error *error);

int cowdax_truncate(struct cowdax *fs, uint64_t inode, uint64_t size,
		    struct cowdax_result *result, struct cowdax_error *error);

enum cowdax_fallocate_mode {
	COWDAX_FALLOCATE_UNWRITTEN,	/* allocate, reads as zeros */
	COWDAX_FALLOCATE_PUNCH,		/* make holes; never changes the size */
	COWDAX_FALLOCATE_ZERO,		/* zeros: unwritten where whole blocks are covered */
	COWDAX_FALLOCATE_UNSHARE,	/* private copies of shared blocks; contents unchanged */
};
int cowdax_fallocate(struct cowdax *fs, uint64_t inode, enum cowdax_fallocate_mode mode,
		     uint64_t offset, uint64_t length, bool keep_size,
		     struct cowdax_result *result, struct cowdax_error *error);

struct cowdax_extent {
	struct cowdax_iomap map;
	uint64_t references;		/* pointers to its first block; 0 for a hole */
};
/** Return 0 to go on, anything else to stop with that. */
typedef int cowdax_map_fn(void *arg, const struct cowdax_extent *extent);
/** The extents of [offset, offset+length) cut at end of file or last extent,
 *  in file order, holes included, alike and adjacent ones as one. */
int cowdax_map(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length,
	       cowdax_map_fn *fn, void *arg, struct cowdax_error *error);

/** Free space that was given back or overwritten; counted up, so zero it first. */
struct cowdax_trimmed {
	uint64_t bytes, runs;
	uint64_t transaction;		/* the last of those that it took */
};
/** Called for each run of free space: bytes from the start of the filesystem. */
typedef void cowdax_trim_fn(void *arg, uint64_t address, uint64_t length);
/**
 * Give free space back to the host (holes in a file, a discard on a block device), or with
 * @zero overwrite it, so that nothing of what was removed can be read any more.  First comes
 * free what nobody can see.  Takes transactions of its own, so not inside an explicit one;
 * what is done when it fails stays done.  @fn may be NULL.  -EOPNOTSUPP where the host takes
 * nothing back.
 */
int cowdax_trim(struct cowdax *fs, bool zero, cowdax_trim_fn *fn, void *arg, struct cowdax_trimmed *trimmed,
		struct cowdax_error *error);

/**
 * Give back what no file has any more and clones' nodes keep all the same (cowdax_info_hidden()
 * counts it), where there is space to do so in.  It is free once nobody can see it.  Takes
 * transactions of its own, so not inside an explicit one; what is done when it fails stays done.
 */
int cowdax_unhide(struct cowdax *fs, struct cowdax_error *error);

/* ---- making and checking an image --------------------------------------- */

struct cowdax_mkfs_options {
	uint32_t block_size;		/* 0: 4096 */
	uint32_t node_size;		/* 0: the default */
	uint64_t size;			/* 0: all of the file or device */
	uint64_t fs_offset;
	const char *label;		/* NULL: none */
	uint8_t uuid[16];
	uint64_t seed;			/* of all checksums: random, or derived from uuid and time */
	struct timespec time;		/* of the root directory */
	uint32_t uid, gid;		/* of the root directory */
	bool dry_run;
	bool create;			/* create the regular file when it does not exist */
	bool discard;			/* give the host back what the range held, where it can take it */
	/* May be NULL: called once nothing but the media can fail any more, before the first
	 * store; a negative return gives up. */
	int (*ready)(void *ready_arg, const struct cowdax_info *info);
	void *ready_arg;
};
/**
 * Write an empty filesystem.  The caller has looked for what would be overwritten; this
 * refuses only what is mounted or in use (-EBUSY).  Superblocks of former filesystems with
 * the same start are voided, wherever they ended.  A file that was created is gone, one that
 * has grown is as long as before, when this fails.  @info may be NULL.
 */
int cowdax_mkfs(const char *path, const struct cowdax_mkfs_options *options,
		struct cowdax_info *info, struct cowdax_error *error);

/** A cowdax filesystem in a file or device. */
struct cowdax_found {
	uint64_t fs_offset, size;	/* bytes */
};
/** Return 0 to go on, anything else to stop with that. */
typedef int cowdax_found_fn(void *arg, const struct cowdax_found *found);
/**
 * Look for cowdax filesystems, damaged ones too, that share bytes with [offset, offset +
 * length) (cut at the end) of the file or device at @path: any that starts at @offset, at 0,
 * at sector 63 or at a multiple of 1 MiB (as many as there are in 64 GiB of data), or ends
 * where the file does.  One may be told of more than once.
 */
int cowdax_find(const char *path, uint64_t offset, uint64_t length, cowdax_found_fn *fn, void *arg,
		struct cowdax_error *error);

/** The smallest filesystem that can be made with this geometry, bytes. */
uint64_t cowdax_mkfs_min_size(uint32_t block_size, uint32_t node_size);

enum cowdax_severity { COWDAX_NOTE, COWDAX_WARNING, COWDAX_ERROR };

/** One problem found by the checker.  Numbers are UINT64_MAX and strings NULL where they do not apply. */
struct cowdax_problem {
	const char *code;		/* stable, e.g. "node-checksum" */
	enum cowdax_severity severity;
	const char *message;		/* for people, one line */
	uint64_t inode;
	const char *path;
	uint64_t block;			/* first block concerned */
	uint64_t count;			/* blocks concerned */
	uint64_t found, expected;
	bool fixed;			/* by a repair: it is not there any more */
};
typedef void cowdax_problem_fn(void *arg, const struct cowdax_problem *problem);
/** Passes are 1..5; called now and then, current <= maximum. */
typedef void cowdax_progress_fn(void *arg, int pass, uint64_t current, uint64_t maximum);

struct cowdax_check_options {
	uint64_t fs_offset;
	bool backup_super;
	bool check_data;		/* read all data too; see cowdax_catch_faults() */
	cowdax_problem_fn *problem;	/* may be NULL */
	void *problem_arg;
	cowdax_progress_fn *progress;	/* may be NULL */
	void *progress_arg;
};
/**
 * What was checked.  extents: those of files, each once however many paths lead
 * to it.  shared_extents: those with a node of more than one pointer above them,
 * or with a block that another extent has too.  nodes: of all trees, each once.
 */
struct cowdax_check_summary {
	bool clean;
	uint64_t transaction, blocks, inodes, extents, shared_extents, nodes, problems;
	uint64_t fixed;			/* of the problems: they are not there any more */
	uint64_t removed_inodes;	/* of the inodes: no name leads to them, they are yet to be taken apart */
	uint64_t borrowing_nodes;	/* of the nodes: copies that have not counted all that they share yet */
	uint64_t hidden_blocks;		/* of data that no file has any more, kept by what such copies borrow from */
};
/** Check an image, mapped read-only: no store, no waiting for writers.
 *  0 when the check ran to its end (then see summary->clean), negative errno
 *  when it could not run (not an image, no such file, out of memory). */
int cowdax_check(const char *path, const struct cowdax_check_options *options,
		 struct cowdax_check_summary *summary, struct cowdax_error *error);
struct cowdax_repair_options {
	struct cowdax_check_options check;	/* its problem() is told of each once, with what has become of it */
	bool choose;			/* also where of two that are whole one is given up */
};
/**
 * Check, mend what can be mended (the manual of fsck.cowdax says what), and check again: what
 * is not found any more is fixed.  Superblocks, commit slots, the space tree and all counts, as yet.  A stop at any
 * store leaves an image that can be repaired as before.  -EBUSY when there is something to mend
 * and anybody has the image open; nothing is stored where there is nothing.
 */
int cowdax_repair(const char *path, const struct cowdax_repair_options *options,
		  struct cowdax_check_summary *summary, struct cowdax_error *error);
/** The table of problem codes: the @index-th code and message, NULL past the end. */
const char *cowdax_problem_code(size_t index, const char **message);

#ifdef __cplusplus
}
#endif
#endif
