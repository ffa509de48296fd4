/* SPDX-License-Identifier: MIT */
/* Questions to libcrypto and to the lists, for secureboot_judge.c. */
#pragma once

#include "secureboot.h"

/* Whether the image's digest is in the list; NULL: no; else the words for it, such as
 * "its SHA-256 0123456789abcdef..." (of at least 96 bytes, in text). */
bool chain_digest_listed(const struct secureboot_image *image, const struct siglist *list,
			 char *text, size_t size);

/* The first certificate of the list to which the signature leads: the signer's own, or one that
 * has, through those that the signature carries, certified it. NULL: none; the caller frees. No
 * dates and no purposes count. boot_only: as shim does with its own, one that is for kernel
 * modules only does not count. */
X509 *chain_anchor(const struct authenticode_entry *entry, const struct siglist *list,
		   bool boot_only);

/* The list's entry that has the digest of that certificate's signed part, or of one that has
 * certified it among those carried; NULL: none. *ret_cert: which, not owned. */
const struct siglist_entry *chain_cert_listed(const struct authenticode_entry *entry, X509 *cert,
					      const struct siglist *list, X509 **ret_cert);
