// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The same operations on an XFS and on a cowdax image: the contents must be the
 * same bytes, and the same blocks must be shared, or the difference must have one
 * of the reasons in beside_reason.c.  And what each costs on both.
 *
 *	beside [--seed S] [--operations N] [--rounds R] [--time T] DIRECTORY IMAGE
 *	beside --replay "create a; write a 0 100; ..." DIRECTORY IMAGE
 *
 * The written cases, then N random operations from seed S and from each of the
 * R - 1 seeds after it, then T rounds of small writes.  DIRECTORY is on an XFS
 * with reflink; what is in IMAGE, a file or a device, is lost.
 */
#include "beside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_BAILED 99	/* TAP: nothing can be said */

struct options {
	uint64_t seed, operations, rounds, time;
	const char *replay, *directory, *image;
};

void die(const char *format, ...)
{
	va_list arguments;

	printf("Bail out! ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	exit(EXIT_BAILED);
}

void tap(struct setting *setting, bool good, const char *format, ...)
{
	va_list arguments;

	printf("%sok %u - ", good ? "" : "not ", ++setting->tests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	setting->failed += !good;
}

static uint64_t number(const char *option, const char *value)
{
	char *end;
	uint64_t result = value ? strtoull(value, &end, 0) : 0;

	if (!value || !*value || *end) {
		fprintf(stderr, "beside: %s: a number is needed\n", option);
		exit(2);
	}
	return result;
}

static void parse(struct options *options, int argc, char **argv)
{
	const struct { const char *name; uint64_t *value; } numbers[] = {
		{"--seed", &options->seed}, {"--operations", &options->operations},
		{"--rounds", &options->rounds}, {"--time", &options->time},
	};
	int i = 1;

	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		size_t n = 0;

		if (strcmp(argv[i], "--replay") == 0) {
			options->replay = argv[i + 1];
			continue;
		}
		while (n < sizeof(numbers) / sizeof(*numbers) &&
		       strcmp(argv[i], numbers[n].name) != 0)
			n++;
		if (n == sizeof(numbers) / sizeof(*numbers)) {
			fprintf(stderr, "beside: %s: unknown option\n", argv[i]);
			exit(2);
		}
		*numbers[n].value = number(argv[i], argv[i + 1]);
	}
	if (argc - i != 2) {
		fprintf(stderr, "usage: beside [OPTION VALUE]... DIRECTORY IMAGE\n");
		exit(2);
	}
	options->directory = argv[i];
	options->image = argv[i + 1];
}

static void print_sides(const struct setting *setting)
{
	struct cowdax_error error;
	struct cowdax_info info;

	if (cowdax_info(setting->image.fs, &info, &error))
		die("%s", error.text);
	printf("# XFS: %s; cowdax: %s\n", xfs_mapping(&setting->xfs),
	       cowdax_mapping_name(info.mapping));
}

static void print_reasons(const uint64_t counts[REASONS])
{
	printf("# differences, and no others:\n");
	for (enum reason reason = NO_REASON + 1; reason < REASONS; reason++)
		printf("# %8" PRIu64 "  %s\n", counts[reason], reason_text(reason));
}

static void print_help(const struct xfs *xfs)
{
	if (xfs->old_kernel)
		printf("# %8" PRIu64 "  shared blocks copied by writes first, where Linux before 6.2 gets it "
		       "wrong on DAX: to zero a part of them, to unshare them\n", xfs->helped);
}

static void run_all(struct setting *setting, const struct options *options)
{
	run_cases(setting);
	for (uint64_t round = 0; round < options->rounds; round++)
		run_random(setting, options->seed + round, options->operations);
	if (options->time)
		times_small_writes(setting, (unsigned int)options->time);
	print_reasons(setting->counts);
	print_help(&setting->xfs);
	times_report(setting->times);
}

static void replay(struct setting *setting, const char *text)
{
	struct op_list list = {0};

	if (!op_parse(text, &list))
		exit(2);
	run_list(setting, &list, "replayed");
	op_list_free(&list);
	print_reasons(setting->counts);
}

int main(int argc, char **argv)
{
	struct options options = {.seed = 1, .operations = 1000, .rounds = 1, .time = 10};
	static struct setting setting;

	parse(&options, argc, argv);
	setting.times = times_new();
	xfs_open(&setting.xfs, options.directory);
	image_open(&setting.image, options.image);
	print_sides(&setting);
	if (options.replay)
		replay(&setting, options.replay);
	else
		run_all(&setting, &options);
	printf("1..%u\n", setting.tests);
	xfs_close(&setting.xfs);
	image_close(&setting.image);
	times_free(setting.times);
	return setting.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
