/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors that no forked child keeps (R10).  Locks belong to the open file
 * that a descriptor stands for, and live as long as any process has one: close-on-exec
 * is not enough for a child that never calls exec.
 */
#ifndef CDX_FORK_H
#define CDX_FORK_H

struct cdx_fork_guard {
	int *fd;			/* -1 in a child */
	struct cdx_fork_guard *next, **link;
};

/*
 * From now on fork() closes *@fd in the child, and makes it -1 there.  Neither
 * @guard nor @fd may move until cdx_fork_release(), which is to come before *@fd
 * is closed.  0 or -ENOMEM.
 */
int cdx_fork_watch(struct cdx_fork_guard *guard, int *fd);
void cdx_fork_release(struct cdx_fork_guard *guard);

#endif
