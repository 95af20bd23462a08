// SPDX-License-Identifier: GPL-2.0-or-later
#include "media.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "pmem/pmem.h"

struct poke {
	uint64_t word, value;		/* that was there */
};

static struct {
	int fd;
	dev_t device;
	ino_t inode;
	char path[64];
	unsigned char *bytes;
	uint64_t length;
	struct journal *journal;
	unsigned int handles;		/* given out so far */
	size_t until_death;		/* events */
	unsigned int eighths;
	bool dead;
	struct poke *poke;
	size_t pokes, poke_room;
	uint64_t hash;
} media;

/* Time stands still, so that the same operations always store the same bytes. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){.tv_sec = 1700000000};
	return 0;
}

void media_make(uint64_t most)
{
	struct stat own;

	media.fd = memfd_create("image", MFD_CLOEXEC);
	if (media.fd < 0 || fstat(media.fd, &own))
		die("cannot make a memory file");
	media.device = own.st_dev;
	media.inode = own.st_ino;
	media.bytes = mmap(NULL, most, PROT_READ | PROT_WRITE, MAP_SHARED, media.fd, 0);
	if (media.bytes == MAP_FAILED)
		die("cannot map a memory file");
	media.until_death = NEVER;
	snprintf(media.path, sizeof(media.path), "/proc/self/fd/%d", media.fd);
}

void media_resize(uint64_t length)
{
	if (length != media.length && ftruncate(media.fd, (off_t)length))
		die("cannot resize a memory file");
	media.length = length;
}

const char *media_path(void)
{
	return media.path;
}

unsigned char *media_bytes(void)
{
	return media.bytes;
}

uint64_t media_length(void)
{
	return media.length;
}

void media_stain(void)
{
	memset(media.bytes, 0xdb, media.length);
}

/* ---- the journal ---------------------------------------------------------------- */

static struct event *journal_event(struct journal *journal)
{
	journal->event = make_room(journal->event, &journal->room, journal->count + 1,
				   sizeof(*journal->event));
	return &journal->event[journal->count++];
}

static size_t journal_bytes(struct journal *journal, const void *bytes, size_t length)
{
	size_t at = journal->used;

	journal->bytes = make_room(journal->bytes, &journal->bytes_room, at + length, 1);
	memcpy(journal->bytes + at, bytes, length);
	journal->used += length;
	return at;
}

void journal_step(struct journal *journal, unsigned int number)
{
	*journal_event(journal) = (struct event){.kind = EVENT_STEP, .handle = number};
}

void journal_empty(struct journal *journal)
{
	journal->count = 0;
	journal->used = 0;
}

void journal_free(struct journal *journal)
{
	free(journal->event);
	free(journal->bytes);
	*journal = (struct journal){0};
}

void media_undo(const struct journal *journal)
{
	for (size_t i = journal->count; i-- > 0;) {
		const struct event *event = &journal->event[i];

		if (event->kind == EVENT_STORE)
			memcpy(media.bytes + event->offset, journal->bytes + event->before, event->length);
	}
}

void media_redo(const struct journal *journal)
{
	for (size_t i = 0; i < journal->count; i++) {
		const struct event *event = &journal->event[i];

		if (event->kind == EVENT_STORE)
			memcpy(media.bytes + event->offset, journal->bytes + event->after, event->length);
	}
}

void media_record(struct journal *journal)
{
	media.journal = journal;
}

/* ---- dying ------------------------------------------------------------------------ */

void media_kill_at(size_t event, unsigned int eighths)
{
	media.until_death = event;
	media.eighths = eighths;
}

void media_kill(bool dead)
{
	media.dead = dead;
	media.until_death = NEVER;
}

bool media_killed(void)
{
	return media.dead;
}

/* Whether the event that comes is the one to die at. */
static bool dies_here(void)
{
	if (media.until_death == NEVER)
		return false;
	if (media.until_death--)
		return false;
	media_kill(true);
	return true;
}

/* ---- the backend -------------------------------------------------------------------- */

static unsigned int handle_of(const struct cdx_pmem *pm)
{
	return (unsigned int)(uintptr_t)pm->state;
}

static void store(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	struct journal *journal = media.journal;
	struct event *event;

	if (offset > media.length || length > media.length - offset)
		die("a store of %zu bytes at %llu is outside of the image", length, (unsigned long long)offset);
	if (media.dead)
		return;
	if (dies_here())
		length = length * media.eighths / 64 * 8;
	if (journal) {
		event = journal_event(journal);
		*event = (struct event){
			.kind = EVENT_STORE, .handle = handle_of(pm), .offset = offset, .length = length,
		};
		event->before = journal_bytes(journal, media.bytes + offset, length);
	}
	if (bytes)
		memmove(media.bytes + offset, bytes, length);
	else
		memset(media.bytes + offset, 0, length);
	if (journal)
		event->after = journal_bytes(journal, media.bytes + offset, length);
}

static void media_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	store(pm, offset, bytes, length);
}

static void media_zero(struct cdx_pmem *pm, uint64_t offset, size_t length)
{
	store(pm, offset, NULL, length);
}

static int media_fence(struct cdx_pmem *pm)
{
	if (media.dead || dies_here())
		return -EIO;
	if (media.journal)
		*journal_event(media.journal) = (struct event){.kind = EVENT_FENCE, .handle = handle_of(pm)};
	return 0;
}

static const struct cdx_pmem_ops media_ops = {
	.copy = media_copy,
	.zero = media_zero,
	.fence = media_fence,
};

static bool is_media(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == media.device && st.st_ino == media.inode;
}

/* Takes the place of the library's own (see Makemodule.am), which maps all but the media. */
int __real_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error);
int __wrap_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error);
int __wrap_cdx_pmem_map(struct cdx_pmem *pm, int fd, uint64_t offset, uint64_t length, bool device_dax,
			unsigned int flags, struct cowdax_error *error)
{
	if (!is_media(fd))
		return __real_cdx_pmem_map(pm, fd, offset, length, device_dax, flags, error);
	if (length > media.length)
		return -EINVAL;
	media.handles++;
	cdx_pmem_wrap(pm, media.bytes, length, &media_ops, (void *)(uintptr_t)media.handles);
	pm->writable = flags & CDX_PMEM_WRITABLE;
	pm->discard = flags & CDX_PMEM_DISCARD;
	return 0;
}

/* ---- word by word ---------------------------------------------------------------------- */

static uint64_t word_hash(uint64_t word, uint64_t value)
{
	uint64_t z = value ^ (word + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 32) * UINT64_C(0xd6e8feb86659fd93);
	z = (z ^ z >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return z ^ z >> 32;
}

uint64_t media_peek(uint64_t word)
{
	uint64_t value;

	memcpy(&value, media.bytes + 8 * word, 8);
	return value;
}

static void put_word(uint64_t word, uint64_t value)
{
	media.hash ^= word_hash(word, media_peek(word)) ^ word_hash(word, value);
	memcpy(media.bytes + 8 * word, &value, 8);
}

void media_poke(uint64_t word, uint64_t value)
{
	media.poke = make_room(media.poke, &media.poke_room, media.pokes + 1, sizeof(*media.poke));
	media.poke[media.pokes++] = (struct poke){word, media_peek(word)};
	put_word(word, value);
}

size_t media_mark(void)
{
	return media.pokes;
}

void media_revert(size_t mark)
{
	while (media.pokes > mark) {
		const struct poke *poke = &media.poke[--media.pokes];

		put_word(poke->word, poke->value);
	}
}

uint64_t media_hash(void)
{
	return media.hash;
}

void media_forget(uint64_t hash)
{
	media.pokes = 0;
	media.hash = hash;
}
