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
	for (uint32_t i = 0; i < index.count; i++)
		sum += chunkindex_length(&index, i);
	if (sum != index.size)
		abort();
	if (chunkindex_encode(&index, &again, &len, &err) < 0)
		abort();
	again[11] = data[11];
	expect_same(data, size, again, len);
	chunkindex_clear(&index);
}

static void blocks_try(const uint8_t *data, size_t size)
{
	struct blockindex index;
	struct err err = { 0 };
	uint8_t *again;
	size_t len;

	if (size < 16 || blockindex_decode(data, size, (uint64_t)le32_get(data + 12) << BLOCK_LOG,
					   &index, &err) < 0)
		return;
	if (blockindex_encode(&index, &again, &len, &err) < 0)
		abort();
	expect_same(data, size, again, len);
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
