// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Faults on an image's memory as errors, for programs that opted in (R22): a
 * SIGBUS handler that leaves the guard which the address belongs to, and passes
 * every other signal on.
 */
#include "pmem/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

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

/* An access of this thread's, which faults again when the handler returns; not what kill() sent. */
static bool is_access(const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
}

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
	if (before.sa_handler == SIG_IGN && !is_access(info))
		return;
	/* Let the same access fault again, or what was sent come again, with the default action. */
	signal(signal_number, SIG_DFL);
	if (!is_access(info))
		kill(getpid(), signal_number);
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), address = (uintptr_t)info->si_addr;

	for (struct guard *guard = innermost; guard && is_access(info); guard = guard->outer) {
		/* A fault is told by its page. */
		if (address < (guard->low & ~(page - 1)) || address >= ((guard->high + page - 1) & ~(page - 1)))
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

/* Apart, so that who has not opted in does not pay for the room that a jump takes. */
__attribute__((noinline)) static int guarded(const void *low, size_t length, cdx_access_fn *access, void *arg)
{
	struct guard guard;

	guard.low = (uintptr_t)low;
	guard.high = (uintptr_t)low + length;
	guard.outer = innermost;
	if (sigsetjmp(guard.home, 0))
		return -EIO;
	innermost = &guard;
	access(arg);
	innermost = guard.outer;
	return 0;
}

int cdx_guard(const void *low, size_t length, cdx_access_fn *access, void *arg)
{
	if (installed)
		return guarded(low, length, access, arg);
	access(arg);
	return 0;
}
