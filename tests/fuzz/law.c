/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law that every image is held to, whole or damaged (see fuzz.h): what the checker
 * says before and after, what each call returns, the bytes of files that nothing was done
 * to, a reader's view beside the writer, the bytes outside the filesystem, and that a dry
 * run stores nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define OFFSET 4608			/* where the filesystem starts in its file */
#define MARGIN 4096			/* bytes behind it */
#define FILLER 0xa7
#define MAX_FILES 200
#define MAX_DEPTH 12
#define MAX_CODES 64
#define READ_MOST (UINT64_C(4) << 20)	/* of a file, from its start */
#define PIECE 20000

struct file_state {
	char path[1024];
	uint64_t inode, size, hash;
	int ret;			/* of reading it */
	bool directory;			/* its size follows what is in it */
	bool touched;
};

struct files {
	struct file_state *file;
	unsigned int count, depth;
	struct cowdax *fs;
	char path[1024];
	int ret;			/* of listing */
};

struct verdict {
	bool opened, clean;
	const char *codes[MAX_CODES];	/* of all but notes, each once */
	unsigned int count;
};

struct law {
	const char *path;
	struct draw *draw;
	struct verdict before, after;
	struct files files;
	bool could_open;		/* before anything was done */
	struct cowdax *fs;
	struct cowdax_error error;
	char buffer[PIECE];
	uint64_t stream_left;
	unsigned int made;
};

/* The process judges one image at a time, and says why in here. */
static char breach_text[700];

static const char *breach(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *breach(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(breach_text, sizeof(breach_text), format, args);
	va_end(args);
	return breach_text;
}

static uint64_t below(struct law *law, uint64_t limit)
{
	return draw_below(law->draw, limit);
}

/* ---- the image's file ------------------------------------------------------------------ */

static void store_case(const struct image *image, const char *path)
{
	unsigned char margin[OFFSET > MARGIN ? OFFSET : MARGIN];
	FILE *file;

	memset(margin, FILLER, sizeof(margin));
	image_store(image, path, OFFSET);
	file = fopen(path, "r+b");
	if (!file || fwrite(margin, OFFSET, 1, file) != 1 ||
	    fseek(file, (long)(OFFSET + image->size), SEEK_SET) || fwrite(margin, MARGIN, 1, file) != 1 ||
	    fclose(file))
		die("%s: cannot write", path);
}

/* Whether the file has these bytes, or, without any, as much filler. */
static bool file_has(int fd, uint64_t offset, const unsigned char *expected, size_t length)
{
	static unsigned char found[65536], filler[65536];

	memset(filler, FILLER, expected ? 0 : sizeof(filler));
	for (size_t done = 0, part; done < length; done += part) {
		part = length - done < sizeof(found) ? length - done : sizeof(found);
		if (pread(fd, found, part, (off_t)(offset + done)) != (ssize_t)part ||
		    memcmp(found, expected ? expected + done : filler, part) != 0)
			return false;
	}
	return true;
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s: cannot read", path);
	return fd;
}

static const char *margins_stand(const struct image *image, const char *path)
{
	int fd = open_file(path);
	bool stand = lseek(fd, 0, SEEK_END) == (off_t)(OFFSET + image->size + MARGIN) &&
		     file_has(fd, 0, NULL, OFFSET) && file_has(fd, OFFSET + image->size, NULL, MARGIN);

	close(fd);
	return stand ? NULL : breach("bytes outside of the filesystem changed");
}

static bool image_stands(const struct image *image, const char *path)
{
	int fd = open_file(path);
	bool stands = file_has(fd, OFFSET, image->bytes, image->size);

	close(fd);
	return stands;
}

/* ---- verdicts --------------------------------------------------------------------------- */

static void note_problem(void *arg, const struct cowdax_problem *problem)
{
	struct verdict *verdict = arg;

	if (problem->severity == COWDAX_NOTE)
		return;
	for (unsigned int i = 0; i < verdict->count; i++) {
		if (strcmp(verdict->codes[i], problem->code) == 0)
			return;
	}
	if (verdict->count < MAX_CODES)
		verdict->codes[verdict->count++] = problem->code;
}

static const char *check(const char *path, struct verdict *verdict)
{
	struct cowdax_check_options options = {
		.fs_offset = OFFSET, .problem = note_problem, .problem_arg = verdict};
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};
	int ret;

	*verdict = (struct verdict){0};
	ret = cowdax_check(path, &options, &summary, &error);
	verdict->opened = ret == 0;
	verdict->clean = ret == 0 && summary.clean;
	if (ret && !error.text[0])
		return breach("the checker failed without saying why (%s)", strerror(-ret));
	if (!ret && verdict->clean != (verdict->count == 0))
		return breach("clean or not, yet %u problems", verdict->count);
	return NULL;
}

static bool has_code(const struct verdict *verdict, const char *code)
{
	for (unsigned int i = 0; i < verdict->count; i++) {
		if (strcmp(verdict->codes[i], code) == 0)
			return true;
	}
	return false;
}

/*
 * Where counts, reserves or limbo are wrong, space in use passes for free; where a directory has two
 * names, or one although it is a removed tree by all that is said of itself, its files go by the
 * other way.  No writer can know without the whole check: then only crashes, hangs and stores
 * outside count.
 */
static bool space_is_trusted(const struct verdict *verdict)
{
	static const char *const stems[] = {"refcount-", "space-", "reserve-", "limbo-", "free-", "node-",
					    "slot-", "staging-", "media-", "amend-", "dir-links", "orphan-linked"};

	for (unsigned int i = 0; i < verdict->count; i++) {
		for (size_t s = 0; s < sizeof(stems) / sizeof(stems[0]); s++) {
			if (strncmp(verdict->codes[i], stems[s], strlen(stems[s])) == 0)
				return false;
		}
	}
	return verdict->opened;
}

/* ---- files ------------------------------------------------------------------------------- */

struct hash {
	uint64_t value, left;
};

static int hash_bytes(void *arg, const void *bytes, size_t length)
{
	struct hash *hash = arg;
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length && hash->left; i++, hash->left--)
		hash->value = (hash->value ^ at[i]) * UINT64_C(0x100000001b3);
	return hash->left ? 0 : -ECANCELED;
}

static void read_file(struct cowdax *fs, struct file_state *file)
{
	struct hash hash = {UINT64_C(0xcbf29ce484222325), READ_MOST};
	struct cowdax_stat st;

	file->ret = cowdax_stat(fs, file->inode, &st, NULL);
	if (file->ret)
		return;
	file->directory = S_ISDIR(st.mode);
	file->size = file->directory ? 0 : st.size;
	if (S_ISREG(st.mode))
		file->ret = cowdax_read_to(fs, file->inode, 0, READ_MOST, hash_bytes, &hash, NULL);
	if (file->ret == -ECANCELED)
		file->ret = 0;
	file->hash = hash.value;
}

static int note_entry(void *arg, const struct cowdax_dirent *entry)
{
	struct files *files = arg;
	size_t length = strlen(files->path);
	struct file_state *file;

	if (files->count >= MAX_FILES)
		return 0;
	if (length + entry->name_length + 2 >= sizeof(files->path))
		return 0;
	files->path[length] = '/';
	memcpy(files->path + length + 1, entry->name, entry->name_length);
	files->path[length + 1 + entry->name_length] = '\0';
	file = &files->file[files->count++];
	*file = (struct file_state){.inode = entry->inode};
	memcpy(file->path, files->path, sizeof(file->path));
	read_file(files->fs, file);
	if (S_ISDIR(entry->type) && files->depth < MAX_DEPTH) {
		int ret;

		files->depth++;
		ret = cowdax_list(files->fs, entry->inode, note_entry, files, NULL);
		files->ret = ret < 0 ? ret : files->ret;
		files->depth--;
	}
	files->path[length] = '\0';
	return 0;
}

static void collect(struct files *files, struct cowdax *fs)
{
	files->fs = fs;
	files->count = files->depth = 0;
	files->path[0] = '\0';
	files->ret = cowdax_list(fs, COWDAX_ROOT_INODE, note_entry, files, NULL);
}

static void touch(struct law *law, const char *path)
{
	size_t length = strlen(path);
	uint64_t inode = 0;

	for (unsigned int i = 0; i < law->files.count; i++) {
		struct file_state *file = &law->files.file[i];

		if (strncmp(file->path, path, length) == 0 &&
		    (file->path[length] == '\0' || file->path[length] == '/')) {
			file->touched = true;
			inode = file->path[length] ? inode : file->inode;
		}
	}
	for (unsigned int i = 0; i < law->files.count; i++) {
		if (law->files.file[i].inode == inode)
			law->files.file[i].touched = true;
	}
}

static const char *compare_file(struct cowdax *fs, const struct file_state *before, const char *who)
{
	struct file_state now = {.inode = before->inode};

	if (before->ret)
		return NULL;
	read_file(fs, &now);
	if (now.ret)
		return breach("%s: %s cannot be read any more: %s", who, before->path, strerror(-now.ret));
	if (now.size != before->size || now.hash != before->hash)
		return breach("%s: %s has other bytes though nothing was done to it", who, before->path);
	return NULL;
}

static const char *untouched_stand(struct law *law)
{
	struct cowdax_open_options options = {.flags = COWDAX_RDONLY | COWDAX_NO_WAIT, .fs_offset = OFFSET};
	struct cowdax *fs;
	const char *wrong = NULL;

	if (cowdax_open(law->path, &options, &fs, &law->error))
		return breach("it cannot be opened any more: %s", law->error.text);
	for (unsigned int i = 0; i < law->files.count && !wrong; i++) {
		uint64_t inode;

		if (law->files.file[i].touched)
			continue;
		if (cowdax_lookup(fs, law->files.file[i].path, &inode, NULL) == 0 &&
		    inode != law->files.file[i].inode)
			continue;	/* one of two entries of that name */
		wrong = compare_file(fs, &law->files.file[i], "afterwards");
	}
	cowdax_close(fs);
	return wrong;
}

/* ---- operations --------------------------------------------------------------------------- */

static const char *some_path(struct law *law)
{
	static const char *const none = "/nothing";

	return law->files.count ? law->files.file[below(law, law->files.count)].path : none;
}

static uint64_t some_offset(struct law *law)
{
	switch (below(law, 4)) {
	case 0:
		return below(law, 1 << 17);
	case 1:
		return below(law, 64) * 4096;
	case 2:
		return (UINT64_C(1) << 62) - 65536 - below(law, 70000);
	default:
		return below(law, 4096);
	}
}

static ssize_t stream_bytes(void *arg, void *buffer, size_t length)
{
	struct law *law = arg;

	if (length > law->stream_left)
		length = law->stream_left;
	memset(buffer, 'S', length);
	law->stream_left -= length;
	return (ssize_t)length;
}

static int with_inode(struct law *law, const char *path, int (*fn)(struct law *, uint64_t))
{
	uint64_t inode;
	int ret = cowdax_lookup(law->fs, path, &inode, &law->error);

	return ret ? ret : fn(law, inode);
}

static int op_write(struct law *law, uint64_t inode)
{
	struct cowdax_result result = {0};

	return cowdax_write(law->fs, inode, law->buffer, 1 + below(law, PIECE), some_offset(law), &result,
			    &law->error);
}

static int op_truncate(struct law *law, uint64_t inode)
{
	struct cowdax_result result = {0};

	return cowdax_truncate(law->fs, inode, some_offset(law), &result, &law->error);
}

static int op_fallocate(struct law *law, uint64_t inode)
{
	struct cowdax_result result = {0};

	return cowdax_fallocate(law->fs, inode, (enum cowdax_fallocate_mode)below(law, 4), some_offset(law),
				1 + below(law, 1 << 16), below(law, 2), &result, &law->error);
}

static int ignore_extent(void *arg, const struct cowdax_extent *extent)
{
	unsigned int *count = arg;

	(void)extent;
	return ++*count > 5000;
}

static int op_look(struct law *law, uint64_t inode)
{
	struct cowdax_stat st;
	struct cowdax_info info;
	unsigned int count = 0;
	int ret;

	switch (below(law, 3)) {
	case 0:
		ret = cowdax_map(law->fs, inode, 0, COWDAX_TO_END, ignore_extent, &count, &law->error);
		return ret > 0 ? 0 : ret;
	case 1:
		return cowdax_stat_blocks(law->fs, inode, &st, &law->error);
	default:
		ret = cowdax_info(law->fs, &info, &law->error);
		return ret ? ret : cowdax_info_hidden(law->fs, &info, &law->error);
	}
}

static int op_stream(struct law *law, const char *path)
{
	struct cowdax_write_request request = {
		.path = path,
		.offset = below(law, 100000),
		.append = below(law, 4) == 0,
		.truncate = below(law, 4) == 0,
		.length = COWDAX_TO_END,
		.source = stream_bytes,
		.source_arg = law,
	};
	struct cowdax_result result = {0};

	law->stream_left = below(law, 1500000);
	return cowdax_write_stream(law->fs, &request, &result, &law->error);
}

/* A name that nothing has yet. */
static const char *new_name(struct law *law, char *name, size_t size)
{
	snprintf(name, size, "/law-%u", law->made++);
	return name;
}

static int op_clone(struct law *law)
{
	char name[32];
	const char *from = some_path(law), *to = below(law, 2) ? some_path(law) : new_name(law, name, sizeof(name));
	struct cowdax_result result = {0};

	touch(law, to);
	if (below(law, 2))
		return cowdax_clone(law->fs, from, to, &result, &law->error);
	return cowdax_clone_range(law->fs, from, 0, to, 0, COWDAX_TO_END, &result, &law->error);
}

static int op_make(struct law *law)
{
	char name[32], deep[64];
	uint64_t inode;

	new_name(law, name, sizeof(name));
	if (below(law, 2))
		return cowdax_create(law->fs, name, 0644, &inode, &law->error);
	snprintf(deep, sizeof(deep), "%s/a/b", name);
	return cowdax_mkdir(law->fs, deep, 0755, true, &law->error);
}

static int op_remove(struct law *law)
{
	const char *path = some_path(law);

	touch(law, path);
	return cowdax_remove(law->fs, path, below(law, 4) != 0, &law->error);
}

static int op_on_file(struct law *law)
{
	static int (*const ops[])(struct law *, uint64_t) = {op_write, op_truncate, op_fallocate};
	const char *path = some_path(law);

	touch(law, path);
	return with_inode(law, path, ops[below(law, 3)]);
}

static int one_operation(struct law *law, const char **name, bool nested)
{
	const char *path;

	switch (below(law, nested ? 6 : 8)) {
	case 0:
		*name = "clone";
		return op_clone(law);
	case 1:
		*name = "make";
		return op_make(law);
	case 2:
		*name = "remove";
		return op_remove(law);
	case 3:
		*name = "look";
		return with_inode(law, some_path(law), op_look);
	case 4:
	case 5:
		*name = "change";
		return op_on_file(law);
	default:
		*name = "stream";
		path = some_path(law);
		touch(law, path);
		return op_stream(law, path);
	}
}

/* What may be said of a whole image: of names and arguments, and that it is full. */
static bool is_refusal(int ret)
{
	switch (-ret) {
	case EEXIST: case ENOENT: case ENOTDIR: case EISDIR: case ENOTEMPTY: case EINVAL: case EFBIG:
	case ENOSPC: case EBUSY: case EMLINK: case EOVERFLOW: case ENAMETOOLONG: case EPERM:
		return true;
	default:
		return false;
	}
}

static const char *judge_return(struct law *law, const char *name, int ret)
{
	if (ret >= 0)
		return NULL;
	if (!law->error.text[0])
		return breach("%s failed (%s) without saying why", name, strerror(-ret));
	if (law->before.clean && !is_refusal(ret))
		return breach("%s failed on a clean image: %s", name, law->error.text);
	return NULL;
}

static const char *explicit_transaction(struct law *law)
{
	const char *name = "begin", *wrong;
	unsigned int left = 1 + (unsigned int)below(law, 4);
	int ret = cowdax_begin(law->fs, &law->error);

	wrong = judge_return(law, name, ret);
	if (ret || wrong)
		return wrong;
	while (left-- && ret >= 0 && !wrong) {
		law->error.text[0] = '\0';
		ret = one_operation(law, &name, true);
		wrong = judge_return(law, name, ret);
	}
	if (ret < 0 || wrong || below(law, 4) == 0) {
		cowdax_abort(law->fs);
		return wrong;
	}
	return judge_return(law, "commit", cowdax_commit(law->fs, &law->error));
}

static const char *operate(struct law *law, unsigned int flags)
{
	struct cowdax_open_options options = {.flags = flags | COWDAX_NO_WAIT, .fs_offset = OFFSET};
	unsigned int left = 1 + (unsigned int)below(law, 12);
	const char *wrong = NULL, *name = "open";
	int ret;

	law->error.text[0] = '\0';
	ret = cowdax_open(law->path, &options, &law->fs, &law->error);
	wrong = judge_return(law, name, ret);
	if (ret || wrong)
		return wrong;
	while (left-- && !wrong) {
		law->error.text[0] = '\0';
		if (below(law, 6) == 0) {
			wrong = explicit_transaction(law);
			continue;
		}
		ret = one_operation(law, &name, false);
		wrong = judge_return(law, name, ret);
	}
	cowdax_close(law->fs);
	return wrong;
}

/* ---- the judgement ------------------------------------------------------------------------ */

static const char *dry_run(struct law *law, const struct image *image)
{
	const char *wrong;

	if (!image_stands(image, law->path))
		return breach("looking stored something");
	wrong = operate(law, COWDAX_DRY_RUN);
	if (!wrong && !image_stands(image, law->path))
		wrong = breach("a dry run stored something");
	for (unsigned int i = 0; i < law->files.count; i++)
		law->files.file[i].touched = false;
	return wrong;
}

/* With a reader beside, which sees to its end what it saw first. */
static const char *change(struct law *law)
{
	struct cowdax_open_options options = {.flags = COWDAX_RDONLY | COWDAX_NO_WAIT, .fs_offset = OFFSET};
	bool beside = below(law, 2);
	struct cowdax *reader = NULL;
	const char *wrong;

	if (beside && cowdax_open(law->path, &options, &reader, &law->error))
		reader = NULL;
	wrong = operate(law, 0);
	for (unsigned int i = 0; reader && i < law->files.count && !wrong && space_is_trusted(&law->before); i++)
		wrong = compare_file(reader, &law->files.file[i], "the reader beside");
	if (reader)
		cowdax_close(reader);
	return wrong;
}

/*
 * The same damage, seen later.  A file with a link too many that loses its only name has that link left.
 * Where a file has bytes in blocks past its end, they are past it still when that comes to be within one.
 */
static bool is_same_damage(const struct verdict *before, const char *code)
{
	static const struct { const char *code, *was; } later[] = {
		{"inode-orphan", "inode-links"}, {"eof-not-zero", "extent-past-eof"},
	};

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(code, later[i].code) == 0 && has_code(before, later[i].was))
			return true;
	return has_code(before, code);
}

static const char *judge_after(struct law *law)
{
	const char *wrong = check(law->path, &law->after);

	if (wrong)
		return wrong;
	if (law->before.opened && !law->after.opened)
		return breach("the checker cannot open it any more");
	if (law->before.clean && !law->after.clean)
		return breach("a clean image has become damaged: %s", law->after.codes[0]);
	if (!law->could_open || !space_is_trusted(&law->before))
		return NULL;
	for (unsigned int i = 0; i < law->after.count; i++) {
		if (!is_same_damage(&law->before, law->after.codes[i]))
			return breach("it became worse: %s, after %s", law->after.codes[i],
				      law->before.count ? law->before.codes[0] : "nothing");
	}
	return untouched_stand(law);
}

/* A repair, of a copy: nothing new is wrong, what it says is so, and every file is as it was. */
static const char *repaired(struct law *law, const struct image *image)
{
	struct cowdax_open_options how = {.flags = COWDAX_RDONLY | COWDAX_NO_WAIT, .fs_offset = OFFSET};
	struct cowdax_repair_options options = {.check = {.fs_offset = OFFSET}, .choose = image->size & 8192};
	struct cowdax_check_summary summary;
	struct cowdax_error error = {0};
	const char *wrong = NULL;
	struct verdict after;
	char path[300];
	int ret;

	snprintf(path, sizeof(path), "%s.repaired", law->path);
	store_case(image, path);
	ret = cowdax_repair(path, &options, &summary, &error);
	if (ret && !error.text[0])
		wrong = breach("repairing failed without saying why (%s)", strerror(-ret));
	if (!wrong)
		wrong = check(path, &after);
	if (!wrong && law->before.opened && (!after.opened || (!ret && after.clean != summary.clean)))
		wrong = breach("after a repair the checker sees something else than that did");
	for (unsigned int i = 0; !wrong && law->before.opened && i < after.count; i++)
		if (!has_code(&law->before, after.codes[i]))
			wrong = breach("a repair made it worse: %s", after.codes[i]);
	if (!wrong && law->could_open && cowdax_open(path, &how, &law->fs, &error))
		wrong = breach("after a repair it cannot be opened: %s", error.text);
	else if (!wrong && law->could_open) {
		for (unsigned int i = 0; i < law->files.count && !wrong; i++)
			wrong = compare_file(law->fs, &law->files.file[i], "after a repair");
		cowdax_close(law->fs);
	}
	if (!wrong)
		wrong = margins_stand(image, path);
	unlink(path);
	return wrong;
}

static const char *judge(struct law *law, const struct image *image)
{
	struct cowdax_open_options options = {.flags = COWDAX_RDONLY | COWDAX_NO_WAIT, .fs_offset = OFFSET};
	const char *wrong = check(law->path, &law->before);

	if (wrong)
		return wrong;
	if (cowdax_open(law->path, &options, &law->fs, &law->error) == 0) {
		law->could_open = true;
		collect(&law->files, law->fs);
		cowdax_close(law->fs);
		if (law->before.clean && law->files.ret < 0)
			return breach("a clean image cannot be listed: %s", strerror(-law->files.ret));
		for (unsigned int i = 0; i < law->files.count; i++) {
			if (law->before.clean && law->files.file[i].ret)
				return breach("clean, yet %s cannot be read: %s", law->files.file[i].path,
					      strerror(-law->files.file[i].ret));
		}
	} else if (law->before.clean) {
		return breach("clean, yet it cannot be opened: %s", law->error.text);
	}
	wrong = repaired(law, image);
	if (!wrong)
		wrong = dry_run(law, image);
	if (!wrong)
		wrong = change(law);
	if (!wrong)
		wrong = judge_after(law);
	return wrong ? wrong : margins_stand(image, law->path);
}

const char *judge_law(const struct image *image, const char *path, struct draw *draw)
{
	struct law *law = calloc(1, sizeof(*law));
	const char *wrong;

	if (!law)
		die("out of memory");
	law->path = path;
	law->draw = draw;
	law->files.file = calloc(MAX_FILES, sizeof(*law->files.file));
	if (!law->files.file)
		die("out of memory");
	memset(law->buffer, 'L', sizeof(law->buffer));
	store_case(image, path);
	wrong = judge(law, image);
	free(law->files.file);
	free(law);
	return wrong;
}
