/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 (FIPS 180-4), for the loader's digest check on trial boots: firmware
 * has no hash protocol one can count on. The agent uses libcrypto, and the unit
 * test compares the two.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

struct sha256 {
	uint32_t state[8];
	uint64_t length;	/* bytes taken so far */
	uint8_t block[64];	/* the last, incomplete one */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const uint8_t *data, size_t len);
void sha256_final(struct sha256 *s, uint8_t ret_digest[SHA256_BYTES]);
