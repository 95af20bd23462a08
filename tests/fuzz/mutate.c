/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mutations that know what an image is made of: where its nodes are, which
 * numbers are interesting, and how to make checksums right again so that what
 * lies behind them is reached.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "fuzz.h"

struct mutator {
	struct image *image;
	struct draw *draw;
	uint64_t *nodes;		/* grains that hold one */
	size_t node_count;
};

static uint64_t below(struct mutator *m, uint64_t limit)
{
	return draw_below(m->draw, limit);
}

static void find_nodes(struct mutator *m)
{
	m->nodes = malloc(m->image->super.grains * sizeof(*m->nodes));
	if (!m->nodes)
		die("out of memory");
	for (uint64_t grain = 0; grain < m->image->super.grains; grain++) {
		if (get32(image_node(m->image, grain)->magic) == CDX_NODE_MAGIC)
			m->nodes[m->node_count++] = grain;
	}
	if (!m->node_count)
		die("no nodes");
}

/* ---- sealing, whatever the nodes say ------------------------------------------------- */

static const struct { unsigned int words, leaf, inner; } shapes[] = {
	[CDX_KIND_FS] = {3, 0, 40},
	[CDX_KIND_EXTENT] = {1, 24, 24},
	[CDX_KIND_SPACE] = {1, 16, 40},
	[CDX_KIND_LIMBO] = {2, 24, 32},
	[CDX_KIND_STAGING] = {1, 40, 24},
};

static size_t node_used(const struct image *image, const struct cdx_disk_node *node)
{
	size_t used = get16(node->used);

	return used >= sizeof(*node) && used <= image->super.node_size ? used : 0;
}

static void follow(struct image *image, le64 address, le32 *crc)
{
	if (get64(address) < image->super.grains)
		*crc = image_node(image, get64(address))->crc;
}

/* A reference to no tree stays without a checksum. */
static void follow_ref(struct image *image, struct cdx_disk_ref *ref)
{
	if (get64(ref->address))
		follow(image, ref->address, &ref->crc);
}

static void follow_fs_leaf(struct image *image, unsigned char *at, const unsigned char *end)
{
	while ((size_t)(end - at) >= sizeof(struct cdx_disk_fs_item)) {
		struct cdx_disk_fs_item *item = (void *)at;
		struct cdx_disk_inode *inode = (void *)(item + 1);

		if (item_size(item) > (size_t)(end - at))
			return;
		if (get64(item->item) == CDX_ITEM_INODE && inode->layout == CDX_LAYOUT_TREE &&
		    get16(item->length) >= sizeof(*inode) + sizeof(struct cdx_disk_ref))
			follow_ref(image, extent_root(inode));
		at += item_size(item);
	}
}

static void follow_items(struct image *image, struct cdx_disk_node *node)
{
	unsigned char *at = node_items(node), *end = (unsigned char *)node + node_used(image, node);
	unsigned int stride;

	if (node->kind < CDX_KIND_FS || node->kind > CDX_KIND_STAGING)
		return;
	if (node->kind == CDX_KIND_FS && node->level == 0) {
		follow_fs_leaf(image, at, end);
		return;
	}
	stride = node->level ? shapes[node->kind].inner : shapes[node->kind].leaf;
	for (; (size_t)(end - at) >= stride; at += stride) {
		struct cdx_disk_child *child = (void *)(at + shapes[node->kind].words * 8);
		struct cdx_disk_limbo *limbo = (void *)at;

		if (node->level)
			follow(image, child->address, &child->crc);
		else if (node->kind == CDX_KIND_STAGING)
			follow_ref(image, &((struct cdx_disk_staging *)at)->extents);
		else if (node->kind == CDX_KIND_LIMBO && limbo->type == CDX_LIMBO_TREE)
			follow(image, limbo->address, &limbo->count_or_crc);
	}
}

static void seal_node(struct image *image, struct cdx_disk_node *node)
{
	size_t used = node_used(image, node);

	if (!used)
		return;
	follow_items(image, node);
	if (node->kind == CDX_KIND_EXTENT && (get16(node->flags) & CDX_NODE_BASED) &&
	    used <= cdx_node_room(node->kind, image->super.node_size)) {
		follow(image, node_base(node)->address, &node_base(node)->crc);
		used = cdx_node_length(node);
	}
	node->crc = put32(cdx_node_crc(&image->super, node, used));
}

static void seal_record(struct image *image)
{
	struct cdx_disk_commit *record = image->record;
	size_t lists = get16(record->n_pool) + (size_t)get16(record->n_window);
	size_t length = sizeof(*record) + lists * sizeof(struct cdx_disk_run) +
			get16(record->n_limbo) * sizeof(struct cdx_disk_limbo) +
			get16(record->n_amends) * sizeof(struct cdx_disk_amend);

	follow_ref(image, &record->fs);
	follow_ref(image, &record->space);
	follow_ref(image, &record->limbo);
	follow_ref(image, &record->staging);
	if (length > CDX_SLOT_SIZE)
		return;
	for (unsigned int i = 0; i < get16(record->n_limbo); i++) {
		struct cdx_disk_limbo *limbo = limbo_list(image) + i;

		if (limbo->type == CDX_LIMBO_TREE)
			follow(image, limbo->address, &limbo->count_or_crc);
	}
	for (unsigned int i = 0; i < get16(record->n_amends); i++) {
		struct cdx_disk_amend *amend = amend_list(image) + i;

		if (amend->level)
			follow(image, amend->value, &amend->more);
	}
	cdx_slot_seal(&image->super, record, length);
	memcpy(image_slot(image, image_parity(image), true), record, CDX_SLOT_SIZE);
}

/* Children before parents: by level, and extents before what refers to their roots. */
static void seal_all(struct mutator *m)
{
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned int level = 0; level <= CDX_MAX_LEVEL; level++) {
			for (size_t i = 0; i < m->node_count; i++) {
				struct cdx_disk_node *node = image_node(m->image, m->nodes[i]);

				if (node->level == level)
					seal_node(m->image, node);
			}
		}
	}
	seal_record(m->image);
}

/* ---- mutations ------------------------------------------------------------------------- */

static uint64_t interesting(struct mutator *m)
{
	static const uint64_t numbers[] = {
		0,
		1,
		2,
		0x7f,
		0x80,
		0xff,
		0x100,
		0x7fff,
		0xffff,
		0x7fffffff,
		0xffffffff,
		0x100000000,
		UINT64_C(1) << 52,
		UINT64_C(1) << 61,
		UINT64_C(1) << 62,
		UINT64_C(1) << 63,
		UINT64_MAX,
		UINT64_MAX - 1,
	};

	switch (below(m, 4)) {
	case 0:
		return m->image->super.grains + below(m, 5) - 2;
	case 1:
		return m->nodes[below(m, m->node_count)];
	case 2:
		return below(m, m->image->super.grains);
	default:
		return numbers[below(m, sizeof(numbers) / sizeof(numbers[0]))];
	}
}

/* Somewhere that matters: a node, a slot, a superblock; now and then anywhere. */
static unsigned char *somewhere(struct mutator *m, size_t width)
{
	struct image *image = m->image;
	struct cdx_disk_node *node;
	size_t length;

	switch (below(m, 16)) {
	case 0:
		return image->bytes + below(m, image->size - width);
	case 1:
		return image->bytes + below(m, 256 - width);
	case 2:
	case 3:
	case 4:
		length = get32(image->record->length);
		length = length > CDX_SLOT_SIZE || length < sizeof(*image->record) ? CDX_SLOT_SIZE
										   : length;
		return (unsigned char *)image->record + (below(m, length - width) & ~(width - 1));
	default:
		node = image_node(image, m->nodes[below(m, m->node_count)]);
		length = node_used(image, node) ? node_used(image, node) : image->super.node_size;
		return (unsigned char *)node + (below(m, length - width) & ~(width - 1));
	}
}

static void copy_node(struct mutator *m)
{
	unsigned char *from = (void *)image_node(m->image, m->nodes[below(m, m->node_count)]);
	struct cdx_disk_node *to = image_node(m->image, m->nodes[below(m, m->node_count)]);
	le64 address = to->address;

	memmove(to, from, m->image->super.node_size);
	if (below(m, 4))
		to->address = address;
}

static void change_once(struct mutator *m)
{
	le64 number = put64(interesting(m));
	size_t width = (size_t)1 << below(m, 4);
	unsigned char *at;

	switch (below(m, 8)) {
	case 0:
		copy_node(m);
		break;
	case 1:
	case 2:
		*somewhere(m, 1) ^= (unsigned char)(1 << below(m, 8));
		break;
	case 3:
		at = somewhere(m, 8);
		memcpy(&number, at, sizeof(number));
		add64(&number, below(m, 2) ? 1 : UINT64_MAX);
		memcpy(at, &number, sizeof(number));
		break;
	default:
		memcpy(somewhere(m, width), &number, width);
		break;
	}
}

void mutate(struct image *image, struct draw *draw)
{
	struct mutator m = {.image = image, .draw = draw};
	bool seal = below(&m, 4) != 0;

	find_nodes(&m);
	for (uint64_t left = 1 + below(&m, 4); left; left--)
		change_once(&m);
	if (seal)
		seal_all(&m);
	free(m.nodes);
}

void seal_everything(struct image *image)
{
	struct mutator m = {.image = image};

	find_nodes(&m);
	seal_all(&m);
	free(m.nodes);
}
