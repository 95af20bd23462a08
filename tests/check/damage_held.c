/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pass 4: reserves, limbo and staging. */
#include "damage.h"

/* A block of "one", whose grains have count 1. */
static uint64_t data_grain(struct image *image)
{
	struct cdx_disk_extent *extent = inline_extents(inode_at(image, "one"));

	return get64(extent->disk_block) << image->super.grains_per_block_shift;
}

static uint64_t node_grain(struct image *image)
{
	return get64(extent_root(inode_at(image, "own"))->address);
}

/* ---- reserves ------------------------------------------------------------------------ */

static void reserve_bounds(struct image *image)
{
	add_reserve(image, 0, 4, false);
	image_seal(image);
}

static void reserve_empty(struct image *image)
{
	add_reserve(image, data_grain(image), 0, false);
	image_seal(image);
}

static void reserve_overflow(struct image *image)
{
	add_reserve(image, data_grain(image), UINT64_MAX - 1, false);
	image_seal(image);
}

static void reserve_blocks(struct image *image)
{
	uint64_t block = take_blocks(image, 1);

	add_reserve(image, block, 1, false);
	add_reserve(image, block + 1, 3, true);
	image_seal(image);
}

static void reserve_overlap(struct image *image)
{
	uint64_t block = take_blocks(image, 1);

	add_reserve(image, block, 4, false);
	add_reserve(image, block + 1, 1, false);
	set_counts(image, block + 1, 1, 2);
	image_seal(image);
}

static void reserve_of_data(struct image *image)
{
	add_reserve(image, data_grain(image), 4, true);
	set_counts(image, data_grain(image), 4, 2);
	image_seal(image);
}

static void reserve_of_node(struct image *image)
{
	add_reserve(image, node_grain(image), 1, false);
	set_counts(image, node_grain(image), 1, 2);
	image_seal(image);
}

/* ---- limbo ----------------------------------------------------------------------------- */

static struct cdx_disk_limbo limbo_run(struct image *image, uint64_t start, uint32_t count)
{
	return (struct cdx_disk_limbo){
		.transaction = image->record->transaction,
		.address = put64(start),
		.count_or_crc = put32(count),
		.type = CDX_LIMBO_RUN,
	};
}

static void limbo_type(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, data_grain(image), 1);

	limbo.type = 9;
	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_kind(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, node_grain(image), 1);

	limbo.type = CDX_LIMBO_TREE;
	limbo.kind = CDX_KIND_SPACE;
	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_empty(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, data_grain(image), 0);

	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_reserved(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, take_blocks(image, 1), 4);

	limbo.reserved = 1;
	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_too_old(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, take_blocks(image, 1), 4);

	limbo.transaction = put64(1);
	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_part_of_block(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, take_blocks(image, 1), 1);

	limbo.type = CDX_LIMBO_DROP;
	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_bounds(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, image->super.grains - 1, 1);

	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_future(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, take_blocks(image, 1), 4);

	add64(&limbo.transaction, 1);
	add_limbo(image, &limbo);
	image_seal(image);
}

static void limbo_twice(struct image *image)
{
	uint64_t block = take_blocks(image, 1);
	struct cdx_disk_limbo limbo = limbo_run(image, block, 4);

	add_limbo(image, &limbo);
	add64(&limbo.transaction, (uint64_t)-1);
	add_limbo(image, &limbo);
	set_counts(image, block, 4, 2);
	image_seal(image);
}

/* Once in the list, once in the tree. */
static void limbo_list_and_tree(struct image *image)
{
	uint64_t block = take_blocks(image, 1);
	struct cdx_disk_limbo limbo = limbo_run(image, block + 1, 3);

	if (get64(image->record->limbo.address))
		die("there is a limbo tree already");
	add_limbo(image, &limbo);
	make_node(image, block, CDX_KIND_LIMBO, 0, &limbo, 1, sizeof(limbo));
	image->record->limbo.address = put64(block);
	image->record->limbo_grains = put64(3);
	set_counts(image, block + 1, 3, 2);
	image_seal(image);
}

static void limbo_grains(struct image *image)
{
	image->record->limbo_grains = put64(1);
	image_seal(image);
}

static void add_drops(struct image *image, bool same)
{
	struct cdx_disk_limbo limbo = limbo_run(image, data_grain(image), 4);

	limbo.type = CDX_LIMBO_DROP;
	add_limbo(image, &limbo);
	if (!same)
		add64(&limbo.transaction, (uint64_t)-1);
	add_limbo(image, &limbo);
	set_counts(image, data_grain(image), 4, 3);
	image_seal(image);
}

static void limbo_drops(struct image *image)
{
	add_drops(image, false);
}

static void limbo_drops_equal(struct image *image)
{
	add_drops(image, true);
}

static void limbo_of_data(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, data_grain(image), 4);

	add_limbo(image, &limbo);
	set_counts(image, data_grain(image), 4, 2);
	image_seal(image);
}

/* A tree that a file still has. */
static void limbo_of_tree(struct image *image)
{
	struct cdx_disk_limbo limbo = limbo_run(image, node_grain(image), 0);

	limbo.type = CDX_LIMBO_TREE;
	limbo.kind = CDX_KIND_EXTENT;
	add_limbo(image, &limbo);
	set_counts(image, node_grain(image), 1, 2);
	image_seal(image);
}

/* ---- staging --------------------------------------------------------------------------- */

static void staging(struct image *image)
{
	make_staging(image);
	image_seal(image);
}

static void staging_lane(struct image *image)
{
	make_staging(image)->lane = put64(CDX_MAX_LANE + 1);
	image_seal(image);
}

static void staging_last_lane(struct image *image)
{
	make_staging(image)->lane = put64(CDX_MAX_LANE);
	image_seal(image);
}

static void staging_nonce_zero(struct image *image)
{
	make_staging(image)->nonce = put64(0);
	image_seal(image);
}

static void staging_reserved(struct image *image)
{
	make_staging(image)->extents.reserved[0] = 1;
	image_seal(image);
}

/* No tree, and yet a checksum. */
static void staging_of_nothing(struct image *image)
{
	make_staging(image)->extents.crc = put32(1);
	image_seal(image);
}

/* A tree that "own" has, if it were not for the level: sealing must not follow that. */
static void staging_level(struct image *image)
{
	struct cdx_disk_staging *staging = make_staging(image);
	struct cdx_disk_node *leaf = (struct cdx_disk_node *)staging - 1;

	image_seal(image);
	staging->extents = *extent_root(inode_at(image, "own"));
	staging->extents.level = 200;
	leaf->crc = put32(cdx_node_crc(&image->super, leaf, get16(leaf->used)));
	image->record->staging.crc = leaf->crc;
	image_seal_record(image);
}

static void reference_to_nothing(struct image *image)
{
	image->record->staging.level = 33;
	image_seal(image);
}

static void next_nonce_of(struct image *image, uint64_t next)
{
	image->record->next_nonce = put64(next);
	image_seal(image);
}

static void next_nonce_zero(struct image *image)
{
	next_nonce_of(image, 0);
}

static void next_nonce_past_last(struct image *image)
{
	next_nonce_of(image, CDX_LAST_NONCE + 2);
}

/* All have been given away. */
static void next_nonce_none(struct image *image)
{
	next_nonce_of(image, CDX_LAST_NONCE + 1);
}

static void staging_nonce(struct image *image)
{
	make_staging(image)->nonce = image->record->next_nonce;
	image_seal(image);
}

static void staging_blocks(struct image *image)
{
	make_staging(image)->blocks = put64(1);
	image->record->staged_blocks = put64(1);
	image_seal(image);
}

static void staging_sum(struct image *image)
{
	make_staging(image);
	image->record->staged_blocks = put64(1);
	image_seal(image);
}

const struct damage held_damages[] = {
	{"reserve-bounds", "reserve in the head region", PLAIN, reserve_bounds, AS_IS, NULL},
	{"reserve-bounds", "reserve of no grains", PLAIN, reserve_empty, AS_IS, NULL},
	{"reserve-bounds", "reserve of 2^64 - 2 grains", PLAIN, reserve_overflow, AS_IS, NULL},
	{"reserve-blocks", "window of parts of a block", PLAIN, reserve_blocks, AS_IS, NULL},
	{"reserve-overlap", "two reserves with a common grain", PLAIN, reserve_overlap, AS_IS,
	 NULL},
	{"reserve-in-use", "reserve of a file's block", PLAIN, reserve_of_data, AS_IS, NULL},
	{"reserve-in-use", "reserve of a node", PLAIN, reserve_of_node, AS_IS, NULL},
	{"limbo-format", "limbo entry of an unknown type", PLAIN, limbo_type, AS_IS, NULL},
	{"limbo-format", "limbo tree of space nodes", PLAIN, limbo_kind, AS_IS, NULL},
	{"limbo-format", "limbo run of no grains", PLAIN, limbo_empty, AS_IS, NULL},
	{"reserved-field", "reserved byte of a limbo entry", PLAIN, limbo_reserved, AS_IS, NULL},
	{"limbo-format", "limbo drop of part of a block", PLAIN, limbo_part_of_block, AS_IS, NULL},
	{"limbo-format", "limbo run of transaction 1", PLAIN, limbo_too_old, AS_IS, NULL},
	{"limbo-bounds", "limbo run in the tail region", PLAIN, limbo_bounds, AS_IS, NULL},
	{"limbo-future", "limbo run of the next transaction", PLAIN, limbo_future, AS_IS, NULL},
	{"limbo-overlap", "limbo run of two transactions", PLAIN, limbo_twice, AS_IS, NULL},
	{"limbo-overlap", "limbo run in list and tree", PLAIN, limbo_list_and_tree, AS_IS, NULL},
	{"limbo-grains", "limbo tree of other grains than the record says", PLAIN, limbo_grains, AS_IS,
	 NULL},
	{NULL, "limbo drops that overlap", PLAIN, limbo_drops, AS_IS, NULL},
	{"limbo-overlap", "limbo drops that are the same", PLAIN, limbo_drops_equal, AS_IS, NULL},
	{"limbo-in-use", "limbo run of a file's block", PLAIN, limbo_of_data, AS_IS, NULL},
	{"limbo-in-use", "limbo tree that a file has", PLAIN, limbo_of_tree, AS_IS, NULL},
	{NULL, "staging that its owner left", PLAIN, staging, AS_IS, NULL},
	{"staging-lane", "staging lane without a lock byte", PLAIN, staging_lane, AS_IS, NULL},
	{NULL, "staging of the last lane", PLAIN, staging_last_lane, AS_IS, NULL},
	{"reserved-field", "reserved bytes of a staging item's reference", PLAIN, staging_reserved,
	 AS_IS, NULL},
	{"ref-empty", "staging of no tree with a checksum", PLAIN, staging_of_nothing, AS_IS, NULL},
	{"node-level", "staged tree of level 200", PLAIN, staging_level, AS_IS, NULL},
	{"ref-empty", "reference to no tree, of level 33", PLAIN, reference_to_nothing, AS_IS,
	 NULL},
	{"next-nonce", "next nonce of 0", PLAIN, next_nonce_zero, AS_IS, NULL},
	{"next-nonce", "next nonce past the last", PLAIN, next_nonce_past_last, AS_IS, NULL},
	{NULL, "no nonce left", PLAIN, next_nonce_none, AS_IS, NULL},
	{"staging-nonce", "staging nonce not drawn yet", PLAIN, staging_nonce, AS_IS, NULL},
	{"staging-nonce", "staging nonce of 0", PLAIN, staging_nonce_zero, AS_IS, NULL},
	{"staging-blocks", "staging of other blocks than it says", PLAIN, staging_blocks, AS_IS, NULL},
	{"staging-blocks", "staging of other blocks than the record says", PLAIN, staging_sum, AS_IS,
	 NULL},
	{0},
};
