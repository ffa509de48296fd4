/* SPDX-License-Identifier: MIT */
#include "other_esp_files.h"

#include "cmdline.h"
#include "espfile.h"
#include "io.h"
#include "loader_note.h"
#include "readback.h"
#include "shim_file.h"
#include "slot_manifest.h"

#include <errno.h>
#include <string.h>

/* Of a slot's directory, the UKI and what lies beside it apart: the UKI goes first and comes
 * last, and the manifest is there as long as what it names. */
static const char *const own[] = { "manifest.json", "manifest.p7s", "uki.index" };
static const char *const floors[] = { "floor-1.json", "floor-1.p7s", "floor-2.json",
				      "floor-2.p7s" };

/* --- files --- */

struct pair {
	char *here, *there;	/* NULL: no memory, which no file is the same as */
};

static void pair_clear(struct pair *pair)
{
	free(pair->here);
	free(pair->there);
}

static struct pair pair_of(const struct machine *m, int slot, const char *name)
{
	char in[4] = { slot < 0 ? 0 : slot_letter((unsigned)slot), slot < 0 ? 0 : '/', 0 };
	struct pair p;

	if (asprintf(&p.here, "%s/" ESP_OURS "/%s%s", m->esp.dir, in, name) < 0)
		p.here = NULL;
	if (asprintf(&p.there, "%s/" ESP_OURS "/%s%s", m->other_esp.dir, in, name) < 0)
		p.there = NULL;
	return p;
}

static bool is_missing(const struct machine *m, const char *path)
{
	struct disk_stat st;

	return path && m->disk.stat(m->disk.ctx, path, &st) < 0 && errno == ENOENT;
}

static bool file_is_same(const struct machine *m, int slot, const char *name)
{
	_cleanup_(pair_clear) struct pair p = pair_of(m, slot, name);

	return p.here && p.there && espfile_same(&m->disk, p.here, p.there);
}

/* A file that is missing here is removed there. */
static int file_copy(const struct machine *m, int slot, const char *name, struct err *err)
{
	_cleanup_(pair_clear) struct pair p = pair_of(m, slot, name);

	if (!p.here || !p.there)
		return err_set(err, EX_SOFTWARE, "out of memory");
	if (espfile_same(&m->disk, p.here, p.there))
		return 0;
	if (is_missing(m, p.here))
		return espfile_remove(&m->disk, p.there, err);
	return espfile_mirror(&m->disk, p.here, m->other_esp.dir, p.there, err);
}

static int file_remove(const struct machine *m, unsigned slot, const char *name, struct err *err)
{
	_cleanup_(pair_clear) struct pair p = pair_of(m, (int)slot, name);

	if (!p.there)
		return err_set(err, EX_SOFTWARE, "out of memory");
	return espfile_remove(&m->disk, p.there, err);
}

/* --- what lies beside the UKI --- */

/* What the manifest there names and this one (NULL: none) does not. */
static int beside_remove(const struct machine *m, unsigned slot, const struct manifest *keep,
			 struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *there = slot_manifest_read(m->other_esp.dir, slot);
	char path[BESIDE_PATH_MAX];

	for (size_t i = 0; there && i < there->payload_count; i++) {
		const char *name = manifest_beside(&there->payloads[i], slot);

		if (!name || (keep && manifest_beside_find(keep, slot, name)))
			continue;
		manifest_beside_path(name, path);
		if (file_remove(m, slot, path, err) < 0)
			return -1;
	}
	/* Its name is ours alone, whatever became of the manifest. */
	if (keep && manifest_beside_find(keep, slot, BESIDE_ADDON))
		return 0;
	manifest_beside_path(BESIDE_ADDON, path);
	return file_remove(m, slot, path, err);
}

static int beside_copy(const struct machine *m, unsigned slot, const struct manifest *manifest,
		       struct err *err)
{
	char path[BESIDE_PATH_MAX];

	for (size_t i = 0; manifest && i < manifest->payload_count; i++) {
		const char *name = manifest_beside(&manifest->payloads[i], slot);

		if (!name)
			continue;
		manifest_beside_path(name, path);
		if (file_copy(m, (int)slot, path, err) < 0)
			return -1;
	}
	return 0;
}

static bool beside_is_same(const struct machine *m, unsigned slot)
{
	_cleanup_(manifest_freep) struct manifest *here = slot_manifest_read(m->esp.dir, slot);
	char path[BESIDE_PATH_MAX];

	for (size_t i = 0; here && i < here->payload_count; i++) {
		const char *name = manifest_beside(&here->payloads[i], slot);

		if (!name)
			continue;
		manifest_beside_path(name, path);
		if (!file_is_same(m, (int)slot, path))
			return false;
	}
	manifest_beside_path(BESIDE_ADDON, path);
	return file_is_same(m, (int)slot, path);
}

int other_esp_remove_uki(const struct machine *m, unsigned slot, struct err *err)
{
	return file_remove(m, slot, "uki.efi", err) < 0 ? -1 : beside_remove(m, slot, NULL, err);
}

/* --- slots --- */

static bool holds_something(const struct slot *slot)
{
	return slot->status != SLOT_EMPTY && slot->status != SLOT_WRITING;
}

/* The record's, and so not held against a damaged one here; else the same as here. */
static bool uki_is_same(const struct machine *m, unsigned slot)
{
	_cleanup_(pair_clear) struct pair p = pair_of(m, (int)slot, "uki.efi");
	const struct slot *s = &m->state.record.slots[slot];
	struct disk_stat st;
	uint8_t sha256[32];

	if (!holds_something(s))
		return is_missing(m, p.there);
	if (!p.here || !p.there)
		return false;
	if ((s->flags & SLOT_FLAG_DIGEST) && m->disk.stat(m->disk.ctx, p.there, &st) == 0 &&
	    st.size == s->uki_size &&
	    readback_sha256(&m->disk, p.there, st.size, NULL, sha256, NULL) == 0 &&
	    memcmp(sha256, s->uki_sha256, sizeof sha256) == 0)
		return true;
	return espfile_same(&m->disk, p.here, p.there);
}

static bool slot_is_same(const struct machine *m, unsigned slot)
{
	const struct slot *s = &m->state.record.slots[slot];

	if (!uki_is_same(m, slot))
		return false;
	for (size_t i = 0; holds_something(s) && i < ARRAY_SIZE(own); i++)
		if (!file_is_same(m, (int)slot, own[i]))
			return false;
	return !holds_something(s) || beside_is_same(m, slot);
}

/* All but the UKI. */
static int rest_copy(const struct machine *m, unsigned slot, struct err *err)
{
	_cleanup_(manifest_freep) struct manifest *here = slot_manifest_read(m->esp.dir, slot);

	if (beside_remove(m, slot, here, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (file_copy(m, (int)slot, own[i], err) < 0)
			return -1;
	return beside_copy(m, slot, here, err);
}

/* In the order of an install: a UKI never stands beside what is another version's. */
int other_esp_copy_files(const struct machine *m, unsigned slot, struct err *err)
{
	if (other_esp_remove_uki(m, slot, err) < 0 || rest_copy(m, slot, err) < 0)
		return -1;
	return file_copy(m, (int)slot, "uki.efi", err);
}

static int slot_bring_up(const struct machine *m, unsigned slot, struct err *err)
{
	if (slot_is_same(m, slot))
		return 0;
	if (!holds_something(&m->state.record.slots[slot]))
		return other_esp_remove_uki(m, slot, err);
	return uki_is_same(m, slot) ? rest_copy(m, slot, err) : other_esp_copy_files(m, slot, err);
}

/* --- shim --- */

/* What is another system's in \EFI\BOOT is left there, and which program is shim nobody can tell: a
 * whole one stays. */
static bool shim_is_same(const struct machine *m, enum shim_place place)
{
	_cleanup_(shim_file_clear) struct shim_file here = { 0 }, there = { 0 };

	if (!m->config->shim)
		return true;
	if (shim_file_read(m, m->esp.dir, SHIM_HOME, &here, NULL) < 0 ||
	    shim_file_read(m, m->other_esp.dir, place, &there, NULL) < 0)
		return false;
	return here.why.exit || shim_file_same(&here, &there) || (place == SHIM_FALLBACK && !there.why.exit);
}

static int shim_copy(const struct machine *m, enum shim_place place, struct err *err)
{
	_cleanup_(shim_file_clear) struct shim_file here = { 0 }, there = { 0 };

	if (shim_is_same(m, place))
		return 0;
	if (shim_file_read(m, m->esp.dir, SHIM_HOME, &here, err) < 0 ||
	    shim_file_read(m, m->other_esp.dir, place, &there, err) < 0)
		return -1;
	return espfile_mirror(&m->disk, here.path, m->other_esp.dir, there.path, err);
}

/* --- the loader --- */

struct loaders {
	struct loader_file here, home, fallback;	/* the last two are the other ESP's */
};

static void loaders_clear(struct loaders *l)
{
	loader_file_clear(&l->here);
	loader_file_clear(&l->home);
	loader_file_clear(&l->fallback);
}

static int loaders_read(const struct machine *m, struct loaders *l, struct err *err)
{
	const char *there = m->other_esp.dir;

	if (loader_file_read(m, LOADER_HOME, &l->here, err) < 0 ||
	    loader_file_read_at(m, there, LOADER_HOME, &l->home, err) < 0)
		return -1;
	return loader_file_read_at(m, there, LOADER_FALLBACK, &l->fallback, err);
}

static bool loader_is_copied(const struct loader_file *from, const struct loader_file *to)
{
	return to->data && to->len == from->len && memcmp(to->data, from->data, from->len) == 0;
}

/* Another system's \EFI\BOOT is left to it. */
static bool is_foreign(const struct loader_file *file)
{
	return file->there && !file->why.exit && !file->ours;
}

/* One that has booted this machine; any, where there is none yet. */
static bool is_wanted(const struct machine *m, const struct loaders *l)
{
	struct loader_note note;

	loader_note_read(m, &note);
	return loader_file_good(&l->here) &&
	       (loader_id_is(&note.promoted, &l->here) || !loader_file_good(&l->home));
}

static bool loader_is_same(const struct machine *m)
{
	_cleanup_(loaders_clear) struct loaders l = { 0 };

	if (loaders_read(m, &l, NULL) < 0)
		return false;
	return !is_wanted(m, &l) ||
	       (loader_is_copied(&l.here, &l.home) &&
		(is_foreign(&l.fallback) || loader_is_copied(&l.here, &l.fallback)));
}

/* One after the other, so that one is whole at any time. */
int other_esp_bring_up_loader(const struct machine *m, struct err *err)
{
	_cleanup_(loaders_clear) struct loaders l = { 0 };
	const char *root = m->other_esp.dir;

	if (shim_copy(m, SHIM_FALLBACK, err) < 0 || shim_copy(m, SHIM_HOME, err) < 0 || loaders_read(m, &l, err) < 0)
		return -1;
	if (!is_wanted(m, &l))
		return 0;
	if (!is_foreign(&l.fallback) && !loader_is_copied(&l.here, &l.fallback) &&
	    espfile_mirror(&m->disk, l.here.path, root, l.fallback.path, err) < 0)
		return -1;
	return loader_is_copied(&l.here, &l.home)
		       ? 0 : espfile_mirror(&m->disk, l.here.path, root, l.home.path, err);
}

/* --- all of it --- */

bool other_esp_slots_are_same(const struct machine *m)
{
	return slot_is_same(m, 0) && slot_is_same(m, 1);
}

bool other_esp_files_are_same(const struct machine *m, const char **ret_what)
{
	const char *what = !slot_is_same(m, 0) ? "slot a" : !slot_is_same(m, 1) ? "slot b" : NULL;

	for (size_t i = 0; !what && i < ARRAY_SIZE(floors); i++)
		if (!file_is_same(m, -1, floors[i]))
			what = "rollback floor";
	if (!what && !loader_is_same(m))
		what = "loader";
	if (!what && (!shim_is_same(m, SHIM_FALLBACK) || !shim_is_same(m, SHIM_HOME)))
		what = "shim";
	if (what)
		*ret_what = what;
	return !what;
}

int other_esp_bring_up_files(const struct machine *m, struct err *err)
{
	if (slot_bring_up(m, 0, err) < 0 || slot_bring_up(m, 1, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(floors); i++)
		if (file_copy(m, -1, floors[i], err) < 0)
			return -1;
	return 0;
}
