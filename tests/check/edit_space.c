/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reference counts, reserves, limbo and staging of an image in memory. */
#include <stdlib.h>
#include <string.h>

#include "edit.h"

/* The space tree of an image that is small enough for one leaf. */
static struct cdx_disk_node *space_leaf(struct image *image)
{
	struct cdx_disk_node *node = image_node(image, get64(image->record->space.address));

	if (node->level)
		die("the space tree has more than one leaf");
	return node;
}

static uint64_t count_at(const struct cdx_disk_space *items, unsigned int count, uint64_t grain)
{
	while (get64(items[count - 1].start) > grain)
		count--;
	return get64(items[count - 1].refcount);
}

uint64_t get_count(struct image *image, uint64_t grain)
{
	struct cdx_disk_node *node = space_leaf(image);

	return count_at(node_items(node), get16(node->count), grain);
}

/* Append a run unless it continues the one before. */
static unsigned int append_run(struct cdx_disk_space *items, unsigned int count, uint64_t start,
			       uint64_t refcount)
{
	if (count && get64(items[count - 1].refcount) == refcount)
		return count;
	items[count] = (struct cdx_disk_space){put64(start), put64(refcount)};
	return count + 1;
}

void set_counts(struct image *image, uint64_t grain, uint64_t grains, uint64_t refcount)
{
	struct cdx_disk_node *node = space_leaf(image);
	struct cdx_disk_space *items = node_items(node), old[CDX_MAX_NODE_SIZE / sizeof(*items)];
	unsigned int old_count = get16(node->count), count = 0, i = 0;
	uint64_t end = grain + grains, after = get_count(image, end);

	if ((old_count + 2) * sizeof(*old) + sizeof(*node) > image->super.node_size)
		die("no room in the space tree");
	memcpy(old, items, old_count * sizeof(*old));
	for (; i < old_count && get64(old[i].start) < grain; i++)
		count = append_run(items, count, get64(old[i].start), get64(old[i].refcount));
	count = append_run(items, count, grain, refcount);
	while (i < old_count && get64(old[i].start) <= end)
		i++;
	count = append_run(items, count, end, after);
	for (; i < old_count; i++)
		count = append_run(items, count, get64(old[i].start), get64(old[i].refcount));
	node->count = put16((uint16_t)count);
	node->used = put16((uint16_t)(sizeof(*node) + count * sizeof(*items)));
}

/* ---- the record's lists --------------------------------------------------------------- */

static struct cdx_disk_run *pool(struct image *image)
{
	return (struct cdx_disk_run *)(image->record + 1);
}

struct cdx_disk_limbo *limbo_list(struct image *image)
{
	return (void *)(pool(image) + get16(image->record->n_pool) +
			get16(image->record->n_window));
}

/* Insert bytes into the record's lists. */
static void widen_record(struct image *image, void *at, const void *bytes, size_t size)
{
	size_t length = get32(image->record->length);
	unsigned char *end = (unsigned char *)image->record + length;

	if (length + size > CDX_SLOT_SIZE)
		die("no room in the record");
	memmove((unsigned char *)at + size, at, (size_t)(end - (unsigned char *)at));
	memcpy(at, bytes, size);
	image->record->length = put32((uint32_t)(length + size));
}

uint64_t take_blocks(struct image *image, unsigned int blocks)
{
	uint64_t mask = ((uint64_t)1 << image->super.grains_per_block_shift) - 1;
	uint64_t wanted = (uint64_t)blocks << image->super.grains_per_block_shift;
	struct cdx_disk_run *runs = pool(image);

	for (unsigned int i = 0; i < get16(image->record->n_pool); i++) {
		uint64_t start = get64(runs[i].start), end = start + get64(runs[i].count);
		uint64_t taken = (end & ~mask) - wanted;

		if (end < wanted || taken <= start)
			continue;
		runs[i].count = put64(taken - start);
		if (end > taken + wanted)
			add_reserve(image, taken + wanted, end - taken - wanted, false);
		return taken;
	}
	die("the pool has no %u blocks in a row", blocks);
}

void add_reserve(struct image *image, uint64_t start, uint64_t count, bool window)
{
	struct cdx_disk_run run = {put64(start), put64(count)};

	widen_record(image, pool(image) + get16(image->record->n_pool), &run, sizeof(run));
	if (window)
		image->record->n_window = put16((uint16_t)(get16(image->record->n_window) + 1));
	else
		image->record->n_pool = put16((uint16_t)(get16(image->record->n_pool) + 1));
}

void add_limbo(struct image *image, const struct cdx_disk_limbo *limbo)
{
	widen_record(image, limbo_list(image), limbo, sizeof(*limbo));
	image->record->n_limbo = put16((uint16_t)(get16(image->record->n_limbo) + 1));
}

/* ---- new nodes -------------------------------------------------------------------------- */

struct cdx_disk_node *make_node(struct image *image, uint64_t grain, enum cdx_kind kind,
				unsigned int level, const void *items, unsigned int count,
				size_t size)
{
	struct cdx_disk_node *node = image_node(image, grain);

	*node = (struct cdx_disk_node){
		.magic = put32(CDX_NODE_MAGIC),
		.address = put64(grain),
		.birth = image->record->transaction,
		.used = put16((uint16_t)(sizeof(*node) + count * size)),
		.count = put16((uint16_t)count),
		.kind = (uint8_t)kind,
		.level = (uint8_t)level,
	};
	memcpy(node + 1, items, count * size);
	return node;
}

struct cdx_disk_staging *make_staging(struct image *image)
{
	struct cdx_disk_staging staging = {.nonce = image->record->next_nonce};
	uint64_t block = take_blocks(image, 1), grains = UINT64_C(1)
							 << image->super.grains_per_block_shift;

	if (get64(image->record->staging.address))
		die("there is staging already");
	if (grains > 1)
		add_reserve(image, block + 1, grains - 1, false);
	add64(&image->record->next_nonce, 1);
	image->record->staging.address = put64(block);
	return node_items(
		make_node(image, block, CDX_KIND_STAGING, 0, &staging, 1, sizeof(staging)));
}
