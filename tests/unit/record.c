// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commit record: its lists, its bytes, and finding the newest of four.  Copies
 * that cannot be read are made so through --wrap=cdx_pmem_read.
 */
#include "tree/record.h"

#include <errno.h>

#include "bare.h"

static uint64_t unreadable[4];		/* places on the media; 0: none */

int __real_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length);
int __wrap_cdx_pmem_read(const struct cdx_pmem *pm, uint64_t offset, void *bytes, size_t length)
{
	for (int i = 0; i < 4; i++)
		if (unreadable[i] && offset == unreadable[i])
			return -EIO;
	return __real_cdx_pmem_read(pm, offset, bytes, length);
}

int __real_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
int __wrap_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count);
int __wrap_cdx_pmem_read_words(const struct cdx_pmem *pm, const uint64_t *offsets, le64 *words, size_t count)
{
	for (int i = 0; i < 4; i++)
		for (size_t j = 0; j < count; j++)
			if (unreadable[i] && offsets[j] - unreadable[i] < CDX_SLOT_SIZE)
				return -EIO;
	return __real_cdx_pmem_read_words(pm, offsets, words, count);
}

/* ---- runs -------------------------------------------------------------------------- */

TEST("a run joins its neighbours on both sides")
{
	struct cdx_runs runs = {0};

	CHECK_EQUAL(cdx_runs_add(&runs, 100, 10), 0);
	CHECK_EQUAL(cdx_runs_add(&runs, 120, 10), 0);
	CHECK_EQUAL(cdx_runs_add(&runs, 200, 1), 0);
	CHECK_EQUAL(runs.n, 3);
	CHECK_EQUAL(cdx_runs_add(&runs, 110, 10), 0);
	CHECK_EQUAL(runs.n, 2);
	CHECK_EQUAL(runs.grains, 31);
	for (size_t i = 0; i < runs.n; i++)
		CHECK_EQUAL(runs.run[i].count, runs.run[i].start == 100 ? 30 : 1);
	cdx_runs_remove(&runs, 0);
	cdx_runs_remove(&runs, 0);
	CHECK_EQUAL(runs.grains, 0);
	free(runs.run);
}

TEST("a run that overlaps another is damage")
{
	static const struct cdx_run bad[] = {{100, 10}, {95, 6}, {109, 1}, {90, 100}, {105, 50}};
	struct cdx_runs runs = {0};

	CHECK_EQUAL(cdx_runs_add(&runs, 100, 10), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQUAL(cdx_runs_add(&runs, bad[i].start, bad[i].count), -EUCLEAN);
	CHECK_EQUAL(runs.n, 1);
	CHECK_EQUAL(runs.grains, 10);
	free(runs.run);
}

TEST("runs added in any order cover just the grains that were added, joined as far as can be")
{
	enum { GRAINS = 512 };
	bool have[GRAINS + 2] = {false}, listed[GRAINS + 2];
	struct cdx_runs runs = {0};
	uint64_t seed = 3, total = 0;

	for (int i = 0; i < 2000; i++) {
		uint64_t start = 1 + unit_below(&seed, GRAINS - 8), count = 1 + unit_below(&seed, 8);
		bool overlaps = false;

		for (uint64_t grain = start; grain < start + count; grain++)
			overlaps |= have[grain];
		CHECK_EQUAL(cdx_runs_add(&runs, start, count), overlaps ? -EUCLEAN : 0);
		for (uint64_t grain = start; grain < start + count && !overlaps; grain++)
			have[grain] = true;
		total += overlaps ? 0 : count;
		if (unit_below(&seed, 4) == 0 && runs.n) {
			size_t index = unit_below(&seed, runs.n);
			struct cdx_run run = runs.run[index];

			cdx_runs_remove(&runs, index);
			memset(have + run.start, 0, run.count);
			total -= run.count;
		}
	}
	memset(listed, 0, sizeof(listed));
	for (size_t i = 0; i < runs.n; i++) {
		memset(listed + runs.run[i].start, 1, runs.run[i].count);
		CHECK(!have[runs.run[i].start - 1]);
		CHECK(!have[runs.run[i].start + runs.run[i].count]);
	}
	CHECK(memcmp(have, listed, sizeof(have)) == 0);
	CHECK_EQUAL(runs.grains, total);
	free(runs.run);
}

/* ---- encoding ------------------------------------------------------------------------- */

static void fill_record(struct cdx_record *record, const struct cdx_super *super, size_t pool, size_t window,
			size_t limbo)
{
	uint64_t at = super->head_grains, block = UINT64_C(1) << super->grains_per_block_shift;

	memset(record, 0, sizeof(*record));
	record->transaction = 9;
	record->next_inode = 5;
	record->inodes = 4;
	record->free_grains = 1000;
	record->next_nonce = 2;
	record->fs = (struct cdx_ref){at++, 11, 2};
	record->space = (struct cdx_ref){at++, 22, 3};
	record->limbo = (struct cdx_ref){at++, 33, 1};
	record->staging = (struct cdx_ref){at++, 44, 0};
	for (; record->pool.n < pool; at += 4)
		CHECK_EQUAL(cdx_runs_add(&record->pool, at, 3), 0);
	for (; record->window.n < window; at += 4)
		CHECK_EQUAL(cdx_runs_add(&record->window, at, 2), 0);
	for (uint64_t i = 0; i < limbo; i++, at += 2) {
		struct cdx_limbo_entry entry = {
			.transaction = 2 + i % 8, .address = at, .count = 1, .type = CDX_LIMBO_RUN,
		};

		if (i % 3 == 1) {
			entry.type = CDX_LIMBO_TREE;
			entry.kind = CDX_KIND_EXTENT;
			entry.level = (uint8_t)(i % 16);
			entry.crc = UINT32_C(0x80000000) + (uint32_t)i;
		} else if (i % 3 == 2) {
			entry.type = CDX_LIMBO_DROP;	/* of a whole block */
			entry.address = at = (at + block - 1) & ~(block - 1);
			entry.count = block;
			at += block;
		}
		CHECK_EQUAL(cdx_limbo_list_add(&record->list, &entry), 0);
	}
}

static void expect_same_runs(const struct cdx_runs *a, const struct cdx_runs *b)
{
	CHECK_EQUAL(a->n, b->n);
	CHECK_EQUAL(a->grains, b->grains);
	for (size_t i = 0; i < a->n; i++)
		CHECK(a->run[i].start == b->run[i].start && a->run[i].count == b->run[i].count);
}

static void expect_same(const struct cdx_record *a, const struct cdx_record *b)
{
	CHECK_EQUAL(a->transaction, b->transaction);
	CHECK_EQUAL(a->next_inode, b->next_inode);
	CHECK_EQUAL(a->inodes, b->inodes);
	CHECK_EQUAL(a->free_grains, b->free_grains);
	CHECK_EQUAL(a->next_nonce, b->next_nonce);
	CHECK(a->fs.address == b->fs.address && a->fs.crc == b->fs.crc && a->fs.level == b->fs.level);
	CHECK(a->space.address == b->space.address && a->limbo.crc == b->limbo.crc);
	CHECK(a->staging.address == b->staging.address && a->staging.level == b->staging.level);
	expect_same_runs(&a->pool, &b->pool);
	expect_same_runs(&a->window, &b->window);
	CHECK_EQUAL(a->list.n, b->list.n);
	for (size_t i = 0; i < a->list.n; i++) {
		const struct cdx_limbo_entry *x = &a->list.entry[i], *y = &b->list.entry[i];

		CHECK(x->transaction == y->transaction && x->address == y->address && x->count == y->count);
		CHECK(x->crc == y->crc && x->type == y->type && x->kind == y->kind && x->level == y->level);
	}
}

TEST("a record comes back from its slot as it was, up to full lists, which just fit")
{
	static const size_t sizes[][3] = {
		{0, 0, 0}, {1, 0, 0}, {0, 1, 7}, {88, CDX_MAX_RECORD_RUNS - 88, CDX_MAX_RECORD_LIMBO},
	};
	struct cdx_record back = {0}, record;
	union cdx_slot slot;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill_record(&record, &bare.super, sizes[i][0], sizes[i][1], sizes[i][2]);
		CHECK(cdx_record_encode(&record, NULL, &bare.super, &slot.commit) <= CDX_SLOT_SIZE);
		CHECK(cdx_slot_valid(&bare.super, &slot.commit, 1));
		CHECK_EQUAL(cdx_record_decode(&back, &bare.super, &slot.commit), 0);
		expect_same(&record, &back);
		cdx_record_exit(&record);
	}
	cdx_record_exit(&back);
	bare_free(&bare);
}

TEST("a copy of a record has lists of its own")
{
	struct cdx_record record, copy = {0};
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	fill_record(&record, &bare.super, 3, 4, 5);
	CHECK_EQUAL(cdx_record_copy(&copy, &record), 0);
	expect_same(&record, &copy);
	CHECK_EQUAL(cdx_runs_add(&copy.pool, 9999, 1), 0);
	cdx_limbo_list_remove(&copy.list, 0);
	CHECK(record.pool.n == 3 && record.list.n == 5);
	CHECK_EQUAL(cdx_record_copy(&copy, &record), 0);
	expect_same(&record, &copy);
	cdx_record_exit(&copy);
	cdx_record_exit(&record);
	bare_free(&bare);
}

TEST("R20: a record that points where nothing can be is refused, its checksum right or not")
{
	struct cdx_record record, back = {0};
	struct cdx_super *super;
	union cdx_slot good, bad;
	struct cdx_disk_run *runs;
	struct cdx_disk_limbo *limbo;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	super = &bare.super;
	fill_record(&record, super, 1, 1, 2);
	cdx_record_encode(&record, NULL, super, &good.commit);
	CHECK_EQUAL(cdx_record_decode(&back, super, &good.commit), 0);
	runs = (struct cdx_disk_run *)(&bad.commit + 1);
	limbo = (struct cdx_disk_limbo *)(runs + 2);
#define REFUSED(damage)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		damage;                                                                            \
		CHECK_EQUAL(cdx_record_decode(&back, super, &bad.commit), -EUCLEAN);               \
	} while (0)
	REFUSED(bad.commit.fs.address = put64(1));
	REFUSED(bad.commit.space.address = put64(super->grains - 1));
	REFUSED(bad.commit.limbo.address = put64(CDX_DIRTY));
	REFUSED(bad.commit.staging.address = put64(UINT64_MAX));
	REFUSED(bad.commit.fs.level = CDX_MAX_LEVEL + 1);
	REFUSED(bad.commit.snapshots.address = put64(500));
	REFUSED(bad.commit.free_grains = put64(super->grains + 1));
	REFUSED(runs[0].start = put64(0));
	REFUSED(runs[0].count = put64(0));
	REFUSED(runs[1].count = put64(UINT64_MAX));
	REFUSED(limbo[0].transaction = put64(10));
	REFUSED(limbo[0].address = put64(super->grains));
	REFUSED(limbo[0].count_or_crc = put32(0));
	REFUSED(limbo[0].type = 4);
	REFUSED(limbo[0].type = 0);
	REFUSED(limbo[1].kind = CDX_KIND_FS);
	REFUSED(limbo[1].level = CDX_MAX_LEVEL + 1);
#undef REFUSED
	cdx_record_exit(&back);
	cdx_record_exit(&record);
	bare_free(&bare);
}

TEST("the lists can be decoded after the rest; until then, and when they are refused, they are empty")
{
	struct cdx_record record, back = {0};
	struct cdx_disk_run *runs;
	union cdx_slot slot;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	fill_record(&record, &bare.super, 3, 4, 5);
	cdx_record_encode(&record, NULL, &bare.super, &slot.commit);
	for (int round = 0; round < 2; round++) {
		CHECK_EQUAL(cdx_record_decode_roots(&back, &bare.super, &slot.commit), 0);
		CHECK(back.transaction == record.transaction && back.fs.address == record.fs.address);
		CHECK(!back.pool.n && !back.window.n && !back.list.n && !back.pool.grains && !back.window.grains);
		CHECK_EQUAL(cdx_record_decode_lists(&back, &bare.super, &slot.commit), 0);
		expect_same(&record, &back);
	}
	runs = (struct cdx_disk_run *)(&slot.commit + 1);
	runs[6].count = put64(UINT64_MAX);
	CHECK_EQUAL(cdx_record_decode_roots(&back, &bare.super, &slot.commit), 0);
	CHECK_EQUAL(cdx_record_decode_lists(&back, &bare.super, &slot.commit), -EUCLEAN);
	CHECK(!back.pool.n && !back.window.n && !back.list.n && !back.pool.grains && !back.window.grains);
	cdx_record_exit(&back);
	cdx_record_exit(&record);
	bare_free(&bare);
}

/* ---- slots -------------------------------------------------------------------------------- */

TEST("R3: of the four copies the newest valid one counts, whichever are torn")
{
	static const uint64_t numbers[2][2] = {{8, 6}, {7, 9}};	/* mirrors may lag behind */
	union cdx_slot slots[2][2];
	struct cdx_slots found;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	for (int i = 0; i < 4; i++) {
		struct cdx_record record = {.transaction = numbers[i / 2][i % 2]};

		cdx_record_encode(&record, NULL, &bare.super, &slots[i / 2][i % 2].commit);
	}
	for (unsigned int torn = 0; torn < 16; torn++) {
		uint64_t newest = 0;

		for (int i = 0; i < 4; i++) {
			unsigned char *at =
				bare.bytes + cdx_slot_offset(&bare.super, i / 2, i % 2);

			memcpy(at, &slots[i / 2][i % 2], CDX_SLOT_SIZE);
			if (torn >> i & 1)
				memset(at + 100, 0x77, 60);
			else if (numbers[i / 2][i % 2] > newest)
				newest = numbers[i / 2][i % 2];
		}
		CHECK_EQUAL(cdx_slots_read(&bare.pm, &bare.super, &found), newest ? 0 : -EUCLEAN);
		for (int i = 0; i < 4; i++)
			CHECK_EQUAL(found.valid[i / 2][i % 2], !(torn >> i & 1));
		if (newest)
			CHECK_EQUAL(get64(cdx_slots_newest(&found)->commit.transaction), newest);
		else
			CHECK(!cdx_slots_newest(&found));
	}
	bare_free(&bare);
}

TEST("R3: a copy that cannot be read does not count; a slot of which neither can may hold what is newest")
{
	struct cdx_record record = {.transaction = 8};
	union cdx_slot slot, foreign, nothing = {0};
	struct cdx_super other;
	struct cdx_slots found;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	cdx_record_encode(&record, NULL, &bare.super, &slot.commit);
	other = bare.super;
	other.size /= 2;
	cdx_record_encode(&record, NULL, &other, &foreign.commit);
	for (unsigned int bad = 0; bad < 16; bad++) {
		for (int i = 0; i < 4; i++) {
			uint64_t place = cdx_slot_offset(&bare.super, i / 2, i % 2);

			memcpy(bare.bytes + place, i < 2 ? &slot : &nothing, CDX_SLOT_SIZE);
			unreadable[i] = bad >> i & 1 ? place : 0;
			/* Where nothing is read something is all the same. */
			found.copy[i / 2][i % 2] = foreign;
		}
		CHECK_EQUAL(cdx_slots_read(&bare.pm, &bare.super, &found),
			    (bad & 3) == 3 || bad >> 2 == 3 ? -EIO : 0);
		for (int i = 0; i < 4; i++)
			CHECK_EQUAL(found.valid[i / 2][i % 2], i < 2 && !(bad >> i & 1));
	}
	memset(unreadable, 0, sizeof(unreadable));
	bare_free(&bare);
}

/* ---- a reader's look ------------------------------------------------------------------------ */

/* What a copy may be.  Numbers are relative to N, the newest of a legal image; parity is kept. */
enum state {
	NEWEST,		/* in slot N % 2: N; in the other: N - 1 */
	OLDER,		/* N - 2; N - 3 */
	AHEAD,		/* N + 2; N + 1 */
	TORN,		/* bears the newest's number, and fails its checksum */
	TORN_AHEAD,	/* a higher one: a store that was begun */
	TORN_ODD,	/* a number of the other slot's, one below the one above */
	ZEROS,
	WILD,		/* a number that none can have */
	FOREIGN,	/* another filesystem's, older */
	FOREIGN_AHEAD,
	UNREADABLE,
	STATES
};

struct look { union cdx_slot newest[2], older[2], ahead[2], foreign[2], foreign_ahead[2]; };

static void make_slot(const struct cdx_super *super, union cdx_slot *slot, uint64_t number, size_t limbo)
{
	struct cdx_record record;

	fill_record(&record, super, 0, 0, limbo);
	record.transaction = number;
	memset(slot, 0x5a, sizeof(*slot));
	cdx_record_encode(&record, NULL, super, &slot->commit);
	cdx_record_exit(&record);
}

static void make_look(const struct cdx_super *super, uint64_t newest, struct look *look)
{
	struct cdx_super other = *super;

	other.size /= 2;
	for (uint64_t back = 0; back < 2; back++) {
		int parity = (int)((newest - back) & 1);

		make_slot(super, &look->newest[parity], newest - back, 3);
		make_slot(super, &look->older[parity], newest - back - 2, CDX_MAX_RECORD_LIMBO);
		make_slot(super, &look->ahead[parity], newest - back + 2, 0);
		make_slot(&other, &look->foreign[parity], newest - back - 2, 1);
		make_slot(&other, &look->foreign_ahead[parity], newest - back + 2, 1);
	}
}

static void put_state(struct bare *bare, const struct look *look, int parity, int mirror, enum state state)
{
	uint64_t place = cdx_slot_offset(&bare->super, parity, mirror);
	union cdx_slot *at = (union cdx_slot *)(bare->bytes + place);

	*at = look->newest[parity];
	unreadable[parity * 2 + mirror] = state == UNREADABLE ? place : 0;
	switch (state) {
	case OLDER:
		*at = look->older[parity];
		break;
	case AHEAD:
		*at = look->ahead[parity];
		break;
	case TORN:
		at->bytes[sizeof(at->commit) + 20] ^= 1;
		break;
	case TORN_AHEAD:
		at->commit.transaction = look->ahead[parity].commit.transaction;
		break;
	case TORN_ODD:
		at->commit.transaction = put64(get64(at->commit.transaction) + 1);
		break;
	case ZEROS:
		memset(at, 0, sizeof(*at));
		break;
	case WILD:
		at->commit.transaction = put64(UINT64_MAX - !parity);
		break;
	case FOREIGN:
		*at = look->foreign[parity];
		break;
	case FOREIGN_AHEAD:
		*at = look->foreign_ahead[parity];
		break;
	default:
		break;
	}
}

/* FORMAT 4, but for a store that was begun: in slot N % 2 the primary has N, in the other N - 1 or nothing. */
static bool legal(const enum state state[2][2], int newest)
{
	enum state mirror = state[newest][1], other = state[!newest][0];

	return state[newest][0] == NEWEST && (mirror <= OLDER || mirror == TORN || mirror == ZEROS) &&
	       (other == NEWEST || other == TORN || other == ZEROS) && state[!newest][1] == NEWEST;
}

/* It can be one, and the primary of its slot bears it. */
static void expect_number(const struct bare *bare, uint64_t number)
{
	uint64_t place = cdx_slot_offset(&bare->super, (int)(number & 1), false);

	CHECK(number >= CDX_FIRST_TRANSACTION && number <= CDX_LAST_TRANSACTION);
	CHECK_EQUAL(get64(((const struct cdx_disk_commit *)(bare->bytes + place))->transaction), number);
}

TEST("R3: what a reader takes for the newest is what all four copies say, in whatever states they are")
{
	unsigned int told = 0, states = 0;
	union cdx_slot slot;
	struct cdx_slots all;
	struct look look;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	for (uint64_t newest = 8; newest < 10; newest++) {
		make_look(&bare.super, newest, &look);
		for (int code = 0; code < STATES * STATES * STATES * STATES; code++) {
			const enum state state[2][2] = {
				{code % STATES, code / STATES % STATES},
				{code / STATES / STATES % STATES, code / STATES / STATES / STATES},
			};
			uint64_t number = 0;
			bool peeks, tells;

			for (int i = 0; i < 4; i++)
				put_state(&bare, &look, i / 2, i % 2, state[i / 2][i % 2]);
			memset(&slot, 0, sizeof(slot));
			peeks = cdx_slots_peek(&bare.pm, &bare.super, &number);
			if (peeks)
				expect_number(&bare, number);
			tells = peeks && cdx_slots_fetch(&bare.pm, &bare.super, number, &slot);
			CHECK(tells || !legal(state, (int)(newest & 1)));
			states++;
			if (!tells)
				continue;
			told++;
			CHECK_EQUAL(cdx_slots_read(&bare.pm, &bare.super, &all), 0);
			CHECK_EQUAL(get64(slot.commit.transaction), number);
			CHECK(memcmp(&slot, cdx_slots_newest(&all), get32(slot.commit.length)) == 0);
		}
	}
	unit_note("%u of %u states tell a reader what it needs", told, states);
	memset(unreadable, 0, sizeof(unreadable));
	bare_free(&bare);
}

TEST("R20: a slot whose length or number is not what it should be is nothing to a reader")
{
	union cdx_slot good, slot, *at;
	struct bare bare;

	bare_make(&bare, 16 << 20, 4096, 512);
	at = (union cdx_slot *)(bare.bytes + cdx_slot_offset(&bare.super, 0, false));
	make_slot(&bare.super, &good, 8, 4);
	*at = good;
	CHECK(cdx_slots_fetch(&bare.pm, &bare.super, 8, &slot));
	CHECK(!cdx_slots_fetch(&bare.pm, &bare.super, 6, &slot));
	CHECK(!cdx_slots_fetch(&bare.pm, &bare.super, 9, &slot));
	for (uint32_t length = 0; length < 2 * CDX_SLOT_SIZE; length += 4) {
		at->commit.length = put32(length);
		CHECK_EQUAL(cdx_slots_fetch(&bare.pm, &bare.super, 8, &slot), length == get32(good.commit.length));
	}
	at->commit.length = put32(UINT32_MAX);
	CHECK(!cdx_slots_fetch(&bare.pm, &bare.super, 8, &slot));
	bare_free(&bare);
}
