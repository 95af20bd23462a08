/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A verb's table of options, handed to argp and set from what it has parsed. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>

/* Numbers beyond characters, and beyond those of the common options. */
enum { OPTION_OWN = 0x1000 };

/* What argp calls the option at @index: its letter, or a number beyond characters. */
static int option_key(const struct cli_option *options, int index)
{
	return options[index].letter ? options[index].letter : OPTION_OWN + index;
}

static bool is_last(const struct cli_option *option)
{
	return !option->name && !option->letter;
}

static error_t set_option(const struct cli_option *option, char *text, struct argp_state *state)
{
	struct cli *cli = state->input;
	char *field = (char *)cli->arguments + option->field;
	char what[32];

	if (option->set)
		return option->set(state, cli, text);
	switch (option->kind) {
	case CLI_FLAG:
		*(bool *)field = true;
		return 0;
	case CLI_SIZE:
		snprintf(what, sizeof(what), "--%s", option->name);
		((struct cli_number *)field)->given = true;
		return cli_parse_size(state, what, text, &((struct cli_number *)field)->value);
	case CLI_TEXT:
		*(const char **)field = text;
		return 0;
	case CLI_IGNORED:
		break;
	}
	return 0;
}

error_t options_parse(int key, char *text, struct argp_state *state)
{
	const struct cli *cli = state->input;
	const struct cli_option *options = cli->verb->options;
	int i;

	for (i = 0; options && !is_last(&options[i]); i++)
		if (option_key(options, i) == key)
			return set_option(&options[i], text, state);
	return ARGP_ERR_UNKNOWN;
}

struct argp_option *options_for_argp(const struct cli_option *options)
{
	struct argp_option *list;
	int i, count = 0;

	while (options && !is_last(&options[count]))
		count++;
	list = calloc((size_t)count + 1, sizeof(*list));
	if (!list)
		return NULL;
	for (i = 0; i < count; i++)
		list[i] = (struct argp_option){
			.name = options[i].name,
			.key = option_key(options, i),
			.arg = options[i].value,
			.flags = options[i].alias ? OPTION_ALIAS : 0,
			.doc = options[i].help,
		};
	return list;
}
