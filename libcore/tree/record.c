// SPDX-License-Identifier: LGPL-2.1-or-later
/* The commit record and its lists (FORMAT 4), between media and DRAM; and which slot is the newest. */
#include "tree/record.h"

#include <stdlib.h>

/* ---- lists ------------------------------------------------------------------------ */

/* Make room for @wanted items of @size; the lists start small and double. */
static int make_room(void **items, size_t *room, size_t wanted, size_t size)
{
	size_t more = *room ? *room : 32;
	void *grown;

	if (wanted <= *room)
		return 0;
	while (more < wanted)
		more *= 2;
	grown = realloc(*items, more * size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*room = more;
	return 0;
}

static int make_room_for_runs(struct cdx_runs *to, const struct cdx_runs *from)
{
	return make_room((void **)&to->run, &to->room, from->n, sizeof(*to->run));
}

int cdx_record_make_room(struct cdx_record *to, const struct cdx_record *from)
{
	int ret = make_room_for_runs(&to->pool, &from->pool);

	if (!ret)
		ret = make_room_for_runs(&to->window, &from->window);
	if (!ret)
		ret = make_room((void **)&to->list.entry, &to->list.room, from->list.n, sizeof(*to->list.entry));
	return ret;
}

static void copy_runs(struct cdx_runs *to, const struct cdx_runs *from)
{
	if (from->n)
		memcpy(to->run, from->run, from->n * sizeof(*to->run));
	to->n = from->n;
	to->grains = from->grains;
	to->least = from->least;
}

int cdx_record_copy(struct cdx_record *to, const struct cdx_record *from)
{
	struct cdx_runs pool, window;
	struct cdx_limbo_list list;
	int ret = cdx_record_make_room(to, from);

	if (ret)
		return ret;
	pool = to->pool;
	window = to->window;
	list = to->list;
	copy_runs(&pool, &from->pool);
	copy_runs(&window, &from->window);
	if (from->list.n)
		memcpy(list.entry, from->list.entry, from->list.n * sizeof(*list.entry));
	list.n = from->list.n;
	*to = *from;
	to->pool = pool;
	to->window = window;
	to->list = list;
	return 0;
}

void cdx_record_exit(struct cdx_record *record)
{
	free(record->pool.run);
	free(record->window.run);
	free(record->list.entry);
	memset(record, 0, sizeof(*record));
}

/* Index of the first run that starts at or after @start. */
static size_t runs_search(const struct cdx_runs *runs, uint64_t start)
{
	size_t low = 0, high = runs->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (runs->run[middle].start < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int cdx_runs_add(struct cdx_runs *runs, uint64_t start, uint64_t count)
{
	size_t at = runs_search(runs, start);
	struct cdx_run *before = at ? &runs->run[at - 1] : NULL;
	struct cdx_run *after = at < runs->n ? &runs->run[at] : NULL;
	int ret;

	if ((before && before->start + before->count > start) || (after && after->start < start + count))
		return -EUCLEAN;
	runs->grains += count;
	if (before && before->start + before->count == start) {
		before->count += count;
		if (after && after->start == start + count) {
			runs->grains += after->count;
			before->count += after->count;
			cdx_runs_remove(runs, at);
		}
		return 0;
	}
	if (after && after->start == start + count) {
		after->start = start;
		after->count += count;
		return 0;
	}
	ret = make_room((void **)&runs->run, &runs->room, runs->n + 1, sizeof(*runs->run));
	if (ret) {
		runs->grains -= count;
		return ret;
	}
	memmove(&runs->run[at + 1], &runs->run[at], (runs->n - at) * sizeof(*runs->run));
	runs->run[at] = (struct cdx_run){start, count};
	if (count < runs->least)
		runs->least = count;
	runs->n++;
	return 0;
}

void cdx_runs_remove(struct cdx_runs *runs, size_t index)
{
	runs->grains -= runs->run[index].count;
	runs->n--;
	memmove(&runs->run[index], &runs->run[index + 1], (runs->n - index) * sizeof(*runs->run));
}

void cdx_runs_cut(struct cdx_runs *runs, size_t index, uint64_t count)
{
	runs->run[index].start += count;
	runs->run[index].count -= count;
	runs->grains -= count;
	if (!runs->run[index].count)
		cdx_runs_remove(runs, index);
	else if (runs->run[index].count < runs->least)
		runs->least = runs->run[index].count;
}

int cdx_limbo_list_add(struct cdx_limbo_list *list, const struct cdx_limbo_entry *entry)
{
	int ret = make_room((void **)&list->entry, &list->room, list->n + 1, sizeof(*list->entry));

	if (!ret)
		list->entry[list->n++] = *entry;
	return ret;
}

void cdx_limbo_list_remove(struct cdx_limbo_list *list, size_t index)
{
	list->entry[index] = list->entry[--list->n];
}

/* ---- decoding ----------------------------------------------------------------------- */

static void limbo_decode(struct cdx_limbo_entry *entry, const struct cdx_disk_limbo *disk)
{
	bool tree = disk->type == CDX_LIMBO_TREE;

	*entry = (struct cdx_limbo_entry){
		.transaction = get64(disk->transaction),
		.address = get64(disk->address),
		.count = tree ? 1 : get32(disk->count_or_crc),
		.crc = tree ? get32(disk->count_or_crc) : 0,
		.type = disk->type,
		.kind = disk->kind,
		.level = disk->level,
	};
}

void cdx_limbo_encode(const struct cdx_limbo_entry *entry, struct cdx_disk_limbo *disk)
{
	*disk = (struct cdx_disk_limbo){
		.transaction = put64(entry->transaction),
		.address = put64(entry->address),
		.count_or_crc = put32(entry->type == CDX_LIMBO_TREE ? entry->crc : (uint32_t)entry->count),
		.type = entry->type,
		.kind = entry->kind,
		.level = entry->level,
	};
}

int cdx_limbo_decode_checked(struct cdx_limbo_entry *entry, const struct cdx_disk_limbo *disk,
			     const struct cdx_super *super, uint64_t newest)
{
	limbo_decode(entry, disk);
	if (!cdx_limbo_possible(disk) || !cdx_super_limbo_whole(super, disk) || entry->transaction > newest ||
	    !cdx_super_allocatable(super, entry->address, entry->count))
		return -EUCLEAN;
	return 0;
}

static int decode_ref(struct cdx_ref *ref, const struct cdx_super *super, const struct cdx_disk_ref *disk)
{
	*ref = cdx_ref_decode(disk);
	if (!cdx_ref_possible(disk))
		return -EUCLEAN;
	if (ref->address && !cdx_super_allocatable(super, ref->address, 1))
		return -EUCLEAN;
	return 0;
}

static int decode_runs(struct cdx_runs *runs, const struct cdx_super *super, const struct cdx_disk_run *disk,
		       size_t n)
{
	int ret = make_room((void **)&runs->run, &runs->room, n, sizeof(*runs->run));

	if (ret)
		return ret;
	runs->n = 0;
	runs->grains = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t start = get64(disk[i].start), count = get64(disk[i].count);

		if (!cdx_super_allocatable(super, start, count))
			return -EUCLEAN;
		ret = cdx_runs_add(runs, start, count);
		if (ret)
			return ret;
	}
	return 0;
}

static int decode_limbo(struct cdx_limbo_list *list, const struct cdx_super *super, uint64_t newest,
			const struct cdx_disk_limbo *disk, size_t n)
{
	int ret = make_room((void **)&list->entry, &list->room, n, sizeof(*list->entry));

	if (ret)
		return ret;
	for (list->n = 0; list->n < n && !ret; list->n++)
		ret = cdx_limbo_decode_checked(&list->entry[list->n], &disk[list->n], super, newest);
	return ret;
}

static void forget_lists(struct cdx_record *record)
{
	record->pool.n = record->window.n = record->list.n = 0;
	record->pool.grains = record->window.grains = 0;
}

int cdx_record_decode_roots(struct cdx_record *record, const struct cdx_super *super,
			    const struct cdx_disk_commit *slot)
{
	int ret;

	forget_lists(record);
	record->transaction = get64(slot->transaction);
	record->next_inode = get64(slot->next_inode);
	record->inodes = get64(slot->inodes);
	record->free_grains = get64(slot->free_grains);
	record->next_nonce = get64(slot->next_nonce);
	record->orphans = get64(slot->orphans);
	record->limbo_grains = get64(slot->limbo_grains);
	record->staged_blocks = get64(slot->staged_blocks);
	if (record->limbo_grains > super->grains || record->staged_blocks > super->blocks)
		return -EUCLEAN;
	record->trimmed = get64(slot->trimmed);
	record->unwritten_blocks = get64(slot->unwritten_blocks);
	record->unwritten_extents = get64(slot->unwritten_extents);
	if (get64(slot->snapshots.address) || record->free_grains > super->grains)
		return -EUCLEAN;
	ret = decode_ref(&record->fs, super, &slot->fs);
	if (!ret)
		ret = decode_ref(&record->space, super, &slot->space);
	if (!ret)
		ret = decode_ref(&record->limbo, super, &slot->limbo);
	if (!ret)
		ret = decode_ref(&record->staging, super, &slot->staging);
	return ret;
}

int cdx_record_decode_lists(struct cdx_record *record, const struct cdx_super *super,
			    const struct cdx_disk_commit *slot)
{
	const struct cdx_disk_run *pool = (const struct cdx_disk_run *)(slot + 1);
	const struct cdx_disk_run *window = pool + get16(slot->n_pool);
	const struct cdx_disk_limbo *limbo = (const struct cdx_disk_limbo *)(window + get16(slot->n_window));
	int ret;

	ret = decode_runs(&record->pool, super, pool, get16(slot->n_pool));
	if (!ret)
		ret = decode_runs(&record->window, super, window, get16(slot->n_window));
	if (!ret)
		ret = decode_limbo(&record->list, super, record->transaction, limbo, get16(slot->n_limbo));
	if (ret)
		forget_lists(record);
	return ret;
}

int cdx_record_decode(struct cdx_record *record, const struct cdx_super *super,
		      const struct cdx_disk_commit *slot)
{
	int ret = cdx_record_decode_roots(record, super, slot);

	return ret ? ret : cdx_record_decode_lists(record, super, slot);
}

static struct cdx_disk_run *encode_runs(struct cdx_disk_run *disk, const struct cdx_runs *runs)
{
	static_assert(sizeof(*disk) == sizeof(*runs->run), "both are two words, start and count");
	if (runs->n)
		put64s(&disk->start, &runs->run->start, runs->n * 2);
	return disk + runs->n;
}

size_t cdx_record_encode(const struct cdx_record *record, const struct cdx_amends *amends,
			 const struct cdx_super *super, struct cdx_disk_commit *slot)
{
	size_t amended = amends ? amends->n * sizeof(amends->entry[0]) : 0, length;
	struct cdx_disk_run *runs = (struct cdx_disk_run *)(slot + 1);
	struct cdx_disk_limbo *limbo;

	memset(slot, 0, sizeof(*slot));
	slot->n_pool = put16((uint16_t)record->pool.n);
	slot->n_window = put16((uint16_t)record->window.n);
	slot->n_limbo = put16((uint16_t)record->list.n);
	slot->n_amends = put16((uint16_t)(amends ? amends->n : 0));
	slot->transaction = put64(record->transaction);
	slot->next_inode = put64(record->next_inode);
	slot->inodes = put64(record->inodes);
	slot->free_grains = put64(record->free_grains);
	slot->next_nonce = put64(record->next_nonce);
	slot->orphans = put64(record->orphans);
	slot->limbo_grains = put64(record->limbo_grains);
	slot->staged_blocks = put64(record->staged_blocks);
	slot->trimmed = put64(record->trimmed);
	slot->unwritten_blocks = put64(record->unwritten_blocks);
	slot->unwritten_extents = put64(record->unwritten_extents);
	cdx_ref_encode(&slot->fs, &record->fs);
	cdx_ref_encode(&slot->space, &record->space);
	cdx_ref_encode(&slot->limbo, &record->limbo);
	cdx_ref_encode(&slot->staging, &record->staging);
	runs = encode_runs(runs, &record->pool);
	runs = encode_runs(runs, &record->window);
	limbo = (struct cdx_disk_limbo *)runs;
	for (size_t i = 0; i < record->list.n; i++)
		cdx_limbo_encode(&record->list.entry[i], limbo++);
	if (amended)
		memcpy(limbo, amends->entry, amended);
	length = (size_t)((unsigned char *)limbo - (unsigned char *)slot) + amended;
	cdx_slot_seal(super, slot, length);
	return length;
}

/* ---- slots ------------------------------------------------------------------------------ */

int cdx_slots_read(const struct cdx_pmem *pm, const struct cdx_super *super, struct cdx_slots *slots)
{
	int ret, failed = 0, unseen = 0;

	for (int parity = 0; parity < 2; parity++) {
		int unread = 0;

		for (int mirror = 0; mirror < 2; mirror++) {
			union cdx_slot *slot = &slots->copy[parity][mirror];

			ret = cdx_pmem_read(pm, cdx_slot_offset(super, parity, mirror), slot, sizeof(*slot));
			if (ret) {	/* what it may have read is nobody's */
				memset(slot, 0, sizeof(*slot));
				unread++;
			}
			slots->valid[parity][mirror] = !ret && cdx_slot_valid(super, &slot->commit, parity);
			failed = ret ? ret : failed;
		}
		/* It may hold the newest commit, and who took the other for that would overwrite it. */
		if (unread == 2)
			unseen = failed;
	}
	if (unseen)
		return unseen;
	/* Nobody builds on mirrors where the head has become another filesystem's (FORMAT 2). */
	if (!slots->valid[0][0] && !slots->valid[1][0] &&
	    (cdx_slot_foreign(super, &slots->copy[0][0].commit) ||
	     cdx_slot_foreign(super, &slots->copy[1][0].commit)))
		return -EUCLEAN;
	return cdx_slots_newest(slots) ? 0 : failed ? failed : -EUCLEAN;
}

const union cdx_slot *cdx_slots_newest(const struct cdx_slots *slots)
{
	const union cdx_slot *newest = NULL;

	for (int i = 0; i < 4; i++) {
		const union cdx_slot *slot = &slots->copy[i / 2][i % 2];

		if (slots->valid[i / 2][i % 2] &&
		    (!newest || get64(slot->commit.transaction) > get64(newest->commit.transaction)))
			newest = slot;
	}
	return newest;
}

/*
 * The highest of the four numbers, whatever else is in the copies: no valid one has a higher.
 * It has to stand in the primary of its slot.  Where a mirror has more than its primary, or
 * one of the four cannot be read, cdx_slots_read() has rules for that.
 */
bool cdx_slots_peek(const struct cdx_pmem *pm, const struct cdx_super *super, uint64_t *number)
{
	const uint64_t at = offsetof(struct cdx_disk_commit, transaction);
	uint64_t primary = cdx_slot_offset(super, 0, false) + at, mirror = cdx_slot_offset(super, 0, true) + at;
	uint64_t places[4] = {primary, primary + CDX_SLOT_SIZE, mirror, mirror + CDX_SLOT_SIZE};
	uint64_t highest = 0;
	le64 numbers[4];

	if (cdx_pmem_read_words(pm, places, numbers, 4))
		return false;
	for (int i = 0; i < 4; i++)
		if (get64(numbers[i]) > highest)
			highest = get64(numbers[i]);
	if (highest < CDX_FIRST_TRANSACTION || highest > CDX_LAST_TRANSACTION ||
	    get64(numbers[highest & 1]) != highest)
		return false;
	*number = highest;
	return true;
}

bool cdx_slots_fetch(const struct cdx_pmem *pm, const struct cdx_super *super, uint64_t number,
		     union cdx_slot *slot)
{
	int parity = (int)(number & 1);
	uint64_t place = cdx_slot_offset(super, parity, false);
	size_t fixed = sizeof(slot->commit), length;

	if (cdx_pmem_read(pm, place, slot, fixed))
		return false;
	length = get32(slot->commit.length);
	if (length < fixed || length > sizeof(*slot) || get64(slot->commit.transaction) != number)
		return false;
	if (length > fixed && cdx_pmem_read(pm, place + fixed, slot->bytes + fixed, length - fixed))
		return false;
	return cdx_slot_valid(super, &slot->commit, parity);
}
