/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include "cms.h"
#include "digest.h"
#include "manifest.h"
#include "memfile.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 1024 * 1024 };

struct bytes {
	struct memfile file;	/* sealed */
	uint8_t sha256[32];
};

/* One pass: each piece is hashed and kept. */
static int copy_hashed(int from, uint64_t size, struct memfile *to, EVP_MD_CTX *ctx)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);

	if (!buf)
		return -1;
	while (to->size < size) {
		size_t n = size - to->size < CHUNK ? (size_t)(size - to->size) : CHUNK;

		if (pread_full(from, buf, n, (off_t)to->size) < 0 || memfile_write(to, buf, n) < 0)
			return -1;
		if (!EVP_DigestUpdate(ctx, buf, n)) {
			errno = ENOMEM;
			return -1;
		}
	}
	return memfile_seal(to);
}

static int take(const char *path, struct bytes *ret_bytes, struct err *err)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(memfile_close) struct memfile to = MEMFILE_NONE;
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return err_errno(err, errno == ENOENT ? EX_NOINPUT : EX_IOERR, errno,
				 "failed to open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EX_DATAERR, "%s is not a file", path);
	if (memfile_open("uki", &to) < 0 || !ctx || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		return err_errno(err, EX_UNAVAILABLE, to.fd < 0 ? errno : ENOMEM,
				 "failed to make room in memory for %s", path);
	if (copy_hashed(from, (uint64_t)st.st_size, &to, ctx) < 0)
		return err_errno(err, EX_IOERR, errno, "failed to read %s", path);
	if (!EVP_DigestFinal_ex(ctx, ret_bytes->sha256, NULL))
		return err_set(err, EX_SOFTWARE, "failed to hash %s", path);
	ret_bytes->file = to;
	to.fd = -1;
	return 0;
}

static int record_check(const char *path, const struct slot *slot, const struct bytes *bytes,
			struct err *err)
{
	if (bytes->file.size == slot->uki_size &&
	    memcmp(bytes->sha256, slot->uki_sha256, sizeof bytes->sha256) == 0)
		return 0;
	return err_set(err, EX_DATAERR, "%s is not the UKI that was installed: its digest is not "
		       "that of the slot record; install the slot again", path);
}

/* 1: there; 0: not there; -1 */
static int beside(const char *dir, const char *name, size_t max, uint8_t **ret_data,
		  size_t *ret_len, struct err *err)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name %s", name);
	if (read_file(path, max, ret_data, ret_len) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	return err_errno(err, EX_IOERR, errno, "failed to read %s", path);
}

/* 1: there is a signed manifest and it names these bytes; 0: there is none; -1 */
static int manifest_check(const char *dir, const char *path, const char *keyring,
			  const struct cms_rules *rules, const struct bytes *bytes,
			  char **ret_signer, struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;
	_cleanup_free_ uint8_t *json = NULL;
	_cleanup_free_ uint8_t *p7s = NULL;
	_cleanup_free_ char *signer = NULL;
	size_t json_len = 0, p7s_len = 0;
	const struct payload *uki;
	int r = beside(dir, "manifest.p7s", CMS_MAX_BYTES, &p7s, &p7s_len, err);

	if (r <= 0)
		return r;
	r = beside(dir, "manifest.json", MANIFEST_MAX_BYTES, &json, &json_len, err);
	if (r == 0)
		return err_set(err, EX_DATAERR, "%s has a manifest.p7s and no manifest.json: "
			       "install the slot again", dir);
	if (r < 0)
		return -1;
	if (cms_verify_detached(json, json_len, p7s, p7s_len, keyring, rules, &signer, err) < 0 ||
	    manifest_parse(json, json_len, &manifest, err) < 0)
		return err_prefix(err, "refused to take %s", path);
	uki = manifest_uki(manifest);
	if (uki->size != bytes->file.size || memcmp(uki->sha256, bytes->sha256, 32) != 0)
		return err_set(err, EX_DATAERR, "%s is not the UKI of the signed manifest beside "
			       "it: it was changed after the slot was installed; install the slot "
			       "again", path);
	*ret_signer = signer;
	signer = NULL;
	return 1;
}

static int check(const char *dir, const char *path, const struct slot *slot,
		 const char *keyring, const struct cms_rules *rules, const struct bytes *bytes,
		 struct envelope *envelope, struct err *err)
{
	bool recorded = slot && (slot->flags & SLOT_FLAG_DIGEST);
	int r;

	if (recorded && record_check(path, slot, bytes, err) < 0)
		return -1;
	r = manifest_check(dir, path, keyring, rules, bytes, &envelope->signer, err);
	if (r < 0)
		return -1;
	envelope->basis = r ? ENVELOPE_MANIFEST : recorded ? ENVELOPE_RECORD : ENVELOPE_NOTHING;
	return 0;
}

int envelope_open(const char *dir, const struct slot *slot, const char *keyring,
		  const struct cms_rules *rules, struct envelope *ret_envelope, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct bytes bytes;

	*ret_envelope = (struct envelope){ .uki.fd = -1 };
	if (asprintf(&path, "%s/uki.efi", dir) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the UKI");
	if (take(path, &bytes, err) < 0)
		return -1;
	if (check(dir, path, slot, keyring, rules, &bytes, ret_envelope, err) < 0) {
		memfile_close(&bytes.file);
		return -1;
	}
	if (ukifile_open_fd(bytes.file.fd, path, &ret_envelope->uki, err) < 0) {
		free(ret_envelope->signer);
		ret_envelope->signer = NULL;
		return -1;
	}
	return 0;
}

void envelope_close(struct envelope *envelope)
{
	ukifile_close(&envelope->uki);
	free(envelope->signer);
	envelope->signer = NULL;
}

void envelope_text(const struct envelope *envelope, char *out, size_t size)
{
	switch (envelope->basis) {
	case ENVELOPE_MANIFEST:
		(void)snprintf(out, size, "its digest is that of the manifest signed by %s",
			       envelope->signer);
		return;
	case ENVELOPE_RECORD:
		(void)snprintf(out, size, "its digest is that of the slot record; there is no "
			       "signed manifest beside it");
		return;
	default:
		(void)snprintf(out, size, "nothing tells what it should be: the slot was not "
			       "installed by slotctl");
	}
}
