/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The care that the three standard streams need, so that no error of theirs is lost. */
#include "streams.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cowdax.h"

#define MESSAGE_MAX (sizeof(((struct cowdax_error *)NULL)->text) + 128)

static struct {
	const char *program;
	int failure_status;
	bool stdout_failed;	/* and said so */
} at_exit;

void streams_message(const char *prefix, const char *text)
{
	char line[MESSAGE_MAX], *byte;

	snprintf(line, sizeof(line), "%s: %s", prefix, text);
	for (byte = line; *byte; byte++)
		if (iscntrl((unsigned char)*byte))
			*byte = '?';
	fprintf(stderr, "%s\n", line);
}

int streams_flush(void)
{
	if (!ferror(stdout) && fflush(stdout) == 0)
		return 0;
	at_exit.stdout_failed = true;
	return errno ? -errno : -EIO;
}

int streams_write_stdout(const void *bytes, size_t length)
{
	while (length > 0) {
		ssize_t done = write(STDOUT_FILENO, bytes, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes = (const char *)bytes + done;
		length -= (size_t)done;
	}
	return 0;
}

/* What was printed must have arrived, --help and --version included. */
static void close_stdout(void)
{
	bool pending = __fpending(stdout) != 0;
	bool failed = ferror(stdout);

	if (at_exit.stdout_failed)
		return;
	if (fclose(stdout) != 0 && (pending || errno != EBADF))
		failed = true;
	if (!failed)
		return;
	fprintf(stderr, "%s: standard output: %s\n", at_exit.program,
		strerror(errno ? errno : EIO));
	_exit(at_exit.failure_status);
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
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

void streams_start(const char *program, int usage_status, int failure_status)
{
	occupy_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);	/* EPIPE and EFBIG are errors that can be told */
	signal(SIGXFSZ, SIG_IGN);
	argp_err_exit_status = usage_status;
	at_exit.program = program;
	at_exit.failure_status = failure_status;
	atexit(close_stdout);
}
