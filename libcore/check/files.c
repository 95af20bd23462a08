// SPDX-License-Identifier: LGPL-2.1-or-later
/* Inodes and names of the file tree (FORMAT 9) in tables, and the paths that names make. */
#include "check/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check/refs.h"

#define PATH_LIMIT 65536
#define MAX_STEPS (UINT32_C(1) << 22)	/* names read to make paths, in all */

void cdx_files_exit(struct cdx_files *files)
{
	free(files->inodes);
	free(files->names);
	free(files->orphans);
}

int cdx_files_add_inode(struct cdx_files *files, const struct cdx_seen_inode *inode)
{
	int ret;

	if (files->inode_count >= CDX_NONE - 1)
		return -ENOMEM;
	ret = cdx_array_grow(&files->inodes, &files->inode_capacity, files->inode_count,
			     sizeof(*files->inodes));
	if (!ret)
		files->inodes[files->inode_count++] = *inode;
	return ret;
}

int cdx_files_add_name(struct cdx_files *files, const struct cdx_seen_name *name)
{
	int ret;

	if (files->name_count >= CDX_NONE - 1)
		return -ENOMEM;
	ret = cdx_array_grow(&files->names, &files->name_capacity, files->name_count,
			     sizeof(*files->names));
	if (!ret)
		files->names[files->name_count++] = *name;
	return ret;
}

int cdx_files_add_orphan(struct cdx_files *files, uint64_t inode)
{
	int ret = cdx_array_grow(&files->orphans, &files->orphan_capacity, files->orphan_count,
				 sizeof(*files->orphans));

	if (!ret)
		files->orphans[files->orphan_count++] = inode;
	return ret;
}

struct cdx_seen_inode *cdx_files_find(const struct cdx_files *files, uint64_t inode)
{
	size_t low = 0, high = files->inode_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (files->inodes[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low < files->inode_count && files->inodes[low].inode == inode ? &files->inodes[low]
									     : NULL;
}

struct cdx_seen_inode *cdx_files_above(const struct cdx_files *files,
				       const struct cdx_seen_inode *inode)
{
	const struct cdx_seen_name *name;

	if (inode->inode == COWDAX_ROOT_INODE || inode->name == CDX_NONE)
		return NULL;
	name = &files->names[inode->name];
	return name->directory == CDX_NONE ? NULL : &files->inodes[name->directory];
}

/* ---- paths ------------------------------------------------------------------------- */

struct path {
	char *bytes;			/* PATH_LIMIT of them, filled from the end */
	size_t start;
};

/* Put "/name" before what is there; false when it cannot be had or does not fit. */
static bool prepend(struct cdx_check *ck, struct path *path, const struct cdx_seen_name *name)
{
	struct {
		struct cdx_disk_fs_item item;
		unsigned char value[CDX_DIRENT_HEADER + CDX_NAME_MAX + 7];
	} buffer = {0};
	size_t length = ck->super.node_size - name->offset;
	size_t name_length;

	if (length > sizeof(buffer))
		length = sizeof(buffer);
	if (cdx_pmem_read(&ck->device.pm, (name->grain << ck->super.grain_shift) + name->offset,
			  &buffer, length))
		return false;
	name_length = buffer.value[offsetof(struct cdx_disk_dirent, name_length)];
	if (path->start < name_length + 1)
		return false;
	path->start -= name_length + 1;
	path->bytes[path->start] = '/';
	memcpy(path->bytes + path->start + 1, buffer.value + CDX_DIRENT_HEADER, name_length);
	return true;
}

char *cdx_files_path(struct cdx_check *ck, struct cdx_files *files, uint64_t inode)
{
	const struct cdx_seen_inode *at = cdx_files_find(files, inode);
	struct path path = {NULL, PATH_LIMIT - 1};

	if (!at || !(at->flags & CDX_INODE_CONNECTED))
		return NULL;
	path.bytes = malloc(PATH_LIMIT);
	if (!path.bytes)
		return NULL;
	path.bytes[path.start] = '\0';
	while (at && at->inode != COWDAX_ROOT_INODE) {
		if (files->steps >= MAX_STEPS ||
		    !prepend(ck, &path, &files->names[at->name]))
			goto out_none;
		files->steps++;
		at = cdx_files_above(files, at);
	}
	if (path.bytes[path.start] == '\0')
		path.bytes[--path.start] = '/';
	memmove(path.bytes, path.bytes + path.start, PATH_LIMIT - path.start);
	return path.bytes;

out_none:
	free(path.bytes);
	return NULL;
}
