/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cowdax VERB: becomes the program cowdax-VERB. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cowdax.h"
#include "lib/streams.h"

enum { USAGE_ERROR = 2 };

static const char summary[] =
	"Work on a copy-on-write filesystem image on persistent memory, without mounting it."
	"\v`cowdax VERB ...' runs `cowdax-VERB ...':\n\n"
	"  mkfs       make an image (mkfs.cowdax)\n"
	"  fsck       check an image (fsck.cowdax)\n"
	"  info       what an image is and how full\n"
	"  ls         list a directory\n"
	"  stat       attributes of files\n"
	"  map        where the bytes of a file lie\n"
	"  read       bytes of a file to standard output\n"
	"  write      bytes into a file\n"
	"  reflink    clone a file or share a range\n"
	"  truncate   set the size of a file\n"
	"  fallocate  preallocate, punch, zero or unshare a range\n"
	"  mkdir      create directories\n"
	"  rm         remove files and directories\n"
	"  trim       give free space back to the host, or overwrite it\n"
	"  batch      many commands on an image opened once\n"
	"  help       this, or the help of a command";

static error_t parse(int key, char *text, struct argp_state *state)
{
	char ***command = state->input;

	(void)text;
	if (key == ARGP_KEY_INIT) {
		state->err_stream = streams_raw_stderr();
		return 0;
	}
	if (key == ARGP_KEY_ARGS) {
		*command = state->argv + state->next;
		return 0;
	}
	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "missing operand: VERB");
	return ARGP_ERR_UNKNOWN;
}

static const char *program_of(const char *verb, char name[NAME_MAX])
{
	bool prefix = strcmp(verb, "mkfs") == 0 || strcmp(verb, "fsck") == 0;

	snprintf(name, NAME_MAX, prefix ? "%s.cowdax" : "cowdax-%s", verb);
	return name;
}

/* Where this program lies, a "/" behind it; or nothing. */
static void own_folder(char folder[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	folder[length < 0 ? 0 : length] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		slash[1] = '\0';
}

static void try_exec(const char *folder, const char *below, const char *program, char **command)
{
	char path[2 * PATH_MAX];

	if (*folder && snprintf(path, sizeof(path), "%s%s%s", folder, below, program) <
			       (int)sizeof(path))
		execv(path, command);
}

static void print_version(FILE *out, struct argp_state *state)
{
	fprintf(out, "%s %s\n", state->name, cowdax_version());
}

/* `cowdax help VERB' is `cowdax-VERB --help', `cowdax help' is `cowdax --help' and so ends here. */
static char **help_command(const struct argp *argp, char **command)
{
	static char program[] = "cowdax", help[] = "--help";

	if (!command[1] || strcmp(command[1], "help") == 0)
		argp_parse(argp, 2, (char *[]){ program, help, NULL }, 0, NULL, &command);
	if (command[2]) {
		fprintf(stderr, "cowdax: extra operand '%s': help [VERB]\n", command[2]);
		exit(USAGE_ERROR);
	}
	command[0] = command[1];
	command[1] = help;
	return command;
}

int main(int argc, char **argv)
{
	const struct argp argp = { NULL, parse, "VERB [ARGUMENT...]", summary, NULL, NULL, NULL };
	char folder[PATH_MAX], name[NAME_MAX], **command = NULL;
	const char *program, *verb;

	streams_start("cowdax", USAGE_ERROR, EXIT_FAILURE);
	argv[0] = (char[]){ "cowdax" };
	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &command);
	if (strcmp(command[0], "help") == 0)
		command = help_command(&argp, command);
	verb = command[0];
	program = program_of(verb, name);
	if (!strchr(verb, '/')) {
		own_folder(folder);
		try_exec(folder, "", program, command);
		try_exec(folder, "../sbin/", program, command);
		execvp(program, command);
	}
	if (strchr(verb, '/') || errno == ENOENT) {
		fprintf(stderr, "cowdax: %s: no such command; see `cowdax --help'\n", verb);
		return USAGE_ERROR;
	}
	fprintf(stderr, "cowdax: %s: %s\n", program, strerror(errno));
	return EXIT_FAILURE;
}
