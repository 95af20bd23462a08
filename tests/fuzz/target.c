/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law as a target of libFuzzer: an input's bytes decide which good image is changed
 * where, checksums and bookkeeping follow, and what is then done to it.  Built and run by
 * tests/fuzz/hunt; what it finds is kept in tests/fuzz/corpus and replayed by make check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct image bases[BASES];
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	cowdax_catch_faults();
	snprintf(path, sizeof(path), "hunt-%ld.img", (long)getpid());
	make_bases(bases, path);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct draw draw = {.bytes = bytes, .left = length};
	struct image image;
	const char *wrong;

	make_case(&image, bases, &draw);
	wrong = judge_law(&image, path, &draw);
	image_free(&image);
	unlink(path);
	if (wrong) {
		fprintf(stderr, "BREACH %s\n", wrong);
		abort();
	}
	return 0;
}
