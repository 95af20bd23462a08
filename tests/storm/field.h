/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where processes and threads meet: an image on which several work at once,
 * and what makes them meet at chosen points.  No test waits for a time to pass.
 */
#ifndef FIELD_H
#define FIELD_H

#include <pthread.h>
#include <sys/types.h>

#include "../unit/unit.h"
#include "cowdax.h"
#include "stamp.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define BLOCK UINT64_C(4096)

/* The error of the last call that was given it; one a thread. */
extern _Thread_local struct cowdax_error field_error;
/* End the test unless a call of the library succeeded. */
#define MUST(call)                                                                                 \
	do {                                                                                       \
		long long ret_ = (long long)(call);                                                \
                                                                                                   \
		if (ret_ < 0)                                                                      \
			field_failed(__FILE__, __LINE__, #call, ret_);                             \
	} while (0)
_Noreturn void field_failed(const char *file, int line, const char *what, long long ret);

/* ---- images ---- */

/* A new image; its path lives as long as the test. */
const char *make_image(uint64_t size);
struct cowdax *open_image(const char *image, unsigned int flags);
/* The number of @path, which is there; of @path, created. */
uint64_t find_file(struct cowdax *fs, const char *path);
uint64_t make_file(struct cowdax *fs, const char *path);
/* Write @length bytes of @version, in one piece or as a stream; 0 or -errno. */
int write_version(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, uint64_t version);
int stream_version(struct cowdax *fs, const char *path, uint64_t offset, uint64_t length, uint64_t version);
/* End the test unless the checker finds nothing. */
void check_clean(const char *image);
/*
 * Blocks that hold no file's bytes once what was dropped may be undone, with
 * nobody reading; check_space() ends the test unless there are as many again.
 */
uint64_t settled_space(const char *image);
void check_space(const char *image, uint64_t before);

/* ---- what bytes say ---- */

/* The version of all bytes of a file's range, as version_of() tells it. */
uint64_t read_version(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length);

/* ---- meeting ---- */

/* Somebody passes when somebody else has opened: across threads and processes. */
struct gate { int fd[2]; };
void gate_make(struct gate *gate);
void gate_open(const struct gate *gate);
void gate_pass(const struct gate *gate);

/* A source of @length bytes of @version that stops on its way. */
struct source {
	uint64_t offset, length, version;	/* of the bytes; where they go in the file */
	uint64_t given;				/* so far */
	uint64_t stop_at;			/* once so many are given, stop() is called; 0: never */
	void (*stop)(void *arg);
	void *arg;
	bool endless;				/* does not tell its length before it ends */
};
ssize_t source_bytes(void *source, void *buffer, size_t length);
/* A stream of all of it into @path at source->offset. */
int write_source(struct cowdax *fs, const char *path, struct source *source);

/* Zeroed memory that forked processes share. */
void *share(size_t length);
/* Run @run(arg) in a process that ends with it; wait for it, and fail as it did. */
pid_t start_process(void (*run)(void *arg), void *arg);
void end_process(pid_t process);
/* Kill it, and wait until it is gone. */
void kill_process(pid_t process);

/*
 * Wait until @count owners wait for a lock of the image, or *@ended is not 0.
 * (After some seconds in vain go on: not every system lets one see.)
 */
void wait_for_waiters(const char *image, unsigned int count, const volatile unsigned int *ended);
unsigned int count_waiters(const char *image);

#endif
