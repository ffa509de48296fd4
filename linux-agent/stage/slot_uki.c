/* SPDX-License-Identifier: MIT */
#include "slot_uki.h"

#include "digest.h"
#include "signedmanifest.h"
#include "io.h"
#include "version_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A genuine manifest of another machine's or of an old version is no word for this one. */
static int manifest_fits(const struct slot_uki *e, const struct slot_uki_trust *t,
			 const struct manifest *m, struct err *err)
{
	if (!t->compatible)
		return err_set(err, EX_CONFIG, "failed to check %s: compatible= is not set in "
			       "slotboot.conf", e->hollow.name);
	if (strcmp(m->compatible, t->compatible) != 0)
		return err_set(err, EX_DATAERR, "%s is for %s by the signed manifest beside it, and "
			       "this machine is %s: no kexec into it", e->hollow.name, m->compatible,
			       t->compatible);
	if (t->floor && version_compare(m->version, t->floor) < 0)
		return err_set(err, EX_DATAERR, "%s has version %s, which is lower than this "
			       "machine's rollback floor %s: no kexec into it; a reboot through "
			       "the firmware goes there all the same (--activate=reboot)",
			       e->hollow.name, m->version, t->floor);
	return 0;
}

/* Sets manifest and signer, if there is a signed manifest. */
static int manifest_take(struct slot_uki *e, const char *dir, const struct slot_uki_trust *t,
			 struct err *err)
{
	_cleanup_(signed_manifest_clear) struct signed_manifest m = { 0 };
	_cleanup_free_ char *stem = NULL;
	int r;

	if (asprintf(&stem, "%s/manifest", dir) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the manifest");
	r = signed_manifest_read(stem, t->keyring, t->rules, &m, err);
	if (r == 0 && t->demand)
		return err_set(err, EX_DATAERR, "refused to take %s: it has no signed manifest "
			       "beside it (manifest.p7s), and needs one, because %s; install the "
			       "slot again, or reboot through the firmware", e->hollow.name,
			       t->demand);
	if (r < 0)
		return err_prefix(err, "refused to take %s", e->hollow.name);
	if (r == 0)
		return 0;
	if (manifest_fits(e, t, m.manifest, err) < 0)
		return -1;
	e->manifest = m.manifest;
	e->signer = m.signer;
	m.manifest = NULL;
	m.signer = NULL;
	return 0;
}

static bool is_pinned(const struct pinned_entry *pinned, const uint8_t *data, size_t len)
{
	uint8_t sha256[32];

	return len == pinned->size && EVP_Digest(data, len, sha256, NULL, EVP_sha256(), NULL) &&
	       memcmp(sha256, pinned->sha256, sizeof sha256) == 0;
}

/* It only saves time. */
static void index_take(struct slot_uki *e, const char *dir)
{
	const struct payload *uki = e->manifest ? manifest_uki(e->manifest) : NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (uki && uki->size == e->hollow.rest.size && asprintf(&path, "%s/uki.index", dir) >= 0 &&
	    read_file(path, MANIFEST_MAX_INDEX_BYTES, &data, &len) == 0 &&
	    is_pinned(&uki->index, data, len) &&
	    chunkindex_decode(data, len, uki->size, &e->index, NULL) == 0)
		e->hollow.index = &e->index;
}

static bool is_uki(const struct slot_uki *e, uint64_t size, const uint8_t sha256[32])
{
	const struct hollow *h = &e->hollow;
	const uint8_t *is = h->index ? manifest_uki(e->manifest)->sha256 : h->sha256;

	return !h->is_changed && h->rest.size == size && memcmp(is, sha256, 32) == 0;
}

static int differs(const struct slot_uki *e, const char *from, struct err *err)
{
	return err_set(err, EX_DATAERR, "%s is not the UKI that was installed: its digest is not "
		       "that of the %s; install the slot again", e->hollow.name, from);
}

int slot_uki_check(struct slot_uki *e, struct err *err)
{
	const struct slot *slot = e->slot;
	bool recorded = slot && (slot->flags & SLOT_FLAG_DIGEST);
	const struct payload *uki = e->manifest ? manifest_uki(e->manifest) : NULL;

	if (!e->hollow.is_hashed && hollow_fill(&e->hollow, err) < 0)
		return -1;
	if (uki && !is_uki(e, uki->size, uki->sha256))
		return differs(e, "signed manifest beside it", err);
	if (recorded && !is_uki(e, slot->uki_size, slot->uki_sha256))
		return differs(e, "slot record", err);
	e->basis = uki ? SLOT_UKI_MANIFEST : recorded ? SLOT_UKI_RECORD : SLOT_UKI_NOTHING;
	return 0;
}

static int parse(struct slot_uki *e, struct err *err)
{
	int fd = fcntl(e->hollow.rest.fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, EX_UNAVAILABLE, errno, "failed to read %s", e->hollow.name);
	return ukifile_open_fd(fd, e->hollow.name, &e->uki, err);
}

/* A UKI that was changed may be none any more: then the change is what is told. */
static int take(struct slot_uki *e, const char *dir, const struct slot_uki_trust *trust,
		bool whole, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	struct err why = { 0 };
	int r;

	if (asprintf(&path, "%s/uki.efi", dir) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the UKI");
	if (hollow_open(path, whole, &e->hollow, err) < 0 || manifest_take(e, dir, trust, err) < 0)
		return -1;
	index_take(e, dir);
	r = parse(e, &why);
	if ((whole || r < 0) && slot_uki_check(e, err) < 0)
		return -1;
	if (r < 0 && err)
		*err = why;
	return r;
}

static int start(const char *dir, const struct slot_uki_trust *trust, bool whole,
		 struct slot_uki *envelope, struct err *err)
{
	*envelope = (struct slot_uki){ .slot = trust->slot, .uki.fd = -1, .hollow = HOLLOW_NONE };
	if (take(envelope, dir, trust, whole, err) == 0) {
		envelope->uki.hollow = whole ? NULL : &envelope->hollow;
		return 0;
	}
	slot_uki_close(envelope);
	return -1;
}

int slot_uki_open(const char *dir, const struct slot_uki_trust *trust,
		  struct slot_uki *ret_envelope, struct err *err)
{
	return start(dir, trust, true, ret_envelope, err);
}

int slot_uki_begin(const char *dir, const struct slot_uki_trust *trust,
		   struct slot_uki *ret_envelope, struct err *err)
{
	return start(dir, trust, false, ret_envelope, err);
}

void slot_uki_close(struct slot_uki *envelope)
{
	ukifile_close(&envelope->uki);
	hollow_close(&envelope->hollow);
	chunkindex_clear(&envelope->index);
	manifest_free(envelope->manifest);
	envelope->manifest = NULL;
	free(envelope->signer);
	envelope->signer = NULL;
}

void slot_uki_text(const struct slot_uki *envelope, char *out, size_t size)
{
	switch (envelope->basis) {
	case SLOT_UKI_MANIFEST:
		(void)snprintf(out, size, "its digest is that of the manifest signed by %s",
			       envelope->signer);
		return;
	case SLOT_UKI_RECORD:
		(void)snprintf(out, size, "its digest is that of the slot record; there is no "
			       "signed manifest beside it");
		return;
	default:
		(void)snprintf(out, size, "nothing tells what it should be: the slot was not "
			       "installed by slotctl");
	}
}
