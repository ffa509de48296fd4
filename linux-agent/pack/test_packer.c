/* SPDX-License-Identifier: MIT */
/* Every layout of a payload of 64 KiB chunks, decoded again as a reader would. */
#include "packer.h"

#include "bytes.h"
#include "zstd_seekable.h"
#include "testdir.h"
#include "io.h"

#include <openssl/evp.h>
#include <zstd.h>

enum { LOG = 16, CHUNK = 1 << LOG, NEW_LEN = 11 * CHUNK + 5000 };

static struct testdir dir;
static uint8_t *new_bytes;

/* Text-like bytes that compress, unlike for each seed. */
static void fill(uint8_t *data, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (uint8_t)"slotboot bundle\n"[(seed >> 16) & (i & 64 ? 15 : 3)];
	}
}

static int setup(void **state)
{
	(void)state;
	testdir_make(&dir);
	new_bytes = malloc(NEW_LEN);
	fill(new_bytes, NEW_LEN, 1);
	testdir_put(&dir, "new", new_bytes, NEW_LEN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	testdir_remove(&dir);
	free(new_bytes);
	return 0;
}

static struct packer packer_of(const char *name, unsigned threads)
{
	static char paths[2][512];
	static int turn;
	struct packer p = { 0 };
	struct err err = { 0 };

	turn = !turn;
	snprintf(paths[turn], sizeof paths[turn], "%s/%s", dir.path, name);
	if (packer_open(paths[turn], &p, &err) < 0)
		fail_msg("%s", err.text);
	p.name = name;
	p.chunk_log = LOG;
	p.threads = threads;
	p.level = 3;
	return p;
}

static uint8_t *written(FILE *f, size_t *ret_len)
{
	uint8_t *data;

	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	*ret_len = (size_t)ftell(f);
	rewind(f);
	data = malloc(*ret_len + 1);
	assert_int_equal(fread(data, 1, *ret_len, f), *ret_len);
	fclose(f);
	return data;
}

/* The FULL layout of a file; the caller clears and frees. */
static uint8_t *pack_full(struct packer *p, size_t *ret_len)
{
	FILE *out = tmpfile();
	struct err err = { 0 };

	if (packer_full(p, out, &err) < 0)
		fail_msg("%s", err.text);
	return written(out, ret_len);
}

static void each_frame_of_the_whole_image_gives_its_chunk(void **state)
{
	struct packer p = packer_of("new", 2);
	size_t len;
	uint8_t *full = pack_full(&p, &len), *chunk = malloc(CHUNK), digest[32];

	(void)state;
	assert_int_equal(p.index.count, 12);
	for (uint32_t i = 0; i < p.index.count; i++) {
		const struct chunk *c = &p.index.chunks[i];
		uint32_t n = chunkindex_length(&p.index, i);

		assert_true(ZSTD_getFrameContentSize(full + c->offset, c->frame) == n);
		assert_int_equal(ZSTD_decompress(chunk, CHUNK, full + c->offset, c->frame), n);
		assert_memory_equal(chunk, new_bytes + (size_t)i * CHUNK, n);
		EVP_Digest(chunk, n, digest, NULL, EVP_sha256(), NULL);
		assert_memory_equal(c->sha256, digest, 32);
	}
	EVP_Digest(new_bytes, NEW_LEN, digest, NULL, EVP_sha256(), NULL);
	assert_memory_equal(p.sha256, digest, 32);
	packer_clear(&p);
	free(chunk);
	free(full);
}

/* By the published format: its length from the footer, then a row for each frame. */
static void the_seek_table_tells_where_each_frame_is(void **state)
{
	struct packer p = packer_of("new", 2);
	size_t len, table;
	uint8_t *full = pack_full(&p, &len);

	(void)state;
	assert_true(le32_get(full + len - 4) == 0x8F92EAB1);
	assert_int_equal(full[len - 5], 0);
	assert_int_equal(le32_get(full + len - 9), 12);
	table = len - 9 - 12 * 8 - 8;
	assert_int_equal(table, p.index.frames_size);
	assert_int_equal(zstd_seekable_table_size(&p.index), len - table);
	assert_true(le32_get(full + table) == 0x184D2A5E);
	assert_int_equal(le32_get(full + table + 4), 12 * 8 + 9);
	for (uint32_t i = 0; i < 12; i++) {
		assert_int_equal(le32_get(full + table + 8 + i * 8), p.index.chunks[i].frame);
		assert_int_equal(le32_get(full + table + 8 + i * 8 + 4),
				 chunkindex_length(&p.index, i));
	}
	packer_clear(&p);
	free(full);
}

static void each_block_decodes_alone_with_the_dictionary(void **state)
{
	struct packer p = packer_of("new", 2);
	struct blockindex index;
	struct err err = { 0 };
	uint8_t *dictionary, *frames, block[BLOCK_BYTES];
	size_t full_len, dictionary_len, len;
	FILE *out = tmpfile();
	ZSTD_DCtx *ctx = ZSTD_createDCtx();

	(void)state;
	free(pack_full(&p, &full_len));
	assert_true(packer_blocks_fit(&p));
	if (packer_blocks(&p, out, &index, &dictionary, &dictionary_len, &err) < 0)
		fail_msg("%s", err.text);
	frames = written(out, &len);
	assert_non_null(dictionary);
	assert_int_equal(index.count, 11 * 16 + 2);
	assert_int_equal(blockindex_offset(&index, index.count), len);
	for (uint32_t i = 0; i < index.count; i++) {
		size_t n = i + 1 < index.count ? BLOCK_BYTES : NEW_LEN % BLOCK_BYTES;
		const uint8_t *is = new_bytes + (size_t)i * BLOCK_BYTES;

		assert_int_equal(ZSTD_decompress_usingDict(ctx, block, sizeof block,
				 frames + blockindex_offset(&index, i), index.lengths[i],
				 dictionary, dictionary_len), n);
		assert_memory_equal(block, is, n);
		assert_true(index.ids[i] == blockindex_id(is, n, index.id_bytes));
	}
	ZSTD_freeDCtx(ctx);
	blockindex_clear(&index);
	packer_clear(&p);
	free(dictionary);
	free(frames);
}

/* Packs "new" against the older image `old`, decodes it from there, and returns the index. */
static struct baseindex pack_base(const uint8_t *old, size_t old_len, unsigned threads,
				  uint8_t **ret_frames, size_t *ret_len)
{
	struct packer p = packer_of("new", threads), base;
	struct baseindex index;
	struct err err = { 0 };
	uint8_t *prefix = malloc(BASE_MAX_PREFIX), *chunk = malloc(CHUNK), digest[32];
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	FILE *out = tmpfile();
	size_t full_len;

	testdir_put(&dir, "old", old, old_len);
	base = packer_of("old", threads);
	free(pack_full(&p, &full_len));
	if (packer_base(&p, &base, out, &index, &err) < 0)
		fail_msg("%s", err.text);
	EVP_Digest(old, old_len, digest, NULL, EVP_sha256(), NULL);
	assert_memory_equal(index.base_sha256, digest, 32);
	*ret_frames = written(out, ret_len);
	for (uint32_t i = 0; i < index.count; i++) {
		const struct base_chunk *c = &index.chunks[i];
		size_t n = chunkindex_length(&p.index, i), prefix_len = 0;

		for (uint32_t k = 0; k < c->region_count; k++) {
			assert_true(c->regions[k].offset + c->regions[k].length <= old_len);
			memcpy(prefix + prefix_len, old + c->regions[k].offset,
			       c->regions[k].length);
			prefix_len += c->regions[k].length;
		}
		if (c->frame == 0) {
			assert_int_equal(prefix_len, n);
			assert_memory_equal(prefix, new_bytes + (size_t)i * CHUNK, n);
			continue;
		}
		ZSTD_DCtx_refPrefix(ctx, prefix, prefix_len);
		assert_int_equal(ZSTD_decompressDCtx(ctx, chunk, CHUNK, *ret_frames + c->offset,
						     c->frame), n);
		assert_memory_equal(chunk, new_bytes + (size_t)i * CHUNK, n);
	}
	ZSTD_freeDCtx(ctx);
	packer_clear(&p);
	packer_clear(&base);
	free(prefix);
	free(chunk);
	return index;
}

static void a_chunk_that_the_base_has_needs_no_frame(void **state)
{
	struct baseindex index;
	uint8_t *frames;
	size_t len;

	(void)state;
	index = pack_base(new_bytes, NEW_LEN, 2, &frames, &len);
	assert_int_equal(index.frames_size, 0);
	assert_int_equal(len, 0);
	assert_int_equal(index.chunks[5].region_count, 1);
	assert_int_equal(index.chunks[5].regions[0].offset, 5 * CHUNK);
	baseindex_clear(&index);
	free(frames);
}

static void what_moved_by_whole_blocks_is_found_in_pieces(void **state)
{
	uint8_t *old = malloc(NEW_LEN + 5 * BLOCK_BYTES), *frames;
	struct baseindex index;
	size_t len, cut = 3 * CHUNK + 12 * BLOCK_BYTES;

	(void)state;
	fill(old, 5 * BLOCK_BYTES, 99);
	memcpy(old + 5 * BLOCK_BYTES, new_bytes, NEW_LEN);
	memmove(old, old + 5 * BLOCK_BYTES, cut);	/* the first chunks are where they were */
	index = pack_base(old, NEW_LEN + 5 * BLOCK_BYTES, 2, &frames, &len);
	assert_int_equal(index.frames_size, 0);
	assert_int_equal(index.chunks[2].regions[0].offset, 2 * CHUNK);
	assert_int_equal(index.chunks[3].region_count, 2);
	assert_int_equal(index.chunks[9].regions[0].offset, 9 * CHUNK + 5 * BLOCK_BYTES);
	baseindex_clear(&index);
	free(frames);
	free(old);
}

static void a_changed_chunk_costs_little_against_its_base(void **state)
{
	uint8_t *old = malloc(NEW_LEN), *frames;
	struct baseindex index;
	size_t len;

	(void)state;
	memcpy(old, new_bytes, NEW_LEN);
	for (size_t i = 4 * CHUNK; i < 6 * CHUNK; i += 3000)
		old[i] ^= 0x55;		/* in every block of two chunks */
	index = pack_base(old, NEW_LEN, 2, &frames, &len);
	assert_int_equal(index.chunks[3].frame, 0);
	assert_in_range(index.chunks[4].frame, 1, 1000);
	assert_in_range(index.chunks[5].frame, 1, 1000);
	assert_int_equal(index.chunks[6].frame, 0);
	baseindex_clear(&index);
	free(frames);
	free(old);
}

static void a_base_of_any_size_will_do(void **state)
{
	static const size_t sizes[] = { 1, 4095, CHUNK + 1, NEW_LEN - 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *frames;
		size_t len;
		struct baseindex index = pack_base(new_bytes, sizes[i], 1, &frames, &len);

		baseindex_clear(&index);
		free(frames);
	}
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
	uint8_t *old = malloc(NEW_LEN), *first[3] = { NULL };
	size_t first_len[3] = { 0 };

	(void)state;
	fill(old, NEW_LEN, 1);
	fill(old + 3 * CHUNK, 2 * CHUNK, 5);
	for (unsigned threads = 1; threads <= 5; threads += 2) {
		struct packer p = packer_of("new", threads);
		struct blockindex blocks;
		struct baseindex base;
		struct err err = { 0 };
		uint8_t *got[3], *dictionary;
		size_t len[3], dictionary_len;
		FILE *out = tmpfile();

		got[0] = pack_full(&p, &len[0]);
		assert_int_equal(packer_blocks(&p, out, &blocks, &dictionary, &dictionary_len,
					       &err), 0);
		got[1] = written(out, &len[1]);
		base = pack_base(old, NEW_LEN, threads, &got[2], &len[2]);
		for (int k = 0; k < 3; k++) {
			if (threads > 1) {
				assert_int_equal(len[k], first_len[k]);
				assert_memory_equal(got[k], first[k], len[k]);
				free(got[k]);
			} else {
				first[k] = got[k];
				first_len[k] = len[k];
			}
		}
		blockindex_clear(&blocks);
		baseindex_clear(&base);
		packer_clear(&p);
		free(dictionary);
	}
	for (int k = 0; k < 3; k++)
		free(first[k]);
	free(old);
}

static void a_payload_that_changes_between_layouts_is_refused(void **state)
{
	struct packer p = packer_of("new", 2);
	struct blockindex index;
	struct err err = { 0 };
	uint8_t *dictionary;
	size_t full_len, dictionary_len;
	FILE *out = tmpfile();

	(void)state;
	free(pack_full(&p, &full_len));
	new_bytes[7 * CHUNK + 1] ^= 1;
	testdir_put(&dir, "new", new_bytes, NEW_LEN);
	assert_int_equal(packer_blocks(&p, out, &index, &dictionary, &dictionary_len, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, "new changed while it was read"));
	assert_int_equal(truncate(p.path, NEW_LEN - 1), 0);
	assert_int_equal(packer_blocks(&p, out, &index, &dictionary, &dictionary_len, &err), -1);
	assert_non_null(strstr(err.text, "changed while it was read"));
	new_bytes[7 * CHUNK + 1] ^= 1;
	testdir_put(&dir, "new", new_bytes, NEW_LEN);
	packer_clear(&p);
	fclose(out);
}

static void a_payload_without_variety_gets_no_dictionary(void **state)
{
	static const uint8_t zeros[3 * CHUNK];
	struct packer p;
	struct blockindex index;
	struct err err = { 0 };
	uint8_t *dictionary;
	size_t full_len, dictionary_len;
	FILE *out = tmpfile();

	(void)state;
	testdir_put(&dir, "zeros", zeros, sizeof zeros);
	p = packer_of("zeros", 2);
	free(pack_full(&p, &full_len));
	assert_int_equal(packer_blocks(&p, out, &index, &dictionary, &dictionary_len, &err), 0);
	assert_true(!dictionary || dictionary_len < 4096);
	free(dictionary);
	blockindex_clear(&index);
	packer_clear(&p);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_frame_of_the_whole_image_gives_its_chunk),
		cmocka_unit_test(the_seek_table_tells_where_each_frame_is),
		cmocka_unit_test(each_block_decodes_alone_with_the_dictionary),
		cmocka_unit_test(a_chunk_that_the_base_has_needs_no_frame),
		cmocka_unit_test(what_moved_by_whole_blocks_is_found_in_pieces),
		cmocka_unit_test(a_changed_chunk_costs_little_against_its_base),
		cmocka_unit_test(a_base_of_any_size_will_do),
		cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
		cmocka_unit_test(a_payload_that_changes_between_layouts_is_refused),
		cmocka_unit_test(a_payload_without_variety_gets_no_dictionary),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
