/* SPDX-License-Identifier: MIT */
/*
 * For tests: keys and certificates made on the spot by libcrypto, and written
 * into a testdir as NAME.key and NAME.crt.
 */
#pragma once

#include "testdir.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define DAY 86400L

struct testpki {
	EVP_PKEY *key;
	X509 *cert;
};

static inline void testpki_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

/* issuer NULL: self-signed. The certificate is valid from from to until, in
 * seconds from now. usage: its extended key usage, or NULL. */
static inline struct testpki testpki_make_full(const char *cn, const struct testpki *issuer,
					       EVP_PKEY *key, bool is_ca, long from, long until,
					       const char *usage)
{
	static long serial = 1;
	struct testpki p = { .key = key, .cert = X509_new() };
	X509_NAME *name = X509_get_subject_name(p.cert);

	X509_set_version(p.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p.cert), serial++);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const uint8_t *)"Acme", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
	X509_set_issuer_name(p.cert, issuer ? X509_get_subject_name(issuer->cert) : name);
	X509_gmtime_adj(X509_getm_notBefore(p.cert), from);
	X509_gmtime_adj(X509_getm_notAfter(p.cert), until);
	X509_set_pubkey(p.cert, p.key);
	testpki_extension(p.cert, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (usage)
		testpki_extension(p.cert, NID_ext_key_usage, usage);
	key = issuer ? issuer->key : p.key;
	assert_true(X509_sign(p.cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return p;
}

static inline struct testpki testpki_make(const char *cn)
{
	return testpki_make_full(cn, NULL, EVP_EC_gen("P-256"), false, -DAY, DAY, NULL);
}

static inline void testpki_write_cert(const struct testpki *p, const char *path, const char *mode)
{
	FILE *f = fopen(path, mode);

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, p->cert), 1);
	fclose(f);
}

static inline void testpki_write(const struct testpki *p, const struct testdir *dir,
				 const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.crt", dir->path, name);
	testpki_write_cert(p, path, "w");
	snprintf(path, sizeof path, "%s/%s.key", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

/* Writes NAME.crl: ca's list of what it revoked (revoked may be NULL), current from
 * from to until, in seconds from now. */
static inline void testpki_write_crl(const struct testpki *ca, const struct testpki *revoked,
				     long from, long until, const struct testdir *dir,
				     const char *name)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = X509_gmtime_adj(NULL, from), *next = X509_gmtime_adj(NULL, until);
	char path[128];
	FILE *f;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert));
	X509_CRL_set1_lastUpdate(crl, at);
	X509_CRL_set1_nextUpdate(crl, next);
	if (revoked) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->cert));
		X509_REVOKED_set_revocationDate(entry, at);
		assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
	}
	assert_true(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
	snprintf(path, sizeof path, "%s/%s.crl", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509_CRL(f, crl), 1);
	fclose(f);
	X509_CRL_free(crl);
	ASN1_TIME_free(at);
	ASN1_TIME_free(next);
}

static inline void testpki_free(struct testpki *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}
