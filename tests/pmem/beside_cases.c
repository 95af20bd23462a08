// SPDX-License-Identifier: GPL-2.0-or-later
/* Written cases: each what a user might do, and where a copy-on-write goes wrong when it does. */
#include "beside.h"

static const struct { const char *name, *operations; } cases[] = {
	{"a clone shares all blocks", "create a; write a 0 64k; clone a b"},
	{"a clone of a clone",
	 "create a; write a 0 64k; clone a b; clone b c; write b 0 4k; write c 60k 4k"},
	{"a write at the begin of a clone", "create a; write a 0 64k; clone a b; write b 0 100"},
	{"a write in the middle of a clone, inside one block",
	 "create a; write a 0 64k; clone a b; write b 30000 100"},
	{"a write over the edge of two blocks",
	 "create a; write a 0 64k; clone a b; write b 32700 200"},
	{"a write over several blocks, unaligned at both ends",
	 "create a; write a 0 64k; clone a b; write b 5000 20000"},
	{"a write of whole blocks", "create a; write a 0 64k; clone a b; write b 8k 8k"},
	{"a write at the end of a clone",
	 "create a; write a 0 65000; clone a b; write b 64900 100"},
	{"a write over the end of a clone",
	 "create a; write a 0 65000; clone a b; write b 64900 10000"},
	{"a write from the end of a clone on",
	 "create a; write a 0 65000; clone a b; write b 65000 10"},
	{"a write behind the end of a clone, in the same block",
	 "create a; write a 0 65000; clone a b; write b 65100 10"},
	{"a write far behind the end of a clone",
	 "create a; write a 0 65000; clone a b; write b 100k 100"},
	{"a write into the original",
	 "create a; write a 0 64k; clone a b; write a 5000 100; write b 5000 100"},
	{"a second write into a block already copied",
	 "create a; write a 0 64k; clone a b; write b 5000 100; write b 5050 100"},
	{"one byte at a block's first and last place",
	 "create a; write a 0 64k; clone a b; write b 8k 1; write b 16383 1"},
	{"a write into a hole of a clone", "create a; truncate a 64k; clone a b; write b 5000 100"},
	{"a write from data into a hole",
	 "create a; write a 0 8k; truncate a 64k; clone a b; write b 8000 1000"},
	{"a write from a hole into data", "create a; write a 8k 8k; clone a b; write b 8000 1000"},
	{"a write over a hole between data",
	 "create a; write a 0 8k; write a 16k 8k; clone a b; write b 8000 10000"},
	{"a write into an unwritten range of a clone",
	 "create a; allocate a 0 64k; clone a b; write b 5000 100"},
	{"a write from data into an unwritten range",
	 "create a; allocate a 0 64k; write a 0 8k; clone a b; write b 8000 1000"},
	{"a write from an unwritten range into data",
	 "create a; allocate a 0 64k; write a 8k 8k; clone a b; write b 8000 1000"},
	{"a write over several extents, holes and unwritten ranges",
	 "create a; write a 0 4k; write a 8k 4k; allocate a 16k 8k; write a 28k 4k; "
	 "write a 24k 4k; clone a b; write b 2000 28000"},
	{"a write over shared and private blocks in turn",
	 "create a; write a 0 32k; clone a b; write b 4k 4k; write b 12k 4k; write b 20k 4k; "
	 "write b 2000 25000"},
	{"writes of more than 1 MiB",
	 "create a; write a 100 1200000; clone a b; write b 50000 1100000; write a 3 1100001"},
	{"a clone that replaces longer contents",
	 "create a; write a 0 10000; create b; write b 0 64k; clone a b"},
	{"a clone of an empty file, and onto itself",
	 "create a; clone a b; clone a a; write a 0 100; clone a a"},
	{"a file of a few bytes",
	 "create a; write a 0 100; clone a b; write b 50 10; write b 200 10; truncate a 50"},

	{"a range cloned into another file",
	 "create a; write a 0 64k; create b; write b 0 64k; clone-range a 8k b 32k 16k"},
	{"a range cloned behind the end",
	 "create a; write a 0 64k; create b; write b 0 5000; clone-range a 8k b 32k 16k"},
	{"a range cloned behind the end of a clone",
	 "create a; write a 0 5000; clone a b; clone-range a 0 b 32k 4k"},
	{"a last partial block cloned to the end",
	 "create a; write a 0 10000; create b; clone-range a 8k b 8k 0; clone-range a 0 b 0 8k"},
	{"a range with holes and unwritten blocks cloned over data",
	 "create a; write a 0 4k; allocate a 8k 4k; write a 20k 4k; create b; write b 0 32k; "
	 "clone-range a 0 b 4k 24k"},
	{"a range cloned inside one file",
	 "create a; write a 0 64k; clone-range a 0 a 32k 16k; write a 34k 100"},
	{"a file's end cloned behind itself",
	 "create a; write a 0 10000; clone a b; clone-range a 8k a 16k 0"},
	{"ranges that cannot be cloned",
	 "create a; write a 0 64k; create b; write b 0 64k; clone-range a 100 b 0 4k; "
	 "clone-range a 0 b 100 4k; clone-range a 0 b 0 100; clone-range a 60k b 0 8k; "
	 "clone-range a 0 a 4k 8k; clone-range a 128k b 0 0"},
	{"a partial block that cannot be cloned into a file's middle",
	 "create a; write a 0 10000; create b; write b 0 64k; clone-range a 8k b 8k 0; "
	 "clone-range a 8k c 0 100; clone-range a 8k c 0 0"},
	{"files that are not there",
	 "write a 0 1; truncate a 5; punch a 0 4k; clone a b; clone-range a 0 b 0 0; remove a; "
	 "create a; create a; remove a"},

	{"a hole punched into a clone", "create a; write a 0 64k; clone a b; punch b 8k 8k"},
	{"a hole punched unaligned", "create a; write a 0 64k; clone a b; punch b 5000 20000"},
	{"a hole punched inside one block", "create a; write a 0 64k; clone a b; punch b 5000 100"},
	{"a hole punched at the begin and over the end",
	 "create a; write a 0 65000; clone a b; punch b 0 100; punch b 60000 20000"},
	{"a hole punched behind the end, in the last block",
	 "create a; write a 0 65000; clone a b; punch b 65100 50"},
	{"a hole punched over holes and unwritten ranges",
	 "create a; allocate a 8k 16k; write a 32k 8k; clone a b; punch b 10000 30000; "
	 "punch a 10000 30000"},
	{"a range zeroed in a clone",
	 "create a; write a 0 64k; clone a b; zero b 8k 8k; zero a 20000 100"},
	{"a range zeroed unaligned", "create a; write a 0 64k; clone a b; zero b 5000 20000"},
	{"a range zeroed over a hole's edges",
	 "create a; write a 0 8k; truncate a 64k; clone a b; zero b 5000 20000"},
	{"a few bytes zeroed in a hole and in an unwritten range",
	 "create a; truncate a 64k; allocate a 32k 8k; clone a b; zero b 5000 100; "
	 "zero b 33000 100"},
	{"a range zeroed over the end",
	 "create a; write a 0 65000; clone a b; zero b 60000 20000; zero-keep a 60000 20000"},
	{"a range zeroed behind the end, in the last block",
	 "create a; write a 0 65000; clone a b; clone a c; zero b 65100 50; "
	 "zero-keep c 65100 50"},
	{"a range zeroed, then cloned and written to",
	 "create a; write a 0 64k; zero a 8k 16k; clone a b; write b 10000 100"},
	{"a clone unshared", "create a; write a 0 64k; clone a b; unshare b 0 64k"},
	{"a part of a clone unshared",
	 "create a; write a 0 64k; clone a b; unshare b 5000 20000; unshare a 30000 1"},
	{"a range with holes unshared",
	 "create a; write a 8k 8k; write a 32k 8k; clone a b; unshare b 0 64k"},
	{"an unwritten range unshared",
	 "create a; allocate a 0 16k; write a 4k 4k; clone a b; unshare b 0 16k"},
	{"a block used twice in one file unshared",
	 "create a; write a 0 16k; clone-range a 0 a 16k 16k; unshare a 0 32k"},
	{"the last partial block unshared",
	 "create a; write a 0 65000; clone a b; unshare b 0 128k"},
	{"a range allocated over shared data and holes",
	 "create a; write a 8k 8k; clone a b; allocate b 0 64k; write b 3000 10000"},
	{"a range allocated behind the end",
	 "create a; write a 0 5000; clone a b; allocate-keep b 0 64k; write b 20000 100"},
	{"what is allocated behind the end, and a clone of it",
	 "create a; write a 0 5000; allocate-keep a 0 64k; clone a b; truncate b 30000; "
	 "write b 40000 10"},
	{"ranges of no length",
	 "create a; write a 0 64k; punch a 0 0; zero a 0 0; unshare a 0 0; allocate a 0 0"},

	{"a clone cut inside a block", "create a; write a 0 64k; clone a b; truncate b 30000"},
	{"a clone cut at a block's end", "create a; write a 0 64k; clone a b; truncate b 32k"},
	{"a clone cut to nothing and written anew",
	 "create a; write a 0 64k; clone a b; truncate b 0; write b 5000 100"},
	{"a clone made longer",
	 "create a; write a 0 65000; clone a b; truncate b 65100; truncate b 128k"},
	{"a clone cut and made longer: no old bytes",
	 "create a; write a 0 64k; clone a b; truncate b 30000; truncate b 64k; "
	 "write b 40000 10"},
	{"a clone set to the size it has",
	 "create a; write a 0 65000; allocate-keep a 0 128k; clone a b; truncate b 65000; "
	 "truncate a 65000"},
	{"the original removed",
	 "create a; write a 0 64k; clone a b; write b 5000 100; remove a; write b 5000 5000"},
};

void run_cases(struct setting *setting)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct op_list list = {0};

		if (!op_parse(cases[i].operations, &list))
			die("%s", cases[i].name);
		run_list(setting, &list, cases[i].name);
		op_list_free(&list);
	}
}
