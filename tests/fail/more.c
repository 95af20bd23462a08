// SPDX-License-Identifier: GPL-2.0-or-later
#include "more.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/image.h"
#include "inject.h"
#include "media.h"

#define LONG_LENGTH (CDX_IMAGE_LONG + 5000)
#define STREAM_LENGTH ((UINT64_C(4) << 20) + 3 * BLOCK + 77)
#define CHUNK (2 * BLOCK + 10)
#define CHUNKED_LENGTH (4 * CHUNK + 100)

uint64_t more_told;

static void tell(uint64_t word)
{
	more_told = mix(more_told, word);
}

static void tell_bytes(const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		more_told = (more_told ^ bytes[i]) * UINT64_C(0x100000001b3);
	tell(length);
}

static int find(struct cowdax *fs, const char *path, uint64_t *inode)
{
	return cowdax_lookup(fs, path, inode, &operation_error);
}

/* ---- long writes ------------------------------------------------------------------------ */

static int write_long(struct cowdax *fs)
{
	static unsigned char bytes[LONG_LENGTH];
	uint64_t inode;
	int ret = find(fs, "/small", &inode);

	if (ret)
		return ret;
	fill_pattern(bytes, sizeof(bytes), 21);
	return cowdax_write(fs, inode, bytes, sizeof(bytes), 777, &operation_result, &operation_error);
}

struct source { uint64_t given, length, part; };

/* A byte by its place, so that a part is known as a part. */
static unsigned char byte_at(uint64_t place)
{
	return (unsigned char)(place * 7 + place / 251);
}

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct source *source = arg;
	unsigned char *bytes = buffer;

	if (length > source->length - source->given)
		length = source->length - source->given;
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(source->given + i);
	source->given += length;
	return (ssize_t)length;
}

static int stream(struct cowdax *fs, const char *path, uint64_t length, uint64_t chunk, bool append)
{
	struct source source = {.length = length};
	struct cowdax_write_request request = {
		.path = path, .append = append, .truncate = !append, .length = COWDAX_TO_END, .chunk = chunk,
		.source = give, .source_arg = &source,
	};

	return cowdax_write_stream(fs, &request, &operation_result, &operation_error);
}

static int append_long_stream(struct cowdax *fs)
{
	return stream(fs, "/mixed", STREAM_LENGTH, 0, true);
}

static int create_by_long_stream(struct cowdax *fs)
{
	return stream(fs, "/dir/streamed", STREAM_LENGTH, 0, false);
}

/* After each part come two blocks of hole. */
static int64_t pass(void *arg, uint64_t length)
{
	struct source *source = arg;
	uint64_t at = source->given % (source->part + 2 * BLOCK), part = source->part + 2 * BLOCK - at;

	if (at < source->part)
		return 0;
	if (part > source->length - source->given)
		part = source->length - source->given;
	part = part < length ? part : length;
	source->given += part;
	return (int64_t)part;
}

static ssize_t give_up_to_hole(void *arg, void *buffer, size_t length)
{
	const struct source *source = arg;
	uint64_t part = source->part - source->given % (source->part + 2 * BLOCK);

	return give(arg, buffer, part < length ? part : length);
}

/* Over what is there: blocks are given up, and parts of blocks copied. */
static int sparse(struct cowdax *fs, const char *path, uint64_t part, uint64_t length)
{
	struct source source = {.length = length, .part = part};
	struct cowdax_write_request request = {
		.path = path, .offset = 100, .length = COWDAX_TO_END, .source = give_up_to_hole, .hole = pass,
		.source_arg = &source,
	};

	return cowdax_write_stream(fs, &request, &operation_result, &operation_error);
}

static int write_sparse(struct cowdax *fs)
{
	return sparse(fs, "/tree", BLOCK, 20 * BLOCK);
}

static int write_long_sparse(struct cowdax *fs)
{
	return sparse(fs, "/mixed", STREAM_LENGTH / 2, STREAM_LENGTH + 20 * BLOCK);
}

int write_chunks(struct cowdax *fs)
{
	return stream(fs, "/chunked", CHUNKED_LENGTH, CHUNK, false);
}

bool chunks_are_whole(struct cowdax *fs)
{
	static unsigned char bytes[CHUNKED_LENGTH + 1];
	uint64_t inode;
	ssize_t got;

	if (cowdax_lookup(fs, "/chunked", &inode, NULL))
		return true;
	got = cowdax_read(fs, inode, bytes, sizeof(bytes), 0, NULL);
	for (ssize_t i = 0; i < got; i++)
		if (bytes[i] != byte_at((uint64_t)i))
			return false;
	return got >= 0 && (got % CHUNK == 0 || got == CHUNKED_LENGTH);
}

/* ---- looking ------------------------------------------------------------------------------ */

static int read_file(struct cowdax *fs)
{
	unsigned char bytes[12 * BLOCK];
	uint64_t inode;
	ssize_t got;
	int ret = find(fs, "/own", &inode);

	if (ret)
		return ret;
	got = cowdax_read(fs, inode, bytes, sizeof(bytes), 33, &operation_error);
	if (got >= 0)
		tell_bytes(bytes, (size_t)got);
	return got < 0 ? (int)got : 0;
}

static int sink(void *arg, const void *bytes, size_t length)
{
	(void)arg;
	tell_bytes(bytes, length);
	return 0;
}

static int read_to(struct cowdax *fs)
{
	uint64_t inode;
	int ret = find(fs, "/tree", &inode);

	return ret ? ret : cowdax_read_to(fs, inode, 100, COWDAX_TO_END, sink, NULL, &operation_error);
}

static int tell_extent(void *arg, const struct cowdax_extent *extent)
{
	(void)arg;
	tell(extent->map.offset);
	tell(extent->map.length);
	tell(extent->map.type);
	tell(extent->references);
	return 0;
}

static int map(struct cowdax *fs)
{
	uint64_t inode;
	int ret = find(fs, "/tree-clone", &inode);

	return ret ? ret : cowdax_map(fs, inode, 0, COWDAX_TO_END, tell_extent, NULL, &operation_error);
}

static int tell_name(void *arg, const struct cowdax_dirent *dirent)
{
	(void)arg;
	tell_bytes((const unsigned char *)dirent->name, dirent->name_length);
	return 0;
}

static int list(struct cowdax *fs)
{
	return cowdax_list(fs, COWDAX_ROOT_INODE, tell_name, NULL, &operation_error);
}

static int stat_blocks(struct cowdax *fs)
{
	struct cowdax_stat st;
	uint64_t inode;
	int ret = find(fs, "/tree", &inode);

	if (!ret)
		ret = cowdax_stat_blocks(fs, inode, &st, &operation_error);
	if (ret)
		return ret;
	tell(st.size);
	tell(st.blocks);
	tell(st.shared_blocks);
	return 0;
}

static int info(struct cowdax *fs)
{
	struct cowdax_info facts;
	int ret = cowdax_info_hidden(fs, &facts, &operation_error);

	if (ret)
		return ret;
	tell(facts.free_blocks);
	tell(facts.limbo_blocks);
	tell(facts.shared_blocks);
	tell(facts.hidden_blocks);
	tell(facts.inodes);
	return 0;
}

/* What a transaction reads is its own; then it is given up. */
static int look_at_own_changes(struct cowdax *fs)
{
	int ret = cowdax_begin(fs, &operation_error);

	if (!ret)
		ret = cowdax_mkdir(fs, "/a/b", 0700, true, &operation_error);
	if (!ret)
		ret = stream(fs, "/a/b/c", 3 * BLOCK + 5, 0, false);
	if (!ret)
		ret = cowdax_remove(fs, "/dir", true, &operation_error);
	if (!ret)
		ret = list(fs);
	if (!ret)
		ret = read_to(fs);
	cowdax_abort(fs);
	return ret;
}

/* ---- handles ------------------------------------------------------------------------------- */

static int open_media(unsigned int flags, struct cowdax **fs)
{
	struct cowdax_open_options options = {.flags = flags};

	return cowdax_open(media_path(), &options, fs, &operation_error);
}

static int read_by_reader(struct cowdax_error *error)
{
	struct cowdax *fs;
	int ret = open_media(COWDAX_RDONLY, &fs);

	(void)error;
	if (ret)
		return ret;
	ret = read_file(fs);
	if (!ret)
		ret = map(fs);
	cowdax_close(fs);
	return ret;
}

static int write_in_vain(struct cowdax_error *error)
{
	struct cowdax *fs;
	int ret = open_media(COWDAX_DRY_RUN, &fs);

	(void)error;
	if (ret)
		return ret;
	ret = stream(fs, "/small", 2 * BLOCK + 99, 0, true);
	cowdax_close(fs);
	return ret;
}

/* It is forgotten. */
static int close_in_transaction(struct cowdax_error *error)
{
	uint64_t inode;
	struct cowdax *fs;
	int ret = open_media(0, &fs);

	(void)error;
	if (ret)
		return ret;
	ret = cowdax_begin(fs, &operation_error);
	if (!ret)
		ret = cowdax_create(fs, "/closed", 0600, &inode, &operation_error);
	cowdax_close(fs);
	return ret;
}

/* ---- checking ------------------------------------------------------------------------------ */

static void tell_problem(void *arg, const struct cowdax_problem *problem)
{
	uint64_t *problems = arg;

	*problems += problem->severity != COWDAX_NOTE;
	tell_bytes((const unsigned char *)problem->code, strlen(problem->code));
	tell(problem->inode);
	tell(problem->block);
	tell(problem->count);
}

/* Pass after pass, and never back; the last, of so many bytes of data, begins with 0. */
static struct { int pass; uint64_t current, maximum; bool wrong; } progress;

static void follow_progress(void *arg, int pass, uint64_t current, uint64_t maximum)
{
	(void)arg;
	progress.wrong |= pass < progress.pass || (pass == progress.pass && current < progress.current);
	if (pass == 5 && progress.pass != 5) {
		progress.wrong |= current != 0;
		tell(maximum);
	}
	progress.pass = pass;
	progress.current = current;
	progress.maximum = maximum;
}

static int check(uint64_t *problems)
{
	struct cowdax_check_options options = {
		.check_data = true, .problem = tell_problem, .problem_arg = problems,
		.progress = follow_progress,
	};
	struct cowdax_check_summary summary;
	int ret;

	memset(&progress, 0, sizeof(progress));
	ret = cowdax_check(media_path(), &options, &summary, &operation_error);
	if (ret)
		return ret;
	tell(summary.inodes);
	tell(summary.extents);
	tell(summary.nodes);
	/* It may stop where there is nothing left to check. */
	if (progress.wrong || (!*problems && (progress.pass != 5 || progress.current != progress.maximum)))
		return -EPROTO;
	return summary.clean != !*problems ? -EPROTO : 0;
}

/* To find nothing wrong where something could not be read or remembered would be a lie. */
static int check_media(struct cowdax_error *error)
{
	uint64_t problems = 0;
	int ret = check(&problems);

	(void)error;
	return ret ? ret : problems ? -EUCLEAN : 0;
}

static int check_bad_media(struct cowdax_error *error)
{
	uint64_t problems = 0;
	int ret = check(&problems);

	(void)error;
	return ret ? ret : problems ? 0 : -EPROTO;
}

static int spoil_extent(void *arg, const struct cowdax_extent *extent)
{
	(void)arg;
	if (extent->map.type != COWDAX_MAPPED)
		return 0;
	inject_bad[0] = (struct inject_bad){extent->map.address, extent->map.address + extent->map.length};
	return 1;
}

/* The first leaf of a file's extents. */
static void spoil_leaf(struct cowdax *fs, uint64_t number)
{
	struct cdx_inode inode;
	struct cdx_node *root;
	uint64_t at;

	if (cdx_inode_load(&fs->txn, number, &inode) ||
	    cdx_node_get(&fs->txn.nodes, inode.extents.root.address, inode.extents.root.crc, CDX_KIND_EXTENT,
			 inode.extents.root.level, &root))
		die("no extents to spoil");
	at = get64(cdx_node_child(root, 0)->address) << fs->super.grain_shift;
	cdx_node_put(&fs->txn.nodes, root);
	inject_bad[1] = (struct inject_bad){at, at + fs->super.node_size};
}

void spoil_media(bool bad)
{
	struct cowdax *fs;
	uint64_t inode;

	memset(inject_bad, 0, sizeof(inject_bad));
	if (!bad)
		return;
	if (open_media(COWDAX_RDONLY, &fs) || find(fs, "/own", &inode) ||
	    cowdax_map(fs, inode, 0, COWDAX_TO_END, spoil_extent, NULL, NULL) != 1 || find(fs, "/tree", &inode))
		die("nothing to spoil");
	spoil_leaf(fs, inode);
	cowdax_close(fs);
}

const struct operation more_operations[] = {
	{"write-long", .run = write_long},
	{"append-long-stream", .run = append_long_stream},
	{"create-by-long-stream", .run = create_by_long_stream},
	{"write-sparse", .run = write_sparse},
	{"write-long-sparse", .run = write_long_sparse},
	{"write-chunks", .run = write_chunks},
	{"read", .run = read_file},
	{"read-to", .run = read_to},
	{"map", .run = map},
	{"list", .run = list},
	{"stat-blocks", .run = stat_blocks},
	{"info", .run = info},
	{"look-at-own-changes", .run = look_at_own_changes},
	{"read-by-reader", .remake = read_by_reader},
	{"write-in-vain", .remake = write_in_vain},
	{"close-in-transaction", .remake = close_in_transaction},
	{"check", .remake = check_media},
	{"check-bad-media", .remake = check_bad_media},
};
const unsigned int more_count = sizeof(more_operations) / sizeof(more_operations[0]);
