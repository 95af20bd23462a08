/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a new filesystem would overwrite, and who is using it. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct cli;

/**
 * 0 when a filesystem of @length bytes (0: up to the end) may be made in cli->image from
 * cli->open.fs_offset on; -EBUSY for a file that is in use.  Unless @force, -EEXIST where
 * any of it is a filesystem's, a partition's or a partition table's, wherever that begins.
 * A missing file is fine.
 */
int probe_target(struct cli *cli, uint64_t length, bool force);
/**
 * Erase what libblkid still takes for another filesystem or a partition table in
 * the @length bytes just made: signatures that lie where nothing has been written.
 */
int probe_wipe(struct cli *cli, uint64_t length);
/** Whether @path is a block device on which a filesystem can be mounted with DAX. */
bool probe_can_dax(const char *path);
/** Bytes from the start of the whole disk to that of @path, 0 unless it is a partition. */
uint64_t probe_partition_start(const char *path);

#endif
