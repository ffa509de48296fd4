/* SPDX-License-Identifier: MIT */
#include "chunkindex.h"

#include "bytes.h"
#include "io.h"

#include <string.h>
#include <xxhash.h>

enum { HEADER = 16, LENGTH_BYTES = 2, ID_BYTES_MIN = 4, ID_BYTES_MAX = 8, VERSION = 1 };
enum { SUM_LOG = 6 };

static const uint8_t magic[8] = "SLOTBLKS";

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a block index: out of memory");
}

static uint64_t id_mask(unsigned id_bytes)
{
	return UINT64_MAX >> (64 - 8 * id_bytes);
}

uint64_t blockindex_id(const void *block, size_t len, unsigned id_bytes)
{
	return XXH64(block, len, 0) & id_mask(id_bytes);
}

int blockindex_make(unsigned id_bytes, uint32_t count, struct blockindex *ret_index,
		    struct err *err)
{
	struct blockindex index = { .id_bytes = id_bytes, .count = count };

	index.ids = calloc(count, sizeof *index.ids);
	index.lengths = calloc(count, sizeof *index.lengths);
	index.sums = calloc((size_t)(count >> SUM_LOG) + 1, sizeof *index.sums);
	if (!index.ids || !index.lengths || !index.sums) {
		blockindex_clear(&index);
		return no_memory(err);
	}
	*ret_index = index;
	return 0;
}

void blockindex_sum(struct blockindex *index)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < index->count; i++) {
		if ((i & ((1u << SUM_LOG) - 1)) == 0)
			index->sums[i >> SUM_LOG] = sum;
		sum += index->lengths[i];
	}
	if ((index->count & ((1u << SUM_LOG) - 1)) == 0)
		index->sums[index->count >> SUM_LOG] = sum;
}

uint64_t blockindex_offset(const struct blockindex *index, uint32_t i)
{
	uint64_t offset = index->sums[i >> SUM_LOG];

	for (uint32_t k = i >> SUM_LOG << SUM_LOG; k < i; k++)
		offset += index->lengths[k];
	return offset;
}

/* All ids, beginning at HEADER, then all lengths. */
static size_t index_len(uint32_t count, unsigned id_bytes)
{
	return HEADER + (size_t)count * (id_bytes + LENGTH_BYTES);
}

int blockindex_encode(const struct blockindex *index, uint8_t **ret_data, size_t *ret_len,
		      struct err *err)
{
	size_t len = index_len(index->count, index->id_bytes);
	uint8_t *data = calloc(1, len);
	uint8_t *id, *length;

	if (!data)
		return no_memory(err);
	memcpy(data, magic, sizeof magic);
	le16_put(data + 8, VERSION);
	data[10] = BLOCK_LOG;
	data[11] = (uint8_t)index->id_bytes;
	le32_put(data + 12, index->count);
	id = data + HEADER;
	length = id + (size_t)index->count * index->id_bytes;
	for (uint32_t i = 0; i < index->count; i++) {
		for (unsigned k = 0; k < index->id_bytes; k++)
			*id++ = (uint8_t)(index->ids[i] >> (8 * k));
		le16_put(length, index->lengths[i]);
		length += LENGTH_BYTES;
	}
	*ret_data = data;
	*ret_len = len;
	return 0;
}

static int header_decode(const uint8_t *data, size_t len, uint64_t payload_size,
			 unsigned *ret_id_bytes, uint32_t *ret_count, struct err *err)
{
	unsigned id_bytes;
	uint32_t count;

	if (len < HEADER || memcmp(data, magic, sizeof magic) != 0)
		return err_set(err, EX_DATAERR, "it is not a block index");
	if (le16_get(data + 8) != VERSION)
		return err_set(err, EX_DATAERR, "its version is %u, this slotctl knows %d",
			       le16_get(data + 8), VERSION);
	id_bytes = data[11];
	count = le32_get(data + 12);
	if (data[10] != BLOCK_LOG || id_bytes < ID_BYTES_MIN || id_bytes > ID_BYTES_MAX)
		return err_set(err, EX_DATAERR, "its blocks are 2^%u bytes with ids of %u",
			       data[10], id_bytes);
	if (payload_size < 1 || count > BLOCKS_MAX ||
	    count != chunkindex_parts(payload_size, BLOCK_LOG))
		return err_set(err, EX_DATAERR, "it has %u blocks, which is not what %llu bytes "
			       "make", count, (unsigned long long)payload_size);
	if (len != index_len(count, id_bytes))
		return err_set(err, EX_DATAERR, "it is %zu bytes long, its %u blocks make %zu", len,
			       count, index_len(count, id_bytes));
	*ret_id_bytes = id_bytes;
	*ret_count = count;
	return 0;
}

static uint64_t id_get(const uint8_t *p, unsigned id_bytes)
{
	uint64_t id = 0;

	for (unsigned k = 0; k < id_bytes; k++)
		id |= (uint64_t)p[k] << (8 * k);
	return id;
}

int blockindex_decode(const uint8_t *data, size_t len, uint64_t payload_size,
		      struct blockindex *ret_index, struct err *err)
{
	_cleanup_(blockindex_clear) struct blockindex index = { 0 };
	const uint8_t *lengths;
	unsigned id_bytes = 0;
	uint32_t count = 0;

	if (header_decode(data, len, payload_size, &id_bytes, &count, err) < 0 ||
	    blockindex_make(id_bytes, count, &index, err) < 0)
		return -1;
	lengths = data + HEADER + (size_t)count * id_bytes;
	for (uint32_t i = 0; i < count; i++) {
		index.ids[i] = id_get(data + HEADER + (size_t)i * id_bytes, id_bytes);
		index.lengths[i] = le16_get(lengths + (size_t)i * LENGTH_BYTES);
		if (index.lengths[i] < 1)
			return err_set(err, EX_DATAERR, "the frame of block %u is empty", i);
	}
	blockindex_sum(&index);
	*ret_index = index;
	index = (struct blockindex){ 0 };
	return 0;
}

void blockindex_clear(struct blockindex *index)
{
	free(index->ids);
	free(index->lengths);
	free(index->sums);
	index->ids = NULL;
	index->lengths = NULL;
	index->sums = NULL;
}
