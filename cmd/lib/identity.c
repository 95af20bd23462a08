/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tells one new filesystem from the next: UUID, time and seed; the same from the same input (L8). */
#include "identity.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <uuid.h>

#include "cli.h"
#include "source_date.h"

int identity_parse_uuid(const char *text, uint8_t uuid[16])
{
	if (strcmp(text, "random") == 0)
		uuid_generate(uuid);
	else if (strcmp(text, "clear") == 0)
		uuid_clear(uuid);
	else if (uuid_parse(text, uuid))
		return -EINVAL;
	return 0;
}

/* SOURCE_DATE_EPOCH, or now.  1 when it was set. */
static int get_time(struct cli *cli, struct timespec *time)
{
	int ret = source_date(cli, time);

	if (ret == 0)
		clock_gettime(CLOCK_REALTIME, time);
	return ret;
}

/* 64-bit FNV-1a: with the same UUID and time the image is the same, byte for byte. */
static uint64_t derive_seed(const struct cowdax_mkfs_options *options)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325), seconds = (uint64_t)options->time.tv_sec;
	size_t i;

	for (i = 0; i < sizeof(options->uuid) + sizeof(seconds); i++) {
		hash ^= i < sizeof(options->uuid) ?
				options->uuid[i] :
				seconds >> 8 * (i - sizeof(options->uuid)) & 0xff;
		hash *= UINT64_C(0x100000001b3);
	}
	return hash;
}

int identity_choose(struct cli *cli, struct cowdax_mkfs_options *options, bool uuid_given)
{
	int epoch_given = get_time(cli, &options->time);

	if (epoch_given < 0)
		return epoch_given;
	if (!uuid_given)
		uuid_generate(options->uuid);
	if (epoch_given && uuid_given) {
		options->seed = derive_seed(options);
		return 0;
	}
	if (getrandom(&options->seed, sizeof(options->seed), 0) !=
	    (ssize_t)sizeof(options->seed))
		return cli_fail_errno(cli, -errno, "random numbers");
	return 0;
}
