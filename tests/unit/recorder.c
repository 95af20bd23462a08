// SPDX-License-Identifier: GPL-2.0-or-later
#include "recorder.h"

#include <errno.h>

#include "unit.h"

static void store(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	unsigned char *to = (unsigned char *)(uintptr_t)pm->base + offset;
	struct recorder *recorder = pm->state;
	struct store *new;

	CHECK(offset + length <= recorder->length);
	if (recorder->count == recorder->room) {
		recorder->room = recorder->room ? 2 * recorder->room : 64;
		recorder->stores = realloc(recorder->stores, recorder->room * sizeof(*recorder->stores));
		CHECK(recorder->stores);
	}
	new = &recorder->stores[recorder->count++];
	*new = (struct store){.by = pm, .offset = offset, .length = length, .made = recorder->fences,
			      .fence = NEVER};
	if (!bytes) {
		memset(to, 0, length);
		return;
	}
	new->bytes = malloc(length);
	CHECK(new->bytes);
	memcpy(new->bytes, bytes, length);
	memcpy(to, bytes, length);
}

static void recording_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	store(pm, offset, bytes, length);
}

static void recording_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	store(pm, offset, NULL, length);
}

static int recording_fence(struct cdx_pmem *pm)
{
	struct recorder *recorder = pm->state;
	uint64_t number = recorder->fences++;

	if (number >= recorder->fail_from)
		return -EIO;
	for (size_t i = 0; i < recorder->count; i++) {
		if (recorder->stores[i].by == pm && recorder->stores[i].fence == NEVER)
			recorder->stores[i].fence = number;
	}
	return 0;
}

static const struct cdx_pmem_ops recording_ops = {
	.copy = recording_copy,
	.zero = recording_zero,
	.fence = recording_fence,
};

void recorder_attach(struct recorder *recorder, struct cdx_pmem *pm)
{
	if (pm->ops && pm->ops->release)
		pm->ops->release(pm);
	pm->ops = &recording_ops;
	pm->state = recorder;
	if (!recorder->start)
		recorder_restart(recorder, pm);
}

static void forget_stores(struct recorder *recorder)
{
	while (recorder->count)
		free(recorder->stores[--recorder->count].bytes);
	recorder->fences = 0;
	recorder->fail_from = NEVER;
}

void recorder_restart(struct recorder *recorder, const struct cdx_pmem *pm)
{
	forget_stores(recorder);
	free(recorder->start);
	recorder->length = pm->length;
	recorder->start = malloc(pm->length);
	CHECK(recorder->start);
	memcpy(recorder->start, pm->base, pm->length);
}

void recorder_free(struct recorder *recorder)
{
	forget_stores(recorder);
	free(recorder->stores);
	free(recorder->start);
	memset(recorder, 0, sizeof(*recorder));
}

bool recorder_all_reached(void *arg, const struct recorder *recorder, size_t index)
{
	(void)arg;
	(void)recorder;
	(void)index;
	return true;
}

void recorder_crash(const struct recorder *recorder, uint64_t fences, recorder_reached_fn *reached, void *arg,
		    const char *path)
{
	unsigned char *image = malloc(recorder->length);
	FILE *file = fopen(path, "wbe");

	CHECK(image && file);
	memcpy(image, recorder->start, recorder->length);
	for (size_t i = 0; i < recorder->count; i++) {
		const struct store *one = &recorder->stores[i];

		if (one->made > fences || (one->fence >= fences && !(reached && reached(arg, recorder, i))))
			continue;
		if (one->bytes)
			memcpy(image + one->offset, one->bytes, one->length);
		else
			memset(image + one->offset, 0, one->length);
	}
	CHECK(fwrite(image, 1, recorder->length, file) == recorder->length);
	CHECK(fclose(file) == 0);
	free(image);
}
