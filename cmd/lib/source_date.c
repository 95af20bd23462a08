/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SOURCE_DATE_EPOCH as reproducible-builds.org specifies it: law L8. */
#include "source_date.h"

#include <errno.h>
#include <stdlib.h>

int source_date(struct cli *cli, struct timespec *time)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	long long seconds;
	char *end;

	if (!epoch || !*epoch)
		return 0;
	errno = 0;
	seconds = strtoll(epoch, &end, 10);
	if (*end || errno || seconds < 0)
		return cli_fail(cli, -EINVAL, "SOURCE_DATE_EPOCH: '%s' is not a number of seconds",
				epoch);
	*time = (struct timespec){ .tv_sec = seconds };
	return 1;
}
