/* SPDX-License-Identifier: MIT */
#include "signedmanifest.h"

#include "io.h"

#include <errno.h>

/* 1: there; 0: not there; -1 */
static int file_take(const char *stem, const char *suffix, size_t max, uint8_t **ret_data,
		     size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s%s", stem, suffix) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name %s%s", stem, suffix);
	if (read_file(path, max, ret_data, ret_len) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	return err_errno(err, errno == EFBIG || errno == EISDIR ? EX_DATAERR : EX_IOERR, errno,
			 "failed to read %s", path);
}

static int take(const char *stem, const char *keyring, const struct cms_rules *rules,
		struct signed_manifest *m, struct err *err)
{
	int r = file_take(stem, ".p7s", CMS_MAX_BYTES, &m->p7s, &m->p7s_len, err);

	if (r <= 0)
		return r;
	r = file_take(stem, ".json", MANIFEST_MAX_BYTES, &m->json, &m->json_len, err);
	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(err, EX_DATAERR, "%s.p7s is there and %s.json is not", stem, stem);
	if (cms_verify_detached(m->json, m->json_len, m->p7s, m->p7s_len, keyring, rules,
				&m->signer, err) < 0 ||
	    manifest_parse(m->json, m->json_len, &m->manifest, err) < 0)
		return -1;
	return 1;
}

int signed_manifest_read(const char *stem, const char *keyring, const struct cms_rules *rules,
			 struct signed_manifest *ret_manifest, struct err *err)
{
	struct signed_manifest m = { 0 };
	int r = take(stem, keyring, rules, &m, err);

	if (r == 1)
		*ret_manifest = m;
	else
		signed_manifest_clear(&m);
	return r;
}

void signed_manifest_clear(struct signed_manifest *manifest)
{
	manifest_free(manifest->manifest);
	free(manifest->signer);
	free(manifest->json);
	free(manifest->p7s);
	*manifest = (struct signed_manifest){ 0 };
}

int signed_manifest_read_kept(const char *stem, const char *keyring, const struct cms_rules *rules,
			      struct signed_manifest *ret_manifest, struct err *err)
{
	struct cms_rules kept = *rules;

	kept.any_time = true;
	return signed_manifest_read(stem, keyring, &kept, ret_manifest, err);
}
