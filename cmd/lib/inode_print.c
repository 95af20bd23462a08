/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attributes of an inode, as cowdax-stat and cowdax-ls print them: integers in JSON, quoted names for people. */
#include "inode_print.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "quote.h"

static const struct {
	uint32_t bits;
	char letter;
	const char *name;
} types[] = {
	{ S_IFREG, '-', "file" },	{ S_IFDIR, 'd', "directory" },
	{ S_IFLNK, 'l', "symlink" },	{ S_IFIFO, 'p', "fifo" },
	{ S_IFSOCK, 's', "socket" },	{ S_IFCHR, 'c', "character-device" },
	{ S_IFBLK, 'b', "block-device" },
};

/* The index in types[], or their number. */
static size_t find_type(uint32_t mode)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].bits == (mode & S_IFMT))
			break;
	return i;
}

const char *inode_type_name(uint32_t mode)
{
	size_t i = find_type(mode);

	return i < sizeof(types) / sizeof(*types) ? types[i].name : "unknown";
}

/* @special replaces the x of the triple whose bits are shifted down to @bits. */
static void mode_triple(char *text, uint32_t bits, bool special, char with_x)
{
	text[0] = bits & 4 ? 'r' : '-';
	text[1] = bits & 2 ? 'w' : '-';
	text[2] = bits & 1 ? 'x' : '-';
	if (special)
		text[2] = bits & 1 ? with_x : (char)toupper((unsigned char)with_x);
}

const char *inode_mode_text(uint32_t mode, char text[11])
{
	size_t type = find_type(mode);

	text[0] = type < sizeof(types) / sizeof(*types) ? types[type].letter : '?';
	mode_triple(text + 1, mode >> 6, mode & S_ISUID, 's');
	mode_triple(text + 4, mode >> 3, mode & S_ISGID, 's');
	mode_triple(text + 7, mode, mode & S_ISVTX, 't');
	text[10] = '\0';
	return text;
}

const char *inode_time_text(const struct timespec *time, char text[INODE_TIME_TEXT_MAX])
{
	char date[32], zone[8];
	struct tm tm;

	if (!localtime_r(&time->tv_sec, &tm)) {
		snprintf(text, INODE_TIME_TEXT_MAX, "%jd", (intmax_t)time->tv_sec);
		return text;
	}
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(text, INODE_TIME_TEXT_MAX, "%s.%09ld %s", date, time->tv_nsec, zone);
	return text;
}

void inode_json_attributes(struct json *json, const struct cowdax_stat *st)
{
	json_number(json, "mode", st->mode & ~(uint32_t)S_IFMT);
	json_number(json, "uid", st->uid);
	json_number(json, "gid", st->gid);
	json_number(json, "nlink", st->nlink);
	json_number(json, "size", st->size);
}

void inode_print_name(const char *name)
{
	if (isatty(STDOUT_FILENO))
		quote_print(stdout, name);
	else
		fputs(name, stdout);
}
