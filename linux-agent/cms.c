/* SPDX-License-Identifier: MIT */
#include "cms.h"

#include "util.h"

#include <errno.h>
#include <limits.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

#define PEM_MAX_BYTES (1024 * 1024)

typedef STACK_OF(X509) x509_stack;

#define DEFINE_FREEP(type, free_function)                 \
	static void free_function##p(type **p)            \
	{                                                 \
		free_function(*p);                        \
	}
DEFINE_FREEP(X509, X509_free)
DEFINE_FREEP(X509_STORE, X509_STORE_free)
DEFINE_FREEP(X509_STORE_CTX, X509_STORE_CTX_free)
DEFINE_FREEP(EVP_PKEY, EVP_PKEY_free)
DEFINE_FREEP(CMS_ContentInfo, CMS_ContentInfo_free)
DEFINE_FREEP(BIO, BIO_free_all)

static void certs_freep(x509_stack **certs)
{
	sk_X509_pop_free(*certs, X509_free);
}

/* The stack only: its certificates belong to the CMS structure. */
static void certs_borrowed_freep(x509_stack **certs)
{
	sk_X509_free(*certs);
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to handle a signature: out of memory");
}

/* Without this an encrypted key would make libcrypto ask on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return -1;
}

/* Reads a PEM file into memory; exit is what an unreadable file means. */
static int pem_open(const char *what, const char *path, int exit, uint8_t **ret_text,
		    BIO **ret_bio, struct err *err)
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t len;
	BIO *bio;

	if (read_file(path, PEM_MAX_BYTES, &text, &len) < 0)
		return err_set(err, exit, "failed to read the %s %s: %s", what, path,
			       strerror(errno));
	bio = BIO_new_mem_buf(text, (int)len);
	if (!bio)
		return no_memory(err);
	*ret_text = text;
	*ret_bio = bio;
	text = NULL;
	return 0;
}

/* Every certificate of a PEM file, at least one; other blocks are passed over. */
static int certs_load(const char *what, const char *path, int exit, x509_stack **ret_certs,
		      struct err *err)
{
	_cleanup_(certs_freep) x509_stack *certs = sk_X509_new_null();
	_cleanup_free_ uint8_t *text = NULL;
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	X509 *cert;

	if (!certs)
		return no_memory(err);
	if (pem_open(what, path, exit, &text, &bio, err) < 0)
		return -1;
	while ((cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		if (sk_X509_push(certs, cert) <= 0) {
			X509_free(cert);
			return no_memory(err);
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return err_set(err, exit == EX_CONFIG ? EX_CONFIG : EX_DATAERR,
			       "the %s %s is damaged at its certificate number %d", what, path,
			       sk_X509_num(certs) + 1);
	ERR_clear_error();
	if (sk_X509_num(certs) == 0)
		return err_set(err, exit == EX_CONFIG ? EX_CONFIG : EX_DATAERR,
			       "the %s %s holds no certificate (PEM)", what, path);
	*ret_certs = certs;
	certs = NULL;
	return 0;
}

/* "O=Acme, CN=release"; control characters are escaped. The caller frees. */
static char *subject_text(const X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());
	unsigned long flags = XN_FLAG_ONELINE & ~(unsigned long)(XN_FLAG_SPC_EQ |
								 ASN1_STRFLGS_ESC_MSB);
	char *text;
	long len;

	if (!bio ||
	    X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, flags | ASN1_STRFLGS_UTF8_CONVERT) < 0)
		return NULL;
	len = BIO_get_mem_data(bio, &text);
	return len > 0 ? strndup(text, (size_t)len) : strdup("(a certificate without a name)");
}

static void date_text(const ASN1_TIME *when, char *out, size_t size)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(when, &tm) || strftime(out, size, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(out, size, "an unknown date");
}

static int cms_parse(const uint8_t *sig, size_t len, CMS_ContentInfo **ret_cms, struct err *err)
{
	_cleanup_(CMS_ContentInfo_freep) CMS_ContentInfo *cms = NULL;
	const uint8_t *p = sig;

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

/* The certificate of every signer, from the signature or from the keyring. A
 * SignedData without any signer is well-formed, and CMS_verify() alone would
 * find nothing wrong with it. */
static int signers_find(CMS_ContentInfo *cms, x509_stack *keyring, const char *path,
			x509_stack **ret_signers, struct err *err)
{
	int wanted = sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms));
	x509_stack *signers;

	if (wanted < 1)
		return err_set(err, EX_DATAERR,
			       "manifest.json is not signed: manifest.p7s names no signer");
	if (CMS_set1_signers_certs(cms, keyring, 0) != wanted)
		return err_set(err, EX_DATAERR, "the certificate that signed manifest.json is "
			       "neither in manifest.p7s nor in the keyring %s", path);
	signers = CMS_get0_signers(cms);
	if (!signers)
		return no_memory(err);
	*ret_signers = signers;
	return 0;
}

static int untrusted(X509_STORE_CTX *ctx, const X509 *signer, const char *path, struct err *err)
{
	int why = X509_STORE_CTX_get_error(ctx);
	const X509 *culprit = X509_STORE_CTX_get_current_cert(ctx);
	_cleanup_free_ char *name = subject_text(culprit ? culprit : signer);
	_cleanup_free_ char *signer_name = subject_text(signer);
	char date[32];

	if (!name || !signer_name)
		return no_memory(err);
	switch (why) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		date_text(X509_get0_notAfter(culprit), date, sizeof date);
		return err_set(err, EX_DATAERR, "the signature of manifest.json is not valid: "
			       "the certificate of %s expired on %s", name, date);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		date_text(X509_get0_notBefore(culprit), date, sizeof date);
		return err_set(err, EX_DATAERR, "the signature of manifest.json is not valid: "
			       "the certificate of %s is valid only from %s; is this machine's "
			       "clock right?", name, date);
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return err_set(err, EX_DATAERR, "the signature of manifest.json is by %s, who "
			       "is not in the keyring %s", signer_name, path);
	default:
		return err_set(err, EX_DATAERR, "the signature of manifest.json is by %s, whose "
			       "certificate does not hold against the keyring %s: %s: %s",
			       signer_name, path, name, X509_verify_cert_error_string(why));
	}
}

/* Any purpose will do (code signing included), and a certificate of the keyring
 * is trusted as it stands, self-signed or not. Level 2: at least 112 bits. */
static int store_fill(X509_STORE *store, x509_stack *keyring, struct err *err)
{
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);

	if (X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) != 1 ||
	    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return no_memory(err);
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	for (int i = 0; i < sk_X509_num(keyring); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(keyring, i)) != 1)
			return no_memory(err);
	return 0;
}

static int signers_check(CMS_ContentInfo *cms, x509_stack *signers, x509_stack *keyring,
			 const char *path, struct err *err)
{
	_cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
	_cleanup_(certs_freep) x509_stack *carried = CMS_get1_certs(cms);

	if (!store)
		return no_memory(err);
	if (store_fill(store, keyring, err) < 0)
		return -1;
	for (int i = 0; i < sk_X509_num(signers); i++) {
		_cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
		X509 *signer = sk_X509_value(signers, i);

		if (!ctx || X509_STORE_CTX_init(ctx, store, signer, carried) != 1)
			return no_memory(err);
		if (X509_verify_cert(ctx) != 1)
			return untrusted(ctx, signer, path, err);
	}
	return 0;
}

/* The signers' certificates were found and checked before: only the arithmetic
 * is left, so that nothing is computed with the key of a stranger. */
static int content_check(CMS_ContentInfo *cms, const uint8_t *data, size_t len, struct err *err)
{
	_cleanup_(BIO_free_allp) BIO *content = NULL;

	if (len > INT_MAX)
		return err_set(err, EX_DATAERR, "manifest.json is too large");
	content = BIO_new_mem_buf(data, (int)len);
	if (!content)
		return no_memory(err);
	if (CMS_verify(cms, NULL, NULL, content, NULL,
		       CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1)
		return err_set(err, EX_DATAERR, "manifest.json does not match its signature: "
			       "it was altered after it was signed");
	return 0;
}

int cms_verify_detached(const uint8_t *data, size_t len, const uint8_t *sig, size_t siglen,
			const char *keyring_pem_path, char **ret_signer, struct err *err)
{
	_cleanup_(certs_freep) x509_stack *keyring = NULL;
	_cleanup_(CMS_ContentInfo_freep) CMS_ContentInfo *cms = NULL;
	_cleanup_(certs_borrowed_freep) x509_stack *signers = NULL;
	char *name;

	ERR_clear_error();
	if (certs_load("keyring", keyring_pem_path, EX_CONFIG, &keyring, err) < 0 ||
	    cms_parse(sig, siglen, &cms, err) < 0 ||
	    signers_find(cms, keyring, keyring_pem_path, &signers, err) < 0 ||
	    signers_check(cms, signers, keyring, keyring_pem_path, err) < 0 ||
	    content_check(cms, data, len, err) < 0)
		return -1;
	name = subject_text(sk_X509_value(signers, 0));
	if (!name)
		return no_memory(err);
	*ret_signer = name;
	return 0;
}

static int key_load(const char *path, EVP_PKEY **ret_key, struct err *err)
{
	_cleanup_free_ uint8_t *text = NULL;
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	EVP_PKEY *key;

	if (pem_open("signing key", path, EX_NOINPUT, &text, &bio, err) < 0)
		return -1;
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (!key)
		return err_set(err, EX_DATAERR, "failed to read the signing key %s: it is not "
			       "an unencrypted private key in PEM form", path);
	*ret_key = key;
	return 0;
}

static int cms_encode(CMS_ContentInfo *cms, uint8_t **ret_sig, size_t *ret_len, struct err *err)
{
	int len = i2d_CMS_ContentInfo(cms, NULL);
	uint8_t *sig = len > 0 ? malloc((size_t)len) : NULL;
	uint8_t *end = sig;

	if (!sig)
		return no_memory(err);
	(void)i2d_CMS_ContentInfo(cms, &end);
	*ret_sig = sig;
	*ret_len = (size_t)len;
	return 0;
}

int cms_sign_detached(const uint8_t *data, size_t len, const char *key_pem_path,
		      const char *cert_pem_path, uint8_t **ret_sig, size_t *ret_siglen,
		      struct err *err)
{
	_cleanup_(certs_freep) x509_stack *certs = NULL;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
	_cleanup_(CMS_ContentInfo_freep) CMS_ContentInfo *cms = NULL;
	_cleanup_(BIO_free_allp) BIO *content = NULL;
	_cleanup_(X509_freep) X509 *signer = NULL;

	ERR_clear_error();
	if (certs_load("certificate", cert_pem_path, EX_NOINPUT, &certs, err) < 0 ||
	    key_load(key_pem_path, &key, err) < 0)
		return -1;
	signer = sk_X509_shift(certs);
	if (X509_check_private_key(signer, key) != 1)
		return err_set(err, EX_DATAERR, "the signing key %s does not belong to the "
			       "certificate %s", key_pem_path, cert_pem_path);
	content = BIO_new_mem_buf(data, len <= INT_MAX ? (int)len : 0);
	if (!content)
		return no_memory(err);
	cms = CMS_sign(signer, key, certs, content,
		       CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP | CMS_NOATTR);
	if (!cms)
		return err_set(err, EX_DATAERR, "failed to sign with the %s key %s: %s (RSA and "
			       "ECDSA keys work)", EVP_PKEY_get0_type_name(key), key_pem_path,
			       ERR_reason_error_string(ERR_peek_last_error()));
	return cms_encode(cms, ret_sig, ret_siglen, err);
}
