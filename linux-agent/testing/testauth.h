/* SPDX-License-Identifier: MIT */
/* For tests: updates of KEK, db and dbx, signed by libcrypto as sign-efi-sig-list -a does. */
#pragma once

#include "testpki.h"
#include "testsiglist.h"

#include <openssl/pkcs7.h>

#define TESTAUTH_GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define TESTAUTH_SECURITY "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
#define TESTAUTH_PKCS7 "4aafd29d-68df-49ee-8aa9-347d375665a7"

struct testauth {
	uint8_t bytes[16384];
	size_t len;
	size_t lists;		/* where they begin */
};

struct testauth_how {
	uint32_t attributes;	/* 0: 0x67 */
	bool content_info;	/* around the SignedData */
	int flags;		/* PKCS7_NOCERTS, ... */
};

static inline void testauth_signed(BIO *out, const char *variable, uint32_t attributes, const uint8_t *time,
				   const struct testlists *lists)
{
	uint8_t guid[16], le[4];

	for (const char *c = variable; *c; c++)
		(void)BIO_write(out, (const char[]){ *c, 0 }, 2);
	testlists_guid(*variable == 'd' ? TESTAUTH_SECURITY : TESTAUTH_GLOBAL, guid);
	le32_put(le, attributes);
	(void)BIO_write(out, guid, 16);
	(void)BIO_write(out, le, 4);
	(void)BIO_write(out, time, 16);
	(void)BIO_write(out, lists->bytes, (int)lists->len);
}

static inline void testauth_put(struct testauth *auth, const uint8_t *der, size_t len,
				const struct testlists *lists)
{
	uint8_t *b = auth->bytes;

	assert_true(40 + len + lists->len <= sizeof auth->bytes);
	memset(b, 0, 40);
	le16_put(b, 2026);
	b[2] = b[3] = 11;
	le32_put(b + 16, (uint32_t)(24 + len));
	le16_put(b + 20, 0x0200);
	le16_put(b + 22, 0x0ef1);
	testlists_guid(TESTAUTH_PKCS7, b + 24);
	memcpy(b + 40, der, len);
	memcpy(b + 40 + len, lists->bytes, lists->len);
	auth->lists = 40 + len;
	auth->len = 40 + len + lists->len;
}

static inline void testauth_make_full(struct testauth *auth, const char *variable,
				      const struct testlists *lists, const struct testpki *by,
				      struct testauth_how how)
{
	uint8_t time[16] = { 2026 & 0xff, 2026 >> 8, 11, 11 }, *der = NULL;
	BIO *content = BIO_new(BIO_s_mem());
	PKCS7 *p7;
	int len;

	testauth_signed(content, variable, how.attributes ? how.attributes : 0x67, time, lists);
	p7 = PKCS7_sign(by->cert, by->key, NULL, content, PKCS7_BINARY | PKCS7_DETACHED | PKCS7_NOATTR | how.flags);
	assert_non_null(p7);
	len = how.content_info ? i2d_PKCS7(p7, &der) : i2d_PKCS7_SIGNED(p7->d.sign, &der);
	assert_true(len > 0);
	testauth_put(auth, der, (size_t)len, lists);
	OPENSSL_free(der);
	PKCS7_free(p7);
	BIO_free(content);
}

static inline void testauth_make(struct testauth *auth, const char *variable, const struct testlists *lists,
				 const struct testpki *by)
{
	testauth_make_full(auth, variable, lists, by, (struct testauth_how){ 0 });
}
