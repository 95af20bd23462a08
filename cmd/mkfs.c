/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mkfs.cowdax: make an image. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/geometry.h"
#include "lib/identity.h"
#include "lib/json.h"
#include "lib/probe.h"
#include "lib/quote.h"
#include "verbs.h"

#define DAX_ALIGNMENT ((uint64_t)2 << 20)
#define WARNINGS_MAX 3

struct arguments {
	struct cowdax_mkfs_options options;
	const char *from, *features;
	bool force, keep, shrink, all_root, uuid_given;
	struct cowdax_info info;	/* of what was made */
	char warnings[WARNINGS_MAX][192];
	int warning_count;
};

#define FIELD(name) offsetof(struct arguments, name)

static error_t set_block_size(struct argp_state *state, struct cli *cli, char *text)
{
	struct arguments *args = cli->arguments;
	uint64_t size;

	if (cli_parse_size(state, "--block-size", text, &size))
		return EINVAL;
	if (size < 4096 || size > 65536 || (size & (size - 1)))
		return cli_usage(state, "--block-size: '%s' is not a power of two from 4096 to "
				 "65536", text);
	args->options.block_size = (uint32_t)size;
	return 0;
}

static error_t set_label(struct argp_state *state, struct cli *cli, char *text)
{
	struct arguments *args = cli->arguments;

	args->options.label = text;
	if (strlen(text) > COWDAX_LABEL_MAX)
		return cli_usage(state, "--label: longer than %d bytes", COWDAX_LABEL_MAX);
	return 0;
}

static error_t set_uuid(struct argp_state *state, struct cli *cli, char *text)
{
	struct arguments *args = cli->arguments;

	args->uuid_given = true;
	if (identity_parse_uuid(text, args->options.uuid))
		return cli_usage(state, "--uuid: '%s' is not a UUID, 'random' or 'clear'", text);
	return 0;
}

/* 'list-all' lists and leaves, as --help does. */
static error_t set_features(struct argp_state *state, struct cli *cli, char *text)
{
	struct arguments *args = cli->arguments;

	(void)state;
	args->features = text;
	if (strcmp(text, "list-all") != 0)
		return 0;
	geometry_list_features();
	exit(EXIT_SUCCESS);
}

static error_t set_dry_run(struct argp_state *state, struct cli *cli, char *text)
{
	(void)state;
	(void)text;
	cli->dry_run = true;
	return 0;
}

static const struct cli_option options[] = {
	{ .name = "block-size", .letter = 'b', .value = "SIZE", .set = set_block_size,
	  .help = "Bytes in a block: 4k (the default) to 64k" },
	{ .name = "label", .letter = 'L', .value = "TEXT", .set = set_label,
	  .help = "Name the filesystem, at most 64 bytes" },
	{ .name = "uuid", .letter = 'U', .value = "UUID|random|clear", .set = set_uuid,
	  .help = "Its identity (default: random)" },
	{ .name = "from", .letter = 'd', .kind = CLI_TEXT, .value = "DIR|TAR|-",
	  .field = FIELD(from), .help = "Fill it (not supported yet)" },
	{ .name = "force", .letter = 'f', .field = FIELD(force),
	  .help = "Overwrite the filesystem or partition table that is there" },
	{ .letter = 'F', .alias = true, .field = FIELD(force) },
	{ .name = "features", .letter = 'O', .value = "LIST", .set = set_features,
	  .help = "Turn features on, with ^ off; 'list-all' lists them" },
	{ .name = "shrink", .field = FIELD(shrink),
	  .help = "With --from: cut the file to fit (not supported yet)" },
	{ .name = "all-root", .field = FIELD(all_root), .help = "Let root own everything" },
	{ .name = "dry-run", .letter = 'N', .set = set_dry_run,
	  .help = "Print what would be made, change nothing" },
	{ .letter = 'n', .alias = true, .set = set_dry_run },
	{ .letter = 'K', .field = FIELD(keep),
	  .help = "Do not discard what the device or file holds" },
	{ 0 }
};

static error_t check(struct argp_state *state, struct cli *cli)
{
	struct arguments *args = cli->arguments;

	if (args->shrink && !args->from)
		return cli_usage(state, "--shrink needs --from");
	if (cli->operand_count == 0)
		return 0;
	if (cli_parse_size(state, "SIZE", cli->operands[0], &args->options.size))
		return EINVAL;
	return args->options.size ? 0 : cli_usage(state, "SIZE: must not be 0");
}

static int check_supported(struct cli *cli, const struct arguments *args)
{
	if (args->from)
		return cli_fail(cli, -ENOTSUP, "--from: not supported yet");
	if (args->features)
		return cli_fail(cli, -ENOTSUP, "--features: choosing features is not supported yet");
	return 0;
}

static char *next_warning(struct arguments *args)
{
	return args->warnings[args->warning_count++];
}

/* What the kind of mapping means here, unless it is persistent memory. */
static void find_mapping_warning(const struct cli *cli, struct arguments *args)
{
	if (args->info.mapping == COWDAX_MAPPING_FORCED)
		snprintf(next_warning(args), sizeof(*args->warnings),
			 "taken for persistent memory because PMEM_IS_PMEM_FORCE=1: nothing is "
			 "certain when power fails");
	if (args->info.mapping == COWDAX_MAPPING_PAGE_CACHE)
		snprintf(next_warning(args), sizeof(*args->warnings),
			 "not persistent memory: as durable as msync() makes it%s",
			 probe_can_dax(cli->image) ?
			 "; the namespace could be (see mkfs.cowdax(8), NAMESPACES)" : "");
}

/* What keeps a kernel from ever mapping files of this image directly. */
static void find_warnings(const struct cli *cli, struct arguments *args)
{
	uint64_t start = probe_partition_start(cli->image) + cli->open.fs_offset;
	long page_size = sysconf(_SC_PAGESIZE);

	find_mapping_warning(cli, args);
	if (args->info.block_size != (uint64_t)page_size)
		snprintf(next_warning(args), sizeof(*args->warnings),
			 "blocks of %u bytes, but pages of %ld: DAX cannot work",
			 args->info.block_size, page_size);
	if (start % DAX_ALIGNMENT)
		snprintf(next_warning(args), sizeof(*args->warnings),
			 "starts at byte %llu, not at a multiple of 2 MiB: DAX cannot work",
			 (unsigned long long)start);
}

static void print_json(const struct cli *cli, const struct arguments *args)
{
	struct json json = json_begin(stdout, "mkfs");
	int i;

	json_name(&json, "image", cli->image, strlen(cli->image));
	json_bool(&json, "dry_run", cli->dry_run);
	geometry_print_json(&json, &args->info);
	json_open(&json, "warnings", '[');
	for (i = 0; i < args->warning_count; i++)
		json_string(&json, NULL, args->warnings[i]);
	json_close(&json, ']');
	json_end(&json);
}

static void print(const struct cli *cli, const struct arguments *args)
{
	if (cli->json) {
		print_json(cli, args);
	} else if (!cli->quiet) {
		printf("image:        ");
		quote_print(stdout, cli->image);
		printf("%s\n", cli->dry_run ? " (dry run, nothing written)" : "");
		geometry_print(&args->info);
	}
}

/*
 * Printed when nothing but the media can fail, before anything is written: where
 * stdout is full or closed, nothing is made; what cannot be made prints nothing.
 */
static int announce(void *arg, const struct cowdax_info *info)
{
	struct cli *cli = arg;
	struct arguments *args = cli->arguments;
	int i, ret;

	args->info = *info;
	if (cli->dry_run)
		args->info.transaction = 0;	/* there is none */
	find_warnings(cli, args);
	print(cli, args);
	ret = cli_flush(cli);
	for (i = 0; i < args->warning_count && !ret; i++)
		cli_warn(cli, "%s: %s", cli->image, args->warnings[i]);
	return ret;
}

static int make(struct cli *cli, struct arguments *args)
{
	int ret;

	args->options.ready = announce;
	args->options.ready_arg = cli;
	ret = cowdax_mkfs(cli->image, &args->options, NULL, &cli->error);
	return ret || cli->dry_run ? ret : probe_wipe(cli, args->info.size);
}

static int run(struct cli *cli)
{
	struct arguments *args = cli->arguments;
	int ret;

	args->options.fs_offset = cli->open.fs_offset;
	/* A device that is not there is not to become a file in memory. */
	args->options.create = strncmp(cli->image, "/dev/", 5) != 0 || strncmp(cli->image, "/dev/shm/", 9) == 0;
	args->options.dry_run = cli->dry_run;
	args->options.discard = !args->keep;
	args->options.uid = args->all_root ? 0 : getuid();
	args->options.gid = args->all_root ? 0 : getgid();
	ret = check_supported(cli, args);
	if (!ret)
		ret = identity_choose(cli, &args->options, args->uuid_given);
	if (!ret)
		ret = probe_target(cli, args->options.size, args->force);
	return ret ? ret : make(cli, args);
}

const struct cli_verb mkfs_verb = {
	.name = "mkfs",
	.program = "mkfs.cowdax",
	.operands = "DEVICE [SIZE]",
	.summary = "Make an empty cowdax filesystem in DEVICE, a file or a device of persistent "
		   "memory; a missing file is created with SIZE bytes.",
	.max_operands = 1,
	.flags = CLI_OWN_OPEN | CLI_OWN_DRY_RUN,
	.options = options,
	.arguments_size = sizeof(struct arguments),
	.check = check,
	.run = run,
};
