/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 (FIPS 180-4), for the loader's digest check on trial boots: firmware
 * has no hash protocol one can count on. The agent uses libcrypto, and the unit
 * test compares the two. The processor's own instructions are used where it has
 * them: sha256_x86_64.c, sha256_aarch64.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

/* Takes whole blocks of 64 bytes into the state. */
typedef void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t count);

struct sha256 {
	sha256_blocks *blocks;
	uint32_t state[8];
	uint64_t length;	/* bytes taken so far */
	uint8_t block[64];	/* the last, incomplete one */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const uint8_t *data, size_t len);
void sha256_final(struct sha256 *s, uint8_t ret_digest[SHA256_BYTES]);

/* In C alone: the reference. */
sha256_blocks sha256_blocks_plain;
/* By the processor's instructions; NULL if it has none. */
sha256_blocks *sha256_blocks_native(void);

/* FIPS 180-4, 4.2.2. */
extern const uint32_t sha256_round_constant[64];
