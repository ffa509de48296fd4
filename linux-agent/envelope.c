/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include "cms.h"
#include "manifest.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int record_check(const struct hollow *bytes, const struct slot *slot, struct err *err)
{
	if (bytes->rest.size == slot->uki_size &&
	    memcmp(bytes->sha256, slot->uki_sha256, sizeof bytes->sha256) == 0)
		return 0;
	return err_set(err, EX_DATAERR, "%s is not the UKI that was installed: its digest is not "
		       "that of the slot record; install the slot again", bytes->name);
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
static int manifest_check(const struct envelope *e, char **ret_signer, struct err *err)
{
	const struct hollow *bytes = &e->hollow;
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;
	_cleanup_free_ uint8_t *json = NULL;
	_cleanup_free_ uint8_t *p7s = NULL;
	_cleanup_free_ char *signer = NULL;
	size_t json_len = 0, p7s_len = 0;
	const struct payload *uki;
	int r = beside(e->dir, "manifest.p7s", CMS_MAX_BYTES, &p7s, &p7s_len, err);

	if (r <= 0)
		return r;
	r = beside(e->dir, "manifest.json", MANIFEST_MAX_BYTES, &json, &json_len, err);
	if (r == 0)
		return err_set(err, EX_DATAERR, "%s has a manifest.p7s and no manifest.json: "
			       "install the slot again", e->dir);
	if (r < 0)
		return -1;
	if (cms_verify_detached(json, json_len, p7s, p7s_len, e->keyring, e->rules, &signer,
				err) < 0 ||
	    manifest_parse(json, json_len, &manifest, err) < 0)
		return err_prefix(err, "refused to take %s", bytes->name);
	uki = manifest_uki(manifest);
	if (uki->size != bytes->rest.size || memcmp(uki->sha256, bytes->sha256, 32) != 0)
		return err_set(err, EX_DATAERR, "%s is not the UKI of the signed manifest beside "
			       "it: it was changed after the slot was installed; install the slot "
			       "again", bytes->name);
	*ret_signer = signer;
	signer = NULL;
	return 1;
}

int envelope_check(struct envelope *e, struct err *err)
{
	bool recorded = e->slot && (e->slot->flags & SLOT_FLAG_DIGEST);
	int r;

	if (!e->hollow.is_hashed && hollow_fill(&e->hollow, err) < 0)
		return -1;
	if (recorded && record_check(&e->hollow, e->slot, err) < 0)
		return -1;
	r = manifest_check(e, &e->signer, err);
	if (r < 0)
		return -1;
	e->basis = r ? ENVELOPE_MANIFEST : recorded ? ENVELOPE_RECORD : ENVELOPE_NOTHING;
	return 0;
}

static int parse(struct envelope *e, struct err *err)
{
	int fd = fcntl(e->hollow.rest.fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to read %s", e->hollow.name);
	return ukifile_open_fd(fd, e->hollow.name, &e->uki, err);
}

/* A UKI that was changed may be none any more: then the change is what is told. */
static int take(struct envelope *e, const char *dir, bool whole, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct err why = { 0 };
	int r;

	e->dir = strdup(dir);
	if (!e->dir || asprintf(&path, "%s/uki.efi", dir) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the UKI");
	if (hollow_open(path, whole, &e->hollow, err) < 0)
		return -1;
	r = parse(e, &why);
	if ((whole || r < 0) && envelope_check(e, err) < 0)
		return -1;
	if (r < 0 && err)
		*err = why;
	return r;
}

static int start(const char *dir, bool whole, struct envelope *envelope, struct err *err)
{
	envelope->uki.fd = -1;
	envelope->hollow = (struct hollow)HOLLOW_NONE;
	if (take(envelope, dir, whole, err) == 0) {
		envelope->uki.hollow = whole ? NULL : &envelope->hollow;
		return 0;
	}
	envelope_close(envelope);
	return -1;
}

int envelope_open(const char *dir, const struct slot *slot, const char *keyring,
		  const struct cms_rules *rules, struct envelope *ret_envelope, struct err *err)
{
	*ret_envelope = (struct envelope){ .slot = slot, .keyring = keyring, .rules = rules };
	return start(dir, true, ret_envelope, err);
}

int envelope_begin(const char *dir, const struct slot *slot, const char *keyring,
		   const struct cms_rules *rules, struct envelope *ret_envelope, struct err *err)
{
	*ret_envelope = (struct envelope){ .slot = slot, .keyring = keyring, .rules = rules };
	return start(dir, false, ret_envelope, err);
}

void envelope_close(struct envelope *envelope)
{
	ukifile_close(&envelope->uki);
	hollow_close(&envelope->hollow);
	free(envelope->signer);
	envelope->signer = NULL;
	free(envelope->dir);
	envelope->dir = NULL;
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
