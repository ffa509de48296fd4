/* SPDX-License-Identifier: MIT */
/* Intel's SHA extensions: Software Developer's Manual, SHA256RNDS2, SHA256MSG1, SHA256MSG2. */
#include "sha256.h"

#include <cpuid.h>
#include <immintrin.h>

enum { LEAF_FEATURES = 1, LEAF_MORE = 7, ROUNDS = 4 /* in one go */ };

#define HAS_SSSE3  (1u << 9)	/* leaf 1, ecx */
#define HAS_SSE4_1 (1u << 19)
#define HAS_SHA    (1u << 29)	/* leaf 7, ebx */

#define USES_SHA __attribute__((target("ssse3,sse4.1,sha")))

/* The message's next four words, from its last 16. */
USES_SHA static __m128i schedule(const __m128i w[4])
{
	__m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));

	return _mm_sha256msg2_epu32(sum, w[3]);
}

USES_SHA static __m128i big_endian(const uint8_t *data)
{
	const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

	return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data), order);
}

USES_SHA static void compress(__m128i *abef, __m128i *cdgh, const uint8_t *block)
{
	__m128i w[4] = { { 0 } }, first = *abef, second = *cdgh;

	for (int i = 0; i < 64 / ROUNDS; i++) {
		__m128i next = i < 4 ? big_endian(block + 16 * i) : schedule(w), k;

		w[0] = w[1];
		w[1] = w[2];
		w[2] = w[3];
		w[3] = next;
		k = _mm_add_epi32(next, _mm_loadu_si128((const __m128i *)&sha256_round_constant[ROUNDS * i]));
		*cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, k);
		*abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(k, 0x0e));
	}
	*abef = _mm_add_epi32(*abef, first);
	*cdgh = _mm_add_epi32(*cdgh, second);
}

/* The instructions want the eight words as ABEF and CDGH, A and C on top. */
USES_SHA static void blocks(uint32_t state[8], const uint8_t *data, size_t count)
{
	__m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
	__m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(badc, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);

	for (; count > 0; count--, data += 64)
		compress(&abef, &cdgh, data);
	badc = _mm_shuffle_epi32(abef, 0x1b);
	hgfe = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(badc, hgfe, 0xf0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(hgfe, badc, 8));
}

sha256_blocks *sha256_blocks_native(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(LEAF_FEATURES, &a, &b, &c, &d) || !(c & HAS_SSSE3) || !(c & HAS_SSE4_1) ||
	    !__get_cpuid_count(LEAF_MORE, 0, &a, &b, &c, &d) || !(b & HAS_SHA))
		return NULL;
	return blocks;
}
