/* SPDX-License-Identifier: MIT */
#include "cms.h"

#include "cms_chain.h"
#include "cms_digest.h"
#include "signkey.h"
#include "io.h"

#include <limits.h>
#include <openssl/err.h>
#include <string.h>
#include <time.h>

/* The stack only: its certificates belong to the CMS structure. */
static void certs_borrowed_freep(x509_stack **certs)
{
	sk_X509_free(*certs);
}

static int cms_parse(const uint8_t *sig, size_t len, CMS_ContentInfo **ret_cms, struct err *err)
{
	_cleanup_(CMS_ContentInfo_freep) CMS_ContentInfo *cms = NULL;
	const uint8_t *p = sig;

	if (len == 0)
		return err_set(err, EX_DATAERR, "manifest.json is not signed: manifest.p7s is "
			       "empty");
	if (len > CMS_MAX_BYTES)
		return err_set(err, EX_DATAERR, "manifest.p7s is larger than %d bytes",
			       CMS_MAX_BYTES);
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)len);
	if (!cms || p != sig + len || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
		return err_set(err, EX_DATAERR,
			       "manifest.p7s is not a CMS signature in DER form");
	if (CMS_is_detached(cms) != 1)
		return err_set(err, EX_DATAERR,
			       "manifest.p7s is not a detached signature: it has content of "
			       "its own");
	*ret_cms = cms;
	cms = NULL;
	return 0;
}

/* The data shared by the checks of all signers of one manifest.p7s. */
struct judge {
	CMS_ContentInfo *cms;
	struct cms_chain chain;
	x509_stack *carried;
	BIO *content;		/* data, with the digests in front, read to its end */
	bool signing_time, any_time, stale;
};

static void judge_clear(struct judge *j)
{
	CMS_ContentInfo_free(j->cms);
	cms_chain_close(&j->chain);
	certs_freep(&j->carried);
	BIO_free_all(j->content);
}

/* A SignedData without any signer is well-formed, and CMS_verify() alone would
 * find nothing wrong with it. */
static int judge_open(struct judge *j, struct err *err)
{
	_cleanup_(crls_freep) crl_stack *crls = CMS_get1_crls(j->cms);	/* NULL: none */

	if (sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(j->cms)) < 1)
		return err_set(err, EX_DATAERR,
			       "manifest.json is not signed: manifest.p7s names no signer");
	if (CMS_set1_signers_certs(j->cms, j->chain.keyring, 0) < 0)
		return cms_no_memory(err);
	j->carried = CMS_get1_certs(j->cms);	/* NULL: none */
	return cms_chain_add_crls(&j->chain, crls, err);
}

static int digest_check(CMS_SignerInfo *si, const char *name, struct err *err)
{
	X509_ALGOR *alg = NULL;
	char text[64];

	CMS_SignerInfo_get0_algs(si, NULL, NULL, &alg, NULL);
	if (cms_digest_is_good(alg))
		return 0;
	if (OBJ_obj2txt(text, sizeof text, alg->algorithm, 0) < 1)
		text[0] = 0;
	return err_set(err, EX_DATAERR, "the signature of manifest.json by %s uses the digest %s, "
		       "which is too weak or not known; sign with SHA-256", name, text);
}

/* RFC 5652, 11.3; false: there is none, or it is no time. */
static bool signing_time_get(const CMS_SignerInfo *si, time_t *ret_when)
{
	int at = CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1);
	X509_ATTRIBUTE *attr = at < 0 ? NULL : CMS_signed_get_attr(si, at);
	ASN1_TYPE *value = attr && X509_ATTRIBUTE_count(attr) == 1
				   ? X509_ATTRIBUTE_get0_type(attr, 0) : NULL;
	struct tm tm;

	if (!value || (value->type != V_ASN1_UTCTIME && value->type != V_ASN1_GENERALIZEDTIME) ||
	    !ASN1_TIME_to_tm(value->value.asn1_string, &tm))
		return false;
	*ret_when = timegm(&tm);
	return true;
}

/* The certificate was verified before, so that no computation uses a stranger's key. */
static int arithmetic_check(const struct judge *j, CMS_SignerInfo *si, struct err *err)
{
	if ((CMS_signed_get_attr_count(si) >= 0 && CMS_SignerInfo_verify(si) != 1) ||
	    CMS_SignerInfo_verify_content(si, j->content) != 1)
		return err_set(err, EX_DATAERR, "manifest.json does not match its signature: "
			       "it was altered after it was signed");
	return 0;
}

static int signer_check(struct judge *j, CMS_SignerInfo *si, X509 **ret_signer,
			struct err *err)
{
	_cleanup_free_ char *name = NULL;
	X509 *signer = NULL;
	time_t when = j->any_time ? CMS_CHAIN_ANY_TIME : time(NULL);
	bool timed = j->signing_time && !j->any_time && signing_time_get(si, &when);

	CMS_SignerInfo_get0_algs(si, NULL, &signer, NULL, NULL);
	if (!signer)
		return err_set(err, EX_DATAERR, "the certificate that signed manifest.json is "
			       "neither in manifest.p7s nor in the keyring %s",
			       j->chain.keyring_path);
	name = cms_name_text(X509_get_subject_name(signer));
	if (!name)
		return cms_no_memory(err);
	if (digest_check(si, name, err) < 0 ||
	    cms_chain_check(&j->chain, signer, j->carried, when, timed, err) < 0 ||
	    arithmetic_check(j, si, err) < 0)
		return -1;
	j->stale |= j->chain.stale && !j->any_time;
	*ret_signer = signer;
	return 0;
}

/* Two certificates with the same key count as one signer. */
static bool has_key_of(const x509_stack *signers, const X509 *cert)
{
	for (int i = 0; i < sk_X509_num(signers); i++)
		if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(signers, i)),
				X509_get0_pubkey(cert)) == 1)
			return true;
	return false;
}

static int signers_missing(unsigned have, unsigned needed, const struct err *why,
			   struct err *err)
{
	if (needed > 1 && why->exit)
		return err_set(err, why->exit, "manifest.json has %u of the %u signers needed "
			       "(signers = %u): %s", have, needed, needed, why->text);
	if (needed > 1)
		return err_set(err, EX_DATAERR, "manifest.json has %u of the %u signers needed "
			       "(signers = %u)", have, needed, needed);
	if (err)
		*err = *why;
	return -1;
}

/* Judge each signer alone: an unknown signer does no harm beside known ones. */
static int signers_count(struct judge *j, unsigned needed, x509_stack *good,
			 struct err *err)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(j->cms);
	struct err first = { 0 };

	for (int i = 0; i < sk_CMS_SignerInfo_num(infos) && i < CMS_SIGNERS_MAX; i++) {
		struct err why = { 0 };
		X509 *signer = NULL;

		if (signer_check(j, sk_CMS_SignerInfo_value(infos, i), &signer, &why) < 0) {
			if (!first.exit)
				first = why;
		} else if (!has_key_of(good, signer) && sk_X509_push(good, signer) <= 0) {
			return cms_no_memory(err);
		}
	}
	ERR_clear_error();
	if ((unsigned)sk_X509_num(good) < needed)
		return signers_missing((unsigned)sk_X509_num(good), needed, &first, err);
	return 0;
}

/* "O=Acme, CN=release and O=Acme, CN=test". */
static int signers_text(const struct judge *j, const x509_stack *good, char **ret_text, struct err *err)
{
	_cleanup_free_ char *text = strdup("");

	for (int i = 0; text && i < sk_X509_num(good); i++) {
		_cleanup_free_ char *name = cms_name_text(
			X509_get_subject_name(sk_X509_value(good, i)));
		char *longer;

		if (!name || asprintf(&longer, "%s%s%s", text, i ? " and " : "", name) < 0)
			return cms_no_memory(err);
		free(text);
		text = longer;
	}
	if (text && j->stale) {
		char *longer;

		if (asprintf(&longer, "%s (warning: a CRL in %s is out of date and counts all the "
			     "same: crl-expired = warn)", text, j->chain.crl_path) < 0)
			return cms_no_memory(err);
		free(text);
		text = longer;
	}
	if (!text)
		return cms_no_memory(err);
	*ret_text = text;
	text = NULL;
	return 0;
}

int cms_verify_detached(const uint8_t *data, size_t len, const uint8_t *sig, size_t siglen,
			const char *keyring_pem_path, const struct cms_rules *rules,
			char **ret_signer, struct err *err)
{
	static const struct cms_rules defaults;
	const struct cms_rules *r = rules ? rules : &defaults;
	_cleanup_(judge_clear) struct judge j = { .signing_time = r->signing_time != 0,
						      .any_time = r->any_time };
	_cleanup_(certs_borrowed_freep) x509_stack *good = sk_X509_new_null();

	ERR_clear_error();
	if (!good)
		return cms_no_memory(err);
	if (cms_chain_open(keyring_pem_path, r->crl, &j.chain, err) < 0)
		return -1;
	j.chain.crl_expired_warns = r->crl_expired != 0 || r->any_time;
	if (cms_parse(sig, siglen, &j.cms, err) < 0 || judge_open(&j, err) < 0 ||
	    cms_digest_content(j.cms, data, len, &j.content, err) < 0 ||
	    signers_count(&j, r->signers ? r->signers : 1, good, err) < 0)
		return -1;
	return signers_text(&j, good, ret_signer, err);
}

static int cms_encode(CMS_ContentInfo *cms, uint8_t **ret_sig, size_t *ret_len, struct err *err)
{
	int len = i2d_CMS_ContentInfo(cms, NULL);
	uint8_t *sig = len > 0 ? malloc((size_t)len) : NULL;
	uint8_t *end = sig;

	if (!sig)
		return cms_no_memory(err);
	(void)i2d_CMS_ContentInfo(cms, &end);
	*ret_sig = sig;
	*ret_len = (size_t)len;
	return 0;
}

static int crls_add(CMS_ContentInfo *cms, const char *path, struct err *err)
{
	_cleanup_(crls_freep) crl_stack *crls = NULL;

	if (path && cms_pem_crls(path, EX_NOINPUT, &crls, err) < 0)
		return -1;
	for (int i = 0; i < sk_X509_CRL_num(crls); i++)
		if (CMS_add1_crl(cms, sk_X509_CRL_value(crls, i)) != 1)
			return cms_no_memory(err);
	return 0;
}

/* Add one signer and its intermediate certificates. */
static int signer_add(CMS_ContentInfo *cms, const struct cms_signer *s, time_t signing_time,
		      struct err *err)
{
	unsigned flags = CMS_BINARY | CMS_NOCERTS | CMS_NOSMIMECAP |
			 (signing_time ? 0 : CMS_NOATTR);
	_cleanup_(certs_freep) x509_stack *certs = NULL;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	CMS_SignerInfo *si;
	ASN1_TIME *when;
	int r;

	if (signkey_certs(s->cert, &certs, err) < 0 ||
	    signkey_load(s->key, &key, err) < 0)
		return -1;
	if (X509_check_private_key(sk_X509_value(certs, 0), key) != 1)
		return err_set(err, EX_DATAERR, "the signing key %s does not belong to the "
			       "certificate %s", signkey_name(s->key).text,
			       signkey_name(s->cert).text);
	if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
		return err_set(err, EX_DATAERR, "failed to sign with the %s key %s: it has no place "
			       "in a signature of this kind (RSA and ECDSA keys work)",
			       EVP_PKEY_get0_type_name(key), signkey_name(s->key).text);
	si = CMS_add1_signer(cms, sk_X509_value(certs, 0), key, NULL, flags);
	if (!si)
		return err_set(err, EX_DATAERR, "failed to sign with the %s key %s: %s (RSA and "
			       "ECDSA keys work)", EVP_PKEY_get0_type_name(key), signkey_name(s->key).text,
			       ERR_reason_error_string(ERR_peek_last_error()));
	for (int i = 0; i < sk_X509_num(certs); i++)
		(void)CMS_add1_cert(cms, sk_X509_value(certs, i));	/* 0: there already */
	if (crls_add(cms, s->crl, err) < 0)
		return -1;
	if (!signing_time)
		return 0;
	when = ASN1_TIME_set(NULL, signing_time);
	r = when ? CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, when->type, when, -1) : 0;
	ASN1_TIME_free(when);
	return r == 1 ? 0 : cms_no_memory(err);
}

/* Verify what was made: libcrypto's versions differ in the keys that they accept, and
 * some produce signatures that none of them verifies. */
static int sign_check(const uint8_t *data, size_t len, const uint8_t *sig, size_t siglen,
		      struct err *err)
{
	_cleanup_(judge_clear) struct judge j = { 0 };
	STACK_OF(CMS_SignerInfo) *infos;

	if (cms_parse(sig, siglen, &j.cms, err) < 0 ||
	    cms_digest_content(j.cms, data, len, &j.content, err) < 0)
		return -1;
	infos = CMS_get0_SignerInfos(j.cms);
	if (CMS_set1_signers_certs(j.cms, NULL, 0) != sk_CMS_SignerInfo_num(infos))
		return err_set(err, EX_SOFTWARE, "failed to sign manifest.json: a signer's "
			       "certificate is not in the signature made");
	for (int i = 0; i < sk_CMS_SignerInfo_num(infos); i++)
		if (arithmetic_check(&j, sk_CMS_SignerInfo_value(infos, i), NULL) < 0)
			return err_set(err, EX_SOFTWARE, "failed to sign manifest.json: the "
				       "signature that libcrypto made does not verify (RSA and "
				       "ECDSA keys work)");
	return 0;
}

int cms_sign(const uint8_t *data, size_t len, const struct cms_signer *signers, size_t count,
	     time_t signing_time, uint8_t **ret_sig, size_t *ret_siglen, struct err *err)
{
	_cleanup_(CMS_ContentInfo_freep) CMS_ContentInfo *cms = NULL;
	_cleanup_(BIO_free_allp) BIO *content = NULL;
	_cleanup_free_ uint8_t *sig = NULL;
	size_t siglen = 0;

	ERR_clear_error();
	content = BIO_new_mem_buf(data, len <= INT_MAX ? (int)len : 0);
	cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_BINARY | CMS_DETACHED | CMS_PARTIAL);
	if (!content || !cms)
		return cms_no_memory(err);
	for (size_t i = 0; i < count; i++)
		if (signer_add(cms, &signers[i], signing_time, err) < 0)
			return -1;
	if (CMS_final(cms, content, NULL, CMS_BINARY) != 1)
		return err_set(err, EX_SOFTWARE, "failed to sign manifest.json: %s",
			       ERR_reason_error_string(ERR_peek_last_error()));
	if (cms_encode(cms, &sig, &siglen, err) < 0 ||
	    sign_check(data, len, sig, siglen, err) < 0)
		return -1;
	*ret_sig = sig;
	*ret_siglen = siglen;
	sig = NULL;
	return 0;
}

int cms_sign_detached(const uint8_t *data, size_t len, const char *key,
		      const char *cert, uint8_t **ret_sig, size_t *ret_siglen,
		      struct err *err)
{
	const struct cms_signer signer = { .key = key, .cert = cert };

	return cms_sign(data, len, &signer, 1, 0, ret_sig, ret_siglen, err);
}
