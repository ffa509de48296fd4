/* SPDX-License-Identifier: MIT */
#include "chunk_decode.h"

#include "chunkindex.h"
#include "testdir.h"
#include "io.h"

#include <zstd.h>

enum { LEN = 64, ROOM = 256 };

static const uint8_t zeros[LEN];

/* How a frame is made otherwise than FORMAT.md says; the dictionary has the id 1. */
enum odd { PLAIN, CHECKSUM, NO_SIZE, DICTIONARY_ID };

static size_t frame_make(enum odd odd, uint8_t *out)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	ZSTD_inBuffer in = { zeros, LEN, 0 };
	ZSTD_outBuffer to = { out, ROOM, 0 };

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, odd == CHECKSUM);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, odd != NO_SIZE);
	assert_int_equal(ZSTD_compressStream2(ctx, &to, &in, ZSTD_e_end), 0);
	ZSTD_freeCCtx(ctx);
	if (odd != DICTIONARY_ID)
		return to.pos;
	memmove(out + 6, out + 5, to.pos - 5);	/* one byte of id behind the descriptor */
	out[4] |= 1;
	out[5] = 1;
	return to.pos + 1;
}

static void decoders_agree(const uint8_t *frame, size_t n, size_t len, bool good, const char *what)
{
	struct chunk_decode *code = chunk_decode_new();
	uint8_t out[ROOM];

	if (chunk_decode_frame_is(frame, n, len) != good ||
	    chunk_decode(code, frame, n, out, len) != good ||
	    chunk_decode_dict(code, NULL, frame, n, out, len) != good ||
	    chunk_decode_prefix(code, "prefix", 6, frame, n, out, len) != good)
		fail_msg("%s", what);
	chunk_decode_free(code);
}

static void only_a_frame_as_the_format_has_it_is_decoded(void **state)
{
	static const struct {
		const char *what;
		enum odd odd;
		size_t len;
		bool good;
	} rows[] = {
		{ "a plain frame", PLAIN, LEN, true },
		{ "another size than its own", PLAIN, LEN - 1, false },
		{ "room for more", PLAIN, LEN + 1, false },
		{ "a checksum", CHECKSUM, LEN, false },
		{ "no content size", NO_SIZE, LEN, false },
		{ "a dictionary id", DICTIONARY_ID, LEN, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t frame[ROOM + 1];
		size_t n = frame_make(rows[i].odd, frame);

		decoders_agree(frame, n, rows[i].len, rows[i].good, rows[i].what);
	}
}

static void nothing_may_lie_before_or_behind_the_frame(void **state)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0 };
	uint8_t frame[2 * ROOM], two[2 * ROOM];
	size_t n = frame_make(PLAIN, frame);

	(void)state;
	memcpy(two, skippable, sizeof skippable);
	memcpy(two + sizeof skippable, frame, n);
	decoders_agree(two, n + sizeof skippable, LEN, false, "a skippable frame first");
	memcpy(two, frame, n);
	memcpy(two + n, skippable, sizeof skippable);
	decoders_agree(two, n + sizeof skippable, LEN, false, "a skippable frame last");
	memcpy(two + n, frame, n);
	decoders_agree(two, 2 * n, 2 * LEN, false, "two frames");
	decoders_agree(two, 2 * n, LEN, false, "two frames, and one asked for");
	decoders_agree(frame, n - 1, LEN, false, "a frame cut short");
	for (size_t i = 0; i < 6; i++)
		decoders_agree(frame, i, LEN, false, "a few bytes");
	decoders_agree(skippable, sizeof skippable, 0, false, "a skippable frame for nothing");
}

/* One raw block of "Hello", as 0.5 to 0.7 had it; libzstd may be built to read them. */
static void older_formats_are_not_decoded(void **state)
{
	static const uint8_t magics[] = { 0x1e, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27 };
	uint8_t frame[] = { 0x27, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x40, 0, 5, 'H', 'e', 'l', 'l', 'o',
			    0xc0, 0, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		frame[0] = magics[i];
		decoders_agree(frame, sizeof frame, 5, false, "an older magic");
	}
}

static void a_damaged_dictionary_is_told_by_its_name(void **state)
{
	static const uint8_t damaged[64] = { 0x37, 0xa4, 0x30, 0xec, 1 };
	struct chunkdict *dict = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(chunkdict_new("rootfs.dict", damaged, sizeof damaged, &dict, &err), -1);
	assert_int_equal(err.exit, EX_DATAERR);
	assert_string_equal(err.text, "rootfs.dict is no dictionary of zstd");
	assert_int_equal(chunkdict_new("rootfs.dict", zeros, LEN, &dict, &err), 0);
	chunkdict_free(dict);
}

/* A frame for each block of a chunk of two and a half, and what else may come there. */
static void each_block_has_a_frame_of_its_own_and_nothing_lies_between(void **state)
{
	enum { HALF = 2048, CHUNK = 2 * BLOCK_BYTES + HALF };
	static const struct {
		const char *what;
		int lens[4];		/* of what each frame holds; negative: a skippable frame */
		size_t cut;		/* from the end */
		bool good;
	} rows[] = {
		{ "a frame for each", { BLOCK_BYTES, BLOCK_BYTES, HALF }, 0, true },
		{ "one for all", { CHUNK }, 0, false },
		{ "one for two", { 2 * BLOCK_BYTES, HALF }, 0, false },
		{ "the last is missing", { BLOCK_BYTES, BLOCK_BYTES }, 0, false },
		{ "the last is cut short", { BLOCK_BYTES, BLOCK_BYTES, HALF }, 1, false },
		{ "the last is a whole block", { BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES }, 0, false },
		{ "another order", { HALF, BLOCK_BYTES, BLOCK_BYTES }, 0, false },
		{ "one more", { BLOCK_BYTES, BLOCK_BYTES, HALF, HALF }, 0, false },
		{ "a skippable one between", { BLOCK_BYTES, -1, BLOCK_BYTES, HALF }, 0, false },
		{ "a skippable one last", { BLOCK_BYTES, BLOCK_BYTES, HALF, -1 }, 0, false },
	};
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0 };
	static uint8_t content[CHUNK];
	struct chunk_decode *code = chunk_decode_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* As long as the frames, so that a byte beyond them is seen. */
		uint8_t room[4 * ROOM], *frames, *out = malloc(CHUNK);
		size_t end = 0;

		for (unsigned k = 0; k < 4 && rows[i].lens[k]; k++) {
			int len = rows[i].lens[k];

			if (len < 0)
				memcpy(room + end, skippable, sizeof skippable);
			end += len < 0 ? sizeof skippable
				       : ZSTD_compress(room + end, sizeof room - end, content, (size_t)len, 3);
		}
		end -= rows[i].cut;
		frames = malloc(end);
		memcpy(frames, room, end);
		memset(out, 1, CHUNK);
		if (chunk_decode_blocks(code, NULL, frames, end, out, CHUNK) != rows[i].good ||
		    (rows[i].good && memcmp(out, content, CHUNK) != 0))
			fail_msg("%s", rows[i].what);
		free(frames);
		free(out);
	}
	chunk_decode_free(code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_frame_as_the_format_has_it_is_decoded),
		cmocka_unit_test(nothing_may_lie_before_or_behind_the_frame),
		cmocka_unit_test(older_formats_are_not_decoded),
		cmocka_unit_test(a_damaged_dictionary_is_told_by_its_name),
		cmocka_unit_test(each_block_has_a_frame_of_its_own_and_nothing_lies_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
