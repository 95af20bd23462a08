/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program of one command; Makemodule.am says which: -DVERB=write_verb. */
#include "lib/run.h"
#include "verbs.h"

#ifndef VERB
#define VERB info_verb	/* for tools that look at this file alone */
#endif

int main(int argc, char **argv)
{
	return run_main(&VERB, argc, argv);
}
