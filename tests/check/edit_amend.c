/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Amendments of an image in memory (FORMAT 4.3): into its nodes, and out of them again. */
#include <string.h>

#include "edit.h"

struct cdx_disk_amend *amend_list(const struct image *image)
{
	struct cdx_disk_commit *record = image->record;
	struct cdx_disk_run *runs = (void *)(record + 1);
	struct cdx_disk_limbo *limbo = (void *)(runs + get16(record->n_pool) + get16(record->n_window));

	return (void *)(limbo + get16(record->n_limbo));
}

/* In a record of any numbers: those that lie in its slot. */
static unsigned int amend_count(const struct image *image)
{
	size_t start = (size_t)((unsigned char *)amend_list(image) - (unsigned char *)image->record);
	size_t room = start < CDX_SLOT_SIZE ? (CDX_SLOT_SIZE - start) / sizeof(struct cdx_disk_amend) : 0;

	return get16(image->record->n_amends) < room ? get16(image->record->n_amends) : (unsigned int)room;
}

struct cdx_disk_amend *find_amend(const struct image *image, const struct cdx_disk_node *node,
				  unsigned int index)
{
	uint64_t grain = grain_of(image, node);
	struct cdx_disk_amend *list = amend_list(image);

	for (unsigned int i = 0; i < amend_count(image); i++) {
		if (get64(list[i].node) == grain && get16(list[i].index) == index &&
		    list[i].kind == node->kind && list[i].level == node->level)
			return &list[i];
	}
	return NULL;
}

bool amend_fits(const struct image *image)
{
	return amend_count(image) < CDX_MAX_AMENDS &&
	       get32(image->record->length) + sizeof(struct cdx_disk_amend) <= CDX_SLOT_SIZE;
}

struct cdx_disk_amend *add_amend(struct image *image, const struct cdx_disk_amend *amend)
{
	unsigned int count = amend_count(image);

	if (!amend_fits(image))
		die("no room for an amendment");
	amend_list(image)[count] = *amend;
	image->record->n_amends = put16((uint16_t)(count + 1));
	image->record->length = put32(get32(image->record->length) + (uint32_t)sizeof(*amend));
	return &amend_list(image)[count];
}

static struct cdx_disk_amend amend_of(const struct image *image, const struct cdx_disk_node *node,
				      unsigned int index)
{
	return (struct cdx_disk_amend){
		.node = put64(grain_of(image, node)),
		.index = put16((uint16_t)index),
		.kind = node->kind,
		.level = node->level,
	};
}

struct cdx_disk_amend *amend_child(struct image *image, struct cdx_disk_node *node, unsigned int index)
{
	struct cdx_disk_amend amend = amend_of(image, node, index);
	struct cdx_disk_amend *have = find_amend(image, node, index);

	if (!node->level || index >= get16(node->count))
		die("there is no child %u", index);
	amend.value = node_child(node, index)->address;
	amend.more = node_child(node, index)->crc;
	return have ? have : add_amend(image, &amend);
}

struct cdx_disk_amend *hide_child(struct image *image, struct cdx_disk_node *node, unsigned int index)
{
	struct cdx_disk_amend *amend = amend_child(image, node, index);

	node_child(node, index)->address = put64(UINT64_MAX);
	node_child(node, index)->crc = put32(0);
	return amend;
}

unsigned int item_number(struct place place)
{
	unsigned char *at = node_items(place.node);
	unsigned int number = 0;

	for (; at < (unsigned char *)place.item; number++)
		at += item_size((void *)at);
	return number;
}

struct cdx_disk_amend *amend_times(struct image *image, struct place place)
{
	const struct cdx_disk_inode *inode = (const void *)(place.item + 1);
	unsigned int index = item_number(place);
	struct cdx_disk_amend amend, *have;

	amend = amend_of(image, place.node, index);
	amend.value = inode->mtime.seconds;
	amend.more = inode->mtime.nanoseconds;
	have = find_amend(image, place.node, index);
	return have ? have : add_amend(image, &amend);
}

uint64_t child_address(const struct image *image, struct cdx_disk_node *node, unsigned int index)
{
	const struct cdx_disk_amend *amend = find_amend(image, node, index);

	return get64(amend ? amend->value : node_child(node, index)->address);
}

static void fold_times(struct cdx_disk_node *leaf, const struct cdx_disk_amend *amend)
{
	unsigned char *at = node_items(leaf);
	struct cdx_disk_inode *inode;

	for (unsigned int left = get16(amend->index); left; left--)
		at += item_size((void *)at);
	inode = (void *)(at + sizeof(struct cdx_disk_fs_item));
	inode->mtime.seconds = inode->ctime.seconds = amend->value;
	inode->mtime.nanoseconds = inode->ctime.nanoseconds = amend->more;
}

void fold_amends(struct image *image)
{
	unsigned int count = amend_count(image);

	if (!count)
		return;
	for (unsigned int i = 0; i < count; i++) {
		const struct cdx_disk_amend *amend = &amend_list(image)[i];
		struct cdx_disk_node *node = image_node(image, get64(amend->node));

		if (!amend->level) {
			fold_times(node, amend);
			continue;
		}
		node_child(node, get16(amend->index))->address = amend->value;
		node_child(node, get16(amend->index))->crc = amend->more;
	}
	image->record->n_amends = put16(0);
	image->record->length =
		put32(get32(image->record->length) - count * (uint32_t)sizeof(struct cdx_disk_amend));
	image->raise_births = true;
	image_seal(image);
	image->raise_births = false;
}

static void drop_amend(struct image *image, unsigned int number)
{
	struct cdx_disk_amend *list = amend_list(image);
	unsigned int count = amend_count(image);

	memmove(&list[number], &list[number + 1], (count - number - 1) * sizeof(*list));
	image->record->n_amends = put16((uint16_t)(count - 1));
	image->record->length = put32(get32(image->record->length) - (uint32_t)sizeof(*list));
}

void drop_amends(struct image *image, enum cdx_kind kind)
{
	for (unsigned int i = amend_count(image); i; i--) {
		if (amend_list(image)[i - 1].kind == kind)
			drop_amend(image, i - 1);
	}
}

void shift_amends(struct image *image, const struct cdx_disk_node *leaf, unsigned int index, int by)
{
	struct cdx_disk_amend *gone = by < 0 ? find_amend(image, leaf, index) : NULL;
	struct cdx_disk_amend *list = amend_list(image);
	uint64_t grain = grain_of(image, leaf);

	if (gone)
		drop_amend(image, (unsigned int)(gone - list));
	for (unsigned int i = 0; i < amend_count(image); i++) {
		if (get64(list[i].node) == grain && get16(list[i].index) >= index)
			list[i].index = put16((uint16_t)(get16(list[i].index) + by));
	}
}
