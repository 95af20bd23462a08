// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a forked child must not keep open (R10): the descriptors that own locks,
 * closed in it before fork() returns.  Linux has no close-on-fork.
 */
#include "pmem/fork.h"

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

/*
 * With fault.c's the library's only variables: which descriptors a child is born
 * with is a matter of the process, and fork() tells its handlers nothing.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cdx_fork_guard *watched;
static int installed;

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	while (watched) {
		struct cdx_fork_guard *guard = watched;

		close(*guard->fd);
		*guard->fd = -1;
		watched = guard->next;
		guard->link = NULL;
	}
	pthread_mutex_unlock(&lock);
}

int cdx_fork_watch(struct cdx_fork_guard *guard, int *fd)
{
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (!installed)
		ret = pthread_atfork(before_fork, in_parent, in_child);
	if (!ret) {
		installed = 1;
		*guard = (struct cdx_fork_guard){.fd = fd, .next = watched, .link = &watched};
		if (watched)
			watched->link = &guard->next;
		watched = guard;
	}
	pthread_mutex_unlock(&lock);
	return -ret;
}

void cdx_fork_release(struct cdx_fork_guard *guard)
{
	pthread_mutex_lock(&lock);
	if (guard->link) {
		*guard->link = guard->next;
		if (guard->next)
			guard->next->link = guard->link;
		guard->link = NULL;
	}
	pthread_mutex_unlock(&lock);
}
