// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Free space given back to the host, or overwritten.  What a transaction could store to
 * it may also destroy: grains of count 0 and those of the reserves (FORMAT 4.1, 7), since
 * neither the older slot nor a reader can reach them (rule R2).  The commit tells other
 * handles that pages may have lost their backing store (FORMAT 4, trimmed).
 */
#include "api/image.h"

#include <sys/mman.h>

#define PASSES 3		/* of zeroing: what the first one's own commits put behind them, too */
#define MAX_RUNS 4096				/* of one transaction: others wait for its lock */
#define MAX_ZEROED (UINT64_C(256) << 20)	/* bytes */
#define PIECE (UINT64_C(1) << 20)

struct trim {
	bool zero;
	cowdax_trim_fn *fn;
	void *fn_arg;
	uint64_t at;			/* grain; all before it are done */
	struct cowdax_trimmed done;	/* by what is committed, and by this transaction */
	uint64_t zeroed;		/* bytes, in this one */
};

/* Holes are zeros already, and stay holes. */
static int zero_out(struct trim *trim, struct cdx_pmem *pm, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;
	int ret = 0;

	while (!ret && cdx_pmem_next_data(pm, &offset, &length)) {
		if (length > PIECE)
			length = PIECE;
		ret = cdx_pmem_prepare(pm, offset, length);
		if (!ret)
			cdx_pmem_zero(pm, offset, length);
		trim->zeroed += length;
		offset += length;
		length = end - offset;
	}
	return ret;
}

/* ---- what nodes in use have behind them ------------------------------------------------- */

struct wipe {
	struct cowdax *fs;
	uint64_t *seen;			/* a bit a grain, only touched where there are nodes */
};

static int wipe_pointer(void *arg, const struct cdx_pointer *pointer);

/* Nobody reads what follows a node's used bytes (FORMAT 6.1), which may be of a former life. */
static int wipe_tree(struct wipe *wipe, uint64_t address, uint32_t crc, uint8_t kind, uint8_t level)
{
	struct cdx_nodes *nodes = &wipe->fs->txn.nodes;
	uint64_t bit = UINT64_C(1) << address % 64, offset, used;
	struct cdx_node *node;
	int ret;

	if (!address || wipe->seen[address / 64] & bit)
		return 0;
	wipe->seen[address / 64] |= bit;
	ret = cdx_node_get(nodes, address, crc, kind, level, &node);
	if (ret)
		return ret;
	used = cdx_node_length(&node->disk);
	offset = (address << wipe->fs->super.grain_shift) + used;
	ret = cdx_pmem_prepare(&wipe->fs->device.pm, offset, wipe->fs->super.node_size - used);
	if (!ret)
		cdx_pmem_zero(&wipe->fs->device.pm, offset, wipe->fs->super.node_size - used);
	if (!ret)
		ret = cdx_node_pointers(nodes, node, wipe_pointer, wipe);
	if (!ret && node->base)
		ret = wipe_tree(wipe, node->base, node->base_crc, kind, level);
	cdx_node_put(nodes, node);
	return ret;
}

static int wipe_pointer(void *arg, const struct cdx_pointer *pointer)
{
	if (pointer->data)
		return 0;
	return wipe_tree(arg, pointer->start, pointer->crc, pointer->kind, pointer->level);
}

static int wipe_nodes(struct cowdax *fs)
{
	const struct cdx_record *record = &fs->txn.committed;
	const struct { const struct cdx_ref *ref; uint8_t kind; } roots[] = {
		{&record->fs, CDX_KIND_FS}, {&record->space, CDX_KIND_SPACE},
		{&record->limbo, CDX_KIND_LIMBO}, {&record->staging, CDX_KIND_STAGING},
	};
	size_t length = (fs->super.grains / 64 + 1) * sizeof(uint64_t);
	struct wipe wipe = {.fs = fs};
	int ret = 0;

	wipe.seen = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (wipe.seen == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]) && !ret; i++)
		ret = wipe_tree(&wipe, roots[i].ref->address, roots[i].ref->crc, roots[i].kind, roots[i].ref->level);
	munmap(wipe.seen, length);
	return ret;
}

/* ---- what is free ---------------------------------------------------------------------------- */

static int trim_run(struct cowdax *fs, struct trim *trim, uint64_t start, uint64_t count)
{
	uint64_t offset = start << fs->super.grain_shift, length = count << fs->super.grain_shift;
	struct cdx_pmem *pm = &fs->device.pm;
	int ret;

	if (trim->zero)
		ret = pm->discard ? 0 : zero_out(trim, pm, offset, length);
	else
		ret = cdx_pmem_give_back(pm, offset, length);
	if (ret)
		return ret;
	trim->done.bytes += length;
	trim->done.runs++;
	if (trim->fn)
		trim->fn(trim->fn_arg, offset, length);
	return 0;
}

static int trim_reserve(struct cowdax *fs, struct trim *trim, const struct cdx_runs *runs)
{
	int ret = 0;

	for (size_t i = 0; i < runs->n && !ret; i++)
		ret = trim_run(fs, trim, runs->run[i].start, runs->run[i].count);
	return ret;
}

/* The free runs from trim->at on, as many as fit into one transaction. */
static int trim_free(struct cowdax *fs, struct trim *trim)
{
	uint64_t most = MAX_ZEROED >> fs->super.grain_shift, end;

	for (int runs = 0; runs < MAX_RUNS && trim->at < fs->super.grains && trim->zeroed < MAX_ZEROED;) {
		uint64_t references;
		int ret = cdx_space_count(&fs->txn.space, trim->at, &references, &end);

		if (ret)
			return ret;
		if (!references) {
			if (trim->zero && end - trim->at > most)
				end = trim->at + most;
			ret = trim_run(fs, trim, trim->at, end - trim->at);
			if (ret)
				return ret;
			runs++;
		}
		trim->at = end;
	}
	return 0;
}

static int trim_op(struct cowdax *fs, void *args, struct cowdax_error *error)
{
	struct cdx_record *record = &fs->txn.record;
	struct trim *trim = args;
	int ret = 0;

	(void)error;
	trim->zeroed = 0;
	if (!trim->at && trim->zero && !fs->device.pm.discard)
		ret = wipe_nodes(fs);
	if (!ret && !trim->at)
		ret = trim_reserve(fs, trim, &record->pool);
	if (!ret && !trim->at)
		ret = trim_reserve(fs, trim, &record->window);
	if (!ret)
		ret = trim_free(fs, trim);
	if (!trim->zero)
		record->trimmed = record->transaction;
	return ret;
}

static int cannot_give_back(const struct cowdax *fs, struct cowdax_error *error)
{
	return cdx_error(error, -EOPNOTSUPP, "%s: its host takes no space back; zeros can be written over it", fs->path);
}

/* From one end to the other, once. */
static int trim_all(struct cowdax *fs, struct trim *trim, struct cowdax_error *error)
{
	int ret = cdx_image_make_room(fs, error);

	if (ret && ret != -ENOSPC)
		return ret;
	do {
		struct trim before = *trim;

		ret = cdx_image_change(fs, trim_op, trim, NULL, fs->path, error);
		if (ret)
			*trim = before;
	} while (!ret && trim->at < fs->super.grains);
	return ret;
}

static int trim(struct cowdax *fs, bool zero, cowdax_trim_fn *fn, void *arg, struct cowdax_trimmed *trimmed,
		struct cowdax_error *error)
{
	struct cowdax_trimmed done = {0};
	int ret = cdx_image_transactable(fs, error);

	if (ret)
		return ret;
	if (!zero && fs->device.device_dax)
		return cannot_give_back(fs, error);
	/* Where there is no space to do so in, only overwriting has to say so. */
	ret = cdx_image_unhide(fs, zero, error);
	if (ret == -ENOSPC && !zero)
		ret = 0;
	for (int pass = 0; pass < (zero && !fs->device.pm.discard ? PASSES : 1) && !ret; pass++) {
		struct trim trim = {.zero = zero, .fn = pass ? NULL : fn, .fn_arg = arg};

		ret = trim_all(fs, &trim, error);
		if (!pass)
			done = trim.done;
	}
	trimmed->bytes += done.bytes;
	trimmed->runs += done.runs;
	trimmed->transaction = fs->txn.committed.transaction;
	return ret == -EOPNOTSUPP ? cannot_give_back(fs, error) : ret;
}

int cowdax_trim(struct cowdax *fs, bool zero, cowdax_trim_fn *fn, void *arg, struct cowdax_trimmed *trimmed,
		struct cowdax_error *error)
{
	cdx_image_enter(fs, error);
	return cdx_image_leave(fs, trim(fs, zero, fn, arg, trimmed, error), fs->path, error);
}
