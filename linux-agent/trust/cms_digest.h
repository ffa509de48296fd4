/* SPDX-License-Identifier: MIT */
/*
 * The digests of what a manifest.p7s signs. They are computed before any signer is known
 * to be good, so the work must not depend on what the signature asks for: one pass for
 * each digest that a signer uses (of the first CMS_SIGNERS_MAX), out of a list of seven.
 * SignedData.digestAlgorithms, which may name thousands, is not looked at.
 */
#pragma once

#include "cms_pem.h"

#include <stdbool.h>

/* SHA-2 or SHA-3 of 256 bits or more. */
bool cms_digest_is_good(const X509_ALGOR *digest);

/* What CMS_SignerInfo_verify_content() takes: len bytes at data, read to their end, with
 * one digest filter in front for each good digest. The caller frees with BIO_free_all();
 * data must outlive it. EX_SOFTWARE: out of memory. */
int cms_digest_content(CMS_ContentInfo *cms, const uint8_t *data, size_t len, BIO **ret_content,
		       struct err *err);
