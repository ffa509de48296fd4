/* SPDX-License-Identifier: MIT */
/* Debian 12 has PKCS#11 as an engine only; libcrypto 3 calls those deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "signkey.h"

#include "io.h"

#include <openssl/engine.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_uri(const char *where)
{
	return strncasecmp(where, "pkcs11:", 7) == 0;
}

/* The part of a URI behind '?' may hold a PIN. */
struct signkey_name signkey_name(const char *where)
{
	struct signkey_name name;
	int len = is_uri(where) ? (int)strcspn(where, "?") : (int)strlen(where);

	(void)snprintf(name.text, sizeof name.text, "%.*s", len, where);
	return name;
}

/* Why, in libcrypto's words; the engine leaves none for some failures. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "the token says no more";
}

/* Never finished: the key works only while the engine does. */
static int engine_open(const char *where, ENGINE **ret_engine, struct err *err)
{
	ENGINE *engine;

	ENGINE_load_builtin_engines();
	engine = ENGINE_by_id("pkcs11");
	if (!engine)
		return err_set(err, EX_NOINPUT, "failed to open %s: libcrypto has no engine "
			       "pkcs11; install libengine-pkcs11-openssl",
			       signkey_name(where).text);
	/* Or it prints whole URIs, a PIN in them too. */
	(void)ENGINE_ctrl_cmd_string(engine, "QUIET", NULL, 1);
	if (ENGINE_init(engine) != 1) {
		ENGINE_free(engine);
		return err_set(err, EX_NOINPUT, "failed to open %s: the PKCS#11 module does not "
			       "start (PKCS11_MODULE_PATH): %s", signkey_name(where).text,
			       reason());
	}
	ENGINE_free(engine);	/* the functional reference stays */
	*ret_engine = engine;
	return 0;
}

static int token_key(const char *uri, EVP_PKEY **ret_key, struct err *err)
{
	ENGINE *engine;
	EVP_PKEY *key;

	if (engine_open(uri, &engine, err) < 0)
		return -1;
	key = ENGINE_load_private_key(engine, uri, NULL, NULL);
	if (!key)
		return err_set(err, EX_NOINPUT, "failed to find the signing key %s: %s; is the "
			       "token there, and the PIN (pin-source= in the URI) right?",
			       signkey_name(uri).text, reason());
	*ret_key = key;
	return 0;
}

static int file_key(const char *path, EVP_PKEY **ret_key, struct err *err)
{
	_cleanup_free_ uint8_t *text = NULL;
	_cleanup_(BIO_free_allp) BIO *bio = NULL;
	EVP_PKEY *key;

	if (cms_pem_open("signing key", path, EX_NOINPUT, &text, &bio, err) < 0)
		return -1;
	key = PEM_read_bio_PrivateKey(bio, NULL, cms_no_passphrase, NULL);
	if (!key)
		return err_set(err, EX_DATAERR, "failed to read the signing key %s: it is not "
			       "an unencrypted private key in PEM form", path);
	*ret_key = key;
	return 0;
}

int signkey_load(const char *where, EVP_PKEY **ret_key, struct err *err)
{
	ERR_clear_error();
	return is_uri(where) ? token_key(where, ret_key, err) : file_key(where, ret_key, err);
}

/* The engine's own control command: it fills in cert. */
static int token_cert(const char *uri, X509 **ret_cert, struct err *err)
{
	struct {
		const char *uri;
		X509 *cert;
	} found = { uri, NULL };
	ENGINE *engine;

	if (engine_open(uri, &engine, err) < 0)
		return -1;
	if (ENGINE_ctrl_cmd(engine, "LOAD_CERT_CTRL", 0, &found, NULL, 1) != 1 || !found.cert)
		return err_set(err, EX_NOINPUT, "failed to find the certificate %s: %s; is the "
			       "token there?", signkey_name(uri).text, reason());
	*ret_cert = found.cert;
	return 0;
}

int signkey_certs(const char *where, x509_stack **ret_certs, struct err *err)
{
	_cleanup_(certs_freep) x509_stack *certs = NULL;
	X509 *cert;

	if (!is_uri(where))
		return cms_pem_certs("certificate", where, EX_NOINPUT, ret_certs, err);
	ERR_clear_error();
	certs = sk_X509_new_null();
	if (!certs)
		return cms_no_memory(err);
	if (token_cert(where, &cert, err) < 0)
		return -1;
	if (sk_X509_push(certs, cert) <= 0) {
		X509_free(cert);
		return cms_no_memory(err);
	}
	*ret_certs = certs;
	certs = NULL;
	return 0;
}
