// SPDX-License-Identifier: GPL-2.0-or-later
/* R22's guard: a fault on an image's memory becomes an error for who opted in. */
#include "pmem/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cowdax.h"
#include "unit.h"

#define PAGE ((size_t)4096)

/* Four pages of which only the first can be touched. */
static unsigned char *treacherous(const char *name)
{
	int fd = open(unit_path(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unsigned char *memory;

	CHECK(fd >= 0);
	CHECK_EQUAL(ftruncate(fd, PAGE), 0);
	memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	close(fd);
	return memory;
}

static void touch(void *arg)
{
	*(volatile unsigned char *)arg = 1;
}

static volatile sig_atomic_t passed_on;

/* As a program with a handler of its own has it: makes the memory good. */
static void mend(int signal_number, siginfo_t *info, void *context)
{
	void *page = (void *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)signal_number;
	(void)context;
	passed_on++;
	if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(1);
}

static void have_own_handler(void)
{
	struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO};

	CHECK_EQUAL(sigaction(SIGBUS, &action, NULL), 0);
}

TEST("R22: a fault inside of what is guarded is EIO, again and again; other accesses go through")
{
	unsigned char *memory = treacherous("file");

	CHECK_EQUAL(cowdax_catch_faults(), 0);
	CHECK_EQUAL(cowdax_catch_faults(), 0);
	for (int i = 0; i < 100; i++) {
		CHECK_EQUAL(cdx_guard(memory, 4 * PAGE, touch, memory + 2 * PAGE), -EIO);
		CHECK_EQUAL(cdx_guard(memory, 4 * PAGE, touch, memory + 100), 0);
		CHECK_EQUAL(memory[100], 1);
		memory[100] = 0;
	}
}

TEST("R22: who did not opt in keeps the handler it had")
{
	unsigned char *memory = treacherous("file");

	have_own_handler();
	CHECK_EQUAL(cdx_guard(memory, 4 * PAGE, touch, memory + 2 * PAGE), 0);
	CHECK_EQUAL(passed_on, 1);
}

TEST("R22: a fault that is not the library's goes to the handler that was there before")
{
	unsigned char *memory = treacherous("file"), *foreign = treacherous("foreign");

	have_own_handler();
	CHECK_EQUAL(cowdax_catch_faults(), 0);
	touch(foreign + PAGE);
	CHECK_EQUAL(passed_on, 1);
	CHECK_EQUAL(cdx_guard(memory, 4 * PAGE, touch, foreign + 2 * PAGE), 0);
	CHECK_EQUAL(passed_on, 2);
	CHECK_EQUAL(cdx_guard(memory, 4 * PAGE, touch, memory + 3 * PAGE), -EIO);
	CHECK_EQUAL(passed_on, 2);
}

struct nested { unsigned char *inner, *outer; int inside; bool reached; };

static void touch_both(void *arg)
{
	struct nested *nested = arg;

	nested->inside = cdx_guard(nested->inner, 4 * PAGE, touch, nested->inner + PAGE);
	touch(nested->outer + PAGE);
	nested->reached = true;
}

static void touch_outer_inside(void *arg)
{
	struct nested *nested = arg;

	nested->inside = cdx_guard(nested->inner, 4 * PAGE, touch, nested->outer + PAGE);
	nested->reached = true;
}

TEST("R22: guards nest: a fault ends the one that it belongs to, and those inside of it")
{
	struct nested nested = {.inner = treacherous("inner"), .outer = treacherous("outer")};

	CHECK_EQUAL(cowdax_catch_faults(), 0);
	CHECK_EQUAL(cdx_guard(nested.outer, 4 * PAGE, touch_both, &nested), -EIO);
	CHECK_EQUAL(nested.inside, -EIO);
	CHECK(!nested.reached);
	CHECK_EQUAL(cdx_guard(nested.outer, 4 * PAGE, touch_outer_inside, &nested), -EIO);
	CHECK(!nested.reached);
	CHECK_EQUAL(cdx_guard(nested.outer, 4 * PAGE, touch, nested.outer + PAGE), -EIO);
}

static volatile sig_atomic_t sent;

static void count_sent(int signal_number)
{
	(void)signal_number;
	sent++;
}

static void send_itself(void *arg)
{
	(void)arg;
	CHECK_EQUAL(kill(getpid(), SIGBUS), 0);
}

/* How a child ends that has @disposition for SIGBUS, opts in, and is sent one, guarded or not. */
static int end_of_one_that_is_sent_it(void (*disposition)(int), bool guarded)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGBUS, disposition);
		if (cowdax_catch_faults())
			_exit(1);
		/* What is told of the sender must not be taken for an address. */
		if (guarded && cdx_guard(NULL, (size_t)1 << 40, send_itself, NULL))
			_exit(2);
		if (!guarded)
			send_itself(NULL);
		_exit(10 + sent);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

TEST("R22: a SIGBUS that is sent by kill() does what it did before, guarded or not")
{
	for (int guarded = 0; guarded < 2; guarded++) {
		int status = end_of_one_that_is_sent_it(SIG_DFL, guarded);

		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
		status = end_of_one_that_is_sent_it(count_sent, guarded);
		CHECK(WIFEXITED(status));
		CHECK_EQUAL(WEXITSTATUS(status), 11);
		status = end_of_one_that_is_sent_it(SIG_IGN, guarded);
		CHECK(WIFEXITED(status));
		CHECK_EQUAL(WEXITSTATUS(status), 10);
	}
}
