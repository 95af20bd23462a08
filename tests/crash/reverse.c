// SPDX-License-Identifier: GPL-2.0-or-later
/* Two special courts: for the image before the newest, and for one that is being made. */
#include <stdio.h>
#include <string.h>

#include "api/image.h"
#include "judge.h"
#include "operation.h"
#include "use.h"

#define BEGUN UINT64_C(0x626567756e)
#define NOT_BEGUN UINT64_C(0x6f6c64)
#define OLDER UINT64_C(0x6265666f7265)
#define BACKUP UINT64_C(0x6261636b7570)

static bool fail(struct judge *judge, const char *what, const char *reason)
{
	snprintf(judge->why, sizeof(judge->why), "%s: %s", what, reason);
	return false;
}

/* Checked but for the one kind of problem that has been caused. */
struct except { const char *prefix; bool bad; struct judge *judge; };

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct except *except = arg;

	if (except->bad || problem->severity == COWDAX_NOTE ||
	    strncmp(problem->code, except->prefix, strlen(except->prefix)) == 0)
		return;
	except->bad = true;
	fail(except->judge, problem->code, problem->message);
}

static bool check_except(struct judge *judge, const char *prefix)
{
	struct except except = {.prefix = prefix, .judge = judge};
	struct cowdax_check_options options = {.problem = note_problem, .problem_arg = &except};
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};

	if (cowdax_check(media_path(), &options, &summary, &error))
		return fail(judge, "fsck cannot run", error.text);
	return !except.bad;
}

static bool look(struct judge *judge, unsigned int flags, uint64_t *content)
{
	struct cowdax_error error = {0};

	if (content_look(flags, &judge->found, &error))
		return fail(judge, "it cannot be read", error.text);
	*content = judge->found.hash;
	return true;
}

/* ---- the image before ------------------------------------------------------------ */

static bool look_at_older(struct judge *judge, uint64_t *content)
{
	const struct cdx_pmem pm = {.base = media_bytes(), .length = media_length()};
	struct cdx_super super;
	struct cdx_slots slots;
	size_t mark = media_mark();
	bool good = true;
	int parity;

	*content = CONTENT_VOID;
	if (cdx_super_decode(&super, (const void *)media_bytes(), "", NULL) ||
	    cdx_slots_read(&pm, &super, &slots))
		return fail(judge, "slots", "none is valid");
	parity = get64(cdx_slots_newest(&slots)->commit.transaction) & 1;
	if (!slots.valid[!parity][0] && !slots.valid[!parity][1])
		return true;		/* mkfs has been the last, and the first */
	media_poke(cdx_slot_offset(&super, parity, false) / 8, 0);
	media_poke(cdx_slot_offset(&super, parity, true) / 8, 0);
	good = check_except(judge, "slot-") && look(judge, 0, content);
	media_revert(mark);
	return good;
}

bool judge_older(struct judge *judge, uint64_t *content)
{
	if (judge_knows(judge, OLDER, content))
		return true;
	if (!look_at_older(judge, content))
		return false;
	judge_note(judge, OLDER, *content);
	return true;
}

/* ---- an image that is being made ---------------------------------------------------- */

static bool super_valid(uint64_t offset)
{
	struct cdx_super super;

	return cdx_super_decode(&super, (const void *)(media_bytes() + offset), "", NULL) == 0;
}

static bool can_be_made(struct judge *judge)
{
	struct cowdax_mkfs_options options;
	struct cowdax_error error = {0};
	bool good;

	setup_options(&options);
	options.seed = 3;
	media_record(&judge->journal);
	good = cowdax_mkfs(media_path(), &options, NULL, &error) == 0;
	media_record(NULL);
	if (good)
		good = check_image(false, NULL, judge->why, sizeof(judge->why));
	else
		fail(judge, "mkfs once more", error.text);
	media_undo(&judge->journal);
	journal_empty(&judge->journal);
	return good;
}

/* What the primary superblock shows. */
static bool judge_primary(struct judge *judge, bool begun, uint64_t *content)
{
	if (!begun)
		return check_except(judge, "super-backup") && look(judge, 0, content);
	return check_image(true, NULL, judge->why, sizeof(judge->why)) && look(judge, 0, content) &&
	       judge_use(judge, *content);
}

bool judge_remake(struct judge *judge, bool begun, uint64_t *content, uint64_t *backup)
{
	uint64_t rules = begun ? BEGUN : NOT_BEGUN;
	struct cowdax_error error;

	if (judge_knows(judge, rules, content) && judge_knows(judge, rules ^ BACKUP, backup))
		return true;
	*content = CONTENT_VOID;
	*backup = CONTENT_VOID;
	if (super_valid(0) && !judge_primary(judge, begun, content))
		return false;
	/* Without one, a backup may be found of itself, wherever that ends. */
	if (!super_valid(0) && content_look(0, &judge->found, &error) == 0)
		*content = judge->found.hash;
	if (content_look(COWDAX_BACKUP_SUPER, &judge->found, &error) == 0)
		*backup = judge->found.hash;
	else if (super_valid(media_length() - CDX_SUPER_SIZE))
		return fail(judge, "by its backup superblock it cannot be read", error.text);
	if (!can_be_made(judge))
		return false;
	judge_count(judge, rules, *content);
	judge_note(judge, rules ^ BACKUP, *backup);
	return true;
}
