/* SPDX-License-Identifier: MIT */
#include "chunkindex.h"

#include "bytes.h"
#include "unittest.h"
#include "io.h"

enum { SIZE = 5 * 65536 - 100, BASE_SIZE = 1000000 };

/* One good index of each kind, encoded, for a payload of five chunks: in one frame, in blocks, the same
 * as either, and in blocks with a last one that is shorter. */
static uint8_t *chunk_data, *block_data, *base_data;
static size_t chunk_len, block_len, base_len;
static struct chunkindex chunks;

static int setup(void **state)
{
	struct chunk rows[5] = {
		{ { 1 }, .frame = 10 }, { { 2 }, .frame = 16 * 100 + 120, .blocks = true },
		{ { 2 }, .repeats = true, .same = 1 }, { { 1 }, .repeats = true },
		{ { 3 }, .frame = 16 * 116 + 120, .blocks = true },
	};
	struct chunkindex c = { CHUNK_MIN_LOG, 5, SIZE, 0, rows };
	struct base_chunk parts[5] = {
		{ 0, 7, 2, { { 0, 4096 }, { 999999, 1 } } },
		{ 0, 0, 1, { { 4096, 65536 } } },
		{ 0, 5, 0, { { 0 } } }, { 0, 5, 0, { { 0 } } }, { 0, 5, 0, { { 0 } } },
	};
	struct baseindex base = { 5, BASE_SIZE, { 9 }, 0, parts };
	struct blockindex blocks;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(blockindex_make(5, 80, &blocks, &err), 0);
	for (uint16_t i = 0; i < 32; i++) {
		uint16_t at = i < 16 ? 16 + i : 48 + i;

		blocks.ids[at] = 0xa1b2c3d4e5ULL + i;
		blocks.lengths[at] = (uint16_t)(100 + i);
	}
	assert_int_equal(chunkindex_encode(&c, &chunk_data, &chunk_len, &err), 0);
	assert_int_equal(blockindex_encode(&blocks, &c, &block_data, &block_len, &err), 0);
	blockindex_clear(&blocks);
	assert_int_equal(baseindex_encode(&base, &base_data, &base_len, &err), 0);
	assert_int_equal(chunkindex_decode(chunk_data, chunk_len, SIZE, &chunks, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chunkindex_clear(&chunks);
	free(chunk_data);
	free(block_data);
	free(base_data);
	return 0;
}

static void the_chunk_index_has_the_documented_layout(void **state)
{
	(void)state;
	assert_int_equal(chunk_len, 24 + 5 * 36);
	assert_memory_equal(chunk_data, "SLOTCHNK\2\0\x10\0\5\0\0\0\x9c\xff\4\0\0\0\0\0\1\0", 26);
	assert_int_equal(le32_get(chunk_data + 24 + 32), 10);
	assert_true(le32_get(chunk_data + 24 + 36 + 32) == 0x40000000 + 1720);
	assert_true(le32_get(chunk_data + 24 + 2 * 36 + 32) == 0x80000001);
	assert_true(le32_get(chunk_data + 24 + 3 * 36 + 32) == 0x80000000);
}

static void chunks_have_their_hash_their_frame_and_their_length(void **state)
{
	(void)state;
	assert_int_equal(chunks.count, 5);
	assert_int_equal(chunks.chunks[1].sha256[0], 2);
	assert_int_equal(chunks.chunks[1].offset, 10);
	assert_int_equal(chunks.chunks[4].offset, 1730);
	assert_int_equal(chunks.chunks[4].frame, 1976);
	assert_int_equal(chunks.frames_size, 10 + 1720 + 1976);
	assert_int_equal(chunkindex_length(&chunks, 0), 65536);
	assert_int_equal(chunkindex_length(&chunks, 4), 65536 - 100);
}

static void a_chunk_may_have_the_frames_of_one_before_it(void **state)
{
	static const uint32_t first[5] = { 0, 1, 1, 0, 4 };

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		const struct chunk *c = &chunks.chunks[i], *is = &chunks.chunks[first[i]];

		assert_true(c->offset == is->offset && c->frame == is->frame && c->blocks == is->blocks);
		assert_int_equal(c->repeats, first[i] != i);
		assert_int_equal(chunkindex_has_rows(&chunks, i), i == 1 || i == 4);
	}
}

static void a_payload_of_whole_chunks_has_a_whole_last_chunk(void **state)
{
	struct chunkindex c = { .chunk_log = 16, .count = 1, .size = 65536 };

	(void)state;
	assert_int_equal(chunkindex_length(&c, 0), 65536);
	assert_int_equal(chunkindex_parts(65536, 16), 1);
	assert_int_equal(chunkindex_parts(65537, 16), 2);
	assert_true(chunkindex_parts(INT64_MAX, 16) == 1ULL << 47);
}

static void the_block_index_has_the_documented_layout(void **state)
{
	struct blockindex b;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(block_len, 16 + 32 * 7);
	assert_memory_equal(block_data, "SLOTBLKS\2\0\x0c\5\x20\0\0\0\xe5\xd4\xc3\xb2\xa1\xe6", 22);
	assert_int_equal(le16_get(block_data + 16 + 32 * 5 + 2), 101);
	assert_int_equal(blockindex_decode(block_data, block_len, &chunks, &b, &err), 0);
	assert_int_equal(b.id_bytes, 5);
	assert_int_equal(b.count, 80);
	for (uint32_t i = 0; i < 80; i++) {
		uint32_t row = i < 48 ? i % 16 : i - 48;
		bool none = i < 16 || (i >= 48 && i < 64);

		assert_true(b.ids[i] == (none ? 0 : 0xa1b2c3d4e5ULL + row));
		assert_int_equal(b.lengths[i], none ? 0 : 100 + row);
	}
	blockindex_clear(&b);
}

static void an_id_is_the_lower_bytes_of_xxh64(void **state)
{
	(void)state;
	assert_true(blockindex_id("", 0, 8) == 0xef46db3751d8e999ULL);
	assert_true(blockindex_id("", 0, 5) == 0x3751d8e999ULL);
	assert_true(blockindex_id("", 0, 4) == 0x51d8e999ULL);
}

static void the_base_index_has_the_documented_layout(void **state)
{
	struct baseindex b;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(base_len, 56 + 5 * 8 + 3 * 12);
	assert_memory_equal(base_data, "SLOTBASE\1\0\0\0\5\0\0\0\x40\x42\x0f\0\0\0\0\0\x09\0", 26);
	assert_memory_equal(base_data + 56, "\7\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\x3f", 21);
	assert_int_equal(baseindex_decode(base_data, base_len, &chunks, &b, &err), 0);
	assert_int_equal(b.base_size, BASE_SIZE);
	assert_int_equal(b.base_sha256[0], 9);
	assert_int_equal(b.chunks[0].region_count, 2);
	assert_int_equal(b.chunks[0].regions[1].offset, 999999);
	assert_int_equal(b.chunks[1].frame, 0);
	assert_int_equal(b.chunks[2].offset, 7);
	assert_int_equal(b.frames_size, 22);
	baseindex_clear(&b);
}

enum kind { CHUNKS, BLOCKS, BASE };

static int decode(enum kind kind, const uint8_t *data, size_t len, uint64_t size,
		  struct err *err)
{
	struct chunkindex c;
	struct blockindex b;
	struct baseindex base;
	int r = -1;

	*err = (struct err){ 0 };
	if (kind == CHUNKS && (r = chunkindex_decode(data, len, size, &c, err)) == 0)
		chunkindex_clear(&c);
	if (kind == BLOCKS && (r = blockindex_decode(data, len, &chunks, &b, err)) == 0)
		blockindex_clear(&b);
	if (kind == BASE && (r = baseindex_decode(data, len, &chunks, &base, err)) == 0)
		baseindex_clear(&base);
	return r;
}

static uint8_t *copy_of(enum kind kind, size_t *ret_len)
{
	const uint8_t *data[] = { chunk_data, block_data, base_data };
	const size_t len[] = { chunk_len, block_len, base_len };
	uint8_t *copy = malloc(len[kind]);

	memcpy(copy, data[kind], len[kind]);
	*ret_len = len[kind];
	return copy;
}

/* Each row overwrites one number of a good index. */
static void each_wrong_field_is_refused_by_its_name(void **state)
{
	static const struct {
		enum kind kind;
		size_t at, width;
		uint64_t value;
		const char *why;
	} rows[] = {
		{ CHUNKS, 0, 1, 'X', "not a chunk index" },
		{ CHUNKS, 8, 2, 1, "version is 1, this slotctl knows 2" },
		{ CHUNKS, 10, 1, 15, "chunk size, 2^15" },
		{ CHUNKS, 10, 1, 24, "chunk size, 2^24" },
		{ CHUNKS, 10, 1, 17, "5 chunks where the size makes 3" },
		{ CHUNKS, 12, 4, 4, "4 chunks where the size makes 5" },
		{ CHUNKS, 12, 4, 6, "6 chunks" },
		{ CHUNKS, 12, 4, UINT32_MAX, "4294967295 chunks" },
		{ CHUNKS, 16, 8, 0, "for 0 bytes" },
		{ CHUNKS, 16, 8, SIZE + 1, "the manifest says" },
		{ CHUNKS, 16, 8, UINT64_MAX, "the manifest says" },
		{ CHUNKS, 24 + 32, 4, 0, "frame of chunk 0 is 0 bytes" },
		{ CHUNKS, 24 + 4 * 36 + 32, 4, 65536 + 2048, "frame of chunk 4 is" },
		{ CHUNKS, 24 + 36 + 32, 4, 0x40000000, "frame of chunk 1 is 0 bytes" },
		{ CHUNKS, 24 + 36 + 32, 4, 0x40000000 + 65536 + 256 + 1024 + 16 * 64 + 1, "frame of chunk 1 is" },
		{ CHUNKS, 24 + 2 * 36 + 32, 4, 0x80000002, "chunk 2 has the frames of chunk 2" },
		{ CHUNKS, 24 + 2 * 36 + 32, 4, 0x80000003, "chunk 2 has the frames of chunk 3" },
		{ CHUNKS, 24 + 2 * 36 + 32, 4, 0xffffffff, "chunk 2 has the frames of chunk 2147483647" },
		{ CHUNKS, 24 + 2 * 36 + 32, 4, 0x80000000, "chunk 2 has the frames of chunk 0" },
		{ CHUNKS, 24 + 3 * 36, 1, 2, "chunk 3 has the frames of chunk 0, which is none" },
		{ CHUNKS, 24 + 3 * 36 + 32, 4, 0x80000002, "chunk 3 has the frames of chunk 2" },
		{ BLOCKS, 7, 1, 'X', "not a block index" },
		{ BLOCKS, 8, 2, 0, "version is 0" },
		{ BLOCKS, 10, 1, 13, "blocks are 2^13 bytes" },
		{ BLOCKS, 11, 1, 3, "ids of 3" },
		{ BLOCKS, 11, 1, 9, "ids of 9" },
		{ BLOCKS, 11, 1, 6, "its 32 blocks make 272" },
		{ BLOCKS, 12, 4, 31, "31 blocks, the chunk index makes 32" },
		{ BLOCKS, 12, 4, UINT32_MAX, "4294967295 blocks" },
		{ BLOCKS, 8, 2, 1, "version is 1, this slotctl knows 2" },
		{ BLOCKS, 16 + 32 * 5 + 4, 2, 0, "frame of block 18 is empty" },
		{ BLOCKS, 16 + 32 * 5 + 4, 2, 103, "frames of chunk 1 are 1721 bytes, the chunk index says 1720" },
		{ BASE, 0, 1, 'X', "not a base index" },
		{ BASE, 8, 2, 2, "version is 2" },
		{ BASE, 12, 4, 2, "2 chunks, the chunk index 5" },
		{ BASE, 12, 4, UINT32_MAX, "4294967295 chunks" },
		{ BASE, 16, 8, 0, "base is 0 bytes" },
		{ BASE, 16, 8, UINT64_MAX, "base is 18446744073709551615" },
		{ BASE, 16, 8, 999999, "region of 1 bytes at 999999" },
		{ BASE, 56, 4, 65536 + 2048, "frame of chunk 0 is" },
		{ BASE, 56, 4, 0, "chunk 0 has no frame, and regions of 4097 bytes" },
		{ BASE, 60, 4, 5, "5 regions" },
		{ BASE, 60, 4, 1, "frame of chunk 1 is 999999 bytes" },
		{ BASE, 60, 4, 3, "region of" },
		{ BASE, 64, 8, UINT64_MAX, "not within the base" },
		{ BASE, 64, 8, BASE_SIZE - 4095, "not within the base" },
		{ BASE, 72, 4, 0, "region of 0 bytes" },
		{ BASE, 72, 4, BASE_MAX_PREFIX + 1, "too long" },
		{ BASE, 72, 4, UINT32_MAX, "too long" },
		{ BASE, 56 + 32 + 16, 4, 65535, "chunk 1 has no frame" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len;
		uint8_t *data = copy_of(rows[i].kind, &len);
		struct err err;

		for (size_t k = 0; k < rows[i].width; k++)
			data[rows[i].at + k] = (uint8_t)(rows[i].value >> (8 * k));
		if (decode(rows[i].kind, data, len, SIZE, &err) != -1 ||
		    !strstr(err.text, rows[i].why) || err.exit != EX_DATAERR)
			fail_msg("row %zu (%s): got: %s", i, rows[i].why, err.text);
		free(data);
	}
}

static void an_index_cut_short_or_with_more_behind_it_is_refused(void **state)
{
	(void)state;
	for (enum kind kind = CHUNKS; kind <= BASE; kind++) {
		size_t len;
		uint8_t *data = copy_of(kind, &len), *longer = calloc(1, len + 1);
		struct err err;

		assert_int_equal(decode(kind, data, len, SIZE, &err), 0);
		memcpy(longer, data, len);
		assert_int_equal(decode(kind, longer, len + 1, SIZE, &err), -1);
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *shorter = malloc(cut + 1);	/* ASan watches its end */
			uint8_t *end = realloc(shorter, cut ? cut : 1);

			memcpy(end, data, cut);
			assert_int_equal(decode(kind, end, cut, SIZE, &err), -1);
			free(end);
		}
		free(longer);
		free(data);
	}
}

static void an_index_for_a_payload_of_another_size_is_refused(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(decode(CHUNKS, chunk_data, chunk_len, SIZE - 1, &err), -1);
	assert_int_equal(decode(CHUNKS, chunk_data, chunk_len, 0, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chunk_index_has_the_documented_layout),
		cmocka_unit_test(chunks_have_their_hash_their_frame_and_their_length),
		cmocka_unit_test(a_chunk_may_have_the_frames_of_one_before_it),
		cmocka_unit_test(a_payload_of_whole_chunks_has_a_whole_last_chunk),
		cmocka_unit_test(the_block_index_has_the_documented_layout),
		cmocka_unit_test(an_id_is_the_lower_bytes_of_xxh64),
		cmocka_unit_test(the_base_index_has_the_documented_layout),
		cmocka_unit_test(each_wrong_field_is_refused_by_its_name),
		cmocka_unit_test(an_index_cut_short_or_with_more_behind_it_is_refused),
		cmocka_unit_test(an_index_for_a_payload_of_another_size_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
