/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One operation with all that it needs: it can be printed, kept, and done again elsewhere. */
#ifndef MODEL_OP_H
#define MODEL_OP_H

#include <stdint.h>
#include <stdio.h>

#include "model.h"
#include "random.h"

enum op_kind {
	OP_CREATE,
	OP_MKDIR,		/* parents: those above it, too */
	OP_REMOVE,		/* recursive */
	OP_WRITE,
	OP_STREAM,
	OP_READ,
	OP_TRUNCATE,		/* to length */
	OP_FALLOCATE,
	OP_PROMISE,		/* preallocate, fill the image up, and write to what was preallocated */
	OP_CLONE,		/* path to path2 */
	OP_CLONE_RANGE,
	OP_MAP,
	OP_BEGIN,
	OP_COMMIT,
	OP_ABORT,
	OP_REOPEN,
	OP_READER,		/* open a reader, or see that it sees still what it saw, and close it */
	OP_DRY_RUN,		/* a write that does not take place */
	OP_DRAIN,		/* let the image undo all it holds in limbo */
	OP_CLEAR,		/* remove everything */
	OP_KINDS
};

/* Somebody else changes the file while its stream is being read. */
enum interloper { INTERLOPER_NONE, INTERLOPER_WRITE, INTERLOPER_TRUNCATE, INTERLOPER_REMOVE };

struct op {
	enum op_kind kind;
	char *path, *path2;
	uint64_t offset, offset2, length;
	uint64_t seed;			/* of the bytes, and of how paths are spelled */
	unsigned int handle;		/* the one to use when no transaction is open */
	uint32_t mode;
	enum cowdax_fallocate_mode fallocate;
	bool keep_size, parents, recursive;
	/* of a stream */
	bool append, truncate, no_create, fails;
	bool sparse;			/* it has holes */
	uint64_t given;			/* bytes that the source has */
	uint64_t chunk;
	enum interloper interloper;
};

/* What a configuration is like; see main.c. */
struct config {
	uint32_t block_size, node_size;
	uint64_t image_size;
	uint64_t fs_offset;
	bool forced_pm;			/* PMEM_IS_PMEM_FORCE */
	bool crowded;			/* never mind how full the image is */
	uint64_t max_file;		/* bytes */
	unsigned int max_entries;
};

/* The next operation, chosen by what there is. */
void op_generate(struct op *op, const struct config *config, const struct model *model,
		 bool in_transaction, struct random *random);
void op_free(struct op *op);
void op_copy(struct op *to, const struct op *from);
void op_print(FILE *file, const struct op *op);

#endif
