/* SPDX-License-Identifier: MIT */
#include "chunkindex.h"

#include "bytes.h"
#include "io.h"

#include <string.h>

enum { HEADER = 24, ROW = 36, VERSION = 2 };

/* The last four bytes of a row: a length, or with the first of these the number of a chunk. */
static const uint32_t word_same = 1U << 31, word_blocks = 1U << 30;

static const uint8_t magic[8] = "SLOTCHNK";

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to read a chunk index: out of memory");
}

uint64_t chunkindex_frame_max(uint64_t len)
{
	return len + len / 256 + 1024;
}

uint64_t chunkindex_frames_max(uint64_t len)
{
	return chunkindex_frame_max(len) + (len >> BLOCK_LOG) * 64;
}

uint32_t chunkindex_length(const struct chunkindex *index, uint32_t i)
{
	uint64_t left = index->size - ((uint64_t)i << index->chunk_log);

	return left >> index->chunk_log ? 1U << index->chunk_log : (uint32_t)left;
}

uint32_t chunkindex_blocks(const struct chunkindex *index, uint32_t i)
{
	return (uint32_t)chunkindex_parts(chunkindex_length(index, i), BLOCK_LOG);
}

bool chunkindex_has_rows(const struct chunkindex *index, uint32_t i)
{
	return index->chunks[i].blocks && !index->chunks[i].repeats;
}

static uint32_t word_make(const struct chunk *c)
{
	if (c->repeats)
		return word_same | c->same;
	return c->frame | (c->blocks ? word_blocks : 0);
}

int chunkindex_encode(const struct chunkindex *index, uint8_t **ret_data, size_t *ret_len,
		      struct err *err)
{
	size_t len = HEADER + (size_t)index->count * ROW;
	uint8_t *data = calloc(1, len);

	if (!data)
		return no_memory(err);
	memcpy(data, magic, sizeof magic);
	le16_put(data + 8, VERSION);
	data[10] = (uint8_t)index->chunk_log;
	le32_put(data + 12, index->count);
	le64_put(data + 16, index->size);
	for (uint32_t i = 0; i < index->count; i++) {
		uint8_t *row = data + HEADER + (size_t)i * ROW;

		memcpy(row, index->chunks[i].sha256, 32);
		le32_put(row + 32, word_make(&index->chunks[i]));
	}
	*ret_data = data;
	*ret_len = len;
	return 0;
}

static int header_decode(const uint8_t *data, size_t len, uint64_t payload_size,
			 struct chunkindex *index, struct err *err)
{
	if (len < HEADER || memcmp(data, magic, sizeof magic) != 0)
		return err_set(err, EX_DATAERR, "it is not a chunk index");
	if (le16_get(data + 8) != VERSION)
		return err_set(err, EX_DATAERR, "its version is %u, this slotctl knows %d",
			       le16_get(data + 8), VERSION);
	index->chunk_log = data[10];
	index->count = le32_get(data + 12);
	index->size = le64_get(data + 16);
	if (index->chunk_log < CHUNK_MIN_LOG || index->chunk_log > CHUNK_MAX_LOG)
		return err_set(err, EX_DATAERR, "its chunk size, 2^%u, is not from 2^%d to 2^%d",
			       index->chunk_log, CHUNK_MIN_LOG, CHUNK_MAX_LOG);
	if (index->size < 1 || index->size != payload_size)
		return err_set(err, EX_DATAERR, "it is for %llu bytes, the manifest says %llu",
			       (unsigned long long)index->size, (unsigned long long)payload_size);
	if (index->count > CHUNKS_MAX ||
	    index->count != chunkindex_parts(index->size, index->chunk_log))
		return err_set(err, EX_DATAERR, "it has %u chunks where the size makes %llu, at "
			       "most %d", index->count,
			       (unsigned long long)chunkindex_parts(index->size, index->chunk_log),
			       CHUNKS_MAX);
	if (len != HEADER + (size_t)index->count * ROW)
		return err_set(err, EX_DATAERR, "it is %zu bytes long, its %u chunks make %zu", len,
			       index->count, HEADER + (size_t)index->count * ROW);
	return 0;
}

/* Chunk i has the frames of a chunk before it. */
static int same_decode(struct chunkindex *index, uint32_t i, uint32_t same, struct err *err)
{
	struct chunk *c = &index->chunks[i];
	const struct chunk *first = &index->chunks[same];

	if (same >= i || first->repeats ||
	    chunkindex_length(index, same) != chunkindex_length(index, i) ||
	    memcmp(first->sha256, c->sha256, sizeof c->sha256) != 0)
		return err_set(err, EX_DATAERR, "chunk %u has the frames of chunk %u, which is none "
			       "before it that holds the same", i, same);
	c->offset = first->offset;
	c->frame = first->frame;
	c->blocks = first->blocks;
	c->repeats = true;
	c->same = same;
	return 0;
}

static int word_decode(struct chunkindex *index, uint32_t i, uint32_t word, struct err *err)
{
	struct chunk *c = &index->chunks[i];
	uint32_t len = chunkindex_length(index, i);

	if (word & word_same)
		return same_decode(index, i, word & ~word_same, err);
	c->blocks = word & word_blocks;
	c->frame = word & ~word_blocks;
	c->offset = index->frames_size;
	if (c->frame < 1 || c->frame > (c->blocks ? chunkindex_frames_max(len) : chunkindex_frame_max(len)))
		return err_set(err, EX_DATAERR, "the frame of chunk %u is %u bytes long", i, c->frame);
	index->frames_size += c->frame;
	return 0;
}

int chunkindex_decode(const uint8_t *data, size_t len, uint64_t payload_size,
		      struct chunkindex *ret_index, struct err *err)
{
	_cleanup_(chunkindex_clear) struct chunkindex index = { 0 };

	if (header_decode(data, len, payload_size, &index, err) < 0)
		return -1;
	index.chunks = calloc(index.count, sizeof *index.chunks);
	if (!index.chunks)
		return no_memory(err);
	for (uint32_t i = 0; i < index.count; i++) {
		const uint8_t *row = data + HEADER + (size_t)i * ROW;

		memcpy(index.chunks[i].sha256, row, sizeof index.chunks[i].sha256);
		if (word_decode(&index, i, le32_get(row + 32), err) < 0)
			return -1;
	}
	*ret_index = index;
	index.chunks = NULL;
	return 0;
}

void chunkindex_clear(struct chunkindex *index)
{
	free(index->chunks);
	index->chunks = NULL;
}
