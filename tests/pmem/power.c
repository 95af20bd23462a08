// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Power cuts, see power.h.  Reports each cut as a test (TAP).
 *
 *	power.t [--cuts=N] [--seed=N]
 *
 * The same seed gives the same commands, in each process, and the same numbers of them before
 * the cuts; how the processes take turns, and so the very moment, are another each time.
 */
#include "power.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define MOST_COMMANDS 400		/* acknowledged before a cut */
#define LONGEST_PAUSE 40000000L		/* nanoseconds */

struct power {
	struct guest guest;
	void *journals;			/* NULL: there are none yet */
	uint64_t cuts, seed;
};

_Noreturn void fail(const char *format, ...)
{
	char line[1024];
	va_list args;
	int length;

	fflush(stdout);
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* At once, for many share the guest's one channel. */
	length = dprintf(STDOUT_FILENO, "# %s\n", line);
	_exit(length < 0 ? 3 : 2);
}

/* ---- the DIMMs ------------------------------------------------------------------------------ */

static void make_dimms(struct guest *guest)
{
	static const char *const names[DIMMS] = {"journals", "device-dax", "xfs", "block-device"};
	const uint64_t sizes[DIMMS] = {
		/*
		 * Multiples of 16 MiB, of which the kernel takes some; an XFS has 300 or more.
		 * Small, so that space is soon used again.
		 */
		(journals_size() / (16 * MIB) + 3) * 16 * MIB, 32 * MIB, 352 * MIB, 32 * MIB,
	};

	for (int dimm = 0; dimm < DIMMS; dimm++) {
		char *path = guest->dimm[dimm];
		int fd;

		snprintf(path, sizeof(guest->dimm[dimm]), "%s/%s", guest->folder, names[dimm]);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)sizes[dimm]))
			fail("%s: %s", path, strerror(errno));
		close(fd);
	}
}

/* Where on a DIMM its namespace's data starts, as Linux's struct nd_pfn_sb has it. */
static uint64_t data_offset(const char *dimm)
{
	unsigned char info[64];
	uint64_t offset = 0;
	int fd = open(dimm, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, info, sizeof(info), 4096) != sizeof(info))
		fail("%s: %s", dimm, strerror(errno));
	close(fd);
	if (memcmp(info, "NVDIMM_PFN_INFO", 16) != 0 && memcmp(info, "NVDIMM_DAX_INFO", 16) != 0)
		fail("%s has no namespace", dimm);
	for (int byte = 7; byte >= 0; byte--)
		offset = offset << 8 | info[56 + byte];
	return offset;
}

static void map_journals(struct power *power)
{
	const char *dimm = power->guest.dimm[JOURNAL_DIMM];
	off_t offset = (off_t)data_offset(dimm);
	int fd = open(dimm, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		power->journals = mmap(NULL, journals_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
				       fd, offset);
	if (fd < 0 || power->journals == MAP_FAILED)
		fail("%s: %s", dimm, strerror(errno));
	close(fd);
}

/* ---- a cut ---------------------------------------------------------------------------------- */

static struct storm storm_of(const struct power *power, unsigned int index)
{
	struct storm storm = {
		.folder = power->guest.folder, .journal = journal_of(power->journals, index),
	};

	snprintf(storm.image, sizeof(storm.image), "%s", power->guest.dimm[DEVICE_DIMM + index]);
	return storm;
}

static void judge(struct power *power, unsigned int index)
{
	struct storm storm = storm_of(power, index);
	struct tally before = tally_of(&storm), after;
	uint64_t offset = data_offset(storm.image);

	if (DEVICE_DIMM + index == XFS_DIMM)
		offset += power->guest.extent;
	judge_image(&storm, offset);
	after = tally_of(&storm);
	printf("# %-12s so far %" PRIu64 " acknowledged, %" PRIu64 " to the shared file, %" PRIu64
	       " refused; in flight: %" PRIu64 " whole, %" PRIu64 " absent, %" PRIu64
	       " to the shared file\n", strrchr(storm.image, '/') + 1, after.done, after.shared,
	       after.refused, after.whole - before.whole, after.absent - before.absent,
	       before.shared_in_flight);
}

/* In a process of its own, so that a failure is one more line. */
static _Noreturn void cut_once(struct power *power, uint64_t cut, struct random random)
{
	struct moment moment = {
		.commands = random_below(&random, MOST_COMMANDS),
		.nanoseconds = (long)random_below(&random, LONGEST_PAUSE),
	};
	char arguments[64];

	snprintf(arguments, sizeof(arguments), "%s %" PRIu64, cut == 1 ? "new" : "old",
		 random_next(&random));
	run_guest(&power->guest, arguments, &moment);
	map_journals(power);
	for (unsigned int index = 0; index < IMAGES; index++)
		judge(power, index);
	exit(EXIT_SUCCESS);
}

static bool cut(struct power *power, uint64_t number, struct random *random)
{
	struct random own = {random_next(random)};
	pid_t process;
	int status;

	fflush(stdout);
	process = fork();
	if (process < 0)
		fail("fork: %s", strerror(errno));
	if (process == 0)
		cut_once(power, number, own);
	waitpid(process, &status, 0);
	printf("%s %" PRIu64 " - after a power cut what was acknowledged is there, the rest"
	       " whole or absent, all clean\n", status ? "not ok" : "ok", number);
	return status == 0;
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* A test in which nothing happens proves nothing. */
static bool report(struct power *power, uint64_t number)
{
	struct tally all = {0};
	bool busy = true;

	map_journals(power);
	for (unsigned int index = 0; index < IMAGES; index++) {
		struct storm storm = storm_of(power, index);
		struct tally tally = tally_of(&storm);

		busy = busy && tally.done && tally.shared && tally.whole + tally.absent;
		all.done += tally.done;
		all.shared += tally.shared;
		all.refused += tally.refused;
		all.whole += tally.whole;
		all.absent += tally.absent;
	}
	printf("# %" PRIu64 " cuts: none of %" PRIu64 " acknowledged changes lost, nor of %" PRIu64
	       " writes to shared files; in flight: %" PRIu64 " whole, %" PRIu64 " absent; %" PRIu64
	       " refused\n", power->cuts, all.done, all.shared, all.whole, all.absent,
	       all.refused);
	printf("%s %" PRIu64 " - each image was busy when the power was cut\n",
	       busy ? "ok" : "not ok", number);
	return busy;
}

static bool run(struct power *power)
{
	struct random random = {power->seed};

	printf("1..%" PRIu64 "\n", power->cuts + 1);
	for (uint64_t number = 1; number <= power->cuts; number++)
		if (!cut(power, number, &random))
			return false;
	return report(power, power->cuts + 1);
}

static void clean_up(const struct power *power)
{
	static const char *const names[] = {"arguments", "console", "errors", "pid"};
	char path[512];

	for (int dimm = 0; dimm < DIMMS; dimm++)
		unlink(power->guest.dimm[dimm]);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", power->guest.folder, names[i]);
		unlink(path);
	}
	rmdir(power->guest.folder);
}

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end)
		fail("%s: not a number", text);
	return value;
}

static void parse(struct power *power, int argc, char **argv)
{
	static const struct option options[] = {
		{"cuts", required_argument, NULL, 'c'}, {"seed", required_argument, NULL, 's'}, {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			exit(EXIT_FAILURE);
		if (option == 'c')
			power->cuts = parse_number(optarg);
		else
			power->seed = parse_number(optarg);
	}
}

int main(int argc, char **argv)
{
	struct power power = {.cuts = 5, .seed = (uint64_t)time(NULL)};
	const char *parent = getenv("TMPDIR");
	char folder[256];
	bool good;

	if (argc > 1 && strcmp(argv[1], "work") == 0)
		work(argc, argv);
	parse(&power, argc, argv);
	if (!parent || !*parent)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(folder, sizeof(folder), "%s/cowdax-power-XXXXXX", parent);
	if (!mkdtemp(folder))
		fail("%s: %s", folder, strerror(errno));
	power.guest.folder = folder;
	printf("# power.t --cuts=%" PRIu64 " --seed=%" PRIu64 "\n", power.cuts, power.seed);
	make_dimms(&power.guest);
	good = run(&power);
	if (good)
		clean_up(&power);
	else
		printf("# left for a look: %s\n", folder);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
