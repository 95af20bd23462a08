// SPDX-License-Identifier: GPL-2.0-or-later
#include "storm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "stamp.h"

#define SHARED "/shared"
#define LONG_REGION ((UINT64_C(5) << 18) + 1000)	/* staged */
#define SHORT_REGION UINT64_C(30001)

/* Long and short in turn, sharing blocks with their neighbours. */
static uint64_t region_length(unsigned int region)
{
	return region % 2 ? SHORT_REGION : LONG_REGION;
}

static uint64_t region_offset(unsigned int region)
{
	return (region + 1) / 2 * LONG_REGION + region / 2 * SHORT_REGION;
}

uint64_t tick(struct storm *storm)
{
	return atomic_fetch_add(&storm->journal->tick, 1) + 1;
}

static int write_region(struct cowdax *fs, unsigned int region, uint64_t version)
{
	uint64_t length = region_length(region), inode;
	unsigned char *bytes = malloc(length);
	struct cowdax_error error;
	int ret;

	if (!bytes)
		abort();
	fill_version(bytes, region_offset(region), length, version);
	ret = cowdax_lookup(fs, SHARED, &inode, &error);
	if (!ret)
		ret = cowdax_write(fs, inode, bytes, length, region_offset(region), NULL, &error);
	free(bytes);
	if (ret && ret != -ENOSPC && ret != -EAGAIN)
		fail("%s: %s", SHARED, error.text);
	return ret;
}

static int write_logged(struct storm *storm, struct worker *worker, struct cowdax *fs, unsigned int region)
{
	uint64_t version = atomic_fetch_add(&storm->journal->versions, 1) + 1;
	struct shared_write *write;
	int ret;

	if (version >= VERSIONS)
		fail("too many writes: give VERSIONS more room");
	write = &storm->journal->shared[version];
	write->region = region;
	write->start = tick(storm);
	atomic_store(&worker->version, version);
	ret = write_region(fs, region, version);
	write->acknowledged = ret == 0;
	end_shared(storm, worker);
	return ret;
}

void make_shared(struct storm *storm, struct cowdax *fs)
{
	struct cowdax_error error;
	uint64_t inode;

	if (cowdax_create(fs, SHARED, 0644, &inode, &error))
		fail("%s", error.text);
	for (unsigned int region = 0; region < REGIONS; region++)
		if (write_logged(storm, &storm->journal->worker[0], fs, region))
			fail("no space for %s", SHARED);
}

int write_shared(struct storm *storm, struct worker *worker, struct cowdax *fs, struct random *random)
{
	return write_logged(storm, worker, fs, (unsigned int)random_below(random, REGIONS));
}

void end_shared(struct storm *storm, struct worker *worker)
{
	uint64_t version = atomic_load(&worker->version);

	if (version && !storm->journal->shared[version].end)
		storm->journal->shared[version].end = tick(storm);
	atomic_store(&worker->version, 0);
}

/* Whether @version had surely been replaced at @now. */
static bool is_replaced(struct journal *journal, uint64_t version, uint64_t now)
{
	uint64_t end = journal->shared[version].end, last = atomic_load(&journal->versions);

	for (uint64_t i = 1; end && i <= last; i++) {
		const struct shared_write *other = &journal->shared[i];

		if (other->acknowledged && other->region == journal->shared[version].region &&
		    other->start > end && other->end && other->end < now)
			return true;
	}
	return false;
}

void judge_shared(struct storm *storm, struct cowdax *fs, uint64_t seen)
{
	struct journal *journal = storm->journal;
	static unsigned char bytes[LONG_REGION];
	struct cowdax_error error;
	uint64_t inode;

	if (cowdax_lookup(fs, SHARED, &inode, &error))
		fail("%s", error.text);
	for (unsigned int region = 0; region < REGIONS; region++) {
		uint64_t length = region_length(region), now = seen ? seen : tick(storm), version;
		ssize_t got = cowdax_read(fs, inode, bytes, length, region_offset(region), &error);

		if (got < 0 || (uint64_t)got != length)
			fail("region %u: %zd bytes read, %s", region, got, got < 0 ? error.text : "too few");
		version = version_of(bytes, region_offset(region), length);
		if (version == 0 || version > atomic_load(&journal->versions))
			fail("region %u is no single write", region);
		if (journal->shared[version].region != region)
			fail("region %u holds another's bytes: write %" PRIu64, region, version);
		if (is_replaced(journal, version, now))
			fail("region %u holds write %" PRIu64 ", which has been replaced", region, version);
	}
}
