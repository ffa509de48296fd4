/* SPDX-License-Identifier: MIT */
#include "chunkindex.h"

#include "bytes.h"
#include "unittest.h"
#include "io.h"

enum { SIZE = 3 * 65536 - 100, BASE_SIZE = 1000000 };

/* One good index of each kind, for a payload of three chunks, encoded. */
static uint8_t *chunk_data, *block_data, *base_data;
static size_t chunk_len, block_len, base_len;
static struct chunkindex chunks;

static int setup(void **state)
{
	struct chunk rows[3] = { { { 1 }, 0, 10 }, { { 2 }, 0, 20 }, { { 3 }, 0, 30 } };
	struct chunkindex c = { CHUNK_MIN_LOG, 3, SIZE, 0, rows };
	struct base_chunk parts[3] = {
		{ 0, 7, 2, { { 0, 4096 }, { 999999, 1 } } },
		{ 0, 0, 1, { { 4096, 65536 } } },
		{ 0, 5, 0, { { 0 } } },
	};
	struct baseindex base = { 3, BASE_SIZE, { 9 }, 0, parts };
	struct blockindex blocks;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(blockindex_make(5, 48, &blocks, &err), 0);
	for (uint16_t i = 0; i < 48; i++) {
		blocks.ids[i] = 0xa1b2c3d4e5ULL + i;
		blocks.lengths[i] = (uint16_t)(100 + i);
	}
	assert_int_equal(chunkindex_encode(&c, &chunk_data, &chunk_len, &err), 0);
	assert_int_equal(blockindex_encode(&blocks, &block_data, &block_len, &err), 0);
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
	assert_int_equal(chunk_len, 24 + 3 * 36);
	assert_memory_equal(chunk_data, "SLOTCHNK\1\0\x10\0\3\0\0\0\x9c\xff\2\0\0\0\0\0\1\0", 26);
	assert_int_equal(le32_get(chunk_data + 24 + 36 + 32), 20);
}

static void chunks_have_their_hash_their_frame_and_their_length(void **state)
{
	(void)state;
	assert_int_equal(chunks.count, 3);
	assert_int_equal(chunks.chunks[1].sha256[0], 2);
	assert_int_equal(chunks.chunks[2].offset, 30);
	assert_int_equal(chunks.chunks[2].frame, 30);
	assert_int_equal(chunks.frames_size, 60);
	assert_int_equal(chunkindex_length(&chunks, 0), 65536);
	assert_int_equal(chunkindex_length(&chunks, 2), 65536 - 100);
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
	assert_int_equal(block_len, 16 + 48 * 7);
	assert_memory_equal(block_data, "SLOTBLKS\1\0\x0c\5\x30\0\0\0\xe5\xd4\xc3\xb2\xa1\xe6", 22);
	assert_int_equal(le16_get(block_data + 16 + 48 * 5 + 2), 101);
	assert_int_equal(blockindex_decode(block_data, block_len, SIZE, &b, &err), 0);
	assert_int_equal(b.id_bytes, 5);
	assert_true(b.ids[47] == 0xa1b2c3d4e5ULL + 47);
	assert_int_equal(b.lengths[47], 147);
	assert_int_equal(blockindex_offset(&b, 1), 100);
	assert_int_equal(blockindex_offset(&b, 48), 48 * 100 + 47 * 24);
	blockindex_clear(&b);
}

/* With any number of blocks; some of them are sums that are kept. */
static void a_block_is_where_the_lengths_before_it_say(void **state)
{
	struct err err = { 0 };

	(void)state;
	for (uint32_t count = 1; count < 300; count += 21) {
		struct blockindex b;
		uint64_t offset = 0;

		assert_int_equal(blockindex_make(4, count, &b, &err), 0);
		for (uint32_t i = 0; i < count; i++)
			b.lengths[i] = (uint16_t)(65535 - i * i % 977);
		blockindex_sum(&b);
		for (uint32_t i = 0; i <= count; i++) {
			assert_int_equal(blockindex_offset(&b, i), offset);
			offset += i < count ? b.lengths[i] : 0;
		}
		blockindex_clear(&b);
	}
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
	assert_int_equal(base_len, 56 + 3 * 8 + 3 * 12);
	assert_memory_equal(base_data, "SLOTBASE\1\0\0\0\3\0\0\0\x40\x42\x0f\0\0\0\0\0\x09\0", 26);
	assert_memory_equal(base_data + 56, "\7\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0\x3f", 21);
	assert_int_equal(baseindex_decode(base_data, base_len, &chunks, &b, &err), 0);
	assert_int_equal(b.base_size, BASE_SIZE);
	assert_int_equal(b.base_sha256[0], 9);
	assert_int_equal(b.chunks[0].region_count, 2);
	assert_int_equal(b.chunks[0].regions[1].offset, 999999);
	assert_int_equal(b.chunks[1].frame, 0);
	assert_int_equal(b.chunks[2].offset, 7);
	assert_int_equal(b.frames_size, 12);
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
	if (kind == BLOCKS && (r = blockindex_decode(data, len, size, &b, err)) == 0)
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
		{ CHUNKS, 8, 2, 2, "version is 2" },
		{ CHUNKS, 10, 1, 15, "chunk size, 2^15" },
		{ CHUNKS, 10, 1, 24, "chunk size, 2^24" },
		{ CHUNKS, 10, 1, 17, "3 chunks where the size makes 2" },
		{ CHUNKS, 12, 4, 2, "2 chunks where the size makes 3" },
		{ CHUNKS, 12, 4, 4, "4 chunks" },
		{ CHUNKS, 12, 4, UINT32_MAX, "4294967295 chunks" },
		{ CHUNKS, 16, 8, 0, "for 0 bytes" },
		{ CHUNKS, 16, 8, SIZE + 1, "the manifest says" },
		{ CHUNKS, 16, 8, UINT64_MAX, "the manifest says" },
		{ CHUNKS, 24 + 32, 4, 0, "frame of chunk 0 is 0 bytes" },
		{ CHUNKS, 24 + 72 + 32, 4, 65536 + 2048, "frame of chunk 2 is" },
		{ BLOCKS, 7, 1, 'X', "not a block index" },
		{ BLOCKS, 8, 2, 0, "version is 0" },
		{ BLOCKS, 10, 1, 13, "blocks are 2^13 bytes" },
		{ BLOCKS, 11, 1, 3, "ids of 3" },
		{ BLOCKS, 11, 1, 9, "ids of 9" },
		{ BLOCKS, 11, 1, 6, "its 48 blocks make 400" },
		{ BLOCKS, 12, 4, 47, "47 blocks, which is not what" },
		{ BLOCKS, 12, 4, UINT32_MAX, "4294967295 blocks" },
		{ BLOCKS, 16 + 48 * 5 + 4, 2, 0, "frame of block 2 is empty" },
		{ BASE, 0, 1, 'X', "not a base index" },
		{ BASE, 8, 2, 2, "version is 2" },
		{ BASE, 12, 4, 2, "2 chunks, the chunk index 3" },
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
	assert_int_equal(decode(BLOCKS, block_data, block_len, SIZE - 4096, &err), -1);
	assert_int_equal(decode(BLOCKS, block_data, block_len, 0, &err), -1);
	assert_int_equal(decode(CHUNKS, chunk_data, chunk_len, 0, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chunk_index_has_the_documented_layout),
		cmocka_unit_test(chunks_have_their_hash_their_frame_and_their_length),
		cmocka_unit_test(a_payload_of_whole_chunks_has_a_whole_last_chunk),
		cmocka_unit_test(the_block_index_has_the_documented_layout),
		cmocka_unit_test(a_block_is_where_the_lengths_before_it_say),
		cmocka_unit_test(an_id_is_the_lower_bytes_of_xxh64),
		cmocka_unit_test(the_base_index_has_the_documented_layout),
		cmocka_unit_test(each_wrong_field_is_refused_by_its_name),
		cmocka_unit_test(an_index_cut_short_or_with_more_behind_it_is_refused),
		cmocka_unit_test(an_index_for_a_payload_of_another_size_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
