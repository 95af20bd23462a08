// SPDX-License-Identifier: GPL-2.0-or-later
/* Directories and paths.  Names are made to collide through --wrap=cdx_siphash. */
#include "fs/path.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "rig.h"

/* ---- hashes at will -------------------------------------------------------------------- */

static bool weak;	/* hash names by their first letter only */

uint64_t __real_cdx_siphash(uint64_t k0, uint64_t k1, const void *bytes, size_t length);
uint64_t __wrap_cdx_siphash(uint64_t k0, uint64_t k1, const void *bytes, size_t length);
uint64_t __wrap_cdx_siphash(uint64_t k0, uint64_t k1, const void *bytes, size_t length)
{
	if (!weak)
		return __real_cdx_siphash(k0, k1, bytes, length);
	/* The highest hash there is stands for 'z'. */
	return *(const char *)bytes == 'z' ? UINT64_MAX : (uint64_t) * (const unsigned char *)bytes << 8 | 0x77;
}

/* ---- helpers ------------------------------------------------------------------------------ */

struct lab {
	struct cowdax *fs;
	struct cdx_txn *txn;
	struct cdx_inode root;
};

static void make_lab(struct lab *lab)
{
	lab->fs = rig_new(8 * MIB, 0, 512);
	lab->txn = rig_begin(lab->fs);
	CHECK_EQUAL(cdx_inode_load(lab->txn, COWDAX_ROOT_INODE, &lab->root), 0);
}

static void free_lab(struct lab *lab)
{
	cdx_txn_abort(lab->txn);
	cowdax_close(lab->fs);
}

static int add(struct lab *lab, const char *name, size_t length, uint64_t number)
{
	struct cdx_inode inode = {.number = number, .mode = S_IFREG | 0644};

	return cdx_dir_add(lab->txn, &lab->root, name, length, &inode);
}

static int find(struct lab *lab, const char *name, size_t length, uint64_t *number)
{
	uint32_t type;
	int ret = cdx_dir_find(lab->txn, COWDAX_ROOT_INODE, name, length, number, &type);

	CHECK(ret || type == S_IFREG);
	return ret;
}

static uint64_t count_entries(struct lab *lab)
{
	struct cdx_dir_entry entry;
	uint64_t cursor = 0, count = 0;
	int ret;

	while ((ret = cdx_dir_next(lab->txn, COWDAX_ROOT_INODE, &cursor, &entry)) > 0)
		count++;
	CHECK_EQUAL(ret, 0);
	return count;
}

/* ---- names --------------------------------------------------------------------------------- */

TEST("thousands of names are found, listed once each, and go away one by one")
{
	enum { NAMES = 3000 };
	bool *listed = calloc(NAMES, sizeof(*listed));
	struct cdx_dir_entry entry;
	uint64_t cursor = 0, number;
	struct lab lab;
	char name[32];

	CHECK(listed);
	make_lab(&lab);
	for (int i = 0; i < NAMES; i++) {
		int length = snprintf(name, sizeof(name), "file-%d", i);

		CHECK_EQUAL(add(&lab, name, (size_t)length, 1000 + (uint64_t)i), 0);
	}
	CHECK_EQUAL(lab.root.size, NAMES);
	while (cdx_dir_next(lab.txn, COWDAX_ROOT_INODE, &cursor, &entry) > 0) {
		int i = atoi(entry.name + 5);

		CHECK(!listed[i]);
		listed[i] = true;
		CHECK_EQUAL(entry.inode, 1000 + i);
		CHECK_EQUAL(strlen(entry.name), entry.length);
	}
	for (int i = 0; i < NAMES; i++)
		CHECK(listed[i]);
	for (int i = 0; i < NAMES; i++) {
		int length = snprintf(name, sizeof(name), "file-%d", i);

		CHECK_EQUAL(find(&lab, name, (size_t)length, &number), 0);
		CHECK_EQUAL(number, 1000 + i);
		CHECK_EQUAL(add(&lab, name, (size_t)length, 5), -EEXIST);
		CHECK_EQUAL(cdx_dir_remove(lab.txn, &lab.root, name, (size_t)length, S_IFREG), 0);
		CHECK_EQUAL(find(&lab, name, (size_t)length, &number), -ENOENT);
		CHECK_EQUAL(cdx_dir_remove(lab.txn, &lab.root, name, (size_t)length, S_IFREG), -ENOENT);
	}
	CHECK_EQUAL(lab.root.size, 0);
	CHECK_EQUAL(count_entries(&lab), 0);
	free_lab(&lab);
	free(listed);
}

TEST("a name is any bytes but NUL and slash, up to 255 of them")
{
	struct lab lab;
	char name[256];
	uint64_t number;

	make_lab(&lab);
	for (int byte = 1; byte < 256; byte++) {
		size_t length = (size_t)byte;

		if (byte == '/')
			continue;
		memset(name, byte, length);
		name[0] = 'x';
		name[length - 1] = (char)byte;
		CHECK_EQUAL(add(&lab, name, length, 1000 + length), 0);
	}
	for (int byte = 1; byte < 256; byte++) {
		if (byte == '/')
			continue;
		memset(name, byte, (size_t)byte);
		name[0] = 'x';
		name[byte - 1] = (char)byte;
		CHECK_EQUAL(find(&lab, name, (size_t)byte, &number), 0);
		CHECK_EQUAL(number, 1000 + byte);
	}
	/* A name is not its own beginning. */
	CHECK_EQUAL(find(&lab, name, 200, &number), -ENOENT);
	CHECK_EQUAL(count_entries(&lab), 254);
	free_lab(&lab);
}

TEST("R21: names with one hash live side by side, whatever comes and goes between them")
{
	enum { NAMES = 100 };
	uint64_t number, seed = 5;
	bool have[NAMES] = {false};
	struct lab lab;
	char name[32];

	weak = true;
	make_lab(&lab);
	for (int i = 0; i < 4000; i++) {
		uint64_t which = unit_below(&seed, NAMES);
		size_t length = (size_t)snprintf(name, sizeof(name), "%c%d", "aabz"[which % 4], (int)which);

		if (unit_below(&seed, 2))
			CHECK_EQUAL(add(&lab, name, length, 1000 + which), have[which] ? -EEXIST : 0);
		else
			CHECK_EQUAL(cdx_dir_remove(lab.txn, &lab.root, name, length, S_IFREG),
				    have[which] ? 0 : -ENOENT);
		have[which] = find(&lab, name, length, &number) == 0;
		if (i % 50)
			continue;
		for (uint64_t n = 0; n < NAMES; n++) {
			length = (size_t)snprintf(name, sizeof(name), "%c%d", "aabz"[n % 4], (int)n);
			CHECK_EQUAL(find(&lab, name, length, &number), have[n] ? 0 : -ENOENT);
			if (have[n])
				CHECK_EQUAL(number, 1000 + n);
		}
	}
	CHECK_EQUAL(count_entries(&lab), lab.root.size);
	free_lab(&lab);
}

TEST("R21: 256 names with one hash is all there can be; the next is refused, and nobody is lost")
{
	struct lab lab;
	uint64_t number;
	char name[32];

	weak = true;
	make_lab(&lab);
	for (int i = 0; i < 256; i++)
		CHECK_EQUAL(add(&lab, name, (size_t)snprintf(name, sizeof(name), "a%d", i), 1000 + (uint64_t)i), 0);
	CHECK_EQUAL(add(&lab, "aa", 2, 5), -EXFULL);
	for (int i = 0; i < 256; i++) {
		CHECK_EQUAL(find(&lab, name, (size_t)snprintf(name, sizeof(name), "a%d", i), &number), 0);
		CHECK_EQUAL(number, 1000 + i);
	}
	CHECK_EQUAL(cdx_dir_remove(lab.txn, &lab.root, "a100", 4, S_IFREG), 0);
	CHECK_EQUAL(add(&lab, "aa", 2, 5), 0);
	CHECK_EQUAL(find(&lab, "aa", 2, &number), 0);
	CHECK_EQUAL(number, 5);
	free_lab(&lab);
}

TEST("R21: where they are all there the error says so, and not that space has run out")
{
	struct cowdax *fs = rig_new(8 * MIB, 0, 512);
	struct cowdax_error error;
	char path[32];
	uint64_t inode;

	weak = true;
	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "/c%d", i);
		rig_create(fs, path);
	}
	CHECK_EQUAL(cowdax_create(fs, "/cherry", 0644, &inode, &error), -ENOSPC);
	CHECK(strstr(error.text, "cherry: ") && strstr(error.text, "256 names with the hash"));
	CHECK_EQUAL(cowdax_mkdir(fs, "/cherries/red", 0755, true, &error), -ENOSPC);
	CHECK(strstr(error.text, "cherries: ") && strstr(error.text, "256 names with the hash"));
	CHECK_EQUAL(cowdax_clone(fs, "/c1", "/clone", NULL, &error), -ENOSPC);
	CHECK(strstr(error.text, "clone: ") && strstr(error.text, "256 names with the hash"));
	rig_create(fs, "/dates");
	rig_remove(fs, "/c77");
	rig_create(fs, "/cherry");
	cowdax_close(fs);
}

TEST("R20: an entry that no name can have is damage")
{
	static const struct { const char *name; size_t length, claimed; } bad[] = {
		{"a/b", 3, 3}, {"a\0b", 3, 3}, {".", 1, 1}, {"..", 2, 2}, {"", 0, 0}, {"abc", 3, 4}, {"abc", 3, 2},
	};
	struct cdx_dir_entry entry;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct { struct cdx_disk_fs_item head; unsigned char value[64]; } item = {
			.head = {put64(1), put64(CDX_ITEM_DIRENT), put64(500),
				 put16((uint16_t)(CDX_DIRENT_HEADER + bad[i].length)), put16(0), put32(0)},
		};
		struct lab lab;
		uint64_t cursor = 0;

		make_lab(&lab);
		item.value[0] = 7;
		item.value[8] = S_IFREG >> 12;
		item.value[9] = (unsigned char)bad[i].claimed;
		memcpy(item.value + CDX_DIRENT_HEADER, bad[i].name, bad[i].length);
		CHECK_EQUAL(cdx_tree_insert(&lab.txn->fs, &item, cdx_fs_item_size(&item)), 0);
		CHECK_EQUAL(cdx_dir_next(lab.txn, COWDAX_ROOT_INODE, &cursor, &entry), -EUCLEAN);
		free_lab(&lab);
		CHECK_EQUAL(remove(unit_path("image")), 0);
	}
}

/* ---- paths ------------------------------------------------------------------------------------- */

static int walk(struct cowdax *fs, const char *path)
{
	struct cowdax_error error;
	uint64_t inode = 0;
	int ret = cowdax_lookup(fs, path, &inode, &error);

	return ret ? ret : (int)inode;
}

TEST("paths lead where POSIX says, through dots, doubled slashes and trailing ones")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct cowdax_error error;
	char path[300];
	int file;

	CHECK_EQUAL(cowdax_mkdir(fs, "/a/b/c", 0755, true, &error), 0);
	file = (int)rig_create(fs, "a/b/file");
	CHECK_EQUAL(walk(fs, "/"), 1);
	CHECK_EQUAL(walk(fs, "///"), 1);
	CHECK_EQUAL(walk(fs, "."), 1);
	CHECK_EQUAL(walk(fs, "/.."), 1);
	CHECK_EQUAL(walk(fs, "a/b/file"), file);
	CHECK_EQUAL(walk(fs, "//a///./b/c/../file"), file);
	CHECK_EQUAL(walk(fs, "/a/b/"), walk(fs, "/a/b"));
	CHECK_EQUAL(walk(fs, "/a/b/c/../.."), walk(fs, "/a"));
	CHECK_EQUAL(walk(fs, "/a/b/file/"), -ENOTDIR);
	CHECK_EQUAL(walk(fs, "/a/b/file/x"), -ENOTDIR);
	CHECK_EQUAL(walk(fs, "/a/b/file/.."), -ENOTDIR);
	CHECK_EQUAL(walk(fs, "/a/none/x"), -ENOENT);
	CHECK_EQUAL(walk(fs, ""), -ENOENT);
	snprintf(path, sizeof(path), "ino:%d", file);
	CHECK_EQUAL(walk(fs, path), file);
	CHECK_EQUAL(walk(fs, "ino:"), -EINVAL);
	CHECK_EQUAL(walk(fs, "ino:-1"), -EINVAL);
	CHECK_EQUAL(walk(fs, "ino:1x"), -EINVAL);
	CHECK_EQUAL(walk(fs, "ino:99999"), -ENOENT);
	CHECK_EQUAL(walk(fs, "ino:99999999999999999999"), -EINVAL);
	memset(path, 'n', 256);
	path[256] = '\0';
	CHECK_EQUAL(walk(fs, path), -ENAMETOOLONG);
	path[255] = '\0';
	CHECK_EQUAL(walk(fs, path), -ENOENT);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R18: a tree of directories thousands deep is removed without recursion, all or nothing")
{
	enum { DEPTH = 3000 };
	struct cowdax *fs = rig_new(32 * MIB, 0, 0);
	struct cowdax_error error;
	struct cowdax_stat st;
	uint64_t at;
	char path[64];

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(cowdax_mkdir(fs, "/top", 0755, false, &error), 0);
	at = rig_lookup(fs, "/top");
	for (int i = 0; i < DEPTH; i++) {
		struct cdx_place place = {.dir = at, .name = "d", .length = 1};
		struct cdx_inode inode;

		CHECK_EQUAL(cdx_place_create(&fs->txn, &place, S_IFDIR | 0755, &inode, NULL), 0);
		if (i % 10 == 0) {
			place = (struct cdx_place){.dir = inode.number, .name = "file", .length = 4};
			CHECK_EQUAL(cdx_place_create(&fs->txn, &place, S_IFREG | 0644, &(struct cdx_inode){0},
						     NULL), 0);
		}
		at = inode.number;
	}
	CHECK_EQUAL(cowdax_commit(fs, &error), 0);
	rig_check(fs->path);
	snprintf(path, sizeof(path), "ino:%" PRIu64, at);
	CHECK_EQUAL(cowdax_remove(fs, path, true, &error), -EBUSY);
	CHECK_EQUAL(cowdax_remove(fs, "/", true, &error), -EBUSY);
	CHECK_EQUAL(cowdax_remove(fs, "/top", false, &error), -EISDIR);
	rig_remove(fs, "/top");
	CHECK_EQUAL(cowdax_stat(fs, 1, &st, &error), 0);
	CHECK_EQUAL(st.nlink, 2);
	CHECK_EQUAL(st.size, 0);
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R20: directories that contain each other are damage, and removing them ends")
{
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct cowdax_error error;
	struct cdx_inode a, b;
	struct cdx_txn *txn;

	CHECK_EQUAL(cowdax_mkdir(fs, "/a/b", 0755, true, &error), 0);
	txn = rig_begin(fs);
	CHECK_EQUAL(cdx_path_inode(txn, "/a", &a, &error), 0);
	CHECK_EQUAL(cdx_path_inode(txn, "/a/b", &b, &error), 0);
	CHECK_EQUAL(cdx_dir_add(txn, &b, "loop", 4, &a), 0);
	CHECK_EQUAL(cdx_inode_store(txn, &b), 0);
	CHECK_EQUAL(cdx_path_remove(txn, "/a", true, &error), -EUCLEAN);
	cdx_txn_abort(txn);
	cowdax_close(fs);
}
