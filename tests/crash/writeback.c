// SPDX-License-Identifier: GPL-2.0-or-later
#include "writeback.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "file.h"
#include "media.h"
#include "tree/ondisk.h"
#include "operation.h"

#define PAGES (LONGEST_IMAGE / PAGE)
#define EXHAUSTIVE 5		/* pages of which every subset is tried */
#define EACH 24			/* of which each is tried alone */
#define SAMPLE 8		/* of more, and of each other kind of states: so many */

/* What a page had at an msync() that was not its own. */
struct version {
	size_t older;			/* its place + 1, or 0 */
	unsigned char bytes[PAGE];
};

/* A page that may change in a crash. */
struct dirty {
	uint64_t page;
	const unsigned char *take;	/* the bytes it has then, or NULL: those that are durable */
	size_t length;			/* how many of them */
};

static struct {
	struct version *version;
	size_t versions, version_room;
	size_t newest[PAGES];		/* of each page: the place + 1 of its newest version, or 0 */
	size_t disowned[PAGES];		/* the version it had then */
	struct dirty *dirty;
	size_t dirties, dirty_room;
	void (*judge)(void *arg);
	void *arg;
	uint64_t random;
} writeback;

static const unsigned char *now(uint64_t page)
{
	return file_bytes() + page * PAGE;
}

static bool differs(uint64_t page, const unsigned char *bytes)
{
	return memcmp(now(page), bytes, PAGE) != 0;
}

static bool is_dirty(uint64_t page)
{
	return differs(page, media_bytes() + page * PAGE);
}

static uint64_t pages(void)
{
	return media_length() / PAGE;
}

/* ---- following ------------------------------------------------------------------------ */

void writeback_forget(void)
{
	writeback.versions = 0;
	memset(writeback.newest, 0, sizeof(writeback.newest));
	memset(writeback.disowned, 0, sizeof(writeback.disowned));
}

static void note_version(uint64_t page)
{
	size_t *newest = &writeback.newest[page];
	struct version *version;

	if (*newest && !differs(page, writeback.version[*newest - 1].bytes))
		return;
	writeback.version = make_room(writeback.version, &writeback.version_room, writeback.versions + 1,
				      sizeof(*writeback.version));
	version = &writeback.version[writeback.versions++];
	version->older = *newest;
	memcpy(version->bytes, now(page), PAGE);
	*newest = writeback.versions;
}

static void add_dirty(uint64_t page)
{
	writeback.dirty = make_room(writeback.dirty, &writeback.dirty_room, writeback.dirties + 1,
				    sizeof(*writeback.dirty));
	writeback.dirty[writeback.dirties++] = (struct dirty){.page = page, .length = PAGE};
}

void writeback_look(void)
{
	writeback.dirties = 0;
	for (uint64_t page = 0; page < pages(); page++) {
		if (!is_dirty(page) && !writeback.newest[page])
			continue;
		note_version(page);
		add_dirty(page);
	}
}

void writeback_disown(void)
{
	writeback_look();
	memcpy(writeback.disowned, writeback.newest, sizeof(writeback.newest));
}

void writeback_poke(uint64_t page, const unsigned char *bytes)
{
	uint64_t value;

	for (uint64_t i = 0; i < PAGE / 8; i++) {
		memcpy(&value, bytes + 8 * i, 8);
		if (media_peek(page * (PAGE / 8) + i) != value)
			media_poke(page * (PAGE / 8) + i, value);
	}
}

void writeback_land(uint64_t first, uint64_t end)
{
	for (uint64_t page = first; page < end && page < pages(); page++) {
		writeback_poke(page, now(page));
		writeback.newest[page] = 0;
		writeback.disowned[page] = 0;
	}
}

void writeback_land_all(void)
{
	for (uint64_t page = 0; page < pages(); page++)
		writeback_poke(page, now(page));
}

/* ---- order ------------------------------------------------------------------------------- */

static bool is_super(uint64_t page)
{
	return page == 0 || page + 1 == pages();
}

/* Whether what the page has now makes a filesystem, or a transaction, visible. */
static bool commits(uint64_t page)
{
	le32 magic;

	if (is_super(page))
		return memcmp(now(page), CDX_SUPER_MAGIC, 8) == 0;
	memcpy(&magic, now(page) + offsetof(struct cdx_disk_commit, magic), sizeof(magic));
	return is_slot(page * PAGE) && get32(magic) == CDX_SLOT_MAGIC;
}

/* Of a superblock its backup, of a slot its mirror; and the other way round. */
static uint64_t other_copy(uint64_t page)
{
	uint64_t distance = is_super(page) ? pages() - 1 : pages() - 4;

	return page < pages() / 2 ? page + distance : page - distance;
}

static size_t commit_length(uint64_t page)
{
	le32 length;

	memcpy(&length, now(page) + offsetof(struct cdx_disk_commit, length), sizeof(length));
	return is_super(page) || get32(length) > PAGE ? PAGE : get32(length);
}

/* Whether it is the first of its copies to do so: the others change nothing once one is durable. */
static bool reveals(uint64_t page)
{
	return commits(page) &&
	       memcmp(now(page), media_bytes() + other_copy(page) * PAGE, commit_length(page)) != 0;
}

static bool is_disowned(uint64_t page)
{
	size_t version = writeback.disowned[page];

	return version && !differs(page, writeback.version[version - 1].bytes);
}

const char *writeback_order(void)
{
	uint64_t other = UINT64_MAX, commit = UINT64_MAX;
	static char why[256];

	for (size_t i = 0; i < writeback.dirties; i++) {
		uint64_t page = writeback.dirty[i].page;

		if (!is_dirty(page))
			continue;
		if (commit == UINT64_MAX && reveals(page))
			commit = page;
		else if (reveals(page) || !is_disowned(page))
			other = page;
	}
	if (commit == UINT64_MAX || other == UINT64_MAX)
		return NULL;
	snprintf(why, sizeof(why), "the %s at byte %" PRIu64 " may reach the file before the %s at byte %" PRIu64
		 " that was stored along with it", is_super(commit) ? "superblock" : "commit slot", commit * PAGE,
		 commits(other) ? "other copy" : "page", other * PAGE);
	return why;
}

const char *writeback_settled(bool closed)
{
	static char why[128];

	for (uint64_t page = 0; page < pages(); page++) {
		if (!is_dirty(page) || !(closed ? commits(page) : reveals(page)))
			continue;
		snprintf(why, sizeof(why), "the %s at byte %" PRIu64 " has not been synced",
			 is_super(page) ? "superblock" : "commit slot", page * PAGE);
		return why;
	}
	return NULL;
}

/* ---- states -------------------------------------------------------------------------------- */

static void try(void)
{
	size_t mark = media_mark();
	unsigned char bytes[PAGE];

	for (size_t i = 0; i < writeback.dirties; i++) {
		const struct dirty *dirty = &writeback.dirty[i];

		if (!dirty->take)
			continue;
		memcpy(bytes, media_bytes() + dirty->page * PAGE, PAGE);
		memcpy(bytes, dirty->take, dirty->length);
		writeback_poke(dirty->page, bytes);
	}
	writeback.judge(writeback.arg);
	media_revert(mark);
}

static void take(size_t i, bool written)
{
	writeback.dirty[i].take = written ? now(writeback.dirty[i].page) : NULL;
	writeback.dirty[i].length = PAGE;
}

static void take_all(bool written)
{
	for (size_t i = 0; i < writeback.dirties; i++)
		take(i, written);
}

static void try_subsets(void)
{
	for (unsigned int subset = 0; subset < 1U << writeback.dirties; subset++) {
		for (size_t i = 0; i < writeback.dirties; i++)
			take(i, subset >> i & 1);
		try();
	}
}

/* One page written back and no other, then all others but this one. */
static void try_alone(size_t i)
{
	take_all(false);
	take(i, true);
	try();
	take_all(true);
	take(i, false);
	try();
}

static size_t some_dirty(void)
{
	return random_below(&writeback.random, writeback.dirties);
}

/* The bytes of any of a page's versions; NULL: the durable ones. */
static const unsigned char *some_version(uint64_t page)
{
	size_t version = writeback.newest[page];

	if (version && random_below(&writeback.random, 2))
		return now(page);
	while (version && random_below(&writeback.random, 2))
		version = writeback.version[version - 1].older;
	return version ? writeback.version[version - 1].bytes : NULL;
}

static void try_many(void)
{
	take_all(false);
	try();
	take_all(true);
	try();
	for (size_t i = 0; i < writeback.dirties; i++) {
		if (writeback.dirties <= EACH || commits(writeback.dirty[i].page))
			try_alone(i);
	}
	for (unsigned int i = 0; i < SAMPLE && writeback.dirties > EACH; i++)
		try_alone(some_dirty());
}

static void try_random(void)
{
	for (unsigned int i = 0; i < SAMPLE; i++) {
		take_all(false);
		for (size_t j = 0; j < writeback.dirties; j++)
			writeback.dirty[j].take = some_version(writeback.dirty[j].page);
		try();
	}
}

/* A page that commits, written back in the middle of the store to it: without and with all others. */
static void try_torn(size_t i)
{
	for (unsigned int cut = 0; cut < SAMPLE; cut++) {
		size_t length = 8 * (1 + random_below(&writeback.random, cut < SAMPLE / 2 ? 64 : PAGE / 8 - 1));

		for (int others = 0; others < 2; others++) {
			take_all(others);
			take(i, true);
			writeback.dirty[i].length = length;
			try();
		}
	}
}

void writeback_try(void (*judge)(void *arg), void *arg, uint64_t seed)
{
	writeback.judge = judge;
	writeback.arg = arg;
	writeback.random = seed;
	if (writeback.dirties <= EXHAUSTIVE)
		try_subsets();
	else
		try_many();
	if (writeback.dirties)
		try_random();
	for (size_t i = 0; i < writeback.dirties; i++) {
		if (commits(writeback.dirty[i].page))
			try_torn(i);
	}
}

static const char *place(uint64_t page)
{
	return is_super(page) ? " (superblock)" : is_slot(page * PAGE) ? " (commit slot)" : "";
}

void writeback_print(FILE *stream)
{
	for (size_t i = 0; i < writeback.dirties; i++) {
		const struct dirty *dirty = &writeback.dirty[i];

		fprintf(stream, "#   byte %" PRIu64 "%s: ", dirty->page * PAGE, place(dirty->page));
		if (!dirty->take)
			fprintf(stream, "not written\n");
		else if (dirty->length < PAGE)
			fprintf(stream, "the first %zu bytes written\n", dirty->length);
		else
			fprintf(stream, "written%s\n", dirty->take == now(dirty->page) ? "" : " at another msync()");
	}
}
