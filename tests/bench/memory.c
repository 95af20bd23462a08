// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The most memory that a process has for itself while it writes a long stream.
 * The pages of the image that it has mapped are the image, not the process's.
 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include "fixture.h"
#include "worker.h"

#define MOST (64 * MIB)
#define SPARE (512 * MIB)	/* of the image: for what is not the stream's bytes */
#define LEFT_FREE (2 * GIB)	/* of the filesystem, for others */

/* Bytes; shared with the process that writes the stream. */
struct usage {
	uint64_t own;		/* the most RssAnon seen */
	uint64_t addresses;	/* VmPeak, exact, but for the image: more than it can ever have had */
	uint64_t tables;	/* VmPTE: page tables; the longer the mapping, the more */
};

struct stream {
	struct image image;
	uint64_t size, length, left;
	struct usage *usage;
};

static void look_at_memory(struct usage *usage)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t kib;

	if (!file)
		die("/proc/self/status: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "RssAnon: %" SCNu64, &kib) == 1 && usage->own < kib * 1024)
			usage->own = kib * 1024;
		if (sscanf(line, "VmPeak: %" SCNu64, &kib) == 1)
			usage->addresses = kib * 1024;
		if (sscanf(line, "VmPTE: %" SCNu64, &kib) == 1)
			usage->tables = kib * 1024;
	}
	fclose(file);
}

static ssize_t give(void *arg, void *buffer, size_t length)
{
	struct stream *stream = arg;

	look_at_memory(stream->usage);
	if (length > stream->left)
		length = stream->left;
	for (size_t at = 0; at < length; at += BLOCK)
		memcpy((char *)buffer + at, pattern, length - at < BLOCK ? length - at : BLOCK);
	stream->left -= length;
	return (ssize_t)length;
}

/* The stream's last transaction is where memory could grow with its length. */
static void look_at_step(void *arg, const struct cowdax_step *step)
{
	struct stream *stream = arg;

	if (step && step->offset / MIB % 16 == 0)
		look_at_memory(stream->usage);
}

static int look_before_commit(void *arg, const struct cowdax_result *result)
{
	struct stream *stream = arg;

	(void)result;
	look_at_memory(stream->usage);
	return 0;
}

static void write_stream(void *subject)
{
	struct stream *stream = subject;
	struct cowdax_write_request request = {
		.path = "/stream", .length = stream->length, .source = give, .source_arg = stream,
	};
	struct cowdax_result result = {
		.step = look_at_step, .ready = look_before_commit, .step_arg = stream,
	};
	struct cowdax_error error = {0};

	must(cowdax_open(stream->image.path, NULL, &stream->image.fs, &error), &error);
	stream->left = stream->length;
	must(cowdax_write_stream(stream->image.fs, &request, &result, &error), &error);
	look_at_memory(stream->usage);
	stream->usage->addresses -= stream->size;
	cowdax_close(stream->image.fs);
}

static void measure(struct stream *stream, const char *what)
{
	struct worker how = {.operate = write_stream, .subject = stream, .most = 1}, *worker;
	char own[32], against[64];

	image_make(&stream->image, "memory", stream->size, false);
	worker = worker_start(&how, 0);
	worker_go(worker);
	worker_wait(worker);
	worker_end(worker);
	image_remove(&stream->image);
	snprintf(own, sizeof(own), "%.1f MiB", (double)stream->usage->own / (double)MIB);
	snprintf(against, sizeof(against), "%.1f MiB (all addresses)",
		 (double)stream->usage->addresses / (double)MIB);
	report_value(what, own, against, "<= 64 MiB", stream->usage->own <= MOST);
	report_note("beside the image's pages and %.1f MiB of page tables for them",
		    (double)stream->usage->tables / (double)MIB);
}

void bench_memory(void)
{
	struct stream stream = {.length = options.quick ? GIB : 10 * GIB};
	const char *what = options.quick ? "peak memory of a stream of 1 GiB" :
					   "peak memory of a stream of 10 GiB";
	struct statvfs room;

	stream.size = stream.length + SPARE;
	if (statvfs(options.directory, &room) ||
	    (uint64_t)room.f_bavail * room.f_frsize < stream.size + LEFT_FREE) {
		report_skipped(what, "it needs more space than there is");
		return;
	}
	stream.usage = mmap(NULL, sizeof(*stream.usage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			    0);
	if (stream.usage == MAP_FAILED)
		die("out of memory");
	measure(&stream, what);
	munmap(stream.usage, sizeof(*stream.usage));
}
