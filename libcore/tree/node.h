/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes of the trees (FORMAT 6) as DRAM copies.
 *
 * A node that lies on media is immutable: it is copied to DRAM, verified, and
 * kept in a bounded cache keyed on its address *and* crc, since an address is
 * used again in time (R8).  A node that a transaction has changed is *dirty*:
 * it has no address yet, and whoever points to it holds CDX_DIRTY | its slot
 * where the address would be.  cdx_node_write() turns it into an immutable
 * one.  Such a pointer never reaches the media.
 *
 * In DRAM a node is what it is as amended (FORMAT 4.3), so that whoever gets one
 * need not know of that.  There is one list of what the cached nodes are amended
 * by: the committed record's, with what the transaction under way has made of it.
 */
#ifndef CDX_NODE_H
#define CDX_NODE_H

#include <string.h>

#include "base/err.h"
#include "tree/super.h"

#define CDX_DIRTY (UINT64_C(1) << 63)
#define CDX_MAX_ITEM 320	/* bytes of the largest item of any tree */
#define CDX_MAX_INNER_ITEM 64	/* bytes of the largest item of an inner node */
#define CDX_MAX_KEY_WORDS 3
#define CDX_CACHE_SETS 2048
#define CDX_CACHE_WAYS 4
#define CDX_MOST_MOVED 4		/* children of one node that the record is told of at once */

struct cdx_key { uint64_t word[CDX_MAX_KEY_WORDS]; };

/* A tree's root in DRAM; address 0: empty, CDX_DIRTY | slot: dirty. */
struct cdx_ref {
	uint64_t address;
	uint32_t crc;
	uint8_t level;
};

struct cdx_node {
	uint64_t address;	/* grains; CDX_DIRTY | slot while dirty */
	uint32_t crc;
	unsigned int pins;	/* holders of a pointer to it */
	bool cached;
	uint16_t own;		/* with a base: what it has of its own beside that, or has had, as far as known */
#define CDX_OWN_UNKNOWN UINT16_MAX
	uint32_t base_crc;
	uint64_t base;		/* the node it borrows from (FORMAT 6.4), grains; 0: none */
	int touched;		/* of a dirty inner one: the one child that can be dirty, or one of these */
#define CDX_TOUCHED_NONE (-1)
#define CDX_TOUCHED_ANY (-2)
	uint64_t home;		/* of a dirty one: its place on media, which it has not left yet, grains; 0: none */
	uint64_t home_birth;	/* and when it was written there */
	bool same;		/* it differs from what lies there in nothing but what the record can amend: the
				 * child that is touched, or of a leaf with inodes, the times of the one touched */
	uint64_t root;		/* of that inode: where its extents' root is on media, grains */
	uint8_t amend;		/* which of the record's amendments may be the one that is looked for */
	bool amended;		/* by the record, or its items come from one that was: children may be younger than it */
	struct cdx_disk_node disk;	/* the items follow, with CDX_MAX_ITEM bytes of room to spare */
};

struct cdx_amends {
	unsigned int n;
	struct cdx_disk_amend entry[CDX_MAX_AMENDS];
};

struct cdx_nodes {
	struct cdx_pmem *pm;
	const struct cdx_super *super;
	uint64_t transaction;		/* what is written now is born in it */
	uint64_t newest;		/* and nothing on media later than in this one */
	struct cdx_node **cache;	/* sets of CDX_CACHE_WAYS */
	unsigned int turn;		/* which way to evict next */
	struct cdx_node **dirty;	/* by slot; NULL where free */
	size_t dirty_room, dirty_count;
	size_t homes;			/* dirty nodes that have one */
	/* What becomes of the place that a node, written in @birth, has left for good; NULL where none ever does. */
	int (*left)(void *owner, uint64_t home, uint64_t birth);
	void *owner;
	struct cdx_amends amends;	/* that the cached nodes are amended by */
	bool reamended;			/* which the transaction has changed */
	size_t *free_slots;
	size_t free_slot_count, slots_used;
	struct cdx_node *spare[16];	/* freed nodes, for the next allocation */
	int spares;
};

/* Words in the key of each kind; bytes of a leaf item (0: it tells itself) and of an inner item. */
struct cdx_kind_shape { unsigned int key_words, leaf_stride, inner_stride; };
extern const struct cdx_kind_shape cdx_kind_shapes[];

int cdx_nodes_init(struct cdx_nodes *nodes, struct cdx_pmem *pm, const struct cdx_super *super);
void cdx_nodes_exit(struct cdx_nodes *nodes);

/*
 * The node that a pointer names, verified (R20: kind and level as the parent
 * expects), pinned until cdx_node_put().  -EUCLEAN with a reason when it is not
 * what the pointer says.
 */
int cdx_node_get(struct cdx_nodes *nodes, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level,
		 struct cdx_node **node);
void cdx_node_put(struct cdx_nodes *nodes, struct cdx_node *node);

/* A new empty dirty node. */
int cdx_node_new(struct cdx_nodes *nodes, uint8_t kind, uint8_t level, struct cdx_node **node);
/* A dirty copy of @node, base and all, which stays as it is. */
int cdx_node_copy(struct cdx_nodes *nodes, const struct cdx_node *node, struct cdx_node **copy);
/* Let @node itself be dirty, which is clean and which nobody but the caller holds, who need not put it.
 * It keeps its home until it is written elsewhere, leaves it or is forgotten. */
int cdx_node_take(struct cdx_nodes *nodes, struct cdx_node *node);
/* A dirty node has none from now on, if it had one: the place is given away, and what amended it goes. */
int cdx_node_leave_home(struct cdx_nodes *nodes, struct cdx_node *node);
/* The dirty @node is clean again where it was. */
void cdx_node_stay(struct cdx_nodes *nodes, struct cdx_node *node);
/* What is cached of @address, to be changed; NULL, and nothing is any more, where it is held or of two lives. */
struct cdx_node *cdx_node_cached(struct cdx_nodes *nodes, uint64_t address);
/* What is cached of @address is forgotten. */
void cdx_node_uncache(struct cdx_nodes *nodes, uint64_t address);
/* The child at @index of the dirty @node is dirty now. */
static inline void cdx_node_touch(struct cdx_node *node, unsigned int index)
{
	node->touched = node->touched == CDX_TOUCHED_NONE || node->touched == (int)index ? (int)index :
											    CDX_TOUCHED_ANY;
}
/* The dirty @node has one more of its own beside its base, or may have. */
static inline void cdx_node_own_more(struct cdx_node *node)
{
	node->own += node->own != CDX_OWN_UNKNOWN;
}
/* Forget a dirty node, which leaves its home. */
int cdx_node_forget(struct cdx_nodes *nodes, struct cdx_node *node);
void cdx_nodes_forget_all(struct cdx_nodes *nodes);
/* Seal a dirty node as the one at @address, store it, and keep it as a clean one. */
int cdx_node_write(struct cdx_nodes *nodes, struct cdx_node *node, uint64_t address,
		   uint64_t *new_address, uint32_t *new_crc);

static inline bool cdx_is_dirty(uint64_t address)
{
	return address & CDX_DIRTY;
}

/* ---- amendments, in tree/node_amend.c ------------------------------------------ */

/* Those of a slot, which is valid; -EUCLEAN for what no amendment can say. */
int cdx_amends_decode(struct cdx_amends *amends, const struct cdx_super *super,
		      const struct cdx_disk_commit *slot);
static inline void cdx_amends_copy(struct cdx_amends *to, const struct cdx_amends *from)
{
	memcpy(to->entry, from->entry, from->n * sizeof(from->entry[0]));
	to->n = from->n;
}
/* The nodes are those of a record with @amends from now on: what is cached and was amended otherwise goes. */
void cdx_amends_adopt(struct cdx_nodes *nodes, const struct cdx_amends *amends);
/* Let @node, just read and whole, be what it is as amended; -EUCLEAN where the two do not fit. */
int cdx_amends_apply(const struct cdx_nodes *nodes, struct cdx_node *node);
/* Whether the dirty @node can stay at home: then its items at these @n (at most CDX_MOST_MOVED)
 * places are amended to what they are now. */
bool cdx_amends_keep(struct cdx_nodes *nodes, struct cdx_node *node, const unsigned int *index, unsigned int n);
/* The node at @address, which is amended, is none any more. */
void cdx_amends_drop(struct cdx_nodes *nodes, uint64_t address);
/* The item of the dirty leaf @node at @index is about to become @new, of the same size: can an amendment say so? */
void cdx_amends_note(const struct cdx_nodes *nodes, struct cdx_node *node, unsigned int index, const void *new);

/* ---- items ------------------------------------------------------------------ */

static inline unsigned char *cdx_node_bytes(struct cdx_node *node)
{
	return (unsigned char *)&node->disk;
}

static inline unsigned int cdx_node_count(const struct cdx_node *node)
{
	return get16(node->disk.count);
}

static inline unsigned int cdx_node_used(const struct cdx_node *node)
{
	return get16(node->disk.used);
}

/* Bytes of an item; 0 where an item tells its own size. */
static inline unsigned int cdx_node_stride(const struct cdx_node *node)
{
	const struct cdx_kind_shape *shape = &cdx_kind_shapes[node->disk.kind];

	return node->disk.level ? shape->inner_stride : shape->leaf_stride;
}

static inline size_t cdx_item_size(const struct cdx_node *node, const void *item)
{
	unsigned int stride = cdx_node_stride(node);

	return stride ? stride : cdx_fs_item_size(item);
}

/* The @index-th item; one past the last is allowed. */
static inline unsigned char *cdx_node_item(struct cdx_node *node, unsigned int index)
{
	unsigned int stride = cdx_node_stride(node);
	unsigned char *item = cdx_node_bytes(node) + sizeof(struct cdx_disk_node);

	if (stride)
		return item + (size_t)index * stride;
	while (index--)
		item += cdx_fs_item_size(item);
	return item;
}

static inline struct cdx_disk_child *cdx_node_child(struct cdx_node *node, unsigned int index)
{
	return (struct cdx_disk_child *)(cdx_node_item(node, index) +
					 cdx_kind_shapes[node->disk.kind].key_words * 8);
}

static inline int cdx_key_compare(unsigned int words, const le64 *item, const struct cdx_key *key)
{
	uint64_t have = get64(item[0]);
	unsigned int i = 0;

	while (have == key->word[i]) {
		if (++i == words)
			return 0;
		have = get64(item[i]);
	}
	return have < key->word[i] ? -1 : 1;
}

static inline struct cdx_key cdx_item_key(const struct cdx_node *node, const void *item)
{
	unsigned int words = cdx_kind_shapes[node->disk.kind].key_words;
	struct cdx_key key = {{get64(*(const le64 *)item)}};

	for (unsigned int i = 1; i < words; i++)
		key.word[i] = get64(((const le64 *)item)[i]);
	return key;
}

static inline int cdx_keys_compare(const struct cdx_key *a, const struct cdx_key *b)
{
	for (int i = 0; i < CDX_MAX_KEY_WORDS; i++) {
		if (a->word[i] != b->word[i])
			return a->word[i] < b->word[i] ? -1 : 1;
	}
	return 0;
}

/* Index of the last item with a key not above @key; -1 when there is none. */
int cdx_node_search(struct cdx_node *node, const struct cdx_key *key);

/* Insert or remove items' bytes, adjusting used and count.  A dirty node may
 * hold up to CDX_MAX_ITEM bytes too many for a moment. */
void cdx_node_insert(struct cdx_node *node, unsigned int index, const void *item, size_t size);
void cdx_node_remove(struct cdx_node *node, unsigned int index, unsigned int count);

static inline struct cdx_ref cdx_ref_decode(const struct cdx_disk_ref *disk)
{
	return (struct cdx_ref){get64(disk->address), get32(disk->crc), disk->level};
}

static inline void cdx_ref_encode(struct cdx_disk_ref *disk, const struct cdx_ref *ref)
{
	memset(disk, 0, sizeof(*disk));
	disk->address = put64(ref->address);
	disk->crc = put32(ref->crc);
	disk->level = ref->level;
}

/* ---- pointers: what a node keeps alive ------------------------------------- */

/* A pointer as the reference counts see it (I3): to a node, or to a run of data. */
struct cdx_pointer {
	bool data;
	bool unwritten;			/* data: of an unwritten extent */
	uint64_t start, count;		/* grains; count is 1 for a node */
	uint32_t crc;			/* of a node */
	uint8_t kind, level;		/* of a node */
	/* of a node: where it stands in its holder, to be changed there */
	le64 *address_field;
	le32 *crc_field;
};
typedef int cdx_pointer_fn(void *arg, const struct cdx_pointer *pointer);
/* Call @fn for each pointer in @node, in order; stops at the first non-zero return. */
int cdx_node_pointers(const struct cdx_nodes *nodes, struct cdx_node *node, cdx_pointer_fn *fn, void *arg);

#endif
