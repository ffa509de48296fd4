/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include "crc32.h"
#include "unittest.h"

#include <openssl/sha.h>

enum { MOST = 300 };

static void digest(sha256_blocks *blocks, const uint8_t *data, size_t len, size_t piece, uint8_t ret_digest[32])
{
	struct sha256 s;

	sha256_init(&s);
	if (blocks)
		s.blocks = blocks;
	for (size_t at = 0; at < len; at += piece)
		sha256_update(&s, data + at, len - at < piece ? len - at : piece);
	sha256_final(&s, ret_digest);
}

/* Every length around the block boundaries, in pieces of every size. */
static void assert_agrees(sha256_blocks *blocks)
{
	uint8_t data[MOST], ours[32], theirs[32];

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 31 + 7);
	for (size_t len = 0; len <= sizeof data; len++)
		for (size_t piece = 1; piece <= MOST; piece += 43) {
			digest(blocks, data, len, piece, ours);
			SHA256(data, len, theirs);
			assert_memory_equal(ours, theirs, 32);
		}
}

static void digests_agree_with_libcrypto(void **state)
{
	(void)state;
	assert_agrees(sha256_blocks_plain);
	assert_agrees(NULL);
}

static void instructions_are_used_where_there_are_any(void **state)
{
	struct sha256 s;

	(void)state;
	sha256_init(&s);
	if (!sha256_blocks_native())
		skip();
	assert_ptr_equal(s.blocks, sha256_blocks_native());
}

static void the_crc_is_the_one_of_zlib(void **state)
{
	(void)state;
	assert_int_equal(crc32_of((const uint8_t *)"123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_of(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_agree_with_libcrypto),
		cmocka_unit_test(instructions_are_used_where_there_are_any),
		cmocka_unit_test(the_crc_is_the_one_of_zlib),
	};

	return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
