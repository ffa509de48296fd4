/* SPDX-License-Identifier: MIT */
/* Cleanup for libcrypto's digest contexts: _cleanup_(md_ctx_freep). */
#pragma once

#include <openssl/evp.h>

static inline void md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}
