/* SPDX-License-Identifier: MIT */
/* Versions small enough to be cut at every sector: a PE file with .cmdline and
 * .linux, and an image. */
#include "bytes.h"
#include "cmdline.h"
#include "native.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PE_AT = 64, TABLE_AT = PE_AT + 24 + 112, CMDLINE_AT = 320, LINUX_AT = 448,
       ADDON_BYTES = 400, CRED_BYTES = 40, FILE_BYTES = 300 };

struct sim_version sim_versions[SIM_VERSIONS];

void sim_pe_section(uint8_t *pe, unsigned index, const char *name, size_t at, size_t len)
{
	uint8_t *h = pe + TABLE_AT + 40 * index;

	memcpy(h, name, strlen(name));
	le32_put(h + 8, (uint32_t)len);
	le32_put(h + 12, (uint32_t)at);
	le32_put(h + 16, (uint32_t)len);
	le32_put(h + 20, (uint32_t)at);
}

/* Of two sections. */
void sim_pe_begin(uint8_t *pe, size_t len)
{
	memcpy(pe, "MZ", 2);
	le32_put(pe + 0x3c, PE_AT);
	memcpy(pe + PE_AT, "PE\0\0", 4);
	le16_put(pe + PE_AT + 4, NATIVE_MACHINE);
	le16_put(pe + PE_AT + 6, 2);
	le16_put(pe + PE_AT + 20, 112);
	le16_put(pe + PE_AT + 24, 0x20b);
	le32_put(pe + PE_AT + 24 + 56, (uint32_t)len);
	le32_put(pe + PE_AT + 24 + 60, CMDLINE_AT);	/* SizeOfHeaders */
}

static void fill(uint8_t *data, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (uint8_t)(seed >> 24);
	}
}

static void uki_make(uint8_t *uki, size_t len, unsigned version)
{
	char cmdline[64];
	/* The last one goes under Secure Boot, where nobody fills in a slot. */
	int n = snprintf(cmdline, sizeof cmdline, "version=%u root=%s", version,
			 version == SIM_VERSIONS - 1 ? "UUID=1" : "{SLOT}");

	sim_pe_begin(uki, len);
	sim_pe_section(uki, 0, ".cmdline", CMDLINE_AT, (size_t)n);
	memcpy(uki + CMDLINE_AT, cmdline, (size_t)n);
	sim_pe_section(uki, 1, ".linux", LINUX_AT, len - LINUX_AT);
	fill(uki + LINUX_AT, len - LINUX_AT, version + 1);
}

static void addon_make(uint8_t *addon, unsigned version, unsigned slot)
{
	char cmdline[64];
	int n = snprintf(cmdline, sizeof cmdline, "addon=%u%c", version, slot_letter(slot));

	sim_pe_begin(addon, ADDON_BYTES);
	le16_put(addon + PE_AT + 6, 1);
	sim_pe_section(addon, 0, ".cmdline", CMDLINE_AT, (size_t)n);
	memcpy(addon + CMDLINE_AT, cmdline, (size_t)n);
}

static void beside_make(struct sim_version *v, unsigned version)
{
	v->cred_len = version == 1 ? CRED_BYTES : 0;
	v->addon_len = version == 2 ? ADDON_BYTES : 0;
	fill(v->cred, v->cred_len, version + 99);
	v->file_len = version == 2 ? FILE_BYTES : 0;
	fill(v->file, v->file_len, version + 199);
	for (unsigned slot = 0; v->addon_len && slot < SLOT_COUNT; slot++)
		addon_make(v->addons[slot], version, slot);
}

void sim_versions_make(void)
{
	for (unsigned i = 0; i < SIM_VERSIONS; i++) {
		struct sim_version *v = &sim_versions[i];

		v->uki_len = 900 + 90 * ((i * 3) % SIM_VERSIONS);
		v->image_len = 1100 + 100 * ((i * 3) % SIM_VERSIONS);
		uki_make(v->uki, v->uki_len, i);
		beside_make(v, i);
		fill(v->image, v->image_len, 77 + i);
		fill(v->image + SIM_SECTOR, SIM_SECTOR, 7);	/* the same in all of them */
	}
	simkeys_make();
}

static bool holds(const struct sim_file *f, const uint8_t *data, size_t len, bool exact)
{
	return f && f->size >= len && (!exact || f->size == len) &&
	       memcmp(f->now, data, len) == 0;
}

/* What the version has, and nothing else. */
static bool beside_is(const struct world *w, unsigned slot, const struct sim_version *v)
{
	const struct sim_file *addon = simdisk_find(w, NAME_ADDON(slot));
	const struct sim_file *cred = simdisk_find(w, NAME_CRED(slot));
	const struct sim_file *file = simdisk_find(w, NAME_FILE(slot));
	const struct sim_file *kek = simdisk_find(w, NAME_KEK(slot)), *dbx = simdisk_find(w, NAME_DBX(slot));

	return (v->addon_len ? holds(addon, v->addons[slot], v->addon_len, true) : !addon) &&
	       (v->cred_len ? holds(cred, v->cred, v->cred_len, true) : !cred) &&
	       (v->file_len ? holds(file, v->file, v->file_len, true) : !file) &&
	       (v->kek_len ? holds(kek, v->kek, v->kek_len, true) : !kek) &&
	       (v->dbx_len ? holds(dbx, v->dbx, v->dbx_len, true) : !dbx);
}

int sim_version_of(const struct world *w, unsigned slot, bool uki_only)
{
	for (int i = 0; i < SIM_VERSIONS; i++) {
		const struct sim_version *v = &sim_versions[i];

		if (holds(simdisk_find(w, NAME_UKI(slot)), v->uki, v->uki_len, true) &&
		    (uki_only || (holds(simdisk_find(w, NAME_IMAGE(slot)), v->image,
					v->image_len, !w->device) && beside_is(w, slot, v))))
			return i;
	}
	return -1;
}

static const struct sim_file *file_of(const struct world *w, enum sim_name name, bool kept)
{
	int file = kept ? w->name_kept[name] : w->name_now[name];

	return file < 0 ? NULL : &w->files[file];
}

static int floor_of(const struct world *w, enum sim_name json, enum sim_name p7s, bool kept)
{
	const struct sim_file *j = file_of(w, json, kept), *s = file_of(w, p7s, kept);
	uint8_t want[SIM_SIGNATURE];
	char text[SIM_FILE_MAX + 1] = "";
	const char *at;
	int number;

	if (!j || !s || (kept ? s->kept_size : s->size) != sizeof want)
		return 0;
	memcpy(text, kept ? j->kept : j->now, kept ? j->kept_size : j->size);
	sim_sign((const uint8_t *)text, kept ? j->kept_size : j->size, want);
	if (memcmp(want, kept ? s->kept : s->now, sizeof want) != 0)
		return 0;
	at = strstr(text, "\"1.0.");
	if (!at || sscanf(at, "\"1.0.%d\"", &number) != 1)
		abort();
	return number + 1;
}

int sim_floor(const struct world *w, bool kept)
{
	int one = floor_of(w, NAME_FLOOR_1_JSON, NAME_FLOOR_1_P7S, kept);
	int two = floor_of(w, NAME_FLOOR_2_JSON, NAME_FLOOR_2_P7S, kept);

	return one > two ? one : two;
}
