/* SPDX-License-Identifier: MIT */
#include "slot_uki.h"

#include "digest.h"
#include "signedmanifest.h"
#include "io.h"
#include "uki_copy.h"
#include "version_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct taking {
	const char *dir;
	const struct slot_uki_trust *trust;
	struct slot_uki *uki;		/* what comes of it */
	char *path;
	int fd;				/* of the file on the ESP */
	uint64_t size;
	struct chunkindex index;	/* chunks NULL: none, or not the manifest's */
	struct uki_copy copy;
};

static void taking_clear(struct taking *t)
{
	free(t->path);
	cleanup_closep(&t->fd);
	chunkindex_clear(&t->index);
	memfile_close(&t->copy.file);
}

/* A genuine manifest for another machine, or of an old version, does not vouch for this
 * UKI. */
static int manifest_fits(const struct taking *taking, const struct manifest *m, struct err *err)
{
	const struct slot_uki_trust *t = taking->trust;

	if (!t->compatible)
		return err_set(err, EX_CONFIG, "failed to check %s: compatible= is not set in "
			       "slotboot.conf", taking->path);
	if (strcmp(m->compatible, t->compatible) != 0)
		return err_set(err, EX_DATAERR, "%s is for %s by the signed manifest beside it, and "
			       "this machine is %s: no kexec into it", taking->path, m->compatible,
			       t->compatible);
	if (t->floor && version_compare(m->version, t->floor) < 0)
		return err_set(err, EX_DATAERR, "%s has version %s, which is lower than this "
			       "machine's rollback floor %s: no kexec into it; a reboot through "
			       "the firmware goes there all the same (--activate=reboot)",
			       taking->path, m->version, t->floor);
	return 0;
}

/* Sets manifest and signer, if there is a signed manifest. */
static int manifest_take(struct taking *t, struct err *err)
{
	_cleanup_(signed_manifest_clear) struct signed_manifest m = { 0 };
	const struct slot_uki_trust *trust = t->trust;
	_cleanup_free_ char *stem = NULL;
	int r;

	if (asprintf(&stem, "%s/manifest", t->dir) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the manifest");
	r = signed_manifest_read(stem, trust->keyring, trust->rules, &m, err);
	if (r == 0 && trust->demand)
		return err_set(err, EX_DATAERR, "refused to take %s: it has no signed manifest "
			       "beside it (manifest.p7s), and needs one, because %s; install the "
			       "slot again, or reboot through the firmware", t->path,
			       trust->demand);
	if (r < 0)
		return err_prefix(err, "refused to take %s", t->path);
	if (r == 0)
		return 0;
	if (manifest_fits(t, m.manifest, err) < 0)
		return -1;
	t->uki->manifest = m.manifest;
	t->uki->signer = m.signer;
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

/* The index only saves time, so its absence is no error. */
static void index_take(struct taking *t)
{
	const struct payload *uki = t->uki->manifest ? manifest_uki(t->uki->manifest) : NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	size_t len;

	if (uki && uki->size == t->size && asprintf(&path, "%s/uki.index", t->dir) >= 0 &&
	    read_file(path, MANIFEST_MAX_INDEX_BYTES, &data, &len) == 0 &&
	    is_pinned(&uki->index, data, len))
		(void)chunkindex_decode(data, len, uki->size, &t->index, NULL);
}

static bool is_uki(const struct taking *t, uint64_t size, const uint8_t sha256[32])
{
	const uint8_t *is = t->index.chunks ? manifest_uki(t->uki->manifest)->sha256
					    : t->copy.sha256;

	return !t->copy.is_changed && t->copy.file.size == size && memcmp(is, sha256, 32) == 0;
}

static int differs(const struct taking *t, const char *from, struct err *err)
{
	return err_set(err, EX_DATAERR, "%s is not the UKI that was installed: its digest is not "
		       "that of the %s; install the slot again", t->path, from);
}

static int compare(const struct taking *t, struct err *err)
{
	const struct slot *slot = t->trust->slot;
	bool recorded = slot && (slot->flags & SLOT_FLAG_DIGEST);
	const struct payload *uki = t->uki->manifest ? manifest_uki(t->uki->manifest) : NULL;

	if (uki && !is_uki(t, uki->size, uki->sha256))
		return differs(t, "signed manifest beside it", err);
	if (recorded && !is_uki(t, slot->uki_size, slot->uki_sha256))
		return differs(t, "slot record", err);
	t->uki->basis = uki ? SLOT_UKI_MANIFEST : recorded ? SLOT_UKI_RECORD : SLOT_UKI_NOTHING;
	return 0;
}

static int file_open(struct taking *t, struct err *err)
{
	struct stat st;

	t->fd = open(t->path, O_RDONLY | O_CLOEXEC);
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return err_errno(err, errno == ENOENT ? EX_NOINPUT : EX_IOERR, errno,
				 "failed to open %s", t->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EX_DATAERR, "%s is not a file", t->path);
	t->size = (uint64_t)st.st_size;
	return 0;
}

static int take(struct taking *t, struct err *err)
{
	int fd;

	if (file_open(t, err) < 0 || manifest_take(t, err) < 0)
		return -1;
	index_take(t);
	if (uki_copy_make(t->fd, t->path, t->size, t->index.chunks ? &t->index : NULL, &t->copy,
			  err) < 0 ||
	    compare(t, err) < 0)
		return -1;
	t->uki->by_chunks = t->index.chunks;
	fd = t->copy.file.fd;
	t->copy.file.fd = -1;
	return ukifile_open_fd(fd, t->path, &t->uki->uki, err);
}

int slot_uki_open(const char *dir, const struct slot_uki_trust *trust, struct slot_uki *ret_uki,
		  struct err *err)
{
	_cleanup_(taking_clear) struct taking t = { .dir = dir, .trust = trust, .uki = ret_uki,
						    .fd = -1, .copy.file = MEMFILE_NONE };

	*ret_uki = (struct slot_uki){ .uki.fd = -1 };
	if (asprintf(&t.path, "%s/uki.efi", dir) < 0) {
		t.path = NULL;
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the UKI");
	}
	if (take(&t, err) == 0)
		return 0;
	slot_uki_close(ret_uki);
	return -1;
}

void slot_uki_close(struct slot_uki *uki)
{
	ukifile_close(&uki->uki);
	manifest_free(uki->manifest);
	uki->manifest = NULL;
	free(uki->signer);
	uki->signer = NULL;
}

void slot_uki_text(const struct slot_uki *uki, char *out, size_t size)
{
	switch (uki->basis) {
	case SLOT_UKI_MANIFEST:
		(void)snprintf(out, size, "its digest is that of the manifest signed by %s",
			       uki->signer);
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
