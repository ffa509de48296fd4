/* SPDX-License-Identifier: MIT */
/* Digests by libcrypto. */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* _cleanup_(md_ctx_freep) */
static inline void md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

/* Whether the data have this SHA-256; ctx may have been used. false, too, where there is no memory. */
static inline bool digest_is(EVP_MD_CTX *ctx, const void *data, size_t len, const uint8_t sha256[32])
{
	uint8_t digest[32];

	return EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(ctx, data, len) == 1 &&
	       EVP_DigestFinal_ex(ctx, digest, NULL) == 1 &&
	       memcmp(digest, sha256, sizeof digest) == 0;
}
