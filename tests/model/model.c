// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of paths, and copies of it. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

struct model *model_new(uint32_t block_size)
{
	struct model *model = get_memory(sizeof(*model));

	model->block_size = block_size;
	model_add(model, "", true, 0755)->inode = COWDAX_ROOT_INODE;
	model->last_inode = model->new_inode = COWDAX_ROOT_INODE;
	return model;
}

static void let_go(struct entry *entry)
{
	if (--entry->references)
		return;
	free(entry->path);
	free(entry->bytes);
	free(entry->block);
	free(entry);
}

struct model *model_copy(const struct model *model)
{
	struct model *copy = get_memory(sizeof(*copy));

	*copy = *model;
	copy->room = model->entries;
	copy->entry = get_memory(copy->room * sizeof(*copy->entry));
	for (size_t i = 0; i < model->entries; i++) {
		copy->entry[i] = model->entry[i];
		copy->entry[i]->references++;
	}
	return copy;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	for (size_t i = 0; i < model->entries; i++)
		let_go(model->entry[i]);
	free(model->entry);
	free(model);
}

static size_t find(const struct model *model, const char *path)
{
	size_t i = 0;

	while (i < model->entries && strcmp(model->entry[i]->path, path) != 0)
		i++;
	return i;
}

const struct entry *model_find(const struct model *model, const char *path)
{
	size_t i = find(model, path);

	return i < model->entries ? model->entry[i] : NULL;
}

int model_walk(const struct model *model, const char *path, const struct entry **out)
{
	const struct entry *entry = model->entry[0];
	char *part = get_string(path);
	size_t at = 0;
	int ret = 0;

	while (path[at] && !ret) {
		size_t length = strcspn(path + at + 1, "/");

		if (!entry)
			ret = -ENOENT;
		else if (!entry->directory)
			ret = -ENOTDIR;
		else if (length > COWDAX_NAME_MAX)
			ret = -ENAMETOOLONG;
		at += 1 + length;
		part[at] = '\0';
		entry = model_find(model, part);
		part[at] = path[at];
	}
	free(part);
	if (!ret)
		*out = entry;
	return ret;
}

static struct entry *copy_entry(const struct entry *entry)
{
	struct entry *copy = get_memory(sizeof(*copy));

	*copy = *entry;
	copy->references = 1;
	copy->path = get_string(entry->path);
	copy->bytes = get_memory(entry->room);
	memcpy(copy->bytes, entry->bytes, entry->size);
	copy->block = get_memory(entry->block_room * sizeof(*copy->block));
	memcpy(copy->block, entry->block, entry->blocks * sizeof(*copy->block));
	return copy;
}

struct entry *model_edit(struct model *model, const char *path)
{
	size_t i = find(model, path);
	struct entry *entry = model->entry[i];

	if (entry->references > 1) {
		entry->references--;
		entry = copy_entry(entry);
		model->entry[i] = entry;
	}
	return entry;
}

struct entry *model_add(struct model *model, const char *path, bool directory, uint32_t mode)
{
	struct entry *entry = get_memory(sizeof(*entry));

	*entry = (struct entry){
		.references = 1, .path = get_string(path), .directory = directory, .mode = mode,
		.room = 1, .bytes = get_memory(1),
		.block_room = 1, .block = get_memory(sizeof(*entry->block)),
	};
	if (model->entries == model->room) {
		model->room = model->room ? 2 * model->room : 16;
		model->entry = more_memory(model->entry, model->room * sizeof(*model->entry));
	}
	model->entry[model->entries++] = entry;
	return entry;
}

bool model_is_below(const char *path, const char *above)
{
	size_t length = strlen(above);

	return strncmp(path, above, length) == 0 && path[length] == '/';
}

bool model_is_child(const char *path, const char *parent)
{
	return model_is_below(path, parent) && !strchr(path + strlen(parent) + 1, '/');
}

void model_remove(struct model *model, const char *path)
{
	char *top = get_string(path);	/* may be an entry's own */
	size_t kept = 0;

	for (size_t i = 0; i < model->entries; i++) {
		struct entry *entry = model->entry[i];

		if (strcmp(entry->path, top) == 0 || model_is_below(entry->path, top))
			let_go(entry);
		else
			model->entry[kept++] = entry;
	}
	model->entries = kept;
	free(top);
}

size_t model_children(const struct model *model, const char *path, size_t *directories)
{
	size_t children = 0;

	*directories = 0;
	for (size_t i = 0; i < model->entries; i++) {
		if (!model_is_child(model->entry[i]->path, path))
			continue;
		children++;
		*directories += model->entry[i]->directory;
	}
	return children;
}
