// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening what an image lies in, and the locks on it. */
#include "pmem/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define LOCK (CDX_LOCK_FIRST + (UINT64_C(1) << 55))	/* of no filesystem that is here */

static const char *make_file(uint64_t size)
{
	const char *path = unit_path("file");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_EQUAL(ftruncate(fd, (off_t)size), 0);
	close(fd);
	return path;
}

static void open_two(struct cdx_device *a, struct cdx_device *b)
{
	const char *path = make_file(65536);

	CHECK_EQUAL(cdx_device_open(a, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
	CHECK_EQUAL(cdx_device_open(b, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
}

static void close_two(struct cdx_device *a, struct cdx_device *b)
{
	cdx_device_close(a);
	cdx_device_close(b);
}

/* ---- opening ------------------------------------------------------------------------ */

TEST("what cannot hold an image is refused with a reason")
{
	struct cowdax_error error = {0};
	struct cdx_device device;

	CHECK_EQUAL(cdx_device_open(&device, unit_path("missing"), 0, 0, &error), -ENOENT);
	CHECK(strstr(error.text, "missing: No such file"));
	CHECK_EQUAL(cdx_device_open(&device, unit_path(""), 0, 0, &error), -EISDIR);
	CHECK_EQUAL(cdx_device_open(&device, "/dev/null", 0, 0, &error), -ENODEV);
	CHECK(strstr(error.text, "/dev/null: not a regular file"));
	CHECK_EQUAL(cdx_device_open(&device, make_file(4096), 100, 0, &error), -EINVAL);
	CHECK(strstr(error.text, "multiple of 512"));
}

TEST("the size is what lies behind the filesystem's start")
{
	const char *path = make_file(65536);
	struct cdx_device device;

	CHECK_EQUAL(cdx_device_open(&device, path, 1024, 0, NULL), 0);
	CHECK(device.regular && !device.block && !device.device_dax);
	CHECK_EQUAL(device.size, 65536 - 1024);
	cdx_device_close(&device);
	CHECK_EQUAL(cdx_device_open(&device, path, 1 << 20, 0, NULL), 0);
	CHECK_EQUAL(device.size, 0);
	cdx_device_close(&device);
}

TEST("bytes can be read before there is a mapping, but none past the end")
{
	const char *path = make_file(65536);
	struct cdx_device device;
	char bytes[4];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(pwrite(fd, "abcd", 4, 1024 + 10) == 4);
	close(fd);
	CHECK_EQUAL(cdx_device_open(&device, path, 1024, 0, NULL), 0);
	CHECK_EQUAL(cdx_device_pread(&device, 10, bytes, 4), 0);
	CHECK(memcmp(bytes, "abcd", 4) == 0);
	CHECK_EQUAL(cdx_device_pread(&device, 65536 - 1024 - 4, bytes, 4), 0);
	CHECK_EQUAL(cdx_device_pread(&device, 65536 - 1024 - 3, bytes, 4), -ENODATA);
	CHECK_EQUAL(cdx_device_pread(&device, UINT64_MAX - 1, bytes, 4), -ENODATA);
	cdx_device_close(&device);
}

/* ---- in use ---------------------------------------------------------------------------- */

TEST("nobody gets an image for himself while another has it open, nor opens it then")
{
	const unsigned int exclusive = CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE;
	const char *path = make_file(65536);
	struct cdx_device one, two;
	struct cowdax_error error = {0};

	CHECK_EQUAL(cdx_device_open(&one, path, 0, 0, NULL), 0);
	CHECK_EQUAL(cdx_device_open(&two, path, 0, exclusive, &error), -EBUSY);
	CHECK(strstr(error.text, "in use by another process"));
	cdx_device_close(&one);
	CHECK_EQUAL(cdx_device_open(&one, path, 0, exclusive, NULL), 0);
	CHECK_EQUAL(cdx_device_open(&two, path, 0, CDX_DEVICE_NO_WAIT, &error), -EBUSY);
	CHECK_EQUAL(cdx_device_open(&two, path, 0, exclusive, &error), -EBUSY);
	CHECK_EQUAL(cdx_device_open(&two, path, 0, CDX_DEVICE_NO_LOCK, &error), 0);
	close_two(&one, &two);
}

/* Read-only, and refused before a byte of it is looked at. */
TEST("a mounted block device is not opened, not even to read")
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	struct cowdax_error error = {0};
	struct cdx_device device;
	char line[4096], path[256];
	struct stat st;
	int fd;

	CHECK(mounts);
	while (fgets(line, sizeof(line), mounts)) {
		const char *type = strstr(line, " - ");

		if (!type || sscanf(type, " - %*s %255s", path) != 1)
			continue;
		if (stat(path, &st) || !S_ISBLK(st.st_mode))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		close(fd);
		fclose(mounts);
		CHECK_EQUAL(cdx_device_open(&device, path, 0, 0, &error), -EBUSY);
		CHECK(strstr(error.text, "mounted"));
		return;
	}
	fclose(mounts);
	unit_skip("no mounted block device that may be read");
}

/* A loop device on @path: its descriptor, or -1. */
static int attach_loop(const char *path)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file, loop, number;
	char name[64];

	if (control < 0)
		return -1;
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(name, sizeof(name), "/dev/loop%d", number);
	loop = open(name, O_RDWR | O_CLOEXEC);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (number < 0 || loop < 0 || file < 0 || ioctl(loop, LOOP_SET_FD, file)) {
		close(loop);
		close(file);
		return -1;
	}
	close(file);
	return loop;
}

TEST("a file with a loop device on it is nobody's for himself")
{
	const unsigned int exclusive = CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE;
	const char *path = make_file(65536);
	struct cowdax_error error = {0};
	struct cdx_device device;
	int loop = attach_loop(path), ret;

	if (loop < 0)
		unit_skip("may not attach a loop device");
	ret = cdx_device_open(&device, path, 0, exclusive, &error);
	ioctl(loop, LOOP_CLR_FD);
	close(loop);
	CHECK_EQUAL(ret, -EBUSY);
	CHECK(strstr(error.text, "loop device"));
}

/* ---- locks ------------------------------------------------------------------------------- */

TEST("an exclusive lock keeps another handle out until it is let go")
{
	struct cdx_device a, b;

	open_two(&a, &b);
	CHECK_EQUAL(cdx_device_lock(&a, LOCK, 10, true, false), 0);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK + 9, 1, true, false), -EAGAIN);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK + 9, 1, false, false), -EAGAIN);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK + 10, 1, true, false), 0);
	cdx_device_unlock(&a, LOCK, 10);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK + 9, 1, true, false), 0);
	close_two(&a, &b);
}

TEST("shared locks go together")
{
	struct cdx_device a, b;

	open_two(&a, &b);
	CHECK_EQUAL(cdx_device_lock(&a, LOCK, 1, false, false), 0);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK, 1, false, false), 0);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK, 1, true, false), -EAGAIN);
	close_two(&a, &b);
}

TEST("R6: another's lock is found even when it is shared, one's own never")
{
	struct cdx_device a, b;
	uint64_t where = 0;

	open_two(&a, &b);
	CHECK_EQUAL(cdx_device_lock(&a, LOCK + 5, 1, false, false), 0);
	CHECK_EQUAL(cdx_device_lock_test(&b, LOCK, 10, &where), 1);
	CHECK_EQUAL(where, LOCK + 5);
	CHECK_EQUAL(cdx_device_lock_test(&a, LOCK, 10, &where), 0);
	CHECK_EQUAL(cdx_device_lock_test(&b, LOCK, 5, &where), 0);
	CHECK_EQUAL(cdx_device_lock_test(&b, LOCK + 6, 100, &where), 0);
	close_two(&a, &b);
}

TEST("R6: a lock that starts before the range asked for is reported inside of it")
{
	struct cdx_device a, b;
	uint64_t where = 0;

	open_two(&a, &b);
	CHECK_EQUAL(cdx_device_lock(&a, LOCK, 50, false, false), 0);
	CHECK_EQUAL(cdx_device_lock_test(&b, LOCK + 10, 5, &where), 1);
	CHECK_EQUAL(where, LOCK + 10);
	close_two(&a, &b);
}

TEST("R6: no byte at all is not locked by anybody, though the kernel's length 0 is infinity")
{
	struct cdx_device a, b;
	uint64_t where;

	open_two(&a, &b);
	CHECK_EQUAL(cdx_device_lock(&a, LOCK + 1000, 1, true, false), 0);
	CHECK_EQUAL(cdx_device_lock_test(&b, LOCK, 0, &where), 0);
	close_two(&a, &b);
}

static int to_holder;
static volatile sig_atomic_t signals;

/* The third signal has whoever holds the lock let go of it. */
static void on_signal(int number)
{
	(void)number;
	if (++signals == 3 && write(to_holder, "", 1) != 1)
		_exit(1);
}

/* Every millisecond a signal whose handler lets no call go on by itself. */
static void be_interrupted(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct itimerval interval = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};

	CHECK_EQUAL(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQUAL(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

/* Hold a lock until a byte comes. */
_Noreturn static void hold(int ready, int go)
{
	struct cdx_device device;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cdx_device_open(&device, unit_path("file"), 0, CDX_DEVICE_WRITABLE, NULL) ||
	    cdx_device_lock(&device, LOCK, 1, true, false) || write(ready, "", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	_exit(0);
}

TEST("a signal ends no wait for a lock: who waits gets it")
{
	int ready[2], go[2], status;
	struct cdx_device device;
	pid_t child;
	char byte;

	make_file(65536);
	CHECK(pipe(ready) == 0 && pipe(go) == 0);
	child = fork();
	if (child == 0)
		hold(ready[1], go[0]);
	CHECK(read(ready[0], &byte, 1) == 1);
	CHECK_EQUAL(cdx_device_open(&device, unit_path("file"), 0, CDX_DEVICE_WRITABLE, NULL), 0);
	CHECK_EQUAL(cdx_device_lock(&device, LOCK, 1, true, false), -EAGAIN);
	to_holder = go[1];
	be_interrupted();
	CHECK_EQUAL(cdx_device_lock(&device, LOCK, 1, true, true), 0);
	CHECK(signals >= 3);
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	cdx_device_close(&device);
}

/* ---- owners -------------------------------------------------------------------------------- */

TEST("R10: the mapping holds none of the locks: they go with the descriptor")
{
	struct cdx_device a, b;
	const char *path;

	open_two(&a, &b);
	path = unit_path("file");
	CHECK_EQUAL(cdx_device_map(&a, path, 65536, NULL), 0);
	CHECK_EQUAL(cdx_device_lock(&a, LOCK, 1, true, false), 0);
	CHECK_EQUAL(cdx_device_lock(&b, LOCK, 1, true, false), -EAGAIN);
	close(a.fd);
	a.fd = -1;
	CHECK_EQUAL(cdx_device_lock(&b, LOCK, 1, true, false), 0);
	close_two(&a, &b);
}

/* Take a lock on @path, start a program that lives on, and die. */
static void owner(const char *path, const char *program_pid)
{
	struct cdx_device device;
	FILE *file;
	pid_t child;

	if (cdx_device_open(&device, path, 0, CDX_DEVICE_WRITABLE, NULL) ||
	    cdx_device_map(&device, path, 65536, NULL) || cdx_device_lock(&device, LOCK, 1, true, false))
		_exit(1);
	child = fork();
	if (child == 0) {
		execlp("sleep", "sleep", "30", NULL);
		_exit(127);
	}
	file = fopen(program_pid, "we");
	if (!file || fprintf(file, "%d", (int)child) < 0 || fclose(file))
		_exit(1);
	_exit(0);
}

TEST("R10: a lock goes with its owner, although a program that it started lives on")
{
	const char *path = make_file(65536), *program_pid = unit_path("pid");
	struct cdx_device device;
	int status, program = 0, ret;
	FILE *file;
	pid_t child;

	CHECK_EQUAL(cdx_device_open(&device, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
	child = fork();
	if (child == 0)
		owner(path, program_pid);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	/* Between its fork and its exec the program holds what the owner held. */
	for (int i = 0; i < 200; i++) {
		ret = cdx_device_lock(&device, LOCK, 1, true, false);
		if (ret != -EAGAIN)
			break;
		usleep(10000);
	}
	file = fopen(program_pid, "re");
	CHECK(file && fscanf(file, "%d", &program) == 1);
	fclose(file);
	CHECK_EQUAL(kill(program, SIGKILL), 0);
	CHECK_EQUAL(ret, 0);
	cdx_device_close(&device);
}

/* Take a lock, fork a child that lives on as it is, and wait to be killed. */
_Noreturn static void owner_of_a_child(const char *path, int ready)
{
	struct cdx_device device;
	pid_t child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cdx_device_open(&device, path, 0, CDX_DEVICE_WRITABLE, NULL) ||
	    cdx_device_map(&device, path, 65536, NULL) || cdx_device_lock(&device, LOCK, 1, true, false))
		_exit(1);
	child = fork();
	if (child == 0) {
		alarm(60);
		child = getpid();
		if (write(ready, &child, sizeof(child)) != sizeof(child))
			_exit(1);
	}
	for (;;)
		pause();
}

TEST("R10: a lock goes with its owner, although a child that never calls exec lives on")
{
	const char *path = make_file(65536);
	struct cdx_device device;
	pid_t parent, child;
	int ready[2], ret;

	CHECK_EQUAL(cdx_device_open(&device, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
	CHECK_EQUAL(pipe(ready), 0);
	parent = fork();
	if (parent == 0)
		owner_of_a_child(path, ready[1]);
	close(ready[1]);
	CHECK(read(ready[0], &child, sizeof(child)) == sizeof(child));
	CHECK_EQUAL(cdx_device_lock(&device, LOCK, 1, true, false), -EAGAIN);
	CHECK_EQUAL(kill(parent, SIGKILL), 0);
	CHECK(waitpid(parent, NULL, 0) == parent);
	ret = cdx_device_lock(&device, LOCK, 1, true, false);
	CHECK_EQUAL(kill(child, SIGKILL), 0);
	CHECK_EQUAL(ret, 0);
	cdx_device_close(&device);
}

TEST("R10: a child that closes a handle of its parent's closes no descriptor of its own")
{
	const char *path = make_file(65536);
	struct cdx_device first, device, last;
	int number, status;
	pid_t child;

	CHECK_EQUAL(cdx_device_open(&first, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
	CHECK_EQUAL(cdx_device_open(&device, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
	CHECK_EQUAL(cdx_device_open(&last, path, 0, CDX_DEVICE_WRITABLE, NULL), 0);
	cdx_device_close(&first);
	number = device.fd;
	child = fork();
	if (child == 0) {
		int own = dup2(STDERR_FILENO, number);

		cdx_device_close(&device);
		cdx_device_close(&last);
		_exit(own == number && fcntl(number, F_GETFD) >= 0 ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(status, 0);
	CHECK_EQUAL(device.fd, number);
	cdx_device_close(&device);
	CHECK_EQUAL(cdx_device_open(&first, path, 0, CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE, NULL), -EBUSY);
	cdx_device_close(&last);
	CHECK_EQUAL(cdx_device_open(&first, path, 0, CDX_DEVICE_WRITABLE | CDX_DEVICE_EXCLUSIVE, NULL), 0);
	cdx_device_close(&first);
}
