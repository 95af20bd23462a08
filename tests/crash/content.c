// SPDX-License-Identifier: GPL-2.0-or-later
#include "content.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "api/image.h"
#include "media.h"

/* ---- hashing ---------------------------------------------------------------------- */

#define PIECE 4096		/* bytes: where the library cuts, it cuts at multiples of it */

static uint64_t stir(uint64_t state, uint64_t word)
{
	state = (state ^ word) * UINT64_C(0x9fb21c651e98df25);
	return state ^ state >> 29;
}

/* Two words to one, as in wyhash. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0xa0761d6478bd642f)) *
				    (b ^ UINT64_C(0xe7037ed1a0b428db));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight words at a time, since nothing else here takes as long. */
static uint64_t hash_piece(uint64_t state, const unsigned char *bytes, size_t length)
{
	uint64_t lane[4] = {state, length, 2, 3}, word[8];
	size_t done = 0;

	for (; length - done >= sizeof(word); done += sizeof(word)) {
		memcpy(word, bytes + done, sizeof(word));
		lane[0] = fold(lane[0] ^ word[0], word[1]);
		lane[1] = fold(lane[1] ^ word[2], word[3]);
		lane[2] = fold(lane[2] ^ word[4], word[5]);
		lane[3] = fold(lane[3] ^ word[6], word[7]);
	}
	for (; done < length; done++)
		lane[0] = stir(lane[0], bytes[done]);
	return stir(stir(stir(lane[0], lane[1]), lane[2]), lane[3]);
}

static int hash_bytes(void *arg, const void *bytes, size_t length)
{
	uint64_t *state = arg;

	for (size_t done = 0; done < length; done += PIECE)
		*state = hash_piece(*state, (const unsigned char *)bytes + done,
				    length - done < PIECE ? length - done : PIECE);
	return 0;
}

/* Where what kind of extent begins: how many of a kind follow each other is nobody's business. */
struct kinds {
	uint64_t state, end;
	enum cowdax_iomap_type type;
};

static int hash_extent(void *arg, const struct cowdax_extent *extent)
{
	struct kinds *kinds = arg;

	if (kinds->end == 0 || extent->map.type != kinds->type)
		kinds->state = stir(stir(kinds->state, extent->map.offset), extent->map.type);
	kinds->type = extent->map.type;
	kinds->end = extent->map.offset + extent->map.length;
	return 0;
}

/* ---- taking -------------------------------------------------------------------------- */

struct walk {
	struct cowdax *fs;
	struct content *content;
	struct cowdax_error *error;
	const struct content_entry *directory;
};

static int take_file(struct walk *walk, struct content_entry *entry)
{
	struct kinds kinds = {.state = entry->hash};
	int ret;

	ret = cowdax_map(walk->fs, entry->inode, 0, COWDAX_TO_END, hash_extent, &kinds, walk->error);
	if (ret)
		return ret;
	entry->hash = stir(kinds.state, kinds.end);
	return cowdax_read_to(walk->fs, entry->inode, 0, COWDAX_TO_END, hash_bytes, &entry->hash,
			      walk->error);
}

static int take_inode(struct walk *walk, struct content_entry *entry)
{
	struct cowdax_stat st;
	int ret = cowdax_stat(walk->fs, entry->inode, &st, walk->error);

	if (ret)
		return ret;
	entry->size = st.size;
	entry->directory = S_ISDIR(st.mode);
	entry->hash = stir(stir(st.mode, st.nlink), st.size);
	return entry->directory ? 0 : take_file(walk, entry);
}

static int take_name(void *arg, const struct cowdax_dirent *dirent)
{
	struct walk *walk = arg;
	struct content *content = walk->content;
	struct content_entry *entry = &content->entry[content->entries];
	int length;

	if (content->entries == MAX_ENTRIES)
		die("more than %d files", MAX_ENTRIES);
	content->entries++;
	*entry = (struct content_entry){.inode = dirent->inode};
	length = snprintf(entry->path, sizeof(entry->path), "%s/%.*s",
			  walk->directory ? walk->directory->path : "", (int)dirent->name_length,
			  dirent->name);
	return length < (int)sizeof(entry->path) ? 0 : -ENAMETOOLONG;
}

static int take_all(struct cowdax *fs, struct content *content, struct cowdax_error *error)
{
	struct walk walk = {.fs = fs, .content = content, .error = error};
	int ret;

	content->entries = 0;
	content->transaction = cowdax_transaction(fs);
	content->hash = 0;
	ret = cowdax_list(fs, COWDAX_ROOT_INODE, take_name, &walk, error);
	for (unsigned int i = 0; i < content->entries && !ret; i++) {
		struct content_entry *entry = &content->entry[i];

		ret = take_inode(&walk, entry);
		walk.directory = entry;
		if (!ret && entry->directory)
			ret = cowdax_list(fs, entry->inode, take_name, &walk, error);
		content->hash = stir(content->hash, hash_piece(entry->hash, (const void *)entry->path,
							       strlen(entry->path)));
	}
	return ret;
}

int content_take(struct cowdax *fs, struct content *content, struct cowdax_error *error)
{
	bool own_view = !fs->txn.epoch;
	int ret = own_view ? cdx_txn_view(&fs->txn, error) : 0;

	if (!ret)
		ret = take_all(fs, content, error);
	if (own_view)
		cdx_txn_release_view(&fs->txn);
	return ret;
}

int content_look(unsigned int flags, struct content *content, struct cowdax_error *error)
{
	struct cowdax_open_options options = {.flags = COWDAX_RDONLY | flags};
	struct cowdax *fs;
	int ret;

	ret = cowdax_open(media_path(), &options, &fs, error);
	if (ret)
		return ret;
	ret = content_take(fs, content, error);
	cowdax_close(fs);
	return ret;
}

/* ---- comparing ------------------------------------------------------------------------- */

static const struct content_entry *find(const struct content *content, const char *path)
{
	for (unsigned int i = 0; i < content->entries; i++) {
		if (strcmp(content->entry[i].path, path) == 0)
			return &content->entry[i];
	}
	return NULL;
}

void content_compare(FILE *file, const struct content *expected, const struct content *found)
{
	for (unsigned int i = 0; i < found->entries; i++) {
		const struct content_entry *entry = &found->entry[i], *other = find(expected, entry->path);

		if (!other)
			fprintf(file, "    %s should not be there\n", entry->path);
		else if (other->hash != entry->hash)
			fprintf(file, "    %s differs: size %" PRIu64 ", expected %" PRIu64 "\n", entry->path,
				entry->size, other->size);
	}
	for (unsigned int i = 0; i < expected->entries; i++) {
		if (!find(found, expected->entry[i].path))
			fprintf(file, "    %s is missing\n", expected->entry[i].path);
	}
}
