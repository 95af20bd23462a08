// SPDX-License-Identifier: LGPL-2.1-or-later
/* Nodes that stay where they are while the record says what has changed of them (FORMAT 4.3). */
#include "tree/node.h"

/* ---- what an item says -------------------------------------------------------------------- */

struct saying {
	uint64_t value;
	uint32_t more;
};

static struct cdx_disk_inode *inode_at(struct cdx_node *leaf, unsigned int index)
{
	return (struct cdx_disk_inode *)(cdx_node_item(leaf, index) + sizeof(struct cdx_disk_fs_item));
}

static struct saying saying_of(struct cdx_node *node, unsigned int index)
{
	if (node->disk.level) {
		const struct cdx_disk_child *child = cdx_node_child(node, index);

		return (struct saying){get64(child->address), get32(child->crc)};
	}
	return (struct saying){get64(inode_at(node, index)->mtime.seconds),
			       get32(inode_at(node, index)->mtime.nanoseconds)};
}

static const struct cdx_disk_fs_item *item_at(struct cdx_node *leaf, unsigned int index)
{
	return (const struct cdx_disk_fs_item *)cdx_node_item(leaf, index);
}

static int apply(struct cdx_node *node, const struct cdx_disk_amend *amend)
{
	unsigned int index = get16(amend->index);

	if (amend->kind != node->disk.kind || amend->level != node->disk.level || index >= cdx_node_count(node))
		return -EUCLEAN;
	if (node->disk.level) {
		cdx_node_child(node, index)->address = amend->value;
		cdx_node_child(node, index)->crc = amend->more;
	} else {
		struct cdx_disk_inode *inode = inode_at(node, index);

		if (!cdx_times_amendable(item_at(node, index)))
			return -EUCLEAN;
		inode->mtime.seconds = inode->ctime.seconds = amend->value;
		inode->mtime.nanoseconds = inode->ctime.nanoseconds = amend->more;
	}
	node->amended = true;
	return 0;
}

int cdx_amends_apply(const struct cdx_nodes *nodes, struct cdx_node *node)
{
	const struct cdx_disk_amend *amend = nodes->amends.entry, *end = amend + nodes->amends.n;
	le64 address = put64(node->address);
	int ret = 0;

	node->amended = false;
	for (; amend < end && !ret; amend++)
		if (amend->node.raw == address.raw)
			ret = apply(node, amend);
	return ret;
}

/* ---- the list ---------------------------------------------------------------------------------- */

int cdx_amends_decode(struct cdx_amends *amends, const struct cdx_super *super, const struct cdx_disk_commit *slot)
{
	size_t size = get16(slot->n_amends) * sizeof(amends->entry[0]);

	/* They end the record. */
	memcpy(amends->entry, (const unsigned char *)slot + get32(slot->length) - size, size);
	amends->n = get16(slot->n_amends);
	for (unsigned int i = 0; i < amends->n; i++) {
		if (cdx_amend_possible(&amends->entry[i]) &&
		    cdx_super_allocatable(super, get64(amends->entry[i].node), 1))
			continue;
		amends->n = 0;
		return -EUCLEAN;
	}
	return 0;
}

static bool same(const struct cdx_disk_amend *a, const struct cdx_disk_amend *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool is_of(const struct cdx_disk_amend *amend, uint64_t node, unsigned int index)
{
	return get64(amend->node) == node && get16(amend->index) == index;
}

/* The cached node says this now, or is read anew when it is asked for, which judges it, too. */
static void update_cached(struct cdx_nodes *nodes, const struct cdx_disk_amend *amend)
{
	struct cdx_node *node = cdx_node_cached(nodes, get64(amend->node));

	if (!node)
		return;
	if ((amend->level && !cdx_super_allocatable(nodes->super, get64(amend->value), 1)) || apply(node, amend))
		cdx_node_uncache(nodes, get64(amend->node));
}

void cdx_amends_adopt(struct cdx_nodes *nodes, const struct cdx_amends *amends)
{
	struct cdx_amends *have = &nodes->amends;

	/* What is in one list and not in the other is met at its place in that one. */
	for (unsigned int i = 0; i < have->n; i++) {
		const struct cdx_disk_amend *old = &have->entry[i], *new = &amends->entry[i];

		if (i < amends->n && is_of(old, get64(new->node), get16(new->index)))
			continue;
		cdx_node_uncache(nodes, get64(old->node));
		if (i < amends->n)
			cdx_node_uncache(nodes, get64(new->node));
	}
	for (unsigned int i = 0; i < amends->n; i++)
		if (i >= have->n || !same(&have->entry[i], &amends->entry[i]))
			update_cached(nodes, &amends->entry[i]);
	cdx_amends_copy(have, amends);
	nodes->reamended = false;
}

void cdx_amends_drop(struct cdx_nodes *nodes, uint64_t address)
{
	struct cdx_amends *amends = &nodes->amends;

	for (unsigned int i = amends->n; i-- > 0;)
		if (get64(amends->entry[i].node) == address)
			amends->entry[i] = amends->entry[--amends->n];
	nodes->reamended = true;
	cdx_node_uncache(nodes, address);
}

/* The amendment of that item, or where one more would be. */
static struct cdx_disk_amend *find(struct cdx_amends *amends, struct cdx_node *node, unsigned int index)
{
	struct cdx_disk_amend *amend = amends->entry + node->amend, *end = amends->entry + amends->n;

	if (!node->amended)
		return end;
	if (amend < end && is_of(amend, node->home, index))
		return amend;
	for (amend = amends->entry; amend < end && !is_of(amend, node->home, index); amend++)
		;
	node->amend = (uint8_t)(amend - amends->entry);
	return amend;
}

/*
 * How many there may be for one more of a node of that level.  What is near the leaves meets the most
 * of them, and is written anew sooner, so that there is always room for the few above it.
 */
static unsigned int room_at(uint8_t level)
{
	static const unsigned int eighths[] = {8, 4, 6, 7};

	return CDX_MAX_AMENDS * eighths[level < 3 ? level : 3] / 8;
}

bool cdx_amends_keep(struct cdx_nodes *nodes, struct cdx_node *node, const unsigned int *index, unsigned int n)
{
	struct cdx_disk_amend *amend[CDX_MOST_MOVED], *end = nodes->amends.entry + nodes->amends.n;
	unsigned int more = 0;

	for (unsigned int i = 0; i < n; i++) {
		amend[i] = find(&nodes->amends, node, index[i]);
		if (amend[i] == end)
			amend[i] = end + more++;
	}
	if (more && nodes->amends.n + more > room_at(node->disk.level))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		struct saying now = saying_of(node, index[i]);

		*amend[i] = (struct cdx_disk_amend){
			.node = put64(node->home),
			.value = put64(now.value),
			.more = put32(now.more),
			.index = put16((uint16_t)index[i]),
			.kind = node->disk.kind,
			.level = node->disk.level,
		};
		nodes->reamended = node->amended = true;
	}
	nodes->amends.n += more;
	return true;
}

/* ---- of a leaf of the fs tree ---------------------------------------------------------------------- */

/* Where the root that a reference leads to lies, or would if it can stay. */
static uint64_t home_of(const struct cdx_nodes *nodes, const struct cdx_disk_ref *ref)
{
	uint64_t address = get64(ref->address);

	return cdx_is_dirty(address) ? nodes->dirty[address & ~CDX_DIRTY]->home : address;
}

/* An inode with a tree of extents, whose root is still the one at @root, and with times that a change has set. */
static bool only_times_differ(const struct cdx_nodes *nodes, const unsigned char *old, const unsigned char *new,
			      uint64_t root)
{
	const struct cdx_disk_fs_item *item = (const void *)old;
	struct {
		struct cdx_disk_inode inode;
		struct cdx_disk_ref ref;
	} before, after;

	if (get16(item->length) != sizeof(before) || memcmp(old, new, sizeof(*item)) != 0)
		return false;
	memcpy(&before, old + sizeof(*item), sizeof(before));
	memcpy(&after, new + sizeof(*item), sizeof(after));
	if (memcmp(&after.inode.mtime, &after.inode.ctime, sizeof(after.inode.mtime)) != 0)
		return false;
	after.inode.mtime = before.inode.mtime;
	after.inode.ctime = before.inode.ctime;
	return memcmp(&before.inode, &after.inode, sizeof(before.inode)) == 0 && root &&
	       after.inode.layout == CDX_LAYOUT_TREE && home_of(nodes, &after.ref) == root &&
	       before.ref.level == after.ref.level;
}

/* The root of the inode at @index of a leaf that is as it is on media; 0: it has none. */
static uint64_t root_at(struct cdx_node *leaf, unsigned int index)
{
	const struct cdx_disk_fs_item *item = item_at(leaf, index);

	if (!cdx_times_amendable(item) || !cdx_layout_possible(inode_at(leaf, index), get16(item->length)) ||
	    inode_at(leaf, index)->layout != CDX_LAYOUT_TREE)
		return 0;
	return get64(((const struct cdx_disk_ref *)(inode_at(leaf, index) + 1))->address);
}

void cdx_amends_note(const struct cdx_nodes *nodes, struct cdx_node *node, unsigned int index, const void *new)
{
	if (!node->same)
		return;
	node->same = false;
	if (node->disk.kind != CDX_KIND_FS)
		return;
	if (node->touched == CDX_TOUCHED_NONE) {
		node->touched = (int)index;
		node->root = root_at(node, index);
	}
	node->same = node->touched == (int)index &&
		     only_times_differ(nodes, cdx_node_item(node, index), new, node->root);
}
