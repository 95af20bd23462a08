// SPDX-License-Identifier: GPL-2.0-or-later
/* The space tree against a plain array of counts. */
#include "tree/record.h"
#include "txn/space.h"

#include <errno.h>

#include "bare.h"

struct lab {
	struct bare bare;
	struct cdx_ref root;
	struct cdx_space space;
	uint64_t free_grains;
	uint64_t grains, block;		/* of the image; grains in a block */
	uint64_t *count;		/* what each grain's should be */
	uint64_t seed;
};

static int ignore_replaced(struct cdx_tree *tree, struct cdx_node *parent, enum cdx_holders holders,
			   struct cdx_node *node, struct cdx_node *copy)
{
	(void)tree;
	(void)parent;
	(void)holders;
	(void)copy;
	(void)node;
	return 0;
}

static int ignore_dropped(struct cdx_tree *tree, const struct cdx_pointer *pointer)
{
	(void)tree;
	(void)pointer;
	return 0;
}

static const struct cdx_tree_ops ops = {
	.replaced = ignore_replaced,
	.dropped = ignore_dropped,
	.push_down = cdx_space_push_down,
	.summarise = cdx_space_summarise,
};

/*
 * An image of @grains grains, all free but head and tail.  The tree's own nodes
 * are written to memory behind what the tree speaks of, so that they need no
 * counts.
 */
static struct lab *make_lab(uint64_t grains, uint32_t block_size, uint32_t node_size)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	uint64_t head;

	CHECK(lab);
	bare_make(&lab->bare, grains * node_size * 2, block_size, node_size);
	lab->bare.next = grains;
	lab->grains = grains;
	lab->block = block_size / node_size;
	head = lab->bare.super.head_grains;
	cdx_space_init(&lab->space, &lab->bare.nodes, &ops, lab, &lab->root, &lab->free_grains);
	lab->seed = grains + node_size;
	lab->free_grains = grains - head;
	lab->count = calloc(lab->bare.super.grains, sizeof(*lab->count));
	CHECK(lab->count);
	for (uint64_t g = 0; g < lab->bare.super.grains; g++)
		lab->count[g] = g < head || g >= grains;
	for (int i = 0; i < 3; i++) {
		uint64_t starts[] = {0, head, grains};
		struct cdx_disk_space item = {put64(starts[i]), put64(i != 1)};

		CHECK_EQUAL(cdx_tree_insert(&lab->space.tree, &item, sizeof(item)), 0);
	}
	return lab;
}

static void free_lab(struct lab *lab)
{
	bare_free(&lab->bare);
	free(lab->count);
	free(lab);
}

/* ---- comparing -------------------------------------------------------------------------- */

struct walk { struct lab *lab; uint64_t at, before; };

static int compare_run(void *arg, uint64_t start, uint64_t count, uint64_t references)
{
	struct walk *walk = arg;

	CHECK_EQUAL(start, walk->at);
	CHECK(count > 0);
	CHECK(start == 0 || references != walk->before);
	for (uint64_t g = start; g < start + count; g++)
		CHECK_EQUAL(walk->lab->count[g], references);
	walk->at = start + count;
	walk->before = references;
	return 0;
}

/* FORMAT 7.1's measure, from its words. */
static uint64_t worth(const struct lab *lab, uint64_t start, uint64_t end)
{
	uint64_t first = (start + lab->block - 1) / lab->block, last = end / lab->block;

	if (last > first)
		return (last - first) * lab->block;
	return end - start > lab->block - 1 ? lab->block - 1 : end - start;
}

/* What an inner item should say is the largest free run in [low, upper). */
static uint64_t largest_between(const struct lab *lab, uint64_t low, uint64_t upper)
{
	uint64_t largest = 0;

	for (uint64_t g = low; g < upper; g++) {
		uint64_t end = g, value;

		if (lab->count[g])
			continue;
		while (end < upper && !lab->count[end])
			end++;
		value = worth(lab, g, end);
		largest = value > largest ? value : largest;
		g = end;
	}
	return largest;
}

/* A run is cut at the bound of the leaf it lies in, so sum up leaf by leaf. */
static uint64_t largest_below(struct lab *lab, struct cdx_node *node, uint64_t upper)
{
	uint64_t low = cdx_item_key(node, cdx_node_item(node, 0)).word[0], largest = 0;

	if (node->disk.level == 0)
		return largest_between(lab, low, upper);
	for (unsigned int i = 0; i < cdx_node_count(node); i++) {
		const struct cdx_disk_space_child *item = (void *)cdx_node_child(node, i);
		uint64_t bound = i + 1 < cdx_node_count(node) ?
				 cdx_item_key(node, cdx_node_item(node, i + 1)).word[0] : upper, value;
		struct cdx_node *child;

		CHECK_EQUAL(cdx_node_get(&lab->bare.nodes, get64(item->child.address), get32(item->child.crc),
					 CDX_KIND_SPACE, (uint8_t)(node->disk.level - 1), &child), 0);
		value = largest_below(lab, child, bound);
		CHECK_EQUAL(get64(item->largest), value);
		largest = value > largest ? value : largest;
		cdx_node_put(&lab->bare.nodes, child);
	}
	return largest;
}

static void expect_all(struct lab *lab)
{
	struct walk walk = {.lab = lab};
	uint64_t free_grains = 0;
	struct cdx_node *root;

	CHECK_EQUAL(cdx_space_walk(&lab->space, compare_run, &walk), 0);
	CHECK_EQUAL(walk.at, lab->bare.super.grains);
	for (uint64_t g = 0; g < lab->grains; g++)
		free_grains += !lab->count[g];
	CHECK_EQUAL(lab->free_grains, free_grains);
	bare_check(&lab->space.tree);
	CHECK_EQUAL(cdx_node_get(&lab->bare.nodes, lab->root.address, lab->root.crc, CDX_KIND_SPACE,
				 lab->root.level, &root), 0);
	largest_below(lab, root, lab->bare.super.grains);
	cdx_node_put(&lab->bare.nodes, root);
}

static void expect_count(struct lab *lab, uint64_t grain)
{
	uint64_t count, end, expected = grain;

	CHECK_EQUAL(cdx_space_count(&lab->space, grain, &count, &end), 0);
	CHECK_EQUAL(count, lab->count[grain]);
	while (expected < lab->bare.super.grains && lab->count[expected] == count)
		expected++;
	/* Exactly where the run ends, or, of a run that spans leaves, not beyond. */
	CHECK_EQUAL(end, expected);
}

/* ---- random changes -------------------------------------------------------------------------- */

static uint64_t draw_grain(struct lab *lab)
{
	uint64_t head = lab->bare.super.head_grains;

	return head + unit_below(&lab->seed, lab->grains - head);
}

/* How far one count reaches from @start, at most @most. */
static uint64_t run_of(const struct lab *lab, uint64_t start, uint64_t most)
{
	uint64_t count = 0;

	while (start + count < lab->grains && count < most && lab->count[start + count] == lab->count[start])
		count++;
	return count;
}

static void add(struct lab *lab, uint64_t start, uint64_t count, uint64_t delta)
{
	for (uint64_t g = start; g < start + count; g++)
		lab->count[g] += delta;
}

static void share_something(struct lab *lab)
{
	uint64_t start = draw_grain(lab), most = 1 + unit_below(&lab->seed, lab->grains / 2), count = 0;

	while (start + count < lab->grains && count < most && lab->count[start + count])
		count++;
	if (!count) {
		CHECK_EQUAL(cdx_space_share(&lab->space, start, 1), -EUCLEAN);
		return;
	}
	CHECK_EQUAL(cdx_space_share(&lab->space, start, count), 0);
	add(lab, start, count, 1);
}

/* Many ranges at once, short ones mostly, some next to each other, a few over many runs. */
static void share_many(struct lab *lab)
{
	struct cdx_run run[40];
	uint64_t at = draw_grain(lab), gap = 1 + unit_below(&lab->seed, 200);
	size_t n = 0;

	for (; n < 40 && at < lab->grains; at += unit_below(&lab->seed, gap)) {
		uint64_t most = unit_below(&lab->seed, 8) ? 1 : 1 + unit_below(&lab->seed, 300), count = 0;

		while (at + count < lab->grains && count < most && lab->count[at + count])
			count++;
		if (count)
			run[n++] = (struct cdx_run){at, count};
		at += count ? count : 1;
	}
	CHECK_EQUAL(cdx_space_share_runs(&lab->space, run, n), 0);
	for (size_t i = 0; i < n; i++)
		add(lab, run[i].start, run[i].count, 1);
}

static void change_something(struct lab *lab)
{
	uint64_t start = draw_grain(lab), have = lab->count[start];
	uint64_t count = run_of(lab, start, 1 + unit_below(&lab->seed, 60));

	if (have > 1) {
		CHECK_EQUAL(cdx_space_unshare(&lab->space, start, count), 0);
		add(lab, start, count, UINT64_MAX);
	} else if (have == 1) {
		CHECK_EQUAL(cdx_space_unshare(&lab->space, start, count), -EUCLEAN);
		CHECK_EQUAL(cdx_space_release(&lab->space, start, count), 0);
		add(lab, start, count, UINT64_MAX);
	} else {
		CHECK_EQUAL(cdx_space_release(&lab->space, start, count), -EUCLEAN);
		CHECK_EQUAL(cdx_space_take(&lab->space, start, count), 0);
		add(lab, start, count, 1);
	}
}

/* What is found is free, aligned as asked for, and no shorter than the longest that is. */
static void find_something(struct lab *lab, bool take)
{
	bool blocks = unit_below(&lab->seed, 2);
	uint64_t want = blocks || lab->block == 1 ? (1 + unit_below(&lab->seed, 40)) * lab->block :
			1 + unit_below(&lab->seed, lab->block - 1);
	uint64_t head = lab->bare.super.head_grains, start, count, best = 0;
	int ret = cdx_space_find(&lab->space, want, &start, &count);

	best = largest_between(lab, head, lab->grains);
	if (ret) {
		CHECK_EQUAL(ret, -ENOSPC);
		/* Only where nothing of use is to be had, runs being cut at leaf bounds. */
		CHECK(best < lab->block || want < lab->block);
		CHECK(best == 0 || want >= lab->block);
		return;
	}
	CHECK(count > 0 && count <= want);
	for (uint64_t g = start; g < start + count; g++)
		CHECK_EQUAL(lab->count[g], 0);
	if (want >= lab->block) {
		CHECK_EQUAL(start % lab->block, 0);
		CHECK_EQUAL(count % lab->block, 0);
	}
	if (take) {
		CHECK_EQUAL(cdx_space_take(&lab->space, start, count), 0);
		add(lab, start, count, 1);
	}
}

static void random_changes(uint64_t grains, uint32_t block_size, uint32_t node_size, int changes)
{
	struct lab *lab = make_lab(grains, block_size, node_size);

	for (int i = 0; i < changes; i++) {
		uint64_t choice = unit_below(&lab->seed, 100);

		if (choice < 10)
			share_something(lab);
		else if (choice < 15)
			share_many(lab);
		else if (choice < 80)
			change_something(lab);
		else
			find_something(lab, choice < 90);
		expect_count(lab, unit_below(&lab->seed, lab->grains));
		if (i % 500 == 499)
			expect_all(lab);
		if (i % 1000 == 999) {
			bare_write(&lab->bare, &lab->space.tree);
			expect_all(lab);
		}
	}
	expect_all(lab);
	free_lab(lab);
}

TEST("random changes to counts keep the tree equal to an array, canonical, its summaries exact")
{
	random_changes(6144, 4096, 512, 12000);
	random_changes(6144, 4096, 1024, 6000);
	random_changes(6144, 8192, 2048, 6000);
	random_changes(6144, 65536, 512, 6000);
	random_changes(6144, 4096, 4096, 6000);
}

/* ---- one by one ---------------------------------------------------------------------------------- */

TEST("a change that is not within one run, or of the wrong count, is refused and changes nothing")
{
	struct lab *lab = make_lab(6000, 4096, 512);
	uint64_t at = 1000;

	CHECK_EQUAL(cdx_space_take(&lab->space, at, 10), 0);
	add(lab, at, 10, 1);
	CHECK_EQUAL(cdx_space_share(&lab->space, at, 5), 0);
	add(lab, at, 5, 1);
	CHECK_EQUAL(cdx_space_take(&lab->space, at + 9, 2), -EUCLEAN);
	CHECK_EQUAL(cdx_space_take(&lab->space, at - 1, 2), -EUCLEAN);
	CHECK_EQUAL(cdx_space_unshare(&lab->space, at, 6), -EUCLEAN);
	CHECK_EQUAL(cdx_space_unshare(&lab->space, at + 5, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_space_release(&lab->space, at, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_space_release(&lab->space, at + 5, 6), -EUCLEAN);
	CHECK_EQUAL(cdx_space_share(&lab->space, at + 10, 1), -EUCLEAN);
	expect_all(lab);
	free_lab(lab);
}

TEST("of many ranges that are shared at once none may have a free grain, nor lie in head or tail")
{
	struct lab *lab = make_lab(2048, 4096, 512);
	uint64_t head = lab->bare.super.head_grains;
	struct cdx_run free_one[] = {{head + 5, 1}, {head + 10, 2}}, outside[] = {{head - 1, 1}, {head + 5, 1}};

	CHECK_EQUAL(cdx_space_take(&lab->space, head + 5, 6), 0);
	CHECK_EQUAL(cdx_space_share_runs(&lab->space, free_one, 1), 0);
	CHECK_EQUAL(cdx_space_share_runs(&lab->space, free_one, 2), -EUCLEAN);
	CHECK_EQUAL(cdx_space_share_runs(&lab->space, outside, 2), -EUCLEAN);
	CHECK_EQUAL(cdx_space_share_runs(&lab->space, outside, 0), 0);
	free_lab(lab);
}

TEST("R20: head and tail can neither be taken nor shared nor released")
{
	struct lab *lab = make_lab(6000, 4096, 512);
	uint64_t last = lab->bare.super.grains - 1;

	CHECK_EQUAL(cdx_space_share(&lab->space, 0, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_space_release(&lab->space, lab->bare.super.head_grains - 1, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_space_share(&lab->space, last, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_space_release(&lab->space, last, 1), -EUCLEAN);
	CHECK_EQUAL(cdx_space_share(&lab->space, last - 200, UINT64_MAX - 100), -EUCLEAN);
	expect_all(lab);
	free_lab(lab);
}

TEST("space is found first fit from where the last search ended, then from the start")
{
	struct lab *lab = make_lab(6000, 4096, 512);
	uint64_t start, count, first = lab->bare.super.head_grains;

	CHECK_EQUAL(cdx_space_find(&lab->space, 16, &start, &count), 0);
	CHECK_EQUAL(start, first);
	CHECK_EQUAL(count, 16);
	CHECK_EQUAL(cdx_space_take(&lab->space, start, count), 0);
	CHECK_EQUAL(cdx_space_find(&lab->space, 16, &start, &count), 0);
	CHECK_EQUAL(start, first + 16);
	lab->space.hint = 5900;
	CHECK_EQUAL(cdx_space_find(&lab->space, 4000, &start, &count), 0);
	CHECK_EQUAL(start, first + 16);
	CHECK_EQUAL(count, 4000);
	free_lab(lab);
}

TEST("where no run is long enough, the longest is found; blocks are never made of fragments")
{
	struct lab *lab = make_lab(6000, 4096, 512);
	uint64_t head = lab->bare.super.head_grains, start, count;

	/* Two aligned blocks at 3000, and a run of 15 that holds no whole one at 4001. */
	CHECK_EQUAL(cdx_space_take(&lab->space, head, 3000 - head), 0);
	CHECK_EQUAL(cdx_space_take(&lab->space, 3016, 4001 - 3016), 0);
	CHECK_EQUAL(cdx_space_take(&lab->space, 4008, 6000 - 4008), 0);
	lab->space.hint = 0;
	CHECK_EQUAL(cdx_space_find(&lab->space, 800, &start, &count), 0);
	CHECK_EQUAL(start, 3000);
	CHECK_EQUAL(count, 16);
	lab->space.hint = 3500;
	CHECK_EQUAL(cdx_space_find(&lab->space, 8, &start, &count), 0);
	CHECK_EQUAL(start, 3000);
	lab->space.hint = 3500;
	CHECK_EQUAL(cdx_space_find(&lab->space, 5, &start, &count), 0);
	CHECK_EQUAL(start, 4001);
	CHECK_EQUAL(count, 5);
	CHECK_EQUAL(cdx_space_take(&lab->space, 3000, 16), 0);
	CHECK_EQUAL(cdx_space_find(&lab->space, 8, &start, &count), -ENOSPC);
	CHECK_EQUAL(cdx_space_find(&lab->space, 7, &start, &count), 0);
	CHECK_EQUAL(start, 4001);
	CHECK_EQUAL(count, 7);
	CHECK_EQUAL(cdx_space_take(&lab->space, 4001, 7), 0);
	CHECK_EQUAL(cdx_space_find(&lab->space, 1, &start, &count), -ENOSPC);
	free_lab(lab);
}

/* A tree of @runs runs whose counts are 1 and 2 by turns, clean on the media. */
static struct lab *splintered(uint64_t runs)
{
	struct lab *lab = make_lab(runs + 100, 4096, 512);
	uint64_t head = lab->bare.super.head_grains;

	lab->root = (struct cdx_ref){0};
	cdx_nodes_forget_all(&lab->bare.nodes);
	for (uint64_t i = 0; i < runs; i++) {
		struct cdx_disk_space item = {put64(i ? head + i : 0), put64(1 + i % 2)};

		CHECK_EQUAL(cdx_tree_insert(&lab->space.tree, &item, sizeof(item)), 0);
	}
	bare_write(&lab->bare, &lab->space.tree);
	bare_reload(&lab->bare);
	return lab;
}

TEST("R19: +1 over a million runs changes two paths, not a million counts")
{
	const uint64_t runs = 1000000;
	struct lab *lab = splintered(runs);
	uint64_t head = lab->bare.super.head_grains, count, end, levels = lab->root.level + 1u;

	CHECK_EQUAL(cdx_space_share(&lab->space, head + 7, runs - 20), 0);
	CHECK(lab->bare.nodes.dirty_count <= 3 * levels);
	for (uint64_t i = 7; i < runs - 20; i += 9973) {
		CHECK_EQUAL(cdx_space_count(&lab->space, head + i, &count, &end), 0);
		CHECK_EQUAL(count, 2 + i % 2);
	}
	CHECK_EQUAL(cdx_space_count(&lab->space, head + 6, &count, &end), 0);
	CHECK_EQUAL(count, 1);
	CHECK_EQUAL(cdx_space_count(&lab->space, head + runs - 13, &count, &end), 0);
	CHECK_EQUAL(count, 2);
	/* And again, and down into it: what hangs above reaches the leaf that changes. */
	CHECK_EQUAL(cdx_space_share(&lab->space, head + 7, runs - 20), 0);
	CHECK_EQUAL(cdx_space_unshare(&lab->space, head + 500001, 1), 0);
	CHECK_EQUAL(cdx_space_count(&lab->space, head + 500001, &count, &end), 0);
	CHECK_EQUAL(count, 3);
	CHECK_EQUAL(cdx_space_count(&lab->space, head + 500002, &count, &end), 0);
	CHECK_EQUAL(count, 3);
	CHECK(lab->bare.nodes.dirty_count <= 5 * levels);
	free_lab(lab);
}

TEST("R19: a range with free space in it is never shared as a whole subtree")
{
	struct lab *lab = splintered(5000);
	uint64_t head = lab->bare.super.head_grains;

	CHECK_EQUAL(cdx_space_release(&lab->space, head + 2500, 1), 0);
	CHECK_EQUAL(cdx_space_share(&lab->space, head + 10, 4900), -EUCLEAN);
	free_lab(lab);
}

TEST("R19: counts are as wide as an image needs, and one that cannot be is damage")
{
	struct lab *lab = make_lab(6000, 4096, 512);
	struct cdx_disk_space item = {put64(2000), put64((UINT64_C(1) << 62) - 1)};
	uint64_t count, end;

	CHECK_EQUAL(cdx_tree_insert(&lab->space.tree, &item, sizeof(item)), 0);
	CHECK_EQUAL(cdx_space_share(&lab->space, 2000, 1), 0);
	CHECK_EQUAL(cdx_space_count(&lab->space, 2000, &count, &end), 0);
	CHECK_EQUAL(count, UINT64_C(1) << 62);
	CHECK_EQUAL(cdx_space_share(&lab->space, 2000, 1), 0);
	CHECK_EQUAL(cdx_space_count(&lab->space, 2000, &count, &end), -EUCLEAN);
	free_lab(lab);
}

TEST("R20: summaries that promise what is not there are damage")
{
	struct lab *lab = splintered(5000);
	struct cdx_node *root;
	uint64_t start, count;

	CHECK_EQUAL(cdx_tree_root(&lab->space.tree, &root), 0);
	((struct cdx_disk_space_child *)cdx_node_child(root, 0))->largest = put64(800);
	CHECK_EQUAL(cdx_space_find(&lab->space, 8, &start, &count), -EUCLEAN);
	free_lab(lab);
}
