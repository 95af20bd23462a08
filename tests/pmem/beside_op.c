// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations as text: what a failure prints, --replay and the written cases are read from. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../model/memory.h"
#include "beside.h"

/* What follows the verb: f and F are files, o and O their offsets, l a length. */
static const struct verb {
	const char *name, *arguments;
	enum op_kind kind;
	bool keep_size;
} verbs[] = {
	{"create", "f", OP_CREATE, false},
	{"remove", "f", OP_REMOVE, false},
	{"write", "fol", OP_WRITE, false},
	{"truncate", "fl", OP_TRUNCATE, false},
	{"clone", "Ff", OP_CLONE, false},
	{"clone-range", "FOfol", OP_CLONE_RANGE, false},
	{"allocate", "fol", OP_ALLOCATE, false},
	{"allocate-keep", "fol", OP_ALLOCATE, true},
	{"punch", "fol", OP_PUNCH, false},
	{"zero", "fol", OP_ZERO, false},
	{"zero-keep", "fol", OP_ZERO, true},
	{"unshare", "fol", OP_UNSHARE, false},
};
#define VERBS (sizeof(verbs) / sizeof(*verbs))

static const struct verb *verb_of(enum op_kind kind, bool keep_size)
{
	for (size_t i = 0; i < VERBS; i++)
		if (verbs[i].kind == kind && verbs[i].keep_size == keep_size)
			return &verbs[i];
	return NULL;
}

const char *op_name(enum op_kind kind)
{
	return verb_of(kind, false)->name;
}

static void print_argument(FILE *file, const struct op *op, char what)
{
	switch (what) {
	case 'f':
		fprintf(file, " %c", (char)('a' + op->file));
		break;
	case 'F':
		fprintf(file, " %c", (char)('a' + op->from));
		break;
	case 'o':
		fprintf(file, " %" PRIu64, op->offset);
		break;
	case 'O':
		fprintf(file, " %" PRIu64, op->from_offset);
		break;
	default:
		fprintf(file, " %" PRIu64, op->length);
	}
}

void op_print(FILE *file, const struct op *op)
{
	const struct verb *verb = verb_of(op->kind, op->keep_size);

	fputs(verb->name, file);
	for (const char *what = verb->arguments; *what; what++)
		print_argument(file, op, *what);
}

/* ---- reading ------------------------------------------------------------------------- */

static bool parse_file(const char *word, unsigned int *file)
{
	*file = (unsigned int)(word[0] - 'a');
	return word[0] >= 'a' && *file < FILES && !word[1];
}

/* Bytes, or KiB with a k behind. */
static bool parse_number(const char *word, uint64_t *number)
{
	char *end;

	*number = strtoull(word, &end, 10);
	if (end != word && *end == 'k') {
		*number *= 1024;
		end++;
	}
	return end != word && !*end;
}

static bool parse_argument(const char *word, char what, struct op *op)
{
	if (!word)
		return false;
	switch (what) {
	case 'f':
		return parse_file(word, &op->file);
	case 'F':
		return parse_file(word, &op->from);
	case 'o':
		return parse_number(word, &op->offset);
	case 'O':
		return parse_number(word, &op->from_offset);
	default:
		return parse_number(word, &op->length);
	}
}

static bool parse_one(char *text, struct op_list *list)
{
	char *rest, *word = strtok_r(text, " \n", &rest);
	const struct verb *verb = verbs;
	struct op op = {0};

	if (!word)
		return true;
	while (verb < verbs + VERBS && strcmp(verb->name, word) != 0)
		verb++;
	if (verb == verbs + VERBS)
		return false;
	op.kind = verb->kind;
	op.keep_size = verb->keep_size;
	for (const char *what = verb->arguments; *what; what++)
		if (!parse_argument(strtok_r(NULL, " \n", &rest), *what, &op))
			return false;
	op_list_add(list, &op);
	return !strtok_r(NULL, " \n", &rest);
}

bool op_parse(const char *text, struct op_list *list)
{
	char *copy = get_string(text), *rest, *part = strtok_r(copy, ";", &rest);
	bool good = true;

	for (; part && good; part = strtok_r(NULL, ";", &rest)) {
		good = parse_one(part, list);
		if (!good)
			fprintf(stderr, "beside: operation %zu of \"%s\" cannot be read\n",
				list->count + 1, text);
	}
	free(copy);
	return good;
}

void op_list_add(struct op_list *list, const struct op *op)
{
	if (list->count == list->room) {
		list->room = 2 * list->room + 64;
		list->op = more_memory(list->op, list->room * sizeof(*list->op));
	}
	list->op[list->count++] = *op;
}

void op_list_free(struct op_list *list)
{
	free(list->op);
	*list = (struct op_list){0};
}
