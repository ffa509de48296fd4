/* SPDX-License-Identifier: MIT */
#include "chunkindex.h"

#include "bytes.h"
#include "io.h"

#include <string.h>
#include <xxhash.h>

enum { HEADER = 16, LENGTH_BYTES = 2, ID_BYTES_MIN = 4, ID_BYTES_MAX = 8, VERSION = 2 };

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
	if (!index.ids || !index.lengths) {
		blockindex_clear(&index);
		return no_memory(err);
	}
	*ret_index = index;
	return 0;
}

/* How many rows the index has. */
static uint32_t rows_count(const struct chunkindex *chunks)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < chunks->count; i++)
		count += chunkindex_has_rows(chunks, i) ? chunkindex_blocks(chunks, i) : 0;
	return count;
}

/* The number of a chunk's first block in the payload. */
static uint32_t first_block(const struct chunkindex *chunks, uint32_t i)
{
	return i << (chunks->chunk_log - BLOCK_LOG);
}

/* All ids, beginning at HEADER, then all lengths. */
static size_t index_len(uint32_t count, unsigned id_bytes)
{
	return HEADER + (size_t)count * (id_bytes + LENGTH_BYTES);
}

static void id_put(uint8_t *p, uint64_t id, unsigned id_bytes)
{
	for (unsigned k = 0; k < id_bytes; k++)
		p[k] = (uint8_t)(id >> (8 * k));
}

int blockindex_encode(const struct blockindex *index, const struct chunkindex *chunks,
		      uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	uint32_t count = rows_count(chunks), row = 0;
	size_t len = index_len(count, index->id_bytes);
	uint8_t *data = calloc(1, len), *lengths;

	if (!data)
		return no_memory(err);
	memcpy(data, magic, sizeof magic);
	le16_put(data + 8, VERSION);
	data[10] = BLOCK_LOG;
	data[11] = (uint8_t)index->id_bytes;
	le32_put(data + 12, count);
	lengths = data + HEADER + (size_t)count * index->id_bytes;
	for (uint32_t i = 0; i < chunks->count; i++) {
		uint32_t first = first_block(chunks, i);
		uint32_t blocks = chunkindex_has_rows(chunks, i) ? chunkindex_blocks(chunks, i) : 0;

		for (uint32_t k = first; k < first + blocks; k++, row++) {
			id_put(data + HEADER + (size_t)row * index->id_bytes, index->ids[k],
			       index->id_bytes);
			le16_put(lengths + (size_t)row * LENGTH_BYTES, index->lengths[k]);
		}
	}
	*ret_data = data;
	*ret_len = len;
	return 0;
}

static int header_decode(const uint8_t *data, size_t len, const struct chunkindex *chunks,
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
	if (chunkindex_parts(chunks->size, BLOCK_LOG) > BLOCKS_MAX)
		return err_set(err, EX_DATAERR, "a payload of %llu bytes cannot have one",
			       (unsigned long long)chunks->size);
	if (count != rows_count(chunks))
		return err_set(err, EX_DATAERR, "it has %u blocks, the chunk index makes %u", count,
			       rows_count(chunks));
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

/* The rows of chunk i, from these ids and lengths on; the frames are as long as the chunk index
 * says. */
static int rows_decode(struct blockindex *index, const struct chunkindex *chunks, uint32_t i,
		       const uint8_t *ids, const uint8_t *lengths, struct err *err)
{
	uint32_t first = first_block(chunks, i), blocks = chunkindex_blocks(chunks, i);
	uint64_t sum = 0;

	for (uint32_t k = 0; k < blocks; k++) {
		uint16_t length = le16_get(lengths + (size_t)k * LENGTH_BYTES);

		index->ids[first + k] = id_get(ids + (size_t)k * index->id_bytes, index->id_bytes);
		index->lengths[first + k] = length;
		sum += length;
		if (length < 1)
			return err_set(err, EX_DATAERR, "the frame of block %u is empty", first + k);
	}
	if (sum != chunks->chunks[i].frame)
		return err_set(err, EX_DATAERR, "the frames of chunk %u are %llu bytes, the chunk "
			       "index says %u", i, (unsigned long long)sum, chunks->chunks[i].frame);
	return 0;
}

static void rows_copy(struct blockindex *index, const struct chunkindex *chunks, uint32_t i)
{
	uint32_t to = first_block(chunks, i), from = first_block(chunks, chunks->chunks[i].same);
	uint32_t blocks = chunkindex_blocks(chunks, i);

	memcpy(index->ids + to, index->ids + from, blocks * sizeof *index->ids);
	memcpy(index->lengths + to, index->lengths + from, blocks * sizeof *index->lengths);
}

int blockindex_decode(const uint8_t *data, size_t len, const struct chunkindex *chunks,
		      struct blockindex *ret_index, struct err *err)
{
	_cleanup_(blockindex_clear) struct blockindex index = { 0 };
	const uint8_t *ids = data + HEADER, *lengths;
	unsigned id_bytes = 0;
	uint32_t count = 0;

	if (header_decode(data, len, chunks, &id_bytes, &count, err) < 0 ||
	    blockindex_make(id_bytes, (uint32_t)chunkindex_parts(chunks->size, BLOCK_LOG), &index,
			    err) < 0)
		return -1;
	lengths = ids + (size_t)count * id_bytes;
	for (uint32_t i = 0; i < chunks->count; i++) {
		uint32_t blocks = chunkindex_blocks(chunks, i);

		if (chunks->chunks[i].blocks && !chunkindex_has_rows(chunks, i))
			rows_copy(&index, chunks, i);
		if (!chunkindex_has_rows(chunks, i))
			continue;
		if (rows_decode(&index, chunks, i, ids, lengths, err) < 0)
			return -1;
		ids += (size_t)blocks * id_bytes;
		lengths += (size_t)blocks * LENGTH_BYTES;
	}
	*ret_index = index;
	index = (struct blockindex){ 0 };
	return 0;
}

void blockindex_clear(struct blockindex *index)
{
	free(index->ids);
	free(index->lengths);
	index->ids = NULL;
	index->lengths = NULL;
}
