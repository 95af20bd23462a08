/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An entry as a line of ls(1) or as an object, with as much of its inode as was asked for. */
#include "entry_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "inode_print.h"
#include "json.h"
#include "number.h"

static void print_details(const struct cowdax_stat *st, bool human)
{
	char mode[11], time[INODE_TIME_TEXT_MAX], size[NUMBER_TEXT_MAX];

	inode_time_text(&st->mtime, time);
	time[strlen("YYYY-MM-DD hh:mm")] = '\0';
	if (human)
		number_brief(st->size, size);
	else
		snprintf(size, sizeof(size), "%" PRIu64, st->size);
	printf("%s %3" PRIu32 " %5" PRIu32 " %5" PRIu32 " %*s %s ", inode_mode_text(st->mode, mode),
	       st->nlink, st->uid, st->gid, human ? 5 : 12, size, time);
}

static void print_json(struct json *json, const struct entry *entry, const struct cowdax_stat *st)
{
	json_open(json, NULL, '{');
	json_name(json, "path", entry->path, strlen(entry->path));
	json_name(json, "name", entry->name, strlen(entry->name));
	json_number(json, "inode", entry->inode);
	json_string(json, "type", inode_type_name(entry->type));
	if (st) {
		inode_json_attributes(json, st);
		json_time(json, "mtime", &st->mtime);
	}
	json_close(json, '}');
}

void entry_print(const struct entry_style *style, const struct entry *entry,
		 const struct cowdax_stat *st)
{
	if (style->json) {
		print_json(style->json, entry, style->details ? st : NULL);
		return;
	}
	if (style->inodes)
		printf("%10" PRIu64 " ", entry->inode);
	if (style->details)
		print_details(st, style->human);
	inode_print_name(entry->name);
	putchar(style->end);
}
