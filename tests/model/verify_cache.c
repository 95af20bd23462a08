// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether a node in memory is what lies on media, with what the record amends of it (FORMAT 4.3). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/image.h"
#include "world.h"

/* By code of its own: the item's place, then what is said of it. */
static void amend(unsigned char *bytes, const struct cdx_disk_amend *amend)
{
	struct cdx_disk_node *node = (struct cdx_disk_node *)bytes;
	const struct cdx_kind_shape *shape = &cdx_kind_shapes[node->kind];
	unsigned char *item = bytes + sizeof(*node);

	if (node->level) {
		item += (size_t)get16(amend->index) * shape->inner_stride + shape->key_words * 8u;
		memcpy(item, &amend->value, 8);
		memcpy(item + 8, &amend->more, 4);
		return;
	}
	for (unsigned int i = get16(amend->index); i; i--)
		item += cdx_fs_item_size(item);
	item += sizeof(struct cdx_disk_fs_item);
	memcpy(item + offsetof(struct cdx_disk_inode, mtime), &amend->value, 8);
	memcpy(item + offsetof(struct cdx_disk_inode, mtime) + 8, &amend->more, 4);
	memcpy(item + offsetof(struct cdx_disk_inode, ctime), &amend->value, 8);
	memcpy(item + offsetof(struct cdx_disk_inode, ctime) + 8, &amend->more, 4);
}

static int verify_node(struct world *world, const struct cdx_nodes *nodes, const struct cdx_node *node)
{
	unsigned char bytes[CDX_MAX_NODE_SIZE];
	struct cdx_disk_node *disk = (struct cdx_disk_node *)bytes;

	if (cdx_pmem_read(nodes->pm, node->address << nodes->super->grain_shift, bytes, nodes->super->node_size))
		return world_fail(world, "node %" PRIu64 " cannot be read", node->address);
	/* Another handle may have put something else there, and this one not have looked since. */
	if (get64(disk->address) != node->address || get32(disk->crc) != node->crc)
		return 0;
	for (unsigned int i = 0; i < nodes->amends.n; i++)
		if (get64(nodes->amends.entry[i].node) == node->address)
			amend(bytes, &nodes->amends.entry[i]);
	if (memcmp(bytes, &node->disk, cdx_node_length(disk)) != 0)
		return world_fail(world, "node %" PRIu64 ", kind %d, level %d, is not what lies there as amended",
				  node->address, node->disk.kind, node->disk.level);
	return 0;
}

int verify_cache(struct world *world, const struct cowdax *fs)
{
	const struct cdx_nodes *nodes = &fs->txn.nodes;

	for (size_t i = 0; i < (size_t)CDX_CACHE_SETS * CDX_CACHE_WAYS; i++) {
		const struct cdx_node *node = nodes->cache[i];

		if (node && !cdx_is_dirty(node->address) && verify_node(world, nodes, node))
			return -1;
	}
	return 0;
}
