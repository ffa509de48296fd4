/* SPDX-License-Identifier: MIT */
#include "secureboot_chain.h"

#include "cms_pem.h"
#include "io.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define CHAIN_MAX 16
/* extendedKeyUsage of certificates for kernel modules. shim does not accept them for images. */
#define EKU_MODULES "1.3.6.1.4.1.2312.16.1.2"

static const struct {
	enum siglist_kind image, cert;	/* cert SIGLIST_OTHER: no list of this kind */
	int nid;
	const char *name;
} digests[] = {
	{ SIGLIST_SHA1, SIGLIST_OTHER, NID_sha1, "SHA-1" },
	{ SIGLIST_SHA256, SIGLIST_X509_SHA256, NID_sha256, "SHA-256" },
	{ SIGLIST_SHA384, SIGLIST_X509_SHA384, NID_sha384, "SHA-384" },
	{ SIGLIST_SHA512, SIGLIST_X509_SHA512, NID_sha512, "SHA-512" },
};

static const struct siglist_entry *find(const struct siglist *list, enum siglist_kind kind,
					const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct siglist_entry *e = &list->entries[i];

		if (e->kind == kind && e->len == len && memcmp(e->data, data, len) == 0)
			return e;
	}
	return NULL;
}

bool chain_digest_listed(const struct secureboot_image *image, const struct siglist *list,
			 char *text, size_t size)
{
	const struct pe_digests *have = &image->table.digests;
	char hex[17];

	for (unsigned i = 0; i < have->count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(digests); k++) {
			if (have->list[i].nid != digests[k].nid ||
			    !find(list, digests[k].image, have->list[i].bytes, have->list[i].len))
				continue;
			hex_encode(have->list[i].bytes, 8, hex);
			(void)snprintf(text, size, "its %s %s...", digests[k].name, hex);
			return true;
		}
	return false;
}

/* NULL unless libcrypto can parse the certificate. */
static X509 *cert_read(const struct siglist_entry *entry)
{
	const uint8_t *at = entry->data;
	X509 *cert;

	if (entry->kind != SIGLIST_X509)
		return NULL;
	cert = d2i_X509(NULL, &at, (long)entry->len);
	ERR_clear_error();
	return cert;
}

/* Verifies the chain as edk2 does: the anchor need not be self-signed. */
static bool leads_to(const struct authenticode_entry *entry, X509 *anchor)
{
	_cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
	_cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	bool leads;

	if (!store || !ctx || !X509_STORE_add_cert(store, anchor) ||
	    !X509_STORE_CTX_init(ctx, store, entry->signer, entry->carried))
		return false;
	param = X509_STORE_CTX_get0_param(ctx);
	(void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	(void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_auth_level(param, 0);
	leads = X509_verify_cert(ctx) == 1;
	ERR_clear_error();
	return leads;
}

static bool is_for_modules(X509 *cert)
{
	EXTENDED_KEY_USAGE *usage = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	bool modules = false;
	char oid[64];

	for (int i = 0; i < sk_ASN1_OBJECT_num(usage); i++)
		if (OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(usage, i), 1) > 0 &&
		    strcmp(oid, EKU_MODULES) == 0)
			modules = true;
	EXTENDED_KEY_USAGE_free(usage);
	return modules;
}

X509 *chain_anchor(const struct authenticode_entry *entry, const struct siglist *list,
		   bool boot_only)
{
	for (size_t i = 0; i < list->count; i++) {
		X509 *cert = cert_read(&list->entries[i]);

		if (cert && leads_to(entry, cert) && !(boot_only && is_for_modules(cert)))
			return cert;
		X509_free(cert);
	}
	return NULL;
}

/* Finds the signed part of a certificate, its first element (RFC 5280, 4.1). */
static bool signed_part(const uint8_t *der, long len, const uint8_t **ret_part, size_t *ret_len)
{
	const uint8_t *at = der, *part;
	int tag, class;
	long inner;

	if (ASN1_get_object(&at, &inner, &tag, &class, len) & 0x81)	/* error, or indefinite
									 * length */
		return false;
	part = at;
	if (ASN1_get_object(&at, &inner, &tag, &class, inner) & 0x81)
		return false;
	*ret_part = part;
	*ret_len = (size_t)(at + inner - part);
	return true;
}

static const struct siglist_entry *one_listed(X509 *cert, const struct siglist *list)
{
	const struct siglist_entry *found = NULL;
	uint8_t *der = NULL, digest[EVP_MAX_MD_SIZE];
	int der_len = i2d_X509(cert, &der);
	const uint8_t *part;
	unsigned len;
	size_t part_len;

	if (der_len <= 0 || !signed_part(der, der_len, &part, &part_len))
		der_len = 0;
	for (size_t i = 0; der_len > 0 && !found && i < ARRAY_SIZE(digests); i++)
		if (digests[i].cert != SIGLIST_OTHER &&
		    EVP_Digest(part, part_len, digest, &len, EVP_get_digestbynid(digests[i].nid), NULL) == 1)
			found = find(list, digests[i].cert, digest, len);
	OPENSSL_free(der);
	return found;
}

static X509 *issuer_find(X509 *cert, const struct authenticode_entry *entry)
{
	for (int i = 0; i < sk_X509_num(entry->carried); i++) {
		X509 *other = sk_X509_value(entry->carried, i);

		if (other != cert && X509_check_issued(other, cert) == X509_V_OK)
			return other;
	}
	return NULL;
}

const struct siglist_entry *chain_cert_listed(const struct authenticode_entry *entry, X509 *cert,
					      const struct siglist *list, X509 **ret_cert)
{
	for (unsigned depth = 0; cert && depth < CHAIN_MAX; depth++) {
		const struct siglist_entry *found = one_listed(cert, list);

		if (found) {
			*ret_cert = cert;
			return found;
		}
		cert = issuer_find(cert, entry);
	}
	return NULL;
}
