/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edit.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/siphash.h"

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(99);
}

/* ---- files ---------------------------------------------------------------------- */

void image_path(char path[IMAGE_PATH], const char *name, long number)
{
	const char *folder = getenv("TMPDIR");
	int length = snprintf(path, IMAGE_PATH, "%s/%s-%ld.img", folder ? folder : ".", name, number);

	if (length >= IMAGE_PATH)
		die("TMPDIR is too long");
}

static struct cdx_disk_commit *newest_primary(struct image *image)
{
	struct cdx_disk_commit *newest = NULL;

	for (int parity = 0; parity < 2; parity++) {
		struct cdx_disk_commit *slot = image_slot(image, parity, false);

		if (cdx_slot_valid(&image->super, slot, parity) &&
		    (!newest || get64(slot->transaction) > get64(newest->transaction)))
			newest = slot;
	}
	if (!newest)
		die("no valid slot");
	return newest;
}

void image_load(struct image *image, const char *path)
{
	FILE *file = fopen(path, "rb");
	struct cdx_disk_super super;
	long size;

	memset(image, 0, sizeof(*image));
	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) <= 0)
		die("%s: cannot read", path);
	rewind(file);
	image->size = (uint64_t)size;
	image->bytes = malloc(image->size);
	if (!image->bytes || fread(image->bytes, image->size, 1, file) != 1)
		die("%s: cannot read", path);
	fclose(file);
	memcpy(&super, image->bytes, sizeof(super));
	if (cdx_super_decode(&image->super, &super, path, NULL))
		die("%s: superblock", path);
	image->record = newest_primary(image);
	fold_amends(image);
}

void image_copy(struct image *copy, const struct image *image)
{
	*copy = *image;
	copy->bytes = malloc(image->size);
	if (!copy->bytes)
		die("out of memory");
	memcpy(copy->bytes, image->bytes, image->size);
	copy->record = newest_primary(copy);
}

void image_store(const struct image *image, const char *path, uint64_t offset)
{
	static unsigned char there[65536];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	bool good = fd >= 0 && ftruncate(fd, (off_t)(offset + image->size)) == 0;

	for (uint64_t done = 0, part; good && done < image->size; done += part) {
		part = image->size - done < sizeof(there) ? image->size - done : sizeof(there);
		good = pread(fd, there, part, (off_t)(offset + done)) == (ssize_t)part;
		if (good && memcmp(there, image->bytes + done, part) != 0)
			good = pwrite(fd, image->bytes + done, part, (off_t)(offset + done)) == (ssize_t)part;
	}
	if (!good || close(fd))
		die("%s: cannot write", path);
}

void image_free(struct image *image)
{
	free(image->bytes);
	image->bytes = NULL;
}

struct cdx_disk_commit *image_slot(struct image *image, int parity, bool mirror)
{
	return (void *)(image->bytes + cdx_slot_offset(&image->super, parity, mirror));
}

/* ---- sealing -------------------------------------------------------------------- */

static const struct { unsigned int words, leaf, inner; } shapes[] = {
	[CDX_KIND_FS] = {3, 0, 40},
	[CDX_KIND_EXTENT] = {1, 24, 24},
	[CDX_KIND_SPACE] = {1, 16, 40},
	[CDX_KIND_LIMBO] = {2, 24, 32},
	[CDX_KIND_STAGING] = {1, 40, 24},
};

struct cdx_disk_node *image_node(struct image *image, uint64_t grain)
{
	if (grain >= image->super.grains)
		die("grain %llu is outside", (unsigned long long)grain);
	return (void *)(image->bytes + (grain << image->super.grain_shift));
}

struct cdx_disk_child *node_child(struct cdx_disk_node *node, unsigned int index)
{
	return (void *)((unsigned char *)node_items(node) + index * shapes[node->kind].inner +
			shapes[node->kind].words * 8);
}

size_t item_size(const struct cdx_disk_fs_item *item)
{
	return sizeof(*item) + ((get16(item->length) + 7u) & ~7u);
}

static void seal_pointer(struct image *image, struct cdx_disk_node *parent, le64 address, le32 *crc,
			 enum cdx_kind kind, unsigned int level);

static void seal_ref(struct image *image, struct cdx_disk_node *parent, struct cdx_disk_ref *ref,
		     enum cdx_kind kind)
{
	if (get64(ref->address))
		seal_pointer(image, parent, ref->address, &ref->crc, kind, ref->level);
}

static void seal_fs_leaf(struct image *image, struct cdx_disk_node *node)
{
	unsigned char *at = node_items(node);

	for (unsigned int left = get16(node->count); left; left--) {
		struct cdx_disk_fs_item *item = (void *)at;
		struct cdx_disk_inode *inode = (void *)(item + 1);

		if (get64(item->item) == CDX_ITEM_INODE && inode->layout == CDX_LAYOUT_TREE)
			seal_ref(image, node, extent_root(inode), CDX_KIND_EXTENT);
		at += item_size(item);
	}
}

static void seal_limbo(struct image *image, struct cdx_disk_limbo *limbo)
{
	if (limbo->type == CDX_LIMBO_TREE)
		seal_pointer(image, NULL, limbo->address, &limbo->count_or_crc, limbo->kind,
			     limbo->level);
}

static void seal_leaf(struct image *image, struct cdx_disk_node *node, enum cdx_kind kind)
{
	struct cdx_disk_limbo *limbo = node_items(node);
	struct cdx_disk_staging *staging = node_items(node);

	if (kind == CDX_KIND_FS)
		seal_fs_leaf(image, node);
	for (unsigned int i = 0; kind == CDX_KIND_LIMBO && i < get16(node->count); i++)
		seal_limbo(image, &limbo[i]);
	for (unsigned int i = 0; kind == CDX_KIND_STAGING && i < get16(node->count); i++)
		seal_ref(image, node, &staging[i].extents, CDX_KIND_EXTENT);
}

static void seal_inner(struct image *image, struct cdx_disk_node *node, enum cdx_kind kind,
		       unsigned int level)
{
	unsigned int words = shapes[kind].words;
	unsigned char *item = node_items(node);

	for (unsigned int i = 0; i < get16(node->count); i++, item += shapes[kind].inner) {
		struct cdx_disk_child *child = (void *)(item + words * 8);
		struct cdx_disk_amend *amend = find_amend(image, node, i);
		le64 address = amend ? amend->value : child->address;

		seal_pointer(image, node, address, amend ? &amend->more : &child->crc, kind, level - 1);
		if (amend && get64(child->address) == get64(amend->value))
			child->crc = amend->more;
		if (!image->keep_separators)
			memcpy(item, node_items(image_node(image, get64(address))), words * 8);
	}
}

struct cdx_disk_base *node_base(struct cdx_disk_node *node)
{
	return (void *)((unsigned char *)node + get16(node->used));
}

/* A chain of bases, which none may be, has no end to begin from. */
static void seal_base(struct image *image, struct cdx_disk_node *node, enum cdx_kind kind, unsigned int level)
{
	if (image->sealing_base || !(get16(node->flags) & CDX_NODE_BASED) ||
	    get16(node->used) + sizeof(struct cdx_disk_base) > image->super.node_size)
		return;
	image->sealing_base = true;
	seal_pointer(image, node, node_base(node)->address, &node_base(node)->crc, kind, level);
	image->sealing_base = false;
}

static void seal_pointer(struct image *image, struct cdx_disk_node *parent, le64 address, le32 *crc,
			 enum cdx_kind kind, unsigned int level)
{
	struct cdx_disk_node *node;

	if (!cdx_super_allocatable(&image->super, get64(address), 1))
		return;
	node = image_node(image, get64(address));
	if (get32(node->magic) != CDX_NODE_MAGIC)
		return;
	if (level)
		seal_inner(image, node, kind, level);
	else
		seal_leaf(image, node, kind);
	seal_base(image, node, kind, level);
	node->crc = put32(cdx_node_crc(&image->super, node, cdx_node_length(node)));
	if (get64(address) != image->keep_pointers_to)
		*crc = node->crc;
	if (image->raise_births && parent && get64(node->birth) > get64(parent->birth))
		parent->birth = node->birth;
}

void image_seal_record(struct image *image)
{
	cdx_slot_seal(&image->super, image->record, get32(image->record->length));
	memcpy(image_slot(image, image_parity(image), true), image->record, CDX_SLOT_SIZE);
}

void image_seal(struct image *image)
{
	struct cdx_disk_limbo *list = limbo_list(image);

	seal_ref(image, NULL, &image->record->fs, CDX_KIND_FS);
	seal_ref(image, NULL, &image->record->space, CDX_KIND_SPACE);
	seal_ref(image, NULL, &image->record->limbo, CDX_KIND_LIMBO);
	seal_ref(image, NULL, &image->record->staging, CDX_KIND_STAGING);
	for (unsigned int i = 0; i < get16(image->record->n_limbo); i++)
		seal_limbo(image, &list[i]);
	image_seal_record(image);
}

/* ---- items of the fs tree ----------------------------------------------------------- */

struct wanted {
	uint64_t inode, kind;
	const char *name;		/* of a dirent */
	uint64_t target;		/* of a dirent, in whatever directory; 0: that is no matter */
};

static bool matches(const struct cdx_disk_fs_item *item, const struct wanted *wanted)
{
	const struct cdx_disk_dirent *dirent = (const void *)(item + 1);

	if (wanted->target)
		return get64(item->item) == CDX_ITEM_DIRENT && get64(dirent->inode) == wanted->target;
	if (get64(item->inode) != wanted->inode || get64(item->item) != wanted->kind)
		return false;
	return !wanted->name || (dirent->name_length == strlen(wanted->name) &&
				 memcmp((const char *)dirent + CDX_DIRENT_HEADER, wanted->name,
					dirent->name_length) == 0);
}

static struct place find_below(struct image *image, uint64_t grain, const struct wanted *wanted)
{
	struct cdx_disk_node *node = image_node(image, grain);
	unsigned char *at = node_items(node);

	for (unsigned int i = 0; i < get16(node->count); i++) {
		struct cdx_disk_fs_item *item = (void *)at;
		struct place place = {0};

		if (node->level) {
			place = find_below(image, child_address(image, node, i), wanted);
		} else {
			if (matches(item, wanted))
				place = (struct place){node, item};
			at += item_size(item);
		}
		if (place.item)
			return place;
	}
	return (struct place){0};
}

struct place find_inode(struct image *image, uint64_t inode)
{
	struct place place = find_below(image, get64(image->record->fs.address),
					&(struct wanted){.inode = inode, .kind = CDX_ITEM_INODE});

	if (!place.item)
		die("no inode %llu", (unsigned long long)inode);
	return place;
}

struct place find_name(struct image *image, uint64_t directory, const char *name)
{
	struct place place = find_below(image, get64(image->record->fs.address),
					&(struct wanted){.inode = directory, .kind = CDX_ITEM_DIRENT, .name = name});

	if (!place.item)
		die("no name %s", name);
	return place;
}

struct place find_dirent_of(struct image *image, uint64_t inode)
{
	return find_below(image, get64(image->record->fs.address), &(struct wanted){.target = inode});
}

struct cdx_disk_dirent *dirent_at(struct image *image, uint64_t directory, const char *name)
{
	return (void *)(find_name(image, directory, name).item + 1);
}

uint64_t inode_of(struct image *image, const char *path)
{
	uint64_t inode = COWDAX_ROOT_INODE;
	char copy[256], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strtok_r(rest, "/", &rest)))
		inode = get64(dirent_at(image, inode, name)->inode);
	return inode;
}

struct cdx_disk_inode *inode_at(struct image *image, const char *path)
{
	return (void *)(find_inode(image, inode_of(image, path)).item + 1);
}

struct cdx_disk_extent *inline_extents(struct cdx_disk_inode *inode)
{
	return (void *)(inode + 1);
}

struct cdx_disk_ref *extent_root(struct cdx_disk_inode *inode)
{
	return (void *)(inode + 1);
}

struct cdx_disk_node *root_of(struct image *image, const char *path)
{
	return image_node(image, get64(extent_root(inode_at(image, path))->address));
}

void remove_item(struct image *image, struct place place)
{
	size_t size = item_size(place.item), used = get16(place.node->used);
	unsigned char *start = (unsigned char *)place.item;
	unsigned char *end = (unsigned char *)place.node + used;

	shift_amends(image, place.node, item_number(place), -1);
	memmove(start, start + size, (size_t)(end - start) - size);
	place.node->used = put16((uint16_t)(used - size));
	place.node->count = put16((uint16_t)(get16(place.node->count) - 1));
}

/* The leaf where a key belongs, by its separators. */
static struct cdx_disk_node *leaf_for(struct image *image, const uint64_t key[3])
{
	struct cdx_disk_node *node = image_node(image, get64(image->record->fs.address));

	while (node->level) {
		unsigned char *item = node_items(node);
		unsigned int i = 0;

		for (; i + 1u < get16(node->count); i++, item += 40) {
			const le64 *next = (void *)(item + 40);
			int word = 0;

			while (word < 2 && get64(next[word]) == key[word])
				word++;
			if (get64(next[word]) > key[word])
				break;
		}
		node = image_node(image, child_address(image, node, i));
	}
	return node;
}

bool item_fits(struct image *image, uint64_t inode, uint64_t kind, uint64_t hash, size_t length)
{
	struct cdx_disk_node *node = leaf_for(image, (uint64_t[]){inode, kind, hash});

	return get16(node->used) + sizeof(struct cdx_disk_fs_item) + ((length + 7) & ~(size_t)7) <=
	       image->super.node_size;
}

void insert_item(struct image *image, uint64_t inode, uint64_t kind, uint64_t hash,
		 const void *value, size_t length)
{
	uint64_t key[3] = {inode, kind, hash};
	struct cdx_disk_node *node = leaf_for(image, key);
	size_t size = sizeof(struct cdx_disk_fs_item) + ((length + 7) & ~(size_t)7);
	unsigned char *at = node_items(node), *end = (unsigned char *)node + get16(node->used);
	struct cdx_disk_fs_item *item;

	if (get16(node->used) + size > image->super.node_size)
		die("no room in the leaf");
	for (; at < end; at += item_size((void *)at)) {
		const le64 *have = (void *)at;
		int word = 0;

		while (word < 2 && get64(have[word]) == key[word])
			word++;
		if (get64(have[word]) > key[word])
			break;
	}
	shift_amends(image, node, item_number((struct place){node, (void *)at}), 1);
	memmove(at + size, at, (size_t)(end - at));
	memset(at, 0, size);
	item = (void *)at;
	item->inode = put64(inode);
	item->item = put64(kind);
	item->hash = put64(hash);
	item->length = put16((uint16_t)length);
	if (length)
		memcpy(item + 1, value, length);
	node->used = put16((uint16_t)(get16(node->used) + size));
	node->count = put16((uint16_t)(get16(node->count) + 1));
}

uint64_t name_hash(const struct image *image, const char *name)
{
	le64 k1;

	memcpy(&k1, image->super.uuid, sizeof(k1));
	return cdx_siphash(image->super.seed, get64(k1), name, strlen(name)) & ~UINT64_C(0xff);
}

void insert_name(struct image *image, uint64_t directory, const char *name, uint64_t target,
		 unsigned int type, unsigned int collision)
{
	unsigned char value[CDX_DIRENT_HEADER + CDX_NAME_MAX];
	struct cdx_disk_dirent dirent = {put64(target), (uint8_t)type, (uint8_t)strlen(name)};

	memcpy(value, &dirent, CDX_DIRENT_HEADER);
	memcpy(value + CDX_DIRENT_HEADER, name, strlen(name));
	insert_item(image, directory, CDX_ITEM_DIRENT, name_hash(image, name) | collision, value,
		    CDX_DIRENT_HEADER + strlen(name));
}

void set_inline(struct image *image, const char *path, const struct cdx_disk_extent *extents,
		unsigned int count)
{
	struct place place = find_inode(image, inode_of(image, path));
	uint64_t inode = get64(place.item->inode);
	struct {
		struct cdx_disk_inode inode;
		struct cdx_disk_extent extents[CDX_INLINE_EXTENTS];
	} value;

	memcpy(&value.inode, place.item + 1, sizeof(value.inode));
	value.inode.layout = CDX_LAYOUT_INLINE;
	value.inode.n_inline = (uint8_t)count;
	for (unsigned int i = 0; i < count; i++)
		value.extents[i] = extents[i];
	remove_item(image, place);
	insert_item(image, inode, CDX_ITEM_INODE, 0, &value,
		    sizeof(value.inode) + count * sizeof(*extents));
}

void add64(le64 *field, uint64_t by)
{
	*field = put64(get64(*field) + by);
}

void add32(le32 *field, uint32_t by)
{
	*field = put32(get32(*field) + by);
}
