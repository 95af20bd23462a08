/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An iomap, and one turn of the two-map iterator, as a row of a table and as JSON. */
#include "iomap_print.h"

#include <inttypes.h>

#include "json.h"

const char *iomap_type_name(enum cowdax_iomap_type type)
{
	switch (type) {
	case COWDAX_HOLE:
		return "hole";
	case COWDAX_MAPPED:
		return "mapped";
	case COWDAX_UNWRITTEN:
		return "unwritten";
	}
	return "unknown";
}

static void json_flags(struct json *json, unsigned int flags)
{
	json_open(json, "flags", '[');
	if (flags & COWDAX_IOMAP_NEW)
		json_string(json, NULL, "new");
	if (flags & COWDAX_IOMAP_SHARED)
		json_string(json, NULL, "shared");
	json_close(json, ']');
}

const char *iomap_flags_text(unsigned int flags)
{
	static const char *const texts[] = { "-", "new", "shared", "new,shared" };

	return texts[flags & (COWDAX_IOMAP_NEW | COWDAX_IOMAP_SHARED)];
}

void iomap_json(struct json *json, const struct cowdax_iomap *map)
{
	json_number(json, "offset", map->offset);
	json_number(json, "length", map->length);
	if (map->type == COWDAX_HOLE)
		json_null(json, "address");
	else
		json_number(json, "address", map->address);
	json_string(json, "type", iomap_type_name(map->type));
	json_flags(json, map->flags);
}

static void json_member(struct json *json, const char *key, const struct cowdax_iomap *map)
{
	json_open(json, key, '{');
	iomap_json(json, map);
	json_close(json, '}');
}

/* A read has no destination: its steps carry an empty one. */
void iomap_json_step(struct json *json, const struct cowdax_step *step)
{
	json_open(json, NULL, '{');
	json_number(json, "offset", step->offset);
	json_number(json, "length", step->length);
	if (step->destination.length)
		json_member(json, "destination", &step->destination);
	else
		json_null(json, "destination");
	if (step->has_source)
		json_member(json, "source", &step->source);
	else
		json_null(json, "source");
	json_close(json, '}');
}

static void table_iomap(FILE *out, const char *role, const struct cowdax_iomap *map)
{
	char address[24] = "-";

	if (map->type != COWDAX_HOLE)
		snprintf(address, sizeof(address), "%" PRIu64, map->address);
	fprintf(out, "  %-11s %14" PRIu64 " %14" PRIu64 " %14s  %-9s  %s\n", role, map->offset,
		map->length, address, iomap_type_name(map->type), iomap_flags_text(map->flags));
}

void iomap_table_step(FILE *out, const struct cowdax_step *step)
{
	fprintf(out, "%14" PRIu64 " %14" PRIu64, step->offset, step->length);
	if (step->destination.length)
		table_iomap(out, "destination", &step->destination);
	if (step->destination.length && step->has_source)
		fprintf(out, "%29s", "");
	if (step->has_source)
		table_iomap(out, "source", &step->source);
	if (!step->destination.length && !step->has_source)
		putc('\n', out);
}

void iomap_table_head(FILE *out)
{
	fprintf(out, "%14s %14s  %-11s %14s %14s %14s  %-9s  %s\n", "OFFSET", "LENGTH", "MAP",
		"OFFSET", "LENGTH", "ADDRESS", "TYPE", "FLAGS");
}
