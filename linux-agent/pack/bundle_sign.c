/* SPDX-License-Identifier: MIT */
#include "bundle_sign.h"

#include "zip_write.h"
#include "cms.h"
#include "cms_pem.h"
#include "io.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>

static void zip_discardp(zip_t **zip)
{
	if (*zip)
		zip_discard(*zip);
}

static void list_freep(struct zip_write **list)
{
	if (*list)
		zip_write_clear(*list);
	free(*list);
}

static int no_memory(struct err *err)
{
	return err_set(err, EX_SOFTWARE, "failed to sign a bundle: out of memory");
}

static int archive_open(const char *path, zip_t **ret_zip, struct err *err)
{
	int code = 0;
	zip_error_t error;

	*ret_zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code);
	if (*ret_zip)
		return 0;
	zip_error_init_with_code(&error, code);
	(void)err_set(err, code == ZIP_ER_NOENT || code == ZIP_ER_OPEN ? EX_NOINPUT : EX_DATAERR,
		      "failed to open the bundle %s: %s", path, zip_error_strerror(&error));
	zip_error_fini(&error);
	return -1;
}

static int manifest_read(zip_t *zip, const char *path, uint8_t **ret_json, size_t *ret_len,
			 struct err *err)
{
	zip_file_t *file = zip_fopen(zip, "manifest.json", 0);
	uint8_t *json = malloc(MANIFEST_MAX_BYTES + 1);
	zip_int64_t n = file && json ? zip_fread(file, json, MANIFEST_MAX_BYTES + 1) : -1;

	if (file)
		(void)zip_fclose(file);
	if (n < 0 || n > MANIFEST_MAX_BYTES) {
		free(json);
		return err_set(err, EX_DATAERR, "failed to read manifest.json of the bundle %s: it "
			       "is missing, damaged or too large", path);
	}
	*ret_json = json;
	*ret_len = (size_t)n;
	return 0;
}

/* Whether the signature covers these bytes, made with the key of a certificate it
 * carries. */
static int signature_check(const uint8_t *sig, size_t siglen, const char *name,
			   const uint8_t *json, size_t json_len, struct err *err)
{
	_cleanup_(CMS_ContentInfo_freep) CMS_ContentInfo *cms = NULL;
	_cleanup_(BIO_free_allp) BIO *content = BIO_new_mem_buf(json, (int)json_len);
	const uint8_t *end = sig;

	ERR_clear_error();
	cms = d2i_CMS_ContentInfo(NULL, &end, (long)siglen);
	if (!content)
		return no_memory(err);
	if (!cms || end != sig + siglen || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed ||
	    CMS_is_detached(cms) != 1 || sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) < 1)
		return err_set(err, EX_DATAERR, "%s is not a detached CMS signature in DER form",
			       name);
	if (CMS_verify(cms, NULL, NULL, content, NULL,
		       CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1)
		return err_set(err, EX_DATAERR, "%s is not a signature of this bundle's "
			       "manifest.json, or lacks its signer's certificate: %s", name,
			       ERR_reason_error_string(ERR_peek_last_error()));
	return 0;
}

static int entries_copy(zip_t *zip, struct zip_write *list, struct err *err)
{
	zip_int64_t count = zip_get_num_entries(zip, 0);

	if (count < 1 || (size_t)count >= ARRAY_SIZE(list->entries))
		return err_set(err, EX_DATAERR, "the bundle has %lld entries", (long long)count);
	for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
		const char *name = zip_get_name(zip, i, 0);
		unsigned rank = RANK_PAYLOADS + (unsigned)i;

		if (!name)
			return no_memory(err);
		if (strcmp(name, "manifest.p7s") == 0)
			continue;
		if (strcmp(name, "manifest.json") == 0)
			rank = RANK_MANIFEST;
		zip_write_add_copy(list, rank, name, zip, i);
	}
	return 0;
}

int bundle_sign(const char *path, const char *signature_path, struct err *err)
{
	_cleanup_(zip_discardp) zip_t *zip = NULL;
	_cleanup_(list_freep) struct zip_write *list = calloc(1, sizeof *list);
	_cleanup_free_ uint8_t *json = NULL, *sig = NULL;
	size_t json_len = 0, siglen = 0;

	if (!list)
		return no_memory(err);
	if (read_file(signature_path, CMS_MAX_BYTES, &sig, &siglen) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the signature %s",
				 signature_path);
	if (archive_open(path, &zip, err) < 0 ||
	    manifest_read(zip, path, &json, &json_len, err) < 0 ||
	    signature_check(sig, siglen, signature_path, json, json_len, err) < 0 ||
	    entries_copy(zip, list, err) < 0)
		return -1;
	zip_write_add_data(list, RANK_SIGNATURE, "manifest.p7s", sig, siglen);
	sig = NULL;
	return zip_write(list, path, NULL, err);
}
