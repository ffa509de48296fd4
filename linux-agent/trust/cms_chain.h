/* SPDX-License-Identifier: MIT */
/*
 * Is a signer's certificate one to trust? RFC 5280, section 6, by libcrypto, with
 * these rules:
 *
 *   - it is in the keyring, or leads to a certificate that is, through those
 *     carried in the signature; no other certificate of the system counts, and
 *     one in the keyring is trusted as it stands, self-signed or not;
 *   - 112 bits of security on the way (RSA from 2048, no SHA-1);
 *   - where a certificate on the way has an extendedKeyUsage, it has codeSigning,
 *     and where the signer's has a keyUsage, it has digitalSignature. Without the
 *     extension no purpose is excluded (RFC 5280, 4.2.1.12), so that a plain
 *     self-signed certificate will do;
 *   - each is valid at the time asked for;
 *   - with a CRL file: none is revoked, and of each there is a current CRL, in the
 *     file or carried in the signature (the newest of its issuer counts), but
 *     for those in the keyring, which are revoked by being taken out of it.
 */
#pragma once

#include "cms_pem.h"

#include <stdbool.h>
#include <time.h>

#define CMS_CHAIN_ANY_TIME ((time_t)-1)

struct cms_chain {
	const char *keyring_path, *crl_path;	/* crl_path may be NULL; not owned */
	bool crl_expired_warns;		/* a CRL past its date counts all the same ... */
	bool stale;			/* ... and that it did is said here, per check */
	x509_stack *keyring;
	crl_stack *crls;		/* of the file */
	X509_STORE *store;
};

/* EX_CONFIG: a file is missing, damaged or empty. The paths must outlive it.
 * cms_chain_close() in every case. */
int cms_chain_open(const char *keyring_path, const char *crl_path, struct cms_chain *ret_chain,
		   struct err *err);

/* The lists carried in the signature (may be NULL) count beside the file's, where there is
 * one. An older list than the file's is left out: who holds a revoked key would bring one
 * from before. */
int cms_chain_add_crls(struct cms_chain *chain, const crl_stack *carried, struct err *err);
void cms_chain_close(struct cms_chain *chain);

/* carried: the signature's certificates, may be NULL. when: what validity is
 * judged by, or CMS_CHAIN_ANY_TIME; is_signing_time: for the message. Revocation goes
 * by the machine's clock always. EX_DATAERR: not to be trusted, and why; EX_CONFIG: the
 * CRL file is out of date or lacks an authority. */
int cms_chain_check(struct cms_chain *chain, X509 *signer, x509_stack *carried,
		    time_t when, bool is_signing_time, struct err *err);
