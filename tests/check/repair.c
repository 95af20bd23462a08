/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law of repair, over each damage that the checker knows: what its table says is mended is
 * found once, fixed, and never again, and the image can be used; what it says is left keeps
 * every byte.  And wherever a repair is stopped, another one ends where it would have: each
 * store of it is torn, with what else is in flight there or not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/problem.h"
#include "damage.h"
#include "pmem/pmem.h"

#define MOST_STORES 64

/* The stores of one repair, in order, each with the number of fences before it. */
static struct {
	struct { uint64_t offset; size_t length; unsigned char *bytes; unsigned int fence; } store[MOST_STORES];
	unsigned int n, fences;
	bool on;
} journal;

void __real_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length);
int __real_cdx_pmem_fence(struct cdx_pmem *pm);
int __wrap_cdx_pmem_fence(struct cdx_pmem *pm);

void __wrap_cdx_pmem_copy(struct cdx_pmem *pm, uint64_t offset, const void *bytes, size_t length)
{
	if (journal.on) {
		if (journal.n == MOST_STORES)
			die("a repair of more stores than %d", MOST_STORES);
		journal.store[journal.n].offset = offset;
		journal.store[journal.n].length = length;
		journal.store[journal.n].fence = journal.fences;
		journal.store[journal.n].bytes = malloc(length);
		if (!journal.store[journal.n].bytes)
			die("out of memory");
		memcpy(journal.store[journal.n++].bytes, bytes, length);
	}
	__real_cdx_pmem_copy(pm, offset, bytes, length);
}

int __wrap_cdx_pmem_fence(struct cdx_pmem *pm)
{
	journal.fences += journal.on;
	return __real_cdx_pmem_fence(pm);
}

static void forget_journal(void)
{
	while (journal.n)
		free(journal.store[--journal.n].bytes);
	journal.fences = 0;
}

static const struct damage *const tables[] = {
	EVERY_DAMAGE,
};

struct outcome {
	unsigned int fixed, left, notes;
};

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct outcome *outcome = arg;

	outcome->notes += problem->severity == COWDAX_NOTE;
	outcome->fixed += problem->fixed && problem->severity != COWDAX_NOTE;
	outcome->left += !problem->fixed && problem->severity != COWDAX_NOTE;
}

/* Whether a repair in this mode mends a problem of that code; MAYBE: if it is in the space tree. */
enum verdict { NO, YES, MAYBE };

static enum verdict is_mended(const char *code, bool choose)
{
	const struct cdx_problem_info *info = cdx_problem_table;

	while (strcmp(info->code, code) != 0)
		if (++info == cdx_problem_table + CDX_P_COUNT)
			die("%s: no such code", code);
	if (info->severity == COWDAX_NOTE || info->mending == CDX_LEFT)
		return NO;
	return info->mending == CDX_IN_SPACE ? MAYBE : info->mending == CDX_SAFE || choose ? YES : NO;
}

static bool is_clean(const char *path)
{
	struct cowdax_check_summary summary;
	struct cowdax_error error;

	return cowdax_check(path, NULL, &summary, &error) == 0 && summary.clean;
}

/* Something can be changed, and it is clean still. */
static bool is_usable(const char *path)
{
	struct cowdax_error error;
	struct cowdax *fs;
	uint64_t inode;
	int ret = cowdax_open(path, NULL, &fs, &error);

	if (ret)
		return false;
	ret = cowdax_create(fs, "/after the repair", 0600, &inode, &error);
	cowdax_close(fs);
	return ret == 0 && is_clean(path);
}

struct bytes {
	unsigned char *at;
	size_t length;
};

static struct bytes read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	struct bytes bytes = {0};

	if (!file || fseek(file, 0, SEEK_END))
		die("%s: cannot be read", path);
	bytes.length = (size_t)ftell(file);
	bytes.at = malloc(bytes.length + 1);
	rewind(file);
	if (!bytes.at || fread(bytes.at, 1, bytes.length, file) != bytes.length)
		die("%s: cannot be read", path);
	fclose(file);
	return bytes;
}

static bool has_bytes(const char *path, const struct bytes *before)
{
	struct bytes now = read_file(path);
	bool same = now.length == before->length && memcmp(now.at, before->at, now.length) == 0;

	free(now.at);
	return same;
}

static const char *judge(const struct damage *damage, const struct bytes *before, const char *path, bool choose,
			 struct cowdax_check_summary *whole)
{
	enum verdict mended = damage->code ? is_mended(damage->code, choose) : NO;
	struct outcome outcome = {0};
	struct cowdax_repair_options options = {
		.check = {.backup_super = damage->how == BACKUP, .problem = note_problem, .problem_arg = &outcome},
		.choose = choose,
	};
	struct cowdax_check_summary summary;
	static struct cowdax_error error;
	int ret;

	journal.on = true;
	ret = cowdax_repair(path, &options, &summary, &error);
	journal.on = false;
	if (ret)
		return error.text;
	if (outcome.fixed != summary.fixed || outcome.fixed + outcome.left != summary.problems)
		return "it tells of other numbers than it sums up";
	if (summary.clean != (outcome.left == 0))
		return "what is left says clean";
	if (mended == NO || (mended == MAYBE && !outcome.fixed))
		return outcome.fixed ? "it claims to have mended what is left" :
		       has_bytes(path, before) ? NULL : "something was stored";
	if (!outcome.fixed || outcome.left)
		return "it is not fixed";
	*whole = summary;
	if (!is_clean(path))
		return "the next check finds something";
	outcome = (struct outcome){0};
	if (cowdax_repair(path, &options, &summary, &error) || summary.problems || outcome.notes)
		return "the next repair finds something";
	return is_usable(path) ? NULL : "it cannot be used";
}

/* ---- stopped ------------------------------------------------------------------------------ */

static void write_file(const char *path, const struct bytes *bytes)
{
	FILE *file = fopen(path, "w+e");

	if (!file || fwrite(bytes->at, 1, bytes->length, file) != bytes->length || fclose(file))
		die("%s: cannot be written", path);
}

/* The image as a stop leaves it: what was fenced, @other stores in flight, and of @torn its first @part bytes. */
static void stop_at(const struct bytes *before, struct bytes *state, unsigned int fence, bool others,
		    unsigned int torn, size_t part)
{
	memcpy(state->at, before->at, before->length);
	for (unsigned int i = 0; i < journal.n; i++) {
		size_t length = journal.store[i].length;

		if (i == torn)
			length = part;
		else if (journal.store[i].fence > fence || (journal.store[i].fence == fence && !others))
			length = 0;
		memcpy(state->at + journal.store[i].offset, journal.store[i].bytes, length);
	}
}

/* Repair what a stop has left: the same is there as after a repair that was not stopped. */
static const char *repair_again(const struct damage *damage, const char *path, bool choose,
				const struct cowdax_check_summary *whole)
{
	struct cowdax_repair_options options = {
		.check = {.backup_super = damage->how == BACKUP}, .choose = choose,
	};
	struct cowdax_check_summary summary;
	static struct cowdax_error error;

	if (cowdax_repair(path, &options, &summary, &error))
		return error.text;
	if (!summary.clean || !is_clean(path))
		return "a repair after a stop leaves problems";
	return summary.inodes == whole->inodes && summary.extents == whole->extents &&
	       summary.shared_extents == whole->shared_extents && summary.nodes == whole->nodes ?
		       NULL : "a repair after a stop has lost something";
}

static const char *stop_everywhere(const struct damage *damage, const struct bytes *before, const char *path,
				   bool choose, const struct cowdax_check_summary *whole, unsigned int *stops)
{
	struct bytes state = {malloc(before->length), before->length};
	const char *why = NULL;

	if (!state.at)
		die("out of memory");
	for (unsigned int i = 0; i < journal.n && !why; i++) {
		for (unsigned int turn = 0; turn < 2 * 6 && !why; turn++, (*stops)++) {
			size_t part = journal.store[i].length * (turn / 2) / 5 & ~(size_t)7;

			stop_at(before, &state, journal.store[i].fence, turn % 2, i, part);
			write_file(path, &state);
			why = repair_again(damage, path, choose, whole);
		}
	}
	free(state.at);
	return why;
}

static bool run(const struct damage *damage, const struct image bases[2], bool choose)
{
	struct cowdax_check_summary whole = {0};
	unsigned int stops = 0;
	struct bytes before;
	struct image image;
	char path[IMAGE_PATH];
	const char *why;

	image_path(path, "repair", getpid());
	image_copy(&image, &bases[damage->base]);
	damage->apply(&image);
	image_store(&image, path, 0);
	image_free(&image);
	before = read_file(path);
	why = judge(damage, &before, path, choose, &whole);
	if (!why && journal.n)
		why = stop_everywhere(damage, &before, path, choose, &whole, &stops);
	if (!why && journal.n)
		printf("%s, %s: %u stores, %u fences; %u stops, after each of which another repair mends it\n",
		       damage->what, choose ? "-y" : "-p", journal.n, journal.fences, stops);
	forget_journal();
	if (why)
		printf("FAIL %s (%s), %s: %s\n", damage->what, damage->code, choose ? "-y" : "-p", why);
	free(before.at);
	unlink(path);
	return !why;
}

/* ---- beside other damage ------------------------------------------------------------------ */

static const struct damage *find_damage(const char *what)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct damage *damage = tables[t]; damage->what; damage++)
			if (strcmp(damage->what, what) == 0)
				return damage;
	die("no damage '%s'", what);
}

/* Both at once: one problem is mended, or nothing is stored. */
static bool run_beside(const char *what, const char *beside, bool is_mended_too, const struct image bases[2])
{
	const struct damage *damage = find_damage(what), *other = find_damage(beside);
	struct outcome outcome = {0};
	struct cowdax_repair_options options = {.check = {.problem = note_problem, .problem_arg = &outcome}};
	struct cowdax_check_summary summary;
	struct cowdax_error error;
	struct bytes before;
	struct image image;
	char path[IMAGE_PATH];
	bool good;

	image_path(path, "repair", getpid());
	image_copy(&image, &bases[other->base]);
	other->apply(&image);
	damage->apply(&image);
	image_store(&image, path, 0);
	image_free(&image);
	before = read_file(path);
	good = cowdax_repair(path, &options, &summary, &error) == 0 && !summary.clean && outcome.left &&
	       (outcome.fixed == 1) == is_mended_too && has_bytes(path, &before) == !is_mended_too;
	if (!good)
		printf("FAIL %s, and %s: %u fixed, %u left\n", what, beside, outcome.fixed, outcome.left);
	free(before.at);
	unlink(path);
	return good;
}

int main(void)
{
	char path[IMAGE_PATH];
	unsigned int failed = 0, number = 0;
	struct image bases[2];

	cowdax_catch_faults();
	image_path(path, "repair", getpid());
	load_bases(bases, path);
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct damage *damage = tables[t]; damage->what; damage++) {
			/* Where the media goes while it is checked there is nothing to compare with. */
			if (damage->how == LOSE_MEDIA || damage->how == LOSE_SLOTS || damage->how == AT_OFFSET)
				continue;
			for (int choose = 0; choose < 2; choose++, number++)
				failed += !run(damage, bases, choose);
		}
	}
	/* Superblocks are mended all the same; a commit would build on what is damaged. */
	failed += !run_beside("superblock damaged", "node without magic", true, bases);
	failed += !run_beside("backup superblock damaged", "node without magic", true, bases);
	failed += !run_beside("newest slot void, its mirror whole", "node without magic", false, bases);
	failed += !run_beside("older slot void, and its mirror", "node without magic", false, bases);
	failed += !run_beside("a free grain too many on record", "node without magic", false, bases);
	/* No count makes that good, and without a space tree nobody has said so yet. */
	failed += !run_beside("no space tree", "node in a file's block", false, bases);
	for (int base = PLAIN; base <= DEEP; base++)
		image_free(&bases[base]);
	printf("%u repairs, %u failures\n", number, failed);
	return failed != 0;
}
