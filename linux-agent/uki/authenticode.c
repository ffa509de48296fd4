/* SPDX-License-Identifier: MIT */
#include "authenticode.h"

#include "pe_digest.h"
#include "bytes.h"
#include "digest.h"
#include "io.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
	WIN_CERTIFICATE_HEADER = 8,
	WIN_CERT_REVISION_2 = 0x0200,
	WIN_CERT_PKCS_SIGNED_DATA = 2,
};

#define SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"

static void pkcs7_freep(PKCS7 **p7)
{
	PKCS7_free(*p7);
}

static void x509_sig_freep(X509_SIG **sig)
{
	X509_SIG_free(*sig);
}

static void bio_freep(BIO **bio)
{
	BIO_free_all(*bio);
}

static void signers_freep(STACK_OF(X509) **signers)
{
	sk_X509_free(*signers);		/* they belong to the PKCS7 structure */
}

static void malformed(struct authenticode *a, const char *why)
{
	a->state = AUTHENTICODE_MALFORMED;
	(void)snprintf(a->why, sizeof a->why, "%s", why);
}

static void name_text(const X509_NAME *name, char *out, size_t size)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
	unsigned long flags = XN_FLAG_ONELINE & ~(unsigned long)(XN_FLAG_SPC_EQ |
								 ASN1_STRFLGS_ESC_MSB);
	char *text;
	long len = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, flags | ASN1_STRFLGS_UTF8_CONVERT) >= 0)
		len = BIO_get_mem_data(bio, &text);
	(void)snprintf(out, size, "%.*s", len > 0 ? (int)len : 0, len > 0 ? text : "");
}

static void key_add(struct authenticode *a, const ASN1_STRING *id)
{
	const uint8_t *data;
	char *out;
	int len;

	if (!id || a->key_count >= AUTHENTICODE_MAX_KEYS)
		return;
	len = ASN1_STRING_length(id);
	data = ASN1_STRING_get0_data(id);
	if (len <= 0 || len >= AUTHENTICODE_KEY_CHARS / 2)
		return;
	out = a->keys[a->key_count++];
	/* A keyring shows the serial number as encoded, with a leading 00 to keep it
	 * positive. */
	if (ASN1_STRING_type(id) == V_ASN1_INTEGER && (data[0] & 0x80)) {
		memcpy(out, "00", 2);
		out += 2;
	}
	hex_encode(data, (size_t)len, out);
}

/* The certificates from the signer upwards, as far as the signature carries them. */
static void keys_collect(struct authenticode *a, X509 *cert, STACK_OF(X509) *carried)
{
	for (int depth = 0; cert && depth < AUTHENTICODE_MAX_KEYS / 2; depth++) {
		const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert);
		X509 *issuer = NULL;

		key_add(a, id ? id : X509_get0_serialNumber(cert));
		key_add(a, X509_get0_authority_key_id(cert));
		for (int i = 0; i < sk_X509_num(carried) && !issuer; i++)
			if (X509_check_issued(sk_X509_value(carried, i), cert) == X509_V_OK &&
			    sk_X509_value(carried, i) != cert)
				issuer = sk_X509_value(carried, i);
		cert = issuer;
	}
}

/* SpcIndirectDataContent ::= SEQUENCE { data, messageDigest DigestInfo }. Signed
 * are its contents without the outer SEQUENCE's own header: *ret_inner. */
static X509_SIG *indirect_data(const PKCS7 *p7, const uint8_t **ret_inner, long *ret_len)
{
	const ASN1_TYPE *any = p7->d.sign->contents->d.other;
	const uint8_t *p, *inner, *data;
	int tag, class;
	long len, data_len;

	if (!any || any->type != V_ASN1_SEQUENCE)
		return NULL;
	p = any->value.sequence->data;
	if (ASN1_get_object(&p, &len, &tag, &class, any->value.sequence->length) &
	    (0x80 | 0x01))		/* an error, or no definite length */
		return NULL;
	inner = data = p;
	if (ASN1_get_object(&data, &data_len, &tag, &class, len) & (0x80 | 0x01))
		return NULL;
	p = data + data_len;
	*ret_inner = inner;
	*ret_len = len;
	return d2i_X509_SIG(NULL, &p, len - (p - inner));
}

/* With one that is not known, PKCS7_verify() of OpenSSL 3.0 fails and keeps a BIO. */
static bool digests_are_known(const PKCS7 *p7)
{
	for (int i = 0; i < sk_X509_ALGOR_num(p7->d.sign->md_algs); i++) {
		const ASN1_OBJECT *oid;
		char name[80];
		EVP_MD *digest;

		X509_ALGOR_get0(&oid, NULL, NULL, sk_X509_ALGOR_value(p7->d.sign->md_algs, i));
		(void)OBJ_obj2txt(name, sizeof name, oid, 0);
		digest = EVP_MD_fetch(NULL, name, NULL);
		if (!digest)
			return false;
		EVP_MD_free(digest);
	}
	return true;
}

static void signer_check(PKCS7 *p7, const uint8_t *inner, long len, struct authenticode *a)
{
	_cleanup_(signers_freep) STACK_OF(X509) *signers = PKCS7_get0_signers(p7, NULL, 0);
	_cleanup_(bio_freep) BIO *content = BIO_new_mem_buf(inner, (int)len);
	X509 *signer = signers ? sk_X509_value(signers, 0) : NULL;

	if (!signer) {
		a->state = AUTHENTICODE_UNKNOWN_SIGNER;
		return;
	}
	name_text(X509_get_subject_name(signer), a->signer, sizeof a->signer);
	name_text(X509_get_issuer_name(signer), a->issuer, sizeof a->issuer);
	keys_collect(a, signer, p7->d.sign->cert);
	a->state = AUTHENTICODE_SIGNED;
	if (!digests_are_known(p7)) {
		a->state = AUTHENTICODE_WRONG;
		(void)snprintf(a->why, sizeof a->why, "unknown digest type");
		return;
	}
	if (!content || PKCS7_verify(p7, NULL, NULL, content, NULL,
				     PKCS7_BINARY | PKCS7_NOVERIFY) != 1) {
		const char *reason = ERR_reason_error_string(ERR_peek_last_error());

		a->state = AUTHENTICODE_WRONG;
		(void)snprintf(a->why, sizeof a->why, "%s", reason ? reason : "unknown reason");
	}
}

static int digest_compare(const struct pe_source *pe, const struct pe_digest_layout *layout,
			  const X509_SIG *info, struct authenticode *a, struct err *err)
{
	const ASN1_OCTET_STRING *want;
	const X509_ALGOR *algorithm;
	const ASN1_OBJECT *oid;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;
	const EVP_MD *md;

	X509_SIG_get0(info, &algorithm, &want);
	X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
	md = EVP_get_digestbyobj(oid);
	if (!md) {
		malformed(a, "its digest algorithm is unknown");
		return 0;
	}
	(void)snprintf(a->digest, sizeof a->digest, "%s", OBJ_nid2sn(EVP_MD_get_type(md)));
	if (pe_digest(pe, layout, md, digest, &len, err) < 0)
		return -1;
	if (ASN1_STRING_length(want) != (int)len ||
	    memcmp(ASN1_STRING_get0_data(want), digest, len) != 0)
		a->state = AUTHENTICODE_ALTERED;
	else
		a->state = AUTHENTICODE_SIGNED;
	return 0;
}

static int pkcs7_check(const struct pe_source *pe, const struct pe_digest_layout *layout,
		       const uint8_t *der, long der_len, struct authenticode *a,
		       struct err *err)
{
	_cleanup_(pkcs7_freep) PKCS7 *p7 = d2i_PKCS7(NULL, &der, der_len);
	_cleanup_(x509_sig_freep) X509_SIG *info = NULL;
	const uint8_t *inner = NULL;
	char oid[64] = "";
	long len = 0;

	if (!p7 || !PKCS7_type_is_signed(p7) || !p7->d.sign || !p7->d.sign->contents) {
		malformed(a, "what is in its certificate table is no PKCS #7 signature");
		return 0;
	}
	(void)OBJ_obj2txt(oid, sizeof oid, p7->d.sign->contents->type, 1);
	if (strcmp(oid, SPC_INDIRECT_DATA) == 0)
		info = indirect_data(p7, &inner, &len);
	if (!info) {
		malformed(a, "its PKCS #7 signature is not over the digest of an image");
		return 0;
	}
	if (digest_compare(pe, layout, info, a, err) < 0)
		return -1;
	if (a->state == AUTHENTICODE_SIGNED)
		signer_check(p7, inner, len, a);
	return 0;
}

/* Each entry begins with its length, at a multiple of 8; ignore what follows one
 * without. */
static unsigned entries_count(const uint8_t *table, uint64_t size)
{
	unsigned count = 0;

	for (uint64_t at = 0, len; at < size && size - at >= WIN_CERTIFICATE_HEADER; at += (len + 7) / 8 * 8) {
		len = le32_get(table + at);
		if (len < WIN_CERTIFICATE_HEADER || len > size - at)
			break;
		count++;
	}
	return count;
}

int authenticode_read(const struct pe_source *pe, struct authenticode *ret_signature,
		      struct err *err)
{
	_cleanup_free_ uint8_t *table = NULL;
	struct pe_digest_layout layout;
	uint32_t len;

	*ret_signature = (struct authenticode){ .state = AUTHENTICODE_NO_PE };
	ERR_clear_error();
	switch (pe_digest_read(pe, &layout)) {
	case SB_OK:
		break;
	case SB_IO:
		return err_set(err, EX_IOERR, "failed to read the kernel's PE headers");
	default:
		return 0;
	}
	ret_signature->state = AUTHENTICODE_UNSIGNED;
	if (layout.table_size == 0)
		return 0;
	if (layout.table_size < WIN_CERTIFICATE_HEADER ||
	    layout.table_size > AUTHENTICODE_MAX_BYTES) {
		malformed(ret_signature, "its certificate table has an impossible size");
		return 0;
	}
	table = malloc(layout.table_size);
	if (!table)
		return err_set(err, EX_SOFTWARE, "failed to read a signature: out of memory");
	if (pe->read(pe->ctx, layout.table, table, layout.table_size) != SB_OK)
		return err_set(err, EX_IOERR, "failed to read the kernel's signature");
	len = le32_get(table);
	if (len < WIN_CERTIFICATE_HEADER || len > layout.table_size ||
	    le16_get(table + 4) != WIN_CERT_REVISION_2 ||
	    le16_get(table + 6) != WIN_CERT_PKCS_SIGNED_DATA) {
		malformed(ret_signature, "the first entry of its certificate table is no PKCS #7 "
					 "signature");
		return 0;
	}
	ret_signature->count = entries_count(table, layout.table_size);
	return pkcs7_check(pe, &layout, table + WIN_CERTIFICATE_HEADER,
			   (long)len - WIN_CERTIFICATE_HEADER, ret_signature, err);
}
