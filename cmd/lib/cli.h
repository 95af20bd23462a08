/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One command, one run of it, and what it says when it fails. */
#ifndef CLI_H
#define CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cowdax.h"
#include "report.h"

struct cli;

enum cli_verb_flags {
	CLI_CHANGES = 1,	/* changes the image: opened for writing */
	CLI_OWN_OPEN = 2,	/* works on the image by its name: nothing is opened for it */
	CLI_OWN_DRY_RUN = 4,	/* --dry-run, if any, is among its own options */
	CLI_MAY_LOOK = 8,	/* works on an image that cannot be written, too: see cli->cannot_change */
};

enum cli_option_kind {
	CLI_FLAG,		/* sets a bool */
	CLI_SIZE,		/* sets a struct cli_number of bytes */
	CLI_TEXT,		/* sets a const char * */
	CLI_IGNORED,		/* sets nothing */
};

struct cli_number {
	bool given;
	uint64_t value;
};

/** One option of a command, and the field of its arguments that it sets. */
struct cli_option {
	const char *name;		/* "offset" for --offset, or NULL */
	char letter;			/* 'o' for -o, or 0 */
	bool alias;			/* shown as another form of the option before it */
	enum cli_option_kind kind;
	const char *value;		/* what --help calls it; NULL: takes none */
	size_t field;			/* offset in cli->arguments */
	/** Called instead, when not NULL. */
	error_t (*set)(struct argp_state *state, struct cli *cli, char *text);
	const char *help;
};

/** One command: the program cowdax-NAME, and a word of cowdax-batch. */
struct cli_verb {
	const char *name;		/* as "command" in JSON */
	const char *program;		/* as messages begin */
	const char *operands;		/* as --help shows them */
	const char *summary;		/* the rest of --help */
	int min_operands, max_operands;	/* beyond IMAGE */
	unsigned int flags;		/* enum cli_verb_flags */
	int usage_status, failure_status;	/* of the exit; 0: 2 and 1 */
	const struct cli_option *options;	/* up to one that is all zeros; may be NULL */
	size_t arguments_size;		/* of cli->arguments, which start as zeros */
	/** What makes a complete command line wrong usage; may be NULL. */
	error_t (*check)(struct argp_state *state, struct cli *cli);
	/**
	 * Whether to run in a transaction, which waits for every other writer; NULL: never.
	 * What makes one change through cli->report.result needs none.
	 */
	bool (*wants_transaction)(struct cli *cli);
	/** Do it.  0, a positive exit status, or -errno with cli->error set. */
	int (*run)(struct cli *cli);
	/** Print what run() did; called before the commit, only with -v, -n or --json. */
	void (*report)(struct cli *cli);
};

/** One run of one command. */
struct cli {
	const struct cli_verb *verb;
	char prefix[64];		/* of messages: the program, or the line of a batch */
	bool quiet, verbose, json, dry_run;
	bool batch_line;		/* a line of a batch: IMAGE is open already */
	bool batch_is_stdin;		/* so a line cannot read it */
	bool in_transaction;		/* a batch's or its own: see run_in_transaction() */
	bool batch_transaction;		/* that is the batch's, which may still be undone */
	bool commits_early;		/* as it goes on: reported at its end */
	bool cannot_change;		/* the image is open for looking only; why is in error */
	struct cowdax_open_options open;
	struct timespec now;		/* what open.time points to, when SOURCE_DATE_EPOCH is set */
	const char *image;
	char **operands;		/* beyond IMAGE */
	int operand_count;
	void *arguments;
	struct cowdax *fs;
	struct report report;
	struct cowdax_error error;
};

/** Whether something is to be printed about a change. */
bool cli_reports(const struct cli *cli);

/** Set cli->error and return @code, a negative errno. */
int cli_fail(struct cli *cli, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** The same with strerror(-@code) as the reason. */
int cli_fail_errno(struct cli *cli, int code, const char *what);
/** Write out stdout; its failure is the command's. */
int cli_flush(struct cli *cli);
/** Print the verb's report, unless it was printed before; 0 or -errno. */
int cli_report(struct cli *cli);
/** "PROGRAM: warning: …", unless --quiet. */
void cli_warn(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** A usage error: message, then EINVAL for the parser to return. */
error_t cli_usage(struct argp_state *state, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** Parse the size @text given for @what, or complain. */
error_t cli_parse_size(struct argp_state *state, const char *what, const char *text, uint64_t *value);

#endif
