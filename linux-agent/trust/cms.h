/* SPDX-License-Identifier: MIT */
/*
 * The signature of a bundle: detached CMS SignedData (RFC 5652, DER) over the
 * very bytes of manifest.json, made and checked by libcrypto.
 *
 * Trust is a PEM file of one or more certificates, the keyring; cms_chain.h has
 * the rules for a signer's certificate. Each signer is judged alone: one that is
 * unknown, expired or revoked counts for nothing, and the manifest is good when
 * enough of them remain. So a bundle signed with an old and a new key is good for
 * machines that know either.
 */
#pragma once

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CMS_MAX_BYTES (64 * 1024)
#define CMS_SIGNERS_MAX 16	/* more than this are not looked at */

struct cms_rules {
	const char *crl;	/* PEM file of revocation lists; NULL: none are looked at */
	unsigned crl_expired;	/* not 0: a list past its date is no error, and still revokes */
	unsigned signers;	/* that many, each with a key of its own; 0: one */
	unsigned signing_time;	/* not 0: certificates must be valid when the signature
				 * says that it was made; else, or where it says
				 * nothing, now */
	bool any_time;		/* the dates of certificates do not matter: of what was
				 * verified when it came, and is only read again; nor does a lapsed
				 * list's date, as in crl_expired */
};

/* rules NULL: one signer, valid now. EX_CONFIG: keyring or CRL cannot be read or
 * are of no use; EX_DATAERR: not a detached CMS signature, data was altered, or
 * too few good signers, with the first one's defect: unknown, expired, revoked,
 * not for code signing, a digest shorter than SHA-256. The caller frees
 * *ret_signer, the good signers' subjects, with a warning behind them where a list past
 * its date was taken (crl_expired). */
int cms_verify_detached(const uint8_t *data, size_t len, const uint8_t *sig, size_t siglen,
			const char *keyring_pem_path, const struct cms_rules *rules,
			char **ret_signer, struct err *err);

/* Signs with a PEM key and the first certificate of a PEM file; the others of
 * that file (intermediates) go along. No signed attributes, hence no time: the
 * same inputs give the same bytes where the algorithm is deterministic (RSA
 * PKCS#1). That is sound here: leaving attributes out lets a signature over
 * attributes pass for one over content, but attributes (DER, first byte 0x31)
 * are no JSON. Keys are RSA and ECDSA; Ed25519, which some versions of libcrypto sign
 * with and none verifies so, is refused. What was made is verified before it is returned.
 * EX_NOINPUT and EX_DATAERR name the file. The caller frees. */
int cms_sign_detached(const uint8_t *data, size_t len, const char *key,
		      const char *cert, uint8_t **ret_sig, size_t *ret_siglen,
		      struct err *err);

struct cms_signer {
	const char *key, *cert;	/* PEM file or PKCS#11 URI: signkey.h */
	const char *crl;	/* PEM file of revocation lists that go along; NULL: none */
};

/* The same with several signers (their order does not matter, DER has its own), and
 * with their signing time (seconds since 1970) as a signed attribute; 0: without
 * attributes. */
int cms_sign(const uint8_t *data, size_t len, const struct cms_signer *signers, size_t count,
	     time_t signing_time, uint8_t **ret_sig, size_t *ret_siglen, struct err *err);
