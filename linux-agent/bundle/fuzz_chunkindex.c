/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as each of the three indexes; what decodes must encode to the
 * same bytes, and keep within the payload and the base. The payload's size is taken
 * from the bytes themselves where the format has it there. */
#include "fuzz.h"

#include "chunkindex.h"

#include "bytes.h"

#include <stdlib.h>
#include <string.h>

static void expect_same(const uint8_t *data, size_t size, uint8_t *again, size_t again_len)
{
	if (again_len != size || memcmp(again, data, size) != 0)
		abort();
	free(again);
	fuzz_taken = true;
}

/* Reserved bytes are not carried along. */
static void chunks_try(const uint8_t *data, size_t size)
{
	struct chunkindex index;
	struct err err = { 0 };
	uint64_t sum = 0;
	uint8_t *again;
	size_t len;

	if (size < 24 || chunkindex_decode(data, size, le64_get(data + 16), &index, &err) < 0)
		return;
	for (uint32_t i = 0; i < index.count; i++) {
		const struct chunk *c = &index.chunks[i];

		sum += chunkindex_length(&index, i);
		if (c->frame < 1 || c->offset + c->frame > index.frames_size ||
		    c->frame > chunkindex_frames_max(chunkindex_length(&index, i)))
			abort();
	}
	if (sum != index.size)
		abort();
	if (chunkindex_encode(&index, &again, &len, &err) < 0)
		abort();
	again[11] = data[11];
	expect_same(data, size, again, len);
	chunkindex_clear(&index);
}

enum { CHUNKS = 3, BLOCKS = 16 };	/* and blocks of a chunk */

/* Frames as long as the index says that those of the blocks are, so that this check can be passed. */
static void frames_set(struct chunk rows[CHUNKS], const uint8_t *data, size_t size)
{
	size_t at = 16 + (size_t)le32_get(data + 12) * data[11];

	for (unsigned i = 0; i < CHUNKS; i++) {
		for (unsigned k = 0; rows[i].blocks && !rows[i].repeats && k < BLOCKS; k++, at += 2)
			rows[i].frame += at < size && size - at >= 2 ? le16_get(data + at) : 0;
		if (rows[i].repeats)
			rows[i].frame = rows[0].frame;
	}
}

/* The first byte says of each of three chunks, from the lowest bits on, whether it is in blocks, and
 * whether it is the same as the first. */
static void blocks_try(const uint8_t *data, size_t size)
{
	struct chunk rows[CHUNKS] = { { .frame = 0 } };
	struct chunkindex chunks = { CHUNK_MIN_LOG, CHUNKS, CHUNKS << CHUNK_MIN_LOG, 0, rows };
	struct blockindex index;
	struct err err = { 0 };
	uint8_t *again;
	size_t len;

	if (size < 17 || le32_get(data + 13) > CHUNKS * BLOCKS)
		return;
	for (unsigned i = 0; i < CHUNKS; i++) {
		rows[i].repeats = i > 0 && (data[0] >> (4 + i) & 1);
		rows[i].blocks = data[0] >> (rows[i].repeats ? 0 : i) & 1;
	}
	frames_set(rows, data + 1, size - 1);
	if (blockindex_decode(data + 1, size - 1, &chunks, &index, &err) < 0)
		return;
	if (blockindex_encode(&index, &chunks, &again, &len, &err) < 0)
		abort();
	expect_same(data + 1, size - 1, again, len);
	blockindex_clear(&index);
}

static void base_try(const uint8_t *data, size_t size)
{
	struct chunkindex chunks = { .chunk_log = CHUNK_MIN_LOG };
	struct baseindex index;
	struct err err = { 0 };
	uint8_t *again;
	size_t len;

	if (size < 56 || le32_get(data + 12) < 1)
		return;
	chunks.count = le32_get(data + 12);
	chunks.size = ((uint64_t)chunks.count << CHUNK_MIN_LOG) - 7;
	if (baseindex_decode(data, size, &chunks, &index, &err) < 0)
		return;
	if (baseindex_encode(&index, &again, &len, &err) < 0)
		abort();
	memcpy(again + 10, data + 10, 2);
	expect_same(data, size, again, len);
	baseindex_clear(&index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	chunks_try(data, size);
	blocks_try(data, size);
	base_try(data, size);
	return 0;
}
