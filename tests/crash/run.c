// SPDX-License-Identifier: GPL-2.0-or-later
#include "run.h"

#include <inttypes.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "file.h"
#include "api/image.h"
#include "media.h"
#include "writeback.h"

#define TIME_LIMIT 5		/* seconds, of a test, where msync() or the machine is slow */

/* ---- telling ---------------------------------------------------------------------------- */

static _Noreturn void bad(struct run *run, const char *why)
{
	unit_note("%s on %s, %s %u: %s", run->operation, run->setup,
		  run->done ? "after its last msync(), number" : "at msync() number", run->msyncs, why);
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

static _Noreturn void bad_state(struct run *run, const char *why)
{
	unit_note("of what has been stored:");
	writeback_print(stdout);
	bad(run, why);
}

void run_say(const struct run *run)
{
	unit_note("%u calls of msync()", run->all_msyncs);
	if (run->left_out)
		unit_note("%u operations left out for want of time", run->left_out);
	if (run->judge_state)
		unit_note("%" PRIu64 " states built, %" PRIu64 " of them different (%" PRIu64 " after a second crash)",
			  run->states, run->judge.judged, run->judge.nested);
}

/* ---- judging ---------------------------------------------------------------------------- */

void run_judge_files(void *arg)
{
	struct run *run = arg;
	uint64_t content;

	run->states++;
	if (!judge_state(&run->judge, &content))
		bad_state(run, run->judge.why);
	if (content == run->after || (!run->done && (content == run->before[0] || content == run->before[1])))
		return;
	bad_state(run, run->done ? "it has returned, and files are not as after it" :
				   "files are neither as before nor as after");
}

/* The new filesystem or, unless all has been done, none; or the old one while that is not void. */
static bool may_show(const struct run *run, uint64_t content)
{
	return content == run->after || (!run->done && content == CONTENT_VOID) ||
	       (!run->begun && content == run->before[0]);
}

void run_judge_making(void *arg)
{
	struct run *run = arg;
	uint64_t content, backup;

	run->states++;
	if (!judge_remake(&run->judge, run->begun, &content, &backup))
		bad_state(run, run->judge.why);
	if (!may_show(run, content))
		bad_state(run, "it is neither void nor the new filesystem");
	if (!may_show(run, backup))
		bad_state(run, "the backup superblock shows what is neither void nor the new filesystem");
}

bool run_super_void(uint64_t super)
{
	return memcmp(media_bytes() + super, CDX_SUPER_MAGIC, 8) != 0;
}

static void look(struct run *run)
{
	const char *why;

	run->begun = run->begun || (run_super_void(0) && run_super_void(media_length() - CDX_SUPER_SIZE));
	writeback_look();
	why = writeback_order();
	if (why)
		bad(run, why);
	if (run->judge_state)
		writeback_try(run->judge_state, run, run->all_msyncs);
}

static void before_msync(void *arg)
{
	struct run *run = arg;

	run->msyncs++;
	run->all_msyncs++;
	look(run);
}

static void after_msync(void *arg, uint64_t first, uint64_t end)
{
	(void)arg;
	writeback_land(first, end);
}

static void watch(struct run *run)
{
	static struct file_watch watching = {.before = before_msync, .after = after_msync};

	watching.arg = run;
	file_trace(&watching);
}

void run_start(struct run *run)
{
	run->done = false;
	run->msyncs = 0;
	writeback_disown();
	watch(run);
}

/* What has been done must be durable; what has failed must have changed nothing. */
void run_finish(struct run *run, int ret)
{
	const char *why = ret ? NULL : writeback_settled(false);

	if (ret && !operation_may_fail(ret))
		bad(run, strerror(-ret));
	if (ret && run->after != run->before[0])
		bad(run, "it failed where it need not");
	if (why)
		bad(run, why);
	run->done = true;
	look(run);
	file_trace(NULL);
}

void run_close(struct run *run, struct cowdax *fs)
{
	const char *why;

	watch(run);
	cowdax_close(fs);
	why = writeback_settled(true);
	if (why)
		bad(run, why);
	file_trace(NULL);
}

/* ---- images -------------------------------------------------------------------------------- */

struct run run_new(void (*judge)(void *run))
{
	unsetenv("PMEM_IS_PMEM_FORCE");
	media_make(LONGEST_IMAGE);
	file_make();
	if (file_is_dax())
		unit_skip("the folder is on a DAX filesystem");
	return (struct run){
		.judge_state = judge,
		.deadline = time(NULL) + TIME_LIMIT,
		.judge.options = {.nested = 8, .seed = 1},
	};
}

void run_make_image(struct run *run, const struct setup *setup)
{
	run->setup = setup->name;
	run->judge.options.full = setup->full;
	media_resize(setup->length);
	setup->make();
	media_forget(mix(++run->images, 1));
	file_load();
	writeback_forget();
}

void run_restore_image(size_t mark)
{
	media_revert(mark);
	file_load();
	writeback_forget();
}

struct cowdax *run_open_file(void)
{
	struct cowdax_error error = {0};
	struct cowdax_info info;
	struct cowdax *fs;

	if (cowdax_open(file_path(), NULL, &fs, &error) || cowdax_info(fs, &info, &error))
		die("%s", error.text);
	CHECK_EQUAL(info.mapping, COWDAX_MAPPING_PAGE_CACHE);
	return fs;
}

uint64_t run_media_content(void)
{
	struct cowdax_error error = {0};
	struct content content;

	if (content_look(0, &content, &error))
		die("%s", error.text);
	return content.hash;
}

void run_foresee(struct run *run, int (*operate)(struct cowdax *fs))
{
	struct journal journal = {0};
	size_t mark = media_mark();
	struct cowdax *fs;

	writeback_land_all();
	run->before[0] = run_media_content();
	media_record(&journal);
	if (cowdax_open(media_path(), NULL, &fs, NULL))
		die("cannot open the media");
	operate(fs);
	cowdax_close(fs);
	media_record(NULL);
	run->after = run_media_content();
	media_undo(&journal);
	journal_free(&journal);
	media_revert(mark);
}

bool run_out_of_time(struct run *run)
{
	if (time(NULL) <= run->deadline)
		return false;
	run->left_out++;
	return true;
}
