/* SPDX-License-Identifier: MIT */
#include "rollback_floor.h"

#include "digest.h"
#include "espfile.h"
#include "readback.h"
#include "io.h"
#include "version_compare.h"

#include <errno.h>
#include <string.h>

enum { PAIRS = 2 };

struct pairs {
	char *stem[PAIRS];		/* "/efi/EFI/slotboot/floor-1" */
	struct signed_manifest held[PAIRS];	/* manifest NULL: nothing that counts */
	struct err ignored;
	int highest;			/* -1: none */
};

static void pairs_clear(struct pairs *p)
{
	for (unsigned i = 0; i < PAIRS; i++) {
		free(p->stem[i]);
		signed_manifest_clear(&p->held[i]);
	}
}

/* A genuine manifest that is no floor of this machine. */
static bool is_floor(const struct machine *m, const struct manifest *manifest, struct err *err)
{
	const char *compatible = m->config->compatible;

	if (!compatible || strcmp(manifest->compatible, compatible) != 0)
		(void)err_set(err, EX_DATAERR, "it is for %s", manifest->compatible);
	else if (!manifest->raises_floor)
		(void)err_set(err, EX_DATAERR, "it does not raise the floor (raises-floor)");
	else
		return true;
	return false;
}

static int pair_load(const struct machine *m, struct pairs *p, unsigned i, struct err *err)
{
	struct signed_manifest *held = &p->held[i];
	struct err why = { 0 };
	int r;

	if (asprintf(&p->stem[i], "%s/" ESP_OURS "/floor-%u", m->esp.dir, i + 1) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to name the rollback floor");
	r = signed_manifest_read_kept(p->stem[i], m->config->keyring, &m->config->rules, held, &why);
	if (r == 0 || (r == 1 && is_floor(m, held->manifest, &why)))
		return 0;
	signed_manifest_clear(held);
	if (why.exit != EX_DATAERR) {
		*err = why;
		return err_prefix(err, "failed to read the rollback floor %s", p->stem[i]);
	}
	(void)err_prefix(&why, "%s.json is no rollback floor and ignored", p->stem[i]);
	p->ignored = why;
	return 0;
}

static int pairs_load(const struct machine *m, struct pairs *p, struct err *err)
{
	p->highest = -1;
	for (unsigned i = 0; i < PAIRS; i++) {
		const struct manifest *manifest;

		if (pair_load(m, p, i, err) < 0)
			return -1;
		manifest = p->held[i].manifest;
		if (manifest && (p->highest < 0 ||
				 version_compare(manifest->version,
						 p->held[p->highest].manifest->version) > 0))
			p->highest = (int)i;
	}
	return 0;
}

int rollback_floor_load(const struct machine *machine, struct rollback_floor *ret_floor, struct err *err)
{
	_cleanup_(pairs_clear) struct pairs p = { 0 };
	struct rollback_floor floor = { 0 };
	struct err local;

	if (pairs_load(machine, &p, err ? err : &local) < 0)
		return -1;
	floor.ignored = p.ignored;
	if (p.highest >= 0) {
		const struct signed_manifest *held = &p.held[p.highest];

		(void)snprintf(floor.version, sizeof floor.version, "%s", held->manifest->version);
		(void)snprintf(floor.signer, sizeof floor.signer, "%s", held->signer);
	}
	*ret_floor = floor;
	return 0;
}

static int file_write(const struct machine *m, const char *stem, const char *suffix,
		      const uint8_t *data, size_t len, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	uint8_t sha256[32];

	if (asprintf(&path, "%s%s", stem, suffix) < 0 ||
	    !EVP_Digest(data, len, sha256, NULL, EVP_sha256(), NULL))
		return err_set(err, EX_SOFTWARE, "failed to write the rollback floor");
	if (espfile_write(&m->disk, path, data, len, err) < 0)
		return -1;
	return readback_check(&m->disk, path, len, sha256, NULL, err);
}

static bool is_same(const struct signed_manifest *a, const struct signed_manifest *b)
{
	return a->json_len == b->json_len && a->p7s_len == b->p7s_len &&
	       memcmp(a->json, b->json, a->json_len) == 0 &&
	       memcmp(a->p7s, b->p7s, a->p7s_len) == 0;
}

int rollback_floor_raise(const struct machine *machine, const struct signed_manifest *manifest,
			 struct err *err)
{
	_cleanup_(pairs_clear) struct pairs p = { 0 };
	const struct signed_manifest *want = manifest;
	struct err local;

	err = err ? err : &local;
	if (pairs_load(machine, &p, err) < 0)
		return -1;
	if (p.highest >= 0 && version_compare(manifest->manifest->version,
					      p.held[p.highest].manifest->version) <= 0)
		want = &p.held[p.highest];
	/* Write the other pair first: the present one holds the floor until this is
	 * done. */
	for (unsigned i = 0; i < PAIRS; i++) {
		unsigned at = i ^ (p.highest == 0 ? 1 : 0);

		if (p.held[at].manifest && is_same(&p.held[at], want))
			continue;
		if (file_write(machine, p.stem[at], ".json", want->json, want->json_len, err) < 0 ||
		    file_write(machine, p.stem[at], ".p7s", want->p7s, want->p7s_len, err) < 0)
			return err_prefix(err, "failed to raise the rollback floor");
	}
	return 0;
}

char *rollback_floor_files(const struct machine *machine)
{
	char *path;

	return asprintf(&path, "%s/" ESP_OURS "/floor-*", machine->esp.dir) < 0 ? NULL : path;
}
