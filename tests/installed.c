// SPDX-License-Identifier: GPL-2.0-or-later
/* A user of the installed library: make installcheck builds and runs it. */
#include <cowdax.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct cowdax_error error;
	struct cowdax *fs;

	if (argc != 2 || strcmp(cowdax_version(), argv[1]) != 0) {
		fprintf(stderr, "libcowdax says that it is %s\n", cowdax_version());
		return 1;
	}
	return cowdax_open("/nonexistent", NULL, &fs, &error) == 0;
}
