/* SPDX-License-Identifier: MIT */
#include "authenticode.h"

#include "io.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"
#define RFC3161_TOKEN "1.3.6.1.4.1.311.3.3.1"

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

bool authenticode_digests_known(const PKCS7 *p7)
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

/* An attribute that is not signed. */
static bool is_timestamped(const PKCS7 *p7)
{
	const PKCS7_SIGNER_INFO *si = sk_PKCS7_SIGNER_INFO_value(p7->d.sign->signer_info, 0);
	const STACK_OF(X509_ATTRIBUTE) *attributes = si ? si->unauth_attr : NULL;
	char oid[64];

	for (int i = 0; i < sk_X509_ATTRIBUTE_num(attributes); i++) {
		X509_ATTRIBUTE *a = sk_X509_ATTRIBUTE_value(attributes, i);

		if (OBJ_obj2txt(oid, sizeof oid, X509_ATTRIBUTE_get0_object(a), 1) > 0 &&
		    strcmp(oid, RFC3161_TOKEN) == 0)
			return true;
	}
	return false;
}

static void signer_check(const uint8_t *inner, long len, struct authenticode_entry *e)
{
	_cleanup_(signers_freep) STACK_OF(X509) *signers = PKCS7_get0_signers(e->p7, NULL, 0);
	_cleanup_(bio_freep) BIO *content = BIO_new_mem_buf(inner, (int)len);
	X509 *signer = signers ? sk_X509_value(signers, 0) : NULL;
	struct authenticode *a = &e->signature;

	if (!signer) {
		a->state = AUTHENTICODE_UNKNOWN_SIGNER;
		return;
	}
	e->signer = signer;
	e->carried = e->p7->d.sign->cert;
	e->timestamped = is_timestamped(e->p7);
	name_text(X509_get_subject_name(signer), a->signer, sizeof a->signer);
	name_text(X509_get_issuer_name(signer), a->issuer, sizeof a->issuer);
	keys_collect(a, signer, e->carried);
	a->state = AUTHENTICODE_SIGNED;
	if (!authenticode_digests_known(e->p7)) {
		a->state = AUTHENTICODE_WRONG;
		(void)snprintf(a->why, sizeof a->why, "unknown digest type");
		return;
	}
	if (!content || PKCS7_verify(e->p7, NULL, NULL, content, NULL,
				     PKCS7_BINARY | PKCS7_NOVERIFY) != 1) {
		const char *reason = ERR_reason_error_string(ERR_peek_last_error());

		a->state = AUTHENTICODE_WRONG;
		(void)snprintf(a->why, sizeof a->why, "%s", reason ? reason : "unknown reason");
	}
}

static int digest_compare(const struct pe_source *pe, const struct pe_digest_layout *layout,
			  struct pe_digests *digests, const X509_SIG *info,
			  struct authenticode *a, struct err *err)
{
	const ASN1_OCTET_STRING *want;
	const X509_ALGOR *algorithm;
	const ASN1_OBJECT *oid;
	const uint8_t *digest;
	unsigned len;
	const EVP_MD *md;

	X509_SIG_get0(info, &algorithm, &want);
	X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
	md = EVP_get_digestbyobj(oid);
	if (!md || (digests->count == PE_DIGESTS_MAX)) {
		malformed(a, "its digest algorithm is unknown");
		return 0;
	}
	(void)snprintf(a->digest, sizeof a->digest, "%s", OBJ_nid2sn(EVP_MD_get_type(md)));
	if (pe_digests_get(pe, layout, md, digests, &digest, &len, err) < 0)
		return -1;
	if (ASN1_STRING_length(want) != (int)len ||
	    memcmp(ASN1_STRING_get0_data(want), digest, len) != 0)
		a->state = AUTHENTICODE_ALTERED;
	else
		a->state = AUTHENTICODE_SIGNED;
	return 0;
}

int authenticode_entry_read(const struct pe_source *pe, const struct pe_digest_layout *layout,
			    struct pe_digests *digests, const uint8_t *der, size_t der_len,
			    struct authenticode_entry *entry, struct err *err)
{
	_cleanup_(x509_sig_freep) X509_SIG *info = NULL;
	struct authenticode *a = &entry->signature;
	const PKCS7 *p7 = entry->p7 = d2i_PKCS7(NULL, &der, (long)der_len);
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
	if (digest_compare(pe, layout, digests, info, a, err) < 0)
		return -1;
	if (a->state == AUTHENTICODE_SIGNED)
		signer_check(inner, len, entry);
	return 0;
}

void authenticode_entry_clear(struct authenticode_entry *entry)
{
	PKCS7_free(entry->p7);
	*entry = (struct authenticode_entry){ 0 };
}
