// SPDX-License-Identifier: LGPL-2.1-or-later
/* Writing out dirty nodes: children first, so that a parent knows their addresses. */
#include "tree/btree.h"

struct write_out {
	struct cdx_nodes *nodes;
	cdx_take_fn *take;
	void *arg;
};

/* Whether anything in the leaf @node may point to a dirty node. */
static bool holds_nodes(const struct cdx_node *node)
{
	return node->disk.kind == CDX_KIND_FS || node->disk.kind == CDX_KIND_STAGING;
}

static int write_pointer(void *arg, const struct cdx_pointer *pointer);

static int write_child(struct write_out *out, struct cdx_disk_child *child)
{
	if (!cdx_is_dirty(get64(child->address)))
		return 0;
	return write_pointer(out, &(struct cdx_pointer){
		.start = get64(child->address), .address_field = &child->address, .crc_field = &child->crc});
}

/* Of an inner node's many children few are dirty, mostly one and it is known which. */
static int write_children(struct write_out *out, struct cdx_node *node)
{
	unsigned int stride = cdx_kind_shapes[node->disk.kind].inner_stride;
	unsigned char *child = (unsigned char *)cdx_node_child(node, 0);
	int ret = 0;

	if (node->touched == CDX_TOUCHED_NONE)
		return 0;
	if (node->touched >= 0)
		return write_child(out, cdx_node_child(node, (unsigned int)node->touched));
	for (unsigned int left = cdx_node_count(node); left && !ret; left--, child += stride)
		ret = write_child(out, (struct cdx_disk_child *)child);
	return ret;
}

static int write_pointer(void *arg, const struct cdx_pointer *pointer)
{
	struct write_out *out = arg;
	uint64_t address, new_address;
	struct cdx_node *node;
	uint32_t crc;
	int ret = 0;

	if (pointer->data || !cdx_is_dirty(pointer->start))
		return 0;
	node = out->nodes->dirty[pointer->start & ~CDX_DIRTY];
	if (node->disk.level)
		ret = write_children(out, node);
	else if (holds_nodes(node))
		ret = cdx_node_pointers(out->nodes, node, write_pointer, out);
	if (!ret)
		ret = out->take(out->arg, &address);
	if (!ret)
		ret = cdx_node_write(out->nodes, node, address, &new_address, &crc);
	if (ret)
		return ret;
	*pointer->address_field = put64(new_address);
	*pointer->crc_field = put32(crc);
	return 0;
}

int cdx_tree_write(struct cdx_nodes *nodes, struct cdx_ref *root, uint8_t kind, cdx_take_fn *take,
		   void *arg)
{
	struct write_out out = {nodes, take, arg};
	le64 address = put64(root->address);
	le32 crc = put32(root->crc);
	struct cdx_pointer pointer = {
		.start = root->address, .count = 1, .kind = kind, .level = root->level,
		.address_field = &address, .crc_field = &crc,
	};
	int ret;

	ret = write_pointer(&out, &pointer);
	root->address = get64(address);
	root->crc = get32(crc);
	return ret;
}
