// SPDX-License-Identifier: GPL-2.0-or-later
/* What operations do to a file: to its bytes, and to what stands behind them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "model.h"

static uint64_t round_down(const struct model *model, uint64_t offset)
{
	return offset / model->block_size * model->block_size;
}

static uint64_t round_up(const struct model *model, uint64_t offset)
{
	return round_down(model, offset + model->block_size - 1);
}

/* ---- bytes ----------------------------------------------------------------------------- */

static void set_size(struct entry *file, uint64_t size)
{
	if (size > file->room) {
		file->room = size + size / 4;
		file->bytes = more_memory(file->bytes, file->room);
	}
	if (size > file->size)
		memset(file->bytes + file->size, 0, size - file->size);
	file->size = size;
}

static void zero_bytes(struct entry *file, uint64_t from, uint64_t to)
{
	if (to > file->size)
		to = file->size;
	if (from < to)
		memset(file->bytes + from, 0, to - from);
}

/* ---- blocks ---------------------------------------------------------------------------- */

uint64_t model_block(const struct entry *file, uint64_t index)
{
	return index < file->blocks ? file->block[index] : BLOCK_HOLE;
}

static void set_block(struct entry *file, uint64_t index, uint64_t number)
{
	if (index >= file->blocks && number == BLOCK_HOLE)
		return;
	if (index >= file->block_room) {
		file->block_room = index + index / 4 + 8;
		file->block = more_memory(file->block, file->block_room * sizeof(*file->block));
	}
	if (index >= file->blocks) {
		memset(file->block + file->blocks, 0, (index - file->blocks) * sizeof(*file->block));
		file->blocks = index + 1;
	}
	file->block[index] = number;
	while (file->blocks && file->block[file->blocks - 1] == BLOCK_HOLE)
		file->blocks--;
}

static bool is_mapped(uint64_t number)
{
	return number != BLOCK_HOLE && !(number & BLOCK_UNWRITTEN);
}

static void allocate(struct model *model, struct entry *file, uint64_t index, uint64_t flags)
{
	set_block(file, index, ++model->last_block | flags);
}

/* Zeroing a part of a block needs a block of its own only where one is mapped. */
static void zero_part(struct model *model, struct entry *file, uint64_t offset)
{
	uint64_t index = offset / model->block_size;

	if (offset % model->block_size && is_mapped(model_block(file, index)))
		allocate(model, file, index, 0);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* All blocks' numbers, a number as often as it is used, in order. */
static uint64_t *sorted_blocks(const struct model *model, size_t *count)
{
	uint64_t *numbers;
	size_t n = 0;

	for (size_t i = 0; i < model->entries; i++)
		n += model->entry[i]->blocks;
	numbers = get_memory(n * sizeof(*numbers));
	n = 0;
	for (size_t i = 0; i < model->entries; i++) {
		const struct entry *file = model->entry[i];

		for (uint64_t j = 0; j < file->blocks; j++)
			if (file->block[j] != BLOCK_HOLE)
				numbers[n++] = file->block[j];
	}
	qsort(numbers, n, sizeof(*numbers), compare_numbers);
	*count = n;
	return numbers;
}

uint64_t model_blocks_used(const struct model *model)
{
	uint64_t used = 0;
	size_t count;
	uint64_t *numbers = sorted_blocks(model, &count);

	for (size_t i = 0; i < count; i++)
		used += i == 0 || numbers[i] != numbers[i - 1];
	free(numbers);
	return used;
}

static bool is_own(const struct model *model, uint64_t number)
{
	unsigned int uses = 0;

	for (size_t i = 0; i < model->entries; i++)
		for (uint64_t j = 0; j < model->entry[i]->blocks; j++)
			uses += model->entry[i]->block[j] == number;
	return uses == 1;
}

bool model_promised(const struct model *model, const struct entry *file, uint64_t offset, uint64_t length)
{
	for (uint64_t at = round_down(model, offset); at < offset + length; at += model->block_size) {
		uint64_t number = model_block(file, at / model->block_size);

		if (!(number & BLOCK_UNWRITTEN) || !is_own(model, number))
			return false;
	}
	return true;
}

/* ---- operations -------------------------------------------------------------------------- */

void model_write(struct model *model, struct entry *file, uint64_t offset, const void *bytes,
		 uint64_t length)
{
	if (!length)
		return;
	if (offset + length > file->size)
		set_size(file, offset + length);
	memcpy(file->bytes + offset, bytes, length);
	for (uint64_t at = round_down(model, offset); at < offset + length; at += model->block_size)
		allocate(model, file, at / model->block_size, 0);
}

/* Holes from block @first on to before @last. */
static void cut(struct entry *file, uint64_t first, uint64_t last)
{
	if (last > file->blocks)
		last = file->blocks;
	/* From the end, since the array gets shorter. */
	while (last > first)
		set_block(file, --last, BLOCK_HOLE);
}

void model_truncate(struct model *model, struct entry *file, uint64_t size)
{
	if (size < file->size || size == 0) {
		cut(file, round_up(model, size) / model->block_size, UINT64_MAX);
		zero_part(model, file, size);
	}
	set_size(file, size);
}

static void punch(struct model *model, struct entry *file, uint64_t from, uint64_t to)
{
	uint64_t first = round_up(model, from), last = round_down(model, to);

	zero_part(model, file, from);
	if (first <= last)
		zero_part(model, file, to);
	zero_bytes(file, from, to);
	if (first < last)
		cut(file, first / model->block_size, last / model->block_size);
}

static void zero(struct model *model, struct entry *file, uint64_t from, uint64_t to)
{
	uint64_t first = round_up(model, from), last = round_down(model, to);

	zero_part(model, file, from);
	if (first <= last)
		zero_part(model, file, to);
	zero_bytes(file, from, to);
	for (uint64_t at = first; at < last; at += model->block_size)
		allocate(model, file, at / model->block_size, BLOCK_UNWRITTEN);
}

static void reserve(struct model *model, struct entry *file, uint64_t from, uint64_t to)
{
	for (uint64_t at = round_down(model, from); at < to; at += model->block_size) {
		uint64_t index = at / model->block_size;

		if (model_block(file, index) == BLOCK_HOLE)
			allocate(model, file, index, BLOCK_UNWRITTEN);
	}
}

/* Shared blocks with bytes in them get copies; a block used twice in the range, two. */
static void unshare(struct model *model, struct entry *file, uint64_t from, uint64_t to)
{
	uint64_t first = from / model->block_size, last = round_up(model, to) / model->block_size;
	uint64_t end = round_up(model, file->size) / model->block_size;
	size_t count;
	uint64_t *numbers = sorted_blocks(model, &count);

	if (last > end)
		last = end;
	for (uint64_t i = first; i < last; i++) {
		uint64_t number = model_block(file, i), *found;

		if (!is_mapped(number))
			continue;
		found = bsearch(&number, numbers, count, sizeof(*numbers), compare_numbers);
		if ((found > numbers && found[-1] == number) ||
		    (found + 1 < numbers + count && found[1] == number))
			allocate(model, file, i, 0);
	}
	free(numbers);
}

void model_fallocate(struct model *model, struct entry *file, enum cowdax_fallocate_mode mode,
		     uint64_t offset, uint64_t length, bool keep_size)
{
	uint64_t end = offset + length;

	switch (mode) {
	case COWDAX_FALLOCATE_PUNCH:
		punch(model, file, offset, end);
		return;
	case COWDAX_FALLOCATE_UNSHARE:
		unshare(model, file, offset, end);
		return;
	case COWDAX_FALLOCATE_ZERO:
		zero(model, file, offset, end);
		break;
	case COWDAX_FALLOCATE_UNWRITTEN:
		break;
	}
	reserve(model, file, offset, end);
	if (!keep_size && end > file->size)
		set_size(file, end);
}

void model_clone(struct model *model, struct entry *to, const struct entry *from)
{
	(void)model;
	set_size(to, 0);
	set_size(to, from->size);
	memcpy(to->bytes, from->bytes, from->size);
	cut(to, 0, UINT64_MAX);
	for (uint64_t i = from->blocks; i-- > 0;)
		set_block(to, i, from->block[i]);
}

int model_clone_range(struct model *model, struct entry *to, uint64_t to_offset, const struct entry *from,
		      uint64_t from_offset, uint64_t length)
{
	uint64_t size = model->block_size, first = from_offset / size, at = to_offset / size, count;

	if (!length && from_offset == from->size)
		return 0;
	if (to_offset % size || from_offset % size)
		return -EINVAL;
	if (from_offset > from->size || length > from->size - from_offset)
		return -EINVAL;
	if (length % size && (from_offset + length < from->size || to_offset + length < to->size))
		return -EINVAL;
	if (to == from && from_offset < to_offset + length && to_offset < from_offset + length)
		return -EINVAL;
	if (!length)
		return 0;
	if (to_offset + length > to->size)
		set_size(to, to_offset + length);
	memcpy(to->bytes + to_offset, from->bytes + from_offset, length);
	count = (length + size - 1) / size;
	/* From the end: a hole there must not be cut off before what follows it is there. */
	for (uint64_t i = count; i-- > 0;)
		set_block(to, at + i, model_block(from, first + i));
	return 0;
}
