// SPDX-License-Identifier: GPL-2.0-or-later
#include "bare.h"

#include <sys/mman.h>

static void plain_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	CHECK(offset + length <= pm->length);
	memcpy((unsigned char *)(uintptr_t)pm->base + offset, bytes, length);
}

static void plain_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	memset((unsigned char *)(uintptr_t)pm->base + offset, 0, length);
}

static int plain_fence(struct cdx_pmem *pm)
{
	(void)pm;
	return 0;
}

static const struct cdx_pmem_ops plain_ops = {.copy = plain_copy, .zero = plain_zero, .fence = plain_fence};

void bare_make(struct bare *bare, uint64_t size, uint32_t block_size, uint32_t node_size)
{
	memset(bare, 0, sizeof(*bare));
	bare->super = (struct cdx_super){
		.block_size = block_size, .node_size = node_size, .size = size, .seed = 42,
	};
	CHECK_EQUAL(cdx_super_derive(&bare->super), 0);
	bare->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			   0);
	CHECK(bare->bytes != MAP_FAILED);
	cdx_pmem_wrap(&bare->pm, bare->bytes, size, &plain_ops, NULL);
	CHECK_EQUAL(cdx_nodes_init(&bare->nodes, &bare->pm, &bare->super), 0);
	bare->nodes.transaction = bare->nodes.newest = CDX_FIRST_TRANSACTION;
	bare->next = bare->super.head_grains;
}

void bare_free(struct bare *bare)
{
	cdx_nodes_exit(&bare->nodes);
	munmap(bare->bytes, bare->super.size);
}

int bare_take(void *arg, uint64_t *address)
{
	struct bare *bare = arg;

	if (!cdx_super_allocatable(&bare->super, bare->next, 1))
		return -ENOSPC;
	*address = bare->next++;
	return 0;
}

void bare_write(struct bare *bare, struct cdx_tree *tree)
{
	CHECK_EQUAL(cdx_tree_write(&bare->nodes, tree->root, tree->kind, bare_take, bare), 0);
}

struct cdx_ref bare_write_node(struct bare *bare, struct cdx_node *node)
{
	struct cdx_ref ref = {.level = node->disk.level};
	uint64_t address;

	CHECK_EQUAL(bare_take(bare, &address), 0);
	CHECK_EQUAL(cdx_node_write(&bare->nodes, node, address, &ref.address, &ref.crc), 0);
	return ref;
}

void bare_reload(struct bare *bare)
{
	uint64_t transaction = bare->nodes.transaction;

	cdx_nodes_exit(&bare->nodes);
	CHECK_EQUAL(cdx_nodes_init(&bare->nodes, &bare->pm, &bare->super), 0);
	bare->nodes.transaction = bare->nodes.newest = transaction;
}

static void walk(struct cdx_tree *tree, uint64_t address, uint32_t crc, uint8_t level, struct cdx_key low,
		 struct cdx_key upper, bare_walk_fn *fn, void *arg)
{
	struct cdx_node *node;

	CHECK_EQUAL(cdx_node_get(tree->nodes, address, crc, tree->kind, level, &node), 0);
	fn(arg, node, &low, &upper);
	for (unsigned int i = 0; level && i < cdx_node_count(node); i++) {
		const struct cdx_disk_child *child = cdx_node_child(node, i);
		struct cdx_key bound = upper;

		if (i + 1 < cdx_node_count(node))
			bound = cdx_item_key(node, cdx_node_item(node, i + 1));
		walk(tree, get64(child->address), get32(child->crc), (uint8_t)(level - 1),
		     cdx_item_key(node, cdx_node_item(node, i)), bound, fn, arg);
	}
	cdx_node_put(tree->nodes, node);
}

void bare_walk(struct cdx_tree *tree, bare_walk_fn *fn, void *arg)
{
	struct cdx_key low = {{0}};

	if (tree->root->address)
		walk(tree, tree->root->address, tree->root->crc, tree->root->level, low, tree->upper, fn, arg);
}

struct form { struct cdx_tree *tree; uint64_t nodes; };

static void check_node(void *arg, struct cdx_node *node, const struct cdx_key *low, const struct cdx_key *upper)
{
	struct form *form = arg;
	struct cdx_key before = {{0}}, key;
	size_t used = sizeof(struct cdx_disk_node);

	form->nodes++;
	CHECK(cdx_node_count(node) > 0);
	CHECK(cdx_node_used(node) <= form->tree->nodes->super->node_size);
	for (unsigned int i = 0; i < cdx_node_count(node); i++, before = key) {
		key = cdx_item_key(node, cdx_node_item(node, i));
		CHECK(i == 0 || cdx_keys_compare(&before, &key) < 0);
		used += cdx_item_size(node, cdx_node_item(node, i));
	}
	CHECK_EQUAL(used, cdx_node_used(node));
	key = cdx_item_key(node, cdx_node_item(node, 0));
	CHECK(node->disk.level == form->tree->root->level || cdx_keys_compare(&key, low) == 0);
	CHECK(cdx_keys_compare(&before, upper) < 0);
}

uint64_t bare_check(struct cdx_tree *tree)
{
	struct form form = {.tree = tree};

	bare_walk(tree, check_node, &form);
	return form.nodes;
}
