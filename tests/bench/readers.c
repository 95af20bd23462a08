// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading while another process writes.  Readers wait for nobody, but share the
 * machine: so the same reads are measured beside a process that copies as many
 * bytes, as often, between memory of its own.  What is lost beyond that is the
 * library's.
 */
#include "bench.h"

#include <libpmem.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "worker.h"

#define FILE_LENGTH (256 * MIB)
#define IMAGE (3 * GIB)		/* a reader that sleeps holds what is freed meanwhile */
#define TURN (256 * MIB)	/* bytes read in a turn of large reads */
#define SMALL_READS 20000	/* reads in one of small ones */

/* A process that writes the file, its control, and the reader have one each. */
struct subject {
	struct image image;
	struct floor floor;
	uint64_t inode, length;
	unsigned char *buffer;
};

static uint64_t somewhere(const struct subject *subject)
{
	return random_below(FILE_LENGTH / subject->length) * subject->length;
}

static void prepare(void *arg)
{
	struct subject *subject = arg;

	image_open(&subject->image);
	subject->buffer = malloc(subject->length);
	if (!subject->buffer)
		die("out of memory");
	for (uint64_t at = 0; at < subject->length; at += BLOCK)
		memcpy(subject->buffer + at, pattern, BLOCK);
}

static void write_somewhere(void *arg)
{
	struct subject *subject = arg;

	image_write(&subject->image, subject->inode, subject->buffer, subject->length, somewhere(subject));
}

static void prepare_control(void *arg)
{
	struct subject *subject = arg;

	prepare(subject);
	floor_make(&subject->floor, FILE_LENGTH);
}

static void copy_somewhere(void *arg)
{
	struct subject *subject = arg;

	pmem_memcpy(subject->floor.map + somewhere(subject), subject->buffer, subject->length,
		    PMEM_F_MEM_NONTEMPORAL | PMEM_F_MEM_NODRAIN);
	pmem_drain();
}

/* Nanoseconds for a gigabyte read in one turn, and what @other, if any, did meanwhile for each operation. */
static double read_beside(struct subject *reader, struct worker *other, uint64_t *pace)
{
	uint64_t reads = reader->length == BLOCK ? SMALL_READS : TURN / reader->length, started, taken;
	struct cowdax_error error = {0};

	if (other)
		worker_go(other);
	started = now();
	for (uint64_t i = 0; i < reads; i++) {
		ssize_t got = cowdax_read(reader->image.fs, reader->inode, reader->buffer, reader->length,
					  somewhere(reader), &error);

		must(got == (ssize_t)reader->length ? 0 : got < 0 ? (int)got : -1, &error);
	}
	taken = now() - started;
	if (other) {
		worker_wait(other);
		*pace = (other->ended - other->started) / other->operations;
	}
	return (double)taken * (double)GIB / (double)(reads * reader->length);
}

struct rates {
	struct pair control, alone;	/* b: beside a writer; a: beside its control, or alone */
	struct series written;		/* GiB/s, by the writer */
};

static void measure(struct subject *reader, struct worker *writer, struct worker *control, struct rates *rates)
{
	uint64_t pace = 0, ignored;

	for (int batch = -3; batch < repeat(40, 10); batch++) {
		double alone = read_beside(reader, NULL, NULL);
		double beside_writer = read_beside(reader, writer, &pace), beside_control;

		control->pace = pace;
		beside_control = read_beside(reader, control, &ignored);
		if (batch < 0)
			continue;
		side_add_time(&rates->control.a, beside_control);
		side_add_time(&rates->control.b, beside_writer);
		side_add_time(&rates->alone.a, alone);
		side_add_time(&rates->alone.b, beside_writer);
		pair_end_batch(&rates->control);
		pair_end_batch(&rates->alone);
		series_add(&rates->written, (double)reader->length / (double)GIB * 1e9 / (double)pace);
	}
}

static void compare(struct subject *subject, uint64_t length, unsigned int flags, const char *what)
{
	struct line line = {what, "beside a copier", AT_LEAST, 0.9};
	struct worker writer = {.prepare = prepare, .operate = write_somewhere, .subject = subject};
	struct worker control = {.prepare = prepare_control, .operate = copy_somewhere, .subject = subject};
	struct subject reader = *subject;
	struct worker *workers[2];
	struct rates rates = {0};

	subject->length = reader.length = length;
	workers[0] = worker_start(&writer, 1);
	workers[1] = worker_start(&control, 1);
	reader.image.flags = flags;
	prepare(&reader);
	measure(&reader, workers[0], workers[1], &rates);
	report_bandwidth(&line, &rates.control);
	line = (struct line){.what = "  the same", .against = "alone"};
	report_bandwidth(&line, &rates.alone);
	report_note("the writer writes %.2f GiB/s meanwhile, and the copier as much",
		    series_median(&rates.written));
	for (int i = 0; i < 2; i++)
		worker_end(workers[i]);
	cowdax_close(reader.image.fs);
	free(reader.buffer);
	pair_clear(&rates.control);
	pair_clear(&rates.alone);
	series_clear(&rates.written);
}

static void fill_file(struct subject *subject)
{
	for (uint64_t at = 0; at < FILE_LENGTH; at += BLOCK) {
		if (at % (4 * MIB) == 0)
			image_begin(&subject->image);
		image_write(&subject->image, subject->inode, pattern, BLOCK, at);
		if ((at + BLOCK) % (4 * MIB) == 0)
			image_commit(&subject->image);
	}
}

void bench_readers(void)
{
	struct subject subject = {0};

	use_core(0);
	image_make(&subject.image, "readers", IMAGE, true);
	subject.inode = image_create(&subject.image, "/file");
	fill_file(&subject);
	compare(&subject, 4 * MIB, 0, "reads of 4 MiB beside a writer of 4 MiB");
	compare(&subject, BLOCK, 0, "reads of 4 KiB beside a writer of 4 KiB");
	compare(&subject, BLOCK, COWDAX_LINGER, "  by a handle that lingers");
	image_remove(&subject.image);
}
