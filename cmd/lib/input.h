/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file or stream of the host that bytes come from, and what of it is a hole. */
#ifndef INPUT_H
#define INPUT_H

#include "cli.h"

struct input {
	const char *name;
	int fd;
	bool sparse;		/* the host tells where its holes are */
	uint64_t left;		/* bytes before the next hole, as the host saw it last */
	uint64_t size;		/* of a regular file, else 0 */
	int error;		/* 0 or -errno of what failed */
};

/** NULL or "-": standard input, refused where the batch is that.  0 or -errno in cli->error. */
int input_open(struct cli *cli, struct input *input, const char *name);
void input_close(struct input *input);
/** As cowdax_source_fn. */
ssize_t input_read(struct input *input, void *buffer, size_t length);
/** As cowdax_hole_fn; what the host cannot tell the holes of has none. */
int64_t input_pass_hole(struct input *input, uint64_t length);

#endif
