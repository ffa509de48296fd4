/* SPDX-License-Identifier: MIT */
/* A payload of 64 KiB chunks, in every way, decoded again as a reader would. */
#include "packer.h"

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

/* The frames of a file; the caller clears and frees. */
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

static struct packer in_blocks(struct packer p)
{
	p.in_blocks = true;
	p.blocks_level = 3;
	return p;
}

/* Chunk i of a packed payload, from its own frames or those of the chunk it repeats. */
static void expect_chunk(const struct packer *p, const uint8_t *frames, uint32_t i, const uint8_t *is)
{
	const struct chunk *c = &p->index.chunks[i];
	uint32_t len = chunkindex_length(&p->index, i), block = i << (LOG - BLOCK_LOG);
	uint32_t blocks = c->blocks ? chunkindex_blocks(&p->index, i) : 1;
	const uint8_t *frame = frames + c->offset;
	uint8_t *got = malloc(len);
	ZSTD_DCtx *ctx = ZSTD_createDCtx();

	for (uint32_t k = 0; k < blocks; k++) {
		size_t n = c->blocks ? p->blocks.lengths[block + k] : c->frame;
		size_t at = (size_t)k * BLOCK_BYTES;
		size_t should = !c->blocks ? len : len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES;

		assert_true(ZSTD_getFrameContentSize(frame, n) == should);
		assert_int_equal(ZSTD_decompress_usingDict(ctx, got + at, should, frame, n, p->dictionary,
							   p->dictionary_len), should);
		if (c->blocks)
			assert_true(p->blocks.ids[block + k] ==
				    blockindex_id(is + at, should, p->blocks.id_bytes));
		frame += n;
	}
	assert_true(frame == frames + c->offset + c->frame);
	assert_memory_equal(got, is, len);
	ZSTD_freeDCtx(ctx);
	free(got);
}

static void each_block_decodes_alone_with_the_dictionary(void **state)
{
	struct packer p = in_blocks(packer_of("new", 2));
	size_t len;
	uint8_t *frames;

	(void)state;
	assert_true(packer_blocks_fit(&p));
	frames = pack_full(&p, &len);
	assert_non_null(p.dictionary);
	assert_int_equal(len, p.index.frames_size);
	for (uint32_t i = 0; i < p.index.count; i++) {
		assert_true(p.index.chunks[i].blocks);
		expect_chunk(&p, frames, i, new_bytes + (size_t)i * CHUNK);
	}
	packer_clear(&p);
	free(frames);
}

/* The third and fifth chunk are the second, the fourth to the last but one zeros. */
static uint8_t *repeating_make(size_t *ret_len)
{
	uint8_t *bytes = calloc(1, 9 * CHUNK);

	memcpy(bytes, new_bytes, 3 * CHUNK);
	memcpy(bytes + 2 * CHUNK, bytes + CHUNK, CHUNK);
	memcpy(bytes + 4 * CHUNK, bytes + CHUNK, CHUNK);
	memcpy(bytes + 8 * CHUNK, new_bytes + 5 * CHUNK, CHUNK);
	*ret_len = 9 * CHUNK;
	testdir_put(&dir, "repeating", bytes, *ret_len);
	return bytes;
}

/* Zeros are there again: a name would save nothing. In one frame, since no machine saves by having
 * some of their blocks. */
static void what_repeats_is_there_once(void **state)
{
	static const uint32_t first[] = { 0, 1, 1, 3, 1, 5, 6, 7, 8 };
	size_t bytes_len, len;
	uint8_t *bytes = repeating_make(&bytes_len);

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct packer p = packer_of("repeating", i & 1 ? 4 : 1);
		uint8_t *frames;

		if (i & 2)
			p = in_blocks(p);
		frames = pack_full(&p, &len);
		assert_int_equal(len, p.index.frames_size);
		for (uint32_t k = 0; k < 9; k++) {
			const struct chunk *c = &p.index.chunks[k];
			bool zeros = k == 3 || (k > 4 && k < 8);

			assert_int_equal(c->repeats, first[k] != k);
			assert_int_equal(c->same, c->repeats ? first[k] : 0);
			assert_int_equal(c->blocks, (i & 2) && !zeros);
			expect_chunk(&p, frames, k, bytes + k * CHUNK);
			if (zeros)
				assert_in_range(c->frame, 1, 100);
		}
		packer_clear(&p);
		free(frames);
	}
	free(bytes);
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
		struct packer p = packer_of("new", threads), q = in_blocks(p);
		struct baseindex base;
		uint8_t *got[3];
		size_t len[3];

		q.fd = dup(p.fd);
		got[0] = pack_full(&p, &len[0]);
		got[1] = pack_full(&q, &len[1]);
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
		baseindex_clear(&base);
		packer_clear(&p);
		packer_clear(&q);
	}
	for (int k = 0; k < 3; k++)
		free(first[k]);
	free(old);
}

static void a_payload_that_changes_between_layouts_is_refused(void **state)
{
	struct packer p = packer_of("new", 2), base;
	struct baseindex index;
	struct err err = { 0 };
	size_t full_len;
	FILE *out = tmpfile();

	(void)state;
	testdir_put(&dir, "old", new_bytes, CHUNK);
	free(pack_full(&p, &full_len));
	new_bytes[7 * CHUNK + 1] ^= 1;
	testdir_put(&dir, "new", new_bytes, NEW_LEN);
	base = packer_of("old", 2);
	assert_int_equal(packer_base(&p, &base, out, &index, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_non_null(strstr(err.text, "new changed while it was read"));
	assert_int_equal(truncate(p.path, NEW_LEN - 1), 0);
	assert_int_equal(packer_base(&p, &base, out, &index, &err), -1);
	assert_non_null(strstr(err.text, "changed while it was read"));
	new_bytes[7 * CHUNK + 1] ^= 1;
	testdir_put(&dir, "new", new_bytes, NEW_LEN);
	packer_clear(&base);
	packer_clear(&p);
	fclose(out);
}

static size_t dictionary_of(const char *name)
{
	struct packer p = in_blocks(packer_of(name, 2));
	size_t len;

	free(pack_full(&p, &len));
	len = p.dictionary_len;
	packer_clear(&p);
	return len;
}

/* What zstd can learn from: words in any order. */
static void fill_with_words(uint8_t *data, size_t len)
{
	enum { WORD = 16, WORDS = 4096 };
	static uint8_t words[WORDS * WORD];
	uint32_t seed = 5;

	for (size_t i = 0; i < sizeof words; i++)
		words[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	for (size_t at = 0; at < len; at += WORD)
		memcpy(data + at, words + ((seed = seed * 1103515245 + 12345) >> 16) % WORDS * WORD, WORD);
}

static void free_space_costs_no_dictionary(void **state)
{
	enum { USED = 2 << 20, MOSTLY_FREE = 4 * USED };
	uint8_t *bytes = calloc(1, MOSTLY_FREE);

	(void)state;
	fill_with_words(bytes, USED);
	testdir_put(&dir, "used", bytes, USED);
	memset(bytes, 0, USED);
	fill_with_words(bytes + MOSTLY_FREE - USED, USED);
	testdir_put(&dir, "mostly free", bytes, MOSTLY_FREE);
	free(bytes);
	assert_true(dictionary_of("used") > 16384);
	assert_true(dictionary_of("mostly free") >= dictionary_of("used"));
}

static void a_payload_without_variety_gets_no_dictionary(void **state)
{
	static const uint8_t zeros[3 * CHUNK];
	struct packer p;
	size_t full_len;

	(void)state;
	testdir_put(&dir, "zeros", zeros, sizeof zeros);
	p = in_blocks(packer_of("zeros", 2));
	free(pack_full(&p, &full_len));
	assert_true(!p.dictionary || p.dictionary_len < 4096);
	packer_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_frame_of_the_whole_image_gives_its_chunk),
		cmocka_unit_test(each_block_decodes_alone_with_the_dictionary),
		cmocka_unit_test(what_repeats_is_there_once),
		cmocka_unit_test(a_chunk_that_the_base_has_needs_no_frame),
		cmocka_unit_test(what_moved_by_whole_blocks_is_found_in_pieces),
		cmocka_unit_test(a_changed_chunk_costs_little_against_its_base),
		cmocka_unit_test(a_base_of_any_size_will_do),
		cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
		cmocka_unit_test(a_payload_that_changes_between_layouts_is_refused),
		cmocka_unit_test(free_space_costs_no_dictionary),
		cmocka_unit_test(a_payload_without_variety_gets_no_dictionary),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
