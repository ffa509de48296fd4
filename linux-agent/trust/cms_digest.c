/* SPDX-License-Identifier: MIT */
#include "cms_digest.h"

#include "cms.h"
#include "io.h"

#include <limits.h>

static const int good_digests[] = { NID_sha256, NID_sha384, NID_sha512, NID_sha512_256,
				    NID_sha3_256, NID_sha3_384, NID_sha3_512 };

bool cms_digest_is_good(const X509_ALGOR *digest)
{
	int nid = OBJ_obj2nid(digest->algorithm);

	for (size_t i = 0; i < ARRAY_SIZE(good_digests); i++)
		if (nid == good_digests[i])
			return EVP_get_digestbynid(nid) != NULL;
	return false;
}

static bool chain_has(BIO *chain, int nid)
{
	for (BIO *b = chain; (b = BIO_find_type(b, BIO_TYPE_MD)); b = BIO_next(b)) {
		EVP_MD_CTX *ctx = NULL;

		if (BIO_get_md_ctx(b, &ctx) > 0 && EVP_MD_CTX_get_type(ctx) == nid)
			return true;
	}
	return false;
}

/* A digest filter in front of *chain. */
static bool filter_push(BIO **chain, int nid)
{
	BIO *filter = BIO_new(BIO_f_md());

	if (!filter || BIO_set_md(filter, EVP_get_digestbynid(nid)) <= 0) {
		BIO_free(filter);
		return false;
	}
	*chain = BIO_push(filter, *chain);
	return true;
}

int cms_digest_content(CMS_ContentInfo *cms, const uint8_t *data, size_t len, BIO **ret_content,
		       struct err *err)
{
	STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
	_cleanup_(BIO_free_allp) BIO *chain =
		len <= INT_MAX ? BIO_new_mem_buf(data, (int)len) : NULL;
	uint8_t buf[4096];

	if (!chain)
		return cms_no_memory(err);
	for (int i = 0; i < sk_CMS_SignerInfo_num(infos) && i < CMS_SIGNERS_MAX; i++) {
		X509_ALGOR *digest = NULL;
		int nid;

		CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(infos, i), NULL, NULL, &digest,
					 NULL);
		nid = OBJ_obj2nid(digest->algorithm);
		if (cms_digest_is_good(digest) && !chain_has(chain, nid) &&
		    !filter_push(&chain, nid))
			return cms_no_memory(err);
	}
	while (BIO_read(chain, buf, sizeof buf) > 0)
		;
	*ret_content = chain;
	chain = NULL;
	return 0;
}
