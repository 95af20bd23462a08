/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading from the host: a hole is passed over by two seeks, however long it is. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

#define NO_HOLE UINT64_MAX

int input_open(struct cli *cli, struct input *input, const char *name)
{
	bool is_stdin = !name || strcmp(name, "-") == 0;
	struct stat st;

	*input = (struct input){ .name = is_stdin ? "standard input" : name, .left = NO_HOLE };
	if (is_stdin && cli->batch_is_stdin)
		return cli_fail(cli, -EINVAL, "standard input: is the batch itself; "
				"use --input or --pattern");
	input->fd = is_stdin ? STDIN_FILENO : io_open(name, O_RDONLY, 0);
	if (input->fd < 0)
		return cli_fail_errno(cli, input->fd, name);
	if (fstat(input->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		input->sparse = true;
		input->size = (uint64_t)st.st_size;
	}
	return 0;
}

void input_close(struct input *input)
{
	if (input->fd != STDIN_FILENO)
		io_close(input->fd);
}

static int fail(struct input *input, int code)
{
	input->error = code;
	return code;
}

ssize_t input_read(struct input *input, void *buffer, size_t length)
{
	ssize_t done;

	if (length > input->left)
		length = (size_t)input->left;
	done = io_read(input->fd, buffer, length);
	if (done < 0)
		return fail(input, (int)done);
	if (input->left != NO_HOLE)
		input->left -= (uint64_t)done;
	return done;
}

/* Where it is not a hole any more from @at on: at the end of the file when no data comes. */
static off_t find_data(const struct input *input, off_t at)
{
	off_t data = lseek(input->fd, at, SEEK_DATA);
	struct stat st;

	if (data >= 0 || errno != ENXIO)
		return data;
	if (fstat(input->fd, &st))
		return -1;
	return st.st_size > at ? st.st_size : at;
}

/* Bytes come next: how many, unless others change the file meanwhile. */
static int64_t find_hole(struct input *input, off_t at)
{
	off_t hole = lseek(input->fd, at, SEEK_HOLE);

	/* At its end there is none; what is appended later counts as bytes. */
	input->left = hole > at ? (uint64_t)(hole - at) : NO_HOLE;
	return lseek(input->fd, at, SEEK_SET) < 0 ? fail(input, -errno) : 0;
}

int64_t input_pass_hole(struct input *input, uint64_t length)
{
	off_t at, data;

	if (!input->sparse || (input->left && input->left != NO_HOLE))
		return 0;
	at = lseek(input->fd, 0, SEEK_CUR);
	data = at < 0 ? at : find_data(input, at);
	if (data < 0) {
		input->sparse = false;
		input->left = NO_HOLE;
		return 0;
	}
	if (data == at)
		return find_hole(input, at);
	if ((uint64_t)(data - at) > length)
		data = at + (off_t)length;
	input->left = 0;
	return lseek(input->fd, data, SEEK_SET) < 0 ? fail(input, -errno) : data - at;
}
