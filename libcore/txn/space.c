// SPDX-License-Identifier: LGPL-2.1-or-later
/* The space tree (FORMAT 7): looking up, changing and finding runs of grains by their count. */
#include "txn/space.h"

#include "base/count.h"
#include "tree/record.h"

/* More than any image needs, and no sum of an `add` can pass the sign bit. */
#define MAX_COUNT (UINT64_C(1) << 62)

static const struct cdx_super *super_of(const struct cdx_tree *tree)
{
	return tree->nodes->super;
}

static struct cdx_disk_space *leaf_item(struct cdx_node *leaf, int index)
{
	return (struct cdx_disk_space *)cdx_node_item(leaf, (unsigned int)index);
}

static struct cdx_disk_space_child *inner_item(struct cdx_node *node, int index)
{
	return (struct cdx_disk_space_child *)cdx_node_child(node, (unsigned int)index);
}

static struct cdx_key grain_key(uint64_t grain)
{
	return (struct cdx_key){{grain}};
}

void cdx_space_init(struct cdx_space *space, struct cdx_nodes *nodes, const struct cdx_tree_ops *ops,
		    void *owner, struct cdx_ref *root, uint64_t *free_grains)
{
	*space = (struct cdx_space){
		.tree = {
			.nodes = nodes,
			.ops = ops,
			.owner = owner,
			.root = root,
			.kind = CDX_KIND_SPACE,
			.upper = grain_key(nodes->super->grains),
		},
		.free_grains = free_grains,
	};
}

/* ---- summaries ------------------------------------------------------------------ */

/* FORMAT 7.1: what the free run [start, end) is worth to somebody looking for space. */
static uint64_t measure(const struct cdx_super *super, uint64_t start, uint64_t end)
{
	uint64_t block = UINT64_C(1) << super->grains_per_block_shift;
	uint64_t first = (start + block - 1) & ~(block - 1), last = end & ~(block - 1);

	if (last > first)
		return last - first;
	return end - start < block ? end - start : block - 1;
}

static uint64_t run_end(struct cdx_node *leaf, int index, uint64_t upper)
{
	if (index + 1 < (int)cdx_node_count(leaf))
		return get64(leaf_item(leaf, index + 1)->start);
	return upper;
}

static uint64_t largest_in(const struct cdx_super *super, struct cdx_node *node, uint64_t upper)
{
	uint64_t largest = 0, value;

	for (int i = 0; i < (int)cdx_node_count(node); i++) {
		if (node->disk.level)
			value = get64(inner_item(node, i)->largest);
		else if (get64(leaf_item(node, i)->refcount) == 0)
			value = measure(super, get64(leaf_item(node, i)->start), run_end(node, i, upper));
		else
			continue;
		if (value > largest)
			largest = value;
	}
	return largest;
}

void cdx_space_summarise(struct cdx_tree *tree, unsigned char *item, struct cdx_node *child,
			 const struct cdx_key *upper)
{
	struct cdx_disk_space_child *entry = (struct cdx_disk_space_child *)(item + 8);

	entry->largest = put64(largest_in(super_of(tree), child, upper->word[0]));
}

bool cdx_space_push_down(struct cdx_tree *tree, unsigned char *item, struct cdx_node *child)
{
	struct cdx_disk_space_child *entry = (struct cdx_disk_space_child *)(item + 8);
	uint64_t add = get64(entry->add);

	(void)tree;
	if (!add)
		return false;
	entry->add = put64(0);
	for (int i = 0; i < (int)cdx_node_count(child); i++) {
		le64 *field = child->disk.level ? &inner_item(child, i)->add : &leaf_item(child, i)->refcount;

		*field = put64(get64(*field) + add);
	}
	return true;
}

/* ---- looking up --------------------------------------------------------------------- */

/* The count of the item that the cursor is at: its own plus every add above it. */
static uint64_t cursor_count(const struct cdx_cursor *cursor)
{
	uint64_t count = get64(leaf_item(cursor->node[0], cursor->index[0])->refcount);

	for (int level = 1; level < cursor->levels; level++)
		count += get64(inner_item(cursor->node[level], cursor->index[level])->add);
	return count;
}

int cdx_space_count(struct cdx_space *space, uint64_t start, uint64_t *count, uint64_t *end)
{
	struct cdx_key key = grain_key(start);
	struct cdx_cursor cursor;
	int ret;

	if (start < space->run_start || start >= space->run_end) {
		ret = cdx_cursor_seek(&cursor, &space->tree, &key);
		if (ret > 0 && cdx_cursor_at_item(&cursor)) {
			space->run_start = get64(((struct cdx_disk_space *)cdx_cursor_item(&cursor))->start);
			space->run_end = cdx_cursor_next_key(&cursor).word[0];
			space->run_count = cursor_count(&cursor);
		} else if (ret >= 0) {
			ret = -EUCLEAN;
		}
		cdx_cursor_end(&cursor);
		if (ret < 0)
			return ret;
		if (start >= space->run_end || space->run_count > MAX_COUNT) {
			space->run_end = 0;
			return -EUCLEAN;
		}
	}
	*count = space->run_count;
	*end = space->run_end;
	return 0;
}

int cdx_space_walk(struct cdx_space *space, cdx_space_fn *fn, void *arg)
{
	struct cdx_key key = grain_key(0);
	struct cdx_cursor cursor;
	int ret;

	for (ret = cdx_cursor_seek(&cursor, &space->tree, &key); ret > 0; ret = cdx_cursor_next(&cursor)) {
		uint64_t start;

		if (!cdx_cursor_at_item(&cursor)) {
			ret = -EUCLEAN;
			break;
		}
		start = get64(((struct cdx_disk_space *)cdx_cursor_item(&cursor))->start);
		ret = fn(arg, start, cdx_cursor_next_key(&cursor).word[0] - start, cursor_count(&cursor));
		if (ret)
			break;
	}
	cdx_cursor_end(&cursor);
	return ret;
}

/* ---- changing -------------------------------------------------------------------------- */

/* What a change adds, and the counts that it may be applied to. */
struct change { uint64_t delta, low, high; };

/*
 * Add to [start, end), all within the path's leaf; splits and joins runs inside
 * the leaf.  *join_low and *join_high tell whether a neighbour in another leaf
 * may now have the same count.
 */
static int change_leaf(struct cdx_path *path, uint64_t start, uint64_t end, const struct change *change,
		       bool *join_low, bool *join_high)
{
	struct cdx_node *leaf = path->node[0];
	uint64_t upper = path->upper[0].word[0];
	int first = path->index[0], last;
	struct cdx_disk_space item;

	for (last = first;; last++) {
		uint64_t count = get64(leaf_item(leaf, last)->refcount);

		if (count < change->low || count > change->high)
			return -EUCLEAN;
		if (run_end(leaf, last, upper) >= end)
			break;
	}
	if (get64(leaf_item(leaf, first)->start) < start) {
		item.start = put64(start);
		item.refcount = leaf_item(leaf, first)->refcount;
		first++;
		cdx_node_insert(leaf, (unsigned int)first, &item, sizeof(item));
	}
	for (last = first; run_end(leaf, last, upper) < end; last++)
		;
	if (run_end(leaf, last, upper) > end) {
		item.start = put64(end);
		item.refcount = leaf_item(leaf, last)->refcount;
		cdx_node_insert(leaf, (unsigned int)last + 1, &item, sizeof(item));
	}
	for (int i = first; i <= last; i++)
		leaf_item(leaf, i)->refcount = put64(get64(leaf_item(leaf, i)->refcount) + change->delta);
	*join_high = last + 1 == (int)cdx_node_count(leaf);
	if (!*join_high && get64(leaf_item(leaf, last + 1)->refcount) == get64(leaf_item(leaf, last)->refcount))
		cdx_node_remove(leaf, (unsigned int)last + 1, 1);
	*join_low = first == 0;
	if (first && get64(leaf_item(leaf, first - 1)->refcount) == get64(leaf_item(leaf, first)->refcount))
		cdx_node_remove(leaf, (unsigned int)first, 1);
	return 0;
}

/* When the runs on both sides of @at have one count, make them one. */
static int join_at(struct cdx_space *space, uint64_t at)
{
	uint64_t below, above, end;
	struct cdx_key key = grain_key(at);
	struct cdx_path path;
	int ret;

	if (at == 0 || at >= super_of(&space->tree)->grains)
		return 0;
	ret = cdx_space_count(space, at - 1, &below, &end);
	if (ret || end != at)
		return ret;
	ret = cdx_space_count(space, at, &above, &end);
	if (ret || below != above)
		return ret;
	space->run_end = 0;
	ret = cdx_tree_delete(&space->tree, &key);
	if (ret)
		return ret;
	/* The leaf before reaches further now, and with it its largest free run. */
	key = grain_key(at - 1);
	ret = cdx_path_seek(&path, &space->tree, &key);
	return ret ? ret : cdx_path_repair(&path, &space->tree);
}

/* Make an item start at @at. */
static int split_at(struct cdx_space *space, uint64_t at)
{
	struct cdx_key key = grain_key(at);
	struct cdx_disk_space item;
	struct cdx_path path;
	int ret;

	if (at >= super_of(&space->tree)->grains)
		return 0;
	ret = cdx_path_seek(&path, &space->tree, &key);
	if (ret)
		return ret;
	if (path.index[0] < 0)
		return -EUCLEAN;
	item = *leaf_item(path.node[0], path.index[0]);
	if (get64(item.start) == at)
		return 0;
	item.start = put64(at);
	path.index[0]++;
	cdx_node_insert(path.node[0], (unsigned int)path.index[0], &item, sizeof(item));
	return cdx_path_repair(&path, &space->tree);
}

/* Add to the whole items of [start, end) at and below @node: whole subtrees by their item (R19). */
static int add_below(struct cdx_space *space, struct cdx_node *node, uint64_t start, uint64_t end,
		     uint64_t delta, uint64_t upper)
{
	struct cdx_key node_upper = grain_key(upper);
	struct cdx_node *child;
	int ret;

	node->same = false;
	for (int i = 0; i < (int)cdx_node_count(node); i++) {
		uint64_t low = get64(*(le64 *)cdx_node_item(node, (unsigned int)i));
		uint64_t high = i + 1 < (int)cdx_node_count(node) ?
				get64(*(le64 *)cdx_node_item(node, (unsigned int)i + 1)) : upper;
		struct cdx_disk_space_child *item;
		struct cdx_key bound = grain_key(high);

		if (high <= start)
			continue;
		if (low >= end)
			break;
		if (node->disk.level == 0) {
			if (!leaf_item(node, i)->refcount.raw)
				return -EUCLEAN;
			leaf_item(node, i)->refcount = put64(get64(leaf_item(node, i)->refcount) + delta);
			continue;
		}
		item = inner_item(node, i);
		if (start <= low && high <= end) {
			if (get64(item->largest))
				return -EUCLEAN;	/* a pointer into free space */
			item->add = put64(get64(item->add) + delta);
			continue;
		}
		ret = cdx_tree_child(&space->tree, node, (unsigned int)i, &node_upper, &child);
		if (!ret)
			ret = add_below(space, child, start, end, delta, high);
		if (ret)
			return ret;
		cdx_space_summarise(&space->tree, cdx_node_item(node, (unsigned int)i), child, &bound);
	}
	return 0;
}

static int add_across_leaves(struct cdx_space *space, uint64_t start, uint64_t end, uint64_t delta)
{
	struct cdx_node *root;
	int ret;

	ret = split_at(space, start);
	if (!ret)
		ret = split_at(space, end);
	if (!ret)
		ret = cdx_tree_root(&space->tree, &root);
	if (!ret)
		ret = add_below(space, root, start, end, delta, super_of(&space->tree)->grains);
	return ret;
}

/*
 * Whether nothing above the leaf has to know of a change to it: its first run begins where it
 * did, and no space has been taken or has come free, so that the largest is the same.
 */
static bool leaf_fits(const struct cdx_space *space, const struct cdx_node *leaf, const struct change *change)
{
	bool free_is_same = change->low && change->low + change->delta;

	return free_is_same && cdx_node_used(leaf) <= cdx_node_room(CDX_KIND_SPACE, super_of(&space->tree)->node_size);
}

static int apply(struct cdx_space *space, uint64_t start, uint64_t count, const struct change *change)
{
	struct cdx_key key = grain_key(start);
	bool join_low = true, join_high = true;
	uint64_t end = start + count;
	struct cdx_path path;
	int ret;

	if (!cdx_super_allocatable(super_of(&space->tree), start, count))
		return -EUCLEAN;
	space->run_end = 0;
	ret = cdx_path_seek(&path, &space->tree, &key);
	if (ret)
		return ret;
	if (path.index[0] < 0)
		return -EUCLEAN;
	if (end <= path.upper[0].word[0]) {
		ret = change_leaf(&path, start, end, change, &join_low, &join_high);
		if (!ret && !leaf_fits(space, path.node[0], change))
			ret = cdx_path_repair(&path, &space->tree);
	} else if (change->high == MAX_COUNT && change->delta == 1) {
		ret = add_across_leaves(space, start, end, change->delta);
	} else {
		ret = -EUCLEAN;		/* what lies in one run lies in one leaf */
	}
	if (!ret && join_high)
		ret = join_at(space, end);
	if (!ret && join_low)
		ret = join_at(space, start);
	return ret;
}

int cdx_space_share(struct cdx_space *space, uint64_t start, uint64_t count)
{
	static const struct change share = {1, 1, MAX_COUNT};

	return apply(space, start, count, &share);
}

/* As many of the runs as lie in the leaf of the first, by one path to it: how many, or -errno. */
static int share_in_leaf(struct cdx_space *space, const struct cdx_run *run, size_t n)
{
	static const struct change share = {1, 1, MAX_COUNT};
	struct cdx_key key = grain_key(run->start);
	bool join_low = false, join_high = false;
	struct cdx_path path;
	size_t done = 0;
	int ret = cdx_path_seek(&path, &space->tree, &key);

	if (ret)
		return ret;
	space->run_end = 0;
	/* A run at the leaf's edge may have to become one with the next leaf's. */
	while (done < n && !join_low && !join_high && leaf_fits(space, path.node[0], &share)) {
		uint64_t start = run[done].start, end = start + run[done].count;

		if (end > path.upper[0].word[0])
			break;
		key = grain_key(start);
		path.index[0] = cdx_node_search(path.node[0], &key);
		ret = path.index[0] < 0 ? -EUCLEAN :
		      change_leaf(&path, start, end, &share, &join_low, &join_high);
		if (ret)
			return ret;
		done++;
	}
	if (!leaf_fits(space, path.node[0], &share))
		ret = cdx_path_repair(&path, &space->tree);
	if (!ret && join_high)
		ret = join_at(space, run[done - 1].start + run[done - 1].count);
	if (!ret && join_low)
		ret = join_at(space, run[done - 1].start);
	return ret ? ret : (int)done;
}

int cdx_space_share_runs(struct cdx_space *space, const struct cdx_run *run, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < n; i++)
		if (!cdx_super_allocatable(super_of(&space->tree), run[i].start, run[i].count))
			return -EUCLEAN;
	while (done < n) {
		int ret = share_in_leaf(space, run + done, n - done);

		/* What reaches into another leaf. */
		if (!ret) {
			ret = cdx_space_share(space, run[done].start, run[done].count);
			ret = ret ? ret : 1;
		}
		if (ret < 0)
			return ret;
		done += (size_t)ret;
	}
	return 0;
}

int cdx_space_unshare(struct cdx_space *space, uint64_t start, uint64_t count)
{
	static const struct change unshare = {(uint64_t)-1, 2, MAX_COUNT};

	return apply(space, start, count, &unshare);
}

int cdx_space_take(struct cdx_space *space, uint64_t start, uint64_t count)
{
	static const struct change take = {1, 0, 0};
	int ret = cdx_lower(space->free_grains, count);

	if (ret)
		return ret;
	ret = apply(space, start, count, &take);
	if (ret)
		*space->free_grains += count;
	return ret;
}

int cdx_space_release(struct cdx_space *space, uint64_t start, uint64_t count)
{
	static const struct change release = {(uint64_t)-1, 1, 1};
	int ret = apply(space, start, count, &release);

	return ret ? ret : cdx_raise(space->free_grains, count, super_of(&space->tree)->grains);
}

/* ---- finding ------------------------------------------------------------------------------- */

struct search {
	struct cdx_space *space;
	uint64_t want, from;
	uint64_t start, count;
};

/* Whether the free run [start, end), cut at what is searched, will do. */
static bool fits(struct search *search, uint64_t start, uint64_t end)
{
	const struct cdx_super *super = super_of(&search->space->tree);
	uint64_t block = UINT64_C(1) << super->grains_per_block_shift, value;

	if (start < search->from)
		start = search->from;
	if (start >= end)
		return false;
	value = measure(super, start, end);
	if (value < search->want)
		return false;
	if (search->want >= block)
		start = (start + block - 1) & ~(block - 1);
	search->start = start;
	search->count = value >= block || search->want >= block ? value : end - start;
	if (search->count > end - start)
		search->count = end - start;
	return true;
}

/* 1 found, 0 not below @node. */
static int search_below(struct search *search, struct cdx_node *node, const struct cdx_key *upper)
{
	struct cdx_tree *tree = &search->space->tree;
	int found = 0;

	for (int i = 0; i < (int)cdx_node_count(node) && !found; i++) {
		uint64_t low = get64(*(le64 *)cdx_node_item(node, (unsigned int)i));
		uint64_t high = i + 1 < (int)cdx_node_count(node) ?
				get64(*(le64 *)cdx_node_item(node, (unsigned int)i + 1)) : upper->word[0];
		struct cdx_key bound = grain_key(high);
		struct cdx_node *child;

		if (high <= search->from)
			continue;
		if (node->disk.level == 0) {
			if (get64(leaf_item(node, i)->refcount) == 0)
				found = fits(search, low, high);
			continue;
		}
		if (get64(inner_item(node, i)->largest) < search->want)
			continue;
		if (get64(inner_item(node, i)->add))
			return -EUCLEAN;	/* the leaf would not say what is free */
		found = cdx_tree_get_child(tree, node, (unsigned int)i, upper, &child);
		if (found)
			return found;
		found = search_below(search, child, &bound);
		cdx_node_put(tree->nodes, child);
	}
	return found;
}

int cdx_space_find(struct cdx_space *space, uint64_t want, uint64_t *start, uint64_t *count)
{
	struct cdx_tree *tree = &space->tree;
	uint64_t block = UINT64_C(1) << super_of(tree)->grains_per_block_shift, largest;
	struct search search = {.space = space, .want = want, .from = space->hint};
	struct cdx_node *root;
	int ret;

	if (!tree->root->address)
		return -EUCLEAN;
	ret = cdx_node_get(tree->nodes, tree->root->address, tree->root->crc, CDX_KIND_SPACE,
			   tree->root->level, &root);
	if (ret)
		return ret;
	largest = largest_in(super_of(tree), root, tree->upper.word[0]);
	if (largest < search.want)
		search.want = want >= block ? largest & ~(block - 1) : largest;
	if (!search.want) {
		ret = -ENOSPC;
		goto out_put;
	}
	ret = search_below(&search, root, &tree->upper);
	if (!ret) {
		search.from = 0;
		ret = search_below(&search, root, &tree->upper);
	}
	if (ret < 0)
		goto out_put;
	if (!ret || !cdx_super_allocatable(super_of(tree), search.start, search.count)) {
		ret = -EUCLEAN;		/* the summaries lie */
		goto out_put;
	}
	*start = search.start;
	*count = search.count < want ? search.count : want;
	space->hint = *start + *count;
	ret = 0;
out_put:
	cdx_node_put(tree->nodes, root);
	return ret;
}
