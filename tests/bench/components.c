// SPDX-License-Identifier: GPL-2.0-or-later
/* What a small write is made of, measured apart: to explain a miss. */
#include "bench.h"

#include <fcntl.h>
#include <libpmem.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "fixture.h"

#define LOCKS (((off_t)1 << 62) - 4096)	/* beyond the data; none of the library's */

struct parts {
	struct image image;
	struct floor floor;
	int fd;
	volatile uint32_t sink;
};

static void lock(int fd, int command, short type)
{
	struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = LOCKS, .l_len = 1};

	if (fcntl(fd, command, &range))
		die("locking: it fails");
}

static void lock_pair(struct parts *parts)
{
	lock(parts->fd, F_OFD_SETLK, F_WRLCK);
	lock(parts->fd, F_OFD_SETLK, F_UNLCK);
}

static void lock_query(struct parts *parts)
{
	lock(parts->fd, F_OFD_GETLK, F_WRLCK);
}

static void checksum(struct parts *parts)
{
	parts->sink = cdx_crc32c(0, pattern, 1024);
}

static void empty_commit(struct parts *parts)
{
	image_begin(&parts->image);
	image_commit(&parts->image);
}

static void stream(const struct parts *parts, size_t length)
{
	unsigned char *block = parts->floor.map + random_below(parts->floor.blocks) * BLOCK;

	pmem_memcpy(block, pattern, length, PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
}

static void store(const struct parts *parts, size_t length)
{
	stream(parts, length);
	pmem_drain();
}

static void store_node(struct parts *parts)
{
	store(parts, 1024);
}

static void store_line(struct parts *parts)
{
	store(parts, 64);
}

/*
 * The lower bound of a 4 KiB write, as it is made now: what it asks the kernel, stores and
 * checks (the row "parts" counts it), and nothing that finds out what to store.
 */
static void bare_write(struct parts *parts)
{
	lock(parts->fd, F_OFD_SETLK, F_WRLCK);
	stream(parts, BLOCK);
	for (int node = 0; node < 2; node++) {
		parts->sink = cdx_crc32c(0, pattern, 900);
		stream(parts, 900);
	}
	pmem_drain();
	parts->sink = cdx_crc32c(0, pattern, 1600);
	stream(parts, 1600);
	pmem_drain();
	stream(parts, 1600);
	lock(parts->fd, F_OFD_SETLK, F_UNLCK);
}

static const struct {
	const char *what;
	void (*run)(struct parts *);
	double most;			/* floors; 0: there is no goal */
} components[] = {
	{"part: OFD lock and unlock", lock_pair, 0},
	{"part: F_OFD_GETLK, nobody holds one", lock_query, 0},
	{"part: CRC32C of 1 KiB (a node)", checksum, 0},
	{"part: store of a 1 KiB node, and fence", store_node, 0},
	{"part: store of 64 bytes, and fence", store_line, 0},
	{"parts: all that a 4 KiB write stores, checks and asks", bare_write, 0},
	{"part: empty commit", empty_commit, 5},
};

void bench_components(void)
{
	struct parts parts = {0};

	image_make(&parts.image, "parts", 64 * MIB, true);
	floor_make(&parts.floor, GIB);
	parts.fd = open(parts.image.path, O_RDWR | O_CLOEXEC);
	if (parts.fd < 0)
		die("%s: cannot be opened", parts.image.path);
	for (size_t i = 0; i < sizeof(components) / sizeof(components[0]); i++) {
		struct line line = {components[i].what, "floor", components[i].most > 0 ? AT_MOST : NO_GOAL,
				    components[i].most};
		struct pair pair = {0};

		for (int batch = 0; batch < repeat(40, 10); batch++) {
			for (int turn = 0; turn < 500; turn++) {
				uint64_t started = now();

				components[i].run(&parts);
				side_add(&pair.a, started);
			}
			floor_batch(&parts.floor, &pair.b, 500);
			pair_end_batch(&pair);
		}
		report_pair(&line, &pair);
		pair_clear(&pair);
	}
	close(parts.fd);
	floor_remove(&parts.floor);
	image_remove(&parts.image);
}
