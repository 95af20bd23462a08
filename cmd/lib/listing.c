/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entries of one directory, sorted by the bytes of their names: the tree has them in the order of their hashes. */
#include "listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Streams into memory, which grows as they do. */
struct reader {
	FILE *entries, *names;
};

static int add(void *arg, const struct cowdax_dirent *dirent)
{
	const struct listing_entry entry = { .inode = dirent->inode, .type = dirent->type };
	const struct reader *reader = arg;

	if (fprintf(reader->names, "%.*s%c", (int)dirent->name_length, dirent->name, '\0') < 0 ||
	    fwrite(&entry, sizeof(entry), 1, reader->entries) != 1)
		return -ENOMEM;
	return 0;
}

/* Run the library's listing into both streams, and close them. */
static int read_entries(struct cowdax *fs, uint64_t inode, struct reader *reader,
			struct cowdax_error *error)
{
	int ret = -ENOMEM;

	if (reader->entries && reader->names)
		ret = cowdax_list(fs, inode, add, reader, error);
	if (reader->entries && fclose(reader->entries) && !ret)
		ret = -ENOMEM;
	if (reader->names && fclose(reader->names) && !ret)
		ret = -ENOMEM;
	return ret;
}

static int compare(const void *left, const void *right)
{
	const struct listing_entry *a = left, *b = right;

	return strcmp(a->name, b->name);
}

int listing_read(struct cowdax *fs, uint64_t inode, struct listing *listing,
		 struct cowdax_error *error)
{
	size_t names_size, entries_size, i;
	struct reader reader = {
		.entries = open_memstream((char **)&listing->entries, &entries_size),
		.names = open_memstream(&listing->names, &names_size),
	};
	int ret = read_entries(fs, inode, &reader, error);
	const char *name = listing->names;

	if (ret)
		return ret;
	listing->count = entries_size / sizeof(*listing->entries);
	for (i = 0; i < listing->count; i++) {
		listing->entries[i].name = name;
		name += strlen(name) + 1;
	}
	qsort(listing->entries, listing->count, sizeof(*listing->entries), compare);
	return 0;
}

void listing_release(struct listing *listing)
{
	free(listing->entries);
	free(listing->names);
}
