/* SPDX-License-Identifier: MIT */
#include "envelope.h"

#include "digest.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

/* Sets manifest and signer, if there is a signed manifest. */
static int manifest_take(struct envelope *e, struct err *err)
{
	_cleanup_free_ uint8_t *json = NULL;
	_cleanup_free_ uint8_t *p7s = NULL;
	size_t json_len = 0, p7s_len = 0;
	int r = beside(e->dir, "manifest.p7s", CMS_MAX_BYTES, &p7s, &p7s_len, err);

	if (r <= 0)
		return r;
	r = beside(e->dir, "manifest.json", MANIFEST_MAX_BYTES, &json, &json_len, err);
	if (r == 0)
		return err_set(err, EX_DATAERR, "%s has a manifest.p7s and no manifest.json: "
			       "install the slot again", e->dir);
	if (r < 0)
		return -1;
	if (cms_verify_detached(json, json_len, p7s, p7s_len, e->keyring, e->rules, &e->signer,
				err) < 0 ||
	    manifest_parse(json, json_len, &e->manifest, err) < 0)
		return err_prefix(err, "refused to take %s", e->hollow.name);
	return 0;
}

static bool is_pinned(const struct pinned_entry *pinned, const uint8_t *data, size_t len)
{
	uint8_t sha256[32];

	return len == pinned->size && EVP_Digest(data, len, sha256, NULL, EVP_sha256(), NULL) &&
	       memcmp(sha256, pinned->sha256, sizeof sha256) == 0;
}

/* It only saves time. */
static void index_take(struct envelope *e)
{
	const struct payload *uki = e->manifest ? manifest_uki(e->manifest) : NULL;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (uki && uki->size == e->hollow.rest.size &&
	    beside(e->dir, "uki.index", MANIFEST_MAX_INDEX_BYTES, &data, &len, NULL) == 1 &&
	    is_pinned(&uki->index, data, len) &&
	    chunkindex_decode(data, len, uki->size, &e->index, NULL) == 0)
		e->hollow.index = &e->index;
}

static bool is_uki(const struct envelope *e, uint64_t size, const uint8_t sha256[32])
{
	const struct hollow *h = &e->hollow;
	const uint8_t *is = h->index ? manifest_uki(e->manifest)->sha256 : h->sha256;

	return !h->is_changed && h->rest.size == size && memcmp(is, sha256, 32) == 0;
}

static int differs(const struct envelope *e, const char *from, struct err *err)
{
	return err_set(err, EX_DATAERR, "%s is not the UKI that was installed: its digest is not "
		       "that of the %s; install the slot again", e->hollow.name, from);
}

int envelope_check(struct envelope *e, struct err *err)
{
	bool recorded = e->slot && (e->slot->flags & SLOT_FLAG_DIGEST);
	const struct payload *uki = e->manifest ? manifest_uki(e->manifest) : NULL;

	if (!e->hollow.is_hashed && hollow_fill(&e->hollow, err) < 0)
		return -1;
	if (uki && !is_uki(e, uki->size, uki->sha256))
		return differs(e, "signed manifest beside it", err);
	if (recorded && !is_uki(e, e->slot->uki_size, e->slot->uki_sha256))
		return differs(e, "slot record", err);
	e->basis = uki ? ENVELOPE_MANIFEST : recorded ? ENVELOPE_RECORD : ENVELOPE_NOTHING;
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
	if (hollow_open(path, whole, &e->hollow, err) < 0 || manifest_take(e, err) < 0)
		return -1;
	index_take(e);
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
	chunkindex_clear(&envelope->index);
	manifest_free(envelope->manifest);
	envelope->manifest = NULL;
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
