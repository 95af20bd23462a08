/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of the host that bytes of the image go to, with holes where those have holes. */
#ifndef SPARSE_FILE_H
#define SPARSE_FILE_H

#include "cli.h"

struct sparse_file {
	const char *name;
	int fd;
	bool regular;		/* else it gets all bytes, zeros too */
	int error;		/* 0 or -errno of the last write */
	/** Called after each write, may be NULL. */
	void (*progress)(void *arg, size_t length);
	void *progress_arg;
};

/** Create it, or empty it.  The image itself is refused.  0 or -errno in cli->error. */
int sparse_file_open(struct cli *cli, struct sparse_file *file, const char *name);
/** Copy [@offset, @end) of @inode to its start, and close it; what is written of it stays after a failure. */
int sparse_file_fill(struct cli *cli, struct sparse_file *file, struct cowdax *fs, uint64_t inode,
		     uint64_t offset, uint64_t end);

#endif
