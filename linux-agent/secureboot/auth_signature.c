/* SPDX-License-Identifier: MIT */
#include "auth_signature.h"

#include "authenticode.h"
#include "bytes.h"
#include "cms_pem.h"
#include "io.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <string.h>

DEFINE_FREEP(PKCS7, PKCS7_free)

enum { GUID = 16 };

/* As they are stored: EFI_GLOBAL_VARIABLE and EFI_IMAGE_SECURITY_DATABASE_GUID. */
static const uint8_t global[GUID] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
				      0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t security[GUID] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
					0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };

/* NULL: neither. */
static PKCS7 *p7_read(const struct efi_auth *auth)
{
	const uint8_t *at = auth->signature;
	long len = (long)auth->signature_len;
	PKCS7 *p7 = d2i_PKCS7(NULL, &at, len);

	if (p7 && PKCS7_type_is_signed(p7) && p7->d.sign)
		return p7;
	PKCS7_free(p7);
	at = auth->signature;
	p7 = PKCS7_new();
	if (p7 && PKCS7_set_type(p7, NID_pkcs7_signed) == 1) {
		PKCS7_SIGNED_free(p7->d.sign);
		p7->d.sign = d2i_PKCS7_SIGNED(NULL, &at, len);
		if (p7->d.sign)
			return p7;
	}
	PKCS7_free(p7);
	return NULL;
}

static BIO *content_make(const struct efi_auth *auth, enum efi_auth_variable variable, uint32_t attributes)
{
	const uint8_t *guid = efi_auth_guid(variable) == VARS_GLOBAL ? global : security;
	size_t len = auth->len - auth->authentication;
	BIO *content = BIO_new(BIO_s_mem());
	uint8_t le[4];
	bool ok = content != NULL;

	for (const char *name = efi_auth_name(variable); ok && *name; name++)
		ok = BIO_write(content, (const uint8_t[]){ (uint8_t)*name, 0 }, 2) == 2;
	le32_put(le, attributes);
	if (ok && BIO_write(content, guid, GUID) == GUID && BIO_write(content, le, sizeof le) == sizeof le &&
	    BIO_write(content, auth->time, SIGLIST_TIME_BYTES) == SIGLIST_TIME_BYTES &&
	    BIO_write(content, auth->bytes + auth->authentication, (int)len) == (int)len)
		return content;
	BIO_free_all(content);
	return NULL;
}

static bool holds(PKCS7 *p7, const struct efi_auth *auth, enum efi_auth_variable variable, uint32_t attributes)
{
	_cleanup_(BIO_free_allp) BIO *content = content_make(auth, variable, attributes);
	bool good = content && authenticode_digests_known(p7) &&
		    PKCS7_verify(p7, NULL, NULL, content, NULL, PKCS7_NOVERIFY | PKCS7_BINARY) == 1;

	ERR_clear_error();
	return good;
}

static int mistake_say(const char *name, PKCS7 *p7, const struct efi_auth *auth, struct err *err)
{
	const char *wanted = efi_auth_name(auth->variable);

	if (sk_X509_num(p7->d.sign->cert) <= 0)
		return err_set(err, EX_DATAERR, "%s does not carry the certificate of its signer, without which "
			       "firmware refuses it", name);
	for (unsigned i = 0; i < EFI_AUTH_VARIABLES; i++) {
		if (i != auth->variable && holds(p7, auth, i, VARS_SIGNED | VARS_APPEND))
			return err_set(err, EX_DATAERR, "%s was signed for %s, not for %s", name, efi_auth_name(i),
				       wanted);
		if (holds(p7, auth, i, VARS_SIGNED))
			return err_set(err, EX_DATAERR, "%s was signed for replacing %s, not for appending to it: "
				       "sign-efi-sig-list -a", name, efi_auth_name(i));
	}
	return err_set(err, EX_DATAERR, "%s has a signature that does not hold for appending to %s: it was altered, "
		       "or signed for another variable", name, wanted);
}

static int certs_check(const char *name, const struct efi_auth *auth, struct err *err)
{
	for (size_t i = 0; i < auth->list.count; i++) {
		const struct siglist_entry *e = &auth->list.entries[i];
		_cleanup_(X509_freep) X509 *cert = NULL;
		const uint8_t *at = e->data;

		if (e->kind != SIGLIST_X509)
			continue;
		cert = d2i_X509(NULL, &at, (long)e->len);
		ERR_clear_error();
		if (!cert || at != e->data + e->len)
			return err_set(err, EX_DATAERR, "%s has a certificate that is none (DER is wanted)", name);
	}
	return 0;
}

int auth_signature_check(const char *name, const struct efi_auth *auth, struct err *err)
{
	_cleanup_(PKCS7_freep) PKCS7 *p7 = p7_read(auth);

	ERR_clear_error();
	if (!p7)
		return err_set(err, EX_DATAERR, "%s has a signature that is no PKCS#7 SignedData", name);
	if (!holds(p7, auth, auth->variable, VARS_SIGNED | VARS_APPEND))
		return mistake_say(name, p7, auth, err);
	return certs_check(name, auth, err);
}

void auth_signature_signer(const struct efi_auth *auth, char *ret_signer, size_t size)
{
	_cleanup_(PKCS7_freep) PKCS7 *p7 = p7_read(auth);
	STACK_OF(X509) *signers = p7 ? PKCS7_get0_signers(p7, NULL, 0) : NULL;
	_cleanup_free_ char *name = NULL;

	if (sk_X509_num(signers) > 0)
		name = cms_name_text(X509_get_subject_name(sk_X509_value(signers, 0)));
	(void)snprintf(ret_signer, size, "%s", name ? name : "");
	sk_X509_free(signers);
	ERR_clear_error();
}
