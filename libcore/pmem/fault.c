// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pmem/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct guard {
	sigjmp_buf home;
	uintptr_t low, high;
	struct guard *outer;
};

/*
 * The library's only variables: a signal belongs to the process, whatever
 * handle it is about, and a handler is told nothing else.
 */
static _Thread_local struct guard *volatile innermost;
static struct sigaction before;
static volatile sig_atomic_t installed;

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signal_number, info, context);
		return;
	}
	if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(signal_number);
		return;
	}
	/* Let the same access fault again, with the default action. */
	signal(signal_number, SIG_DFL);
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;

	for (struct guard *guard = innermost; guard; guard = guard->outer) {
		if (address < guard->low || address >= guard->high)
			continue;
		innermost = guard->outer;
		siglongjmp(guard->home, 1);
	}
	pass_on(signal_number, info, context);
}

int cowdax_catch_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};

	if (installed)
		return 0;
	if (sigaction(SIGBUS, &action, &before))
		return -errno;
	installed = 1;
	return 0;
}

int cdx_guard(const void *low, size_t length, cdx_access_fn *access, void *arg)
{
	/* A fault is told by its page. */
	uintptr_t page = 4096;
	struct guard guard = {
		.low = (uintptr_t)low & ~(page - 1),
		.high = ((uintptr_t)low + length + page - 1) & ~(page - 1),
		.outer = innermost,
	};

	if (!installed) {
		access(arg);
		return 0;
	}
	if (sigsetjmp(guard.home, 0))
		return -EIO;
	innermost = &guard;
	access(arg);
	innermost = guard.outer;
	return 0;
}
