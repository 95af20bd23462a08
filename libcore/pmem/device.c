// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The file or device that an image lies in: what it is, how large, who may have it
 * (FORMAT 11), and a mapping of it that outlives nobody's locks (R10).
 */
#include "pmem/device.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"

/* One number from a file of sysfs; 0 or -errno. */
static int read_number(const char *path, uint64_t *value)
{
	FILE *file = fopen(path, "re");
	int fields;

	if (!file)
		return -errno;
	fields = fscanf(file, "%" SCNu64, value);
	fclose(file);
	return fields == 1 ? 0 : -EIO;
}

static bool is_device_dax(dev_t rdev)
{
	char path[64], target[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/subsystem", major(rdev), minor(rdev));
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strcmp(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, "dax") == 0;
}

/* One number that sysfs tells of the character device @rdev; 0 or -errno. */
static int read_attribute(dev_t rdev, const char *name, uint64_t *value)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s", major(rdev), minor(rdev), name);
	return read_number(path, value);
}

static int find_size(struct cdx_device *device, const struct stat *st, uint64_t *size)
{
	int read_only = 0, ret;

	if (S_ISREG(st->st_mode)) {
		device->regular = true;
		*size = (uint64_t)st->st_size;
		return 0;
	}
	if (S_ISBLK(st->st_mode)) {
		device->block = true;
		if (ioctl(device->fd, BLKROGET, &read_only) || ioctl(device->fd, BLKGETSIZE64, size))
			return -errno;
		device->read_only = read_only;
		return 0;
	}
	if (S_ISCHR(st->st_mode) && is_device_dax(st->st_rdev)) {
		device->device_dax = true;
		ret = read_attribute(st->st_rdev, "align", &device->alignment);
		return ret ? ret : read_attribute(st->st_rdev, "size", size);
	}
	return S_ISDIR(st->st_mode) ? -EISDIR : -ENODEV;
}

/* Whether the block device @rdev is mounted, by the kernel's own list. */
static bool is_mounted(dev_t rdev)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	unsigned int device_major, device_minor;
	bool found = false;
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0) {
		if (sscanf(line, "%*u %*u %u:%u", &device_major, &device_minor) == 2)
			found = device_major == major(rdev) && device_minor == minor(rdev);
	}
	free(line);
	fclose(file);
	return found;
}

/* Whether a loop device is attached to the regular file @st. */
static bool backs_a_loop_device(const struct stat *st)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		char path[320], backing[4096];
		struct stat other;
		FILE *file;

		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(backing, sizeof(backing), file)) {
			backing[strcspn(backing, "\n")] = '\0';
			found = stat(backing, &other) == 0 && other.st_dev == st->st_dev &&
				other.st_ino == st->st_ino;
		}
		fclose(file);
	}
	closedir(dir);
	return found;
}

static int refuse_unusable(const struct cdx_device *device, const char *path, const struct stat *st,
			 struct cowdax_error *error)
{
	/* It could be opened, but not mapped for writing, which says just "Invalid argument". */
	if (device->read_only && (device->flags & (CDX_DEVICE_WRITABLE | CDX_DEVICE_DISCARD)))
		return cdx_error(error, -EROFS, "%s: read-only device", path);
	if (device->device_dax && device->fs_offset % device->alignment)
		return cdx_error(error, -EINVAL, "%s: a filesystem starts at a multiple of %" PRIu64
				 ", the alignment of the device, not at %" PRIu64, path,
				 device->alignment, device->fs_offset);
	if (device->regular && (device->flags & CDX_DEVICE_EXCLUSIVE) && backs_a_loop_device(st))
		return cdx_error(error, -EBUSY, "%s: in use by a loop device", path);
	return 0;
}

/* The open lock of the first @length bytes.  Who has some of it already loses nothing by a failure. */
static int take_open_lock(struct cdx_device *device, const char *path, uint64_t length,
			  struct cowdax_error *error)
{
	bool exclusive = device->flags & CDX_DEVICE_EXCLUSIVE;
	bool wait = !exclusive && !(device->flags & CDX_DEVICE_NO_WAIT);
	int ret;

	if (device->flags & CDX_DEVICE_NO_LOCK)
		return 0;
	ret = cdx_device_lock(device, device->lock.open, cdx_lock_units(length), exclusive, wait);
	if (ret == -EAGAIN)
		return cdx_error(error, -EBUSY, "%s: in use by another process", path);
	return ret;
}

static int open_again(const char *path, int mode)
{
	int fd;

	do {
		fd = open(path, mode | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

int cdx_device_no_file(const char *path, int code, struct cowdax_error *error)
{
	char target[256];
	ssize_t length = code == -ENOENT ? readlink(path, target, sizeof(target) - 1) : -1;

	if (length < 0)
		return cdx_error_errno(error, code, path);
	target[length] = '\0';
	return cdx_error(error, code, "%s: symbolic link to %s: %s", path, target, strerror(-code));
}

int cdx_device_resize(const struct cdx_device *device, uint64_t bytes)
{
	int ret;

	do {
		ret = ftruncate(device->fd, (off_t)bytes) ? -errno : 0;
	} while (ret == -EINTR);
	return ret;
}

static int not_an_image(const char *path, struct cowdax_error *error)
{
	return cdx_error(error, -ENODEV, "%s: not a regular file, block device or DAX device", path);
}

static void close_descriptor(struct cdx_device *device)
{
	cdx_fork_release(&device->fork_guard);
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

int cdx_device_open(struct cdx_device *device, const char *path, uint64_t fs_offset, unsigned int flags,
		    struct cowdax_error *error)
{
	/* A dry run fails where the real one would: it has to be allowed to write, too. */
	int mode = flags & (CDX_DEVICE_WRITABLE | CDX_DEVICE_DISCARD) ? O_RDWR : O_RDONLY;
	struct stat st;
	uint64_t size = 0;
	int ret;

	memset(device, 0, sizeof(*device));
	device->path = path;
	device->fd = -1;
	device->flags = (int)flags;
	device->fs_offset = fs_offset;
	if (fs_offset >= CDX_MAX_IMAGE)
		return cdx_error(error, -EFBIG, "%s: no filesystem can start at %" PRIu64, path, fs_offset);
	cdx_lock_place(&device->lock, fs_offset);
	if (fs_offset % 512)
		return cdx_error(error, -EINVAL,
				 "%s: a filesystem starts at a multiple of 512 bytes, not at %" PRIu64, path,
				 fs_offset);
	if (stat(path, &st))
		return cdx_device_no_file(path, -errno, error);
	/* Opening anything else, a FIFO above all, may wait or have effects. */
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return S_ISDIR(st.st_mode) ? cdx_error_errno(error, -EISDIR, path) : not_an_image(path, error);
	/* Before it is opened: for itself alone, it could not be, which says just "busy". */
	if (S_ISBLK(st.st_mode) && is_mounted(st.st_rdev))
		return cdx_error(error, -EBUSY, "%s: mounted: will not touch it", path);
	if (S_ISBLK(st.st_mode) && (flags & CDX_DEVICE_EXCLUSIVE))
		mode |= O_EXCL;
	device->fd = open_again(path, mode);
	if (device->fd < 0)
		return cdx_error_errno(error, -errno, path);
	device->owner = getpid();
	ret = cdx_fork_watch(&device->fork_guard, &device->fd);
	if (!ret)
		ret = fstat(device->fd, &st) ? -errno : find_size(device, &st, &size);
	if (ret == -ENODEV)
		ret = not_an_image(path, error);
	if (!ret)
		ret = refuse_unusable(device, path, &st, error);
	if (!ret)
		ret = take_open_lock(device, path, 0, error);
	if (ret) {
		close_descriptor(device);
		return cdx_error_errno(error, ret, path);
	}
	device->size = size > fs_offset ? size - fs_offset : 0;
	return 0;
}

/* A device DAX is mapped in multiples of its alignment, or not at all. */
static int map(const struct cdx_device *device, struct cdx_pmem *pm, int fd, uint64_t length,
	       unsigned int flags, struct cowdax_error *error)
{
	struct cowdax_error reason = {0};
	uint64_t whole = length;
	int ret;

	if (device->device_dax)
		whole = (length + device->alignment - 1) & ~(device->alignment - 1);
	ret = cdx_pmem_map(pm, fd, device->fs_offset, whole, device->device_dax, flags, &reason);
	if (ret && reason.code)
		return cdx_error(error, ret, "%s: %s", device->path, reason.text);
	if (!ret)
		pm->length = length;
	return ret;
}

static bool same_file(int a, int b)
{
	struct stat left, right;

	return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

/*
 * The mapping holds a reference to the open file it was made through, so it is
 * made through one that owns no lock: else a child or a late unmap would keep
 * this handle's locks alive (R10).
 */
int cdx_device_map(struct cdx_device *device, const char *path, uint64_t length,
		   struct cowdax_error *error)
{
	char self[64];
	unsigned int flags = 0;
	int fd, ret;

	if (length > CDX_MAX_MAPPED)
		return cdx_error(error, -EFBIG, "%s: %" PRIu64 " bytes are more than a process can map: "
				 "at most %" PRIu64 " (64 TiB)", path, length, CDX_MAX_MAPPED);
	if (device->flags & CDX_DEVICE_WRITABLE)
		flags |= CDX_PMEM_WRITABLE;
	if (device->flags & CDX_DEVICE_DISCARD)
		flags |= CDX_PMEM_DISCARD;
	ret = take_open_lock(device, path, length, error);
	if (ret)
		return cdx_error_errno(error, ret, path);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", device->fd);
	fd = open_again(self, flags & CDX_PMEM_WRITABLE ? O_RDWR : O_RDONLY);
	if (fd < 0)
		fd = open_again(path, flags & CDX_PMEM_WRITABLE ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return cdx_error_errno(error, -errno, path);
	if (!same_file(fd, device->fd)) {
		close(fd);
		return cdx_error(error, -ESTALE, "%s: another file has taken its name", path);
	}
	ret = map(device, &device->pm, fd, length, flags, error);
	close(fd);
	if (ret)
		return cdx_error_errno(error, ret, path);
	device->mapped = true;
	return 0;
}

bool cdx_device_has_shrunk(const struct cdx_device *device)
{
	struct stat st;

	return device->mapped && device->regular && fstat(device->fd, &st) == 0 &&
	       (uint64_t)st.st_size < device->fs_offset + device->pm.length;
}

void cdx_device_close(struct cdx_device *device)
{
	if (device->mapped)
		cdx_pmem_unmap(&device->pm);
	/* A forked child may have the open file still: what is not let go stays locked (R10). */
	if (device->fd >= 0 && device->owner == getpid())
		cdx_device_unlock(device, CDX_LOCK_FIRST, 0);
	close_descriptor(device);
	device->mapped = false;
}

/* Device DAX cannot be read(2): look through a mapping of its own. */
static int peek_device_dax(const struct cdx_device *device, uint64_t offset, void *bytes, size_t length)
{
	struct cdx_pmem pm;
	int ret;

	ret = map(device, &pm, device->fd, offset + length, 0, NULL);
	if (ret)
		return ret;
	ret = cdx_pmem_read(&pm, offset, bytes, length);
	cdx_pmem_unmap(&pm);
	return ret;
}

int cdx_device_pread(const struct cdx_device *device, uint64_t offset, void *bytes, size_t length)
{
	ssize_t got;

	if (offset > device->size || length > device->size - offset)
		return -ENODATA;
	if (device->device_dax)
		return peek_device_dax(device, offset, bytes, length);
	for (size_t done = 0; done < length; done += got > 0 ? (size_t)got : 0) {
		got = pread(device->fd, (char *)bytes + done, length - done,
			    (off_t)(device->fs_offset + offset + done));
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return -ENODATA;
	}
	return 0;
}

/* ---- locks ------------------------------------------------------------------ */

static int lock_call(const struct cdx_device *device, int command, struct flock *lock)
{
	int ret;

	do {
		ret = fcntl(device->fd, command, lock) ? -errno : 0;
	} while (ret == -EINTR);
	return ret;
}

int cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait)
{
	struct flock lock = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)length,
	};
	int ret = lock_call(device, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);

	return ret == -EACCES ? -EAGAIN : ret;
}

void cdx_device_unlock(struct cdx_device *device, uint64_t start, uint64_t length)
{
	struct flock lock = {
		.l_type = F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)length,
	};

	lock_call(device, F_OFD_SETLK, &lock);
}

int cdx_device_lock_test(const struct cdx_device *device, uint64_t start, uint64_t length, uint64_t *where)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)start,
		.l_len = (off_t)length,
	};
	int ret;

	if (length == 0)
		return 0;	/* to the kernel 0 means "to infinity" (R6) */
	ret = lock_call(device, F_OFD_GETLK, &lock);
	if (ret)
		return ret;
	if (lock.l_type == F_UNLCK)
		return 0;
	*where = (uint64_t)lock.l_start > start ? (uint64_t)lock.l_start : start;
	return 1;
}
