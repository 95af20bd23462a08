// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The same small write, durable, on filesystems of the kernel: pwrite() and
 * fdatasync() into a fresh reflink of a file with as many extents, on a loop
 * device over a file on tmpfs.  They are mounted in a mount namespace of this
 * process's own: mounts and loop devices go away with it, however it ends.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "process.h"

#define EXTENTS 100000
#define SMALL 100
#define WRITES 300	/* into each clone */

struct peer {
	const char *name, *package, *program;
	double goal;
	const char *const *make;
};

struct mounted {
	char device[256], folder[256], original[300], clone[300];
};

static const char *const make_xfs[] = {"mkfs.xfs", "-q", "-m", "reflink=1", NULL};
static const char *const make_btrfs[] = {"mkfs.btrfs", "-q", NULL};
static const struct peer peers[] = {
	{"xfs", "xfsprogs", "mkfs.xfs", 30, make_xfs},
	{"btrfs", "btrfs-progs", "mkfs.btrfs", 30, make_btrfs},
};

static bool mount_peer(const struct peer *peer, struct mounted *at)
{
	const char *make[8] = {0};
	const char *const mount_command[] = {"mount", "-o", "loop", "-t", peer->name, at->device, at->folder,
					     NULL};
	double taken;
	int fd, n = 0;

	snprintf(at->device, sizeof(at->device), "%s/%s.device", options.directory, peer->name);
	snprintf(at->folder, sizeof(at->folder), "%s/%s", options.directory, peer->name);
	snprintf(at->original, sizeof(at->original), "%s/original", at->folder);
	snprintf(at->clone, sizeof(at->clone), "%s/clone", at->folder);
	fd = open(at->device, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)(2 * GIB)) || mkdir(at->folder, 0700))
		die("%s: %s", at->device, strerror(errno));
	close(fd);
	while (peer->make[n]) {
		make[n] = peer->make[n];
		n++;
	}
	make[n] = at->device;
	return try_program(make, NULL, &taken) && try_program(mount_command, NULL, &taken);
}

/* Direct writes: each is allocated when it comes, so that the order is kept on the media. */
static void fragment(const char *path, enum layout layout)
{
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	uint64_t *order = write_order(EXTENTS, layout);
	void *block = aligned_alloc(BLOCK, BLOCK);

	if (fd < 0 || !block || ftruncate(fd, (off_t)EXTENTS * 2 * BLOCK))
		die("%s: %s", path, strerror(errno));
	memcpy(block, pattern, BLOCK);
	for (uint64_t i = 0; i < EXTENTS; i++) {
		if (pwrite(fd, block, BLOCK, (off_t)(order[i] * BLOCK)) != BLOCK)
			die("%s: %s", path, strerror(errno));
	}
	if (fsync(fd))
		die("%s: %s", path, strerror(errno));
	close(fd);
	free(block);
	free(order);
}

static unsigned int count_extents(const char *path)
{
	struct fiemap map = {.fm_length = FIEMAP_MAX_OFFSET};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, FS_IOC_FIEMAP, &map))
		return 0;
	close(fd);
	return map.fm_mapped_extents;
}

static int peer_clone(const struct mounted *at, struct side *side)
{
	int from = open(at->original, O_RDONLY | O_CLOEXEC), to;
	uint64_t started;

	unlink(at->clone);
	to = open(at->clone, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	sync();		/* the last clone's removal is not to be paid here */
	started = now();
	if (from < 0 || to < 0 || ioctl(to, FICLONE, from) || fsync(to))
		die("%s: %s", at->clone, strerror(errno));
	side_add(side, started);
	close(from);
	return to;
}

static uint64_t random_offset(enum layout layout)
{
	return random_block(EXTENTS, layout) * BLOCK + 1 + random_below(BLOCK - SMALL - 1);
}

static void peer_writes(int fd, enum layout layout, struct side *side)
{
	for (int i = 0; i < WRITES; i++) {
		uint64_t offset = random_offset(layout), started = now();

		if (pwrite(fd, pattern, SMALL, (off_t)offset) != SMALL || fdatasync(fd))
			die("a peer's write: %s", strerror(errno));
		side_add(side, started);
	}
}

static void library_writes(struct image *image, uint64_t inode, enum layout layout, struct side *side)
{
	for (int i = 0; i < WRITES; i++) {
		uint64_t offset = random_offset(layout), started = now();

		image_write(image, inode, pattern, SMALL, offset);
		side_add(side, started);
	}
}

static uint64_t library_clone(struct image *image, bool again, struct side *side)
{
	struct cowdax_error error = {0};
	uint64_t started, inode = 0;

	if (again)
		must(cowdax_remove(image->fs, "/clone", false, &error), &error);
	started = now();
	must(cowdax_clone(image->fs, "/original", "/clone", NULL, &error), &error);
	side_add(side, started);
	must(cowdax_lookup(image->fs, "/clone", &inode, &error), &error);
	return inode;
}

static void compare(const struct peer *peer, const struct mounted *at, struct image *image, enum layout layout)
{
	struct pair writes = {0}, clones = {0};
	struct line line = {.against = "library"};
	char what[128];

	for (int batch = 0; batch < repeat(6, 3); batch++) {
		int fd = peer_clone(at, &clones.a);
		uint64_t inode = library_clone(image, batch, &clones.b);

		peer_writes(fd, layout, &writes.a);
		library_writes(image, inode, layout, &writes.b);
		pair_end_batch(&writes);
		pair_end_batch(&clones);
		close(fd);
	}
	snprintf(what, sizeof(what), "%s: 100-byte pwrite + fdatasync into a clone%s", peer->name,
		 layout == SHUFFLED ? ", shuffled" : "");
	line.what = what;
	line.goal = peer->goal > 0 ? AT_LEAST : NO_GOAL;
	line.bound = peer->goal;
	report_pair(&line, &writes);
	snprintf(what, sizeof(what), "%s: whole-file clone, %u extents", peer->name, count_extents(at->original));
	line.goal = NO_GOAL;
	report_pair(&line, &clones);
	pair_clear(&writes);
	pair_clear(&clones);
}

static const char *why_not(const struct peer *peer, char *text, size_t room)
{
	if (geteuid())
		return "needs root";
	if (!has_program(peer->program)) {
		snprintf(text, room, "needs %s", peer->package);
		return text;
	}
	return NULL;
}

void bench_peers(void)
{
	struct image image = {0};

	if (geteuid() == 0 && (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		die("no mount namespace: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		struct mounted at;
		char what[64], text[64];
		const char *why = why_not(&peers[i], text, sizeof(text));

		snprintf(what, sizeof(what), "%s: 100-byte pwrite + fdatasync", peers[i].name);
		if (!why && !mount_peer(&peers[i], &at))
			why = "it cannot be mounted here";
		if (why) {
			report_skipped(what, why);
			continue;
		}
		for (enum layout layout = EVERY_OTHER; layout <= SHUFFLED; layout++) {
			image_make(&image, "peers", 2 * GIB, true);
			image_fragmented_file(&image, "/original", EXTENTS, layout);
			unlink(at.original);
			unlink(at.clone);
			fragment(at.original, layout);
			compare(&peers[i], &at, &image, layout);
			image_remove(&image);
		}
		umount2(at.folder, MNT_DETACH);
		unlink(at.device);
	}
}
