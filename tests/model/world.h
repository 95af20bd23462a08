/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image and the model of what it should hold, side by side. */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include "cowdax.h"
#include "op.h"

/* A block of a file, as the image's map and the model have it. */
struct place {
	uint64_t address;
	uint64_t number;
	bool shared;
	const char *path;
};

struct world {
	const struct config *config;
	char image[64];			/* path */
	int fd;
	struct cowdax *handle[2];
	struct model *model;		/* what handle[txn_handle] sees */
	struct model *before;		/* what is committed, while a transaction is open; else NULL */
	unsigned int txn_handle;
	bool refused;			/* a change has failed: in a transaction, it is over */
	struct cowdax *reader;		/* another handle, which goes on seeing what it saw */
	struct model *reader_model;
	unsigned char *bytes, *back;	/* of an operation; read back */
	uint64_t back_length;
	struct place *place;
	size_t places, place_room;
	uint64_t step;
	uint64_t full;			/* operations that found no space */
	uint64_t check_every;		/* steps between full checks */
	char failure[1024];		/* what is wrong; empty while nothing is */
	unsigned int failure_kind;	/* the same for what is wrong in the same way; not 0 */
};

/* Make the image, full of old bytes, and the model.  Like all here: 0, or -1 with world->failure. */
int world_open(struct world *world, const struct config *config, uint64_t seed, uint64_t check_every);
void world_close(struct world *world);
/* Do it to both, and compare what it touched; now and then, everything. */
int world_step(struct world *world, const struct op *op);
/* Everything as it should be, then everything gone, and its space back. */
int world_finish(struct world *world);

/* Say what is wrong: -1. */
int world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
int world_open_handles(struct world *world);
void world_close_handles(struct world *world);
/* The handle that sees world->model. */
struct cowdax *world_handle(const struct world *world, const struct op *op);
/* What is committed. */
struct model *world_committed(const struct world *world);
/* The path, spelled in one of many ways; the caller frees it. */
char *world_spell(const struct model *model, const char *path, uint64_t seed);

/* The bytes of an operation, and room to read so many back: world->bytes, world->back. */
unsigned char *world_bytes(struct world *world, uint64_t seed, uint64_t length);
unsigned char *world_back(struct world *world, uint64_t length);

/* apply.c: 0, whether the image refused or not. */
int world_apply(struct world *world, const struct op *op);
int world_drain(struct world *world);
int world_clear(struct world *world);

/* apply_stream.c */
int world_apply_stream(struct world *world, const struct op *op, struct cowdax *fs);

/* outcome.c: how a change ended, see there. */
int world_outcome(struct world *world, int ret, int want, const struct cowdax_error *error);
int world_check_write(struct world *world, const struct entry *file, const struct op *op,
		      const struct cowdax_result *result);
int world_check_refused(struct world *world, const struct cowdax_result *result);

/* verify.c */
int verify_path(struct world *world, struct cowdax *fs, const struct model *model, const char *path,
		uint64_t from, uint64_t to);
int verify_all(struct world *world, struct cowdax *fs, const struct model *model, bool drained);
int verify_committed(struct world *world);

/* verify_cache.c */
int verify_cache(struct world *world, const struct cowdax *fs);

/* verify_map.c */
int verify_map(struct world *world, struct cowdax *fs, const struct entry *file, const struct cowdax_stat *st);
int verify_map_range(struct world *world, struct cowdax *fs, const struct entry *file, uint64_t offset,
		     uint64_t length);
int verify_sharing(struct world *world, bool drained);

/* verify_space.c */
int verify_space(struct world *world);
int verify_fsck(struct world *world, struct cowdax_check_summary *summary);

#endif
