// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

void use_core(int core)
{
	static cpu_set_t allowed;
	static int cores;
	cpu_set_t one;

	/* What was allowed before the first call is what there is to choose from. */
	if (!cores && sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		cores = CPU_COUNT(&allowed);
	if (!cores)
		return;
	core %= cores;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &allowed) || core--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

/* ---- in its process --------------------------------------------------------------------- */

static void take_turn(struct worker *worker)
{
	uint64_t next = now();

	worker->started = next;
	while (!worker->stop && (!worker->most || worker->operations < worker->most)) {
		worker->operate(worker->subject);
		worker->operations++;
		next += worker->pace;
		while (worker->pace && now() < next && !worker->stop)
			;
	}
	worker->ended = now();
}

static _Noreturn void work(struct worker *worker, int core, int go, int done)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	use_core(core);
	if (worker->prepare)
		worker->prepare(worker->subject);
	while (read(go, &byte, 1) == 1 && !worker->quit) {
		take_turn(worker);
		if (write(done, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

/* ---- in the one that started it ----------------------------------------------------------- */

struct worker *worker_start(const struct worker *how, int core)
{
	struct worker *worker = mmap(NULL, sizeof(*worker), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int go[2], done[2];

	if (worker == MAP_FAILED || pipe(go) || pipe(done))
		die("a worker: %s", strerror(errno));
	*worker = *how;
	worker->pid = fork();
	if (worker->pid < 0)
		die("fork: %s", strerror(errno));
	if (worker->pid == 0) {
		close(go[1]);
		close(done[0]);
		work(worker, core, go[0], done[1]);
	}
	close(go[0]);
	close(done[1]);
	worker->go = go[1];
	worker->done = done[0];
	return worker;
}

void worker_go(struct worker *worker)
{
	worker->stop = false;
	worker->operations = 0;
	if (write(worker->go, "", 1) != 1)
		die("a worker is gone");
	while (!worker->most && worker->operations < 2) {
		if (waitpid(worker->pid, NULL, WNOHANG))
			die("a worker is gone");
		sched_yield();
	}
}

void worker_wait(struct worker *worker)
{
	char byte;

	if (!worker->most)
		worker->stop = true;
	if (read(worker->done, &byte, 1) != 1)
		die("a worker is gone");
}

void worker_end(struct worker *worker)
{
	worker->quit = true;
	if (write(worker->go, "", 1) != 1)
		die("a worker is gone");
	waitpid(worker->pid, NULL, 0);
	close(worker->go);
	close(worker->done);
	munmap(worker, sizeof(*worker));
}
