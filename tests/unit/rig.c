// SPDX-License-Identifier: GPL-2.0-or-later
#include "rig.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

static void must(int ret, const struct cowdax_error *error, const char *what)
{
	if (ret >= 0)
		return;
	unit_note("%s: %d %s", what, ret, error->text);
	unit_fail(__FILE__, __LINE__, what);
}

const char *rig_make(const char *name, uint64_t size, uint32_t block_size, uint32_t node_size)
{
	struct cowdax_mkfs_options options = {
		.block_size = block_size,
		.node_size = node_size,
		.size = size,
		.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		.seed = UINT64_C(0x5eed5eed5eed5eed),
		.time = {.tv_sec = 1700000000},
		.create = true,
	};
	const char *path = unit_path(name);
	struct cowdax_error error;

	must(cowdax_mkfs(path, &options, NULL, &error), &error, "mkfs");
	return path;
}

struct cowdax *rig_open(const char *path, unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags};
	struct cowdax_error error;
	struct cowdax *fs;

	must(cowdax_open(path, &options, &fs, &error), &error, "open");
	return fs;
}

struct cowdax *rig_new(uint64_t size, uint32_t block_size, uint32_t node_size)
{
	return rig_open(rig_make("image", size, block_size, node_size), 0);
}

struct cowdax *rig_again(const struct cowdax *fs)
{
	return rig_open(fs->path, 0);
}

struct verdict { const char *allowed; uint64_t problems; };

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct verdict *verdict = arg;

	if (verdict->allowed && strncmp(problem->code, verdict->allowed, strlen(verdict->allowed)) == 0)
		return;
	unit_note("fsck: %s: %s", problem->code, problem->message);
	verdict->problems++;
}

void rig_check_but(const char *path, const char *codes)
{
	struct verdict verdict = {.allowed = codes};
	struct cowdax_check_options options = {.problem = note_problem, .problem_arg = &verdict};
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	must(cowdax_check(path, &options, &summary, &error), &error, "check");
	CHECK_EQUAL(verdict.problems, 0);
	CHECK(summary.clean || codes);
}

void rig_check(const char *path)
{
	rig_check_but(path, NULL);
}

uint64_t rig_create(struct cowdax *fs, const char *path)
{
	struct cowdax_error error;
	uint64_t inode = 0;

	must(cowdax_create(fs, path, 0644, &inode, &error), &error, path);
	return inode;
}

uint64_t rig_lookup(struct cowdax *fs, const char *path)
{
	struct cowdax_error error;
	uint64_t inode = 0;

	must(cowdax_lookup(fs, path, &inode, &error), &error, path);
	return inode;
}

void rig_remove(struct cowdax *fs, const char *path)
{
	struct cowdax_error error;

	must(cowdax_remove(fs, path, true, &error), &error, path);
}

void rig_write(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, int byte)
{
	unsigned char *bytes = malloc(length);
	struct cowdax_error error;

	CHECK(bytes);
	memset(bytes, byte, length);
	must(cowdax_write(fs, inode, bytes, length, offset, NULL, &error), &error, "write");
	free(bytes);
}

void rig_expect(struct cowdax *fs, uint64_t inode, uint64_t offset, uint64_t length, int byte)
{
	unsigned char *bytes = malloc(length);
	struct cowdax_error error;
	ssize_t got;

	CHECK(bytes);
	got = cowdax_read(fs, inode, bytes, length, offset, &error);
	must(got < 0 ? (int)got : 0, &error, "read");
	CHECK_EQUAL(got, length);
	for (uint64_t i = 0; i < length; i++) {
		if (bytes[i] == (unsigned char)byte)
			continue;
		unit_note("byte %" PRIu64 " of inode %" PRIu64 " is %02x", offset + i, inode, bytes[i]);
		unit_fail(__FILE__, __LINE__, "not the bytes written");
	}
	free(bytes);
}

struct cdx_txn *rig_begin(struct cowdax *fs)
{
	struct cowdax_error error = {0};

	must(cdx_txn_begin(&fs->txn, &error), &error, "begin");
	return &fs->txn;
}

void rig_commit(struct cowdax *fs)
{
	struct cowdax_error error = {0};

	must(cdx_txn_commit(&fs->txn, &error), &error, "commit");
}

uint64_t rig_islands(struct cowdax *fs, const char *path, uint64_t count)
{
	uint64_t inode = rig_create(fs, path);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	for (uint64_t i = 0; i < count; i++)
		rig_write(fs, inode, 2 * i * 4096, 4096, 'a');
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	return inode;
}

uint64_t rig_splintered(struct cowdax *fs, const char *path, uint64_t count)
{
	uint64_t number = rig_create(fs, path), start = 0, left = 0;
	struct cdx_txn *txn = rig_begin(fs);
	struct cdx_inode inode;

	CHECK_EQUAL(cdx_inode_load(txn, number, &inode), 0);
	for (uint64_t i = 0; i < count; i++) {
		struct cdx_extent extent = {.file_block = 2 * i, .count = 1, .unwritten = true};

		if (!left)
			CHECK_EQUAL(cdx_alloc_data(txn, count - i, &start, &left), 0);
		extent.disk_block = start++;
		left--;
		CHECK_EQUAL(cdx_extents_insert(txn, &inode.extents, &extent), 0);
	}
	inode.size = 2 * count * fs->super.block_size;
	CHECK_EQUAL(cdx_inode_store(txn, &inode), 0);
	rig_commit(fs);
	return number;
}

uint64_t rig_free_blocks(struct cowdax *fs)
{
	struct cowdax_error error;
	struct cowdax_info info;

	must(cowdax_info(fs, &info, &error), &error, "info");
	return info.free_blocks;
}

void rig_drain(struct cowdax *fs)
{
	struct cowdax_error error = {0};
	bool blocked;

	must(cdx_txn_drain_all(&fs->txn, &blocked, &error), &error, "drain");
}

/* Be user 0 in the namespace: "0 @id 1" says which user that is outside. */
static void map_id(const char *path, unsigned int id)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	dprintf(fd, "0 %u 1", id);
	close(fd);
}

/* Namespaces of its own: as root, or as a user who is root in there. */
static bool enter_namespaces(void)
{
	unsigned int uid = getuid();

	if (unshare(CLONE_NEWNS) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	map_id("/proc/self/uid_map", uid);
	return true;
}

void rig_small_host(uint64_t bytes)
{
	char folder[512], size[64];

	snprintf(folder, sizeof(folder), "%s", unit_path(""));
	snprintf(size, sizeof(size), "size=%" PRIu64, bytes);
	if (!enter_namespaces() || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", folder, "tmpfs", 0, size))
		unit_skip("may not mount a small tmpfs, as root or in a user namespace");
}
