// SPDX-License-Identifier: GPL-2.0-or-later
/* Free space given back while others have the image open (rules R2, R22). */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

static void trim(struct cowdax *fs, bool zero)
{
	struct cowdax_trimmed trimmed = {0};
	struct cowdax_error error = {0};
	int ret = cowdax_trim(fs, zero, NULL, NULL, &trimmed, &error);

	if (ret)
		unit_note("%s", error.text);
	CHECK_EQUAL(ret, 0);
	CHECK(trimmed.bytes > 0 && trimmed.runs > 0);
}

/* Fill the host with a file. */
static void fill_host(void)
{
	static const char block[65536] = "x";
	int fd = open(unit_path("ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

TEST("R22: what another handle gave back is asked for again: on a full host that is ENOSPC, not a fault")
{
	struct cowdax *fs, *other;
	unsigned char bytes[MIB / 2];
	struct cowdax_error error;
	uint64_t inode;
	int ret;

	rig_small_host(8 * MIB);
	fs = rig_new(6 * MIB, 0, 0);
	inode = rig_create(fs, "/a");
	/* Hardly a page is left that this handle has not had. */
	rig_write(fs, inode, 0, 5 * MIB, 'a');
	rig_write(fs, rig_create(fs, "/kept"), 0, 5000, 'k');
	rig_remove(fs, "/a");
	other = rig_again(fs);
	trim(other, false);
	cowdax_close(other);
	fill_host();
	inode = 0;
	memset(bytes, 'b', sizeof(bytes));
	ret = cowdax_create(fs, "/b", 0644, &inode, &error);
	if (!ret)
		ret = cowdax_write(fs, inode, bytes, sizeof(bytes), 0, NULL, &error);
	CHECK_EQUAL(ret, -ENOSPC);
	rig_expect(fs, rig_lookup(fs, "/kept"), 0, 5000, 'k');
	rig_check(fs->path);
	CHECK_EQUAL(unlink(unit_path("ballast")), 0);
	if (!inode)
		inode = rig_create(fs, "/b");
	rig_write(fs, inode, 0, 2 * MIB, 'b');
	rig_expect(fs, inode, 0, 2 * MIB, 'b');
	rig_check(fs->path);
	cowdax_close(fs);
}

TEST("R2: neither a reader's image nor the older slot's loses anything to a trim")
{
	for (int zero = 0; zero < 2; zero++) {
		struct cowdax *fs = rig_new(32 * MIB, 0, 0), *reader;
		struct cdx_slots slots;

		rig_write(fs, rig_create(fs, "/a"), 0, 3 * MIB, 'a');
		reader = rig_open(fs->path, COWDAX_RDONLY);
		rig_remove(fs, "/a");
		trim(fs, zero);
		rig_expect(reader, rig_lookup(reader, "/a"), 0, 3 * MIB, 'a');
		cowdax_close(reader);
		trim(fs, zero);
		/* Fall back to the slot before the newest. */
		CHECK_EQUAL(cdx_slots_read(&fs->device.pm, &fs->super, &slots), 0);
		for (int mirror = 0; mirror < 2; mirror++)
			memset((unsigned char *)(uintptr_t)fs->device.pm.base +
			       cdx_slot_offset(&fs->super, (int)(fs->txn.committed.transaction & 1), mirror),
			       0, CDX_SLOT_SIZE);
		rig_check_but(fs->path, "slot-");
		cowdax_close(fs);
		CHECK_EQUAL(unlink(unit_path("image")), 0);
	}
}

TEST("a transaction that is open, and a handle that only looks, cannot trim")
{
	struct cowdax_trimmed trimmed = {0};
	struct cowdax *fs = rig_new(4 * MIB, 0, 0), *reader = rig_open(fs->path, COWDAX_RDONLY);
	struct cowdax_error error;

	CHECK_EQUAL(cowdax_begin(fs, &error), 0);
	CHECK_EQUAL(cowdax_trim(fs, false, NULL, NULL, &trimmed, &error), -EINVAL);
	cowdax_abort(fs);
	CHECK_EQUAL(cowdax_trim(reader, false, NULL, NULL, &trimmed, &error), -EROFS);
	CHECK(strstr(error.text, "reading only"));
	cowdax_close(reader);
	trim(fs, false);
	cowdax_close(fs);
}

TEST("a host that takes nothing back is named as such, and has its free space zeroed all the same")
{
	struct cowdax_trimmed trimmed = {0};
	struct cowdax *fs = rig_new(4 * MIB, 0, 0);
	struct cowdax_error error;
	int fd = fs->device.pm.fd;

	fs->device.pm.fd = -1;
	CHECK_EQUAL(cowdax_trim(fs, false, NULL, NULL, &trimmed, &error), -EOPNOTSUPP);
	CHECK(strstr(error.text, "takes no space back"));
	trim(fs, true);
	fs->device.pm.fd = fd;
	rig_check(fs->path);
	cowdax_close(fs);
}
