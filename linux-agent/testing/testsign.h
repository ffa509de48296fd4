/* SPDX-License-Identifier: MIT */
/*
 * For tests: a small PE32+ image in memory, and an Authenticode signature made for
 * it by libcrypto, with no code of authenticode.c.
 */
#pragma once

#include "bytes.h"
#include "native.h"
#include "testpki.h"

#include <openssl/pkcs7.h>
#include <openssl/sha.h>

enum {
	TESTPE_AT = 64,
	TESTPE_OPT = TESTPE_AT + 24,
	TESTPE_ENTRY = TESTPE_OPT + 112 + 8 * 4,	/* of the certificate table */
	TESTPE_SECTIONS = TESTPE_OPT + 240,
	TESTPE_HEADERS = 1024,
	TESTPE_BYTES = 4096,		/* without a signature; a multiple of 8 */
	TESTPE_CAP = 16384,
};

struct testpe {
	uint8_t bytes[TESTPE_CAP];
	size_t size;
};

static inline enum sb_error testpe_read(void *ctx, uint64_t offset, uint8_t *buf, size_t len)
{
	memcpy(buf, ((struct testpe *)ctx)->bytes + offset, len);
	return SB_OK;
}

static inline struct pe_source testpe_source(struct testpe *pe)
{
	return (struct pe_source){ .ctx = pe, .size = pe->size, .read = testpe_read };
}

/* Two sections, the later one first in the table, and bytes after both. */
static inline void testpe_make(struct testpe *pe)
{
	uint8_t *h;

	memset(pe, 0, sizeof *pe);
	pe->size = TESTPE_BYTES;
	for (size_t i = TESTPE_HEADERS; i < TESTPE_BYTES; i++)
		pe->bytes[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(pe->bytes, "MZ", 2);
	le32_put(pe->bytes + 0x3c, TESTPE_AT);
	memcpy(pe->bytes + TESTPE_AT, "PE\0\0", 4);
	le16_put(pe->bytes + TESTPE_AT + 4, NATIVE_MACHINE);
	le16_put(pe->bytes + TESTPE_AT + 6, 2);
	le16_put(pe->bytes + TESTPE_AT + 20, 240);
	le16_put(pe->bytes + TESTPE_OPT, 0x20b);
	le32_put(pe->bytes + TESTPE_OPT + 60, TESTPE_HEADERS);
	le32_put(pe->bytes + TESTPE_OPT + 64, 0x12345678);
	le32_put(pe->bytes + TESTPE_OPT + 108, 16);
	h = pe->bytes + TESTPE_SECTIONS;
	for (int i = 0; i < 2; i++, h += 40) {
		h[0] = '.';
		h[1] = (uint8_t)('a' + i);
		le32_put(h + 16, 1024);
		le32_put(h + 20, i ? TESTPE_HEADERS : TESTPE_HEADERS + 1024);
	}
}

/* The digest as the document defines it, written out for this one layout. */
static inline void testpe_digest(const struct testpe *pe, uint8_t digest[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	EVP_DigestUpdate(ctx, pe->bytes, TESTPE_OPT + 64);
	EVP_DigestUpdate(ctx, pe->bytes + TESTPE_OPT + 68, TESTPE_ENTRY - (TESTPE_OPT + 68));
	EVP_DigestUpdate(ctx, pe->bytes + TESTPE_ENTRY + 8, TESTPE_BYTES - (TESTPE_ENTRY + 8));
	EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
}

/* SpcIndirectDataContent with an SpcPeImageData of no flags and an empty link. */
static inline size_t testsign_indirect(const uint8_t digest[32], uint8_t out[128])
{
	static const uint8_t head[] = {
		0x30, 0x4c,
		0x30, 0x17, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0f,
		0x30, 0x09, 0x03, 0x01, 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00,
		0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
		0x01, 0x05, 0x00, 0x04, 0x20,
	};

	memcpy(out, head, sizeof head);
	memcpy(out + sizeof head, digest, 32);
	return sizeof head + 32;
}

/* A PKCS #7 signature over a digest; the caller frees. */
static inline PKCS7 *testsign_pkcs7(const struct testpki *signer, const uint8_t digest[32],
				    bool carry_cert)
{
	PKCS7 *p7 = PKCS7_new(), *content = PKCS7_new();
	uint8_t spc[128];
	size_t len = testsign_indirect(digest, spc);
	PKCS7_SIGNER_INFO *si;
	BIO *bio;

	PKCS7_set_type(p7, NID_pkcs7_signed);
	si = PKCS7_add_signature(p7, signer->cert, signer->key, EVP_sha256());
	assert_non_null(si);
	if (carry_cert)
		PKCS7_add_certificate(p7, signer->cert);
	PKCS7_content_new(p7, NID_pkcs7_data);
	PKCS7_add_signed_attribute(si, NID_pkcs9_contentType, V_ASN1_OBJECT,
				   OBJ_txt2obj("1.3.6.1.4.1.311.2.1.4", 1));
	bio = PKCS7_dataInit(p7, NULL);
	BIO_write(bio, spc + 2, (int)len - 2);
	assert_int_equal(PKCS7_dataFinal(p7, bio), 1);
	BIO_free_all(bio);
	content->type = OBJ_txt2obj("1.3.6.1.4.1.311.2.1.4", 1);
	content->d.other = ASN1_TYPE_new();
	ASN1_TYPE_set(content->d.other, V_ASN1_SEQUENCE, ASN1_STRING_new());
	ASN1_STRING_set(content->d.other->value.sequence, spc, (int)len);
	PKCS7_set_content(p7, content);
	return p7;
}

/* Appends the certificate table, or another entry to it. */
static inline void testsign_attach(struct testpe *pe, PKCS7 *p7)
{
	uint32_t before = le32_get(pe->bytes + TESTPE_ENTRY + 4);
	uint8_t *der = NULL;
	int len = i2d_PKCS7(p7, &der);
	size_t table = (8 + (size_t)len + 7) / 8 * 8;

	assert_true(len > 0 && pe->size + table <= TESTPE_CAP);
	le32_put(pe->bytes + pe->size, (uint32_t)(8 + len));
	le16_put(pe->bytes + pe->size + 4, 0x0200);
	le16_put(pe->bytes + pe->size + 6, 2);
	memcpy(pe->bytes + pe->size + 8, der, (size_t)len);
	if (before == 0)
		le32_put(pe->bytes + TESTPE_ENTRY, (uint32_t)pe->size);
	le32_put(pe->bytes + TESTPE_ENTRY + 4, before + (uint32_t)table);
	pe->size += table;
	OPENSSL_free(der);
}

static inline void testsign(struct testpe *pe, const struct testpki *signer)
{
	uint8_t digest[32];
	PKCS7 *p7;

	testpe_digest(pe, digest);
	p7 = testsign_pkcs7(signer, digest, true);
	testsign_attach(pe, p7);
	PKCS7_free(p7);
}

/* Appends the one entry of the certificate table once more, as sbsign appends another. */
static inline void testsign_again(struct testpe *pe)
{
	uint32_t table = le32_get(pe->bytes + TESTPE_ENTRY);
	uint32_t size = le32_get(pe->bytes + TESTPE_ENTRY + 4);

	assert_true(pe->size + size <= TESTPE_CAP);
	memcpy(pe->bytes + pe->size, pe->bytes + table, size);
	le32_put(pe->bytes + TESTPE_ENTRY + 4, 2 * size);
	pe->size += size;
}
