/* SPDX-License-Identifier: MIT */
/*
 * The signature of a bundle: detached CMS SignedData (RFC 5652, DER) over the
 * very bytes of manifest.json, made and checked by libcrypto.
 *
 * Trust is a PEM file of one or more certificates, the keyring. A signer is
 * good if its certificate is in the keyring or leads to one that is, through
 * certificates carried in the signature; every certificate on the way must be
 * valid now. No other certificate of the system plays a part.
 */
#pragma once

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define CMS_MAX_BYTES (256 * 1024)

/* Succeeds only if there is at least one signer and each of them is good.
 * EX_CONFIG: the keyring cannot be read or holds no certificate. EX_DATAERR: not
 * a detached CMS signature; nobody, a stranger, or an expired certificate signed
 * it; data was altered. The caller frees *ret_signer, the first signer's subject. */
int cms_verify_detached(const uint8_t *data, size_t len, const uint8_t *sig, size_t siglen,
			const char *keyring_pem_path, char **ret_signer, struct err *err);

/* Signs with a PEM key and the first certificate of a PEM file; the others of
 * that file (intermediates) go along. No signed attributes, hence no time: the
 * same inputs give the same bytes where the algorithm is deterministic (RSA
 * PKCS#1). That is sound here: leaving attributes out lets a signature over
 * attributes pass for one over content, but attributes (DER, first byte 0x31)
 * are no JSON. libcrypto 3.0 signs CMS with RSA and ECDSA, not with Ed25519.
 * EX_NOINPUT and EX_DATAERR name the file. The caller frees. */
int cms_sign_detached(const uint8_t *data, size_t len, const char *key_pem_path,
		      const char *cert_pem_path, uint8_t **ret_sig, size_t *ret_siglen,
		      struct err *err);
