/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts about an image, as cowdax-info and mkfs.cowdax print them: one list of keys for both. */
#include "geometry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "number.h"
#include "quote.h"

#define UUID_TEXT_SIZE 37

static const char *uuid_text(const uint8_t uuid[16], char text[UUID_TEXT_SIZE])
{
	char *end = text;
	int i;

	for (i = 0; i < 16; i++)
		end += sprintf(end, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
			       uuid[i]);
	return text;
}

bool geometry_is_pmem(const struct cowdax_info *info)
{
	return info->mapping == COWDAX_MAPPING_DEVDAX || info->mapping == COWDAX_MAPPING_SYNC;
}

const char *geometry_durability(const struct cowdax_info *info)
{
	switch (info->mapping) {
	case COWDAX_MAPPING_DEVDAX:
	case COWDAX_MAPPING_SYNC:
		return "once a command has ended";
	case COWDAX_MAPPING_FORCED:
		return "not certain when power fails (PMEM_IS_PMEM_FORCE=1)";
	case COWDAX_MAPPING_PAGE_CACHE:
		break;
	}
	return "once a command has ended, as far as msync() reaches";
}

static const char *const feature_words[] = { "compat", "ro_compat", "incompat" };

void geometry_list_features(void)
{
	int word, bit;

	for (word = 0; word < 3; word++)
		for (bit = 0; bit < 64; bit++)
			if (cowdax_feature_name(word, bit))
				printf("%-24s %s\n", cowdax_feature_name(word, bit),
				       feature_words[word]);
}

/* Hand the name of each feature to @fn; one that has none here by its place. */
static void each_feature(const struct cowdax_info *info,
			 void (*fn)(void *arg, const char *name), void *arg)
{
	const uint64_t sets[] = { info->compat, info->ro_compat, info->incompat };
	int i;

	for (i = 0; i < 3 * 64; i++) {
		const char *name = cowdax_feature_name(i / 64, i % 64);
		char place[32];

		if (!(sets[i / 64] >> i % 64 & 1))
			continue;
		snprintf(place, sizeof(place), "%s_%d", feature_words[i / 64], i % 64);
		fn(arg, name ? name : place);
	}
}

static void print_feature(void *arg, const char *name)
{
	(void)arg;
	printf(" %s", name);
}

static void json_feature(void *json, const char *name)
{
	json_string(json, NULL, name);
}

void geometry_print(const struct cowdax_info *info)
{
	char text[NUMBER_TEXT_MAX], uuid[UUID_TEXT_SIZE];

	printf("UUID:         %s\n", uuid_text(info->uuid, uuid));
	printf("label:        ");
	quote_print(stdout, *info->label ? info->label : "-");
	printf("\nsize:         %" PRIu64 " (%s)\n", info->size, number_human(info->size, text));
	printf("block size:   %" PRIu32 " (nodes of %" PRIu32 ")\n", info->block_size,
	       info->node_size);
	printf("blocks:       %" PRIu64 "\n", info->blocks);
	printf("free:         %" PRIu64 " (%" PRIu64 " of them held in reserve)\n",
	       info->free_blocks, info->reserved_blocks);
	printf("available:    %" PRIu64 "\n", info->available_blocks);
	printf("limbo:        %" PRIu64 "\n", info->limbo_blocks);
	printf("shared:       %" PRIu64 "\n", info->shared_blocks);
	if (info->hidden_blocks == UINT64_MAX)
		printf("hidden:       not counted (see --hidden)\n");
	else
		printf("hidden:       %" PRIu64 "\n", info->hidden_blocks);
	printf("inodes:       %" PRIu64 "\n", info->inodes);
	if (info->transaction)
		printf("transaction:  %" PRIu64 "\n", info->transaction);
	printf("features:    %s", info->compat | info->ro_compat | info->incompat ? "" : " none");
	each_feature(info, print_feature, NULL);
	printf("\nmapping:      %s (%s)\n", cowdax_mapping_name(info->mapping),
	       geometry_is_pmem(info) ? "persistent memory" : "not persistent memory");
	printf("durable:      %s\n", geometry_durability(info));
}

void geometry_print_json(struct json *json, const struct cowdax_info *info)
{
	char uuid[UUID_TEXT_SIZE];

	json_string(json, "uuid", uuid_text(info->uuid, uuid));
	if (*info->label)
		json_name(json, "label", info->label, strlen(info->label));
	else
		json_null(json, "label");
	json_number(json, "block_size", info->block_size);
	json_number(json, "node_size", info->node_size);
	json_number(json, "size", info->size);
	json_number(json, "blocks", info->blocks);
	json_number(json, "free_blocks", info->free_blocks);
	json_number(json, "available_blocks", info->available_blocks);
	json_number(json, "reserved_blocks", info->reserved_blocks);
	json_number(json, "limbo_blocks", info->limbo_blocks);
	json_number(json, "shared_blocks", info->shared_blocks);
	if (info->hidden_blocks == UINT64_MAX)
		json_null(json, "hidden_blocks");
	else
		json_number(json, "hidden_blocks", info->hidden_blocks);
	json_number(json, "inodes", info->inodes);
	json_transaction(json, info->transaction);
	json_open(json, "features", '[');
	each_feature(info, json_feature, json);
	json_close(json, ']');
	json_string(json, "mapping", cowdax_mapping_name(info->mapping));
	json_bool(json, "persistent_memory", geometry_is_pmem(info));
}
