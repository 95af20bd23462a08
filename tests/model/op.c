// SPDX-License-Identifier: GPL-2.0-or-later
#include "op.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "memory.h"

void op_free(struct op *op)
{
	free(op->path);
	free(op->path2);
	*op = (struct op){0};
}

void op_copy(struct op *to, const struct op *from)
{
	*to = *from;
	to->path = from->path ? get_string(from->path) : NULL;
	to->path2 = from->path2 ? get_string(from->path2) : NULL;
}

/* As a C string; long runs of one byte in short. */
static void print_path(FILE *file, const char *path)
{
	fputs(" \"", file);
	for (const unsigned char *at = (const unsigned char *)path; *at;) {
		size_t run = 1;

		while (at[run] == *at)
			run++;
		if (*at == '"' || *at == '\\')
			fprintf(file, "\\%c", *at);
		else if (isprint(*at))
			fputc(*at, file);
		else
			fprintf(file, "\\%03o", *at);
		if (run > 8)
			fprintf(file, "{%zu}", run);
		at += run > 8 ? run : 1;
	}
	fputc('"', file);
}

static void print_stream(FILE *file, const struct op *op)
{
	static const char *const interlopers[] = {
		"", " while another writes", " while another truncates", " while another removes",
	};

	if (op->append)
		fputs(" append", file);
	else
		fprintf(file, " at %" PRIu64, op->offset);
	if (op->length == COWDAX_TO_END)
		fprintf(file, " all of %" PRIu64, op->given);
	else
		fprintf(file, " %" PRIu64 " of %" PRIu64, op->length, op->given);
	if (op->chunk)
		fprintf(file, " chunk %" PRIu64, op->chunk);
	fprintf(file, "%s%s%s%s%s", op->sparse ? " with holes" : "", op->truncate ? " truncate" : "", op->no_create ? " no-create" : "",
		op->fails ? " from a source that fails" : "", interlopers[op->interloper]);
}

void op_print(FILE *file, const struct op *op)
{
	static const char *const names[OP_KINDS] = {
		"create", "mkdir", "remove", "write", "stream", "read", "truncate", "fallocate", "promise", "clone",
		"clone-range", "map", "begin", "commit", "abort", "reopen", "reader", "dry-run", "drain",
		"clear",
	};
	static const char *const modes[] = {"unwritten", "punch", "zero", "unshare"};

	fprintf(file, "%s", names[op->kind]);
	if (op->kind == OP_FALLOCATE)
		fprintf(file, " %s%s", modes[op->fallocate], op->keep_size ? " keep-size" : "");
	if (op->parents || op->recursive)
		fputs(op->parents ? " parents" : " recursive", file);
	if (op->path)
		print_path(file, op->path);
	if (op->kind == OP_CLONE_RANGE)
		fprintf(file, " at %" PRIu64, op->offset2);
	if (op->path2)
		print_path(file, op->path2);
	if (op->kind == OP_STREAM)
		print_stream(file, op);
	else if (op->kind == OP_TRUNCATE)
		fprintf(file, " to %" PRIu64, op->length);
	else if (op->length == COWDAX_TO_END)
		fprintf(file, " at %" PRIu64 " to the end", op->offset);
	else if (op->length || op->offset)
		fprintf(file, " at %" PRIu64 " length %" PRIu64, op->offset, op->length);
	fprintf(file, " [handle %u, seed %#" PRIx64 "]\n", op->handle, op->seed);
}
