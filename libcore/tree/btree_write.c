// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing out dirty nodes: children first, so that a parent knows their addresses.  A parent in
 * which nothing else has changed stays where it is, if the record has room to say so (FORMAT 4.3).
 */
#include "tree/btree.h"

struct write_out {
	struct cdx_nodes *nodes;
	cdx_take_fn *take;
	void *arg;
	bool moved;			/* the node last written is somewhere else now */
};

/* Whether anything in the leaf @node may point to a dirty node. */
static bool holds_nodes(const struct cdx_node *node)
{
	return node->disk.kind == CDX_KIND_FS || node->disk.kind == CDX_KIND_STAGING;
}

static int write_pointer(struct write_out *out, const struct cdx_pointer *pointer);

/* What of a node's items has come to say something else: some, or more than the record is told of. */
struct moved {
	unsigned int n, index[CDX_MOST_MOVED];
};

static int write_child(struct write_out *out, struct cdx_node *node, unsigned int index, struct moved *moved)
{
	struct cdx_disk_child *child = cdx_node_child(node, index);
	int ret;

	if (!cdx_is_dirty(get64(child->address)))
		return 0;
	ret = write_pointer(out, &(struct cdx_pointer){
		.start = get64(child->address), .address_field = &child->address, .crc_field = &child->crc});
	if (out->moved && moved->n++ < CDX_MOST_MOVED)
		moved->index[moved->n - 1] = index;
	return ret;
}

/* Of an inner node's many children few are dirty, mostly one and it is known which. */
static int write_children(struct write_out *out, struct cdx_node *node, struct moved *moved)
{
	int ret = 0;

	if (node->touched == CDX_TOUCHED_NONE)
		return 0;
	if (node->touched >= 0)
		return write_child(out, node, (unsigned int)node->touched, moved);
	for (unsigned int i = 0; i < cdx_node_count(node) && !ret; i++)
		ret = write_child(out, node, i, moved);
	return ret;
}

struct held {
	struct write_out *out;
	bool moved;			/* any of it */
};

static int write_held_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct held *held = arg;
	int ret;

	if (pointer->data || !cdx_is_dirty(pointer->start))
		return 0;
	ret = write_pointer(held->out, pointer);
	held->moved |= held->out->moved;
	return ret;
}

/* What a leaf points to; and the inode in it of which only times have changed. */
static int write_held(struct write_out *out, struct cdx_node *leaf, struct moved *moved)
{
	struct held held = {.out = out};
	int ret = holds_nodes(leaf) ? cdx_node_pointers(out->nodes, leaf, write_held_pointer, &held) : 0;

	if (held.moved || leaf->disk.kind != CDX_KIND_FS)
		leaf->same = false;
	else if (leaf->touched >= 0)
		moved->index[moved->n++] = (unsigned int)leaf->touched;
	return ret;
}

/* Whether the node, whose children are written, can stay where it is, and does. */
static bool stays(struct write_out *out, struct cdx_node *node, const struct moved *moved)
{
	if (!node->home || !node->same || moved->n > CDX_MOST_MOVED ||
	    !cdx_amends_keep(out->nodes, node, moved->index, moved->n))
		return false;
	cdx_node_stay(out->nodes, node);
	return true;
}

static int write_anew(struct write_out *out, struct cdx_node *node, uint64_t *address, uint32_t *crc)
{
	uint64_t place;
	int ret = out->take(out->arg, &place);

	if (!ret)
		ret = cdx_node_leave_home(out->nodes, node);
	return ret ? ret : cdx_node_write(out->nodes, node, place, address, crc);
}

static int write_pointer(struct write_out *out, const struct cdx_pointer *pointer)
{
	struct moved moved = {0};
	uint64_t address;
	struct cdx_node *node;
	uint32_t crc;
	int ret;

	node = out->nodes->dirty[pointer->start & ~CDX_DIRTY];
	ret = node->disk.level ? write_children(out, node, &moved) : write_held(out, node, &moved);
	if (ret)
		return ret;
	address = node->home;
	crc = get32(node->disk.crc);
	out->moved = !stays(out, node, &moved);
	if (out->moved)
		ret = write_anew(out, node, &address, &crc);
	if (ret)
		return ret;
	*pointer->address_field = put64(address);
	*pointer->crc_field = put32(crc);
	return 0;
}

int cdx_tree_write(struct cdx_nodes *nodes, struct cdx_ref *root, uint8_t kind, cdx_take_fn *take,
		   void *arg)
{
	struct write_out out;
	struct cdx_pointer pointer;
	le64 address;
	le32 crc;
	int ret;

	if (!cdx_is_dirty(root->address))
		return 0;
	out = (struct write_out){.nodes = nodes, .take = take, .arg = arg};
	pointer = (struct cdx_pointer){
		.start = root->address, .count = 1, .kind = kind, .level = root->level,
		.address_field = &address, .crc_field = &crc,
	};
	ret = write_pointer(&out, &pointer);
	if (ret)
		return ret;
	root->address = get64(address);
	root->crc = get32(crc);
	return 0;
}
