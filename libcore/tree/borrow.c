// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a node borrows from its base, by comparing the two (FORMAT 6.4). */
#include "tree/borrow.h"

int cdx_base_get(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **base)
{
	int ret = cdx_node_get(nodes, node->base, node->base_crc, node->disk.kind, node->disk.level, base);

	if (ret)
		return ret;
	/* Nothing borrows from what came later; a dirty node's birth is yet to be. */
	if (!(*base)->base && (cdx_is_dirty(node->address) || get64((*base)->disk.birth) <= get64(node->disk.birth)))
		return 0;
	cdx_node_put(nodes, *base);
	return -EUCLEAN;
}

/* ---- comparing ---------------------------------------------------------------------- */

static const struct cdx_disk_extent *extents_of(struct cdx_node *leaf)
{
	return (const struct cdx_disk_extent *)cdx_node_item(leaf, 0);
}

static uint64_t end_of(const struct cdx_disk_extent *extent)
{
	return get64(extent->file_block) + get32(extent->count);
}

/* Both map @block, which both have, to the same place and in the same way. */
static bool same_place(const struct cdx_disk_extent *a, const struct cdx_disk_extent *b)
{
	return get64(a->disk_block) - get64(a->file_block) == get64(b->disk_block) - get64(b->file_block) &&
	       get32(a->flags) == get32(b->flags);
}

/* A leaf's extents, looked up in ascending order. */
struct others {
	const struct cdx_disk_extent *extent, *end;
};

static struct others others_of(struct cdx_node *leaf)
{
	const struct cdx_disk_extent *first = extents_of(leaf);

	return (struct others){first, first + cdx_node_count(leaf)};
}

/* Whether the others have @block of @extent as well, and up to where (*until) that holds. */
static bool in_both(struct others *others, const struct cdx_disk_extent *extent, uint64_t block, uint64_t *until)
{
	while (others->extent < others->end && end_of(others->extent) <= block)
		others->extent++;
	*until = end_of(extent);
	if (others->extent == others->end)
		return false;
	if (get64(others->extent->file_block) > block) {
		if (get64(others->extent->file_block) < *until)
			*until = get64(others->extent->file_block);
		return false;
	}
	if (end_of(others->extent) < *until)
		*until = end_of(others->extent);
	return same_place(extent, others->extent);
}

/* The same as far as it goes, over as many of the others as it takes. */
static bool longest_in_both(struct others *others, const struct cdx_disk_extent *extent, uint64_t block,
			    uint64_t *until)
{
	bool both = in_both(others, extent, block, until);
	uint64_t next;

	while (*until < end_of(extent) && in_both(others, extent, *until, &next) == both)
		*until = next;
	return both;
}

static int leaf_pieces(const struct cdx_nodes *nodes, struct cdx_node *node, struct cdx_node *other,
		       cdx_piece_fn *fn, void *arg)
{
	const struct cdx_disk_extent *extent = extents_of(node), *last = extent + cdx_node_count(node);
	unsigned int shift = nodes->super->grains_per_block_shift;
	struct others others = others_of(other);
	int ret = 0;

	for (; extent < last && !ret; extent++) {
		uint64_t first = get64(extent->file_block), block = first, until;

		for (; block < end_of(extent) && !ret; block = until) {
			bool both = longest_in_both(&others, extent, block, &until);
			struct cdx_pointer piece = {
				.data = true,
				.unwritten = get32(extent->flags) & CDX_EXTENT_UNWRITTEN,
				.start = (get64(extent->disk_block) + (block - first)) << shift,
				.count = (until - block) << shift,
			};

			ret = fn(arg, &piece, both);
		}
	}
	return ret;
}

/* Inner items of an extent tree: the first block, then the child. */
struct inner_item {
	le64 first;
	struct cdx_disk_child child;
};

static const struct inner_item *inner_items(struct cdx_node *node)
{
	return (const struct inner_item *)cdx_node_item(node, 0);
}

static bool same_child(const struct inner_item *a, const struct inner_item *b)
{
	return get64(a->first) == get64(b->first) && get64(a->child.address) == get64(b->child.address) &&
	       get32(a->child.crc) == get32(b->child.crc);
}

static int inner_pieces(struct cdx_node *node, struct cdx_node *other, cdx_piece_fn *fn, void *arg)
{
	const struct inner_item *item = inner_items(node), *last = item + cdx_node_count(node);
	const struct inner_item *others = inner_items(other), *end = others + cdx_node_count(other);
	int ret = 0;

	for (; item < last && !ret; item++) {
		struct cdx_pointer piece = {
			.start = get64(item->child.address), .count = 1, .crc = get32(item->child.crc),
			.kind = node->disk.kind, .level = (uint8_t)(node->disk.level - 1),
		};

		while (others < end && get64(others->first) < get64(item->first))
			others++;
		ret = fn(arg, &piece, others < end && same_child(item, others));
	}
	return ret;
}

int cdx_node_pieces(const struct cdx_nodes *nodes, struct cdx_node *node, struct cdx_node *other,
		    cdx_piece_fn *fn, void *arg)
{
	return node->disk.level ? inner_pieces(node, other, fn, arg) :
				  leaf_pieces(nodes, node, other, fn, arg);
}

/* ---- counting ----------------------------------------------------------------------------- */

static int count_apart(void *arg, const struct cdx_pointer *piece, bool both)
{
	struct cdx_apart *apart = arg;

	(void)piece;
	apart->own += !both;
	apart->borrowed += both;
	return 0;
}

int cdx_node_apart(struct cdx_nodes *nodes, struct cdx_node *node, struct cdx_apart *apart)
{
	struct cdx_node *base;
	int ret = cdx_base_get(nodes, node, &base);

	if (ret)
		return ret;
	*apart = (struct cdx_apart){0};
	ret = cdx_node_pieces(nodes, node, base, count_apart, apart);
	cdx_node_put(nodes, base);
	return ret;
}

struct counted {
	cdx_pointer_fn *fn;
	void *arg;
};

static int own_piece(void *arg, const struct cdx_pointer *piece, bool both)
{
	const struct counted *counted = arg;

	return both ? 0 : counted->fn(counted->arg, piece);
}

int cdx_node_counted(struct cdx_nodes *nodes, struct cdx_node *node, cdx_pointer_fn *fn, void *arg)
{
	struct counted counted = {fn, arg};
	struct cdx_pointer pointer = {
		.start = node->base, .count = 1, .crc = node->base_crc,
		.kind = node->disk.kind, .level = node->disk.level,
	};
	struct cdx_node *base;
	int ret;

	if (!node->base)
		return cdx_node_pointers(nodes, node, fn, arg);
	ret = cdx_base_get(nodes, node, &base);
	if (ret)
		return ret;
	ret = cdx_node_pieces(nodes, node, base, own_piece, &counted);
	cdx_node_put(nodes, base);
	return ret ? ret : fn(arg, &pointer);
}

/* ---- asking for one ------------------------------------------------------------------------ */

int cdx_child_borrowed(struct cdx_nodes *nodes, struct cdx_node *parent, unsigned int index)
{
	const struct inner_item *item = inner_items(parent) + index;
	struct cdx_key key = {{get64(item->first)}};
	struct cdx_node *base;
	int ret, at;

	if (!parent->base)
		return 0;
	ret = cdx_base_get(nodes, parent, &base);
	if (ret)
		return ret;
	at = cdx_node_search(base, &key);
	ret = at >= 0 && same_child(item, inner_items(base) + at);
	cdx_node_put(nodes, base);
	return ret;
}

int cdx_extent_borrowed(struct cdx_nodes *nodes, struct cdx_node *leaf, const struct cdx_disk_extent *extent,
			uint64_t block, uint64_t *run)
{
	struct cdx_node *base;
	struct others others;
	uint64_t until;
	int ret;

	*run = UINT64_MAX;
	if (!leaf->base)
		return 0;
	ret = cdx_base_get(nodes, leaf, &base);
	if (ret)
		return ret;
	others = others_of(base);
	ret = longest_in_both(&others, extent, block, &until);
	*run = until - block;
	cdx_node_put(nodes, base);
	return ret;
}
