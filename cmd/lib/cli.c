/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command says that fails, warns or is used wrongly: "WHAT: reason", as in cowdax.h. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "number.h"
#include "quote.h"
#include "streams.h"

bool cli_reports(const struct cli *cli)
{
	return cli->json || (!cli->quiet && (cli->verbose || cli->dry_run));
}

int cli_fail(struct cli *cli, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(cli->error.text, sizeof(cli->error.text), format, args);
	va_end(args);
	cli->error.code = code;
	return code;
}

int cli_fail_errno(struct cli *cli, int code, const char *what)
{
	return cli_fail(cli, code, "%s: %s", what, strerror(-code));
}

int cli_flush(struct cli *cli)
{
	int ret = streams_flush();

	return ret ? cli_fail_errno(cli, ret, "standard output") : 0;
}

int cli_report(struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;

	if (cli->report.no_memory)
		return cli_fail_errno(cli, -ENOMEM, "the report");
	if (verb->report && cli_reports(cli) && !cli->report.printed)
		verb->report(cli);
	cli->report.printed = true;
	return cli_flush(cli);
}

void cli_warn(const struct cli *cli, const char *format, ...)
{
	char text[sizeof(cli->error.text)];
	int start = snprintf(text, sizeof(text), "warning: ");
	va_list args;

	if (cli->quiet)
		return;
	va_start(args, format);
	vsnprintf(text + start, sizeof(text) - (size_t)start, format, args);
	va_end(args);
	streams_message(cli->prefix, text);
}

/* A line of a batch gets the message without the hint to try --help. */
error_t cli_usage(struct argp_state *state, const char *format, ...)
{
	const struct cli *cli = state->input;
	char text[512], quoted[QUOTE_ROOM(sizeof(text))];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (cli->batch_line)
		streams_message(cli->prefix, text);
	else
		argp_error(state, "%s", quote_copy(quoted, text, strlen(text)));
	return EINVAL;
}

error_t cli_parse_size(struct argp_state *state, const char *what, const char *text, uint64_t *value)
{
	switch (number_parse(text, value)) {
	case 0:
		return 0;
	case -ERANGE:
		return cli_usage(state, "%s: '%s' is larger than 2^63 - 1", what, text);
	default:
		return cli_usage(state, "%s: '%s' is not a number of bytes", what, text);
	}
}
