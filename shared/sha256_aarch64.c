/* SPDX-License-Identifier: MIT */
/* The SHA2 instructions of the Armv8 cryptographic extension. */
#include "sha256.h"

#include <arm_neon.h>

enum { ROUNDS = 4 /* in one go */ };

#define USES_SHA __attribute__((target("+crypto")))

/* The message's next four words, from its last 16. */
USES_SHA static uint32x4_t schedule(const uint32x4_t w[4])
{
	return vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3]);
}

USES_SHA static void blocks(uint32_t state[8], const uint8_t *data, size_t count)
{
	uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);

	for (; count > 0; count--, data += 64) {
		uint32x4_t w[4] = { { 0 } }, first = abcd, second = efgh;

		for (int i = 0; i < 64 / ROUNDS; i++) {
			uint32x4_t next = i < 4 ? vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)))
						: schedule(w);
			uint32x4_t k = vaddq_u32(next, vld1q_u32(&sha256_round_constant[ROUNDS * i])), before = abcd;

			w[0] = w[1];
			w[1] = w[2];
			w[2] = w[3];
			w[3] = next;
			abcd = vsha256hq_u32(abcd, efgh, k);
			efgh = vsha256h2q_u32(efgh, before, k);
		}
		abcd = vaddq_u32(abcd, first);
		efgh = vaddq_u32(efgh, second);
	}
	vst1q_u32(state, abcd);
	vst1q_u32(state + 4, efgh);
}

/* Arm ARM, ID_AA64ISAR0_EL1.SHA2. Linux lets programs read it, too. */
sha256_blocks *sha256_blocks_native(void)
{
	uint64_t features;

	__asm__("mrs %0, id_aa64isar0_el1" : "=r"(features));
	return features >> 12 & 0xf ? blocks : NULL;
}
