/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The care that the three standard streams need: no error of theirs is lost, and
 * nothing unquoted gets into a message, not even through getopt (law L7).
 */
#include "streams.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "quote.h"

static struct {
	const char *program;
	int failure_status;
	FILE *raw_stderr;
	void (*sigpipe)(int);	/* as the caller has it */
	int stdout_errno;	/* of the first write to stdout that failed */
	bool stdout_told;	/* that it failed */
} streams;

FILE *streams_raw_stderr(void)
{
	return streams.raw_stderr;
}

void streams_message(const char *prefix, const char *text)
{
	fprintf(stderr, "%s: %s\n", prefix, text);
}

/* stderr is unbuffered: what comes here is one message, and only its last newline ends it. */
static ssize_t write_message(void *cookie, const char *text, size_t length)
{
	bool ends = length > 0 && text[length - 1] == '\n';
	char *quoted = malloc(QUOTE_ROOM(length));

	(void)cookie;
	if (!quoted)
		return 0;
	fprintf(streams.raw_stderr, "%s%s", quote_copy(quoted, text, length - ends),
		ends ? "\n" : "");
	free(quoted);
	return (ssize_t)length;
}

int streams_write_stdout(const void *bytes, size_t length)
{
	return io_write(STDOUT_FILENO, bytes, length);
}

/* stdio keeps that a write failed, not why: errno is another's by the time one asks. */
static ssize_t write_output(void *cookie, const char *bytes, size_t length)
{
	int ret = streams_write_stdout(bytes, length);

	(void)cookie;
	if (ret && !streams.stdout_errno)
		streams.stdout_errno = -ret;
	return ret ? 0 : (ssize_t)length;
}

int streams_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	streams.stdout_told = true;
	return streams.stdout_errno ? -streams.stdout_errno : -ENOMEM;
}

/* What was printed must have arrived, --help and --version included. */
static void finish_stdout(void)
{
	int ret;

	if (streams.stdout_told)
		return;
	ret = streams_flush();
	if (!ret)
		ret = io_close(STDOUT_FILENO);
	if (!ret || ret == -EBADF)
		return;
	fprintf(stderr, "%s: standard output: %s\n", streams.program, strerror(-ret));
	_exit(streams.failure_status);
}

/*
 * A closed descriptor 0, 1 or 2 would be given to the image, and messages
 * would go into it.  Occupy it such that using it fails.
 */
static void occupy_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			io_open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY, 0);
}

/* Where there is no memory for it, nothing is printed rather than anything unquoted. */
static void replace_streams(void)
{
	static const cookie_io_functions_t output = { .write = write_output };
	static const cookie_io_functions_t messages = { .write = write_message };
	FILE *out = fopencookie(NULL, "w", output), *quoted = fopencookie(NULL, "w", messages);

	if (!out || !quoted)
		_exit(streams.failure_status);
	streams.raw_stderr = stderr;
	setvbuf(quoted, NULL, _IONBF, 0);
	stderr = quoted;
	if (isatty(STDOUT_FILENO))
		setvbuf(out, NULL, _IOLBF, BUFSIZ);
	stdout = out;
}

void streams_die_of_sigpipe(void)
{
	signal(SIGPIPE, streams.sigpipe);
}

void streams_start(const char *program, int usage_status, int failure_status)
{
	streams.program = program;
	streams.failure_status = failure_status;
	occupy_standard_descriptors();
	streams.sigpipe = signal(SIGPIPE, SIG_IGN);	/* EPIPE and EFBIG are errors that can be told */
	signal(SIGXFSZ, SIG_IGN);
	argp_err_exit_status = usage_status;
	replace_streams();
	atexit(finish_stdout);
}
