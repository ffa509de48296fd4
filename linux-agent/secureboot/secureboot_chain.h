/* SPDX-License-Identifier: MIT */
/* Searches the lists, with libcrypto, for secureboot_judge.c. */
#pragma once

#include "secureboot.h"

/* True if the list has one of the image's digests; then text (of at least 96 bytes) names it, such
 * as "its SHA-256 0123456789abcdef...". */
bool chain_digest_listed(const struct secureboot_image *image, const struct siglist *list,
			 char *text, size_t size);

/* The first certificate in the list to which the signature leads: the signer's own, or one that
 * issued it through certificates that the signature carries. NULL if there is none; the caller
 * frees it. Ignores dates and purposes. boot_only: skips certificates for kernel modules only, as
 * shim does with its own list. */
X509 *chain_anchor(const struct authenticode_entry *entry, const struct siglist *list,
		   bool boot_only);

/* The list's entry with the digest of the signed part of that certificate, or of one of its issuers
 * that the signature carries; NULL if there is none. *ret_cert: the certificate, not owned. */
const struct siglist_entry *chain_cert_listed(const struct authenticode_entry *entry, X509 *cert,
					      const struct siglist *list, X509 **ret_cert);
