/* SPDX-License-Identifier: MIT */
#include "beside.h"

#include "digest.h"
#include "io.h"

#include <errno.h>
#include <string.h>

enum { PIECE = 1024 * 1024 };

void beside_clear(struct beside *beside)
{
	free(beside->stranger);
	beside->stranger = NULL;
}

int beside_expect(struct beside *beside, const char *path, const char *name,
		  const struct payload **ret_payload, struct err *err)
{
	const struct payload *p = NULL;

	if (beside->manifest)
		p = manifest_beside_find(beside->manifest, beside->slot, name);
	if (!p && !beside->stranger) {
		beside->stranger = strdup(path);
		if (!beside->stranger)
			return err_errno(err, EX_SOFTWARE, errno, "failed to read %s", path);
	}
	*ret_payload = p;
	return 0;
}

static int hash(const struct memfile *file, uint64_t begin, const char *path,
		uint8_t ret_sha256[32], struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_free_ uint8_t *buf = malloc(PIECE);

	if (!ctx || !buf || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		return err_set(err, EX_SOFTWARE, "failed to hash %s: out of memory", path);
	for (uint64_t at = begin; at < file->size;) {
		size_t n = file->size - at < PIECE ? (size_t)(file->size - at) : PIECE;

		if (pread_full(file->fd, buf, n, (off_t)at) < 0)
			return err_errno(err, EX_IOERR, errno, "failed to hash %s", path);
		if (EVP_DigestUpdate(ctx, buf, n) != 1)
			return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
		at += n;
	}
	return EVP_DigestFinal_ex(ctx, ret_sha256, NULL) == 1
		? 0 : err_set(err, EX_SOFTWARE, "failed to hash %s", path);
}

int beside_compare(struct beside *beside, const struct payload *payload, const char *path,
		   const struct memfile *file, uint64_t begin, struct err *err)
{
	uint8_t sha256[32];

	if (hash(file, begin, path, sha256, err) < 0)
		return -1;
	if (file->size - begin != payload->size ||
	    memcmp(sha256, payload->sha256, sizeof sha256) != 0)
		return err_set(err, EX_DATAERR, "%s is not the %s that was installed: its digest is "
			       "not that of the signed manifest; install the slot again", path,
			       manifest_type_text(payload->type));
	beside->found |= UINT32_C(1) << (payload - beside->manifest->payloads);
	return 0;
}

int beside_check(const struct beside *beside, const char *extra_dir, bool secure_boot,
		 struct err *err)
{
	const struct manifest *m = beside->manifest;

	for (size_t i = 0; m && i < m->payload_count; i++) {
		const char *name = manifest_beside(&m->payloads[i], beside->slot);

		/* An update of keys is the firmware's, and no kernel's. */
		if (name && m->payloads[i].type != PAYLOAD_EFI_AUTH && !(beside->found >> i & 1))
			return err_set(err, EX_DATAERR, "%s/%s is not there, or not to be used, and the "
				       "signed manifest has it for this slot; install the slot "
				       "again", extra_dir, name);
	}
	if (secure_boot && beside->stranger)
		return err_set(err, EX_CONFIG, "%s is not of the signed manifest, and under Secure "
			       "Boot a kexec hands over nothing else from beside the UKI: remove "
			       "it, or reboot through the firmware", beside->stranger);
	return 0;
}
