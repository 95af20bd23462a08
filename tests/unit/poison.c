// SPDX-License-Identifier: GPL-2.0-or-later
#include "poison.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pmem/pmem.h"

#define PAGE ((uint64_t)4096)
#define MAX_PAGES 16

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/* Linux 6.6; older headers lack it. */
struct poison_range { struct uffdio_range range; uint64_t mode; int64_t updated; };
#define POISON_FEATURE ((uint64_t)1 << 14)
#define POISON_CALL _IOWR(UFFDIO, 0x08, struct poison_range)

/* Not the unit tests' CHECK: commands are poisoned too. */
static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "poison: %s\n", what);
	abort();
}

static uint64_t bad[MAX_PAGES];
static int bad_count;

void poison_page(uint64_t address)
{
	must(bad_count < MAX_PAGES, "too many pages");
	bad[bad_count++] = address & ~(PAGE - 1);
}

void poison_heal(void)
{
	bad_count = 0;
}

/* A userfaultfd that can poison, or -1. */
static int poisoner(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = POISON_FEATURE};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool poison_is_real(void)
{
	int fd = poisoner();

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The descriptor stays open: poison lasts as long as it does. */
static bool poison_for_real(int fd, void *page)
{
	struct uffdio_register area = {
		.range = {.start = (uintptr_t)page, .len = PAGE},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct poison_range poison = {.range = area.range};

	return fd >= 0 && ioctl(fd, UFFDIO_REGISTER, &area) == 0 && ioctl(fd, POISON_CALL, &poison) == 0;
}

static void cover_with_nothing(void *page)
{
	int fd = memfd_create("nothing", MFD_CLOEXEC);

	must(fd >= 0 && mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == page,
	     "an empty file cannot be mapped");
	close(fd);
}

int __real_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error);
int __wrap_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error);

int __wrap_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error)
{
	int ret = __real_cdx_pmem_map(pm, fd, offset, length, device_dax, flags, error);
	int userfault = -1;

	if (ret || !bad_count)
		return ret;
	userfault = poisoner();
	for (int i = 0; i < bad_count; i++) {
		void *page = (void *)((uintptr_t)pm->base + bad[i]);

		if (bad[i] < length && !poison_for_real(userfault, page))
			cover_with_nothing(page);
	}
	return ret;
}
