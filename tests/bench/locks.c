// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What locks, the readers' epochs among them, cost a small write: the same writes
 * with them, and with calls that do nothing in their place (nobody else is there).
 */
#include "bench.h"

#include "pmem/device.h"
#include "fixture.h"
#include "locks.h"

#define EXTENTS 1000
#define WRITES 500

static bool without;		/* locks */
static uint64_t calls;

uint64_t lock_calls(void)
{
	return calls;
}

int __real_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);
int __wrap_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait);
void __real_cdx_device_unlock(struct cdx_device *device, uint64_t start, uint64_t length);
void __wrap_cdx_device_unlock(struct cdx_device *device, uint64_t start, uint64_t length);
int __real_cdx_device_lock_test(const struct cdx_device *device, uint64_t start, uint64_t length, uint64_t *where);
int __wrap_cdx_device_lock_test(const struct cdx_device *device, uint64_t start, uint64_t length, uint64_t *where);

int __wrap_cdx_device_lock(struct cdx_device *device, uint64_t start, uint64_t length, bool exclusive, bool wait)
{
	calls++;
	return without ? 0 : __real_cdx_device_lock(device, start, length, exclusive, wait);
}

void __wrap_cdx_device_unlock(struct cdx_device *device, uint64_t start, uint64_t length)
{
	calls++;
	if (!without)
		__real_cdx_device_unlock(device, start, length);
}

int __wrap_cdx_device_lock_test(const struct cdx_device *device, uint64_t start, uint64_t length, uint64_t *where)
{
	calls++;
	return without ? 0 : __real_cdx_device_lock_test(device, start, length, where);
}

static void writes(struct image *image, uint64_t inode, struct side *side)
{
	for (int i = 0; i < WRITES; i++) {
		uint64_t offset = random_below(EXTENTS) * BLOCK, started = now();

		image_write(image, inode, pattern, BLOCK, offset);
		side_add(side, started);
	}
}

void bench_locks(void)
{
	struct pair pair = {0};
	struct series cost = {0}, mean_cost = {0};
	struct image image = {0};
	uint64_t inode, counted = 0, counted_writes = 0;

	image_make(&image, "locks", 64 * MIB, true);
	inode = image_fragmented_file(&image, "/file", EXTENTS, SHUFFLED);
	for (int batch = -10; batch < repeat(200, 40); batch++) {
		without = false;
		calls = 0;
		writes(&image, inode, &pair.a);
		counted += calls;
		counted_writes += WRITES;
		without = true;
		writes(&image, inode, &pair.b);
		if (batch >= 0) {
			series_add(&cost, series_median(&pair.a.batch) - series_median(&pair.b.batch));
			series_add(&mean_cost, series_mean(&pair.a.batch) - series_mean(&pair.b.batch));
			pair_end_batch(&pair);
		} else {
			pair_clear(&pair);
		}
	}
	without = false;
	report_time_goal("locks and epochs in a 4 KiB write", &cost, 1500);
	report_pair(&(struct line){.what = "  the write", .against = "without locks"}, &pair);
	report_note("by mean %.2f us; %.2f calls of fcntl() a write", series_median(&mean_cost) / 1000,
		    (double)counted / (double)counted_writes);
	series_clear(&cost);
	series_clear(&mean_cost);
	pair_clear(&pair);
	image_remove(&image);
}
