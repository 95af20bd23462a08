/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a script: bounded lines, the line's number in every error, CR LF as LF. */
#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "shell_words.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define WORDS_MAX 4096

struct script {
	int fd;
	FILE *file;
	const char *name;
	unsigned long number;
	char *words[WORDS_MAX + 1];
	char line[LINE_MAX_BYTES + 1];
};

struct script *script_open(struct cli *cli, const char *name)
{
	struct script *script = calloc(1, sizeof(*script));

	if (!script) {
		cli_fail_errno(cli, -ENOMEM, "the script");
		return NULL;
	}
	script->fd = STDIN_FILENO;
	script->name = "standard input";
	if (name && strcmp(name, "-") != 0) {
		script->name = name;
		script->fd = io_open(name, O_RDONLY, 0);
	}
	if (script->fd >= 0)
		script->file = io_reader(script->fd);
	if (script->file)
		return script;
	cli_fail_errno(cli, script->fd < 0 ? script->fd : -ENOMEM, script->name);
	script_close(script);
	return NULL;
}

void script_close(struct script *script)
{
	if (script && script->file)
		fclose(script->file);
	if (script && script->fd > STDIN_FILENO)
		io_close(script->fd);
	free(script);
}

unsigned long script_line(const struct script *script)
{
	return script->number;
}

bool script_is_stdin(const struct script *script)
{
	return script->fd == STDIN_FILENO;
}

/* 1 and the next line in script->line, 0 at the end. */
static int read_line(struct cli *cli, struct script *script)
{
	size_t length = 0;
	int byte;

	script->number++;
	while ((byte = getc(script->file)) != EOF && byte != '\n') {
		if (length == LINE_MAX_BYTES || byte == '\0')
			return cli_fail(cli, -EINVAL, "line %lu: %s", script->number,
					byte ? "longer than 1 MiB" : "contains a NUL byte");
		script->line[length++] = (char)byte;
	}
	if (ferror(script->file))
		return cli_fail_errno(cli, -errno, script->name);
	if (length > 0 && script->line[length - 1] == '\r')
		length--;
	script->line[length] = '\0';
	return byte != EOF || length > 0;
}

int script_next(struct cli *cli, struct script *script, char ***words)
{
	int count, ret;

	while ((ret = read_line(cli, script)) > 0) {
		count = shell_words_split(script->line, script->words, WORDS_MAX);
		if (count < 0)
			return cli_fail(cli, count, "line %lu: %s", script->number,
					count == -E2BIG ? "too many words" : "a quote is not closed");
		*words = script->words;
		if (count > 0)
			return count;
	}
	return ret;
}
